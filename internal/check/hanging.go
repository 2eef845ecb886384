package check

import (
	"fmt"
	"math"
	"slices"

	"github.com/kbench/kbench/internal/history"
)

// hanging finds partitions that a transaction holds though it should have ended: hanging-transaction. Readers of committed
// records cannot get past it. One instance is one partition.
//
// In a recorded run the cluster was asked: the last stable offset stood still for longer than any transaction may last. In
// a hand-written history a final read of committed records stopped below the recorded end, another of uncommitted ones
// reached it, and the next record there, which nobody got as a committed one, belongs to a transaction.
type hanging struct {
	*court
	held    tally
	reached [][2]int64 // by partition: positions of final reads of committed and of uncommitted records, -1: none
}

func newHanging(c *court) *hanging {
	h := &hanging{court: c, held: tally{anomaly: hangingTransaction}, reached: make([][2]int64, len(c.parts))}
	for p := range h.reached {
		h.reached[p] = [2]int64{history.Unknown, history.Unknown}
	}
	return h
}

func (c *hanging) kinds() []history.Kind { return []history.Kind{history.FinalRead} }

func (c *hanging) add(v *view) {
	if c.part(v.Partition) == nil || v.Isolation == history.IsolationUnknown {
		return
	}
	to := &c.reached[v.Partition][v.Isolation-history.ReadUncommitted]
	*to = max(*to, v.Reached, 0)
	if n := len(v.Records); n > 0 { // a hand-written history need not tell how far it reached
		*to = max(*to, v.Records[n-1].Offset+1)
	}
}

func (c *hanging) found() []tally {
	for i := range c.parts {
		if !c.run.recorded {
			c.stopped(int32(i))
		}
	}
	for _, h := range c.run.meta.FinalRead.Held {
		c.held.checked++
		if h.LimitMs > 0 && h.StoodMs >= h.LimitMs {
			p := int32(slices.Index(c.h.Header.Partitions, h.Partition))
			c.hold(p, h.LastStable, c.at(p, h.LastStable), fmt.Sprintf("the last stable offset had not moved for %d ms, a transaction lasts %d ms at most; the high watermark is %d",
				h.StoodMs, h.LimitMs, h.HighWatermark))
		}
	}
	return []tally{c.held}
}

// at is the value of which a reader got a record at an offset, that of nobody where there is none.
func (c *hanging) at(p int32, offset int64) index {
	if part := c.part(p); part != nil && offset >= 0 {
		if entry := part.offsets.get(offset); entry&readBit != 0 {
			return entry&^readBit - 1
		}
	}
	return c.values.index(history.NoValue)
}

// stopped looks for a final read of committed records that stopped before a transaction.
func (c *hanging) stopped(at int32) {
	p := &c.parts[at]
	to, all := c.reached[at][1], c.reached[at][0]
	if to < 0 || all < 0 || p.end < 0 {
		return
	}
	c.held.checked++
	if to >= p.end || all < p.end {
		return
	}
	p.offsets.each(to, math.MaxInt64, func(offset int64, entry uint32) bool {
		claims := c.claims(place{at, offset}, entry)
		if !slices.ContainsFunc(claims, func(c claim) bool { return c.read }) {
			return true
		}
		if i := claims[0].value; len(claims) == 1 && c.writer(i) != nil && c.values.state(i)&proof == 0 {
			c.hold(at, offset, i, fmt.Sprintf("readers of committed records came to offset %d, those of uncommitted ones to %d", to, all))
		}
		return false
	})
}

func (c *hanging) hold(p int32, offset int64, i index, what string) {
	whose := ""
	at := int64(history.Unknown)
	if x := c.writer(i); x != nil {
		whose = fmt.Sprintf("transaction %s of %s holds the partition: ", c.h.Header.TxnName(x.name.id), c.client(x.name.client))
		at = atEnd(x)
	}
	c.held.hit(func() Witness { return c.witness(p, offset, i, at, at, "%s%s", whose, what) })
}
