// Package history is the record of what every client did and saw: the operation, its log format on disk
// (versioned, checksummed, compact) and the JSON Lines form that people write by hand. It is a leaf.
package history

// Kind of an operation.
type Kind uint8

const (
	Send      Kind = iota + 1
	Txn            // the end of a transaction; its outcome rules its members
	Poll           // records delivered to a consumer
	Assign         // the whole assignment of a client after a change
	Subscribe      // the whole subscription of a client after a change
	Commit         // group offsets, alone or (Txn set) within a transaction
	Process        // the effect of handling one record, or several at once
	Fault          // one fault, for the window it opens
	Ends           // recorded end offsets that a final read must reach; with Group: positions of a group when all was done
	FinalRead      // a fresh reader's records of one partition, in one or several operations
)

// Outcome of an operation. The zero value is Indeterminate: it may or may not have happened.
type Outcome uint8

const (
	Indeterminate Outcome = iota
	OK
	Failed // certainly not in the log
)

// Value is the identity of one logical record: the Seq-th record of one session of one producing client.
// Hand-written values that do not have the form client/session/seq are numbered by the reader of the file.
type Value struct {
	Producer int32 // index in the header's table of producers; negative: nobody's
	Session  int32 // of that producer, counted from 1
	Seq      int64 // of that session, counted from 0
}

// NoValue marks a record whose identity could not be read.
var NoValue = Value{Producer: -1, Session: -1, Seq: -1}

// Unknown stands for an offset, partition, epoch or generation that is not known.
const Unknown = -1

// Flags of a record that was read.
type Flags uint8

const (
	Corrupt Flags = 1 << iota // its checksum is wrong
	Foreign                   // it carries no identity of this run
)

// Record is one record as it was read.
type Record struct {
	Offset   int64
	Epoch    int32 // leader epoch, Unknown
	Flags    Flags
	Value    Value
	Intended int64 // ns on the run's clock when its sending was intended, as its head says; Unknown
}

// PartitionOffset is a position in a partition, which is an index in the header's table.
type PartitionOffset struct {
	Partition int32
	Offset    int64
}

// Op is one operation. Which fields count depends on Kind. Times are nanoseconds on the run's one monotonic clock.
// Readers reuse an Op and its slices: copy what is kept.
type Op struct {
	Kind    Kind
	Outcome Outcome
	Client  int32 // index in the history's table of clients: one session of one producer or consumer; Unknown for none

	Intended int64 // sends: when the pacer wanted it; Unknown where there was no schedule
	Held     int64 // sends: until when the client or the cluster held the sender up, where that is later than Intended; 0: did not
	Call     int64 // when it was invoked
	Return   int64 // when its outcome was known

	Txn       uint64 // the client's transaction, from 1; 0: none
	Partition int32  // index in the header's table; Unknown
	Offset    int64  // sends: where it was stored; Unknown
	Value     Value  // sends
	Attempt   int32  // sends: 1, or higher for a resend from a journal
	Open      bool   // sends: a journal line that nothing completed; its Return is the log's last, and no answer
	Size      int64  // sends: bytes of the record's value; 0: not recorded, or a tombstone
	Key       int64  // sends: the number of its key + 1, where keys matter: in a compacted topic; 0: none, or not recorded
	Tombstone bool   // sends: its value is null; compaction may take it away, with every record of its key before it

	FromPartition int32 // sends: the input that an output answers; Unknown
	FromOffset    int64

	Records    []Record          // Poll, FinalRead, Process (Process: Offset and Value)
	Partitions []int32           // Assign, Subscribe
	Offsets    []PartitionOffset // Commit, Ends

	Group      string
	Generation int32 // commits; Unknown
	Isolation  Isolation
	Pass       int32 // FinalRead: 1 or 2
	Reached    int64 // FinalRead: the reader's position, which is at least the last record's offset + 1

	Name, Target string // Fault
}

// Isolation of a read.
type Isolation uint8

const (
	IsolationUnknown Isolation = iota
	ReadUncommitted
	ReadCommitted
)

// Client is a row of the table of clients.
type Client struct {
	Name    string // "p0", "c1", "w0", "final"
	Session int32  // counted from 1; a restarted client is a new session
}

// Header opens a history.
type Header struct {
	Version    int             // 1
	Run        uint64          // identity of the run, as it stands in each record's head
	Partitions []string        // "orders/0"; an index into it stands for a partition everywhere
	Producers  []string        // names of the producers that Value.Producer points at: "p0", "w0"
	Self       Client          // on disk: whose log this is
	Clients    []Client        // once read: every session met, which Op.Client points at
	Guarantee  string          // "" : report, do not judge
	Starts     map[int32]int64 // first offset by partition, where known
	Inputs     []string        // topics that a processor reads
	Outputs    []string        // topics that a processor writes
	Compacted  []string        // topics in which holes are normal

	// Of a hand-written history: names that do not have kbench's form, see ValueName and TxnName.
	Values []string
	Txns   []string
}
