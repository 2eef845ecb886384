// Package client says what a client library has to offer so that kbench can drive it: a producer, optionally
// transactional, a consumer and an administrator. It is a leaf: drivers implement it, bench and faults use it.
//
// Topics, groups and transactional ids are the names on the cluster; the logical names of a scenario are
// translated before they come here.
package client

import (
	"context"
	"time"
)

// AnyPartition leaves the choice of the partition to the client's partitioner.
const AnyPartition int32 = -1

// UnknownOffset stands where no offset is known: acks=0, or a duplicate that the broker recognised.
const UnknownOffset int64 = -1

// Record is what a producer sends. Key, Value and the headers' values belong to the driver until the record's Ack came, unless
// the driver says otherwise through Copier; the list of headers itself does not.
type Record struct {
	Topic     string
	Partition int32 // AnyPartition, or a partition
	Key       []byte
	Value     []byte // nil: a tombstone
	Headers   []Header
	Stamp     int64 // its timestamp, ms since the epoch; 0: the library reads the clock for it
	Known     bool  // the Recogniser that the producer was given knows the value
}

// Timestamp is the Stamp as libraries take it, zero for none.
func (r *Record) Timestamp() time.Time {
	if r.Stamp == 0 {
		return time.Time{}
	}
	return time.UnixMilli(r.Stamp)
}

// Header of a record. A record may have several of one key.
type Header struct {
	Key   string
	Value []byte
}

// HeaderBytes is how many bytes headers have.
func HeaderBytes(headers []Header) int {
	n := 0
	for i := range headers {
		n += len(headers[i].Key) + len(headers[i].Value)
	}
	return n
}

// Slot names a record in flight; its owner chooses it and gets it back in the Ack.
type Slot uint32

// Recogniser tells from a value that was sent the slot of its record in flight, and false where there is none.
type Recogniser func(value []byte) (Slot, bool)

// Ack is what became of one record: exactly one Ack follows each Send that returned nil, except that a client
// that is closed or killed may leave records without one.
type Ack struct {
	Slot      Slot
	Partition int32 // -1: unknown
	Offset    int64 // UnknownOffset: unknown
	Err       error // nil: acknowledged without error
	Definite  bool  // with Err: the record is certainly not in the log (a definite refusal with retries off)

	// Together, of the first Ack of a call, says that the library had the broker's answers to all of the call before it made the
	// latest call of which the first was not Together: a clock that was read then need not be read again.
	Together bool
}

// Sink receives acknowledgements, as many at once as the client has at hand. One producer calls it from one goroutine at a
// time; it must not block for long. The slice is the driver's again once it returns.
type Sink func([]Ack)

// Producer sends records and reports each one's end through its Sink.
type Producer interface {
	// Send enqueues a record. It blocks while the client's buffer is full, up to max.block.ms.
	// An error means that the record was never enqueued, so that it is definitely not in the log.
	Send(*Record, Slot) error
	// Flush waits until each enqueued record has its Ack, or ctx ends.
	Flush(context.Context) error
	// Close releases the client without waiting for what is still in flight. No Ack comes after it has returned.
	Close() error
}

// Waiter is an optional ability: how many Sends have had to wait for room in the client's buffer, so that whoever sends knows
// what made a Send long. It is asked after each record: it takes no lock and allocates nothing.
type Waiter interface{ BufferWaits() uint64 }

// Copier is a Producer whose Send copies key, value and headers, so that the caller may reuse them at once.
type Copier interface{ CopiesPayload() bool }

// Counters is an optional ability: named, monotonically growing figures that explain a run, such as "retries",
// "buffer_waits", "buffer_wait_us", "batch_bytes" (before compression), "wire_bytes" (of the batches as they were sent), "fenced", "error.NOT_ENOUGH_REPLICAS". "dropped" counts what the library told and the
// driver could not pass on: it makes a run inconclusive. Safe to call at any time.
type Counters interface{ Counters() map[string]uint64 }

// Observer is an optional ability of a Producer: where records waited within the library, one span of time after another.
// Observed returns the spans that have ended since it was called before, oldest first; a library keeps a few. Safe to call
// at any time.
type Observer interface{ Observed() []Interval }

