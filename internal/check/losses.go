package check

import "github.com/kbench/kbench/internal/history"

// losses finds what had to be in the log and is not: lost-write and unseen. One instance is one value.
type losses struct {
	*court
	lost, missing tally
	checked       uint64
}

func (c *losses) kinds() []history.Kind { return sendsOnly() }

func (c *losses) add(v *view) {
	c.checked++
	s := c.values.state(v.value)
	if s&missed != 0 || !s.must() || v.Outcome == history.Failed || c.nothingRead() {
		return
	}
	p := c.part(v.Partition)
	switch covered := p != nil && c.complete(p) || p == nil && c.allComplete(); {
	case covered && !s.inLog(p):
		c.values.mark(v.value, missed)
		c.lost.hit(func() Witness {
			return c.witness(v.Partition, v.Offset, v.value, v.Call, v.Return, "%s, and not in the log", c.claim(v))
		})
	case covered || s&anyRead != 0:
	case p != nil && v.Offset >= 0 && v.Offset < p.highest:
		c.values.mark(v.value, missed)
		c.lost.hit(func() Witness {
			return c.witness(v.Partition, v.Offset, v.value, v.Call, v.Return, "%s, and no reader got it, though readers came to offset %d", c.claim(v), p.highest).
				also(about{beyond: []place{{v.Partition, v.Offset}}})
		})
	default:
		c.values.mark(v.value, missed)
		c.missing.hit(func() Witness {
			return c.witness(v.Partition, v.Offset, v.value, v.Call, v.Return, "%s, and no reader got it; none is known to have come that far", c.claim(v))
		})
	}
}

// claim says why the record has to be there.
func (c *losses) claim(v *view) string {
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
