package check

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	log "github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
)

// What is missing in a log may seem to be missing in Kafka: each anomaly waits for the logs whose holes could make it up.
func TestWhatADamagedLogLeavesInDoubt(t *testing.T) {
	var (
		always   = []string{unseen}
		final    = []string{lostWrite, unseen, unprocessed, tornTransaction, pollSkip}
		reading  = []string{unseen, unprocessed, pollSkip, lostWrite}
		writing  = []string{unseen, foreignRecord, unprocessed, duplicate, tornTransaction}
		anything = slices.Concat(reading, writing)
	)
	role := func(role string) *rundir.Worker { return &rundir.Worker{Role: role} }
	for _, c := range []struct {
		name  string
		of    *rundir.Worker
		log   string
		stage rundir.Stage
		want  []string
	}{
		{"no log", nil, "", rundir.Complete, always},
		{"no log, of a run that was cut off", nil, "", rundir.Measuring, append(always, unprocessed)},
		{"a producer's", role("producer"), "p0", rundir.Complete, writing},
		{"a consumer's", role("consumer"), "c0", rundir.Complete, reading},
		{"a processor's, which reads and writes", role("processor"), "w0", rundir.Complete, anything},
		{"the final reader's, by its role", role("reader"), "r", rundir.Complete, final},
		{"the final reader's, by its name", nil, finalReader, rundir.Complete, final},
		{"a final reader's that is a producer's", role("producer"), finalReader, rundir.Complete, writing},
		{"of nobody knows whom", nil, "p0", rundir.Complete, anything},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := run{recorded: true, meta: rundir.Meta{Stage: c.stage}}
			if c.log != "" {
				r.blame(c.of, c.log, "it is torn")
			}
			court := newLedger(&log.History{Header: log.Header{Partitions: []string{"orders/0"}}}, r)
			got := slices.Sorted(maps.Keys((&trial{run: r, ledger: court}).doubts()))
			if want := distinctOf(slices.Sorted(slices.Values(c.want))); !slices.Equal(got, want) {
				t.Errorf("in doubt are %q, not %q", got, want)
			}
			if problems := len(r.logs); problems != min(1, len(c.log)) {
				t.Errorf("%d problems are told", problems)
			}
		})
	}
}

// A hand-written history is taken for whole.
func TestAHandWrittenHistoryLeavesNothingInDoubt(t *testing.T) {
	if d := (&trial{}).doubts(); len(d) != 0 {
		t.Errorf("%v", d)
	}
}

// What the final read shows to be lost is lost, whoever's log of what was read before is torn.
func TestALossNeedsNoConsumersLog(t *testing.T) {
	r := goodRun()
	r.lose(120)
	r.open = []log.Client{{Name: "c0", Session: 1}}
	if j := r.judge(t); j.Verdict != Violated {
		t.Errorf("%v, because %q", j.Verdict, j.Reasons)
	}
}

func TestALogThatCannotBeReadIsToldOf(t *testing.T) {
	r := goodRun()
	dir := r.write(t)
	meta, err := rundir.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	h, err := log.Open(rundir.History(dir))
	if err != nil {
		t.Fatal(err)
	}
	path := rundir.Log(dir, "p0", 1)
	remove(path)
	if err := os.Mkdir(path, 0o755); err != nil { // it can be opened, and not read
		t.Fatal(err)
	}
	of := recordedRun(meta, h)
	of.compare(dir, h)
	if len(of.logs) != 1 || !strings.Contains(of.logs[0], filepath.Base(path)+": is a directory") || of.writers == "" {
		t.Errorf("%q, the writers' %q", of.logs, of.writers)
	}
}

