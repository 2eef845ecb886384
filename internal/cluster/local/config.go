package local

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

const (
	firstBroker     = 1
	firstController = 1001
)

// Defaults are the settings that a local cluster is given where they differ from Kafka's own. All are for speed or
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

// wiring are the settings that tie the nodes together; they are a local cluster's own.
var wiring = []string{
	"advertised.listeners", "cluster.id", "controller.listener.names", "controller.quorum.bootstrap.servers",
	"controller.quorum.voters", "inter.broker.listener.name", "listener.security.protocol.map", "listeners", "log.dir",
	"log.dirs", "metadata.log.dir", "node.id", "process.roles", "security.inter.broker.protocol",
}

func checkConfig(config map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(config)) {
		if slices.Contains(wiring, name) {
			return fmt.Errorf("a local cluster sets %s itself", name)
		}
	}
	return nil
}

// settings every node is given: the defaults, and over them what the caller wants.
func (o Options) settings() map[string]string {
	all := Defaults(o.Brokers)
	maps.Copy(all, o.Config)
	return all
}

// address of one node. Brokers listen twice, so that what happens to clients' connections does not happen to peers'.
type address struct {
	client   string // brokers: where the listener for clients is bound
	internal string // brokers: peers, and whoever is to go past the proxies
	public   string // brokers: what clients are told, client or a proxy's
	control  string // controllers
}

// nodeSettings are the whole configuration of one node.
func nodeSettings(id int32, addrs map[int32]address, shared map[string]string, logDir string) map[string]string {
	s := maps.Clone(shared)
	s["node.id"] = strconv.Itoa(int(id))
	s["log.dirs"] = logDir
	s["controller.listener.names"] = "CONTROLLER"
	s["controller.quorum.voters"] = voters(addrs)
	s["listener.security.protocol.map"] = "CLIENT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT"
	a := addrs[id]
	if id >= firstController {
		s["process.roles"] = "controller"
		s["listeners"] = "CONTROLLER://" + a.control
		return s
	}
	s["process.roles"] = "broker"
	s["inter.broker.listener.name"] = "INTERNAL"
	s["listeners"] = "CLIENT://" + a.client + ",INTERNAL://" + a.internal
	s["advertised.listeners"] = "CLIENT://" + a.public + ",INTERNAL://" + a.internal
	return s
}

func voters(addrs map[int32]address) string {
	var list []string
	for _, id := range slices.Sorted(maps.Keys(addrs)) {
		if id >= firstController {
			list = append(list, fmt.Sprintf("%d@%s", id, addrs[id].control))
		}
	}
	return strings.Join(list, ",")
}

// writeProperties writes a file that java.util.Properties reads, sorted by name.
func writeProperties(path string, settings map[string]string) error {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&text, "%s=%s\n", escape(name, " =:#!"), escape(settings[name], ""))
	}
	return os.WriteFile(path, []byte(text.String()), 0o644)
}

// escape writes what java.util.Properties would read otherwise: backslashes, leading blanks, the special characters, and
// all but printable ASCII as \uXXXX in UTF-16.
func escape(s, special string) string {
	var out strings.Builder
	for i, r := range s {
		switch {
		case r == '\\' || strings.ContainsRune(special, r) || i == 0 && r == ' ':
			out.WriteString("\\" + string(r))
		case r < ' ' || r > '~':
			for _, unit := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(&out, "\\u%04x", unit)
			}
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}

// logConfig has log4j write to the standard output, which a node's log file takes together with what the JVM says.
const logConfig = `status = warn
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = [%d] %p %m (%c)%n
rootLogger.level = info
rootLogger.appenderRef.out.ref = out
`

func writeLogConfig(dir string) (string, error) {
	path := filepath.Join(dir, "log4j2.properties")
	return path, os.WriteFile(path, []byte(logConfig), 0o644)
}
