package check

import (
	"fmt"
	"math"
	"slices"

	"github.com/kbench/kbench/internal/history"
)

// transactions are kept until the end of the first pass: their outcome rules their members.
type transactions struct {
	rooms   [][]txn // full but for the last: a transaction stays where it is
	numbers []paged[uint32]
	far     map[txnName]*txn
	spare   []*pending
	rows    []span // reused by seal
}

const (
	roomBits = 10
	roomSize = 1 << roomBits
	nearTxn  = 1 << 40 // a client's transactions below are found by their number, others by name
)

type txnName struct {
	client int32
	id     uint64
}

type txn struct {
	name    txnName
	ended   int64    // when its outcome was known
	last    int64    // when the last of its sends was called: it was not committed before
	only    span     // its members, where they are one row
	rows    *[]span  // else
	pending *pending // nil where nothing waits
	number  uint32   // given by writers
	outcome state    // noOutcome while open, then rankOK, rankFailed or rankIndeterminate
	offsets bool     // it has committed offsets of a group
	proven  bool     // it was indeterminate, and one of its records was read
	early   bool     // counted as precommitted-read
}

// pending is what waits for the outcome of a transaction.
type pending struct {
	members []index // not in rows yet
	claims  []claim // offsets that were acknowledged
	effects []effect
	commits []groupOffsets
}

// span is a row of values, numbered without a gap.
type span struct{ first, n index }

func newTransactions() transactions { return transactions{far: map[txnName]*txn{}} }

func (t *transactions) open(op *history.Op) *txn {
	if x := t.named(op.Client, op.Txn); x != nil {
		return x
	}
	last := len(t.rooms) - 1
	if last < 0 || len(t.rooms[last]) == roomSize {
		t.rooms = append(t.rooms, make([]txn, 0, roomSize))
		last++
	}
	room := &t.rooms[last]
	*room = append(*room, txn{name: txnName{op.Client, op.Txn}, last: math.MinInt64})
	x := &(*room)[len(*room)-1]
	if op.Txn >= nearTxn {
		t.far[x.name] = x
		return x
	}
	for int(op.Client) >= len(t.numbers) {
		t.numbers = append(t.numbers, paged[uint32]{})
	}
	*t.numbers[op.Client].at(int64(op.Txn)) = uint32(last*roomSize + len(*room))
	return x
}

// named finds a client's transaction, nil where there is none.
func (t *transactions) named(client int32, id uint64) *txn {
	if id >= nearTxn {
		return t.far[txnName{client, id}]
	}
	if int(client) >= len(t.numbers) {
		return nil
	}
	n := t.numbers[client].get(int64(id))
	if n == 0 {
		return nil
	}
	return &t.rooms[(n-1)>>roomBits][(n-1)&(roomSize-1)]
}

// each calls f for all transactions, in the order in which they were met.
func (t *transactions) each(f func(*txn)) {
	for _, room := range t.rooms {
		for i := range room {
			f(&room[i])
		}
	}
}

// wait is where something can be put until the outcome of a transaction is known.
func (t *transactions) wait(x *txn) *pending {
	if n := len(t.spare); x.pending == nil && n > 0 {
		x.pending, t.spare = t.spare[n-1], t.spare[:n-1]
	}
	if x.pending == nil {
		x.pending = &pending{}
	}
	return x.pending
}

// member enters a send that is not certainly out of the log.
func (t *transactions) member(l *ledger, op *history.Op, i index) {
	x := t.open(op)
	x.last = max(x.last, op.Call)
	p := t.wait(x)
	p.members = append(p.members, i)
	if op.Offset >= 0 && l.part(op.Partition) != nil {
		p.claims = append(p.claims, claim{place: place{op.Partition, op.Offset}, value: i})
	}
	if x.outcome != noOutcome {
		l.values.raise(i, x.outcome)
	}
}

// effect enters an effect that counts if the transaction was committed.
func (t *transactions) effect(op *history.Op, e effect) {
	x := t.open(op)
	p := t.wait(x)
	p.effects = append(p.effects, e)
}

