package check

import (
	"slices"

	"github.com/kbench/kbench/internal/history"
)

// polls follows each client's position on each partition that stays assigned to it: nonmonotonic-poll where it goes back,
// poll-skip where it leaves out an offset that is known to hold a record. Within one transaction both have names of
// their own. One instance is one pair of polls.
type polls struct {
	*court
	readers   map[int32]*reader
	turns     map[*group][]turn // by partition
	now       uint64            // operations so far
	back      tally
	skipped   tally // that nobody of the group got
	taken     tally // that another member got
	txnBack   tally
	txnSkip   tally
	precommit tally
}

// turn is who polled a partition last for a group, and when somebody else did before.
type turn struct {
	client     int32
	at, others uint64
}

// reader is one client's position on all partitions.
type reader struct {
	next      []int64 // by partition: the offset that should come next, unknown: -1
	most      []int64 // by partition: the latest that may come next; beyond next only after an abort
	txn       []uint64
	began     []int64  // by partition: the first offset that it polled in that transaction
	undone    []bool   // by partition: what it had polled ahead was undone by an abort
	committed []int64  // the position to which it rewinds after an aborted transaction, unknown: -1
	since     []uint64 // by partition: when it committed that
	pending   []history.PartitionOffset
}

func newPolls(c *court) *polls {
	return &polls{
		court: c, readers: map[int32]*reader{}, turns: map[*group][]turn{},
		back: tally{anomaly: nonmonotonicPoll}, skipped: tally{anomaly: pollSkip, variant: unhandled}, taken: tally{anomaly: pollSkip, variant: handled},
		txnBack: tally{anomaly: internalNonmonoPoll}, txnSkip: tally{anomaly: internalPollSkip}, precommit: tally{anomaly: precommittedRead},
	}
}

func (c *polls) kinds() []history.Kind {
	return []history.Kind{history.Poll, history.Assign, history.Subscribe, history.Commit, history.Txn}
}

func (c *polls) add(v *view) {
	c.now++
	r := c.readers[v.Client]
	if r == nil {
		n := len(c.parts)
		r = &reader{next: unknowns(n), most: unknowns(n), txn: make([]uint64, n), began: unknowns(n), undone: make([]bool, n),
			committed: unknowns(n), since: make([]uint64, n)}
		c.readers[v.Client] = r
	}
	switch v.Kind {
	case history.Poll:
		c.poll(r, v)
	case history.Assign, history.Subscribe:
		if v.Outcome != history.OK {
			r.forget(nil)
			return
		}
		r.forget(v.Partitions)
	case history.Commit:
		if v.Outcome != history.OK {
			return
		}
		if v.Txn != 0 {
			r.pending = append(r.pending, v.Offsets...)
			return
		}
		r.commit(v.Offsets, c.now)
	case history.Txn:
		r.end(v.Outcome, v.Txn, c.now)
	}
}

func unknowns(n int) []int64 {
	list := make([]int64, n)
	for i := range list {
		list[i] = history.Unknown
	}
	return list
}

// forget drops the positions on all partitions but those that stay.
func (r *reader) forget(stay []int32) {
	for p := range r.next {
		if !slices.Contains(stay, int32(p)) {
			r.next[p], r.committed[p] = history.Unknown, history.Unknown
		}
	}
}

func (r *reader) commit(offsets []history.PartitionOffset, now uint64) {
	for _, o := range offsets {
		if o.Partition >= 0 && int(o.Partition) < len(r.committed) {
			r.committed[o.Partition], r.since[o.Partition] = o.Offset, now
		}
	}
}

// end of a transaction: after one that failed the client reads again from what it last committed, or at the latest from
// where the transaction began to read; after one whose outcome is open nobody knows from where.
func (r *reader) end(outcome history.Outcome, txn, now uint64) {
	switch outcome {
	case history.OK:
		r.commit(r.pending, now)
	case history.Failed:
		for p, to := range r.committed {
			r.undone[p] = r.undone[p] || r.next[p] != to
			r.next[p], r.most[p] = to, to
			if to >= 0 && r.txn[p] == txn {
				r.most[p] = max(to, r.began[p])
			}
		}
	default:
		copy(r.next, unknowns(len(r.next)))
		copy(r.committed, unknowns(len(r.committed)))
	}
	r.pending = r.pending[:0]
}

func (c *polls) poll(r *reader, v *view) {
	if v.Partition < 0 || int(v.Partition) >= len(r.next) || len(v.Records) == 0 {
		return
	}
	next, most := r.next[v.Partition], r.most[v.Partition]
	if v.Txn != r.txn[v.Partition] {
		r.began[v.Partition] = v.Records[0].Offset
	}
	inside := v.Txn != 0 && r.txn[v.Partition] == v.Txn
	others := c.othersPolled(v)
	undone := r.undone[v.Partition] && others <= r.since[v.Partition]
	back, skip := false, false
	for k := range v.Records {
		offset := v.Records[k].Offset
		if next >= 0 {
			c.checkedPair(inside)
			switch {
			case offset < next && !back:
				back = true
				c.wentBack(v, k, next, inside)
			case offset > most && !skip:
				skip = c.leftOut(v, most, offset, inside, k == 0 && undone)
			}
		}
		next, most = offset+1, offset+1
		inside = v.Txn != 0
		c.tooEarly(v, k)
	}
	r.next[v.Partition], r.most[v.Partition], r.txn[v.Partition], r.undone[v.Partition] = next, most, v.Txn, false
}

