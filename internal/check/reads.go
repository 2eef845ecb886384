package check

import "github.com/kbench/kbench/internal/history"

// reads looks at the identity of what was read: foreign-record and corrupt-record. One instance is one offset.
type reads struct {
	*court
	foreign, corrupt tally
	met              [2]map[place]bool // offsets counted already: several readers see the same record
}

func newReads(c *court) *reads {
	return &reads{court: c, foreign: tally{anomaly: foreignRecord}, corrupt: tally{anomaly: corruptRecord}, met: [2]map[place]bool{{}, {}}}
}

func (c *reads) kinds() []history.Kind { return readsOnly() }

func (c *reads) add(v *view) {
	n := uint64(len(v.Records))
	c.foreign.checked += n
	c.corrupt.checked += n
	for k, i := range v.values {
		r := &v.Records[k]
		if r.Flags&history.Corrupt != 0 && first(c.met[0], v, r.Offset) {
			c.corrupt.hit(func() Witness {
				return c.witness(v.Partition, r.Offset, i, v.Call, v.Return, "%s read a record whose checksum is wrong", c.client(v.Client))
			})
		}
		if c.values.state(i)&(sent|implied) == 0 && r.Flags&history.Corrupt == 0 && !c.maySend(i) && first(c.met[1], v, r.Offset) {
			c.foreign.hit(func() Witness {
				return c.witness(v.Partition, r.Offset, i, v.Call, v.Return, "%s read a record that nobody sent", c.client(v.Client))
			})
		}
	}
}

// maySend tells whether a session whose log ends too early may have sent a value after what is logged. If so it counts
// as an indeterminate send from now on.
func (c *reads) maySend(i index) bool {
	s := c.values.of(i)
	if c.values.nobody(i) || s.closed || c.values.value(i).Seq <= s.highest {
		return false
	}
	c.values.mark(i, implied)
	c.values.raise(i, rankIndeterminate)
	return true
}

// first tells whether an offset is met for the first time.
func first(met map[place]bool, v *view, offset int64) bool {
	at := place{v.Partition, offset}
	if met[at] {
		return false
	}
	if len(met) < 1<<20 { // beyond that each sighting counts
		met[at] = true
	}
	return true
}

func (c *reads) found() []tally { return []tally{c.foreign, c.corrupt} }
