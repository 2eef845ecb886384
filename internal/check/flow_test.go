package check

import (
	"math"
	"slices"
	"strings"
	"testing"

	log "github.com/kbench/kbench/internal/history"
)

// What readers, processors and their transactions may do without an anomaly, and what they may not.
func TestTheWaysOfReaders(t *testing.T) {
	logged := lines(head(promised(AtLeastOnce)), send("ok", "a", 0), send("ok", "b", 1), send("ok", "c", 2), send("ok", "d", 3))
	read := final(0, 4, "0a 1b 2c 3d") + "\n" + final(1, 0, "") + "\n" + final(2, 0, "")
	end := func(name, outcome string) string { return closing(name, outcome, by("c0")) }
	for _, c := range []struct {
		name    string
		lines   []string
		want    string
		verdict Verdict
	}{
		{"one after the other", lines(poll("0a"), poll("1b"), poll("2c 3d")), "", Holds},
		{"past a record", lines(poll("0a"), poll("2c 3d")), "poll-skip", Violated},
		{"past two records", lines(poll("0a"), poll("3d")), "poll-skip", Violated},
		{"past a record, after it kept its partition", lines(poll("0a"), assign(0), poll("2c 3d")), "poll-skip", Violated},
		{"past a record, after it had another partition", lines(poll("0a"), assign(1), poll("2c 3d")), "", Holds},
		{"past a record, after an assignment that failed", lines(poll("0a"), with(assign(0), `"outcome":"failed"`), poll("2c 3d")), "", Holds},
		{"past one that another member has, and one that nobody has", lines(with(poll("1b"), by("c1"), ofGroup("g")), with(poll("0a"), ofGroup("g")), with(poll("3d"), ofGroup("g"))), "poll-skip", Violated},
		{"past one that nobody has, and one that another member has", lines(with(poll("2c"), by("c1"), ofGroup("g")), with(poll("0a"), ofGroup("g")), with(poll("3d"), ofGroup("g"))), "poll-skip", Violated},
		{"past what another member has", lines(with(poll("1b 2c"), by("c1"), ofGroup("g")), with(poll("0a"), ofGroup("g")), with(poll("3d"), ofGroup("g"))), "poll-skip", Holds},
		{"a transaction's offsets count once", lines(with(poll("0a"), in("t1")), with(position(1), in("t1")), end("t1", "ok"), poll("1b"), position(2), end("t2", "ok"), end("t3", "failed"), poll("2c 3d")), "", Holds},
		{"it goes on where it was after a transaction that failed", lines(poll("0a"), position(1), with(poll("1b"), in("t1")), end("t1", "failed"), poll("1b 2c 3d")), "", Holds},
		{"it goes on elsewhere after a transaction that failed", lines(poll("0a"), position(1), with(poll("1b"), in("t1")), end("t1", "failed"), poll("2c 3d")), "poll-skip", Violated},
		{"past what another member has, after a transaction that undid nothing", lines(with(poll("2c"), by("c1"), ofGroup("g")), with(poll("0a 1b"), ofGroup("g")), position(2), end("t1", "failed"), with(poll("3d"), ofGroup("g"))), "poll-skip", Holds},
		{"it goes on behind what it committed, though another transaction failed", lines(poll("0a"), position(1), poll("1b"), with(poll("2c"), in("t1")), end("t1", "ok"), end("t2", "failed"), poll("2c 3d")), "poll-skip", Violated},
		{"nobody knows where it goes on after one of an open outcome", lines(poll("0a"), position(1), with(poll("1b"), in("t1")), end("t1", "indeterminate"), poll("3d")), "", Holds},
		{"nor after the next that failed", lines(poll("0a"), position(1), with(poll("1b"), in("t1")), end("t1", "indeterminate"), end("t2", "failed"), poll("3d")), "", Holds},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := judgeText(t, slices.Concat(logged, c.lines, lines(read))...)
			n := found(j)
			delete(n, nonmonotonicPoll)
			if j.Verdict != c.verdict || len(n) != min(1, len(c.want)) || c.want != "" && n[c.want] != 1 {
				t.Errorf("%v %v, because %q", j.Verdict, n, j.Reasons)
			}
		})
	}
}

