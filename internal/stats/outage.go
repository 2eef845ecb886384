package stats

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
)

// What counts as an interruption, and how long sends must go on to count as steady again.
const (
	leastInterruption = 250 * time.Millisecond
	steadyFor         = time.Second
)

// never is a time after all others.
const never = math.MaxInt64

// Outage is what one fault cost in availability.
type Outage struct {
	// Unavailable is the longest time without an ok send on one partition although a send was waiting, among those that
	// overlap the fault's window. nil: unknown.
	Unavailable *time.Duration
	Partition   string // where that was
	// Recovered is the time from the injection until sends went on steadily; 0 where they were never interrupted.
	// nil: unknown, or never.
	Recovered      *time.Duration
	NeverRecovered bool // a partition that was sent to after the heal gave no ok answer again
}

// gap is a time without an ok send on a partition while at least one send to it was waiting.
type gap struct {
	partition   int32
	from, to    int64
	open        bool  // no ok send ended it
	lastWaiting int64 // open: when the last of the unanswered sends was intended
}

func (g gap) length() int64 { return g.to - g.from }

// outages finds the gaps of each partition in one pass over the sends in order of their return.
//
// A gap runs from the later of the last ok answer and the intended start of the oldest send that waits, so that a time in
// which nobody sent is no outage. The oldest is taken among the send that ends the gap and those which ended without an ok
// answer within it: exact where a partition's answers come in the order of its sends.
type outages struct {
	names     []string
	partition []partitionTrack
	start     int64 // of the measured part
	first     int64 // the first fault
	baseline  int64 // longest gap before the first fault
	faults    []faultTrack
	gaps      []gap // after the first fault and longer than an interruption
	ended     bool  // the load ran to its end
	blind     bool  // an ok send without a partition: nothing by partition can be told
	last      int64 // the latest return seen
}

type partitionTrack struct {
	lastOK               int64 // return of the last ok send
	waitingFrom, waiting int64 // intended starts of the first and the last send since then that got no ok answer
}

type faultTrack struct {
	at, until, healed int64 // the window [at, until); healed: never where it was not
	longest           gap
	tried             bool // a send was intended, or waited, while the fault lasted
	succeeded         bool // a send intended in the window was ok
}

func newOutages(partitions []string, m rundir.Meta) *outages {
	o := &outages{names: partitions, start: m.Clock.MeasureStart, first: never, ended: m.Clock.LoadEnd > 0 && m.Stage != rundir.Interrupted}
	o.partition = make([]partitionTrack, len(partitions))
	for i := range o.partition {
		o.partition[i] = partitionTrack{lastOK: -1, waitingFrom: never, waiting: -1}
	}
	for _, f := range m.Faults {
		o.faults = append(o.faults, faultTrack{at: f.At, until: windowEnd(f, m.Faults), healed: healedAt(f)})
		o.first = min(o.first, f.At)
	}
	return o
}

// windowEnd is when a fault's window ends: with the heal, or the next fault where that is later, or never.
func windowEnd(f rundir.Fault, all []rundir.Fault) int64 {
	next := int64(never)
	for _, other := range all {
		if other.At > f.At {
			next = min(next, other.At)
		}
	}
	return max(next, healedAt(f))
}

func healedAt(f rundir.Fault) int64 {
	if f.Healed == nil {
		return never
	}
	return *f.Healed
}

// add takes the next send in order of return.
func (o *outages) add(op *history.Op) {
	o.last = max(o.last, op.Return)
	intended, ok := start(op), op.Outcome == history.OK
	for i := range o.faults {
		f := &o.faults[i]
		f.tried = f.tried || f.at <= intended && intended <= f.healed
		f.succeeded = f.succeeded || ok && f.at <= intended && intended < f.until
	}
	p := op.Partition
	if p < 0 && len(o.partition) == 1 {
		p = 0
	}
	known := p >= 0 && int(p) < len(o.partition)
	switch {
	case ok && known:
		o.answered(p, intended, op.Return)
	case ok:
		o.blind = true
	case known:
		o.partition[p].wait(intended)
	default: // it may have been meant for any partition
		for i := range o.partition {
			o.partition[i].wait(intended)
		}
	}
}

