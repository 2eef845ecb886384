package check

import (
	"math"
	"math/bits"
	"slices"
	"strings"

	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
)

// watch looks at the faults: how many records were at risk in each one's window, and whether something shows that the
// promise was defended there.
type watch struct {
	*court
	faults []watched
	before latencies              // of acknowledgements before the first fault
	first  int64                  // when that began
	began  []int64                // by client: its first call
	sends  uint64                 // at risk in the window of any fault
	seen   map[string][]offsetSet // by group and partition: what its members polled
}

// watched is one fault.
type watched struct {
	window
	partitions []int32 // that it could hurt, nil: all
	victims    []int32 // sessions of the clients that it hit, where it hit any
	producer   bool    // it hit a producer: nobody else's sends were at risk
	reader     bool    // it hit a consumer or a processor
	processor  bool
	groups     []string // of the readers that it hit

	acked, refused, unclear uint64           // sends that it overlapped
	orphans                 map[int32]uint64 // by victim: sends of its own that no log tells the end of
	heldBack                int64            // the longest that an acknowledgement kept waiting once it had begun, ns
	polled, again           uint64
	hands                   map[int32]*hand // by victim
	held                    map[int32]bool  // partitions that the victims had
	heirs                   map[string]bool // who had them afterwards
}

// hand is what a victim had polled and not yet done with when the fault came.
type hand struct {
	offsets             map[int32][]int64
	processed, commited map[int32]int64
	processes, commits  bool // what it does with a record before it is done with it
}

const maxInHand = 1 << 16 // offsets remembered for each victim

func faultWindow(f rundir.Fault, clock rundir.Clock) window {
	w := newWindow(f.Name, f.Target, f.At, math.MaxInt64)
	switch {
	case f.Healed != nil:
		w.to = *f.Healed
	case clock.LoadEnd > f.At:
		w.to = clock.LoadEnd
	}
	return w
}

func newWatch(c *court) *watch {
	w := &watch{court: c, first: math.MaxInt64, seen: map[string][]offsetSet{}, began: make([]int64, len(c.h.Header.Clients))}
	for i := range w.began {
		w.began[i] = math.MaxInt64
	}
	for i, window := range c.windows {
		f := watched{window: window, orphans: map[int32]uint64{}, hands: map[int32]*hand{}, held: map[int32]bool{}, heirs: map[string]bool{}}
		if c.run.recorded {
			c.target(&f, c.run.meta.Faults[i])
		}
		w.first = min(w.first, window.from)
		w.faults = append(w.faults, f)
	}
	return w
}

// target finds out whom a fault could hurt.
func (c *court) target(f *watched, fault rundir.Fault) {
	for _, name := range fault.Partitions {
		if p := slices.Index(c.h.Header.Partitions, name); p >= 0 {
			f.partitions = append(f.partitions, int32(p))
		}
	}
	for _, w := range c.run.meta.Workers {
		if !hits(fault, w) {
			continue
		}
		f.producer = f.producer || w.Role == "producer"
		f.processor = f.processor || w.Role == "processor"
		if w.Role != "producer" {
			f.reader, f.groups = true, append(f.groups, c.run.groupOf(w))
		}
		if i := slices.Index(c.h.Header.Clients, history.Client{Name: w.Name, Session: int32(w.Session)}); i >= 0 {
			f.victims = append(f.victims, int32(i))
		}
	}
}

// hits tells whether a session is one of the worker that a fault names: "producer 0" is p0.
func hits(fault rundir.Fault, w rundir.Worker) bool {
	for _, target := range strings.Split(fault.Target, ", ") {
		role, number, _ := strings.Cut(target, " ")
		if w.Role == role && strings.TrimLeft(w.Name, "abcdefghijklmnopqrstuvwxyz-") == number {
			return true
		}
	}
	return false
}

func (c *watch) kinds() []history.Kind {
	return []history.Kind{history.Send, history.Poll, history.Process, history.Commit, history.Assign}
}

func (c *watch) add(v *view) {
	if len(c.faults) == 0 {
		return
	}
	c.began[v.Client] = min(c.began[v.Client], v.Call)
	if v.Kind == history.Send {
		c.send(v)
		return
	}
	for i := range c.faults {
		if f := &c.faults[i]; f.reader {
			c.reading(f, v)
		}
	}
	c.taking(v)
	if v.Kind == history.Poll && c.part(v.Partition) != nil {
		c.polledBy(c.groupOf(v))[v.Partition].addAll(v.Records)
	}
}

