package check

import "github.com/kbench/kbench/internal/history"

// aborted finds reads of what certainly should not be there: the value of a failed send or of an aborted transaction.
// One instance is one value.
//
// The final read of a run with transactions is one of committed records. Where a transaction holds a partition it goes on
// with all records there, to tell which; the aborted ones among them are where they belong.
type aborted struct {
	*court
	reads tally
}

func (c *aborted) kinds() []history.Kind { return readsOnly() }

func (c *aborted) add(v *view) {
	if v.Kind == history.FinalRead && v.Isolation == history.ReadUncommitted && c.run.transactional {
		return
	}
	c.reads.checked += uint64(len(v.Records))
	for k, i := range v.values {
		s := c.values.state(i)
		if s.rank() != rankFailed || s&untimely != 0 {
			continue
		}
		c.values.mark(i, untimely)
		c.reads.hit(func() Witness {
			return c.witness(v.Partition, v.Records[k].Offset, i, v.Call, v.Return, "%s read what was aborted or had failed", c.client(v.Client))
		})
	}
}

func (c *aborted) found() []tally {
	c.reads.anomaly = abortedRead
	return []tally{c.reads}
}
