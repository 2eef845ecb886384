// Package check is the judge: it reads a recorded history and says whether the promise held, by what evidence, and where
// it broke. It runs after the fact, from the run directory alone.
//
// A reader finds: the types of the answer here, the table that decides in decide.go, the way of a judgement in judge.go,
// what the first pass learns in ledger.go, one family of anomalies a file, and what a run must show before it may be said
// to hold in evidence.go.
package check

// Verdict on a guarantee. The zero value is Inconclusive, so that whatever was forgotten never holds.
type Verdict uint8

const (
	Inconclusive Verdict = iota
	Holds
	Violated
	Unjudged // no guarantee was claimed
)

func (v Verdict) String() string {
	switch v {
	case Holds:
		return "holds"
	case Violated:
		return "violated"
	case Unjudged:
		return "unjudged"
	default:
		return "inconclusive"
	}
}

// Judgement is all that the judge has to say about one history.
type Judgement struct {
	Guarantee  string // "": none was claimed
	Expected   string // "holds" or "violated", "" without a guarantee
	Verdict    Verdict
	AsExpected bool
	Scope      string   // what was exercised, and what is not excluded
	Reasons    []string // why it is not simply so: what decides, what is missing
	Counts     Counts
	Findings   []Finding        // anomalies that were found, those that decide first
	Faults     []FaultJudgement // one for each fault of the run, in its order
	AtRisk     *uint64          // records that some fault could have hurt, each counted once; nil: unknown
	Warnings   []string
}

// Counts of logical records, warm-up included. A resend is the same record.
type Counts struct {
	Sent, Acked, Indeterminate, Failed uint64
	Read                               uint64 // that any poll or final read returned
	Lost                               uint64 // lost-write and unseen
	Duplicated                         uint64 // values at two offsets, and inputs with two outputs
}

// Finding is one anomaly that was found.
type Finding struct {
	Anomaly   string
	Decides   bool   // against the guarantee, or without one: it is more than information
	Count     uint64 // instances: a lost value, a duplicated value, an offset in conflict, a pair of polls
	Checked   uint64 // among how many it was looked for
	Witnesses []Witness
	Brokers   []string // of lost records: what the brokers' logs had of all of them, a line each
}

// Witness is one place where an anomaly can be looked up.
type Witness struct {
	Partition string // "orders/0", "" where unknown
	Offset    *int64 // nil: unknown
	Value     string // client/session/seq
	At        *int64 // ns on the run's clock, nil: unknown
	During    string // the fault in whose window it falls, "" for none
	Detail    string // one line: what contradicts what

	// Operations that together are the contradiction, in order of time: a send stands where it was made, anything else
	// where it was done.
	Operations []Operation
	Brokers    []string // of a lost record: what each broker's log had of it, a line each

	about about
}

// Operation is one line of the story that a witness tells.
type Operation struct {
	Op     string // a history's word for it; of a fault: fault, evidence (what the cluster showed), healed
	Client string // "" for none
	Call   *int64 // ns on the run's clock, nil: unknown
	At     *int64 // when it returned; of a fault, when it began, showed or was healed
	Fault  *int   // of a fault: its place in Judgement.Faults
	Text   string // what was done
	Result string // what came of it, "" for nothing to tell
}

// FaultJudgement is what one fault put to the test.
type FaultJudgement struct {
	Name, Target string
	From, To     int64    // its window, ns on the run's clock
	Healed       bool     // at To; else it lasted until the end of the load
	Bit          *bool    // nil: a hand-written history cannot tell
	Evidence     []string // what the cluster or the system showed
	AtRisk       *uint64  // records in flight, or in a reader's hands, while it lasted; nil: unknown
	LossRate95   *float64 // the least rate of loss among them that would have been seen with 95% confidence
	Protection   []string // signs in the history that the promise was defended
}
