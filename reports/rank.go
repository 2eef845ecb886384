package reports

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/kbench/kbench/internal/stats"
	"github.com/kbench/kbench/scenarios"
)

// Trial is one run of a matrix: its document, and what ranking needs besides.
type Trial struct {
	Document   Document
	Counters   map[string]uint64 // run.json's
	Objective  scenarios.Objective
	Unfinished bool // interrupted or cut off: it says nothing of its cell, and is to be made again
}

// Ranking is what the cells of one scenario's matrix say when they are compared.
type Ranking struct {
	Scenario  string         `json:"scenario"`
	Objective string         `json:"objective"` // as written: max throughput where ack.p99 < 50ms
	Unit      string         `json:"unit"`      // of the objective's figures
	Runs      int            `json:"runs"`
	Cells     []RankedCell   `json:"cells"` // the best first
	Excluded  []ExcludedCell `json:"excluded"`
	Pareto    []Point        `json:"pareto"` // the highest throughput first
	Axes      []AxisEffect   `json:"axes"`
	Variance  Variance       `json:"variance"`
	Drift     Drift          `json:"drift"`
	Buffer    []BufferAnswer `json:"buffer"`      // where the matrix has a buffer.memory axis
	Needed    int            `json:"runs_needed"` // of each cell, before two of them can be told apart
	Warnings  []string       `json:"warnings"`

	objective scenarios.Objective `json:"-"`
}

// Figure is the median over a cell's runs with the order statistics around it. Confidence is that of the interval; low, high
// and confidence are null where there is one run.
type Figure struct {
	Median     float64  `json:"median"`
	Low        *float64 `json:"low"`
	High       *float64 `json:"high"`
	Confidence *float64 `json:"confidence"`
	Runs       int      `json:"runs"`
}

// How a cell differs from the best.
const (
	Best    = "best"
	Real    = "real"    // more than noise would show in 1 of 20 matrices
	Noise   = "noise"   // no more than noise would show
	Untold  = "unknown" // there are too few runs for any difference to show
	alphaOf = stats.Alpha
)

// RankedCell is one cell in the ranking.
type RankedCell struct {
	Rank       int               `json:"rank"`
	Cell       map[string]string `json:"cell"`
	Objective  Figure            `json:"objective"`
	ToBest     *float64          `json:"to_best"`    // its median over that of the best
	Difference string            `json:"difference"` // from the best: best, real, noise, unknown
	P          *float64          `json:"p"`          // corrected for all pairs of cells
	Throughput *Figure           `json:"throughput_per_s"`
	AckP99     *Figure           `json:"ack_p99_ms"`
	Waited     Waited            `json:"waited"`
	OnFront    bool              `json:"pareto"`

	asked map[string]string `json:"-"`
	lost  uint64            `json:"-"` // of all runs
	runs  map[int]float64   `json:"-"` // the objective's figure by repeat
}

// Waited is how much the senders waited for room in the client's buffer, over all runs of a cell and all of each run.
type Waited struct {
	Records      *uint64  `json:"records"`       // waits: one a record that found the buffer full
	ShareRecords *float64 `json:"share_records"` // of those sent
	MsPerRun     *float64 `json:"ms_per_run"`    // all senders together
}

// ExcludedCell is one that is not ranked, and why.
type ExcludedCell struct {
	Cell   map[string]string `json:"cell"`
	Reason string            `json:"reason"`
}

// Point is a cell by its two medians.
type Point struct {
	Cell       map[string]string `json:"cell"`
	Throughput float64           `json:"throughput_per_s"`
	AckP99     float64           `json:"ack_p99_ms"`
}

// AxisEffect is what one axis does to the objective's figure, the others held fixed.
type AxisEffect struct {
	Axis    string      `json:"axis"`
	P       *float64    `json:"p"`      // of no effect, corrected for the number of axes
	Share   *float64    `json:"share"`  // of the variance of the logarithms
	Blocks  int         `json:"blocks"` // in which its values were compared
	Effects []AxisValue `json:"values"`
}

// AxisValue is the figure at a value of an axis over that at its first value.
type AxisValue struct {
	Value string `json:"value"`
	Ratio Figure `json:"ratio"`
}

// Variance is what of the figures' spread no single axis explains.
type Variance struct {
	Interplay *float64 `json:"interplay"` // of the axes
	Repeats   *float64 `json:"repeats"`   // whatever differed from one repeat to the next
	Rest      *float64 `json:"rest"`
}

// Drift is whether figures rose or fell while the runs were made.
type Drift struct {
	P     *float64 `json:"p"`
	Ratio *float64 `json:"ratio"` // of the last third of the runs to the first, cells set aside
	Seen  *bool    `json:"seen"`  // null: cannot be told
}

