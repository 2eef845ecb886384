package check

import (
	"fmt"
	"math"
	"strings"

	"github.com/kbench/kbench/internal/history"
)

// cycles looks for transactions each of which came before the other: g0 where the log says so, g1c where what was read
// does. See docs/adr/0005-cycles.md for what follows from either. One instance is one set of transactions that all come
// before each other: a strongly connected component.
//
// Transactions that were aborted are left out: what is read of them is an aborted-read.
type cycles struct {
	*court
	graph *graph // nil without transactions
	tails []*txn // by partition: whose record was the last in the log
}

func newCycles(c *court) *cycles {
	s := &cycles{court: c, tails: make([]*txn, len(c.parts))}
	if c.writers != nil {
		s.graph = &graph{nodes: len(c.writers.txns)}
	}
	return s
}

// stands takes the records of the log, partition by partition, in their order.
func (c *cycles) stands(at place, x *txn) {
	if x == nil || x.outcome == rankFailed {
		return
	}
	if before := c.tails[at.partition]; before != nil {
		c.graph.add(edge{from: before.number, to: x.number, place: at})
	}
	c.tails[at.partition] = x
}

func (c *cycles) kinds() []history.Kind { return []history.Kind{history.Poll, history.Send} }

func (c *cycles) add(v *view) {
	if c.graph == nil || v.Kind == history.Poll && v.Isolation == history.ReadUncommitted {
		return
	}
	reader := c.reader(v)
	switch {
	case reader == nil:
	case v.Kind == history.Send:
		c.answers(v, reader)
	default:
		for k, i := range v.values {
			if v.Records[k].Flags == 0 {
				c.reads(place{v.Partition, v.Records[k].Offset}, i, reader)
			}
		}
	}
}

// reader is the transaction of an operation, nil where it has none that could be a part of a cycle.
func (c *cycles) reader(v *view) *txn {
	if v.Txn == 0 || v.Kind == history.Send && (v.Outcome == history.Failed || v.FromPartition < 0) {
		return nil
	}
	x := c.txns.named(v.Client, v.Txn)
	if x == nil || x.outcome == rankFailed || c.writers.txns[x.number] != x {
		return nil // aborted, or it has sent nothing
	}
	return x
}

// reads: what a transaction polled was sent before.
func (c *cycles) reads(at place, i index, reader *txn) {
	if x := c.writer(i); x != nil && x.outcome != rankFailed {
		c.graph.add(edge{from: x.number, to: reader.number, read: true, place: at})
	}
}

// answers: a transaction that sends an output for an input has read it, by a reader of committed records unless its client
// has another. The input is known if somebody read one record there, and nobody claims another.
func (c *cycles) answers(v *view, reader *txn) {
	at := place{v.FromPartition, v.FromOffset}
	p := c.part(at.partition)
	if p == nil || c.uncommitted[v.Client] || len(c.conflicts[at]) > 0 {
		return
	}
	if entry := p.offsets.get(at.offset); entry&readBit != 0 {
		c.reads(at, entry&^readBit-1, reader)
	}
}

func (c *cycles) found() []tally {
	if c.graph == nil {
		return nil
	}
	g := c.graph
	plain, read, woven := tally{anomaly: g0}, tally{anomaly: g1c, variant: readOnly}, tally{anomaly: g1c, variant: interleaved}
	all, fan := g.parts(anyEdge)
	if all.n > 0 {
		writes, along := g.parts(logEdge)
		c.tell(&plain, writes, along, logEdge, nil)
		reads, along := g.parts(readEdge)
		c.tell(&read, reads, along, readEdge, nil)
		c.tell(&woven, all, fan, readEdge, reads.of)
	}
	list := []tally{plain, read, woven}
	for i := range list {
		list[i].checked = uint64(g.nodes)
	}
	return list
}

// tell counts the parts that have a cycle with some sort of edge, but for those with a node that is known from elsewhere,
// and shows a short cycle of each of the first few.
func (c *cycles) tell(t *tally, p parts, f fan, with among, known []uint32) {
	through := make([][]uint32, p.n+1) // by part: the first few edges of the sort
	for i := range c.graph.edges {
		e := &c.graph.edges[i]
		if part := p.of[e.from]; part != 0 && part == p.of[e.to] && with(e) && len(through[part]) < maxWitnesses {
			through[part] = append(through[part], uint32(i))
		}
	}
	for n, part := range p.of {
		if known != nil && known[n] != 0 {
			through[part] = nil
		}
	}
	for _, edges := range through[1:] {
		if len(edges) > 0 {
			t.hit(func() Witness { return c.show(c.graph.shortest(f, p, edges)) })
		}
	}
}

// show a cycle: its transactions, and the record by which each comes before the next.
func (c *cycles) show(cycle []uint32) Witness {
	g := c.graph
	var steps []string
	at := int64(math.MinInt64)
	var more about
	for _, i := range cycle {
		e := &g.edges[i]
		steps = append(steps, c.before(e))
		to := c.writers.txns[e.to]
		at = max(at, to.ended)
		more.txns = append(more.txns, to.name)
		more.places = append(more.places, e.place)
		more.values = append(more.values, c.values.value(c.value(e.place)))
	}
	if at == math.MaxInt64 {
		at = history.Unknown
	}
	e := &g.edges[cycle[0]]
	return c.witness(e.partition, e.offset, c.value(e.place), at, at, "%s", strings.Join(steps, "; ")).also(more)
}

// before says why one transaction came before another.
func (c *cycles) before(e *edge) string {
	record := fmt.Sprintf("%s (%s at offset %d)", c.name(c.value(e.place)), c.h.Header.PartitionName(e.partition), e.offset)
	if e.read {
		return fmt.Sprintf("%s read %s of %s", c.txnName(e.to), record, c.txnName(e.from))
	}
	return fmt.Sprintf("a record of %s stands before %s of %s", c.txnName(e.from), record, c.txnName(e.to))
}

func (c *cycles) txnName(n uint32) string {
	x := c.writers.txns[n]
	return c.h.Header.TxnName(x.name.id) + " of " + c.client(x.name.client)
}

// value that was read or acknowledged at a place.
func (c *cycles) value(at place) index {
	return c.parts[at.partition].offsets.get(at.offset)&^readBit - 1
}
