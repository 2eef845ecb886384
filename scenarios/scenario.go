// Package scenarios is the scenario format: reading and checking a file, the plan that it means (matrix, repeats,
// seed), what its settings promise, and the built-in scenarios.
package scenarios

import "time"

// Guarantee that a run is judged by. The empty one is measured only.
type Guarantee string

const (
	Unjudged                Guarantee = ""
	AtMostOnce              Guarantee = "at-most-once"
	AtLeastOnce             Guarantee = "at-least-once"
	ExactlyOnce             Guarantee = "exactly-once"
	ExactlyOnceTransactions Guarantee = "exactly-once-transactions"
)

// Scenario is one scenario file, checked, with its defaults filled in.
type Scenario struct {
	Name      string
	About     string
	Guarantee Guarantee
	Expect    Expect
	Twin      string   // the scenario that differs in the unsafe setting alone
	Clusters  []string // kinds of cluster that can show it: local, docker, embedded, external; filled from what it needs

	Cluster   ClusterSpec
	Topics    []Topic
	Load      Load
	Producers Producers
	Client    map[string]string // the producers' settings, Kafka's names, values in Kafka's units (bytes, ms)
	Consumers []Consumer        // groups; none: nobody reads while the load runs, and no processing is judged
	Processor *Processor
	Faults    []Fault
	Steps     []Step

	Matrix     []Axis
	Thresholds []Threshold
	Objective  Objective // what the matrix's cells are ranked by; see RankedBy
	Repeat     int
	Seed       int64 // 0: drawn, and recorded

	tree *node // as it was read, for changes and for the matrix; nil: as Marshal writes it
}

// Expect is what the run should show.
type Expect struct {
	Violated  bool
	Anomalies []string // with Violated: each must be seen
}

// ClusterSpec is the cluster that the scenario wants where kbench makes it.
type ClusterSpec struct {
	Brokers     int               // default 3
	Controllers int               // default 1, apart from the brokers
	Config      map[string]string // to brokers and controllers, and (topic-level names) to each topic
	Heap        string            // -Xmx and -Xms of a broker, default 512m
	JVM         []string          // flags for every JVM besides
}

// Topic of the load. With no topics given there is one: "orders", 6 partitions, replication 3.
type Topic struct {
	Name        string
	Partitions  int
	Replication int
	Weight      int // of its part of the load, default 1; 0: the load is not sent there
	Config      map[string]string
}

// Load is what the producers send.
type Load struct {
	Rate     float64 // records a second, shared by the producers, the mean where Shape moves it; 0 with Max false: only steps send
	Max      bool    // as fast as the client takes them
	Shape    Shape   // how the rate moves
	Duration time.Duration
	Warmup   time.Duration
	Backlog  int64 // records that are sent, and acknowledged, before any reader starts; 0: none
	Records  int64 // stop after so many in all, 0: no such end
	Record   RecordSpec
	Txn      TxnSpec
	Drain    time.Duration // how long consumers and open sends may take after the load, default 60s
}

// TxnSpec groups plain producers' sends in transactions. Size 0: none.
type TxnSpec struct {
	Size  int     // records a transaction
	Abort float64 // share of transactions that are aborted after a flush, drawn
	Every int     // instead: each so many-th transaction is aborted, 0: none
}

// AfterCrash is what a producer's application does with what its journal shows as unacknowledged.
type AfterCrash string

const (
	Skip   AfterCrash = "skip"
	Resend AfterCrash = "resend"
)

// Producers of the load.
type Producers struct {
	Count      int
	Process    bool       // each in a child process; set where a fault kills or pauses one
	AfterCrash AfterCrash // default skip
	Restart    bool       // a session that ended by itself with an error is followed by another; so too below
}

// Commit is when a consumer commits what it handles.
type Commit string

const (
	CommitAfter  Commit = "after-processing"
	CommitBefore Commit = "before-processing"
	CommitAuto   Commit = "auto"
	CommitNone   Commit = "none"
)

// Consumer is a group of readers. Workers are numbered through all groups.
type Consumer struct {
	Group     string
	Instances int
	Commit    Commit
	Handling  time.Duration // how long handling one record takes, default 0
	Batch     int           // records handled between commits, default: what a poll brings, at most 500
	Process   bool          // each instance in a child process
	Restart   bool
	Settings  map[string]string
}