func (t *partitionTrack) wait(intended int64) {
	t.waitingFrom, t.waiting = min(t.waitingFrom, intended), max(t.waiting, intended)
}

func (o *outages) answered(p int32, intended, at int64) {
	t := &o.partition[p]
	o.take(gap{partition: p, from: max(t.lastOK, min(intended, t.waitingFrom)), to: at})
	*t = partitionTrack{lastOK: at, waitingFrom: never, waiting: -1}
}

// take files a gap under each fault whose window it overlaps.
func (o *outages) take(g gap) {
	if g.to < o.first {
		if g.from >= o.start {
			o.baseline = max(o.baseline, g.length())
		}
		return
	}
	for i := range o.faults {
		f := &o.faults[i]
		f.tried = f.tried || g.to > f.at && g.from <= f.healed && g.length() > 0
		if f.overlaps(g) && g.length() > f.longest.length() {
			f.longest = g
		}
	}
	if g.length() > o.interruption() {
		o.gaps = append(o.gaps, g)
	}
}

func (f faultTrack) overlaps(g gap) bool { return g.to > f.at && g.from < f.until }

// interruption is the length from which a gap counts as one: twice the longest gap before the first fault, and at least
// leastInterruption.
func (o *outages) interruption() int64 { return max(2*o.baseline, int64(leastInterruption)) }

// finish closes what is still open at the end of the load and tells each fault's cost.
func (o *outages) finish(loadEnd int64) []Outage {
	end := max(o.last, loadEnd)
	if loadEnd > 0 {
		end = loadEnd
	}
	for p, t := range o.partition {
		if t.waiting >= 0 {
			from := max(t.lastOK, t.waitingFrom)
			o.take(gap{partition: int32(p), from: from, to: max(end, from), open: true, lastWaiting: t.waiting})
		}
	}
	costs := make([]Outage, len(o.faults))
	for i, f := range o.faults {
		costs[i] = o.cost(f)
	}
	return costs
}

func (o *outages) cost(f faultTrack) Outage {
	if o.blind || !f.tried {
		return Outage{}
	}
	c := Outage{Unavailable: duration(f.longest.length())}
	if f.longest.length() > 0 {
		c.Partition = o.names[f.longest.partition]
	}
	recovered, known := int64(0), f.succeeded || f.longest.length() > 0
	for p := range o.partition {
		at, open := o.steadyAgain(f, int32(p))
		if open.open {
			known = false
			c.NeverRecovered = c.NeverRecovered || o.ended && (f.healed == never || open.lastWaiting > f.healed)
		}
		recovered = max(recovered, at-f.at)
	}
	if known {
		c.Recovered = duration(recovered)
	}
	return c
}

// steadyAgain is when a partition's longest interruption in the fault's window had ended, and no other began within
// steadyFor; the fault's own time where it had none. It returns the gap that never ended, if there is one.
func (o *outages) steadyAgain(f faultTrack, p int32) (int64, gap) {
	var mine []gap
	for _, g := range o.gaps {
		if g.partition == p && f.overlaps(g) {
			mine = append(mine, g)
		}
	}
	if len(mine) == 0 {
		return f.at, gap{}
	}
	if last := mine[len(mine)-1]; last.open {
		return f.at, last
	}
	steady := slices.MaxFunc(mine, func(a, b gap) int { return cmp.Compare(a.length(), b.length()) }).to
	for _, g := range mine {
		if g.to > steady && g.from < steady+int64(steadyFor) {
			steady = g.to
		}
	}
	return steady, gap{}
}

func duration(ns int64) *time.Duration {
	d := time.Duration(ns)
	return &d
}

// start is when a send was intended, or invoked where there was no schedule.
func start(op *history.Op) int64 {
	if op.Intended < 0 {
		return op.Call
	}
	return op.Intended
}
