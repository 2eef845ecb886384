package main

import (
	"fmt"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/kbench/kbench/internal/cluster/docker"
	"github.com/kbench/kbench/scenarios"
)

// containers is what a cluster in containers is made of.
type containers struct {
	image   string
	cpus    float64
	memory  string // as the user writes it
	janitor []string
}

// add gives a command the flags that say so.
func (l *containers) add(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&l.image, "image", docker.DefaultImage, "image of a cluster in containers, configured as apache/kafka is")
	flags.Float64Var(&l.cpus, "broker-cpus", 0, "processors that each broker in a container may use (0: no limit)")
	flags.StringVar(&l.memory, "broker-memory", "", "memory that each broker in a container may use, such as 2GiB (none: no limit)")
}

// bytes of memory that a broker may use.
func (l *containers) bytes() (int64, error) {
	if l.memory == "" {
		return 0, nil
	}
	n, err := humanize.ParseBytes(l.memory)
	if err != nil {
		return 0, fmt.Errorf("--broker-memory: expected a size such as 2GiB, found %q", l.memory)
	}
	return int64(n), nil
}

// dockerOptions are those of a cluster in containers for a scenario.
func (f *fleet) dockerOptions(s scenarios.Scenario) docker.Options {
	memory, _ := f.limits.bytes() // checked before anything began
	return docker.Options{
		Brokers: s.Cluster.Brokers, Controllers: s.Cluster.Controllers, Config: s.NodeConfig(),
		Image: f.limits.image, CPUs: f.limits.cpus, Memory: memory,
		Heap: s.Cluster.Heap, JVM: s.Cluster.JVM, Steady: f.steady,
		Dir: f.logsDir(), ProxyClients: needsProxy(s), Janitor: f.limits.janitor, Note: f.note,
	}
}

// janitorCommand is a child process that waits for kbench to end, whichever way, and removes its containers.
func (a *app) janitorCommand() *cobra.Command {
	return &cobra.Command{
		Use: "janitor RUN", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return docker.Janitor(a.in, args[0]) },
	}
}