func TestASkipIsToldFromWhereToWhere(t *testing.T) {
	j := judgeText(t, send("ok", "a", 0), send("ok", "b", 1), send("ok", "c", 2), poll("0a"), poll("2c"), final(0, 3, "0a 1b 2c"))
	if len(j.Findings) != 1 || !strings.Contains(j.Findings[0].Witnesses[0].Detail, "from offset 0 to 2, past this record") {
		t.Errorf("%+v", j.Findings)
	}
}

// A skip over offsets that hold nothing is one if a record stands behind them.
func TestASkipOverHolesAndARecord(t *testing.T) {
	sends := lines(send("ok", "a", 0), with(send("ok", "x", 1), in("t1")), closing("t1", "failed"), send("ok", "c", 3), send("ok", "d", 4))
	for _, c := range []struct {
		to   string
		want int
	}{{"3c", 0}, {"4d", 1}} {
		if j := judgeText(t, slices.Concat(sends, lines(poll("0a"), poll(c.to), final(0, 5, "0a 3c 4d")))...); found(j)[pollSkip] != c.want {
			t.Errorf("to %s: %v", c.to, found(j))
		}
	}
}

// A lost record does not hide one behind it that was skipped.
func TestASkipOverALostRecordAndAnother(t *testing.T) {
	j := judgeText(t, send("ok", "a", 0), send("ok", "b", 1), send("ok", "c", 2), send("ok", "d", 3), poll("0a"), poll("3d"), final(0, 4, "0a 2c 3d"))
	if n := found(j); n[pollSkip] != 1 || n[lostWrite] != 1 {
		t.Errorf("%v", n)
	}
}

// A record that was got as its transaction ended was not got before.
func TestAReadAtTheEndOfATransactionIsNotEarly(t *testing.T) {
	for ret, want := range map[string]int{`"return":800000000`: 1, `"return":900000000`: 0} {
		j := judgeText(t, send("ok", "a", 0, in("t1")), with(poll("0a"), in("t1"), by("p0"), `"call":700000000`, ret),
			closing("t1", "ok", `"call":850000000`, `"return":900000000`), final(0, 2, "0a"))
		if found(j)[precommittedRead] != want {
			t.Errorf("%s: %v", ret, found(j))
		}
	}
}

// Commits that failed took no effect, and say nothing against what a group's position shows.
func TestCommitsThatFailedExplainNothing(t *testing.T) {
	lost := func(more ...string) []string {
		return append(billing("ok", append(lines(commit("t1", 2)), append(more, final(2, 3, ""))...)...), stands(2))
	}
	other := strings.Replace(position(2), "c0", "w1", 1)
	for _, c := range []struct {
		name string
		more []string
		want int
	}{
		{"the transaction's commit alone", nil, 1},
		{"another that failed", lines(with(other, `"outcome":"failed"`)), 1},
		{"another of a transaction that failed", lines(with(other, in("t2")), closing("t2", "failed", by("w1"))), 1},
		{"another that may have been", lines(with(other, `"outcome":"indeterminate"`)), 0},
		{"another that was", lines(other), 0},
		{"another group's", lines(with(other, ofGroup("h"))), 1},
	} {
		if j := judgeText(t, lost(c.more...)...); found(j)[tornTransaction] != c.want {
			t.Errorf("%s: %v", c.name, found(j))
		}
	}
}

