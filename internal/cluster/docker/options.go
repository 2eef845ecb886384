package docker

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/kbench/kbench/internal/cluster/kraft"
)

// DefaultImage is the one that Apache Kafka publishes.
const DefaultImage = "apache/kafka:4.3.1"

// Options of a cluster. Only Dir must be given.
type Options struct {
	Brokers     int // default 3
	Controllers int // default 1

	// Image is configured by KAFKA_* variables, as apache/kafka is. Default DefaultImage.
	Image string
	// Config is given to brokers and controllers, over kraft.Defaults. The names that tie the nodes together cannot be given.
	Config map[string]string

	Heap   string   // of a broker, default 512m
	JVM    []string // flags for every node, see kraft.JVM
	Steady bool     // leaves kraft.QuickJVM out

	CPUs   float64 // at most so many for each broker, 0: no limit
	Memory int64   // bytes, likewise

	// Dir takes the nodes' configuration and logs: usually the run directory's cluster folder. It is made if need be.
	Dir string

	// ProxyClients sends clients through a proxy for each broker; the cluster then is a cluster.AnswerFilter.
	ProxyClients bool

	// Keep leaves the cluster running when this process ends and at Close: Attach finds it by its label, Remove removes it.
	Keep bool
	// Janitor is the command that removes the cluster when this process is killed, without its last argument: it must
	// call Janitor with that. Empty: none, the next Start sweeps. With Keep it does so until Close.
	Janitor []string

	// Note takes progress, a line at a time. May be nil.
	Note func(format string, args ...any)
}

// withDefaults fills in what was left out, and refuses what cannot be.
func (o Options) withDefaults() (Options, error) {
	if o.Brokers == 0 {
		o.Brokers = 3
	}
	if o.Controllers == 0 {
		o.Controllers = 1
	}
	if o.Image == "" {
		o.Image = DefaultImage
	}
	if o.Heap == "" {
		o.Heap = "512m"
	}
	if o.Note == nil {
		o.Note = func(string, ...any) {}
	}
	switch {
	case o.Brokers < 0 || o.Controllers < 0:
		return o, fmt.Errorf("a cluster of %d brokers and %d controllers cannot be", o.Brokers, o.Controllers)
	case o.CPUs < 0 || o.Memory < 0:
		return o, errors.New("limits on processors and memory are above zero, or not given")
	case o.Dir == "":
		return o, errors.New("a cluster in containers needs a folder for its logs")
	case o.Keep && o.ProxyClients:
		return o, errors.New("a cluster that is kept cannot have proxies, which end with kbench")
	}
	var err error
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return o, fmt.Errorf("folder %s: %w", o.Dir, err)
	}
	return o, kraft.CheckConfig(o.Config)
}

// Available says why no cluster can be started with the options, or nil. It asks for the engine, and has it pull the image
// where it does not have it.
func Available(ctx context.Context, o Options) error {
	if o.Image == "" {
		o.Image = DefaultImage
	}
	if o.Note == nil {
		o.Note = func(string, ...any) {}
	}
	e, err := connect(ctx)
	if err != nil {
		return err
	}
	_, err = e.haveImage(ctx, o.Image, o.Note)
	return errors.Join(err, e.close())
}