// othersPolled tells when another member of the client's group polled the partition last, 0 for never; it notes this poll.
func (c *polls) othersPolled(v *view) uint64 {
	g := c.group(v.Op)
	if c.turns[g] == nil {
		c.turns[g] = make([]turn, len(c.parts))
	}
	t := &c.turns[g][v.Partition]
	if t.client != v.Client {
		t.client, t.others = v.Client, t.at
	}
	t.at = c.now
	return t.others
}

// moved are the polls by which a client came from one offset to another.
func moved(v *view, from, to int64) about {
	return about{steps: []step{{v.Client, place{v.Partition, from}, v.Return}, {v.Client, place{v.Partition, to}, v.Return}}}
}

func (c *polls) checkedPair(inside bool) {
	if inside {
		c.txnBack.checked++
		c.txnSkip.checked++
		return
	}
	c.back.checked++
	c.skipped.checked++
	c.taken.checked++
}

func (c *polls) wentBack(v *view, k int, next int64, inside bool) {
	t := &c.back
	if inside {
		t = &c.txnBack
	}
	t.hit(func() Witness {
		return c.witness(v.Partition, v.Records[k].Offset, v.values[k], v.Call, v.Return, "%s was at offset %d and got %d", c.client(v.Client), next, v.Records[k].Offset).
			also(moved(v, next-1, v.Records[k].Offset))
	})
}

// leftOut looks for records that are known to stand between two offsets that a client got one after the other. What it
// polled and then undid nobody has got, unless the group has let another member go on with the partition meanwhile.
func (c *polls) leftOut(v *view, next, got int64, inside, undone bool) bool {
	first, what, t := int64(history.Unknown), index(0), (*tally)(nil)
	group := c.group(v.Op)
	p := &c.parts[v.Partition]
	whole := c.complete(p)
	p.offsets.each(next, got, func(offset int64, entry uint32) bool {
		standing := c.standing(place{v.Partition, offset}, entry, whole)
		if len(standing) == 0 {
			return true
		}
		kind, i := &c.taken, standing[0]
		if c.mayBeGone(c.values.state(i), p) {
			return true
		}
		for _, each := range standing {
			if undone && !group.any || !c.got(group, v.Partition, offset, each) {
				kind, i = &c.skipped, each
			}
		}
		if t == nil || t == &c.taken && kind == &c.skipped {
			first, what, t = offset, i, kind
		}
		return t != &c.skipped
	})
	if t == nil {
		return false
	}
	if inside {
		t = &c.txnSkip
	}
	t.hit(func() Witness {
		return c.witness(v.Partition, first, what, v.Call, v.Return, "%s went from offset %d to %d, past this record", c.client(v.Client), next-1, got).
			also(moved(v, next-1, got))
	})
	return true
}

// got tells whether a group has had a record all the same: handled it, or where no handling is recorded, polled it.
func (c *polls) got(g *group, p int32, offset int64, i index) bool {
	if g.any {
		e := g.effects.get(i)
		return e != 0 && e != effectNone
	}
	return g.seen[p].has(offset)
}

// tooEarly finds records of a transaction that were read before it was committed: by the transaction itself, or by somebody
// who reads committed ones before the last of its sends was called. What was aborted is an aborted-read to others. One
// instance is the transaction that sent them.
func (c *polls) tooEarly(v *view, k int) {
	if v.Isolation == history.ReadUncommitted {
		return
	}
	x := c.writer(v.values[k])
	if x == nil {
		return
	}
	c.precommit.checked++
	own := v.Txn == x.name.id && v.Client == x.name.client
	others := v.Isolation == history.ReadCommitted && x.outcome != rankFailed && v.Return < x.last
	if x.early || v.Return >= x.ended || !own && !others {
		return
	}
	x.early = true
	what := "got it before the last send of its transaction %s was called"
	if own {
		what = "got its own send before transaction %s was committed"
	}
	c.precommit.hit(func() Witness {
		return c.witness(v.Partition, v.Records[k].Offset, v.values[k], v.Call, v.Return, "%s "+what, c.client(v.Client), c.h.Header.TxnName(x.name.id)).
			also(about{txns: []txnName{x.name}})
	})
}

func (c *polls) found() []tally {
	return []tally{c.skipped, c.taken, c.back, c.txnSkip, c.txnBack, c.precommit}
}
