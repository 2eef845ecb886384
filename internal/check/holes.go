package check

import "github.com/kbench/kbench/internal/history"

// holes goes through the log as the final read's first pass shows it: offset-hole where an offset is missing in a topic
// that has neither transactions nor compaction, and leader-epoch-regression where a later record has an older epoch.
type holes struct {
	*court
	missing, epochs tally
	next            []int64
	epoch           []int32
}

func newHoles(c *court) *holes {
	h := &holes{court: c, missing: tally{anomaly: offsetHole}, epochs: tally{anomaly: leaderEpochRegression}, next: unknowns(len(c.parts)), epoch: make([]int32, len(c.parts))}
	for p := range h.epoch {
		h.epoch[p] = history.Unknown
		if start, known := c.h.Header.Starts[int32(p)]; known {
			h.next[p] = start
		}
	}
	return h
}

func (c *holes) kinds() []history.Kind { return []history.Kind{history.FinalRead} }

func (c *holes) add(v *view) {
	p := c.part(v.Partition)
	if p == nil || v.Pass > 1 || !c.complete(p) {
		return
	}
	for k := range v.Records {
		c.record(p, v, k)
	}
}

func (c *holes) record(p *partition, v *view, k int) {
	r, at := &v.Records[k], v.Partition
	c.epochs.checked++
	if r.Epoch >= 0 && r.Epoch < c.epoch[at] {
		c.epochs.hit(func() Witness {
			return c.witness(at, r.Offset, v.values[k], v.Call, v.Return, "written in epoch %d, behind a record of epoch %d", r.Epoch, c.epoch[at])
		})
	}
	c.epoch[at] = max(c.epoch[at], r.Epoch)
	if next := c.next[at]; next >= 0 && r.Offset > next {
		c.gap(p, at, next, r.Offset, v)
	}
	c.next[at] = max(c.next[at], r.Offset+1)
	c.missing.checked++
}

// gap counts the offsets that are missing from one until before another.
func (c *holes) gap(p *partition, at int32, from, to int64, v *view) {
	if p.topic.transactional || p.topic.compacted {
		return
	}
	call, seen := int64(history.Unknown), int64(history.Unknown)
	if v != nil {
		call, seen = v.Call, v.Return
	}
	c.missing.count += uint64(to-from) - 1
	c.missing.hit(func() Witness {
		w := c.witness(at, from, c.values.index(history.NoValue), call, seen, "offsets %d to %d hold nothing", from, to-1)
		return w
	})
}

func (c *holes) found() []tally {
	for i := range c.parts {
		p := &c.parts[i]
		if next := c.next[i]; c.complete(p) && p.reached[0] >= 0 && next >= 0 && next < p.end {
			c.gap(p, int32(i), next, p.end, nil)
		}
	}
	return []tally{c.missing, c.epochs}
}
