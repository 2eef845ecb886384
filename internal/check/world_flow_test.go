package check

import (
	"fmt"
	"maps"
	"slices"

	log "github.com/kbench/kbench/internal/history"
)

// flow is a group of processors: each reads its share of the input, writes one output for each record, and commits both
// in one transaction.
type flow struct {
	*world
	list            []*processor
	inputs, outputs []int32
	committed       map[int32]int64
	eager           bool
	inside          bool // polls stand in the transaction
	effects         bool // and so does the handling
}

// processor is one of them. Some fall asleep in the middle, lose their share to another, and wake to find that they are
// fenced.
type processor struct {
	source
	flow   *flow
	asleep bool
	holds  map[int32]bool
	at     map[int32]int64 // position of the next poll
	done   map[int32]int64 // position up to which there are outputs
	hand   []task          // polled, and without an output
}

type task struct {
	p int32
	log.Record
}

func (w *world) processors(inputs, outputs []int32) {
	f := &flow{world: w, inputs: inputs, outputs: outputs, committed: map[int32]int64{}, eager: w.chance(50), inside: w.chance(40), effects: w.chance(30)}
	w.stands["billing"] = f.committed
	for i := range 1 + w.rng.IntN(3) {
		p := &processor{flow: f, source: source{world: w, name: fmt.Sprintf("w%d", i), role: "processor", targets: outputs, transactional: true}}
		f.list = append(f.list, p)
		p.begin()
		p.fresh()
	}
	f.rebalance()
	w.actors = append(w.actors, f, f, f, f)
}

func (p *processor) fresh() {
	p.holds, p.at, p.done, p.hand = map[int32]bool{}, map[int32]int64{}, map[int32]int64{}, nil
}

func (f *flow) step() {
	if f.chance(4) {
		f.rebalance()
		return
	}
	pickOf(f.world, f.list).work()
}

func (f *flow) awake() []*processor {
	return slices.DeleteFunc(slices.Clone(f.list), func(p *processor) bool { return p.asleep })
}

// rebalance gives the input out anew. Open transactions are brought to an end before; who is asleep is not asked.
func (f *flow) rebalance() {
	awake := f.awake()
	if len(awake) == 0 {
		return
	}
	for _, p := range awake {
		if p.deal != nil {
			p.conclude()
		}
	}
	next := map[*processor]map[int32]bool{}
	for _, p := range awake {
		next[p] = map[int32]bool{}
	}
	for _, q := range f.inputs {
		next[pickOf(f.world, awake)][q] = true
	}
	for _, p := range awake {
		before := len(p.holds)
		for q := range p.holds {
			if f.eager || !next[p][q] {
				p.drop(q)
			}
		}
		if len(p.holds) < before {
			p.assigned(maps.Clone(p.holds))
		}
	}
	for _, p := range awake {
		p.assigned(next[p])
	}
}

func (p *processor) drop(q int32) {
	delete(p.holds, q)
	delete(p.at, q)
	delete(p.done, q)
	p.hand = slices.DeleteFunc(p.hand, func(i task) bool { return i.p == q })
}

func (p *processor) say(o log.Op) {
	o.Client = p.client
	p.next(o)
}

func (p *processor) assigned(to map[int32]bool) {
	o := op(log.Assign)
	o.Partitions = slices.Sorted(maps.Keys(to))
	for _, q := range o.Partitions {
		if !p.holds[q] {
			p.holds[q] = true
			p.at[q] = max(p.flow.committed[q], p.parts[q].start)
			p.done[q] = p.at[q]
		}
	}
	p.say(o)
}

func (p *processor) work() {
	w := p.world
	switch {
	case p.asleep:
		if w.chance(20) {
			p.wake()
		}
	case !p.mine(), w.busy(p.client):
	case w.chance(2):
		p.perish()
	case p.deal == nil && (len(p.hand) == 0 || w.chance(20)) && !(p.flow.inside && w.chance(80)):
		p.poll()
	case p.deal == nil:
		if p.ghost == nil || w.chance(50) {
			p.open()
		}
	case w.chance(3):
		p.sleep()
	case p.flow.inside && w.chance(40):
		p.poll()
	case len(p.hand) > 0:
		p.answer()
	default:
		p.conclude()
	}
}

func (p *processor) poll() {
	if len(p.holds) == 0 {
		return
	}
	w := p.world
	o := op(log.Poll)
	o.Partition, o.Isolation, o.Group = pickOf(w, slices.Sorted(maps.Keys(p.holds))), log.ReadCommitted, "billing"
	if p.deal != nil && p.flow.inside {
		o.Txn = p.txn
	}
	before := p.at[o.Partition]
	o.Records, p.at[o.Partition] = w.visible(o.Partition, before, 1+w.rng.IntN(5), log.ReadCommitted)
	for _, r := range o.Records {
		p.hand = append(p.hand, task{o.Partition, r})
	}
	if len(o.Records) == 0 && p.done[o.Partition] == before {
		p.done[o.Partition] = p.at[o.Partition]
	}
	p.say(o)
}

