// Package rundir is the run directory: what lies where, and the documents in it. Running only writes it; judging and
// reporting only read it.
package rundir

// Where things lie, relative to the run directory.
const (
	MetaFile     = "run.json"      // Meta, written at the start, rewritten at each stage and at the end
	ScenarioFile = "scenario.yaml" // the cell that ran, resolved, as a scenario file that runs again
	HistoryDir   = "history"       // one log a session: p0.1.log, c0.1.log, final.1.log, …
	ClusterDir   = "cluster"       // configuration and logs of the nodes
	BrokersDir   = "brokers"       // what brokers had on disk of the run's topics, one log a look: broker-1.1.log, …
	ResultFile   = "result.json"   // the result document; derived, may be made again
	UndoFile     = "undo.json"     // faults not healed yet; gone when all are
	// SamplesFile, in samples.go: what processes used and clients waited for while the run went on
)

// FinalReader is the client that reads everything anew at the end.
const FinalReader = "final"

// Stage is how far a run came.
type Stage string

const (
	Starting    Stage = "starting"
	Warming     Stage = "warm-up"
	Measuring   Stage = "measuring"
	Draining    Stage = "draining"
	Reading     Stage = "final read"
	Complete    Stage = "complete"
	Interrupted Stage = "interrupted" // by a signal or a time limit
	Broken      Stage = "failed"      // the cluster, the machine or kbench failed; Error says how
)

// Meta is run.json. Numbers that are not known are nil.
type Meta struct {
	Version   int               `json:"kbench_run"` // 1
	Kbench    string            `json:"kbench"`     // version of the program
	RunID     string            `json:"run_id"`     // 16 hex digits: the identity in each record's head
	Scenario  string            `json:"scenario"`
	About     string            `json:"about,omitempty"`
	Twin      string            `json:"twin,omitempty"`
	Cell      map[string]string `json:"cell,omitempty"`
	Repeat    int               `json:"repeat"`
	Seed      int64             `json:"seed"`
	Guarantee string            `json:"guarantee"`
	Expect    Expect            `json:"expect"`
	Started   string            `json:"started"` // RFC 3339
	Stage     Stage             `json:"stage"`
	Error     string            `json:"error,omitempty"`

	Cluster ClusterInfo `json:"cluster"`
	Client  ClientInfo  `json:"client"`
	Machine Machine     `json:"machine"`
	Topics  []Topic     `json:"topics"`
	Load    LoadInfo    `json:"load"`
	Clock   Clock       `json:"clock"`

	Faults     []Fault           `json:"faults"`
	Workers    []Worker          `json:"workers"`
	Judged     Judged            `json:"judged"`
	FinalRead  FinalRead         `json:"final_read"`
	Looks      []Look            `json:"looks,omitempty"`       // into the brokers' logs, where the cluster allows it
	Truncated  []Truncation      `json:"truncations,omitempty"` // of the run's partitions, as the brokers told
	Thresholds []string          `json:"thresholds,omitempty"`
	Counters   map[string]uint64 `json:"counters,omitempty"` // of all producers, summed: client.Counters
	Warnings   []string          `json:"warnings,omitempty"`

	Logs []LogFile `json:"logs,omitempty"` // the history's files as they were when the run had ended
	Seal string    `json:"seal,omitempty"` // over everything above, see Save

	// Altered says why the file is not as kbench wrote it, "" where it is. Load sets it; what it goes with proves nothing.
	Altered string `json:"-"`
}

// LogFile is one file of the history as the run left it.
type LogFile struct {
	File  string `json:"file"`  // within history
	Bytes int64  `json:"bytes"` // its size
	Sum   string `json:"sum"`   // its digest, 16 hex digits: history.Digest
}

// Expect mirrors the scenario's.
type Expect struct {
	Violated  bool     `json:"violated"`
	Anomalies []string `json:"anomalies,omitempty"`
}

// ClusterInfo is what the cluster turned out to be.
type ClusterInfo struct {
	Kind      string            `json:"kind"`
	Simulated bool              `json:"simulated"`
	Software  string            `json:"software"`
	Version   string            `json:"version"`
	Mode      string            `json:"mode"`
	Brokers   int               `json:"brokers"`
	Why       string            `json:"why"`       // why this kind was taken
	Effective map[string]string `json:"effective"` // read back from the cluster before the load
	JVM       []string          `json:"jvm,omitempty"`

	Containers *Containers `json:"containers,omitempty"` // nil where nodes are none
}

