package docker

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/testcontainers/testcontainers-go"

	"github.com/kbench/kbench/internal/cluster/kraft"
)

// makeNode writes a node's configuration down and makes its container, which does not run yet.
func (c *Cluster) makeNode(ctx context.Context, id int32, dir string) error {
	if err := kraft.WriteProperties(filepath.Join(dir, kraft.Name(id)+".properties"), c.settings(id)); err != nil {
		return err
	}
	if err := c.engine.makeContainer(ctx, c.request(id)); err != nil {
		return err
	}
	if kraft.IsController(id) {
		return nil
	}
	return c.connectPeers(ctx, id)
}

// request describes a node's container.
func (c *Cluster) request(id int32) testcontainers.ContainerRequest {
	labels := c.labels()
	labels[nodeLabel] = strconv.Itoa(int(id))
	r := testcontainers.ContainerRequest{
		Image: c.Image, Name: c.container(id), Labels: maps.Clone(labels), Env: c.environment(id),
		ConfigModifier: func(config *container.Config) {
			if !c.watchedByRyuk() { // else testcontainers' own labels would have it so
				config.Labels = labels
			}
		},
		HostConfigModifier: func(h *container.HostConfig) {
			h.LogConfig = container.LogConfig{Type: "json-file"} // of the drivers that can be read, the one that is always there
			h.Mounts = []mount.Mount{{
				Type: mount.TypeVolume, Source: c.container(id), Target: dataDir, VolumeOptions: &mount.VolumeOptions{Labels: c.labels()},
			}}
			if !kraft.IsController(id) {
				h.NanoCPUs, h.Memory, h.MemorySwap = int64(c.CPUs*1e9), c.Memory, c.Memory
				h.PortBindings = c.published(id)
			}
		},
	}
	if kraft.IsController(id) {
		r.Networks = []string{peersNetwork(c.Run)}
		r.EndpointSettingsModifier = func(on map[string]*network.EndpointSettings) {
			on[peersNetwork(c.Run)].IPAMConfig = c.amongPeers(id).IPAMConfig
		}
		return r
	}
	r.Networks = []string{clientsNetwork(c.Run)}
	r.ExposedPorts = []string{fmt.Sprintf("%d/tcp", clientPort), fmt.Sprintf("%d/tcp", directPort)}
	return r
}

// published are the ports of a broker on loopback. They are fixed, for a port that the engine chooses is another one after
// a kill and a start.
func (c *Cluster) published(id int32) network.PortMap {
	at := func(port int) []network.PortBinding {
		return []network.PortBinding{{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: strconv.Itoa(port)}}
	}
	p := c.Places[id]
	return network.PortMap{
		network.MustParsePort(fmt.Sprintf("%d/tcp", clientPort)): at(p.Client),
		network.MustParsePort(fmt.Sprintf("%d/tcp", directPort)): at(p.Direct),
	}
}

// environment is a node's configuration as apache/kafka takes it.
func (c *Cluster) environment(id int32) map[string]string {
	heap := c.Heap
	if kraft.IsController(id) {
		heap = kraft.ControllerHeap
	}
	flags := kraft.JVM(heap, c.Steady, c.Flags)
	const heapFlags = 2
	env := map[string]string{
		"CLUSTER_ID":                 c.ClusterID,
		"KAFKA_HEAP_OPTS":            strings.Join(flags[:heapFlags], " "),
		"KAFKA_JVM_PERFORMANCE_OPTS": strings.Join(flags[heapFlags:], " "),
		"KAFKA_OPTS":                 "-Duser.timezone=" + timezone(time.Now()),
	}
	for name, value := range c.settings(id) {
		env[variable(name)] = value
	}
	return env
}

// timezone is this machine's, as Java spells one without a name: nodes tell times of the clock, and are read by kbench.
func timezone(now time.Time) string {
	return "GMT" + now.Format("-07:00")
}
