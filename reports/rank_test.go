package reports

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/kbench/kbench/scenarios"
)

// grid makes the trials of a matrix that never ran, repeat by repeat, the cells of each in an order that is drawn.
type grid struct {
	name      string
	objective string
	axes      map[string][]string
	repeats   int
	noise     float64 // share by which figures differ from run to run
	// of is what a cell does: acknowledged records a second, and ack p99 in ms.
	of func(cell map[string]string, run int) (throughput, p99 float64)
	// tune changes a trial after it was made; may be nil.
	tune func(*Trial)
}

func (g grid) trials(t *testing.T) []Trial {
	t.Helper()
	objective, err := scenarios.ParseObjective(g.objective)
	if err != nil {
		t.Fatal(err)
	}
	cells := []map[string]string{{}}
	for _, path := range slices.Sorted(maps.Keys(g.axes)) {
		var longer []map[string]string
		for _, c := range cells {
			for _, v := range g.axes[path] {
				next := maps.Clone(c)
				next[path] = v
				longer = append(longer, next)
			}
		}
		cells = longer
	}
	rng := rand.New(rand.NewSource(1))
	var trials []Trial
	for repeat := 1; repeat <= g.repeats; repeat++ {
		rng.Shuffle(len(cells), func(i, j int) { cells[i], cells[j] = cells[j], cells[i] })
		for _, c := range cells {
			throughput, p99 := g.of(c, len(trials))
			throughput *= math.Exp(g.noise * rng.NormFloat64())
			us := int64(1000 * p99 * math.Exp(g.noise*rng.NormFloat64()))
			asked := map[string]string{}
			for path, v := range c {
				asked[strings.TrimPrefix(path, "client.")] = v
			}
			d := Document{
				Version: 1, Scenario: g.name, Cell: maps.Clone(c), Repeat: repeat, Seed: int64(repeat), AsExpected: true, Verdict: Unjudged,
				Client: Client{Driver: "confluent", Asked: asked}, Throughput: Throughput{AckedPerS: &throughput},
				Latency:    Latencies{Ack: Latency{Response: Quantiles{P99: &us, Count: 1000}}},
				Thresholds: []Threshold{},
			}
			trial := Trial{Document: d, Counters: map[string]uint64{"sent": 100_000}, Objective: objective}
			if g.tune != nil {
				g.tune(&trial)
			}
			trials = append(trials, trial)
		}
	}
	return trials
}

// planted: acks=1 has twice the throughput of acks=all at half the latency; the linger does nothing.
func planted() grid {
	return grid{
		name: "planted", objective: "max throughput", repeats: 6, noise: 0.02,
		axes: map[string][]string{"client.acks": {"1", "all"}, "client.linger.ms": {"0", "5", "10"}},
		of: func(c map[string]string, _ int) (float64, float64) {
			if c["client.acks"] == "1" {
				return 200_000, 8
			}
			return 100_000, 16
		},
	}
}

// doubtful: few repeats, a drift, a cell that was violated, one that is inconclusive, and one beyond the limit.
func doubtful() grid {
	g := planted()
	g.name, g.objective, g.repeats = "doubtful", "max throughput where ack.p99 < 20ms", 4
	g.axes["client.linger.ms"] = []string{"0", "5", "10", "100"}
	of := g.of
	g.of = func(c map[string]string, run int) (float64, float64) {
		throughput, p99 := of(c, run)
		if c["client.linger.ms"] == "100" {
			p99 += 100
		}
		return throughput * math.Exp(-0.01*float64(run)), p99
	}
	g.tune = func(t *Trial) {
		d := &t.Document
		switch c := d.Cell; {
		case c["client.acks"] == "1" && c["client.linger.ms"] == "5" && d.Repeat == 2:
			d.Verdict, d.AsExpected, d.ExitCode = Violated, false, ExitViolated
			d.Guarantee.Reasons = []string{"lost-write: 3"}
		case c["client.acks"] == "all" && c["client.linger.ms"] == "0" && d.Repeat == 3:
			d.Verdict, d.AsExpected, d.ExitCode = Inconclusive, false, ExitInconclusive
			d.Guarantee.Reasons = []string{"the final read stopped short"}
		}
		d.Thresholds = []Threshold{{Expr: "ack.p99 < 1s", OK: true}}
	}
	return g
}