// An output in the log past whose input nobody ever committed tears its transaction, if the transaction committed offsets.
func TestOutputsWithoutAnOffset(t *testing.T) {
	bill := func(output string, more ...string) []string {
		return slices.Concat(lines(head(`"inputs":["orders"]`, `"outputs":["bills"]`), send("ok", "a", 0), send("ok", "b", 1), output), more,
			lines(closing("t1", "ok", by("w0")), final(0, 2, "0a 1b"), final(1, 0, "")))
	}
	output := func(outcome string, more ...string) string {
		return send(outcome, "y", 1, append([]string{in("t1"), by("w0"), to(2), from(1)}, more...)...)
	}
	for _, c := range []struct {
		name  string
		lines []string
		want  int
	}{
		{"committed past it", bill(output("ok"), commit("t1", 2), final(2, 3, "1y")), 0},
		{"committed before it", bill(output("ok"), commit("t1", 1), final(2, 3, "1y")), 1},
		{"its answer is open", bill(output("indeterminate"), commit("t1", 1), final(2, 3, "1y")), 1},
		{"it failed, and is in the log all the same", bill(send("failed", "y", -1, in("t1"), by("w0"), to(2), from(1)), commit("t1", 1), final(2, 3, "1y")), 0},
		{"it is not in the log, and its answer is open", bill(output("indeterminate"), commit("t1", 1), final(2, 3, "")), 0},
		{"it was sent again", bill(output("indeterminate")+"\n"+output("ok", attempt(2)), commit("t1", 1), final(2, 3, "1y")), 0},
		{"it was sent again, beside one that was not", bill(send("ok", "x", 0, in("t1"), by("w0"), to(2), from(0))+"\n"+output("indeterminate")+"\n"+output("ok", attempt(2)), commit("t1", 1), final(2, 3, "0x 1y")), 0},
		{"nothing was committed", bill(output("ok"), final(2, 3, "1y")), 0},
	} {
		if j := judgeText(t, c.lines...); found(j)[tornTransaction] != c.want {
			t.Errorf("%s: %v", c.name, found(j))
		}
	}
}

// One position took effect and another did not, or one output is missing: each is enough.
func TestATransactionIsTornByOnePart(t *testing.T) {
	both := strings.Replace(commit("t1", 1), `{"orders/0":1}`, `{"orders/0":1,"orders/1":1}`, 1)
	at := func(first, second int) []string {
		return lines(stands(first), strings.Replace(stands(second), "orders/0", "orders/1", 1))
	}
	x := func(outcome string, more ...string) string {
		return send(outcome, "x", 0, append([]string{in("t1"), by("w0"), to(2), from(0)}, more...)...)
	}
	inputs := lines(head(`"inputs":["orders"]`, `"outputs":["bills"]`), send("ok", "a", 0), send("ok", "b", 0, to(1)))
	ends := lines(closing("t1", "ok", by("w0")), final(0, 1, "0a"), final(1, 1, "0b"))
	for _, c := range []struct {
		name  string
		sent  []string
		log   string
		stand []string
		want  int
	}{
		{"both positions, its output sent twice", lines(x("indeterminate"), x("ok", attempt(2))), "0x", at(1, 1), 0},
		{"one position of two, its output sent twice", lines(x("indeterminate"), x("ok", attempt(2))), "0x", at(1, 0), 1},
		{"the other position, its output sent twice", lines(x("indeterminate"), x("ok", attempt(2))), "0x", at(0, 0), 0},
		{"its position, and not its one output", lines(x("ok")), "", at(1, 1), 1},
	} {
		j := judgeText(t, slices.Concat(inputs, c.sent, lines(both), ends, lines(final(2, 2, c.log)), c.stand)...)
		if found(j)[tornTransaction] != c.want {
			t.Errorf("%s: %v", c.name, found(j))
		}
		if c.want == 1 && c.log != "" {
			if w := witnessOf(t, j, tornTransaction); w.Partition != "orders/1" || *w.Offset != 1 || !strings.Contains(w.Detail, "this position was lost and that in orders/0 was not") {
				t.Errorf("%s: %+v", c.name, w)
			}
		}
	}
}