// Rank compares the cells of each scenario that has more than one. The trials come in the order in which they were made;
// notes are what the reader should know of how they were.
func Rank(trials []Trial, notes []string) []Ranking {
	rankings := []Ranking{}
	byScenario := map[string][]Trial{}
	var names []string
	for _, t := range trials {
		if len(t.Document.Cell) == 0 || t.Unfinished {
			continue
		}
		if byScenario[t.Document.Scenario] == nil {
			names = append(names, t.Document.Scenario)
		}
		byScenario[t.Document.Scenario] = append(byScenario[t.Document.Scenario], t)
	}
	for _, name := range names {
		if of := newMatrix(byScenario[name]); len(of.cells) > 1 {
			rankings = append(rankings, of.ranking(notes))
		}
	}
	return rankings
}

// matrix is the trials of one scenario by their cells.
type matrix struct {
	objective scenarios.Objective
	trials    []Trial
	cells     [][]Trial // in the order of their values
	unit      scenarios.Unit
}

func newMatrix(trials []Trial) matrix {
	m := matrix{trials: trials, objective: trials[0].Objective, unit: unitOf(trials[0].Objective.Metric)}
	at := map[string]int{}
	for _, t := range trials {
		key := cell(t.Document.Cell)
		i, known := at[key]
		if !known {
			i = len(m.cells)
			at[key], m.cells = i, append(m.cells, nil)
		}
		m.cells[i] = append(m.cells[i], t)
	}
	slices.SortStableFunc(m.cells, func(a, b []Trial) int { return compareCells(a[0].Document.Cell, b[0].Document.Cell) })
	return m
}

func (m matrix) ranking(notes []string) Ranking {
	r := Ranking{
		Scenario: m.trials[0].Document.Scenario, Objective: m.objective.Text, Unit: unitName(m.unit), Runs: len(m.trials), objective: m.objective,
		Cells: []RankedCell{}, Excluded: []ExcludedCell{}, Pareto: []Point{}, Axes: []AxisEffect{}, Buffer: []BufferAnswer{},
		Needed: stats.RunsNeeded(len(m.cells)), Warnings: slices.Clone(notes),
	}
	var counted []Trial
	for _, of := range m.cells {
		if reason := m.unfit(of); reason != "" {
			r.Excluded = append(r.Excluded, ExcludedCell{of[0].Document.Cell, reason})
			continue
		}
		counted = append(counted, of...)
		if reason := m.beyond(of); reason != "" {
			r.Excluded = append(r.Excluded, ExcludedCell{of[0].Document.Cell, reason})
			continue
		}
		r.Cells = append(r.Cells, m.ranked(of))
	}
	r.order()
	r.front()
	r.axes(m, counted)
	r.Buffer = m.buffer(r.Cells)
	r.doubts(m)
	r.Warnings = orEmpty(r.Warnings)
	return r
}

// unfit says why the runs of a cell cannot be compared with those of others. One bad run is enough: to leave it out would
// be to choose among the runs.
func (m matrix) unfit(of []Trial) string {
	for _, t := range of {
		d := t.Document
		if d.ExitCode != ExitAsExpected && d.ExitCode != ExitThreshold {
			reason := d.Verdict
			if !d.AsExpected && d.Verdict != Inconclusive {
				reason += ", not as expected"
			}
			if len(d.Guarantee.Reasons) > 0 {
				reason += ": " + d.Guarantee.Reasons[0]
			}
			return fmt.Sprintf("repeat %d is %s", d.Repeat, reason)
		}
		if f, _ := d.figure(m.objective.Metric); f == nil {
			return fmt.Sprintf("repeat %d: %s is not known", d.Repeat, m.objective.Metric)
		}
	}
	return ""
}

// beyond says which limit of the objective, or threshold of the scenario, the median of a cell's runs misses.
func (m matrix) beyond(of []Trial) string {
	limits := slices.Clone(m.objective.Limits)
	for _, t := range of[0].Document.Thresholds {
		limit, err := scenarios.ParseThreshold(t.Expr)
		if err == nil && !slices.Contains(limits, limit) {
			limits = append(limits, limit)
		}
	}
	for _, limit := range limits {
		var values []float64
		met, scale := 0, 1.0
		for _, t := range of {
			f, unit := t.Document.figure(limit.Metric)
			if f == nil {
				return fmt.Sprintf("%s: %s is not known in repeat %d", limit, limit.Metric, t.Document.Repeat)
			}
			if compare(*f, limit.Op, limit.Value) {
				met++
			}
			values, scale = append(values, *f), unit
		}
		if median := stats.MedianOf(values); !compare(median, limit.Op, limit.Value) {
			published := median / scale
			return fmt.Sprintf("misses %s: its median is %s (met in %d of %d runs)", limit, Threshold{Expr: limit.Text, Value: &published}.measured(), met, len(of))
		}
	}
	return ""
}

