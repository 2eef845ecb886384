// Package cluster brings a Kafka cluster up, or finds one, and gives hold of what can be hurt about it.
package cluster

import (
	"context"
	"time"

	"github.com/kbench/kbench/internal/rundir"
)

// Info is what a report says about a cluster.
type Info struct {
	Kind      string `json:"kind"` // local, docker, embedded, external
	Simulated bool   `json:"simulated"`
	Software  string `json:"software"`
	Version   string `json:"version"` // "" where the cluster does not tell
	Mode      string `json:"mode"`    // kraft, zookeeper, "" where unknown
	Brokers   int    `json:"brokers"`

	Containers *rundir.Containers `json:"containers,omitempty"` // nil where nodes are none
}

// Cluster is a running cluster. What else it can do is found by type assertion: Process, AnswerFilter.
type Cluster interface {
	Info() Info
	// Bootstrap addresses for clients.
	Bootstrap() []string
	// Brokers are the ids of the brokers, dead ones included.
	Brokers() []int32
	// Healthy waits until every broker is up and registered, or says what is missing.
	Healthy(context.Context) error
	// Close stops what was started; it may be called twice.
	Close() error
}

// ProcessState is a node's process as the operating system shows it, never as it was last commanded.
type ProcessState struct {
	Pid     int
	State   string // "running", "paused", "dead"
	Started time.Time
}

// Process is the ability to hurt nodes (brokers, and controllers by their ids). Each call returns once the system
// shows the new state: Kill and Stop when the process is reaped, Pause when every thread is stopped, Start when the
// process runs (not yet when it serves).
type Process interface {
	Kill(ctx context.Context, node int32) error   // SIGKILL
	Stop(ctx context.Context, node int32) error   // SIGTERM: a controlled shutdown
	Pause(ctx context.Context, node int32) error  // SIGSTOP
	Resume(ctx context.Context, node int32) error // SIGCONT
	Start(ctx context.Context, node int32) error  // after Kill or Stop
	State(node int32) (ProcessState, error)
	// Controllers are the ids of the controllers.
	Controllers() []int32
}

// Owner is the ability to name the processes of the nodes that live now, by the nodes' ids. It asks nobody, and is cheap.
type Owner interface{ Processes() map[int32]int }

// PeerLink is the ability to cut a node from its peers and from the controllers, and they from it, while clients still reach
// it. Each call returns once the system shows the new state.
type PeerLink interface {
	CutPeers(ctx context.Context, node int32) error
	JoinPeers(ctx context.Context, node int32) error
	PeersCut(node int32) (bool, error)
}

// Teller is the ability to ask one broker, and no other, who leads a partition.
type Teller interface {
	LeaderBy(ctx context.Context, broker int32, topic string, partition int32) (leader, epoch int32, err error)
}

// Refusal is how an AnswerFilter treats a Produce request.
type Refusal uint8

const (
	// CutAnswer lets the request reach the broker, which appends, and withholds its answer.
	CutAnswer Refusal = iota + 1
	// RefuseRequest keeps the request from the broker and answers it with a retriable error.
	RefuseRequest
)

// AnswerFilter is the ability to stand between clients and brokers and to treat chosen Produce requests.
// Fetches by the judge and peers' traffic do not pass it.
type AnswerFilter interface {
	// Filter treats the next n Produce requests (n<0: all until Unfilter) that reach any of the brokers and carry
	// records for the topic.
	Filter(r Refusal, topic string, n int) error
	// Unfilter ends it, and what DelayEndTxn has begun, and closes the connections that have unanswered requests, so
	// that clients notice.
	Unfilter() error
	// Filtered is how many requests have been treated since the cluster began: Produce requests, and EndTxn requests
	// that were delivered late.
	Filtered() int
}

// EndTxnDelayer is the ability to hold back the end of a transaction on its way to the coordinator, as a network can.
type EndTxnDelayer interface {
	// DelayEndTxn takes the next n EndTxn requests (n<0: all until Unfilter) of the transactional id, on the cluster,
	// while they are under way, and ends their connections towards the client, which asks again on another one. Each is
	// delivered once the brokers have acknowledged after records of the producer's next transaction.
	DelayEndTxn(transactionalID string, after, n int) error
}

// Detacher is the ability of a simulated cluster to take a broker away from its clients: its port closes, their
// connections break and other brokers lead its partitions at once. No process dies and no record is lost, so a fault
// made of it is to be called simulated.
type Detacher interface {
	Detach(ctx context.Context, broker int32) error
	Attach(ctx context.Context, broker int32) error
	Attached(broker int32) bool
}

// Freezer is the ability of a simulated cluster to let a broker stand still: it neither reads nor answers, while its port takes
// connections and its sockets take what fits, as those of a process that was stopped by SIGSTOP do. No process is, so a
// fault made of it is to be called simulated.
type Freezer interface {
	Freeze(ctx context.Context, broker int32) error
	Thaw(ctx context.Context, broker int32) error
	Frozen(broker int32) bool
}

// Limited is implemented by clusters that cannot show everything; each line of Cannot says one thing that they do not.
type Limited interface{ Cannot() []string }

// Direct is the ability to be reached past the proxies that clients are sent through. Whoever is answered here stays
// past them: the addresses that these listeners advertise are the brokers' own.
type Direct interface{ Direct() []string }

// Logs is the ability to look into what brokers have on disk.
type Logs interface {
	// LogDir is the folder of a broker's logs: one folder a partition, called topic-number, with its segments. Others than
	// the partitions that are named need not be there; with none named all are.
	LogDir(broker int32, partitions ...string) (string, error)
	// ServerLog is the file of what a broker says about itself, each line with its wall clock time in square brackets
	// first: [2006-01-02 15:04:05,000]. A line that begins with LogTorn tells that some of it is missing.
	ServerLog(broker int32) (string, error)
}

// LogTorn begins a line in a broker's log that kbench has written, since it could not follow what the broker said.
const LogTorn = "kbench: what follows is missing"

// Made is implemented by clusters that kbench started, and tells with what: the settings every node was given, by
// Kafka's names, and the flags of a broker's JVM.
type Made interface {
	Settings() map[string]string
	JVM() []string
}
