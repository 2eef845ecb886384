// Package reports says what a run found: the result document (JSON, version 1), the text summary, and the exit code.
// It reads a run's meta data, its judgement and its figures, and computes nothing that is not in them.
package reports

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/kbench/kbench/internal/stats"
)

// Document is the result document, version 1. Its schema is result.schema.json. What is not known is null.
// Times are from the start of the measured part; those before it are negative.
type Document struct {
	Version     int               `json:"kbench_result"` // 1
	Scenario    string            `json:"scenario"`
	Cell        map[string]string `json:"cell"`
	Repeat      int               `json:"repeat"`
	Seed        int64             `json:"seed"`
	AsExpected  bool              `json:"as_expected"`
	ExitCode    int               `json:"exit_code"`
	Verdict     string            `json:"verdict"` // holds, violated, inconclusive, unjudged
	Guarantee   Guarantee         `json:"guarantee"`
	Cluster     Cluster           `json:"cluster"`
	Client      Client            `json:"client"`
	Machine     Machine           `json:"machine"`
	Counts      Counts            `json:"counts"`
	Findings    []Finding         `json:"findings"`
	Faults      []Fault           `json:"faults"`
	Sensitivity Sensitivity       `json:"sensitivity"`
	Latency     Latencies         `json:"latency"`
	Lag         Lag               `json:"lag"`
	Groups      []Group           `json:"groups"`  // of consumers and processors
	Topics      []Topic           `json:"topics"`  // of the load
	Backlog     *Backlog          `json:"backlog"` // null: there was none
	Throughput  Throughput        `json:"throughput"`
	Stages      []Stage           `json:"stages"`    // where a record waited, in order of its way; empty: the client's library did not tell
	Resources   *Resources        `json:"resources"` // null: nobody looked
	Thresholds  []Threshold       `json:"thresholds"`
	Warnings    []string          `json:"warnings"`
}

// Judged is the part of a Document that `kbench check --json` prints, of any history.
type Judged struct {
	Verdict     string        `json:"verdict"`
	Guarantee   Guarantee     `json:"guarantee"`
	Counts      Counts        `json:"counts"`
	Findings    []Finding     `json:"findings"`
	Faults      []JudgedFault `json:"faults"`
	Sensitivity Sensitivity   `json:"sensitivity"`
	Warnings    []string      `json:"warnings"`
}

// Results is the document of several runs.
type Results struct {
	Version   int        `json:"kbench_results"` // 1
	Results   []Document `json:"results"`
	Scenarios []Repeats  `json:"scenarios"` // the runs of each scenario and cell, taken together
	Rankings  []Ranking  `json:"rankings"`  // of each scenario with a matrix: its cells compared
	ExitCode  int        `json:"exit_code"`
}

// Repeats are the runs of one scenario and cell.
type Repeats struct {
	Scenario    string            `json:"scenario"`
	Cell        map[string]string `json:"cell"`
	Runs        int               `json:"runs"`
	AsExpected  int               `json:"as_expected"`
	Judged      int               `json:"judged"`      // that came to a verdict on faults
	Sensitivity Sensitivity       `json:"sensitivity"` // over those
}

// Sensitivity says how rare a loss would have been seen: of so many records that some fault could have hurt, each counted
// once, the least rate of loss that would have shown with 95% confidence.
type Sensitivity struct {
	AtRisk         *uint64  `json:"at_risk"`
	LossRateSeen95 *float64 `json:"loss_rate_seen_95"`
}

// Guarantee that the run was judged by, null where it was only measured.
type Guarantee struct {
	Name     *string  `json:"name"`
	Expected *string  `json:"expected"` // holds, violated
	Verdict  string   `json:"verdict"`
	Scope    string   `json:"scope"` // what was exercised, and what is not excluded
	Reasons  []string `json:"reasons"`
}

