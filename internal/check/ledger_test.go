package check

import (
	"math"
	"slices"
	"strings"
	"testing"

	log "github.com/kbench/kbench/internal/history"
)

// book is a ledger of a hand-written history with the clients c0 and c1 and the partitions orders/0 and orders/1.
func book(r run) *ledger {
	return newLedger(&log.History{Header: log.Header{
		Partitions: []string{"orders/0", "orders/1"}, Producers: []string{"p0", "p1"},
		Clients: []log.Client{{Name: "c0", Session: 1}, {Name: "c1", Session: 1}},
	}, Sessions: []log.Session{{Closed: true}, {Closed: true}}}, r)
}

func TestWhatIsNotInTheTableIsNoPartition(t *testing.T) {
	l := book(run{})
	for p, name := range map[int32]string{log.Unknown: "", 0: "orders/0", 1: "orders/1", 2: ""} {
		part := l.part(p)
		if (part != nil) != (name != "") || part != nil && part.name != name {
			t.Errorf("%d: %+v", p, part)
		}
		if has := l.stands(0, place{p, 0}); has {
			t.Errorf("%d has what nobody placed", p)
		}
	}
	l.learnFinal(&log.Op{Kind: log.FinalRead, Partition: log.Unknown, Reached: 5}) // and is no reading of any other
	if l.parts[0].pass() >= 0 || l.parts[1].pass() >= 0 {
		t.Errorf("%+v", l.parts)
	}
}

