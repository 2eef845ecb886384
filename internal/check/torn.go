package check

import "github.com/kbench/kbench/internal/history"

// torn finds transactions of which a part can be seen: torn-transaction. It needs the whole log, since what is not seen
// must be known to be absent. One instance is one transaction.
type torn struct {
	*court
	parts tally
}

func (c *torn) kinds() []history.Kind { return nil }
func (c *torn) add(*view)             {}

func (c *torn) found() []tally {
	c.parts.anomaly = tornTransaction
	if c.allComplete() {
		c.txns.each(func(x *txn) {
			if x.outcome != rankFailed {
				c.look(x)
			}
		})
	}
	return []tally{c.parts}
}

func (c *torn) look(x *txn) {
	c.parts.checked++
	var seen, unseen uint64
	var missing, there index
	x.each(func(i index) {
		if c.values.state(i).inLog(nil) {
			if seen++; seen == 1 {
				there = i
			}
			return
		}
		if unseen++; unseen == 1 {
			missing = i
		}
	})
	if seen == 0 || unseen == 0 {
		return
	}
	c.parts.hit(func() Witness {
		return c.witness(history.Unknown, history.Unknown, missing, x.ended, x.ended, "of transaction %s of %s %d records are in the log and %d are not, this one among them",
			c.h.Header.TxnName(x.name.id), c.client(x.name.client), seen, unseen).
			also(about{txns: []txnName{x.name}, values: []history.Value{c.values.value(there)}})
	})
}

// has tells whether a value is a member.
func (x *txn) has(i index) bool {
	for _, s := range x.spans {
		if i >= s.first && i < s.first+s.n {
			return true
		}
	}
	return false
}
