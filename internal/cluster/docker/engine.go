package docker

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/log"
)

const (
	// connectLimit is for an engine's first answer.
	connectLimit = 10 * time.Second
	pullLimit    = 10 * time.Minute
)

// engine is Docker, or what answers in its place.
type engine struct {
	provider *testcontainers.DockerProvider // makes containers, and has Ryuk watch over them
	making   sync.Mutex                     // held while it does
	client   client.APIClient               // does the rest
	noReaper string                         // why Ryuk does not, "" where it does
}

// connect finds the engine. Ryuk is taken where its image is at hand: kbench pulls nothing for it.
func connect(ctx context.Context) (*engine, error) {
	ctx, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	e := &engine{noReaper: whyNoRyuk(ctx)}
	if e.noReaper != "" {
		// The only way to tell testcontainers, which reads it once, when it first connects.
		if err := os.Setenv(ryukDisabled, "true"); err != nil {
			return nil, err
		}
	}
	quiet := log.NewNoopLogger() // the standard error is kbench's own
	log.SetDefault(quiet)
	provider, err := within(ctx, func() (*testcontainers.DockerProvider, error) {
		return testcontainers.NewDockerProvider(testcontainers.WithLogger(quiet))
	})
	if err != nil {
		return nil, fmt.Errorf("no Docker engine: %w", err)
	}
	// Not the provider's own client, of which it closes the idle connections whenever it has done something: a request that
	// is about to take one of them fails.
	own, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("no Docker engine: %w", err), provider.Close())
	}
	e.provider, e.client = provider, own
	if _, err := e.client.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		return nil, errors.Join(fmt.Errorf("no Docker engine: %w", err), e.close())
	}
	if host := e.client.DaemonHost(); elsewhere(host) {
		return nil, errors.Join(fmt.Errorf("the Docker engine at %s is another machine's, and brokers' ports are published on its 127.0.0.1: run kbench there, or let DOCKER_HOST name an engine of this machine", host), e.close())
	}
	return e, nil
}

// within does something that takes no context; what it makes after ctx has ended is lost.
func within[T any](ctx context.Context, do func() (T, error)) (T, error) {
	type result struct {
		made T
		err  error
	}
	done := make(chan result, 1)
	go func() {
		made, err := do()
		done <- result{made, err}
	}()
	select {
	case r := <-done:
		return r.made, r.err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}

// elsewhere tells of an engine's address, as DOCKER_HOST has it, whether it is plainly another machine's.
func elsewhere(host string) bool {
	at, err := url.Parse(host)
	if err != nil || at.Hostname() == "" || at.Hostname() == "localhost" {
		return false
	}
	ip, err := netip.ParseAddr(at.Hostname())
	return err != nil || !ip.IsLoopback()
}

const ryukDisabled = "TESTCONTAINERS_RYUK_DISABLED"

// whyNoRyuk is "" where Ryuk can be had.
func whyNoRyuk(ctx context.Context) string {
	//lint:ignore SA1019 what replaces it cannot be imported
	ryukImage := testcontainers.ReaperDefaultImage
	c, err := client.New(client.FromEnv)
	if err == nil {
		defer c.Close()
		_, err = c.ImageInspect(ctx, ryukImage)
	}
	if err != nil {
		return "the image " + ryukImage + " is not at hand"
	}
	if os.Getenv(ryukDisabled) == "true" {
		return ryukDisabled + " is set"
	}
	if testcontainers.ReadConfig().RyukDisabled {
		return "testcontainers' properties say so"
	}
	return ""
}

func (e *engine) close() error { return errors.Join(e.provider.Close(), e.client.Close()) }

// makeContainer makes one at a time, for the same reason.
func (e *engine) makeContainer(ctx context.Context, r testcontainers.ContainerRequest) error {
	e.making.Lock()
	defer e.making.Unlock()
	_, err := e.provider.CreateContainer(ctx, r)
	return err
}

// haveImage pulls an image that is not there, and returns its id.
func (e *engine) haveImage(ctx context.Context, image string, note func(string, ...any)) (id string, err error) {
	found, err := e.client.ImageInspect(ctx, image)
	if err == nil || !errdefs.IsNotFound(err) {
		return found.ID, err
	}
	note("pulling %s (once)", image)
	ctx, cancel := context.WithTimeout(ctx, pullLimit)
	defer cancel()
	err = e.provider.PullImage(ctx, image)
	if err == nil {
		found, err = e.client.ImageInspect(ctx, image) // a pull that broke off looks like one that ended
	}
	if err != nil {
		return "", fmt.Errorf("no image %s here, and it cannot be pulled: %w\nscripts/kafka-image builds one without a registry, to be used by --image kbench/kafka:4.3.1", image, err)
	}
	return found.ID, nil
}
