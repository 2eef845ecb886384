package timing

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
	"github.com/kbench/kbench/internal/stats"
	"github.com/kbench/kbench/scenarios"
)

// What counts as agreement: a figure is off by no more than Share of what arithmetic says or, where that is little, by no more
// than Floor, since a pause is known to a few milliseconds only.
const (
	Share = 0.05
	Floor = 20 * time.Millisecond
)

// Result is one run held against the arithmetic of its pause.
type Result struct {
	Dir       string
	Scenario  string
	Cell      map[string]string
	Simulated bool

	At, Paused    time.Duration  // when the leader stood still, after the start of the measured part, and for how long
	WorkedOff     *time.Duration // how long the backlog then took, by acknowledgements (with acks=0 by deliveries)
	Due, Sent     uint64         // records by the schedule, warm-up included, and those on record
	GeneratorLate bool           // the run is marked as one whose load was late by itself
	Rows          []Row
	Problems      []string // what is wrong besides the rows
}

// Row compares one published figure.
type Row struct {
	Figure   string // "ack response", "end to end response", "ack service", "lag, held up", "longest silence"
	Quantile string // "p50", …, "max"; "acks" or "deliveries" for the longest silence

	Least              time.Duration // by the pause alone; of response
	Late               time.Duration // may be missing from it; of service: what is not served yet while the load itself is late
	Expected, Measured time.Duration
	Agrees             bool
}

// Agrees tells whether the run's timings can be trusted.
func (r Result) Agrees() bool {
	return len(r.Problems) == 0 && len(r.Rows) > 0 && !slices.ContainsFunc(r.Rows, func(row Row) bool { return !row.Agrees })
}

// ErrNoArithmetic is wrapped by the error on a run about which arithmetic has nothing to say.
var ErrNoArithmetic = errors.New("arithmetic has nothing to say about this run")

func nothingToSay(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrNoArithmetic, fmt.Sprintf(format, args...))
}

// Check holds a run directory against arithmetic.
func Check(dir string) (Result, error) {
	run, err := open(dir)
	if err != nil {
		return Result{Dir: dir}, fmt.Errorf("%s: %w", dir, err)
	}
	m := &run.meta
	r := Result{
		Dir: dir, Scenario: m.Scenario, Cell: m.Cell, Simulated: m.Cluster.Simulated,
		At: time.Duration(run.paused - m.Clock.MeasureStart), Paused: time.Duration(run.goes - run.paused),
		Sent: run.sent, GeneratorLate: len(run.figures.Lag.Shifts) > 0,
	}
	for i := range run.scenario.Producers.Count {
		r.Due += uint64(run.of(i).first(m.Clock.MeasureEnd))
	}
	if r.Sent+uint64(run.scenario.Producers.Count) < r.Due {
		r.Problems = append(r.Problems, fmt.Sprintf("of %d records that were due only %d are on record: a sender has left some out, or its clock stood still", r.Due, r.Sent))
	}
	before := &run.figures.Faults[0].Phases[stats.Before]
	if m.Judged.Acks != "0" {
		e := run.compare(&r, "ack", "acks", run.acks, &run.figures.Ack, &before.Ack)
		own, _ := run.figures.Lag.Own.Max()
		r.compare("ack service", &e.service, &run.figures.Ack.Service, nil, own)
		r.compare("lag, held up", &e.lag, &run.figures.Lag.Held, nil, 0)
	}
	if len(run.scenario.Consumers) > 0 {
		run.compare(&r, "end to end", "deliveries", run.deliveries, &run.figures.EndToEnd, &before.EndToEnd)
	}
	if len(r.Rows) == 0 {
		return r, fmt.Errorf("%s: %w", dir, nothingToSay("with acks=0 and no consumer nothing tells when a record arrived"))
	}
	return r, nil
}

// recorded is what a run directory says, as far as it is needed.
type recorded struct {
	meta     rundir.Meta
	scenario scenarios.Scenario
	figures  stats.Figures

	paused, goes     int64
	sent             uint64    // sends on record
	acks, deliveries [][]int64 // when they came, in order, by producer
}

func open(dir string) (*recorded, error) {
	r := &recorded{}
	var err error
	if r.meta, err = rundir.Load(dir); err != nil {
		return nil, err
	}
	source, err := os.ReadFile(filepath.Join(dir, rundir.ScenarioFile))
	if err != nil {
		return nil, err
	}
	if r.scenario, err = scenarios.Parse(rundir.ScenarioFile, source); err != nil {
		return nil, err
	}
	if err := r.suits(); err != nil {
		return nil, err
	}
	if r.figures, err = stats.Dir(dir); err != nil {
		return nil, err
	}
	h, err := history.Open(rundir.History(dir))
	if err != nil {
		return nil, err
	}
	r.acks, r.deliveries = make([][]int64, r.scenario.Producers.Count), make([][]int64, r.scenario.Producers.Count)
	if err := h.Each(r.read()); err != nil {
		return nil, err
	}
	for i := range r.acks {
		slices.Sort(r.acks[i])
		slices.Sort(r.deliveries[i])
	}
	return r, nil
}