// A run of an early version has no list of its logs: then none of them came later.
func TestWithoutAListOfLogsNoneIsTooMany(t *testing.T) {
	r := goodRun()
	r.then = func(dir string) {
		meta, err := rundir.Load(dir)
		if err == nil {
			meta.Logs = nil
			err = meta.Save(dir)
		}
		if err != nil {
			panic(err)
		}
	}
	if j := r.judge(t); j.Verdict != Holds {
		t.Errorf("%v, because %q", j.Verdict, j.Reasons)
	}
}

func TestOnlyTheTopicThatIsCompactedIs(t *testing.T) {
	r := run{meta: rundir.Meta{Topics: []rundir.Topic{{Name: "orders"}, {Name: "accounts", Compacted: true}}}}
	for topic, want := range map[string]bool{"orders": false, "accounts": true, "bills": false} {
		if r.compacted(topic) != want {
			t.Errorf("%s", topic)
		}
	}
}

// Time servers slew a clock by so much in a run; more is a step.
func TestTheWallClockMayMoveALittle(t *testing.T) {
	for step, want := range map[int64]Verdict{200: Holds, -200: Holds, 201: Inconclusive, -201: Inconclusive} {
		r := goodRun()
		r.meta.Clock.WallStepMs = step
		if j := r.judge(t); j.Verdict != want {
			t.Errorf("%d ms: %v", step, j.Verdict)
		}
	}
}

// Of each partition one thing is told, the one that explains.
func TestWhatTheFinalReadLeftUnread(t *testing.T) {
	for _, c := range []struct {
		name   string
		parts  []partition // with end, highest read, reached in each pass
		only   bool        // hand-written
		reason []string
	}{
		{"read to its end", []partition{{end: 5, highest: 4, reached: [2]int64{5, -1}}}, false, nil},
		{"empty, and read to its end", []partition{{end: 0, highest: -1, reached: [2]int64{0, -1}}}, false, nil},
		{"empty, and not read", []partition{{end: 0, highest: -1, reached: [2]int64{-1, -1}}}, false, []string{"the final read did not read p"}},
		{"empty, and not read, written by hand", []partition{{end: 0, highest: -1, reached: [2]int64{-1, -1}}}, true, nil},
		{"no end, and not read", []partition{{end: -1, highest: 4, reached: [2]int64{-1, -1}}}, false, []string{"the final read did not read p"}},
		{"no end, and not read, written by hand", []partition{{end: -1, highest: 4, reached: [2]int64{-1, -1}}}, true, nil},
		{"an end, and not read, written by hand", []partition{{end: 1, highest: -1, reached: [2]int64{-1, -1}}}, true, []string{"the final read did not read p"}},
		{"no end", []partition{{end: -1, highest: 4, reached: [2]int64{5, -1}}}, false, []string{"no end is recorded for p"}},
		{"no end, but past what was read, written by hand", []partition{{end: -1, highest: 4, reached: [2]int64{5, -1}}}, true, nil},
		{"no end, and less than was read, written by hand", []partition{{end: -1, highest: 5, reached: [2]int64{3, -1}}}, true,
			[]string{"the final read of p reached 3, though offset 5 had been read before"}},
		{"no end, and nothing of what was read, written by hand", []partition{{end: -1, highest: 0, reached: [2]int64{0, -1}}}, true,
			[]string{"the final read of p reached 0, though offset 0 had been read before"}},
		{"short", []partition{{end: 5, highest: 3, reached: [2]int64{4, -1}}}, false, []string{"the final read of p reached 4 of 5"}},
		{"short in the second pass", []partition{{end: 5, highest: 4, reached: [2]int64{5, 4}}}, false, []string{"the final read of p reached 4 of 5"}},
		{"the second pass alone, short", []partition{{end: 5, highest: 3, reached: [2]int64{-1, 4}}}, false, []string{"the final read of p reached 4 of 5"}},
		{"a record behind the end", []partition{{end: 5, highest: 5, reached: [2]int64{5, -1}}}, false, []string{"offset 5 of p was read, and its recorded end is 5"}},
		{"a record of what ended empty", []partition{{end: 0, highest: 0, reached: [2]int64{0, -1}}}, false, []string{"offset 0 of p was read, and its recorded end is 0"}},
		{"a record behind the end, written by hand", []partition{{end: 5, highest: 5, reached: [2]int64{5, -1}}}, true, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := run{recorded: !c.only}
			for i := range c.parts {
				c.parts[i].name = "p"
			}
			if got := (&trial{run: r, ledger: &ledger{run: r, parts: c.parts}}).unread(); !slices.Equal(got, c.reason) {
				t.Errorf("%q, not %q", got, c.reason)
			}
		})
	}
}