// Cluster that was measured.
type Cluster struct {
	Kind      string            `json:"kind"`
	Simulated bool              `json:"simulated"`
	Software  *string           `json:"software"`
	Version   *string           `json:"version"`
	Mode      *string           `json:"mode"`
	Brokers   *int              `json:"brokers"`
	Effective map[string]string `json:"effective"`

	Containers *Containers `json:"containers"` // null where nodes are none
}

// Containers is what nodes in containers are made of, and what each broker may use.
type Containers struct {
	Image        string   `json:"image"`
	ImageID      *string  `json:"image_id"`
	BrokerCPUs   *float64 `json:"broker_cpus"`         // null: no limit
	BrokerMemory *int64   `json:"broker_memory_bytes"` // likewise
}

// Client library under test and its settings; Reader is the library that read for the judge.
type Client struct {
	Driver    string            `json:"driver"`
	Version   *string           `json:"version"`
	Asked     map[string]string `json:"asked"`     // Kafka's names
	Effective map[string]string `json:"effective"` // the library's names
	Reader    *string           `json:"reader"`
}

// Machine that the load ran on.
type Machine struct {
	CPUs      *int    `json:"cpus"`
	MemoryMiB *int64  `json:"memory_mib"`
	Kernel    *string `json:"kernel"`
}

// Counts of records over the whole run, warm-up included.
type Counts struct {
	Sent          *uint64 `json:"sent"`
	Acked         *uint64 `json:"acked"`
	Indeterminate *uint64 `json:"indeterminate"`
	Failed        *uint64 `json:"failed"`
	Read          *uint64 `json:"read"`
	Lost          *uint64 `json:"lost"`
	Duplicated    *uint64 `json:"duplicated"`
}

// Finding is one anomaly that was looked for; Decides says whether it decides against the guarantee.
type Finding struct {
	Anomaly   string    `json:"anomaly"`
	Decides   bool      `json:"decides"`
	Count     uint64    `json:"count"`
	Checked   uint64    `json:"checked"`
	Witnesses []Witness `json:"witnesses"`
	Brokers   []string  `json:"brokers"` // of lost records: what the brokers' logs had of all of them
}

// Witness is one place where an anomaly can be looked up.
type Witness struct {
	Partition string `json:"partition"`
	Offset    *int64 `json:"offset"`
	Value     string `json:"value"`
	AtMs      *int64 `json:"at_ms"`
	During    string `json:"during"` // the fault in whose window it falls, "" for none
	Detail    string `json:"detail"` // what is wrong there

	// The few operations that together are the contradiction: sends in order of their calls, anything else of its end.
	Operations []Operation `json:"operations"`
	Brokers    []string    `json:"brokers"` // of a lost record: what each broker's log had of it
}

// Operation is one line of what a witness tells.
type Operation struct {
	AtMs   *float64 `json:"at_ms"`   // its end; of a fault, when it began, showed or was healed
	CallMs *float64 `json:"call_ms"` // its call
	Client string   `json:"client"`  // "" for none
	Op     string   `json:"op"`      // as in a history; of a fault: fault, evidence, healed
	Fault  *int     `json:"fault"`   // of a fault: its index in the document's faults
	Text   string   `json:"text"`
	Result string   `json:"result"` // what came of it, "" for nothing to tell
}

// Fault as it happened, what showed that it bit, and what it cost.
type Fault struct {
	Name           string   `json:"name"`
	Target         string   `json:"target"`
	AtMs           int64    `json:"at_ms"`
	HealedMs       *int64   `json:"healed_ms"`
	Bit            bool     `json:"bit"`
	Evidence       []string `json:"evidence"`
	UnavailableMs  *int64   `json:"unavailable_ms"`
	RecoveredMs    *int64   `json:"recovered_ms"` // after the injection
	AtRisk         *uint64  `json:"at_risk"`
	LossRateSeen95 *float64 `json:"loss_rate_seen_95"`

	Protection []string `json:"protection"` // signs that the promise was defended

	// For the text: what went wrong with the fault, and what is behind the figures.
	Problem string       `json:"-"`
	Outage  stats.Outage `json:"-"`
}

