package main

import (
	"strings"
	"testing"

	"github.com/kbench/kbench/internal/cluster"
	"github.com/kbench/kbench/internal/cluster/docker"
	"github.com/kbench/kbench/internal/rundir"
)

func TestLimitsAreForContainers(t *testing.T) {
	for name, c := range map[string]struct {
		asked containers
		kind  cluster.Kind
		ok    bool
	}{
		"none":                   {containers{image: docker.DefaultImage}, cluster.Local, true},
		"on a cluster of them":   {containers{cpus: 1, memory: "1GiB"}, cluster.Docker, true},
		"processors, of none":    {containers{cpus: 1}, cluster.Local, false},
		"memory, of a simulated": {containers{memory: "1GiB"}, cluster.Embedded, false},
	} {
		if err := c.asked.apply(c.kind); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is resumed goes on in containers of the same image, with the same limits.
func TestContainersOfAPlanThatIsGoneOnWith(t *testing.T) {
	was := &rundir.Containers{Image: "kbench/kafka:4.3.1", BrokerCPUs: 0.5, BrokerMemory: 1 << 30}
	plain := containers{image: docker.DefaultImage}
	for name, c := range map[string]struct {
		now  containers
		says string
	}{
		"nothing is said":     {plain, ""},
		"the same is said":    {containers{image: was.Image, cpus: 0.5, memory: "1GiB"}, ""},
		"another image":       {containers{image: "mine"}, "--image kbench/kafka:4.3.1"},
		"other processors":    {containers{image: docker.DefaultImage, cpus: 2}, "--broker-cpus 0.5"},
		"another memory":      {containers{image: docker.DefaultImage, memory: "2GiB"}, "--broker-memory 1073741824"},
		"a size that is none": {containers{image: docker.DefaultImage, memory: "much"}, "much"},
	} {
		err := c.now.resume("grid", was)
		if c.says != "" {
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v does not say %q", name, err, c.says)
			}
			continue
		}
		if again := c.now.planned(cluster.Docker); err != nil || *again != *was {
			t.Errorf("%s: %+v, %v", name, again, err)
		}
	}
	if err := plain.resume("grid", nil); err != nil || plain.planned(cluster.Local) != nil {
		t.Errorf("a plan without containers: %v", err)
	}
}
