package check

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	log "github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
)

// A run that cannot be judged still tells what was promised, and what was done to it.
func TestWhatCannotBeJudgedIsStillTold(t *testing.T) {
	for _, c := range []struct {
		name, expected string
		expect         rundir.Expect
	}{
		{"it should hold", "holds", rundir.Expect{}},
		{"it should be violated", "violated", rundir.Expect{Violated: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := goodRun()
			r.meta.Expect = c.expect
			r.meta.RunID = "0000000000000008"
			r.meta.Faults[0].Protection = []string{"batches were cut", "batches were cut"}
			j := r.judge(t)
			if j.Verdict != Inconclusive || j.AsExpected || j.Expected != c.expected || j.Guarantee != AtLeastOnce {
				t.Errorf("%v, as expected %v, expected %q of %q", j.Verdict, j.AsExpected, j.Expected, j.Guarantee)
			}
			tellsOfTheFault(t, j)
			if got := j.Faults[0].Protection; !slices.Equal(got, []string{"batches were cut"}) {
				t.Errorf("the protection is %q", got)
			}
		})
	}
}

// tellsOfTheFault checks that a judgement tells of the good run's fault.
func tellsOfTheFault(t *testing.T, j Judgement) {
	t.Helper()
	if len(j.Faults) != 1 {
		t.Fatalf("%d faults", len(j.Faults))
	}
	f := j.Faults[0]
	if f.Name != "kill" || f.Target != "broker 1" || f.From != 1000*ms || f.To != 2000*ms || !f.Healed || f.Bit == nil || !*f.Bit || len(f.Evidence) != 1 {
		t.Errorf("%+v", f)
	}
}

// opened is the good run between the opening of its logs and the judgement.
func opened(t *testing.T) (*log.History, run, string) {
	dir := goodRun().write(t)
	meta, err := rundir.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	h, err := log.Open(rundir.History(dir))
	if err != nil {
		t.Fatal(err)
	}
	return h, recordedRun(meta, h), rundir.Log(dir, "p0", 1)
}

// unreadableLog puts a directory in a log's place, which can be opened and not be read.
func unreadableLog(t *testing.T, path string) {
	remove(path)
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
}

// What fails while the judge reads makes the verdict inconclusive, and takes nothing with it.
func TestAPassThatFailsMakesTheVerdictInconclusive(t *testing.T) {
	t.Run("the first", func(t *testing.T) {
		h, r, path := opened(t)
		unreadableLog(t, path)
		j := judge(h, r)
		if j.Verdict != Inconclusive || !strings.HasPrefix(j.Reasons[0], "the first pass failed: ") || !strings.Contains(j.Reasons[0], "directory") {
			t.Errorf("%v, because %q", j.Verdict, j.Reasons)
		}
		tellsOfTheFault(t, j)
	})
	t.Run("the second", func(t *testing.T) {
		h, r, path := opened(t)
		tr := &trial{h: h, run: r, ledger: newLedger(h, r)}
		if err := h.Each(func(op *log.Op) error { tr.ledger.learn(op); return nil }); err != nil {
			t.Fatal(err)
		}
		tr.ledger.settle()
		unreadableLog(t, path)
		tr.secondPass()
		j := tr.sum()
		if j.Verdict != Inconclusive || !strings.HasPrefix(j.Reasons[0], "the second pass failed: ") || !strings.Contains(j.Reasons[0], "directory") {
			t.Errorf("%v, because %q", j.Verdict, j.Reasons)
		}
	})
}

func TestACrashIsToldWithItsPlace(t *testing.T) {
	tr := &trial{}
	tr.guard("a part", func() error { panic("boom") })
	tr.guard("another", func() error { return nil })
	tr.guard("a third", func() error { return fmt.Errorf("no luck") })
	if len(tr.crashes) != 2 || !strings.HasPrefix(tr.crashes[0], "a part crashed: boom at judge_test.go:") || tr.crashes[1] != "a third failed: no luck" {
		t.Errorf("%q", tr.crashes)
	}
	for _, c := range []struct{ name, stack, want string }{
		{"no panic in it", "goroutine 1 [running]:\nmain.main()\n\t/src/main.go:3 +0x1\n", ""},
		{"nothing below the panic", "goroutine 1 [running]:\npanic(0x1)\n\t/go/panic.go:3 +0x1", ""},
		{"the caller has no line", "panic(0x1)\n\t/go/panic.go:3 +0x1\nmain.main()", ""},
		{"the last line", "panic(0x1)\n\t/go/panic.go:3 +0x1\nmain.main()\n\t/src/main.go:3 +0x1", " at main.go:3"},
		{"no folder", "panic(0x1)\n\t/go/panic.go:3 +0x1\nmain.main()\n\tmain.go:3 +0x1\nmore", " at main.go:3"},
	} {
		if got := where([]byte(c.stack)); got != c.want {
			t.Errorf("%s: %q, not %q", c.name, got, c.want)
		}
	}
}