// JudgedFault is what a judgement alone can say of a fault.
type JudgedFault struct {
	Name           string   `json:"name"`
	Target         string   `json:"target"`
	AtMs           int64    `json:"at_ms"`
	HealedMs       *int64   `json:"healed_ms"`
	Bit            *bool    `json:"bit"` // null: the history cannot tell
	Evidence       []string `json:"evidence"`
	Protection     []string `json:"protection"`
	AtRisk         *uint64  `json:"at_risk"`
	LossRateSeen95 *float64 `json:"loss_rate_seen_95"`
}

// Latencies of the measured part, and of the records intended before, during and after each fault.
type Latencies struct {
	Ack      Latency `json:"ack"`
	EndToEnd Latency `json:"end_to_end"`
	Phases   []Phase `json:"phases"`
}

// Latency from the intended start (response) and from the actual one (service).
type Latency struct {
	Response Quantiles `json:"response"`
	Service  Quantiles `json:"service"`
}

// Quantiles of a latency in microseconds, null where Count is 0.
type Quantiles struct {
	P50   *int64 `json:"p50_us"`
	P90   *int64 `json:"p90_us"`
	P95   *int64 `json:"p95_us"`
	P99   *int64 `json:"p99_us"`
	P999  *int64 `json:"p999_us"`
	P9999 *int64 `json:"p9999_us"`
	Max   *int64 `json:"max_us"`
	Count uint64 `json:"count"`
}

// Phase is one part of the run as seen from one fault, an index in Document.Faults.
type Phase struct {
	Phase    string  `json:"phase"` // before, during, after
	Fault    int     `json:"fault"`
	Ack      Latency `json:"ack"`
	EndToEnd Latency `json:"end_to_end"`
}

// Lag of the load behind its schedule, and whose doing it was: Held is the part in which the client or the cluster held the
// sender up, Own the part that the machine which makes the load is to blame for. All is null where there was no schedule.
type Lag struct {
	All         Quantiles `json:"all"`
	Held        Quantiles `json:"held"`
	Own         Quantiles `json:"own"`
	LateAfterUs int64     `json:"late_after_us"` // the lag from which a record counts as late
	Late        *uint64   `json:"late"`
	LateHeld    *uint64   `json:"late_held"` // by Held alone
	LateOwn     *uint64   `json:"late_own"`  // by Own alone

	// Whether the load's own lateness moved a quantile of response by more than 5%, and what response would have been without.
	GeneratorLate      *bool     `json:"generator_late"`
	ResponseWithoutOwn Quantiles `json:"response_without_own"`
}

// Throughput of the measured part.
type Throughput struct {
	OfferedPerS  *float64 `json:"offered_per_s"`
	AckedPerS    *float64 `json:"acked_per_s"`
	AckedMiBPerS *float64 `json:"acked_mib_per_s"`
	ReadPerS     *float64 `json:"read_per_s"`
	Compression  *float64 `json:"compression_ratio"` // keys and values to bytes on the wire
	LimitedBy    *string  `json:"limited_by"`        // rate, broker, client
	Evidence     []string `json:"limited_by_evidence"`
}

// Threshold is an objective and whether it was met; one whose figure is not known was not.
type Threshold struct {
	Expr  string   `json:"expr"`
	Value *float64 `json:"value"` // in the unit of Expr
	OK    bool     `json:"ok"`
}

// Several joins the documents of several runs, and what comparing them says.
func Several(docs []Document, rankings ...Ranking) Results {
	codes := make([]int, len(docs))
	for i, d := range docs {
		codes[i] = d.ExitCode
	}
	return Results{Version: 1, Results: orEmpty(docs), Scenarios: repeats(docs), Rankings: orEmpty(rankings), ExitCode: CombinedExit(codes)}
}

// WriteJSON writes one document, indented: a Document, Judged or Results.
func WriteJSON(w io.Writer, document any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(document); err != nil {
		return fmt.Errorf("write the result document: %w", err)
	}
	return nil
}

// orEmpty keeps lists from being null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func orEmptyMap(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// known is nil for the zero value, which stands for what is not known.
func known[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}
