package check

import (
	"math"

	"github.com/kbench/kbench/internal/history"
)

// sendOrder compares the order in which each client sent with the order in the log, partition by partition:
// nonmonotonic-send. Two of its names say more of two records of one transaction: internal-nonmonotonic-send of their
// order, and internal-send-skip where records of other clients stand between them. One instance is a pair of neighbours
// among a client's records in the log.
//
// A value counts at its first offset, and not at all if it was sent again, since then nobody knows which sending stands
// there. An offset for which two values have equal claims says nothing.
//
// In a recorded run a session's sequence is its order of sends. In a hand-written history the calls are.
type sendOrder struct {
	*court
	cycles            *cycles // hears of the same records
	order, txn, woven tally
	pending           map[index][]pair // pairs that wait for the operation that tells when
}

// pair of values in the order of the log.
type pair struct {
	tally *tally
	place
	before place
	first  index
}

func newSendOrder(c *court, cycles *cycles) *sendOrder {
	s := &sendOrder{
		court: c, cycles: cycles, pending: map[index][]pair{},
		order: tally{anomaly: nonmonotonicSend}, txn: tally{anomaly: internalNonmonoSend}, woven: tally{anomaly: internalSendSkip},
	}
	for p := range c.parts {
		s.scan(int32(p))
	}
	return s
}

// sender is one client's last record in the partition being scanned.
type sender struct {
	at    place
	value index
	key   int64 // grows with the order of sends
	rank  int64 // among the records that count
	txn   *txn  // nil: none
}

func (c *sendOrder) scan(partition int32) {
	p := &c.parts[partition]
	whole := c.complete(p)
	last := map[int64]sender{} // by client or session
	met := map[index]bool{}    // values with several offsets
	rank := int64(0)
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
		rank++
		record := sender{at: place{partition, offset}, value: i, rank: rank, txn: c.writer(i)}
		c.cycles.stands(record.at, record.txn)
		c.compare(last, record)
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
	inside := s.txn != nil && s.txn == before.txn
	c.look(&c.order, before, s, s.key < before.key)
	if inside {
		c.look(&c.txn, before, s, s.key < before.key)
		c.look(&c.woven, before, s, s.rank > before.rank+1)
	}
}

// look counts a pair, and notes the first few to be shown.
func (c *sendOrder) look(t *tally, before, s sender, bad bool) {
	t.checked++
	if !bad {
		return
	}
	if t.count++; t.count <= maxWitnesses {
		c.pending[s.value] = append(c.pending[s.value], pair{t, s.at, before.at, before.value})
	}
}

func (c *sendOrder) kinds() []history.Kind { return sendsOnly() }

// add finds out when the record was sent that stands too late.
func (c *sendOrder) add(v *view) {
	if len(c.pending) == 0 {
		return
	}
	pairs, waited := c.pending[v.value]
	if !waited {
		return
	}
	delete(c.pending, v.value)
	for _, p := range pairs {
		format := "sent before %s, and stands behind it (at %d)"
		if p.tally == &c.woven {
			format = "between it and %s (at %d), of the same transaction, stand records of others"
		}
		p.tally.witnesses = append(p.tally.witnesses, c.witness(p.partition, p.offset, v.value, v.Call, v.Return, format, c.name(p.first), p.before.offset).
			also(about{values: []history.Value{c.values.value(p.first)}, places: []place{p.before}}))
	}
}

func (c *sendOrder) found() []tally { return []tally{c.order, c.txn, c.woven} }