// Processor reads one topic, writes another, and commits offsets with its outputs in one transaction.
type Processor struct {
	From, To      string
	Group         string // default: processor
	Instances     int
	Start         []int  // instances that start with the load, default all; the others wait for a step
	Transactional string // transactional.id; "{instance}" is replaced by the instance's number. "": no transactions
	Batch         int    // inputs a transaction
	Assignment    string // "group" or "manual" (each instance reads every partition)
	Generation    bool   // offsets carry the group's generation (KIP-447); default true
	Process       bool
	Restart       bool
	Client        map[string]string // its producer's settings
	Consumer      map[string]string // its consumer's settings
}

// Fault is injected at a time or on an event, and healed after For or at the end of the load.
type Fault struct {
	At     Trigger
	Action string // one of faults' names: kill, stop, pause, restart, rolling-restart, cut-acks, refuse-produce, delay-end-txn, …
	Target Target
	For    time.Duration // 0: until the load ends
	Count  int           // refuse-produce, cut-acks, delay-end-txn: how many requests, 0: all
	After  int           // delay-end-txn: so many records of the next transaction come before the end of this one
	Drawn  bool          // one of a random series: it waits until nobody else of its kind is hurt or still recovering
	Series *Series       // a random series instead, until a plan writes it out; nil: this one fault
	Pos    Pos
}

// Trigger is a time after the start of measuring, or a condition.
type Trigger struct {
	After time.Duration
	When  *Condition
}

// Step is one of a strict sequence. Do says which fields count.
type Step struct {
	Do     string // a fault's name, or send, wait, await, check, flush, resume, start, restore, hold, release
	Target Target
	N      int           // send, refuse-produce, cut-acks, delay-end-txn
	After  int           // delay-end-txn: as for a fault
	Open   bool          // send: a transaction that is not full stays open
	For    time.Duration // wait
	Within time.Duration // await: at most so long, default 30s
	When   *Condition    // await, check
	Point  string        // hold: where a worker is held
	As     string        // names what the target turned out to be, for later steps
	Pos    Pos
}

// Kinds of Target.
const (
	NoTarget               = ""
	Leader                 = "leader"      // Topic, Partition
	Follower               = "follower"    // Topic, Partition: one of the followers, drawn
	Followers              = "followers"   // Topic, Partition: all of them
	Broker                 = "broker"      // N, or Random
	Brokers                = "brokers"     // all: rolling-restart
	Controller             = "controller"  // the active one
	GroupCoordinator       = "coordinator" // Name: a consumer group
	TransactionCoordinator = "transaction-coordinator"
	ProducerWorker         = "producer"         // N
	ConsumerWorker         = "consumer"         // N
	ProcessorWorker        = "processor"        // N
	Killed                 = "killed"           // what steps have killed or stopped and not started again
	Paused                 = "paused"           // what steps have paused and not resumed
	Named                  = "name"             // Name, given by an earlier step's "as"
	TopicTarget            = "topic"            // Topic: cut-acks, refuse-produce, restore
	TransactionalID        = "transactional-id" // Name: delay-end-txn, restore
)

// Target names who is hurt: Kind(Args), as written leader(t/p), follower(t/p), followers(t/p), broker(N), broker(random),
// brokers, controller, coordinator(group), coordinator(transactional id), producer(N), consumer(N), processor(N),
// killed, paused, a topic's name, a transactional id, a name given by "as", "" (none).
type Target struct {
	Kind      string
	Topic     string
	Partition int
	N         int
	Random    bool
	Name      string // group or transactional id, or a name given by "as"
}

// Condition compares a figure of the run: Func(args) Op Value. A name given by "as" may stand for the value.
// Functions: acked, sent, read, isr(t/p), leader(t/p), epoch(t/p), end(t/p), committed(group, t/p), members(group),
// held(worker), processed(worker), filtered.
type Condition struct {
	Func   string
	Target Target
	Group  string
	Op     string // <, <=, =, !=, >=, >
	Value  int64
	Name   string
	Text   string // as written
}

// Axis of a matrix: a field's path and its values, as written.
type Axis struct {
	Path   string
	Values []string
}

// Threshold is an objective such as 'ack.p99 < 50ms', in the base units of Metric.
type Threshold struct {
	Metric string // ack.p99, ack.service.p99, e2e.p50, throughput, lost, unavailable, …
	Op     string
	Value  float64
	Text   string
}

// Pos is a place in the scenario's file, counted from 1.
type Pos struct{ Line, Column int }
