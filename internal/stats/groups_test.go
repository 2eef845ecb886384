package stats

import (
	"testing"
	"time"

	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
)

// stored is the seq-th record, which is due and sent ms before it is acknowledged at an offset.
func stored(seq int, offset int64, acked float64) history.Op {
	op := send(seq, 0, acked-1, acked-1, acked, history.OK)
	op.Offset, op.Size = offset, 1024
	return op
}

// given is a poll of a group that returned the records from one offset up to another, of which each is the seq-th with the
// same number.
func given(group string, at float64, from, to int) history.Op {
	op := poll(at)
	op.Group = group
	for n := from; n < to; n++ {
		r := record(n, float64(10*n+9))
		r.Offset = int64(n)
		op.Records = append(op.Records, r)
	}
	return op
}

// read is a run whose groups read its only topic.
func read(from, to float64, groups ...string) rundir.Meta {
	m := measuring(from, to)
	m.Judged.Acks = "all"
	m.Topics = []rundir.Topic{{Name: "orders", Partitions: 1, Role: "load"}}
	for _, g := range groups {
		m.Judged.Groups = append(m.Judged.Groups, rundir.Group{Name: g})
	}
	return m
}

// ten are acknowledged at 10, 20, … 100 ms.
func ten() ops {
	var o ops
	for n := range 10 {
		o = append(o, stored(n, int64(n), float64(10*n+10)))
	}
	return o
}

func TestAGroupIsBehindByWhatIsStoredAndWasNotGivenToIt(t *testing.T) {
	o := append(ten(), given("quick", 55, 0, 3), given("quick", 105, 3, 8), given("slow", 95, 0, 1))
	f := compute(t, o, header("orders/0"), read(0, 100, "quick", "slow", "absent"))
	for _, want := range []struct {
		name            string
		most, end, read uint64
	}{
		{"quick", 7, 2, 8},    // 5 until 55, 2 then, 7 until 105
		{"slow", 9, 9, 1},     // 9 until 95, 8 then, 9 from 100 on
		{"absent", 10, 10, 0}, // never came
	} {
		g := groupOf(t, f, want.name)
		if g.Behind.Most == nil || *g.Behind.Most != want.most || *g.Behind.End != want.end || g.Read != want.read {
			t.Errorf("%s: most %v, end %v, read %d; want %+v", want.name, deref(g.Behind.Most), deref(g.Behind.End), g.Read, want)
		}
	}
	if q := groupOf(t, f, "quick"); q.EndToEnd.Response.Count() != 8 {
		t.Errorf("%d latencies of 8 records", q.EndToEnd.Response.Count())
	} else {
		wantQuantile(t, "end to end", &q.EndToEnd.Response, 1, 66*time.Millisecond, time.Millisecond) // due at 39, given at 105
	}
}

func TestHowFarAGroupIsBehindIsUnknownWithoutOffsets(t *testing.T) {
	m := read(0, 100, "readers")
	m.Judged.Acks = "0"
	if g := groupOf(t, compute(t, append(ten(), given("readers", 105, 0, 8)), header("orders/0"), m), "readers"); g.Behind.Most != nil || g.Behind.End != nil {
		t.Errorf("behind by %v, and %v at the end, though acks=0 tells no offsets", deref(g.Behind.Most), deref(g.Behind.End))
	}
}

// A group cannot be given what a transaction holds before that has ended, and never what was aborted.
func TestATransactionCountsOnceItIsCommitted(t *testing.T) {
	for name, c := range map[string]struct {
		end  history.Outcome
		most uint64
	}{
		"committed": {history.OK, 10}, "aborted": {history.Failed, 0}, "nobody knows": {history.Indeterminate, 0},
	} {
		t.Run(name, func(t *testing.T) {
			o := ten()
			for i := range o {
				o[i].Txn = 1
			}
			o = append(o, history.Op{Kind: history.Txn, Txn: 1, Outcome: c.end, Return: int64(110 * ms)})
			g := groupOf(t, compute(t, o, header("orders/0"), read(0, 100, "readers")), "readers")
			if *g.Behind.Most != c.most || *g.Behind.End != c.most {
				t.Errorf("behind by %d at most and %d at the end, want %d", *g.Behind.Most, *g.Behind.End, c.most)
			}
		})
	}
}

// Ten records are built up until 100 ms, the readers start at 200; then come records one each 10 ms, so that whoever is behind by
// at most 10 of them (a tenth of a second) has caught up.
func TestABacklogIsDrainedAndThenCaughtUpWith(t *testing.T) {
	m := read(300, 500, "readers")
	rate := 100.0
	m.Load.RatePerS = &rate
	m.Load.Backlog = &rundir.Backlog{Records: 10, Start: 1, Built: int64(101 * ms), Read: int64(200 * ms)}
	o := ten()
	for n := 10; n < 40; n++ { // 310, 320, … 600
		op := stored(n, int64(n), float64(10*n+210))
		o = append(o, op)
	}
	o = append(o, given("readers", 250, 0, 4), given("readers", 435, 4, 10), given("readers", 450, 10, 20))
	f := compute(t, o, header("orders/0"), m)
	d := groupOf(t, f, "readers").Drain
	at := func(what string, got *int64, want float64) {
		t.Helper()
		if got == nil || *got != int64(want*float64(ms)) {
			t.Errorf("%s at %v ns, want %v ms", what, deref(got), want)
		}
	}
	at("first", d.First, 250)
	at("drained", d.Drained, 435)
	at("caught up", d.CaughtUp, 450) // at 435 thirteen stood there, at 450 five
	if d.PerS == nil || *d.PerS != 100 {
		t.Errorf("%v/s, want 20 records in 200 ms", deref(d.PerS))
	}
	if b := f.Backlog; b == nil || b.Acked != 10 || b.AckedPerS == nil || int(*b.AckedPerS) != 109 { // from the call at 9 to 100 ms
		t.Errorf("the backlog: %+v", b)
	}
}

func TestABacklogThatIsNotDrainedHasNoRate(t *testing.T) {
	m := read(300, 500, "readers")
	m.Load.Backlog = &rundir.Backlog{Records: 10, Start: 1, Built: int64(101 * ms), Read: int64(200 * ms)}
	d := groupOf(t, compute(t, append(ten(), given("readers", 250, 0, 4)), header("orders/0"), m), "readers").Drain
	if d.First == nil || d.Drained != nil || d.CaughtUp != nil || d.PerS != nil {
		t.Errorf("four of ten came: %+v", d)
	}
}

func groupOf(t *testing.T, f Figures, name string) Group {
	t.Helper()
	for _, g := range f.Groups {
		if g.Name == name {
			return g
		}
	}
	t.Fatalf("no group %s among %d", name, len(f.Groups))
	return Group{}
}
