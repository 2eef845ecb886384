package check

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
)

// watch looks at the faults: how many records were at risk in each one's window, and whether something shows that the
// promise was defended there.
type watch struct {
	*court
	faults []watched
	before latencies // of acknowledgements before the first fault
	first  int64     // when that began
	sends  uint64    // at risk in the window of any fault
	seen   []intervals
}

// watched is one fault.
type watched struct {
	window
	partitions []int32 // that it could hurt, nil: all
	victims    []int32 // clients that it hit, where it hit one
	producer   bool    // it hit a producer: nobody else's sends were at risk
	reader     bool    // it hit a consumer or a processor
	processor  bool

	sends, refused, unclear uint64
	slowest                 int64
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
	w := &watch{court: c, first: math.MaxInt64, seen: make([]intervals, len(c.parts))}
	for i, window := range c.windows {
		f := watched{window: window, hands: map[int32]*hand{}, held: map[int32]bool{}, heirs: map[string]bool{}}
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
	role, number, _ := strings.Cut(fault.Target, " ")
	f.producer = role == "producer"
	f.processor = role == "processor"
	f.reader = f.processor || role == "consumer"
	for i, client := range c.h.Header.Clients {
		for _, w := range c.run.meta.Workers {
			if w.Role == role && w.Name == client.Name && strings.TrimLeft(w.Name, "abcdefghijklmnopqrstuvwxyz-") == number {
				f.victims = append(f.victims, int32(i))
				break
			}
		}
	}
}

func (c *watch) kinds() []history.Kind {
	return []history.Kind{history.Send, history.Poll, history.Process, history.Commit, history.Assign}
}

func (c *watch) add(v *view) {
	if len(c.faults) == 0 {
		return
	}
	if v.Kind == history.Send {
		c.send(v)
		return
	}
	for i := range c.faults {
		if f := &c.faults[i]; f.reader {
			c.reading(f, v)
		}
	}
	if v.Kind == history.Poll && v.Partition >= 0 && int(v.Partition) < len(c.seen) {
		c.seen[v.Partition].addAll(v.Records)
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
		// What a dead producer's journal left open ended nowhere: its last line in the log is no answer.
		if f.producer && !slices.Contains(f.victims, v.Client) {
			continue
		}
		orphaned := v.Outcome == history.Indeterminate && v.Call <= f.to && slices.Contains(f.victims, v.Client)
		if !orphaned && !f.overlaps(v.Call, v.Return) || len(f.partitions) > 0 && v.Partition >= 0 && !slices.Contains(f.partitions, v.Partition) {
			continue
		}
		switch v.Outcome {
		case history.Failed:
			f.refused++
			continue
		case history.Indeterminate:
			f.unclear++
		case history.OK:
			f.slowest = max(f.slowest, took)
		}
		f.sends++
		exposed = true
	}
	if exposed {
		c.sends++
	}
}

// reading follows what a reader had in hand when a fault hit it, and who went on with it.
func (c *watch) reading(f *watched, v *view) {
	victim := slices.Contains(f.victims, v.Client)
	if victim && v.Return <= f.from {
		c.inHand(f, v)
		return
	}
	if v.Return <= f.from {
		return
	}
	switch v.Kind {
	case history.Poll:
		if v.Partition < 0 || int(v.Partition) >= len(c.seen) {
			return
		}
		for k := range v.Records {
			if c.seen[v.Partition].has(v.Records[k].Offset) {
				f.again++
			}
		}
		if f.overlaps(v.Call, v.Return) {
			f.polled += uint64(len(v.Records))
		}
	case history.Assign:
		for _, p := range v.Partitions {
			if f.held[p] && !slices.Contains(f.victims, v.Client) { // its own next session is no other member
				f.heirs[c.client(v.Client)] = true
			}
		}
	}
}

// inHand follows a victim until the fault.
func (c *watch) inHand(f *watched, v *view) {
	h := f.hands[v.Client]
	if h == nil {
		commit := c.run.meta.Judged.Commit
		h = &hand{
			offsets: map[int32][]int64{}, processed: map[int32]int64{}, commited: map[int32]int64{},
			processes: c.run.processed && !f.processor,
			commits:   f.processor || commit == "after-processing" || commit == "before-processing",
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

// atRisk is the number of records that a fault could have hurt.
func (f *watched) atRisk() uint64 {
	if !f.reader {
		return f.sends
	}
	n := f.polled
	for _, h := range f.hands {
		for _, offsets := range h.offsets {
			n += uint64(len(offsets))
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
		n = max(n, c.faults[i].atRisk())
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
		n := f.atRisk()
		list[i] = FaultJudgement{Name: f.name, Target: f.target, From: f.from, To: f.to, Healed: true, AtRisk: &n, LossRate95: LossRate95(n), Protection: c.signs(f)}
	}
	return list
}

// signs in the history that the promise was defended while a fault lasted.
func (c *watch) signs(f *watched) []string {
	var list []string
	say := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	usual := c.before.p99()
	if least := max(3*usual, int64(50*time.Millisecond)); f.slowest >= least {
		say("an acknowledgement was held back for %v (p99 before the first fault: %v)", round(f.slowest), round(usual))
	}
	if f.refused > 0 {
		say("%d sends were refused", f.refused)
	}
	if f.unclear > 0 {
		say("%d sends were left open rather than acknowledged", f.unclear)
	}
	if f.again > 0 {
		say("%d records were delivered again", f.again)
	}
	if len(f.heirs) > 0 {
		names := make([]string, 0, len(f.heirs))
		for name := range f.heirs {
			names = append(names, name)
		}
		slices.Sort(names)
		say("its partitions went to %s", strings.Join(names, ", "))
	}
	return list
}

func round(ns int64) time.Duration { return time.Duration(ns).Round(100 * time.Microsecond) }

// faultReasons list what faults did not show. A fault that did not bite or had nothing to hurt proves nothing, and
// neither does a promise that never had to be defended.
func (t *trial) faultReasons() []string {
	var list []string
	if t.watch == nil || len(t.run.meta.Faults) == 0 {
		return nil
	}
	defended := false
	for i, judged := range t.watch.judgements() {
		f := t.run.meta.Faults[i]
		name := faultLabel(f.Name, f.Target)
		if f.Error != "" {
			list = append(list, fmt.Sprintf("%s: %s", name, f.Error))
		}
		defended = defended || len(judged.Protection)+len(f.Protection)+len(counted(f)) > 0
		if f.Drawn {
			continue // asked of all that are drawn together
		}
		if !f.Bit {
			list = append(list, fmt.Sprintf("%s did not bite: nothing in the cluster or the system shows it", name))
		}
		if *judged.AtRisk == 0 {
			list = append(list, fmt.Sprintf("nothing was at risk while %s lasted", name))
		}
	}
	list = append(list, t.drawn().reasons()...)
	if !defended {
		list = append(list, "nothing shows that the promise was defended: no acknowledgement was held back, refused, retried or left open, no record delivered again, nobody fenced")
	}
	return list
}

// counted are the clients' own counters that show a defence, as far as they grew after the fault had begun.
func counted(f rundir.Fault) []string {
	var list []string
	for name, n := range f.Counters {
		own := strings.TrimPrefix(name, "client.") // the client library's own
		// Names that begin with an underscore are librdkafka's local errors: a connection broke, nobody defended anything.
		answered := strings.HasPrefix(own, "error.") && !strings.HasPrefix(own, "error._")
		if n > 0 && (own == "retries" || own == "fenced" || answered) {
			list = append(list, fmt.Sprintf("%s: %d", name, n))
		}
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
			return int64(1)<<min(i/2, 62) + int64(i%2+1)<<max(min(i/2, 62)-1, 0)
		}
		rest -= l.buckets[i]
	}
	return 0
}