func (c *watch) send(v *view) {
	took := v.Return - v.Call
	// What is usual is told by the measured part: in the warm-up brokers are slower than they will be.
	if v.Return < c.first && v.Outcome == history.OK && (!c.run.recorded || v.Call >= c.run.meta.Clock.MeasureStart) {
		c.before.add(took)
	}
	exposed := false
	for i := range c.faults {
		f := &c.faults[i]
		own := slices.Contains(f.victims, v.Client)
		if f.producer && !own || len(f.partitions) > 0 && v.Partition >= 0 && !slices.Contains(f.partitions, v.Partition) {
			continue
		}
		switch {
		case v.Open && own: // its last line in the log is no answer
			f.orphans[v.Client]++
		case !f.overlaps(v.Call, v.Return):
			continue
		case v.Outcome == history.Failed:
			f.refused++
			continue
		case v.Outcome == history.OK:
			f.acked++
			f.heldBack = max(f.heldBack, v.Return-max(v.Call, f.from))
		default:
			f.unclear++
		}
		exposed = exposed || v.Outcome == history.OK || !c.mayBeLost()
	}
	if exposed {
		c.sends++
	}
}

// mayBeLost tells whether the promise leaves it to chance what becomes of a send without an answer: under at-least-once
// it may be lost, or stored twice.
func (c *watch) mayBeLost() bool { return c.run.guarantee == AtLeastOnce }

// reading follows what a reader had in hand when a fault hit it, and what its group was given in the meantime.
func (c *watch) reading(f *watched, v *view) {
	switch {
	case v.Return <= f.from && slices.Contains(f.victims, v.Client):
		c.inHand(f, v)
	case v.Return > f.from && v.Kind == history.Poll && f.overlaps(v.Call, v.Return) && slices.Contains(f.groups, c.groupOf(v)):
		f.polled += uint64(len(v.Records))
	}
}

// taking looks for who went on with what a victim had: a sign of the fault that had taken the partition from its reader
// last.
func (c *watch) taking(v *view) {
	switch v.Kind {
	case history.Poll:
		if c.part(v.Partition) == nil {
			return
		}
		f, seen := c.lastOn(v.Partition, v), c.polledBy(c.groupOf(v))
		for k := range v.Records {
			if f != nil && seen[v.Partition].has(v.Records[k].Offset) {
				f.again++
			}
		}
	case history.Assign:
		for _, p := range v.Partitions {
			if f := c.lastOn(p, v); f != nil && !slices.Contains(f.victims, v.Client) { // its own next session is no other member
				f.heirs[c.client(v.Client)] = true
			}
		}
	}
}

// groupOf is the group of a reader: the one that the operation names, else its session's.
func (c *watch) groupOf(v *view) string {
	if v.Group != "" {
		return v.Group
	}
	if w := c.run.worker(c.h.Header.Clients[v.Client]); w != nil {
		return c.run.groupOf(*w)
	}
	return ""
}

// polledBy is what a group has polled, by partition.
func (c *watch) polledBy(group string) []offsetSet {
	if c.seen[group] == nil {
		c.seen[group] = make([]offsetSet, len(c.parts))
	}
	return c.seen[group]
}

// lastOn is the fault that hit a partition's reader of the same group last before an operation, nil for none.
func (c *watch) lastOn(p int32, v *view) *watched {
	group := c.groupOf(v)
	var last *watched
	for i := range c.faults {
		f := &c.faults[i]
		if f.reader && f.held[p] && f.from < v.Return && slices.Contains(f.groups, group) && (last == nil || f.from >= last.from) {
			last = f
		}
	}
	return last
}

