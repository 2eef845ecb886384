package check

import (
	"slices"

	"github.com/kbench/kbench/internal/history"
)

// group is a consumer group, or a client that is in none: what it was given, what it did, how far it committed.
type group struct {
	name    string
	effects effectPages     // by value
	any     bool            // some effect is recorded
	open    uint64          // acknowledged records that it has not handled, and had not come to
	seen    []offsetSet     // by partition: offsets that its members polled
	cover   []int64         // by partition: the position up to which it has committed or handled
	stands  []int64         // by partition: the position that the cluster told when all was done, unknown: -1
	topics  map[string]bool // that it reads
}

// Effects on one value, in four bits: how often, and whether one may have happened besides.
const (
	effectTwice = 2 // or more
	effectMet   = 3 // likewise, and the second pass has met the first of them
	effectSeen  = 4 // and has counted another
	effectNone  = 7 // none happened, and the record counts as unprocessed by the group
	effectMask  = 7
	effectMaybe = 8
)

type effect struct {
	group *group
	value index
}

// apply counts an effect once it is known whether it happened.
func (e effect) apply(l *ledger, outcome state) {
	known := e.group.effects.get(e.value)
	switch {
	case outcome == rankOK && known&effectMask < effectTwice:
		e.group.effects.set(e.value, known+1)
	case outcome == rankIndeterminate:
		e.group.effects.set(e.value, known|effectMaybe)
	}
}

// groupOffsets are offsets that a group commits with a transaction.
type groupOffsets struct {
	group   *group
	offsets []history.PartitionOffset
}

func (c groupOffsets) apply(outcome state) {
	if outcome != rankOK {
		return
	}
	for _, o := range c.offsets {
		c.group.covers(o.Partition, o.Offset)
	}
}

// group of an operation: the one it names, in a recorded run else the run's, else the client by itself.
func (l *ledger) group(op *history.Op) *group {
	name := op.Group
	if name == "" && l.run.recorded && op.Kind != history.Poll {
		name = l.run.group
	}
	if name == "" {
		name = "\x00" + l.h.Header.ClientName(op.Client)
	}
	g := l.groups[name]
	if g == nil {
		g = &group{name: name, seen: make([]offsetSet, len(l.parts)), cover: make([]int64, len(l.parts)), topics: map[string]bool{}}
		l.groups[name] = g
	}
	return g
}

func (g *group) covers(p int32, position int64) {
	if p >= 0 && int(p) < len(g.cover) {
		g.cover[p] = max(g.cover[p], position)
	}
}

// learnPositions takes what the cluster told of a group's position at the end.
func (l *ledger) learnPositions(op *history.Op) {
	g := l.group(op)
	if g.stands == nil {
		g.stands = unknowns(len(l.parts))
	}
	for _, o := range op.Offsets {
		if l.part(o.Partition) != nil {
			g.stands[o.Partition] = o.Offset
		}
	}
}

// moves forgets positions that may have been moved since they were told.
func (g *group) moves(offsets []history.PartitionOffset) {
	for _, o := range offsets {
		if o.Partition >= 0 && int(o.Partition) < len(g.stands) {
			g.stands[o.Partition] = history.Unknown
		}
	}
}

func (g *group) polled(op *history.Op) {
	if op.Partition < 0 || int(op.Partition) >= len(g.seen) {
		return
	}
	g.seen[op.Partition].addAll(op.Records)
}

func (l *ledger) learnEffects(op *history.Op) {
	g := l.group(op)
	g.any = true
	l.reading(g, op.Partition)
	for k := range op.Records {
		e := effect{g, l.values.index(identity(&op.Records[k]))}
		if op.Outcome == history.OK && op.Txn == 0 {
			g.covers(op.Partition, op.Records[k].Offset+1)
		}
		switch {
		case l.values.nobody(e.value):
		case op.Txn != 0 && op.Outcome == history.OK:
			l.txns.effect(op, e)
		default:
			e.apply(l, rankOf(op.Outcome))
		}
	}
}

// reading notes that a group reads a partition's topic.
func (l *ledger) reading(g *group, p int32) {
	if part := l.part(p); part != nil {
		g.topics[part.topic.name] = true
	}
}

func (l *ledger) learnCommit(op *history.Op) {
	g := l.group(op)
	for _, o := range op.Offsets {
		l.reading(g, o.Partition)
		if p := l.part(o.Partition); p != nil {
			p.tried = max(p.tried, o.Offset)
		}
	}
	g.moves(op.Offsets)
	if op.Outcome == history.Indeterminate && op.Txn != 0 {
		l.txns.open(op) // whether it took effect is for its end to say
	}
	if op.Outcome != history.OK {
		return
	}
	c := groupOffsets{g, slices.Clone(op.Offsets)}
	if op.Txn == 0 {
		c.apply(rankOK)
		return
	}
	l.txns.commit(op, c)
}

func (l *ledger) learnAssignment(op *history.Op) {
	if op.Group == "" {
		return
	}
	g := l.group(op)
	for _, p := range op.Partitions {
		l.reading(g, p)
	}
}