// What was expected without a guarantee is that certain anomalies are seen.
func TestExpectationsWithoutAGuarantee(t *testing.T) {
	for _, c := range []struct {
		name       string
		expect     rundir.Expect
		lose       bool
		asExpected bool
	}{
		{"nothing, and nothing seen", rundir.Expect{}, false, true},
		{"nothing, and a loss seen", rundir.Expect{}, true, true}, // it is only measured
		{"a loss, and one seen", rundir.Expect{Violated: true, Anomalies: []string{lostWrite}}, true, true},
		{"a loss, and none seen", rundir.Expect{Violated: true, Anomalies: []string{lostWrite}}, false, false},
		{"a violation, and nothing that could be violated", rundir.Expect{Violated: true}, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := goodRun()
			r.meta.Guarantee, r.meta.Expect = "", c.expect
			if c.lose {
				r.lose(120)
			}
			if j := r.judge(t); j.Verdict != Unjudged || j.AsExpected != c.asExpected {
				t.Errorf("%v, as expected %v, because %q", j.Verdict, j.AsExpected, j.Reasons)
			}
		})
	}
}

// A hand-written history that claims nothing is judged by what breaks any promise, and then it is not as expected.
func TestAViolationOfNoGuaranteeIsNotExpected(t *testing.T) {
	j := judgeText(t, send("ok", "a", 0), send("ok", "b", 1), final(0, 1, "0a"))
	if j.Verdict != Violated || j.AsExpected {
		t.Errorf("%v, as expected %v", j.Verdict, j.AsExpected)
	}
}

// What an inconclusive run did not show it was not asked for.
func TestOfAnInconclusiveRunNothingWasExpected(t *testing.T) {
	r := goodRun()
	r.meta.Expect = rundir.Expect{Violated: true, Anomalies: []string{lostWrite}}
	r.meta.FinalRead.Done = false
	if j := r.judge(t); j.Verdict != Inconclusive || j.AsExpected || strings.Contains(strings.Join(j.Reasons, "\n"), "expected and not seen") {
		t.Errorf("%v, as expected %v, because %q", j.Verdict, j.AsExpected, j.Reasons)
	}
}

// What would decide, were the evidence for it whole, is told.
func TestWhatIsInDoubtDoesNotCountAndIsTold(t *testing.T) {
	r := goodRun()
	r.meta.Guarantee = ExactlyOnce
	ops := *r.of("final")
	ops[0].Offsets = []log.PartitionOffset{{Partition: 0, Offset: sends + 1}}
	ops[1].Records = append(slices.Clone(ops[1].Records), log.Record{Offset: sends, Value: log.Value{Producer: 0, Session: 1, Seq: 17}})
	ops[1].Reached = sends + 1
	if j := r.judge(t); j.Verdict != Violated || found(j)[duplicate] != 1 {
		t.Fatalf("%v, because %q", j.Verdict, j.Reasons)
	}
	r.open = []log.Client{{Name: "p0", Session: 1}}
	j := r.judge(t)
	if j.Verdict != Inconclusive || !strings.HasPrefix(j.Reasons[0], "duplicate (1) does not count: p0.1.log is not whole") {
		t.Errorf("%v, because %q", j.Verdict, j.Reasons)
	}
	if len(j.Findings) != 1 || j.Findings[0].Decides {
		t.Errorf("%+v", j.Findings)
	}
}