// rule: the throughput grows up to the rule and not beyond, and what is beyond costs latency.
func rule() grid {
	sizes := map[string]string{"batch.size x partitions x 0.5": "49152", "batch.size x partitions": "98304", "batch.size x partitions x 2": "196608",
		"batch.size x partitions x 4": "393216", "batch.size x partitions x 8": "786432"}
	bytes := func(c map[string]string) float64 {
		n, _ := number64(sizes[c["client.buffer.memory"]])
		return n
	}
	return grid{
		name: "rule", objective: "max throughput", repeats: 6, noise: 0.01,
		axes: map[string][]string{"client.buffer.memory": slices.Sorted(maps.Keys(sizes))},
		of: func(c map[string]string, _ int) (float64, float64) {
			return 1000 * min(100, bytes(c)/1966.08), max(2, bytes(c)/50_000)
		},
		tune: func(t *Trial) {
			of := bytes(t.Document.Cell)
			t.Document.Client.Asked["buffer.memory"] = fmt.Sprint(of)
			if of < 500_000 {
				t.Counters["client.buffer_waits"], t.Counters["client.buffer_wait_us"] = uint64(2e8/of), uint64(2e11/of)
			}
		},
	}
}

func ranked(t *testing.T, g grid, notes ...string) Ranking {
	t.Helper()
	all := Rank(g.trials(t), notes)
	if len(all) != 1 {
		t.Fatalf("%d rankings, want 1", len(all))
	}
	return all[0]
}

func TestRankings(t *testing.T) {
	for _, g := range []grid{planted(), doubtful(), rule()} {
		t.Run(g.name, func(t *testing.T) {
			r := ranked(t, g)
			var docs []Document
			for _, trial := range g.trials(t) {
				docs = append(docs, trial.Document)
			}
			var text, document bytes.Buffer
			p := &page{}
			p.rankings([]Ranking{r})
			text.WriteString(p.String())
			fits(t, text.String())
			golden(t, "ranking/"+g.name+".txt", text.Bytes())
			if err := WriteJSON(&document, r); err != nil {
				t.Fatal(err)
			}
			golden(t, "ranking/"+g.name+".json", document.Bytes())
			if err := validAs(t, "ranking", r); err != nil {
				t.Error(err)
			}
			if results := Several(docs, r); len(results.Rankings) != 1 {
				t.Error("the ranking is not in the document of several runs")
			}
		})
	}
}

func TestEqualCellsAreNoiseAndAPlantedDifferenceIsFound(t *testing.T) {
	r := ranked(t, planted())
	if len(r.Cells) != 6 || len(r.Excluded) != 0 {
		t.Fatalf("%d cells ranked, %d not", len(r.Cells), len(r.Excluded))
	}
	for i, c := range r.Cells {
		want := Noise
		if i == 0 {
			want = Best
		}
		if c.Cell["client.acks"] == "all" {
			want = Real
		}
		if c.Difference != want || (c.Cell["client.acks"] == "1") != (i < 3) {
			t.Errorf("rank %d is %v: %s, want %s", c.Rank, c.Cell, c.Difference, want)
		}
	}
	if p := *r.Axes[0].P; r.Axes[0].Axis != "client.acks" || p > 0.01 || math.Abs(r.Axes[0].Effects[1].Ratio.Median-0.5) > 0.02 {
		t.Errorf("acks: %+v", r.Axes[0])
	}
	if *r.Axes[1].P <= alphaOf {
		t.Errorf("the linger matters: %+v", r.Axes[1])
	}
}

