package check

import "github.com/kbench/kbench/internal/history"

// holes goes through the log as the final read's first pass shows it: offset-hole where an offset is missing in a topic
// that has neither transactions nor compaction, and leader-epoch-regression where a later record has an older epoch.
// One instance is one missing offset, or one record.
type holes struct {
	*court
	missing, epochs tally
	there           []intervals // by partition: offsets that the pass showed
	epoch           []int32     // by partition: the newest yet
	newest          []int64     // by partition: the first offset of that epoch
}

func newHoles(c *court) *holes {
	h := &holes{
		court: c, missing: tally{anomaly: offsetHole}, epochs: tally{anomaly: leaderEpochRegression},
		there: make([]intervals, len(c.parts)), epoch: make([]int32, len(c.parts)), newest: make([]int64, len(c.parts)),
	}
	for p := range h.epoch {
		h.epoch[p] = history.Unknown
	}
	return h
}

func (c *holes) kinds() []history.Kind { return []history.Kind{history.FinalRead} }

func (c *holes) add(v *view) {
	p := c.part(v.Partition)
	if p == nil || v.Pass > 1 || !c.complete(p) {
		return
	}
	c.missing.checked += uint64(len(v.Records))
	if c.dense(p) {
		c.there[v.Partition].addAll(v.Records)
	}
	for k := range v.Records {
		c.succession(v, k)
	}
}

// dense tells whether each offset of a partition must hold a record.
func (c *holes) dense(p *partition) bool { return !p.topic.transactional && !p.topic.compacted }

func (c *holes) succession(v *view, k int) {
	r, newest := &v.Records[k], &c.epoch[v.Partition]
	c.epochs.checked++
	if r.Epoch >= 0 && r.Epoch < *newest {
		c.epochs.hit(func() Witness {
			return c.witness(v.Partition, r.Offset, v.values[k], v.Call, v.Return, "written in epoch %d, behind a record of epoch %d", r.Epoch, *newest).
				also(about{places: []place{{v.Partition, c.newest[v.Partition]}}, epochs: true})
		})
	}
	if r.Epoch > *newest {
		*newest, c.newest[v.Partition] = r.Epoch, r.Offset
	}
}

func (c *holes) found() []tally {
	for i := range c.parts {
		p := &c.parts[i]
		if p.reached[0] >= 0 && c.complete(p) && c.dense(p) {
			c.gaps(int32(i), p)
		}
	}
	return []tally{c.missing, c.epochs}
}

// gaps are what the rows of offsets leave open, from the partition's start to its end.
func (c *holes) gaps(at int32, p *partition) {
	next, known := c.h.Header.Starts[at]
	for _, row := range c.there[at] {
		if known && row.from > next {
			c.gap(at, next, row.from)
		}
		next, known = max(next, row.to), true
	}
	if known && next < p.end {
		c.gap(at, next, p.end)
	}
}

func (c *holes) gap(at int32, from, to int64) {
	c.missing.checked += uint64(to - from)
	c.missing.count += uint64(to-from) - 1
	c.missing.hit(func() Witness {
		return c.witness(at, from, c.values.index(history.NoValue), history.Unknown, history.Unknown, "offsets %d to %d hold nothing", from, to-1).
			also(about{places: []place{{at, from - 1}, {at, to}}})
	})
}