// commit enters offsets that a group commits with the transaction.
func (t *transactions) commit(op *history.Op, c groupOffsets) {
	x := t.open(op)
	x.offsets = true
	p := t.wait(x)
	p.commits = append(p.commits, c)
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
	x.ended = op.Return
	if x.pending != nil {
		for _, c := range x.pending.commits {
			c.group.moves(c.offsets)
		}
	}
	t.end(l, x, outcome)
}

// end makes the outcome that of the members. What an indeterminate transaction did besides counts once it is settled
// whether it is proven.
func (t *transactions) end(l *ledger, x *txn, outcome state) {
	x.outcome = outcome
	x.each(func(i index) { l.values.raise(i, outcome) })
	t.seal(x)
	if outcome != rankIndeterminate {
		t.conclude(l, x, outcome)
	}
}

// conclude gives all that waits its outcome.
func (t *transactions) conclude(l *ledger, x *txn, outcome state) {
	if x.pending == nil {
		return
	}
	x.pending.conclude(l, outcome)
	if len(x.pending.members) == 0 {
		t.spare = append(t.spare, x.pending)
		x.pending = nil
	}
}

// conclude gives the offsets of acknowledgements, the group's offsets and the effects the outcome of their transaction.
func (p *pending) conclude(l *ledger, outcome state) {
	for _, c := range p.commits {
		c.apply(outcome)
	}
	for _, e := range p.effects {
		e.apply(l, outcome)
	}
	switch outcome {
	case rankOK:
		for _, c := range p.claims {
			l.place(c)
		}
	case rankFailed:
		l.hidden += uint64(len(p.claims))
	}
	clear(p.commits)
	p.commits, p.effects, p.claims = p.commits[:0], p.effects[:0], p.claims[:0]
}

// settle ends what nobody ended, gives what came after an end its outcome, and proves what readers of committed records
// have seen.
func (t *transactions) settle(l *ledger) {
	t.each(func(x *txn) {
		if x.outcome == noOutcome {
			x.ended = math.MaxInt64
			t.end(l, x, rankIndeterminate)
		}
		t.seal(x)
		outcome := x.outcome
		if x.outcome == rankIndeterminate && x.seen(l.values) {
			x.proven, outcome = true, rankOK
			x.each(func(i index) { l.values.mark(i, proven) })
		}
		t.conclude(l, x, outcome)
	})
	t.spare = nil
}

// seen tells whether a reader of committed records got a member. One that was sent again may come from there.
func (x *txn) seen(v *values) bool {
	seen := false
	x.each(func(i index) { seen = seen || v.state(i)&(proof|resent) == proof })
	return seen
}

// each calls f for all members.
func (x *txn) each(f func(index)) {
	x.only.each(f)
	if x.rows != nil {
		for _, s := range *x.rows {
			s.each(f)
		}
	}
	if x.pending != nil {
		for _, i := range x.pending.members {
			f(i)
		}
	}
}

func (s span) each(f func(index)) {
	for i := s.first; i < s.first+s.n; i++ {
		f(i)
	}
}

// seal turns members into rows. They were acknowledged in the order of their batches, and mostly are one row in all.
func (t *transactions) seal(x *txn) {
	if x.pending == nil || len(x.pending.members) == 0 {
		return
	}
	fresh := x.pending.members
	x.pending.members = nil
	x.each(func(i index) { fresh = append(fresh, i) })
	slices.Sort(fresh)
	rows := t.rows[:0]
	for _, i := range fresh {
		if n := len(rows) - 1; n >= 0 && i <= rows[n].first+rows[n].n {
			rows[n].n = i - rows[n].first + 1
		} else {
			rows = append(rows, span{i, 1})
		}
	}
	x.only, x.rows = rows[0], nil
	if len(rows) > 1 {
		own := slices.Clone(rows)
		x.only, x.rows = span{}, &own
	}
	x.pending.members, t.rows = fresh[:0], rows
}