func TestFewerRunsThanNeededSayNothing(t *testing.T) {
	g := planted()
	g.repeats = 5
	r := ranked(t, g)
	for _, c := range r.Cells[1:] {
		if c.Difference != Untold {
			t.Errorf("%v of %d runs: %s", c.Cell, c.Objective.Runs, c.Difference)
		}
	}
	if !strings.Contains(strings.Join(r.Warnings, "\n"), "--repeat 6") {
		t.Errorf("warnings %q", r.Warnings)
	}
	if p := r.Axes[0].P; p == nil || *p > 0.01 {
		t.Error("what an axis does is not told, though it has blocks enough")
	}
}

func TestTheLowestIsBestWhereItIsAskedFor(t *testing.T) {
	g := planted()
	g.objective = "min ack.p99"
	if r := ranked(t, g); r.Cells[0].Cell["client.acks"] != "1" || r.Unit != "ms" || math.Abs(r.Cells[0].Objective.Median-8) > 1 {
		t.Errorf("best is %+v", r.Cells[0])
	}
}

func TestCellsThatAreNotRanked(t *testing.T) {
	r := ranked(t, doubtful(), "a note")
	var got []string
	for _, c := range r.Excluded {
		got = append(got, labelOf(c.Cell)+": "+c.Reason)
	}
	for i, want := range []string{
		"acks=1 linger.ms=5: repeat 2 is violated, not as expected: lost-write: 3",
		"acks=1 linger.ms=100: misses ack.p99 < 20ms: its median is 108ms (met in 0 of 4 runs)",
		"acks=all linger.ms=0: repeat 3 is inconclusive: the final read stopped short",
		"acks=all linger.ms=100: misses ack.p99 < 20ms: its median is 116ms (met in 0 of 4 runs)",
	} {
		if i >= len(got) || strings.Split(got[i], "median")[0] != strings.Split(want, "median")[0] {
			t.Errorf("not ranked: %q, want %q", got, want)
			break
		}
	}
	for _, want := range []string{"a note", "drifted", "range", "--repeat"} {
		if !strings.Contains(strings.Join(r.Warnings, "\n"), want) {
			t.Errorf("no warning speaks of %q: %q", want, r.Warnings)
		}
	}
}

func TestARunThatWasCutOffSaysNothingOfItsCell(t *testing.T) {
	g := planted()
	g.tune = func(t *Trial) {
		if t.Document.Repeat == 6 && t.Document.Cell["client.acks"] == "1" && t.Document.Cell["client.linger.ms"] == "0" {
			t.Unfinished, t.Document.ExitCode, t.Document.Verdict = true, ExitInconclusive, Inconclusive
		}
	}
	r := ranked(t, g)
	if len(r.Excluded) != 0 || len(r.Cells) != 6 || !strings.Contains(strings.Join(r.Warnings, "\n"), "some cells have 5 runs and others 6") {
		t.Errorf("not ranked: %+v; %q", r.Excluded, r.Warnings)
	}
}

func TestCellsThatLoseRecordsAreNamed(t *testing.T) {
	g := planted()
	lost := uint64(3)
	g.tune = func(t *Trial) {
		if t.Document.Cell["client.acks"] == "1" && t.Document.Cell["client.linger.ms"] == "0" {
			t.Document.Counts.Lost = &lost
		}
	}
	if r := ranked(t, g); !strings.Contains(strings.Join(r.Warnings, "\n"), "acks=1 linger.ms=0 lost 18 records") {
		t.Errorf("%q", r.Warnings)
	}
}

func TestAFigureThatIsNotKnownIsNoFigure(t *testing.T) {
	g := planted()
	g.tune = func(t *Trial) {
		if t.Document.Cell["client.linger.ms"] == "5" && t.Document.Repeat == 1 {
			t.Document.Throughput.AckedPerS = nil
		}
	}
	r := ranked(t, g)
	if len(r.Excluded) != 2 || !strings.Contains(r.Excluded[0].Reason, "throughput is not known") {
		t.Errorf("not ranked: %+v", r.Excluded)
	}
}

