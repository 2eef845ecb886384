package kraft

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Defaults are the settings that a cluster is given where they differ from Kafka's own. All are for speed or
// size on one machine, or follow from the number of brokers; none changes what Kafka promises.
func Defaults(brokers int) map[string]string {
	replicas := strconv.Itoa(min(3, brokers))
	minISR := strconv.Itoa(min(2, brokers))
	return map[string]string{
		"auto.create.topics.enable":        "false",
		"group.initial.rebalance.delay.ms": "0",
		"log.cleaner.dedupe.buffer.size":   "8388608", // of 128 MiB, a quarter of a test broker's heap

		"offsets.topic.replication.factor":                 replicas,
		"offsets.topic.num.partitions":                     "4",
		"transaction.state.log.replication.factor":         replicas,
		"transaction.state.log.min.isr":                    minISR,
		"transaction.state.log.num.partitions":             "4",
		"share.coordinator.state.topic.replication.factor": replicas,
		"share.coordinator.state.topic.min.isr":            minISR,
		"share.coordinator.state.topic.num.partitions":     "4",
	}
}

// wiring are the settings that tie the nodes together; they are kbench's own.
var wiring = []string{
	"advertised.listeners", "cluster.id", "controller.listener.names", "controller.quorum.bootstrap.servers",
	"controller.quorum.voters", "inter.broker.listener.name", "listener.security.protocol.map", "listeners", "log.dir",
	"log.dirs", "metadata.log.dir", "node.id", "process.roles", "security.inter.broker.protocol",
}

// CheckConfig refuses settings that kbench must set itself.
func CheckConfig(config map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(config)) {
		if slices.Contains(wiring, name) {
			return fmt.Errorf("kbench sets %s itself", name)
		}
	}
	return nil
}

// Settings every node is given: the defaults, and over them what the caller wants.
func Settings(brokers int, config map[string]string) map[string]string {
	all := Defaults(brokers)
	maps.Copy(all, config)
	return all
}

// Voters is the list of the controllers, of their addresses by id, as controller.quorum.voters wants it.
func Voters(controllers map[int32]string) string {
	var list []string
	for _, id := range slices.Sorted(maps.Keys(controllers)) {
		list = append(list, fmt.Sprintf("%d@%s", id, controllers[id]))
	}
	return strings.Join(list, ",")
}