func (m matrix) ranked(of []Trial) RankedCell {
	c := RankedCell{Cell: of[0].Document.Cell, asked: of[0].Document.Client.Asked, runs: map[int]float64{}, Waited: waited(of)}
	var values []float64
	for _, t := range of {
		f, scale := t.Document.figure(m.objective.Metric)
		values = append(values, *f/scale)
		c.runs[t.Document.Repeat] = *f / scale
		c.lost += deref(t.Document.Counts.Lost)
	}
	c.Objective = *figureOf(values)
	c.Throughput, c.AckP99 = medianOf(of, "throughput"), medianOf(of, "ack.p99")
	return c
}

// medianOf a metric over a cell's runs, nil where one of them does not know it.
func medianOf(of []Trial, metric string) *Figure {
	var values []float64
	for _, t := range of {
		f, scale := t.Document.figure(metric)
		if f == nil {
			return nil
		}
		values = append(values, *f/scale)
	}
	return figureOf(values)
}

func figureOf(values []float64) *Figure {
	i, ok := stats.MedianInterval(values, 1-alphaOf)
	if !ok {
		return nil
	}
	return asFigure(i)
}

func asFigure(i stats.Estimate) *Figure {
	f := &Figure{Median: significant(i.Median), Runs: i.N}
	if i.N > 1 {
		f.Low, f.High, f.Confidence = ptrTo(significant(i.Low)), ptrTo(significant(i.High)), ptrTo(significant(i.Confidence))
	}
	return f
}

// significant keeps six digits: what is behind them was not measured.
func significant(f float64) float64 {
	if f == 0 || math.IsNaN(f) || math.IsInf(f, 0) {
		return f
	}
	scale := math.Pow(10, 5-math.Floor(math.Log10(math.Abs(f))))
	return math.Round(f*scale) / scale
}

// finite is nil for what is not known.
func finite(f float64) *float64 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil
	}
	return ptrTo(significant(f))
}

func waited(of []Trial) Waited {
	var waits, sent, us uint64
	for _, t := range of {
		if t.Counters["sent"] == 0 { // nothing was counted
			return Waited{}
		}
		waits, sent, us = waits+t.Counters["client.buffer_waits"], sent+t.Counters["sent"], us+t.Counters["client.buffer_wait_us"]
	}
	return Waited{&waits, finite(float64(waits) / float64(sent)), finite(float64(us) / 1000 / float64(len(of)))}
}

// order ranks the cells by their medians, and says of each whether it differs from the best by more than noise.
func (r *Ranking) order() {
	slices.SortStableFunc(r.Cells, func(a, b RankedCell) int {
		switch {
		case r.objective.Better(a.Objective.Median, b.Objective.Median):
			return -1
		case r.objective.Better(b.Objective.Median, a.Objective.Median):
			return 1
		}
		return 0
	})
	samples := make([][]float64, len(r.Cells))
	for i, c := range r.Cells {
		samples[i] = slices.Collect(maps.Values(c.runs))
	}
	table := stats.Pairwise(samples)
	for i := range r.Cells {
		c := &r.Cells[i]
		c.Rank, c.Difference = i+1, Best
		if best := r.Cells[0].Objective.Median; best != 0 {
			c.ToBest = finite(c.Objective.Median / best)
		}
		if i == 0 {
			continue
		}
		c.P = finite(table[0][i])
		switch few := min(len(samples[0]), len(samples[i])) < stats.RunsNeeded(len(r.Cells)); {
		case c.P != nil && *c.P <= alphaOf:
			c.Difference = Real
		case few:
			c.Difference = Untold
		default:
			c.Difference = Noise
		}
	}
}

// front finds the cells than which none has more throughput at no more latency.
func (r *Ranking) front() {
	var at []int
	var x, y []float64
	for i, c := range r.Cells {
		if c.Throughput != nil && c.AckP99 != nil {
			at, x, y = append(at, i), append(x, c.Throughput.Median), append(y, c.AckP99.Median)
		}
	}
	for _, i := range stats.ParetoFront(x, y) {
		c := &r.Cells[at[i]]
		c.OnFront = true
		r.Pareto = append(r.Pareto, Point{c.Cell, x[i], y[i]})
	}
	slices.SortStableFunc(r.Pareto, func(a, b Point) int {
		switch {
		case a.Throughput > b.Throughput:
			return -1
		case a.Throughput < b.Throughput:
			return 1
		}
		return 0
	})
}