func TestAPlaceIsAPartitionAndAnOffset(t *testing.T) {
	for _, c := range []struct {
		partition int32
		offset    int64
		known     bool
	}{{0, 0, true}, {1, 7, true}, {log.Unknown, 0, false}, {0, log.Unknown, false}, {log.Unknown, log.Unknown, false}} {
		if got := placeOf(&view{Op: &log.Op{Partition: c.partition, Offset: c.offset}}); slices.Equal(got, []place{{c.partition, c.offset}}) != c.known || len(got) > 1 {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// Reads count for more than acknowledgements, and these for nothing where the whole log was read.
func TestWhoStandsAtAnOffset(t *testing.T) {
	const acked, read, open = "acked", "read", "open"
	for _, c := range []struct {
		name   string
		claims []string
		whole  bool
		want   []int // of claims
	}{
		{"nobody", nil, false, nil},
		{"one that was acknowledged", []string{acked}, false, []int{0}},
		{"one that was acknowledged, and the whole log was read", []string{acked}, true, nil},
		{"one that was read", []string{read}, true, []int{0}},
		{"one acknowledged, one read", []string{acked, read}, false, []int{1}},
		{"one read, one acknowledged", []string{read, acked}, false, []int{0}},
		{"two read", []string{read, read}, false, []int{0, 1}},
		{"two acknowledged", []string{acked, acked}, false, []int{0, 1}},
		{"one that nobody committed", []string{open}, false, nil},
		{"one that nobody committed, one acknowledged", []string{open, acked}, false, []int{1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := book(run{})
			var values []index
			for i, how := range c.claims {
				v := l.values.index(log.Value{Producer: 0, Session: 1, Seq: int64(i)})
				values = append(values, v)
				if how == open {
					l.values.raise(v, rankIndeterminate)
				} else {
					l.values.raise(v, rankOK)
				}
				l.place(claim{place{0, 7}, v, how == read})
			}
			var want []index
			for _, i := range c.want {
				want = append(want, values[i])
			}
			if got := l.standing(place{0, 7}, l.parts[0].offsets.get(7), c.whole); !slices.Equal(got, want) {
				t.Errorf("%v, not %v", got, want)
			}
		})
	}
}

func TestNothingIsCompleteWithoutAPartition(t *testing.T) {
	if newLedger(&log.History{}, run{}).allComplete() {
		t.Error("it is")
	}
}

// A session's log tells of everything that it sent if it was closed and is not torn, whatever became of others'.
func TestWhichLogsAreWhole(t *testing.T) {
	for _, c := range []struct {
		name   string
		spoil  func(*log.History)
		by     sessionKey
		single bool // hand-written
		want   bool
	}{
		{"closed", func(*log.History) {}, sessionKey{producer: 0, session: 1}, false, true},
		{"not closed", func(h *log.History) { h.Sessions[0].Closed = false }, sessionKey{producer: 0, session: 1}, false, false},
		{"another is not closed", func(h *log.History) { h.Sessions[1].Closed = false }, sessionKey{producer: 0, session: 1}, false, true},
		{"torn", func(h *log.History) { h.Tears = []log.Tear{{Client: 0}} }, sessionKey{producer: 0, session: 1}, false, false},
		{"another is torn", func(h *log.History) { h.Tears = []log.Tear{{Client: 1}} }, sessionKey{producer: 0, session: 1}, false, true},
		{"not closed, written by hand", func(h *log.History) { h.Sessions[0].Closed = false }, sessionKey{producer: 0, session: 1}, true, true},
		{"of a session that there was not", func(h *log.History) { h.Sessions[0].Closed = false }, sessionKey{producer: 0, session: 2}, false, true},
		{"of a producer that there was not", func(*log.History) {}, sessionKey{producer: 2, session: 1}, false, true},
		{"of nobody", func(*log.History) {}, sessionKey{producer: -1, session: 1}, false, true},
	} {
		l := book(run{recorded: !c.single})
		l.h.Header.Clients = []log.Client{{Name: "p0", Session: 1}, {Name: "p1", Session: 1}}
		c.spoil(l.h)
		if got := l.wholeLog(c.by); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// In a recorded run who handles and commits without naming a group does so for the run's; a reader without a group reads
// for itself, and so does everyone in a hand-written history.
func TestWhoseGroupAnOperationIsOf(t *testing.T) {
	recorded, written := run{recorded: true, group: "readers"}, run{group: "readers"}
	for _, c := range []struct {
		name  string
		run   run
		kind  log.Kind
		group string
		want  string
	}{
		{"named", recorded, log.Process, "others", "others"},
		{"handled", recorded, log.Process, "", "readers"},
		{"committed", recorded, log.Commit, "", "readers"},
		{"polled", recorded, log.Poll, "", "\x00c1"},
		{"handled, written by hand", written, log.Process, "", "\x00c1"},
		{"named, written by hand", written, log.Process, "others", "others"},
	} {
		if got := book(c.run).group(&log.Op{Kind: c.kind, Group: c.group, Client: 1}).name; got != c.want {
			t.Errorf("%s: %q, not %q", c.name, got, c.want)
		}
	}
}

// A group has to process the topics that it was seen to read: by a poll, an effect, a commit, or what it was assigned.
func TestWhatAGroupReadsItHasToProcess(t *testing.T) {
	other := strings.Replace(position(0, ofGroup("g")), "orders/0", "bills/0", 1)
	for _, c := range []struct {
		name  string
		lines []string
		want  int
	}{
		{"it did not read it", nil, 0},
		{"it polled it", lines(with(poll(""), to(2), ofGroup("g"))), 1},
		{"it was assigned it", lines(with(assign(2), ofGroup("g"))), 1},
		{"it subscribed to it", lines(with(subscribe(2), ofGroup("g"))), 1},
		{"it committed on it", lines(other), 1},
		{"somebody without a group was assigned it", lines(assign(2)), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := judgeText(t, slices.Concat(lines(head(promised(AtLeastOnce)), send("ok", "a", 0), send("ok", "b", 0, to(2)), with(poll("0a"), ofGroup("g")), process("0a")),
				c.lines, lines(final(0, 1, "0a"), final(1, 0, ""), final(2, 1, "0b")))...)
			if found(j)[unprocessed] != c.want {
				t.Errorf("%v", found(j))
			}
		})
	}
}

// Effects of records whose values cannot be told are not effects on one record.
func TestEffectsOnStrangersAreNotOneEffectTwice(t *testing.T) {
	r := goodRun()
	for range 2 {
		o := op(log.Process)
		o.Records = []log.Record{{Offset: 3, Value: log.NoValue}}
		o.Call, o.Return = 3500*ms, 3501*ms
		r.add("c0", o)
	}
	if j := r.judge(t); found(j)[reprocessed] != 0 {
		t.Errorf("%v %v", j.Verdict, found(j))
	}
}

// Transactions have any numbers.
func TestTransactionsAreFoundByTheirNumbers(t *testing.T) {
	txns := newTransactions()
	ids := []uint64{1, 2, 5000, nearTxn, nearTxn + 1, math.MaxInt64 + 1, math.MaxUint64}
	opened := map[*txn]txnName{}
	for _, client := range []int32{1, 0} {
		for _, id := range ids {
			if x := txns.named(client, id); x != nil {
				t.Fatalf("%d of %d is there before it was opened", id, client)
			}
			x := txns.open(&log.Op{Client: client, Txn: id})
			if other, known := opened[x]; known || x.name != (txnName{client, id}) {
				t.Fatalf("%d of %d is %v, %v", id, client, x.name, other)
			}
			opened[x] = x.name
		}
	}
	n := 0
	txns.each(func(x *txn) {
		n++
		if got := txns.named(x.name.client, x.name.id); got != x {
			t.Errorf("%v is %v", x.name, got)
		}
		if got := txns.open(&log.Op{Client: x.name.client, Txn: x.name.id}); got != x {
			t.Errorf("%v was opened again", x.name)
		}
	})
	if n != 2*len(ids) || txns.named(7, 1) != nil {
		t.Errorf("%d transactions", n)
	}
	for id := range uint64(3 * roomSize) { // more than a room
		txns.open(&log.Op{Client: 2, Txn: id + 1})
	}
	for id := range uint64(3 * roomSize) {
		if x := txns.named(2, id+1); x == nil || x.name.id != id+1 {
			t.Fatalf("%d is %v", id+1, x)
		}
	}
}

// What a history tells after a transaction's end counts as if it had been told before.
func TestWhatComesAfterATransactionsEnd(t *testing.T) {
	for _, outcome := range []string{"ok", "failed", "indeterminate"} {
		for _, c := range []struct {
			name string
			line string
			rest []string
		}{
			{"a send", send("ok", "a", 0, in("t1")), lines(send("ok", "b", 0), final(0, 1, "0b"))},
			{"an effect", with(process("0a"), in("t1"), by("p0")), lines(send("ok", "a", 0), poll("0a"), process("0a"), final(0, 1, "0a"))},
			{"offsets of a group", with(position(2), in("t1"), by("p0")), lines(head(), send("ok", "a", 0), send("ok", "b", 1), poll("0a 1b"), process("1b"), final(0, 2, "0a 1b"))},
		} {
			t.Run(outcome+", "+c.name, func(t *testing.T) {
				rest := slices.DeleteFunc(slices.Clone(c.rest), func(line string) bool { return strings.HasPrefix(line, `{"kbench_history"`) })
				end := closing("t1", outcome, `"return":900000000`)
				before := judgeText(t, slices.Concat(lines(c.line, end), rest)...)
				after := judgeText(t, slices.Concat(lines(end, c.line), rest)...)
				if before.Verdict != after.Verdict || len(found(before)) != len(found(after)) {
					t.Errorf("%v %v, and %v %v after the end", before.Verdict, found(before), after.Verdict, found(after))
				}
				for name, n := range found(before) {
					if found(after)[name] != n {
						t.Errorf("%d times %s, and %d after the end", n, name, found(after)[name])
					}
				}
			})
		}
	}
}

// A log may tell of a second end, though a hand-written history may not.
func TestATransactionEndsOnce(t *testing.T) {
	for _, c := range []struct {
		first, second log.Outcome
		want          state
		warned        bool
	}{
		{log.OK, log.OK, rankOK, false}, {log.Failed, log.Failed, rankFailed, false},
		{log.OK, log.Failed, rankOK, true}, {log.Failed, log.OK, rankFailed, true}, {log.Failed, log.Indeterminate, rankFailed, true},
	} {
		l := book(run{})
		value := log.Value{Producer: 0, Session: 1, Seq: 1}
		l.learn(&log.Op{Kind: log.Send, Client: 0, Txn: 1, Value: value, Attempt: 1, Partition: 0, Offset: 3, Outcome: log.OK})
		l.learn(&log.Op{Kind: log.Txn, Client: 0, Txn: 1, Outcome: c.first, Return: 10})
		l.learn(&log.Op{Kind: log.Txn, Client: 0, Txn: 1, Outcome: c.second, Return: 20})
		if x := l.txns.named(0, 1); x.outcome != c.want || x.ended != 10 || l.values.state(l.values.index(value)).rank() != c.want {
			t.Errorf("%v, %v: %v at %d", c.first, c.second, x.outcome, x.ended)
		}
		if warned := len(l.warnings) == 1 && strings.HasSuffix(l.warnings[0], "ends twice, in different ways: the first counts"); warned != c.warned {
			t.Errorf("%v, %v: warnings %q", c.first, c.second, l.warnings)
		}
	}
}

// The position that a group had at the end, and the commits that are known, tell of some whether they took effect.
func TestWhatBecameOfACommit(t *testing.T) {
	type did struct {
		by        int // of the transactions, -1: none
		position  int64
		outcome   log.Outcome
		call, ret int64
	}
	x := []*txn{{outcome: rankOK, ended: 50}, {outcome: rankIndeterminate, ended: math.MaxInt64}}
	for _, c := range []struct {
		name    string
		commits []did
		answers []int64 // offsets that the first transaction answered
		want    fate
		at      int64
	}{
		{"it committed nothing", nil, nil, isUnknown, 0},
		{"that position, and it answered the last record", []did{{0, 5, log.OK, 10, 20}}, []int64{4}, isThere, 5},
		{"that position, and it answered an earlier record", []did{{0, 5, log.OK, 10, 20}}, []int64{3}, isUnknown, 5},
		{"that position, and it answered nothing", []did{{0, 5, log.OK, 10, 20}}, nil, isUnknown, 5},
		{"that position, and so did another", []did{{0, 5, log.OK, 10, 20}, {1, 5, log.OK, 10, 20}}, []int64{4}, isUnknown, 5},
		{"that position, and another without a transaction", []did{{0, 5, log.OK, 10, 20}, {-1, 5, log.OK, 10, 20}}, []int64{4}, isUnknown, 5},
		{"that position, and another came further", []did{{0, 5, log.OK, 10, 20}, {1, 6, log.OK, 10, 20}}, []int64{4}, isThere, 5},
		{"that position twice", []did{{0, 5, log.OK, 10, 20}, {0, 5, log.OK, 30, 40}}, []int64{4}, isThere, 5},
		{"that position, the first time without an answer", []did{{0, 5, log.Indeterminate, 10, 20}, {0, 5, log.OK, 30, 40}}, []int64{4}, isThere, 5},
		{"that position, the second time without an answer", []did{{0, 5, log.OK, 10, 20}, {0, 5, log.Indeterminate, 30, 40}}, []int64{4}, isThere, 5},
		{"that position, never with an answer", []did{{0, 5, log.Indeterminate, 10, 20}}, []int64{4}, isUnknown, 0},
		{"that position and a later one", []did{{0, 5, log.OK, 10, 20}, {0, 6, log.OK, 30, 40}}, []int64{4}, isUnknown, 0},
		{"less than that position", []did{{0, 4, log.OK, 10, 20}}, []int64{4}, isUnknown, 0},
		{"more than that position", []did{{0, 6, log.OK, 10, 20}}, nil, isAbsent, 6},
		{"more, and another set it back before", []did{{0, 6, log.OK, 30, 40}, {-1, 5, log.OK, 10, 29}}, nil, isAbsent, 6},
		{"more, and another set it back just as it began", []did{{0, 6, log.OK, 30, 40}, {-1, 5, log.OK, 10, 30}}, nil, isUnknown, 6},
		{"more, and another may have set it back any time", []did{{0, 6, log.OK, 30, 40}, {-1, 5, log.Indeterminate, 10, 20}}, nil, isUnknown, 6},
		{"more, and a transaction that never ended may have set it back", []did{{0, 6, log.OK, 30, 40}, {1, 5, log.OK, 10, 20}}, nil, isUnknown, 6},
		{"more, the first call before the other's end", []did{{0, 6, log.OK, 60, 70}, {0, 6, log.OK, 20, 22}, {-1, 5, log.OK, 10, 30}}, nil, isUnknown, 6},
		{"more, and it called before the other's end, and again", []did{{0, 6, log.OK, 20, 22}, {0, 6, log.OK, 60, 70}, {-1, 5, log.OK, 10, 30}}, nil, isUnknown, 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := &ending{position: 5, last: 4, by: map[*txn]*advance{}, answers: map[*txn]bool{}}
			for _, offset := range c.answers {
				e.answered(x[0], offset)
			}
			for _, d := range c.commits {
				var of *txn
				if d.by >= 0 {
					of = x[d.by]
				}
				e.commit(of, d.position, &log.Op{Outcome: d.outcome, Call: d.call, Return: d.ret})
			}
			e.sum()
			if at, got := e.fate(x[0]); got != c.want || at != c.at {
				t.Errorf("%d at %d, not %d at %d", got, at, c.want, c.at)
			}
		})
	}
	// One that ended set the group back when it ended, at the latest.
	for _, c := range []struct {
		call int64
		want fate
	}{{50, isUnknown}, {51, isAbsent}} {
		late := &txn{outcome: rankOK, ended: 90}
		e := &ending{position: 5, last: 4, by: map[*txn]*advance{}, answers: map[*txn]bool{}}
		e.commit(x[0], 5, &log.Op{Outcome: log.OK, Call: 10, Return: 20})
		e.commit(late, 6, &log.Op{Outcome: log.OK, Call: c.call, Return: c.call + 1})
		e.sum()
		if _, got := e.fate(late); got != c.want {
			t.Errorf("called at %d: %d", c.call, got)
		}
	}
}

// What is told of a group's position before something moved it is not its position at the end.
func TestAPositionThatWasMovedSinceIsNotKnown(t *testing.T) {
	bill := func(more ...string) []string { return billing("ok", append(more, final(2, 3, "0x 1y"))...) }
	moved := with(position(1), by("w1"))
	for _, c := range []struct {
		name  string
		lines []string
		want  int
	}{
		{"told at the end", append(bill(commit("t1", 2), moved), stands(0)), 1},
		{"told before another commit", append(bill(commit("t1", 2)), stands(0), moved), 0},
		{"told before a commit that failed", append(bill(commit("t1", 2)), stands(0), with(moved, `"outcome":"failed"`)), 0},
		{"told before a commit of another group", append(bill(commit("t1", 2)), stands(0), with(moved, ofGroup("h"))), 1},
		{"told before the transaction's commit", bill(stands(0), commit("t1", 2)), 0},
		{"told before the transaction's end", bill(commit("t1", 2), stands(0)), 0},
	} {
		if j := judgeText(t, c.lines...); found(j)[tornTransaction] != c.want {
			t.Errorf("%s: %v", c.name, found(j))
		}
	}
}
