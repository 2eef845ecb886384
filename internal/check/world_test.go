package check

import (
	"fmt"
	"math/rand/v2"
	"slices"

	log "github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
)

// world is a cluster that keeps its promises, and the clients that use it while brokers, clients and networks fail: what
// they record is a history in which nothing is wrong. Time goes on from step to step; in each one some client does
// something. What it does happens in the cluster at once, and the client learns of it later, or never.
type world struct {
	rng      *rand.Rand
	now      int64
	hist     *chronicle
	ops      []*log.Op
	parts    []*shelf
	actors   []actor
	readers  []*reading
	groups   []*members
	stands   map[string]map[int32]int64 // by group: what it has committed
	free     map[int32]int64            // by client: when its last operation returned
	recorded bool                       // for a run directory: sessions may leave logs that end too early
	drained  bool                       // the clients come to an end
	turn     *source                    // whose it is
	faults   []rundir.Fault
}

// actor is a client, or several that work together.
type actor interface {
	step()
	finish() // come to the end of what there is to do, without any fault
}

// shelf is the log of one partition.
type shelf struct {
	topic string
	start int64
	cells []cell
	epoch int32
}

// cell is one offset.
type cell struct {
	value log.Value // NoValue for a control record, and for what was there and is gone
	deal  *deal     // the transaction it belongs to, nil for none
	epoch int32
}

// deal is a transaction as the cluster knows it.
type deal struct {
	fate   decision
	told   bool // as aborted, to its client
	peeked bool // some reader of uncommitted records has seen it
	parts  map[int32]bool
}

type decision uint8

const (
	undecided decision = iota
	committed
	abandoned
)

func (w *world) chance(percent int) bool { return w.rng.IntN(100) < percent }

func pickOf[T any](w *world, list []T) T { return list[w.rng.IntN(len(list))] }

func (s *shelf) end() int64 { return s.start + int64(len(s.cells)) }

// append stores a record.
func (w *world) append(p int32, v log.Value, d *deal) int64 {
	s := w.parts[p]
	s.cells = append(s.cells, cell{v, d, s.epoch})
	if d != nil {
		d.parts[p] = true
	}
	return s.end() - 1
}

// decide ends a transaction on the brokers: each partition of it gets a control record.
func (w *world) decide(d *deal, f decision) {
	if d.fate != undecided {
		return
	}
	d.fate = f
	for p := range w.parts { // in order, so that a seed gives one history
		if d.parts[int32(p)] {
			w.parts[p].cells = append(w.parts[p].cells, cell{log.NoValue, nil, w.parts[p].epoch})
		}
	}
}

// visible are the records that a reader gets from a position on, at most limit, and its position after them.
func (w *world) visible(p int32, from int64, limit int, isolation log.Isolation) (list []log.Record, next int64) {
	s := w.parts[p]
	for next = max(from, s.start); next < s.end() && len(list) < limit; next++ {
		c := &s.cells[next-s.start]
		if d := c.deal; d != nil && isolation != log.ReadUncommitted {
			if d.fate == undecided {
				return list, next // the last stable offset
			}
			if d.fate == abandoned {
				continue
			}
		} else if d != nil {
			if d.told {
				return list, next // nobody of these readers may see what is known to be aborted
			}
			d.peeked = d.peeked || c.value != log.NoValue
		}
		if c.value == log.NoValue {
			continue
		}
		r := log.Record{Offset: next, Value: c.value, Epoch: c.epoch, Intended: log.Unknown}
		if !w.recorded && w.chance(2) {
			r.Epoch = log.Unknown
		}
		list = append(list, r)
	}
	return list, next
}

// record writes an operation down. One of a client that does one thing after another begins when its last one is over.
func (w *world) record(o log.Op, takes int64) *log.Op {
	o.Call = max(o.Call, w.now)
	o.Return = o.Call + 1 + w.rng.Int64N(takes)
	w.ops = append(w.ops, &o)
	return &o
}

func (w *world) next(o log.Op) *log.Op {
	o.Call = max(w.now, w.free[o.Client])
	done := w.record(o, ms/2)
	w.free[o.Client] = done.Return
	return done
}

func (w *world) busy(client int32) bool { return w.free[client] > w.now }

