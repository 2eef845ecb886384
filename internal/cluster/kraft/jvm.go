package kraft

import (
	"slices"
	"strings"
)

// KafkaJVM are the performance flags of Kafka's own start script (kafka-run-class.sh).
func KafkaJVM() []string {
	return []string{"-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent"}
}

// QuickJVM makes nodes start faster and serve slower: only the first compiler is used. It is wrong for throughput.
func QuickJVM() []string { return []string{"-XX:TieredStopAtLevel=1"} }

// ControllerHeap is enough for a controller.
const ControllerHeap = "256m"

// JVM are the flags of a node: its heap, Kafka's own, QuickJVM unless it is to be steady, and what the caller wants more,
// last, so that it wins. A choice of collector there replaces Kafka's.
func JVM(heap string, steady bool, more []string) []string {
	base := KafkaJVM()
	if slices.ContainsFunc(more, choosesCollector) {
		base = slices.DeleteFunc(base, choosesCollector)
	}
	if !steady {
		base = append(base, QuickJVM()...)
	}
	return slices.Concat([]string{"-Xms" + heap, "-Xmx" + heap}, base, more)
}

// choosesCollector: two such flags on one command line are an error to the JVM.
func choosesCollector(flag string) bool {
	return strings.HasPrefix(flag, "-XX:+Use") && strings.HasSuffix(flag, "GC")
}
