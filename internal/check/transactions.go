package check

import (
	"fmt"
	"math"

	"github.com/kbench/kbench/internal/history"
)

// transactions are kept until the end of the first pass: their outcome rules their members.
type transactions struct {
	byName map[txnName]*txn
	list   []*txn
	latest []*txn // by client: the one that was asked for last
}

type txnName struct {
	client int32
	id     uint64
}

type txn struct {
	name    txnName
	outcome state // noOutcome while open, then rankOK, rankFailed or rankIndeterminate
	ended   int64 // when that was known
	last    int64 // when the last of its sends was called: it was not committed before
	spans   []span
	claims  []claim // offsets that were acknowledged, until the outcome is known
	effects []effect
	commits []groupOffsets
	offsets bool   // it has committed offsets of a group
	proven  bool   // it was indeterminate, and one of its records was read
	early   bool   // counted as precommitted-read
	number  uint32 // given by writers
}

// span is a row of values, numbered without a gap.
type span struct{ first, n index }

func newTransactions() transactions { return transactions{byName: map[txnName]*txn{}} }

func (t *transactions) open(op *history.Op) *txn {
	name := txnName{op.Client, op.Txn}
	x := t.named(name.client, name.id)
	if x == nil {
		x = &txn{name: name, last: math.MinInt64}
		t.byName[name] = x
		t.list = append(t.list, x)
	}
	return x
}

// named finds a client's transaction, nil where there is none. Mostly it is the one that was asked for before.
func (t *transactions) named(client int32, id uint64) *txn {
	if client < 0 {
		return t.byName[txnName{client, id}]
	}
	for int(client) >= len(t.latest) {
		t.latest = append(t.latest, nil)
	}
	if x := t.latest[client]; x != nil && x.name.id == id {
		return x
	}
	x := t.byName[txnName{client, id}]
	t.latest[client] = x
	return x
}

// each calls f for all transactions, in the order in which they were met.
func (t *transactions) each(f func(*txn)) {
	for _, x := range t.list {
		f(x)
	}
}

// member enters a send that is not certainly out of the log.
func (t *transactions) member(l *ledger, op *history.Op, i index) {
	x := t.open(op)
	x.add(i)
	x.last = max(x.last, op.Call)
	if op.Offset >= 0 && l.part(op.Partition) != nil {
		x.claims = append(x.claims, claim{place: place{op.Partition, op.Offset}, value: i})
	}
	if x.outcome != noOutcome {
		x.apply(l)
	}
}

func (x *txn) add(i index) {
	if n := len(x.spans); n > 0 {
		last := &x.spans[n-1]
		if i >= last.first && i < last.first+last.n {
			return
		}
		if last.first+last.n == i {
			last.n++
			return
		}
	}
	x.spans = append(x.spans, span{i, 1})
}

// each calls f for all members.
func (x *txn) each(f func(index)) {
	for _, s := range x.spans {
		for i := s.first; i < s.first+s.n; i++ {
			f(i)
		}
	}
}

func (t *transactions) close(l *ledger, op *history.Op) {
	x := t.open(op)
	outcome := rankOf(op.Outcome)
	if x.outcome != noOutcome {
		if x.outcome != outcome {
			l.warnings = append(l.warnings, fmt.Sprintf("transaction %s of %s ends twice, in different ways: the first counts",
				l.h.Header.TxnName(op.Txn), l.h.Header.ClientName(op.Client)))
		}
		return
	}
	x.outcome, x.ended = outcome, op.Return
	for _, c := range x.commits {
		c.group.moves(c.offsets)
	}
	x.apply(l)
}

// apply makes the outcome that of the members. What an indeterminate transaction did besides counts once it is settled
// whether it is proven.
func (x *txn) apply(l *ledger) {
	x.each(func(i index) { l.values.raise(i, x.outcome) })
	if x.outcome != rankIndeterminate {
		x.conclude(l, x.outcome)
	}
}

// conclude gives the offsets of acknowledgements, the group's offsets and the effects the outcome of their transaction.
func (x *txn) conclude(l *ledger, outcome state) {
	for _, c := range x.commits {
		c.apply(outcome)
	}
	for _, e := range x.effects {
		e.apply(l, outcome)
	}
	switch outcome {
	case rankOK:
		for _, c := range x.claims {
			l.place(c)
		}
	case rankFailed:
		l.hidden += uint64(len(x.claims))
	}
	x.commits, x.effects, x.claims = nil, nil, nil
}

// settle ends what nobody ended, and proves what readers of committed records have seen.
func (t *transactions) settle(l *ledger) {
	for _, x := range t.list {
		if x.outcome == noOutcome {
			x.outcome, x.ended = rankIndeterminate, math.MaxInt64
			x.apply(l)
		}
		if x.outcome != rankIndeterminate {
			continue
		}
		x.proven = x.seen(l.values)
		outcome := rankIndeterminate
		if x.proven {
			x.each(func(i index) { l.values.mark(i, proven) })
			outcome = rankOK
		}
		x.conclude(l, outcome)
	}
}

// seen tells whether a reader of committed records got a member. One that was sent again may come from there.
func (x *txn) seen(v *values) bool {
	seen := false
	x.each(func(i index) { seen = seen || v.state(i)&(proof|resent) == proof })
	return seen
}