// birth draws a world: its topics, who is in it, and what may happen.
func birth(seed uint64, recorded bool) *world {
	w := &world{
		rng: rand.New(rand.NewPCG(seed, 4)), free: map[int32]int64{}, recorded: recorded, stands: map[string]map[int32]int64{},
		hist: &chronicle{open: map[int32]bool{}, head: log.Header{Run: 7, Starts: map[int32]int64{}}},
	}
	w.hist.apart = w.chance(40)
	flow := w.chance(50) // there are processors
	transactions := flow || w.chance(60)
	orders := w.topic("orders", 1+w.rng.IntN(3))
	var bills, plain []int32
	if flow {
		bills = w.topic("bills", 1+w.rng.IntN(2))
	}
	if w.chance(60) {
		plain = append(plain, w.topic("audit", 1+w.rng.IntN(2))...)
	}
	if w.chance(40) {
		plain = append(plain, w.topic("state", 1)...)
		w.hist.head.Compacted = []string{"state"}
	}
	w.sources(orders, plain, transactions)
	group := w.chance(70)
	if group {
		w.group("g", "c", 1+w.rng.IntN(3), w.read(orders, plain))
		if w.chance(20) {
			w.group("h", "d", 1+w.rng.IntN(2), orders)
		}
	}
	for i := range w.rng.IntN(3) {
		w.reader(fmt.Sprintf("r%d", i))
	}
	if flow {
		w.processors(orders, bills)
	}
	if w.chance(70) || recorded {
		w.actors = append(w.actors, &trouble{w})
	}
	if w.chance(70) {
		w.actors = append(w.actors, &dust{w})
	}
	w.describe(flow, transactions, group)
	return w
}

// read draws what a group reads.
func (w *world) read(orders, plain []int32) []int32 {
	if w.chance(40) {
		return slices.Concat(orders, plain)
	}
	return orders
}

func (w *world) topic(name string, n int) []int32 {
	var list []int32
	for i := range n {
		p := int32(len(w.parts))
		s := &shelf{topic: name, epoch: int32(w.rng.IntN(3))}
		switch w.rng.IntN(10) {
		case 0, 1, 2:
			s.start = w.rng.Int64N(2000)
		case 3:
			s.start = w.rng.Int64N(1 << 40)
		}
		if w.recorded || w.chance(70) {
			w.hist.head.Starts[p] = s.start
		}
		w.parts = append(w.parts, s)
		w.hist.head.Partitions = append(w.hist.head.Partitions, fmt.Sprintf("%s/%d", name, i))
		list = append(list, p)
	}
	return list
}

// trouble is what befalls the brokers: leaders move, and the epoch grows.
type trouble struct{ *world }

func (t *trouble) step() {
	if !t.chance(30) {
		return
	}
	f := op(log.Fault)
	f.Name, f.Target, f.Client = pickOf(t.world, []string{"kill", "pause", "stop"}), fmt.Sprintf("broker %d", 1+t.rng.IntN(3)), log.Unknown
	done := t.record(f, 20*ms)
	healed := done.Return
	t.faults = append(t.faults, rundir.Fault{Name: f.Name, Target: f.Target, At: done.Call, Healed: &healed, Bit: true, Evidence: []string{"a leader moved"}, Protection: []string{"retried"}})
	for _, s := range t.parts {
		if t.chance(50) {
			s.epoch += 1 + int32(t.rng.IntN(2))
		}
	}
}

func (t *trouble) finish() {}

// dust takes offsets that no record has, where that is normal.
type dust struct{ *world }

func (d *dust) step() {
	p := d.rng.IntN(len(d.parts))
	if s := d.parts[p]; slices.Contains(d.hist.head.Compacted, s.topic) {
		s.cells = append(s.cells, cell{log.NoValue, nil, s.epoch})
	}
}

func (d *dust) finish() {}

// live lets a world go on for a while and come to its end.
func (w *world) live(steps int) *chronicle {
	for range steps {
		w.now += 1 + w.rng.Int64N(ms)
		pickOf(w, w.actors).step()
	}
	w.drained = true
	for _, a := range w.actors {
		w.now += ms
		a.finish()
	}
	w.close()
	return w.hist
}

// close writes down the ends and the final read, where there is one, and brings all in order.
func (w *world) close() {
	w.now = w.latest() + ms
	w.positions()
	if w.recorded || w.chance(75) {
		w.finalRead()
	} else {
		w.readRest()
	}
	slices.SortStableFunc(w.ops, func(a, b *log.Op) int { return int(max(-1, min(1, a.Return-b.Return))) })
	for _, o := range w.ops {
		w.hist.ops = append(w.hist.ops, *o)
	}
	if w.recorded {
		w.hist.meta.Faults = slices.DeleteFunc(w.faults, func(f rundir.Fault) bool { return !w.mattered(f) })
		w.hist.meta.Clock = rundir.Clock{MeasureEnd: w.now, LoadEnd: w.now}
	}
}

// mattered tells whether anything was on its way while a fault lasted.
func (w *world) mattered(f rundir.Fault) bool {
	return slices.ContainsFunc(w.ops, func(o *log.Op) bool {
		return o.Kind == log.Send && o.Outcome != log.Failed && o.Call <= *f.Healed && o.Return >= f.At
	})
}

func (w *world) latest() int64 {
	last := w.now
	for _, o := range w.ops {
		last = max(last, o.Return)
	}
	return last
}

