package check

import (
	"fmt"
	"math"

	"github.com/kbench/kbench/internal/history"
)

// torn finds transactions of which a part took effect and a part did not: torn-transaction. Their parts are the records
// that they sent and the offsets that they committed for a group. It needs the whole log, since what is not seen must be
// known to be absent. One instance is one transaction.
//
// Of a record that was sent again nobody knows which sending is in the log: it says nothing.
type torn struct {
	*court
	parts   tally
	endings [][]*ending // by partition, of each group
	loose   map[*txn]input
}

// input of an output that is in the log though nobody ever committed past it.
type input struct {
	place
	output index
}

func newTorn(c *court) *torn {
	return &torn{court: c, parts: tally{anomaly: tornTransaction}, endings: c.groupEndings(), loose: map[*txn]input{}}
}

func (c *torn) kinds() []history.Kind { return []history.Kind{history.Send, history.Commit} }

func (c *torn) add(v *view) {
	if v.Kind == history.Commit {
		c.commits(v)
		return
	}
	p := c.part(v.FromPartition)
	if p == nil || v.Txn == 0 || v.Outcome == history.Failed {
		return
	}
	x := c.txns.named(v.Client, v.Txn)
	if x == nil || !x.offsets || x.outcome == rankFailed {
		return
	}
	told := int64(history.Unknown)
	for _, e := range c.endings[v.FromPartition] {
		e.answered(x, v.FromOffset)
		told = max(told, e.position)
	}
	s := c.values.state(v.value)
	if s&resent == 0 && s.inLog(nil) && max(p.tried, told) <= v.FromOffset {
		c.loose[x] = input{place{v.FromPartition, v.FromOffset}, v.value}
	}
}

// commits of a transaction that was not aborted, or of none.
func (c *torn) commits(v *view) {
	x := (*txn)(nil)
	if v.Txn != 0 {
		x = c.txns.named(v.Client, v.Txn)
	}
	if v.Outcome == history.Failed || x != nil && x.outcome == rankFailed {
		return
	}
	g := c.group(v.Op)
	for _, o := range v.Offsets {
		if c.part(o.Partition) == nil {
			continue
		}
		for _, e := range c.endings[o.Partition] {
			if e.group == g {
				e.commit(x, o.Offset, v.Op)
			}
		}
	}
}

func (c *torn) found() []tally {
	if c.allComplete() {
		for _, list := range c.endings {
			for _, e := range list {
				e.sum()
			}
		}
		c.txns.each(c.look)
	}
	return []tally{c.parts}
}

func (c *torn) look(x *txn) {
	if x.outcome == rankFailed {
		return
	}
	c.parts.checked++
	var there, absent uint64
	var missing, seen index
	x.each(func(i index) {
		switch s := c.values.state(i); {
		case s&resent != 0, s&replaced != 0 && !s.inLog(nil):
		case s.inLog(nil):
			if there++; there == 1 {
				seen = i
			}
		default:
			if absent++; absent == 1 {
				missing = i
			}
		}
	})
	offsets := c.offsetsOf(x)
	switch {
	case there > 0 && absent > 0:
		c.parts.hit(func() Witness {
			return c.say(x, place{history.Unknown, history.Unknown}, missing, fmt.Sprintf("%d records are in the log and %d are not, this one among them", there, absent)).
				also(about{values: []history.Value{c.values.value(seen)}})
		})
	case there > 0 && offsets.absent != nil:
		c.parts.hit(func() Witness {
			return c.say(x, place{offsets.absent.partition, offsets.position}, c.none(), fmt.Sprintf("%d records are in the log, and the group's position was %d when all was done, not this",
				there, offsets.absent.position)).
				also(about{past: []place{{offsets.absent.partition, offsets.position - 1}}})
		})
	case there > 0 && offsets.loose != nil:
		c.parts.hit(func() Witness {
			return c.say(x, offsets.loose.place, offsets.loose.output, "the output is in the log, and nobody ever committed past the input that it answers, which stands here").
				also(about{past: []place{offsets.loose.place}})
		})
	case absent > 0 && offsets.there != nil:
		c.parts.hit(func() Witness {
			return c.say(x, place{offsets.there.partition, offsets.there.position}, missing, fmt.Sprintf("the group's position when all was done is the one that it committed, and %d records are not in the log, this one among them", absent))
		})
	case offsets.there != nil && offsets.absent != nil:
		c.parts.hit(func() Witness {
			return c.say(x, place{offsets.absent.partition, offsets.position}, c.none(), fmt.Sprintf("this position was lost and that in %s was not", c.h.Header.PartitionName(offsets.there.partition)))
		})
	}
}

func (c *torn) none() index { return c.values.index(history.NoValue) }

func (c *torn) say(x *txn, at place, i index, what string) Witness {
	return c.witness(at.partition, at.offset, i, x.ended, atEnd(x), "of transaction %s of %s %s", c.h.Header.TxnName(x.name.id), c.client(x.name.client), what).
		also(about{txns: []txnName{x.name}})
}

func atEnd(x *txn) int64 {
	if x.ended == math.MaxInt64 {
		return history.Unknown
	}
	return x.ended
}

// consequence is what is known of the offsets that a transaction committed.
type consequence struct {
	there, absent *ending
	position      int64  // that it committed, where that is absent
	loose         *input // an output of it, past whose input nobody ever committed
}

func (c *torn) offsetsOf(x *txn) consequence {
	var all consequence
	if in, found := c.loose[x]; found {
		all.loose = &in
	}
	if !x.offsets {
		return all
	}
	for _, list := range c.endings {
		for _, e := range list {
			switch position, fate := e.fate(x); {
			case fate == isThere && all.there == nil:
				all.there = e
			case fate == isAbsent && all.absent == nil:
				all.absent, all.position = e, position
			}
		}
	}
	return all
}
