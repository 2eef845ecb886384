package local

import (
	"maps"
	"os"
	"path/filepath"
	"strconv"

	"github.com/kbench/kbench/internal/cluster/kraft"
)

// settings every node is given: the defaults, and over them what the caller wants.
func (o Options) settings() map[string]string {
	return kraft.Settings(o.Brokers, o.Config)
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
	s["controller.quorum.voters"] = kraft.Voters(controllers(addrs))
	s["listener.security.protocol.map"] = "CLIENT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT"
	a := addrs[id]
	if kraft.IsController(id) {
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

// controllers' addresses.
func controllers(addrs map[int32]address) map[int32]string {
	list := map[int32]string{}
	for id, a := range addrs {
		if kraft.IsController(id) {
			list[id] = a.control
		}
	}
	return list
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