// axes says what each axis does. Cells beyond a limit count here: what is asked is what an axis does, not which cell is good.
func (r *Ranking) axes(m matrix, counted []Trial) {
	paths := slices.Sorted(maps.Keys(m.trials[0].Document.Cell))
	values := make([][]string, len(paths))
	for a, path := range paths {
		for _, t := range m.trials {
			if v := t.Document.Cell[path]; !slices.Contains(values[a], v) {
				values[a] = append(values[a], v)
			}
		}
		slices.SortFunc(values[a], compareValues)
	}
	var trials []stats.Trial
	for _, t := range m.trials {
		if !slices.ContainsFunc(counted, func(c Trial) bool {
			return c.Document.Repeat == t.Document.Repeat && maps.Equal(c.Document.Cell, t.Document.Cell)
		}) {
			continue
		}
		f, scale := t.Document.figure(m.objective.Metric)
		trial := stats.Trial{Repeat: t.Document.Repeat, Figure: *f / scale}
		for _, path := range paths {
			trial.Values = append(trial.Values, t.Document.Cell[path])
		}
		trials = append(trials, trial)
	}
	e := stats.MainEffects(trials, values)
	for a, path := range paths {
		if len(values[a]) < 2 {
			continue
		}
		effect := AxisEffect{Axis: path, P: finite(e.Axes[a].P), Share: finite(e.Axes[a].Share), Blocks: e.Axes[a].Blocks, Effects: []AxisValue{}}
		for _, v := range e.Axes[a].Values {
			if v.Ratio.N > 0 {
				effect.Effects = append(effect.Effects, AxisValue{v.Value, *asFigure(v.Ratio)})
			}
		}
		r.Axes = append(r.Axes, effect)
	}
	r.Variance = Variance{finite(e.Interplay), finite(e.Repeats), finite(e.Rest)}
	d := stats.DriftOf(trials)
	r.Drift = Drift{P: finite(d.P), Ratio: finite(d.Ratio)}
	if r.Drift.P != nil {
		r.Drift.Seen = ptrTo(*r.Drift.P <= alphaOf)
	}
}

// doubts are what a reader should hold against the ranking.
func (r *Ranking) doubts(m matrix) {
	warn := func(format string, args ...any) { r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...)) }
	fewest, most := math.MaxInt, 0
	for _, of := range m.cells {
		fewest, most = min(fewest, len(of)), max(most, len(of))
	}
	if fewest < most {
		warn("some cells have %d runs and others %d", fewest, most)
	}
	if len(r.Cells) > 1 && fewest < r.Needed {
		warn("with %d runs a cell no two of %d cells can be told apart (%d pairs); %d would do: --repeat %d", fewest, len(m.cells), len(m.cells)*(len(m.cells)-1)/2, r.Needed, r.Needed)
	}
	if least := 6; fewest < least {
		warn("of %d runs no interval covers the median with 95%%: what stands in brackets is their range", fewest)
	}
	if r.Drift.Seen != nil && *r.Drift.Seen {
		warn("the figures drifted while the runs were made: %s from the first third of the runs to the last, cells set aside (%s); the order was drawn, so that no cell was favoured, but the intervals are wider for it",
			change(r.Drift.Ratio), pText(r.Drift.P))
	}
	if most == 1 {
		warn("each cell ran once: a drift cannot be seen")
	}
	for _, c := range r.Cells {
		if c.lost > 0 {
			warn("%s lost %s records: 'where lost <= 0' in the objective leaves such cells out", labelOf(c.Cell), number(&c.lost))
		}
	}
	if n := simulatedRuns(m.trials); n > 0 {
		warn("%d runs were SIMULATED: no real broker was compared", n)
	}
}

func simulatedRuns(trials []Trial) (n int) {
	for _, t := range trials {
		if t.Document.Cluster.Simulated {
			n++
		}
	}
	return n
}

func unitOf(metric string) scenarios.Unit {
	for _, m := range scenarios.Metrics() {
		if m.Name == metric {
			return m.Unit
		}
	}
	return scenarios.Count
}

// unitName of published figures: latencies are in milliseconds.
func unitName(u scenarios.Unit) string {
	if u == scenarios.Microseconds {
		return string(scenarios.Milliseconds)
	}
	return string(u)
}

// labelOf a cell, its axes without what stands before a setting's name: acks=1 batch.size=64KiB.
func labelOf(c map[string]string) string {
	var parts []string
	for _, path := range slices.Sorted(maps.Keys(c)) {
		parts = append(parts, axisName(path)+"="+c[path])
	}
	return strings.Join(parts, " ")
}