// Who writes a history of exactly-once processing by hand has to show that the input was processed, and to its end.
func TestInputThatNobodyProcessedIsNoGroundToHold(t *testing.T) {
	out := func(value string, at, from0 int) string {
		return send("ok", value, at, in("t1"), by("w0"), to(2), from(from0))
	}
	start := lines(head(promised(ExactlyOnceTransactions), `"inputs":["orders"]`, `"outputs":["bills"]`), send("ok", "a", 0), send("ok", "b", 1))
	orders, none := final(0, 2, "0a 1b"), final(1, 0, "")
	for _, c := range []struct {
		name    string
		lines   []string
		verdict Verdict
		reason  string
	}{
		{"to its end", lines(out("x", 0, 0), out("y", 1, 1), commit("t1", 2), closing("t1", "ok", by("w0")), orders, none, final(2, 3, "0x 1y"), stands(2)), Holds, ""},
		{"half of it", lines(out("x", 0, 0), commit("t1", 1), closing("t1", "ok", by("w0")), orders, none, final(2, 2, "0x"), stands(1)), Inconclusive, "did not cover their input to its end: orders/0"},
		{"nothing of it", lines(orders, none, final(2, 0, "")), Inconclusive, "the processors wrote nothing"},
	} {
		j := judgeText(t, append(slices.Clone(start), c.lines...)...)
		if j.Verdict != c.verdict || !strings.Contains(strings.Join(j.Reasons, "; "), c.reason) {
			t.Errorf("%s: %s, because %q", c.name, j.Verdict, j.Reasons)
		}
	}
}

// The inputs of processors are gone through to where they committed, whatever is missing in between.
func TestInputsAreGoneThroughToTheEnd(t *testing.T) {
	out := func(value string, at, from0 int, name string) string {
		return send("ok", value, at, in(name), by("w0"), to(2), from(from0))
	}
	start := lines(head(promised(AtLeastOnce), `"inputs":["orders"]`, `"outputs":["bills"]`), send("ok", "a", 0), send("ok", "b", 1), send("ok", "c", 2))
	for _, c := range []struct {
		name  string
		lines []string
		want  int
	}{
		{"one behind a lost one has no output", lines(out("x", 0, 2, "t1"), commit("t1", 3), closing("t1", "ok", by("w0")), final(0, 3, "1b 2c"), final(1, 0, ""), final(2, 2, "0x")), 1},
		{"they came to the end", lines(out("x", 0, 0, "t1"), out("y", 1, 1, "t1"), out("z", 2, 2, "t1"), commit("t1", 3), closing("t1", "ok", by("w0")), final(0, 3, "0a 1b 2c"), final(1, 0, ""), final(2, 4, "0x 1y 2z")), 0},
	} {
		j := judgeText(t, append(slices.Clone(start), c.lines...)...)
		if found(j)[unprocessed] != c.want {
			t.Errorf("%s: %v, because %q", c.name, found(j), j.Reasons)
		}
	}
	for cover, behind := range map[int64]bool{1: true, 2: true, 3: false, 4: false} {
		l := book(run{recorded: true})
		l.groups[""] = &group{cover: []int64{cover, 0}}
		for seq := range int64(3) {
			i := l.values.index(log.Value{Session: 1, Seq: seq})
			l.values.raise(i, rankOK)
			l.values.mark(i, inFirst)
			l.place(claim{place{0, seq}, i, true})
		}
		l.parts[0].reached[0] = 3
		o := &outputs{court: &court{ledger: l}, answered: make([]packed, 2)}
		o.unanswered(0)
		if got := slices.Equal(o.behind, []string{"orders/0"}); got != behind {
			t.Errorf("committed to %d: behind are %q", cover, o.behind)
		}
	}
}