// What decides comes first, then the names decide the order; what checkers found under one name is one finding.
func TestFindingsOfOneNameAreOne(t *testing.T) {
	saw := func(n int, notes ...string) tally {
		found := tally{count: uint64(n), checked: uint64(10 * n)}
		for _, note := range notes {
			found.witnesses = append(found.witnesses, Witness{Detail: note})
		}
		return found
	}
	named := func(anomaly string, v variant, found tally) tally {
		found.anomaly, found.variant = anomaly, v
		return found
	}
	many := slices.Repeat([]string{"more"}, maxWitnesses-1)
	for _, c := range []struct {
		name      string
		tallies   []tally
		want      []string // anomaly, whether it decides, count, checked
		witnesses []string // of the first
	}{
		{"none", nil, nil, nil},
		{"what nobody found", []tally{named(duplicate, plainly, saw(0))}, nil, nil},
		{"information comes last", []tally{named(abortedRead, plainly, saw(1)), named(offsetHole, plainly, saw(1)), named(duplicate, plainly, saw(2)), named(lostWrite, plainly, saw(3)), named(corruptRecord, plainly, saw(1))},
			[]string{"corrupt-record true 1 10", "lost-write true 3 30", "offset-hole true 1 10", "aborted-read false 1 10", "duplicate false 2 20"}, nil},
		{"what decides, after information of its name", []tally{named(pollSkip, handled, saw(2, "passed on")), named(pollSkip, unhandled, saw(1, "nobody's"))},
			[]string{"poll-skip true 3 20"}, []string{"nobody's", "passed on"}},
		{"what decides, before information of its name", []tally{named(pollSkip, unhandled, saw(1, "nobody's")), named(pollSkip, handled, saw(2, "passed on"))},
			[]string{"poll-skip true 3 20"}, []string{"nobody's", "passed on"}},
		{"both decide", []tally{named(lostWrite, plainly, saw(2, "first")), named(lostWrite, plainly, saw(1, "second"))}, []string{"lost-write true 3 20"}, []string{"first", "second"}},
		{"neither decides", []tally{named(duplicate, plainly, saw(2, "first")), named(duplicate, plainly, saw(1, "second"))}, []string{"duplicate false 3 20"}, []string{"first", "second"}},
		{"more witnesses than are shown", []tally{named(lostWrite, plainly, saw(2, many...)), named(lostWrite, plainly, saw(2, many...))}, []string{"lost-write true 4 20"}, slices.Repeat([]string{"more"}, maxWitnesses)},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr := &trial{run: run{guarantee: AtLeastOnce}, tallies: c.tallies}
			list, _ := tr.findings()
			var got, witnesses []string
			for _, f := range list {
				got = append(got, fmt.Sprint(f.Anomaly, " ", f.Decides, " ", f.Count, " ", f.Checked))
			}
			if len(list) > 0 {
				for _, w := range list[0].Witnesses {
					witnesses = append(witnesses, w.Detail)
				}
			}
			if !slices.Equal(got, c.want) || !slices.Equal(witnesses, c.witnesses) {
				t.Errorf("%q with %q,\nnot %q with %q", got, witnesses, c.want, c.witnesses)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	const (
		version = "the brokers do not tell their version"
		calm    = "no fault was injected"
		torn    = "c0.1.log is torn at byte "
	)
	without := func(r *recorded) { r.meta.Faults = nil }
	for _, c := range []struct {
		name  string
		spoil func(*recorded)
		want  []string
	}{
		{"a good run", func(*recorded) {}, nil},
		{"brokers of no known version", func(r *recorded) { r.meta.Cluster.Version = "" }, []string{version}},
		{"brokers of no known version, nothing claimed", func(r *recorded) { r.meta.Cluster.Version, r.meta.Guarantee = "", "" }, nil},
		{"no fault", without, []string{calm}},
		{"no fault, nothing claimed", func(r *recorded) { without(r); r.meta.Guarantee = "" }, nil},
		{"a torn log of a session that was killed", func(r *recorded) {
			r.killConsumer()
			r.flushEach = 20
			r.then = func(dir string) {
				path := rundir.Log(dir, "c0", 1)
				info, err := os.Stat(path)
				if err == nil {
					err = os.Truncate(path, info.Size()-3)
				}
				if err != nil {
					panic(err)
				}
			}
		}, []string{torn}},
		{"the run's own", func(r *recorded) { r.meta.Warnings = []string{"the disk is slow"} }, []string{"the disk is slow"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := goodRun()
			c.spoil(r)
			got := r.judge(t).Warnings
			for _, warning := range []string{version, calm, torn, "the disk is slow"} {
				told := slices.ContainsFunc(got, func(w string) bool { return strings.HasPrefix(w, warning) })
				if told != slices.Contains(c.want, warning) {
					t.Errorf("the warnings are %q", got)
				}
			}
		})
	}
	if j := judgeText(t, head(promised(AtLeastOnce)), send("ok", "a", 0), final(0, 1, "0a")); len(j.Warnings) != 0 {
		t.Errorf("a hand-written history has the warnings %q", j.Warnings)
	}
}
