package check

import (
	"fmt"
	"math"
	"slices"

	"github.com/kbench/kbench/internal/history"
)

// outputs judges read–process–write: two committed outputs for one input are a duplicate, a committed input below what
// the processors have covered without any is unprocessed. One instance is one input.
type outputs struct {
	*court
	double, none tally
	answered     []packed // by input partition, by offset: the first output's index + 1, and answeredTwice
	inputs       []bool   // partitions that are inputs
	behind       []string // input partitions that were not covered to their ends
}

const answeredTwice = readBit

func newOutputs(c *court) *outputs {
	o := &outputs{court: c, double: tally{anomaly: duplicate}, none: tally{anomaly: unprocessed}, answered: make([]packed, len(c.parts)), inputs: make([]bool, len(c.parts))}
	for i := range c.parts {
		name := c.parts[i].topic.name
		o.inputs[i] = name == c.run.input && name != "" || slices.Contains(c.h.Header.Inputs, name)
	}
	return o
}

func (c *outputs) kinds() []history.Kind { return sendsOnly() }

func (c *outputs) add(v *view) {
	if v.FromPartition < 0 || int(v.FromPartition) >= len(c.parts) || v.FromOffset < 0 {
		return
	}
	c.double.checked++
	if !c.committed(v) {
		return
	}
	entry := c.answered[v.FromPartition].get(v.FromOffset)
	switch first := entry &^ answeredTwice; {
	case first == 0:
		c.answered[v.FromPartition].set(v.FromOffset, v.value+1)
	case first == v.value+1 || entry&answeredTwice != 0:
	default:
		c.answered[v.FromPartition].set(v.FromOffset, entry|answeredTwice)
		c.double.hit(func() Witness {
			return c.witness(v.FromPartition, v.FromOffset, v.value, v.Call, v.Return, "this input has two outputs: %s and %s", c.name(first-1), c.name(v.value)).
				also(about{values: []history.Value{c.values.value(first - 1)}})
		})
	}
}

// committed tells whether an output is in the log, or where that was not read to its end, whether a reader of committed
// records got it.
func (c *outputs) committed(v *view) bool {
	s := c.values.state(v.value)
	if s.rank() == rankFailed {
		return false
	}
	p := c.part(v.Partition)
	if p != nil && c.complete(p) || p == nil && c.allComplete() {
		return s.inLog(p)
	}
	return s&proof != 0
}

// found counts inputs without an output. Whether there is none can be said only if the whole log was read.
func (c *outputs) found() []tally {
	for p := range c.parts {
		if c.inputs[p] && c.allComplete() {
			c.unanswered(int32(p))
		}
	}
	return []tally{c.double, c.none}
}

func (c *outputs) unanswered(partition int32) {
	p := &c.parts[partition]
	cover := c.covered(partition)
	last := int64(history.Unknown)
	p.offsets.each(0, math.MaxInt64, func(offset int64, entry uint32) bool {
		standing := c.standing(place{partition, offset}, entry, true)
		at := slices.IndexFunc(standing, func(i index) bool { return c.values.state(i).inLog(p) })
		if at < 0 {
			return true
		}
		i := standing[at]
		last = max(last, offset)
		if offset >= cover {
			return true
		}
		c.none.checked++
		if c.answered[partition].get(offset) == 0 {
			c.none.hit(func() Witness {
				return c.witness(partition, offset, i, history.Unknown, history.Unknown, "the processors have come to %s, and this input has no output", upTo(cover)).
					also(about{past: []place{{partition, offset}}})
			})
		}
		return true
	})
	if last >= cover {
		c.behind = append(c.behind, p.name)
	}
}

func upTo(cover int64) string {
	if cover == math.MaxInt64 {
		return "the end"
	}
	return fmt.Sprintf("offset %d", cover)
}

// covered is how far the processors have committed their input, everything where the run waited for them to arrive. A
// hand-written history does not tell which group is theirs.
func (c *outputs) covered(p int32) int64 {
	if c.run.drained {
		return math.MaxInt64
	}
	cover := int64(0)
	for name, g := range c.ledger.groups {
		if c.run.recorded && name != c.run.processors() {
			continue
		}
		cover = max(cover, g.cover[p])
	}
	return cover
}
