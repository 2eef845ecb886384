package docker

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/kbench/kbench/internal/cluster/kraft"
)

// plan is what a cluster is made by. It is kept with the cluster, so that another process can take it over.
type plan struct {
	Run       string            `json:"run"` // names the cluster, in the labels of all that belongs to it
	ClusterID string            `json:"cluster_id"`
	Image     string            `json:"image"`
	ImageID   string            `json:"image_id"`
	Config    map[string]string `json:"config"` // of every node
	Heap      string            `json:"heap"`
	Flags     []string          `json:"jvm"` // the caller's
	Steady    bool              `json:"steady"`
	CPUs      float64           `json:"cpus"`
	Memory    int64             `json:"memory"`
	Keep      bool              `json:"keep"`
	Places    map[int32]place   `json:"places"`
}

// place is where a node is found.
type place struct {
	Client int        `json:"client,omitempty"` // brokers: the published port of the listener for clients
	Direct int        `json:"direct,omitempty"` // brokers: likewise, for whoever goes past the proxies
	Public string     `json:"public,omitempty"` // brokers: what clients are told
	Peers  netip.Addr `json:"peers"`            // on the peers' network
}

func newPlan(o Options) (plan, error) {
	p := plan{
		Run: newRun(), ClusterID: kraft.NewUUID(), Image: o.Image, Config: kraft.Settings(o.Brokers, o.Config),
		Heap: o.Heap, Flags: o.JVM, Steady: o.Steady, CPUs: o.CPUs, Memory: o.Memory, Keep: o.Keep, Places: map[int32]place{},
	}
	ports, err := kraft.FreePorts(2 * o.Brokers)
	if err != nil {
		return p, err
	}
	for i := range o.Brokers {
		client, direct := ports[2*i], ports[2*i+1]
		p.Places[kraft.FirstBroker+int32(i)] = place{Client: client, Direct: direct, Public: kraft.Loopback(client)}
	}
	for i := range o.Controllers {
		p.Places[kraft.FirstController+int32(i)] = place{}
	}
	return p, nil
}

func newRun() string {
	var id [4]byte
	rand.Read(id[:])
	return hex.EncodeToString(id[:])
}

// settle gives each node its address on the peers' network, which it keeps: past the few that the engine gives itself.
func (p *plan) settle(subnet netip.Prefix) {
	addr := subnet.Masked().Addr()
	for range 9 {
		addr = addr.Next()
	}
	for _, id := range slices.Sorted(maps.Keys(p.Places)) {
		addr = addr.Next()
		at := p.Places[id]
		at.Peers = addr
		p.Places[id] = at
	}
}

// planLabel holds the plan, on the peers' network.
const planLabel = "io.kbench.plan"

func (p *plan) label() (string, error) {
	text, err := json.Marshal(p)
	return string(text), err
}

func planOf(labels map[string]string) (plan, error) {
	var p plan
	if err := json.Unmarshal([]byte(labels[planLabel]), &p); err != nil {
		return p, fmt.Errorf("its plan: %w", err)
	}
	return p, nil
}

func (p *plan) container(id int32) string { return "kbench-" + p.Run + "-" + kraft.Name(id) }

// Ports that nodes listen at, each in its container.
const (
	clientPort  = 9092
	directPort  = 9094
	peersPort   = 9095
	controlPort = 9093
)

// dataDir is where a node keeps its logs: in a volume of its own.
const dataDir = "/var/lib/kafka/data"

// settings are the whole configuration of one node.
func (p *plan) settings(id int32) map[string]string {
	s := maps.Clone(p.Config)
	s["node.id"] = strconv.Itoa(int(id))
	s["log.dirs"] = dataDir
	s["controller.listener.names"] = "CONTROLLER"
	s["controller.quorum.voters"] = kraft.Voters(p.voters())
	s["listener.security.protocol.map"] = "CLIENT:PLAINTEXT,DIRECT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT"
	at := p.Places[id]
	if kraft.IsController(id) {
		s["process.roles"] = "controller"
		s["listeners"] = fmt.Sprintf("CONTROLLER://%s:%d", at.Peers, controlPort)
		return s
	}
	s["process.roles"] = "broker"
	s["inter.broker.listener.name"] = "INTERNAL"
	// At any address: a broker that starts while it is cut from its peers has none among them.
	s["listeners"] = fmt.Sprintf("CLIENT://0.0.0.0:%d,DIRECT://0.0.0.0:%d,INTERNAL://0.0.0.0:%d", clientPort, directPort, peersPort)
	s["advertised.listeners"] = fmt.Sprintf("CLIENT://%s,DIRECT://%s,INTERNAL://%s:%d", at.Public, kraft.Loopback(at.Direct), at.Peers, peersPort)
	return s
}

func (p *plan) voters() map[int32]string {
	addrs := map[int32]string{}
	for _, id := range p.Controllers() {
		addrs[id] = fmt.Sprintf("%s:%d", p.Places[id].Peers, controlPort)
	}
	return addrs
}

// variable is the name of a setting as apache/kafka's variables spell it.
func variable(setting string) string {
	return "KAFKA_" + strings.ToUpper(strings.NewReplacer(".", "_", "_", "__", "-", "___").Replace(setting))
}

// Bootstrap addresses: the brokers', or their proxies'.
func (p *plan) Bootstrap() []string {
	return p.addresses(func(at place) string { return at.Public })
}

// Direct addresses of listeners of their own, past the proxies.
func (p *plan) Direct() []string {
	return p.addresses(func(at place) string { return kraft.Loopback(at.Direct) })
}

func (p *plan) addresses(of func(place) string) []string {
	var list []string
	for _, id := range p.Brokers() {
		list = append(list, of(p.Places[id]))
	}
	return list
}

// Brokers by id, in order.
func (p *plan) Brokers() []int32 {
	return p.ids(func(id int32) bool { return !kraft.IsController(id) })
}

// Controllers by id, in order.
func (p *plan) Controllers() []int32 { return p.ids(kraft.IsController) }

func (p *plan) ids(want func(int32) bool) []int32 {
	ids := slices.Sorted(maps.Keys(p.Places))
	return slices.DeleteFunc(ids, func(id int32) bool { return !want(id) })
}

// Settings that every node was given, beside those that tie the nodes together.
func (p *plan) Settings() map[string]string { return maps.Clone(p.Config) }

// JVM flags of a broker.
func (p *plan) JVM() []string { return kraft.JVM(p.Heap, p.Steady, p.Flags) }

func (p *plan) known(id int32) error {
	if _, ok := p.Places[id]; !ok {
		return fmt.Errorf("the cluster has no node %d, only %v", id, slices.Sorted(maps.Keys(p.Places)))
	}
	return nil
}