// Containers is what nodes in containers are made of, and what each broker may use.
type Containers struct {
	Image        string  `json:"image"`
	ImageID      string  `json:"image_id,omitempty"`            // a name may come to mean another image
	BrokerCPUs   float64 `json:"broker_cpus,omitempty"`         // 0: no limit
	BrokerMemory int64   `json:"broker_memory_bytes,omitempty"` // likewise
}

// ClientInfo is the producers' library and settings. Asked has Kafka's names, Effective the library's; no secrets.
type ClientInfo struct {
	Driver    string            `json:"driver"`
	Version   string            `json:"version"`
	Asked     map[string]string `json:"asked"`
	Effective map[string]string `json:"effective"`
	Reader    string            `json:"reader"`
	ReaderVer string            `json:"reader_version"`
}

// Machine the load ran on.
type Machine struct {
	CPUs      int    `json:"cpus"`
	MemoryMiB int64  `json:"memory_mib"`
	Kernel    string `json:"kernel"`
}

// Topic by its logical name and its name on the cluster.
type Topic struct {
	Name       string `json:"name"`
	Physical   string `json:"physical"`
	Partitions int    `json:"partitions"`
	Compacted  bool   `json:"compacted,omitempty"`
	// Compacted: tombstones are kept for longer than the run can last, so that none may be missing that nothing replaces.
	KeepsTombstones bool   `json:"keeps_tombstones,omitempty"`
	Role            string `json:"role"` // load, input, output
}

// LoadInfo is what was to be sent.
type LoadInfo struct {
	RatePerS   *float64 `json:"rate_per_s"` // nil: as fast as possible, or by steps alone
	Max        bool     `json:"max"`
	DurationMs int64    `json:"duration_ms"`
	WarmupMs   int64    `json:"warmup_ms"`
	RecordSize int      `json:"record_size"`              // bytes of a value; where sizes vary, the largest
	Measured   bool     `json:"sizes_recorded,omitempty"` // the history has each record's size; early runs have all of one
	Batch      int      `json:"batch,omitempty"`
	Backlog    *Backlog `json:"backlog,omitempty"` // nil: there was none
}

// Backlog is what was sent while nobody read. Times are ns on the run's clock, 0 where it did not come so far.
type Backlog struct {
	Records int64 `json:"records"`       // that were to be sent
	Start   int64 `json:"start_ns"`      // the first was sent
	Built   int64 `json:"built_ns"`      // each had its end
	Read    int64 `json:"read_start_ns"` // the readers were started
}

// Clock places the run's one monotonic clock. Times below are nanoseconds on it; 0 is the start of the warm-up.
type Clock struct {
	Wall         int64 `json:"wall_ns,omitempty"` // the wall clock at 0 as of the run's beginning, since the Unix epoch; 0: unknown
	MeasureStart int64 `json:"measure_start_ns"`
	MeasureEnd   int64 `json:"measure_end_ns"` // the last intended send
	LoadEnd      int64 `json:"load_end_ns"`    // the last acknowledgement or the end of the drain
	WallStepMs   int64 `json:"wall_step_ms"`   // the farthest that the wall clock was, at any time, from where it began against the monotonic one
}

// Fault is one fault as it happened. An evidence line says what the cluster or the system showed, not what was asked.
type Fault struct {
	Name       string   `json:"name"`   // kill, pause, …
	Target     string   `json:"target"` // broker 1, consumer 0, …
	Asked      string   `json:"asked"`  // leader(orders/0)
	At         int64    `json:"at_ns"`
	Healed     *int64   `json:"healed_ns"`
	Bit        bool     `json:"bit"`
	Evidence   []string `json:"evidence"`
	EvidenceAt []int64  `json:"evidence_at_ns,omitempty"` // when each line was seen; later lines have no time of their own
	Protection []string `json:"protection,omitempty"`     // signs that the protection worked, seen while it lasted
	// Counters of all clients, by how much they grew from the injection until another fault began after the heal, or to the
	// end of the load. Clients tell them several times a second, so that what came just before may be among it.
	Counters map[string]uint64 `json:"counters,omitempty"`
	// Partitions that it could hurt, logical; empty: all.
	Partitions []string `json:"partitions,omitempty"`
	Error      string   `json:"error,omitempty"`
	Drawn      bool     `json:"drawn,omitempty"` // one of a random series
}