// Where an output went nobody may know: then it is in the log if any partition has it and all were read.
func TestWhetherAnOutputWasCommitted(t *testing.T) {
	for _, c := range []struct {
		name      string
		partition int32
		reached   [2]int64 // of the final read, by partition
		bits      state
		want      bool
	}{
		{"in its partition", 0, [2]int64{5, -1}, inFirst, true},
		{"not in its partition", 0, [2]int64{5, -1}, proof, false},
		{"its partition was not read, a reader got it", 0, [2]int64{-1, 5}, proof, true},
		{"its partition was not read, nobody got it", 0, [2]int64{-1, 5}, sent, false},
		{"somewhere, and all was read", log.Unknown, [2]int64{5, 5}, inFirst, true},
		{"nowhere, and all was read", log.Unknown, [2]int64{5, 5}, proof, false},
		{"nobody knows where, not all was read, a reader got it", log.Unknown, [2]int64{5, -1}, proof, true},
		{"nobody knows where, not all was read, nobody got it", log.Unknown, [2]int64{5, -1}, inFirst, false},
	} {
		l := book(run{})
		for p, reached := range c.reached {
			l.parts[p].reached[0] = reached
		}
		i := l.values.index(log.Value{Session: 1})
		l.values.raise(i, rankIndeterminate)
		l.values.mark(i, c.bits)
		o := &outputs{court: &court{ledger: l}}
		if got := o.committed(&view{Op: &log.Op{Partition: c.partition}, value: i}); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestATransactionThatDidNotEndHasNoEnd(t *testing.T) {
	for ended, want := range map[int64]int64{math.MaxInt64: log.Unknown, 7: 7, 0: 0} {
		if got := atEnd(&txn{ended: ended}); got != want {
			t.Errorf("%d: %d", ended, got)
		}
	}
}

// In a recorded run the effects of the group that processes are judged, and no other's.
func TestWhoseEffectsAreJudged(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*recorded)
		group string
		want  int
	}{
		{"the run's group", func(*recorded) {}, "readers", 1},
		{"another group", func(*recorded) {}, "others", 0},
		{"nobody processes", func(r *recorded) { r.meta.Judged.Processed = false }, "readers", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := goodRun()
			r.meta.Judged.Group = "readers"
			c.spoil(r)
			for i := range int64(2) {
				o := op(log.Process)
				o.Group, o.Records, o.Call, o.Return = c.group, []log.Record{{Offset: 9, Value: log.Value{Producer: 0, Session: 1, Seq: 9}}}, (3500+i)*ms, (3501+i)*ms
				r.add("c0", o)
			}
			if n := found(r.judge(t))[reprocessed]; (n > 0) != (c.want > 0) {
				t.Errorf("%d", n)
			}
		})
	}
}

// A group has handled what it has come past; of the rest nobody can say so before it has come to the end.
func TestWhatAGroupHasNotHandled(t *testing.T) {
	never := func(n int64) func(*recorded) {
		return func(r *recorded) {
			r.without("c0", func(o log.Op) bool { return o.Kind == log.Process && seq(n)(o) })
		}
	}
	nowhere := func(n int64) func(*recorded) {
		return func(r *recorded) {
			never(n)(r)
			(*r.of("p0"))[n].Offset = log.Unknown
		}
	}
	for _, c := range []struct {
		name    string
		drained bool
		spoil   func(*recorded)
		verdict Verdict
		want    int
	}{
		{"the first", false, never(0), Violated, 1},
		{"the last but one", false, never(sends - 2), Violated, 1},
		{"the last, and a commit past it failed", false, func(r *recorded) {
			never(sends - 1)(r)
			past := op(log.Commit)
			past.Outcome, past.Offsets, past.Call, past.Return = log.Failed, []log.PartitionOffset{{Partition: 0, Offset: sends}}, 3500*ms, 3501*ms
			r.add("c0", past)
		}, Inconclusive, 0},
		{"the last, and it came to the end", true, never(sends - 1), Violated, 1},
		{"the last, and it did not come to the end", false, never(sends - 1), Inconclusive, 0},
		{"nobody knows which, and it came to the end", true, nowhere(120), Violated, 1},
		{"nobody knows which, and it did not come to the end", false, nowhere(120), Inconclusive, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := goodRun()
			r.meta.Judged.Drained = c.drained
			c.spoil(r)
			if j := r.judge(t); j.Verdict != c.verdict || found(j)[unprocessed] != c.want {
				t.Errorf("%v %v, because %q", j.Verdict, found(j), j.Reasons)
			}
		})
	}
}

