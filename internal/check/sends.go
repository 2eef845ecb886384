package check

import (
	"math"

	"github.com/kbench/kbench/internal/history"
)

// sendOrder compares the order in which each client sent with the order in the log, partition by partition:
// nonmonotonic-send. A value counts at its first offset, and not at all if it was sent again, since then nobody knows
// which sending stands there. An offset for which two values have equal claims says nothing. One instance is a pair of
// neighbours in the log.
//
// In a recorded run a session's sequence is its order of sends. In a hand-written history the calls are.
type sendOrder struct {
	*court
	order   tally
	pending map[index]pair // pairs that wait for the operation that tells when
}

// pair of values in the order of the log.
type pair struct {
	place
	before place
	first  index
}

func newSendOrder(c *court) *sendOrder {
	s := &sendOrder{court: c, order: tally{anomaly: nonmonotonicSend}, pending: map[index]pair{}}
	for p := range c.parts {
		s.scan(int32(p))
	}
	return s
}

// sender is one client's last record in the partition being scanned.
type sender struct {
	at    place
	value index
	key   int64
}

func (c *sendOrder) scan(partition int32) {
	p := &c.parts[partition]
	whole := c.complete(p)
	last := map[int64]sender{} // by client or session
	met := map[index]bool{}    // values with several offsets
	p.offsets.each(0, math.MaxInt64, func(offset int64, entry uint32) bool {
		standing := c.standing(place{partition, offset}, entry, whole)
		if len(standing) != 1 {
			return true
		}
		i := standing[0]
		s := c.values.state(i)
		if s&resent != 0 || s&sent == 0 || whole && !s.inLog(p) {
			return true
		}
		if s&twice != 0 {
			if met[i] {
				return true
			}
			met[i] = true
		}
		c.compare(last, sender{place{partition, offset}, i, 0})
		return true
	})
}

func (c *sendOrder) compare(last map[int64]sender, s sender) {
	v := c.values.value(s.value)
	by := int64(v.Producer)<<32 | int64(v.Session)
	s.key = v.Seq
	if c.ledger.order != nil {
		sent := c.ledger.order[s.value]
		by, s.key = int64(sent.client), sent.at
	}
	before, known := last[by]
	last[by] = s
	if !known {
		return
	}
	c.order.checked++
	if s.key < before.key {
		c.order.count++
		if len(c.pending) < maxWitnesses {
			c.pending[s.value] = pair{s.at, before.at, before.value}
		}
	}
}

func (c *sendOrder) kinds() []history.Kind { return sendsOnly() }

// add finds out when the record was sent that stands too late.
func (c *sendOrder) add(v *view) {
	if len(c.pending) == 0 {
		return
	}
	p, waited := c.pending[v.value]
	if !waited {
		return
	}
	delete(c.pending, v.value)
	c.order.witnesses = append(c.order.witnesses, c.witness(p.partition, p.offset, v.value, v.Call, v.Return,
		"sent before %s, and stands behind it (at %d)", c.name(p.first), p.before.offset).
		also(about{values: []history.Value{c.values.value(p.first)}, places: []place{p.before}}))
}

func (c *sendOrder) found() []tally { return []tally{c.order} }