// Interval is what a producer's library says of a span of time. Times are µs.
type Interval struct {
	Ended   time.Time
	Length  time.Duration
	Records *int64 // without an Ack at its end; nil: not known
	Bytes   *int64 // of them

	Room         Spread // a record: how long Send waited for room in the buffer, 0 for most
	BatchRecords Spread // a batch of one partition
	BatchBytes   Spread // likewise
	Brokers      []BrokerInterval
}

// BrokerInterval is the connection to one broker in an Interval.
type BrokerInterval struct {
	Broker    int32
	Queue     Spread // a record: from the buffer into a request
	Outgoing  Spread // a request: until it was written to the socket
	RoundTrip Spread // a request: from then to its answer
	Throttle  Spread // an answer: for how long the broker held the client back by quota
	Out, In   *int64 // bytes on the connection; nil: not known
	Allowed   int    // requests that the library lets be unanswered at a time while it has more to send; 0: not known
}

// Spread is how many values there were and how they were spread: the least, p50, p75, p90, p95, p99, p99.99, the most.
// Count 0: there were none, or they are not known.
type Spread struct {
	Count uint64
	Sum   float64
	At    [8]float64
}

// Effective is an optional ability: the settings that the library really uses, by the library's own names.
// Secrets are not among them.
type Effective interface{ EffectiveSettings() map[string]string }

// Transactor is the optional ability of a Producer to send in transactions.
type Transactor interface {
	InitTransactions(context.Context) error
	BeginTransaction() error
	// SendOffsets adds a group's offsets to the open transaction. Metadata made by Anonymous carries no
	// generation and no member, so the broker cannot fence a zombie by it (KIP-447).
	SendOffsets(context.Context, []PartitionOffset, GroupMetadata) error
	Commit(context.Context) error
	Abort(context.Context) error
}

// Fenced is implemented by errors which say that a newer session of the same transactional id, or a newer
// generation of the group, has taken over. The session that gets it must stop.
type Fenced interface{ Fenced() bool }

// Abortable is implemented by errors which say that the open transaction can only be aborted.
type Abortable interface{ Abortable() bool }

// GroupMetadata is a consumer's membership as a transaction needs it. Native is the driver's own.
type GroupMetadata struct {
	Group      string
	Generation int32 // -1: none
	Member     string
	Native     any
}

// Anonymous is group metadata without membership: offsets sent with it are accepted from anyone.
func Anonymous(group string) GroupMetadata { return GroupMetadata{Group: group, Generation: -1} }

// Partition names a partition of a topic.
type Partition struct {
	Topic     string
	Partition int32
}

// PartitionOffset is a position in a partition: the offset of the next record to read.
type PartitionOffset struct {
	Partition
	Offset int64
}

// Fetched is one record as a consumer got it. Key, Value and Headers are valid until the next Poll.
type Fetched struct {
	Topic     string
	Partition int32
	Offset    int64
	Epoch     int32 // leader epoch, -1: unknown
	Key       []byte
	Value     []byte // nil for null
	Headers   []Header
}

// EventKind says what a Poll brought.
type EventKind uint8

const (
	// Nothing: the time-out passed.
	Nothing EventKind = iota
	// Delivery of at least one record.
	Delivery
	// Assigned partitions: the group gave them, or Assign did. An empty set is told too.
	Assigned
	// Revoked partitions, after having been worked off in order.
	Revoked
	// Lost partitions: the member was thrown out of the group before it could hand them back.
	Lost
)

// Event is the outcome of a Poll.
type Event struct {
	Kind       EventKind
	Records    []Fetched         // Delivery: in order of offset for each partition; valid until the next Poll
	Partitions []PartitionOffset // Assigned, Revoked, Lost; Assigned: the position where reading starts, -1: unknown
}

