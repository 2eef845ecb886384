package main

import (
	"fmt"
	"strconv"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/kbench/kbench/internal/cluster"
	"github.com/kbench/kbench/internal/cluster/docker"
	"github.com/kbench/kbench/internal/rundir"
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

// apply refuses limits on what is no container.
func (l *containers) apply(to cluster.Kind) error {
	if to != cluster.Docker && (l.cpus != 0 || l.memory != "") {
		return fmt.Errorf("--broker-cpus and --broker-memory limit brokers in containers, and the cluster is %s: --cluster docker", to)
	}
	return nil
}

// planned is what the plan of several runs says of them.
func (l *containers) planned(kind cluster.Kind) *rundir.Containers {
	if kind != cluster.Docker {
		return nil
	}
	memory, _ := l.bytes() // checked before anything began
	return &rundir.Containers{Image: l.image, BrokerCPUs: l.cpus, BrokerMemory: memory}
}

// resume takes what a plan says of them where the command line leaves it open.
func (l *containers) resume(dir string, was *rundir.Containers) error {
	if was == nil {
		return nil
	}
	memory, err := l.bytes()
	if err != nil {
		return err
	}
	differs := func(flag string, was any) error {
		return fmt.Errorf("%s was begun with %s %v: its runs cannot be compared with others", dir, flag, was)
	}
	switch {
	case l.image != docker.DefaultImage && l.image != was.Image:
		return differs("--image", was.Image)
	case l.cpus != 0 && l.cpus != was.BrokerCPUs:
		return differs("--broker-cpus", was.BrokerCPUs)
	case memory != 0 && memory != was.BrokerMemory:
		return differs("--broker-memory", was.BrokerMemory)
	}
	l.image, l.cpus, l.memory = was.Image, was.BrokerCPUs, ""
	if was.BrokerMemory != 0 {
		l.memory = strconv.FormatInt(was.BrokerMemory, 10)
	}
	return nil
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