// inHand follows a victim until the fault.
func (c *watch) inHand(f *watched, v *view) {
	h := f.hands[v.Client]
	if h == nil {
		own := c.run.consumers(c.groupOf(v))
		h = &hand{
			offsets: map[int32][]int64{}, processed: map[int32]int64{}, commited: map[int32]int64{},
			processes: own.Processed && !f.processor,
			commits:   f.processor || own.Commit == "after-processing" || own.Commit == "before-processing",
		}
		f.hands[v.Client] = h
	}
	switch v.Kind {
	case history.Assign:
		clear(f.held)
		for _, p := range v.Partitions {
			f.held[p] = true
		}
	case history.Poll:
		for k := range v.Records {
			if len(h.offsets[v.Partition]) < maxInHand {
				h.offsets[v.Partition] = append(h.offsets[v.Partition], v.Records[k].Offset)
			}
		}
	case history.Process:
		for k := range v.Records {
			h.processed[v.Partition] = max(h.processed[v.Partition], v.Records[k].Offset+1)
		}
		h.drop(v.Partition)
	case history.Commit:
		if v.Outcome != history.OK {
			return
		}
		for _, o := range v.Offsets {
			h.commited[o.Partition] = o.Offset
			h.drop(o.Partition)
		}
	}
}

// drop forgets what is done with: handled and committed, of which a victim may do only one.
func (h *hand) drop(p int32) {
	done := int64(math.MaxInt64)
	if h.processes {
		done = min(done, h.processed[p])
	}
	if h.commits {
		done = min(done, h.commited[p])
	}
	h.offsets[p] = slices.DeleteFunc(h.offsets[p], func(offset int64) bool { return offset < done })
}

func (c *watch) found() []tally { return nil }

// onDuty tells whether a session is the one of its worker that a fault found at work: an earlier one was dead by then.
func (c *watch) onDuty(f *watched, client int32) bool {
	own := c.h.Header.Clients[client]
	return c.began[client] <= f.from && !slices.ContainsFunc(f.victims, func(other int32) bool {
		next := c.h.Header.Clients[other]
		return next.Name == own.Name && next.Session > own.Session && c.began[other] <= f.from
	})
}

// open is the number of a victim's own sends that were without an answer when the fault came.
func (c *watch) open(f *watched) uint64 {
	n := f.unclear
	for client, orphans := range f.orphans {
		if c.onDuty(f, client) {
			n += orphans
		}
	}
	return n
}

// atRisk is the number of records that a fault could have hurt. Only what was acknowledged can be lost; what was left
// open may still be stored twice or out of order, where that is promised.
func (c *watch) atRisk(f *watched) uint64 {
	switch {
	case !f.reader && c.mayBeLost():
		return f.acked
	case !f.reader:
		return f.acked + c.open(f)
	}
	n := f.polled
	for client, h := range f.hands {
		for _, offsets := range h.offsets {
			if c.onDuty(f, client) {
				n += uint64(len(offsets))
			}
		}
	}
	return n
}

// exposed are the records that some fault could have hurt, each counted once; readers have them in hand besides.
func (c *watch) exposed() *uint64 {
	if len(c.faults) == 0 {
		return nil
	}
	n := c.sends
	for i := range c.faults {
		n = max(n, c.atRisk(&c.faults[i]))
	}
	return &n
}

// LossRate95 is the least rate of loss that n records at risk, of which none was lost, would have shown with 95%
// confidence; nil without any.
func LossRate95(n uint64) *float64 {
	if n == 0 {
		return nil
	}
	rate := 1 - math.Pow(0.05, 1/float64(n))
	return &rate
}

// judgements of all faults.
func (c *watch) judgements() []FaultJudgement {
	list := make([]FaultJudgement, len(c.faults))
	for i := range c.faults {
		f := &c.faults[i]
		n := c.atRisk(f)
		list[i] = FaultJudgement{Name: f.name, Target: f.target, From: f.from, To: f.to, Healed: true, AtRisk: &n, LossRate95: LossRate95(n), Protection: c.signs(f)}
	}
	return list
}

// latencies counts by powers of the square root of two: enough to tell a usual one from one that was held back.
type latencies struct {
	buckets [128]uint64
	n       uint64
}

func (l *latencies) add(ns int64) {
	l.buckets[bucket(ns)]++
	l.n++
}

func bucket(ns int64) int {
	if ns < 2 {
		return 0
	}
	power := bits.Len64(uint64(ns)) - 1
	return 2*power + int(uint64(ns)>>(power-1)&1)
}

// p99 is the upper bound of the bucket that holds the 99th percentile, 0 without any.
func (l *latencies) p99() int64 {
	rest := l.n / 100
	for i := len(l.buckets) - 1; i >= 0; i-- {
		if l.buckets[i] > rest {
			power := i / 2
			return int64(1)<<power + int64(i%2+1)<<max(power-1, 0)
		}
		rest -= l.buckets[i]
	}
	return 0
}