// answer one input with one output.
func (p *processor) answer() {
	w := p.world
	in := p.hand[0]
	p.hand = p.hand[1:]
	p.done[in.p] = in.Offset + 1
	if p.flow.effects {
		o := op(log.Process)
		o.Txn, o.Group, o.Partition, o.Records = p.txn, "billing", in.p, []log.Record{in.Record}
		o.Records[0].Epoch = log.Unknown
		p.say(o)
	}
	p.within(pickOf(w, p.flow.outputs), in.p, in.Offset)
}

// offsets of the input, committed with the transaction.
func (p *processor) offsets(outcome log.Outcome) {
	o := op(log.Commit)
	o.Txn, o.Group, o.Outcome = p.txn, "billing", outcome
	for _, q := range slices.Sorted(maps.Keys(p.holds)) {
		o.Offsets = append(o.Offsets, log.PartitionOffset{Partition: q, Offset: p.done[q]})
	}
	for _, s := range p.flying {
		p.free[p.client] = max(p.free[p.client], s.Return)
	}
	p.say(o)
}

// conclude the transaction. If it was not committed the processor reads again from what was.
func (p *processor) conclude() {
	w, d, client := p.world, p.deal, p.client
	outcome := log.OK
	if !w.drained && w.chance(6) || p.doomed && w.chance(50) || d.fate != undecided {
		outcome = []log.Outcome{log.Indeterminate, log.Failed}[w.rng.IntN(2)]
		p.doomed = true
	}
	if len(p.holds) > 0 && !(p.doomed && w.chance(30)) {
		p.offsets(outcome)
	}
	p.end()
	if d.fate == committed {
		for q := range p.holds {
			p.flow.committed[q] = p.done[q]
		}
	}
	if p.client != client {
		p.fresh()
		p.flow.rebalance()
		return
	}
	for q := range p.holds {
		if d.fate == committed && w.ended(p.client, p.txn) == log.OK {
			continue
		}
		p.at[q] = max(p.flow.committed[q], p.parts[q].start)
		p.done[q] = p.at[q]
		p.hand = slices.DeleteFunc(p.hand, func(i task) bool { return i.p == q })
	}
}

// ended is how a client was told that a transaction had ended.
func (w *world) ended(client int32, txn uint64) log.Outcome {
	for i := len(w.ops) - 1; i >= 0; i-- {
		if o := w.ops[i]; o.Kind == log.Txn && o.Client == client && o.Txn == txn {
			return o.Outcome
		}
	}
	return log.Indeterminate
}

// sleep in the middle of a transaction, and lose the share to the others.
func (p *processor) sleep() {
	p.asleep = true
	if p.chance(60) { // the transactional id is taken over, too
		p.decide(p.deal, abandoned)
	}
	p.flow.rebalance()
}

// wake, try to go on, and learn that this is over.
func (p *processor) wake() {
	p.asleep = false
	p.free[p.client] = max(p.free[p.client], p.now)
	p.doomed = true
	if p.deal.fate == abandoned && p.chance(50) {
		p.within(p.flow.outputs[0], p.flow.inputs[0], p.parts[p.flow.inputs[0]].start)
	}
	if p.chance(70) {
		p.offsets([]log.Outcome{log.Indeterminate, log.Failed}[p.rng.IntN(2)])
	}
	p.end()
	p.begin()
	p.fresh()
	p.flow.rebalance()
}

// perish in the middle of everything.
func (p *processor) perish() {
	p.die()
	p.fresh()
	p.flow.rebalance()
}

func (f *flow) finish() {
	for _, p := range f.list {
		if p.asleep {
			p.wake()
		}
	}
	for _, p := range f.list {
		if p.deal != nil {
			p.conclude()
		}
		if p.ghost != nil {
			p.decide(p.ghost, abandoned)
			p.ghost = nil
		}
	}
	f.rebalance()
	for _, p := range f.list {
		for _, q := range slices.Sorted(maps.Keys(p.holds)) {
			for p.at[q] < f.parts[q].end() {
				before := p.at[q]
				if p.pollAll(q); p.at[q] == before {
					panic(fmt.Sprintf("the last stable offset of %d stays at %d", q, before))
				}
			}
		}
		p.open()
		for len(p.hand) > 0 {
			f.now += ms / 10
			p.answer()
		}
		for q := range p.holds {
			p.done[q] = p.at[q]
		}
		p.conclude()
	}
}

func (p *processor) pollAll(q int32) {
	w := p.world
	o := op(log.Poll)
	o.Partition, o.Isolation, o.Group = q, log.ReadCommitted, "billing"
	o.Records, p.at[q] = w.visible(q, p.at[q], 50, log.ReadCommitted)
	for _, r := range o.Records {
		p.hand = append(p.hand, task{q, r})
	}
	p.say(o)
}