// positions of the groups, as the cluster tells them when all is done.
func (w *world) positions() {
	for _, name := range slices.Sorted(keys(w.stands)) {
		o := op(log.Ends)
		o.Client, o.Group = w.scribe(), name
		for _, p := range slices.Sorted(keys(w.stands[name])) {
			o.Offsets = append(o.Offsets, log.PartitionOffset{Partition: p, Offset: w.stands[name][p]})
		}
		if len(o.Offsets) > 0 && w.chance(70) {
			w.next(o)
		}
	}
}

// scribe writes down what no client saw: nobody, or in a run directory the final reader.
func (w *world) scribe() int32 {
	if w.recorded {
		return w.hist.client("final", 1)
	}
	return log.Unknown
}

// finalRead reads all partitions, piece by piece and through each other, in one pass or two.
func (w *world) finalRead() {
	ends := op(log.Ends)
	ends.Client = w.scribe()
	for p, s := range w.parts {
		ends.Offsets = append(ends.Offsets, log.PartitionOffset{Partition: int32(p), Offset: s.end()})
	}
	split := w.rng.IntN(len(ends.Offsets) + 1)
	first, second := ends, ends
	first.Offsets, second.Offsets = ends.Offsets[:split], ends.Offsets[split:]
	w.next(first)
	w.next(second)
	passes := 1 + w.rng.IntN(2)
	if w.recorded && w.hist.meta.Guarantee == ExactlyOnceTransactions {
		passes = 2
	}
	w.hist.meta.FinalRead = rundir.FinalRead{Done: true, Passes: passes}
	for pass := range passes {
		w.pass(int32(pass+1), ends.Client)
	}
}

func (w *world) pass(pass, client int32) {
	type state struct {
		p         int32
		at        int64
		isolation log.Isolation
	}
	var open []*state
	for p, s := range w.parts {
		open = append(open, &state{int32(p), s.start, w.finalIsolation(s)})
	}
	for len(open) > 0 {
		i := w.rng.IntN(len(open))
		s, o := open[i], op(log.FinalRead)
		o.Client, o.Pass, o.Isolation, o.Partition = client, pass, s.isolation, s.p
		limit := 1000
		if w.chance(40) {
			limit = 1 + w.rng.IntN(6)
		}
		o.Records, s.at = w.visible(s.p, s.at, limit, s.isolation)
		o.Reached = s.at
		if n := len(o.Records); n > 0 && w.chance(50) && s.at < w.parts[s.p].end() {
			o.Reached = log.Unknown
			if w.recorded {
				o.Reached = o.Records[n-1].Offset + 1
			}
		}
		w.next(o)
		if s.at == w.parts[s.p].end() && (limit > 6 || w.chance(70)) {
			open = slices.Delete(open, i, i+1)
		}
	}
}

// finalIsolation is any where nothing was aborted.
func (w *world) finalIsolation(s *shelf) log.Isolation {
	aborted := func(c cell) bool { return c.deal != nil && c.deal.fate == abandoned }
	if slices.ContainsFunc(s.cells, aborted) || w.chance(60) {
		return log.ReadCommitted
	}
	if w.chance(20) && !w.recorded {
		return log.IsolationUnknown
	}
	return log.ReadUncommitted
}

// readRest lets one reader come to the end of everything, where no final read does.
func (w *world) readRest() {
	client := w.hist.client("last", 1)
	for p, s := range w.parts {
		for at := s.start; ; {
			o := op(log.Poll)
			o.Client, o.Partition, o.Isolation = client, int32(p), log.ReadCommitted
			o.Records, at = w.visible(int32(p), at, 1+w.rng.IntN(9), log.ReadCommitted)
			w.next(o)
			if at == s.end() {
				break
			}
		}
	}
}

// describe is run.json.
func (w *world) describe(flow, transactions, group bool) {
	h := &w.hist.head
	m := &w.hist.meta
	m.Stage, m.RunID, m.Cluster.Version = rundir.Complete, "0000000000000007", "4.3.1"
	m.Judged = rundir.Judged{SameSession: true, Drained: true, Driver: "franz", Transactions: transactions}
	if flow {
		h.Inputs, h.Outputs = []string{"orders"}, []string{"bills"}
		m.Judged.InputTopic, m.Judged.OutputTopic, m.Judged.Group = "orders", "bills", "billing"
	}
	if group {
		m.Judged.Processed, m.Judged.Group, m.Judged.Commit = w.groups[0].effects, "g", "after-processing"
	}
	guarantees := []string{AtMostOnce, AtLeastOnce, ExactlyOnce, ExactlyOnceTransactions}
	m.Guarantee = pickOf(w, guarantees)
	seen := map[string]int{}
	for i, s := range w.parts {
		if seen[s.topic]++; seen[s.topic] == 1 {
			m.Topics = append(m.Topics, rundir.Topic{Name: s.topic, Compacted: slices.Contains(h.Compacted, s.topic)})
		}
		m.Topics[len(m.Topics)-1].Partitions++
		_ = i
	}
}