// of is one producer's schedule.
func (r *recorded) of(producer int) schedule {
	start := r.meta.Clock.MeasureStart - r.meta.Load.WarmupMs*time.Millisecond.Nanoseconds()
	return schedule{start: start, rate: r.scenario.Load.Rate, producers: r.scenario.Producers.Count, producer: producer}
}

// suits tells why arithmetic has nothing to say about the run.
func (r *recorded) suits() error {
	m, s := &r.meta, &r.scenario
	switch {
	case m.Stage != rundir.Complete:
		return nothingToSay("it did not come to its end (%s)", m.Stage)
	case s.Load.Rate <= 0 || s.Load.Shape.Kind != "" || s.Load.Records > 0 || s.Load.Txn.Size > 0:
		return nothingToSay("it takes a load at a steady rate, without transactions")
	case s.Load.Record.Sizes.Kind != "":
		return nothingToSay("it takes records of one size, so that it is known how many fit into the client's buffer")
	case len(s.Faults) != 1 || s.Faults[0].Action != "pause" || s.Faults[0].Target.Kind != scenarios.Leader || len(m.Faults) != 1:
		return nothingToSay("it takes one fault, the pause of a leader")
	case len(s.Topics) != 1 || s.Topics[0].Partitions != 1:
		return nothingToSay("it takes one partition, so that its leader holds every record up")
	case m.Faults[0].Healed == nil || !m.Faults[0].Bit:
		return nothingToSay("nothing shows that the leader stood still and went on")
	}
	r.paused, r.goes = m.Faults[0].At, *m.Faults[0].Healed
	return nil
}

// read gathers when acknowledgements and first deliveries came.
func (r *recorded) read() func(*history.Op) error {
	seen := map[history.Value]struct{}{}
	add := func(to [][]int64, v history.Value, at int64) {
		if v.Producer >= 0 && int(v.Producer) < len(to) {
			to[v.Producer] = append(to[v.Producer], at)
		}
	}
	return func(op *history.Op) error {
		switch op.Kind {
		case history.Send:
			r.sent++
			if op.Outcome == history.OK {
				add(r.acks, op.Value, op.Return)
			}
		case history.Poll:
			for i := range op.Records {
				if _, again := seen[op.Records[i].Value]; !again {
					seen[op.Records[i].Value] = struct{}{}
					add(r.deliveries, op.Records[i].Value, op.Return)
				}
			}
		}
		return nil
	}
}

// compare adds the rows on the response times of one kind of answer.
func (r *recorded) compare(to *Result, what, answers string, came [][]int64, published, before *stats.Latency) *expected {
	from, until := r.meta.Clock.MeasureStart, r.meta.Clock.MeasureEnd
	all := slices.Concat(came...)
	slices.Sort(all)
	to.row(Row{Figure: "longest silence", Quantile: answers, Expected: to.Paused, Measured: silence(all, r.paused, r.goes)})
	usual, _ := before.Response.Quantile(0.95)
	e := &expected{}
	for i := range came {
		e.counted(r.of(i), came[i], from, until, r.room())
		e.atLeast(r.of(i), from, until, r.paused, r.goes)
		if took, ok := r.of(i).workedOff(came[i], r.goes, usual+Floor); ok && (to.WorkedOff == nil || took > *to.WorkedOff) {
			to.WorkedOff = &took
		}
	}
	to.compare(what+" response", &e.response, &published.Response, &e.least, 0)
	return e
}

// room is how many records a producer's client has room for, by its buffer.memory.
func (r *recorded) room() int {
	buffer, err := strconv.Atoi(r.meta.Client.Asked["buffer.memory"])
	if err != nil {
		buffer = kafkasBuffer
	}
	return buffer / max(1, r.meta.Load.RecordSize)
}

const kafkasBuffer = 32 << 20

// quantiles that are compared, besides the maximum.
func quantiles() map[string]float64 {
	return map[string]float64{"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
}

// compare adds a row for each published quantile of a distribution. least may be nil; late may be missing from each.
func (r *Result) compare(figure string, expected, measured, least *stats.Histogram, late time.Duration) {
	for _, name := range []string{"p50", "p90", "p95", "p99", "p99.9", "max"} {
		at := func(h *stats.Histogram) time.Duration {
			if h == nil {
				return 0
			}
			d, _ := h.Max()
			if q, ok := quantiles()[name]; ok {
				d, _ = h.Quantile(q)
			}
			return d
		}
		r.row(Row{Figure: figure, Quantile: name, Least: at(least), Late: late, Expected: at(expected), Measured: at(measured)})
	}
}

// row adds a row and says whether it agrees.
func (r *Result) row(row Row) {
	within := func(off, of time.Duration) bool { return off <= Floor || off.Seconds() <= Share*of.Seconds() }
	above, below := row.Measured-row.Expected, row.Expected-row.Late-row.Measured
	row.Agrees = within(above, row.Expected) && within(below, row.Expected) && within(row.Least-row.Measured, row.Least)
	r.Rows = append(r.Rows, row)
}
