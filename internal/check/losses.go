package check

import (
	"math"

	"github.com/kbench/kbench/internal/history"
)

// losses finds what had to be in the log and is not: lost-write and unseen. One instance is one value.
type losses struct {
	*court
	lost, missing tally
	checked       uint64
	sights        map[int32]*sight // by partition, where the final read is not complete
}

// sight is how far readers have certainly come in a partition: to the highest offset that was read, where a value with
// several counts at its first. Such a value itself is missed only if its last offset was passed.
type sight struct {
	to   int64
	last map[index]int64 // of values with several offsets, or that were sent again
}

func (c *losses) sight(p int32) *sight {
	s := c.sights[p]
	if s != nil {
		return s
	}
	s = &sight{to: history.Unknown, last: map[index]int64{}}
	if c.sights == nil {
		c.sights = map[int32]*sight{}
	}
	c.sights[p] = s
	first := map[index]int64{}
	c.parts[p].offsets.each(0, math.MaxInt64, func(offset int64, entry uint32) bool {
		for _, claim := range c.claims(place{p, offset}, entry) {
			from := offset
			if c.values.state(claim.value)&(twice|resent) != 0 {
				if at, met := first[claim.value]; met {
					from = at
				}
				first[claim.value], s.last[claim.value] = from, offset
			}
			if claim.read {
				s.to = max(s.to, from)
			}
		}
		return true
	})
	return s
}

// passed tells whether readers have come past the offset, or the last of several, at which a send was acknowledged.
func (c *losses) passed(v *view) (to int64, passed bool) {
	s, at := c.sight(v.Partition), v.Offset
	if c.values.state(v.value)&(twice|resent) != 0 {
		last, known := s.last[v.value]
		if at = last; !known {
			at = history.Unknown
		}
	}
	return s.to, at >= 0 && at <= s.to
}

func (c *losses) kinds() []history.Kind { return sendsOnly() }

func (c *losses) add(v *view) {
	c.checked++
	s := c.values.state(v.value)
	if s&missed != 0 || !s.must() || v.Outcome == history.Failed || c.nothingRead() {
		return
	}
	p := c.part(v.Partition)
	if c.mayBeGone(s, p) {
		if s&anyRead == 0 && v.Attempt <= 1 {
			c.ledger.gone++
		}
		return
	}
	switch covered := p != nil && c.complete(p) || p == nil && c.allComplete(); {
	case covered && !s.inLog(p):
		c.values.mark(v.value, missed)
		c.lost.hit(func() Witness {
			return c.witness(v.Partition, v.Offset, v.value, v.Call, v.Return, "%s, and not in the log", c.reason(v))
		})
	case covered || s&anyRead != 0:
	default:
		c.values.mark(v.value, missed)
		c.unread(v, p)
	}
}

// unread counts what no reader got, where the log was not read to its end.
func (c *losses) unread(v *view, p *partition) {
	if p != nil {
		if to, passed := c.passed(v); passed {
			c.lost.hit(func() Witness {
				return c.witness(v.Partition, v.Offset, v.value, v.Call, v.Return, "%s, and no reader got it, though readers came to offset %d", c.reason(v), to).
					also(about{beyond: []place{{v.Partition, v.Offset}}})
			})
			return
		}
	}
	c.missing.hit(func() Witness {
		return c.witness(v.Partition, v.Offset, v.value, v.Call, v.Return, "%s, and no reader got it; none is known to have come that far", c.reason(v))
	})
}

// reason says why the record has to be there.
func (c *losses) reason(v *view) string {
	s := c.values.state(v.value)
	switch {
	case s.rank() == rankOK && v.Txn != 0:
		return "committed with transaction " + c.h.Header.TxnName(v.Txn)
	case s.rank() == rankOK:
		return "acknowledged"
	case s&proven != 0:
		return "its transaction was committed, since another record of it was read"
	default:
		return "read by a consumer of committed records"
	}
}

func (c *losses) found() []tally {
	c.lost.anomaly, c.missing.anomaly = lostWrite, unseen
	c.lost.checked, c.missing.checked = c.checked, c.checked
	c.counts.Lost = c.lost.count + c.missing.count
	return []tally{c.lost, c.missing}
}