// A reader of committed records that stopped before a transaction, though it goes on behind.
func TestWhatHoldsAPartition(t *testing.T) {
	uncommitted := func(reached int, text string) string { return pass(2, reached, text, "read_uncommitted") }
	untold := func(line string) string { return strings.Replace(line, `"reached":0,`, "", 1) }
	ends := `{"op":"ends","ends":{"orders/0":3}}`
	for _, c := range []struct {
		name  string
		lines []string
		want  int
	}{
		{"at its beginning", lines(with(send("ok", "a", 0), in("t1")), ends, pass(1, 0, "", "read_committed"), uncommitted(3, "0a")), 1},
		{"within", lines(send("ok", "a", 0), with(send("ok", "b", 1), in("t1")), ends, pass(1, 1, "0a", "read_committed"), uncommitted(3, "0a 1b")), 1},
		{"within, as far as its records tell", lines(send("ok", "a", 0), with(send("ok", "b", 1), in("t1")), ends, untold(pass(1, 0, "0a", "read_committed")), untold(uncommitted(0, "0a 1b 2b"))), 1},
		{"one record short of the end, as far as its records tell", lines(send("ok", "a", 0), with(send("ok", "b", 1), in("t1")), ends, untold(pass(1, 0, "0a", "read_committed")), untold(uncommitted(0, "0a 1b"))), 0},
		{"not at all, as far as its records tell", lines(send("ok", "a", 0), with(send("ok", "b", 1), in("t1")), ends, untold(pass(1, 0, "0a 2b", "read_committed")), untold(uncommitted(0, "0a 1b 2b"))), 0},
		{"before an acknowledged one that nobody read, which does not count", lines(send("ok", "a", 0), send("ok", "c", 1), with(send("ok", "b", 2), in("t1")), ends, pass(1, 1, "0a", "read_committed"), uncommitted(3, "0a 2b")), 1},
		{"before a record without a transaction", lines(send("ok", "a", 0), send("ok", "b", 1), ends, pass(1, 1, "0a", "read_committed"), uncommitted(3, "0a 1b")), 0},
		{"not at all", lines(send("ok", "a", 0), with(send("ok", "b", 1), in("t1")), ends, pass(1, 3, "0a", "read_committed"), uncommitted(3, "0a 1b")), 0},
		{"nobody read the rest", lines(send("ok", "a", 0), with(send("ok", "b", 1), in("t1")), ends, pass(1, 1, "0a", "read_committed")), 0},
		{"the uncommitted ones were not read to the end", lines(send("ok", "a", 0), with(send("ok", "b", 1), in("t1")), ends, pass(1, 1, "0a", "read_committed"), uncommitted(2, "0a 1b")), 0},
	} {
		if j := judgeText(t, c.lines...); found(j)[hangingTransaction] != c.want {
			t.Errorf("%s: %v", c.name, found(j))
		}
	}
}

// A value that stands in several places shows no more than that readers came to the first of them.
func TestACopyFurtherOnIsNoProofThatReadersCameThere(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines []string
		want  int
	}{
		{"one copy", lines(send("ok", "a", 5), send("ok", "b", 3), poll("5a")), 1},
		{"the later of two copies", lines(send("ok", "a", 0), send("ok", "a", 5, attempt(2)), send("ok", "b", 3), poll("5a")), 0},
	} {
		if j := judgeText(t, c.lines...); found(j)[lostWrite] != c.want {
			t.Errorf("%s: %v", c.name, found(j))
		}
	}
}