// Consumer reads records, as a member of a group or from assigned partitions.
type Consumer interface {
	Subscribe(topics []string) error
	// Assign reads just these partitions from these offsets; -1: the group's committed offset, else auto.offset.reset.
	Assign([]PartitionOffset) error
	// Poll waits up to timeout and returns at most max records. An error that the client recovers from by itself
	// is counted, not returned.
	Poll(timeout time.Duration, max int) (Event, error)
	// Commit commits the positions synchronously.
	Commit(context.Context, []PartitionOffset) error
	// Committed returns the group's committed offsets as stable ones, -1: none.
	Committed(context.Context, []Partition) ([]PartitionOffset, error)
	GroupMetadata() (GroupMetadata, error)
	Close() error
}

// Topic is a topic to create. Config has Kafka's names.
type Topic struct {
	Name        string
	Partitions  int
	Replication int
	Config      map[string]string
}

// PartitionState is a partition as the cluster's metadata shows it.
type PartitionState struct {
	Partition
	Leader   int32 // -1: offline
	Epoch    int32
	ISR      []int32
	Replicas []int32
}

// CoordinatorKind tells a group's coordinator from a transaction's.
type CoordinatorKind int8

const (
	GroupCoordinator       CoordinatorKind = 0
	TransactionCoordinator CoordinatorKind = 1
)

// GroupState is a consumer group as its coordinator describes it.
type GroupState struct {
	State   string // Stable, PreparingRebalance, Empty, …
	Members []GroupMember
}

// GroupMember is one member and what it is assigned.
type GroupMember struct {
	ID, ClientID string
	Assigned     []Partition
}

// Isolation of a reader.
type Isolation int8

const (
	ReadUncommitted Isolation = 0
	ReadCommitted   Isolation = 1
)

// Admin asks and changes the cluster. Every call asks anew; nothing is cached.
type Admin interface {
	CreateTopic(context.Context, Topic) error
	DeleteTopic(context.Context, string) error
	// Partitions of a topic in order of their numbers.
	Partitions(ctx context.Context, topic string) ([]PartitionState, error)
	// Brokers that the cluster's metadata lists now, by id, with their advertised addresses.
	Brokers(context.Context) (map[int32]string, error)
	// Controller is the id of the active controller (the quorum's leader in KRaft mode).
	Controller(context.Context) (int32, error)
	Coordinator(context.Context, CoordinatorKind, string) (int32, error)
	// TopicConfig and BrokerConfig are the effective values, defaults included.
	TopicConfig(ctx context.Context, topic string) (map[string]string, error)
	BrokerConfig(ctx context.Context, broker int32) (map[string]string, error)
	// EndOffsets is the high watermark (ReadUncommitted) or the last stable offset (ReadCommitted) of each partition.
	EndOffsets(ctx context.Context, topic string, isolation Isolation) (map[int32]int64, error)
	StartOffsets(ctx context.Context, topic string) (map[int32]int64, error)
	CommittedOffsets(ctx context.Context, group string) ([]PartitionOffset, error)
	Group(ctx context.Context, group string) (GroupState, error)
	Close() error
}

// Security is what a driver needs to reach a secured cluster, in Kafka's own property names
// (security.protocol, sasl.mechanism, sasl.jaas.config, ssl.truststore.location, …).
type Security map[string]string

// Driver opens clients of one library. Settings carry Kafka's own names; a driver translates them and refuses
// what it cannot honour. Library names of the driver's own go through unchanged where it knows them.
type Driver interface {
	Name() string    // "confluent", "franz"
	Version() string // library and, where it wraps one, the wrapped library: "confluent-kafka-go 2.15.0, librdkafka 2.15.0"
	NewProducer(bootstrap []string, settings map[string]string, sink Sink) (Producer, error)
	NewConsumer(bootstrap []string, settings map[string]string) (Consumer, error)
}

// Choosy is the optional ability of a Driver that cannot honour all settings: what it would refuse of a producer's or a consumer's,
// before any client is made.
type Choosy interface {
	RefusedOfProducer(asked map[string]string) error
	RefusedOfConsumer(asked map[string]string) error
}

// Recognising is the optional ability of a Driver whose library hands a record's value back with its report: to match the
// two by the value, where that costs less than to have the library carry a slot.
type Recognising interface {
	NewRecognisingProducer(bootstrap []string, settings map[string]string, sink Sink, of Recogniser) (Producer, error)
}