// What consumers have not come to is not a promise of at-most-once; that processors committed what the cluster does not
// show stands against the others.
func TestWhoHasToArrive(t *testing.T) {
	arrived := &outputs{court: &court{}, inputs: []bool{true}}
	arrived.double.checked = 1
	behind := &outputs{court: &court{}, inputs: []bool{true}, behind: []string{"orders/0"}}
	behind.double.checked = 1
	for _, c := range []struct {
		name    string
		run     run
		outputs *outputs
		reason  string
	}{
		{"consumers, at least once", run{recorded: true, guarantee: AtLeastOnce, groups: readers(false)}, nil, "the group did not arrive at the end"},
		{"consumers, exactly once", run{recorded: true, guarantee: ExactlyOnce, groups: readers(false)}, nil, "the group did not arrive at the end"},
		{"consumers, at most once", run{recorded: true, guarantee: AtMostOnce, groups: readers(false)}, nil, ""},
		{"consumers that arrived", run{recorded: true, guarantee: ExactlyOnce, drained: true, groups: readers(true)}, nil, ""},
		{"two groups, of which one handled nothing", run{recorded: true, guarantee: AtLeastOnce, groups: append(readers(true), rundir.Group{Name: "billing", Processed: true})}, nil,
			"the group billing handled nothing"},
		{"processors that arrived", run{recorded: true, guarantee: ExactlyOnceTransactions, drained: true}, arrived, ""},
		{"processors that were not seen to arrive", run{recorded: true, guarantee: ExactlyOnceTransactions}, arrived, "though they have committed it"},
		{"processors, written by hand", run{guarantee: ExactlyOnceTransactions}, arrived, ""},
		{"processors that were not seen to arrive, at most once", run{recorded: true, guarantee: AtMostOnce}, arrived, ""},
		{"processors that are behind", run{recorded: true, guarantee: AtLeastOnce}, behind, "did not cover their input to its end: orders/0"},
		{"processors that are behind, at most once", run{recorded: true, guarantee: AtMostOnce}, behind, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := &ledger{run: c.run, groups: map[string]*group{"readers": {any: true}}}
			got := strings.Join((&trial{run: c.run, ledger: l, outputs: c.outputs}).groupReasons(), "; ")
			if c.reason == "" && got != "" || !strings.Contains(got, c.reason) {
				t.Errorf("%q, not %q", got, c.reason)
			}
		})
	}
}

func TestRunJSONOfAnotherGuaranteeIsAnother(t *testing.T) {
	meta := rundir.Meta{RunID: "0000000000000007", Guarantee: AtLeastOnce, Topics: []rundir.Topic{{Name: "orders", Partitions: 1}}}
	head := log.Header{Run: 7, Partitions: []string{"orders/0"}}
	for guarantee, want := range map[string]string{"": "", AtLeastOnce: "", ExactlyOnce: `run.json claims "at-least-once", the history "exactly-once"`} {
		head.Guarantee = guarantee
		if got := another(meta, &head); got != want {
			t.Errorf("%q: %q, not %q", guarantee, got, want)
		}
	}
}

// readers is the group of consumers of a run that has one.
func readers(drained bool) []rundir.Group {
	return []rundir.Group{{Name: "readers", Commit: "after-processing", Processed: true, Drained: drained}}
}