// A regression is shown beside the first record of the newer epoch.
func TestARegressionIsShownBesideTheEpochsFirst(t *testing.T) {
	r := goodRun()
	ops := *r.of("final")
	ops[1].Records = slices.Clone(ops[1].Records)
	for i := range ops[1].Records {
		ops[1].Records[i].Epoch = int32(i / 100)
	}
	ops[1].Records[250].Epoch = 1
	j := r.judge(t)
	if found(j)[leaderEpochRegression] != 1 {
		t.Fatalf("%v", found(j))
	}
	w := j.Findings[0].Witnesses[0]
	if *w.Offset != 250 || !slices.Equal(w.about.places, []place{{0, 250}, {0, 200}}) && !slices.Equal(w.about.places, []place{{0, 200}}) {
		t.Errorf("%d beside %v", *w.Offset, w.about.places)
	}
}

// Processors have come as far as their group committed, and everywhere where the run waited for them.
func TestHowFarProcessorsHaveCome(t *testing.T) {
	groups := map[string]*group{"billing": {cover: []int64{5}}, "readers": {cover: []int64{7}}}
	for _, c := range []struct {
		name string
		run  run
		want int64
	}{
		{"the run waited", run{recorded: true, drained: true}, math.MaxInt64},
		{"it did not", run{recorded: true, group: "billing"}, 5},
		{"written by hand: whoever came furthest", run{}, 7},
	} {
		o := &outputs{court: &court{ledger: &ledger{run: c.run, groups: groups}}}
		if got := o.covered(0); got != c.want {
			t.Errorf("%s: %d", c.name, got)
		}
	}
	if upTo(math.MaxInt64) != "the end" || upTo(7) != "offset 7" {
		t.Errorf("%q, %q", upTo(math.MaxInt64), upTo(7))
	}
}

// A position shows that a transaction took effect if the transaction answered the last record before it: that one, lost or
// not, and no earlier one.
func TestTheLastRecordBeforeAPosition(t *testing.T) {
	out := func(value string, at, from0 int, name string) string {
		return send("ok", value, at, in(name), by("w0"), to(2), from(from0))
	}
	start := lines(head(`"inputs":["orders"]`, `"outputs":["bills"]`), send("ok", "a", 0), send("ok", "b", 1))
	for _, c := range []struct {
		name  string
		lines []string
		want  int
	}{
		{"it answered the last", lines(out("y", 1, 1, "t1"), commit("t1", 2), closing("t1", "ok", by("w0")), final(0, 2, "0a 1b"), final(1, 0, ""), final(2, 2, ""), stands(2)), 1},
		{"it answered an earlier one", lines(out("x", 1, 0, "t1"), commit("t1", 2), closing("t1", "ok", by("w0")), final(0, 2, "0a 1b"), final(1, 0, ""), final(2, 2, ""), stands(2)), 0},
		{"it answered the first, which is lost", lines(out("x", 1, 0, "t1"), commit("t1", 1), closing("t1", "ok", by("w0")), final(0, 2, "1b"), final(1, 0, ""), final(2, 2, ""), stands(1)), 1},
	} {
		if j := judgeText(t, append(slices.Clone(start), c.lines...)...); found(j)[tornTransaction] != c.want {
			t.Errorf("%s: %v", c.name, found(j))
		}
	}
}

// What a killed session sent behind its log is not foreign, and has no place in the order of sends, of which no log tells.
func TestWhatNoLogTellsOfAKilledSession(t *testing.T) {
	r := goodRun()
	r.open = []log.Client{{Name: "p0", Session: 1}}
	r.meta.Workers[0].Killed = true
	ops := *r.of("final")
	ops[0].Offsets = []log.PartitionOffset{{Partition: 0, Offset: sends + 2}}
	ops[1].Reached = sends + 2
	ops[1].Records = append(slices.Clone(ops[1].Records),
		log.Record{Offset: sends, Value: log.Value{Session: 1, Seq: sends + 1}}, log.Record{Offset: sends + 1, Value: log.Value{Session: 1, Seq: sends}})
	if j := r.judge(t); j.Verdict != Holds || len(j.Findings) != 0 || j.Counts.Indeterminate != 2 || j.Counts.Sent != sends+2 {
		t.Errorf("%v %v, because %q, counts %+v", j.Verdict, found(j), j.Reasons, j.Counts)
	}
}