func TestAMatrixWithoutARankedCell(t *testing.T) {
	g := planted()
	g.objective = "max throughput where ack.p99 < 1ms"
	r := ranked(t, g)
	if len(r.Cells) != 0 || len(r.Excluded) != 6 {
		t.Fatalf("%d ranked", len(r.Cells))
	}
	p := &page{}
	p.rankings([]Ranking{r})
	if !strings.Contains(p.String(), "No cell could be ranked") {
		t.Error(p.String())
	}
	if err := validAs(t, "ranking", r); err != nil {
		t.Error(err)
	}
}

func TestWhetherMoreBufferWouldHaveHelped(t *testing.T) {
	enough := func(g grid) BufferAnswer {
		r := ranked(t, g)
		if len(r.Buffer) != 1 {
			t.Fatalf("%d answers", len(r.Buffer))
		}
		return r.Buffer[0]
	}
	a := enough(rule())
	if a.Enough == nil || *a.Bytes != 196608 || !*a.Helped || a.Library != "librdkafka" || *a.Sizes[0].Waited.Records == 0 || *a.Sizes[4].Waited.Records != 0 {
		t.Errorf("it grows up to the rule: %+v", a)
	}
	flat := rule()
	flat.of = func(map[string]string, int) (float64, float64) { return 1000, 5 }
	if a := enough(flat); a.Enough == nil || *a.Bytes != 49152 || *a.Helped || !strings.Contains(a.Answer, "more than 48KiB") {
		t.Errorf("it does nothing: %+v", a)
	}
	growing := rule()
	of := growing.of
	growing.of = func(c map[string]string, run int) (float64, float64) {
		_, p99 := of(c, run)
		return 10_000 * p99, 5
	}
	if a := enough(growing); a.Enough != nil || a.Helped == nil || !*a.Helped || !strings.Contains(a.Answer, "up to the largest") {
		t.Errorf("it grows on and on: %+v", a)
	}
	few := rule()
	few.repeats = 3
	if a := enough(few); a.Enough != nil || a.Helped != nil || !strings.Contains(a.Answer, "cannot be told") {
		t.Errorf("three repeats tell %+v", a)
	}
	noisy := flat
	noisy.noise = 0.3
	if a := enough(noisy); a.Enough != nil || !strings.Contains(a.Answer, "cannot be told") {
		t.Errorf("noise tells %+v", a)
	}
}

func TestValuesAreOrderedByWhatTheyAreWorth(t *testing.T) {
	for _, want := range [][]string{
		{"0", "1", "all"}, {"512", "1KiB", "16KiB", "1MiB"}, {"0", "5ms", "1s"}, {"100/s", "2000/s", "max"}, {"none", "gzip", "lz4"},
		{"batch.size x partitions x 0.5", "batch.size x partitions", "2 x batch.size x partitions", "batch.size x partitions x 8"},
	} {
		got := slices.Clone(want)
		slices.Reverse(got)
		slices.SortFunc(got, compareValues)
		if !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestFiguresInShort(t *testing.T) {
	for f, want := range map[float64]string{0: "0.00", 9.87654: "9.88", 99.96: "100", 850: "850", 1234: "1.23k", 99_960: "100k", 999_600: "1.00M", 1_210_000: "1.21M"} {
		if got := shortly(f); got != want {
			t.Errorf("%v is %s, want %s", f, got, want)
		}
	}
	for f, want := range map[float64]string{1: "+0.0%", 1.034: "+3.4%", 0.5: "-50%", 1.5: "+50%", 2.1: "×2.10", 0.05: "÷20.0", 0.99996: "+0.0%"} {
		if got := change(&f); got != want {
			t.Errorf("%v is %s, want %s", f, got, want)
		}
	}
}

func TestStandings(t *testing.T) {
	trials := planted().trials(t)
	lines := Standings(trials[:9])
	if len(lines) != 6 || !strings.HasPrefix(lines[0], "best so far by max throughput: acks=1") {
		t.Errorf("%q", lines)
	}
	if Standings(nil) != nil {
		t.Error("nothing has a standing")
	}
}