// Look is one look into a broker's logs on disk: when it was brought to rest, and after the final read. What was there lies in
// the log, below brokers, in the form of a history: for each partition final-read operations.
type Look struct {
	Broker     int32             `json:"broker"`
	Number     int               `json:"number"` // of this broker, from 1
	At         int64             `json:"at_ns"`
	TookMs     float64           `json:"took_ms"`
	State      string            `json:"state"` // of its process: dead, paused, running
	AfterAll   bool              `json:"after_all,omitempty"`
	ToldAll    bool              `json:"told_all,omitempty"` // after all: what it said was read, and every truncation since the run began is among Meta.Truncated
	Partitions map[string]Extent `json:"partitions"`         // logical; those that it has a replica of
	Log        LogFile           `json:"log"`
	Problems   []string          `json:"problems,omitempty"`
}

// Extent of a partition that a look covers, in offsets.
type Extent struct {
	From int64 `json:"from"` // the first that was looked at: of a long log only the newest part is
	End  int64 `json:"end"`  // the one after the last
}

// Truncation of a replica.
type Truncation struct {
	Broker    int32  `json:"broker"`
	Partition string `json:"partition"` // logical
	Offset    int64  `json:"offset"`    // what was at this one or behind it is gone
	At        int64  `json:"at_ns"`
}

// Worker is one session of one client. Its log is history/<Name>.<Session>.log.
type Worker struct {
	Name     string            `json:"name"`
	Session  int               `json:"session"`
	Role     string            `json:"role"`            // producer, consumer, processor, reader
	Group    string            `json:"group,omitempty"` // of a consumer or processor, logical
	Process  bool              `json:"process"`
	Killed   bool              `json:"killed"`             // ended by a signal: an incomplete last chunk of its log is expected
	Followed bool              `json:"followed,omitempty"` // ended by itself with an error, and was started again as the scenario asks
	Error    string            `json:"error,omitempty"`
	Counters map[string]uint64 `json:"counters,omitempty"`
}

// Judged is what the checkers need to know of the scenario.
type Judged struct {
	Processed    bool   `json:"processed"`     // the consumers handle what they read; their effects are judged
	Group        string `json:"group"`         // the consumers' group, its logical name; "": there are none
	Processors   string `json:"processors"`    // the processors' group, likewise
	Commit       string `json:"commit"`        // the consumers': after-processing, …
	SameSession  bool   `json:"same_session"`  // no producer session was replaced
	InputTopic   string `json:"input_topic"`   // read–process–write
	OutputTopic  string `json:"output_topic"`  // likewise
	Isolation    string `json:"isolation"`     // of the consumers under test, or of the processors where there are none
	Idempotent   bool   `json:"idempotent"`    // the producers are
	Acks         string `json:"acks"`          // of the producers
	Driver       string `json:"driver"`        // client library under test
	Transactions bool   `json:"transactional"` // the producers or processors use transactions
	Drained      bool   `json:"drained"`       // the groups arrived at the end; without it a record that one did not handle proves nothing

	Groups []Group `json:"groups,omitempty"` // of the consumers, the first one as above; early runs have none here
}

// Group of consumers, judged by itself.
type Group struct {
	Name      string `json:"name"` // logical
	Commit    string `json:"commit"`
	Processed bool   `json:"processed"`
	Isolation string `json:"isolation"`
	Drained   bool   `json:"drained"`
}

// Consumers are the groups of consumers, in early runs too.
func (j Judged) Consumers() []Group {
	if len(j.Groups) == 0 && j.Group != "" {
		return []Group{{Name: j.Group, Commit: j.Commit, Processed: j.Processed, Isolation: j.Isolation, Drained: j.Drained}}
	}
	return j.Groups
}

// FinalRead is the fresh reader's result: complete only if each partition's position reached its recorded end.
type FinalRead struct {
	Done     bool     `json:"done"`
	Passes   int      `json:"passes"`
	Problems []string `json:"problems,omitempty"` // ISR not full, last stable offset behind, partition short, …
	Held     []Held   `json:"held,omitempty"`     // partitions whose last stable offset did not meet the high watermark
}

// Held is a partition that an open transaction held when the final read began.
type Held struct {
	Partition     string `json:"partition"` // "orders/0"
	LastStable    int64  `json:"last_stable"`
	HighWatermark int64  `json:"high_watermark"`
	StoodMs       int64  `json:"stood_ms"` // for how long the last stable offset had been seen not to move
	LimitMs       int64  `json:"limit_ms"` // by then the coordinator has aborted every transaction; 0: unknown
}
