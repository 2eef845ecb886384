// Package machine is the doctor's probe of the machine that kbench runs on.
package machine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/kbench/kbench/internal/cluster/local"
	"github.com/kbench/kbench/internal/doctor"
)

// Machine is this one.
type Machine struct {
	Local  local.Options // as a cluster would be started
	Docker []string      // addresses of container engines to try, as DOCKER_HOST has them
}

var _ doctor.Probe = Machine{}

// Command runs a command. It is killed when ctx ends.
func (Machine) Command(ctx context.Context, name string, args ...string) (string, error) {
	said, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	return string(said), err
}

// File reads a file.
func (Machine) File(path string) (string, error) {
	text, err := os.ReadFile(path)
	return string(text), err
}

// Free bytes where a folder is, or is to be made.
func (Machine) Free(dir string) (uint64, error) {
	var s syscall.Statfs_t
	err := syscall.Statfs(dir, &s)
	for errors.Is(err, syscall.ENOENT) && dir != filepath.Dir(dir) {
		dir = filepath.Dir(dir)
		err = syscall.Statfs(dir, &s)
	}
	return s.Bavail * uint64(s.Bsize), err
}

// Java is its version.
func (m Machine) Java(ctx context.Context) (int, error) { return local.JavaVersion(ctx, m.Local) }

// Kafka is where its jars come from.
func (m Machine) Kafka(context.Context) (string, error) { return local.KafkaFrom(m.Local) }

// CPUs that this process may use.
func (Machine) CPUs() int { return runtime.GOMAXPROCS(0) }

// Engine asks the first container engine that answers, by its HTTP interface: the command docker is not needed.
func (m Machine) Engine(ctx context.Context, images []string) (doctor.Engine, error) {
	var problems []error
	for _, host := range m.Docker {
		e, err := engineAt(ctx, host, images)
		if err == nil {
			return e, nil
		}
		problems = append(problems, err)
	}
	for _, err := range problems { // of several, one that is there and refuses says more than those that are not there
		if !errors.Is(err, os.ErrNotExist) {
			return doctor.Engine{}, err
		}
	}
	return doctor.Engine{}, fmt.Errorf("no Docker: nobody listens at %s", strings.Join(m.Docker, " or "))
}

func engineAt(ctx context.Context, host string, images []string) (doctor.Engine, error) {
	network, address, ok := strings.Cut(host, "://")
	if network == "http" {
		network = "tcp"
	}
	if !ok || network != "unix" && network != "tcp" {
		return doctor.Engine{}, fmt.Errorf("docker at %s: only unix:// and tcp:// without TLS can be asked", host)
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	client := &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	var version struct {
		Version string
		API     string `json:"ApiVersion"`
	}
	if err := get(ctx, client, "/version", &version); err != nil {
		return doctor.Engine{}, fmt.Errorf("docker at %s: %w", host, err)
	}
	e := doctor.Engine{Version: version.Version, API: version.API}
	filter, err := json.Marshal(map[string][]string{"reference": images})
	if err != nil {
		return doctor.Engine{}, err
	}
	var found []struct{ RepoTags []string }
	if err := get(ctx, client, "/images/json?filters="+url.QueryEscape(string(filter)), &found); err != nil {
		return doctor.Engine{}, fmt.Errorf("docker at %s: list its images: %w", host, err)
	}
	for _, image := range found {
		for _, tag := range image.RepoTags {
			if slices.Contains(images, tag) {
				e.Images = append(e.Images, tag)
			}
		}
	}
	slices.Sort(e.Images)
	return e, nil
}

func get(ctx context.Context, client *http.Client, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker"+path, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) {
			return op // without the address that is none
		}
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, strings.TrimSpace(string(text)))
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}
