package check

import (
	"cmp"
	"slices"
)

// writers tells which transaction sent a value. It is made once, after the first pass, as rows of neighbouring values:
// about one a transaction, and one more for each block of values that its session shares with no other.
type writers struct {
	txns  []*txn  // those that sent anything, by their number
	rows  []owned // by their first value
	start []uint32
}

// owned is a row of values without a gap that one transaction sent.
type owned struct {
	first, end index
	txn        uint32
}

// newWriters is nil where no transaction sent anything.
func newWriters(l *ledger) *writers {
	w := &writers{}
	l.txns.each(w.enter)
	if len(w.rows) == 0 {
		return nil
	}
	slices.SortFunc(w.rows, func(a, b owned) int { return cmp.Compare(a.first, b.first) })
	w.start = make([]uint32, len(l.values.blocks)+1)
	for at, block := 0, 0; block < len(w.start); block++ {
		for at < len(w.rows) && w.rows[at].end <= index(block)<<blockBits {
			at++
		}
		w.start[block] = uint32(at)
	}
	return w
}

func (w *writers) enter(x *txn) {
	before := len(w.rows)
	x.each(func(i index) {
		if n := len(w.rows); n > before && w.rows[n-1].end == i {
			w.rows[n-1].end++
			return
		}
		w.rows = append(w.rows, owned{i, i + 1, uint32(len(w.txns))})
	})
	if len(w.rows) > before {
		x.number = uint32(len(w.txns))
		w.txns = append(w.txns, x)
	}
}

// writer is the one transaction that sent a value, nil where there is none, or where it was sent more than once, so that
// nobody can tell which sending a reader got.
func (c *court) writer(i index) *txn {
	w := c.writers
	if w == nil || c.values.state(i)&resent != 0 {
		return nil
	}
	for at := w.start[i>>blockBits]; int(at) < len(w.rows) && w.rows[at].first <= i; at++ {
		if i < w.rows[at].end {
			return w.txns[w.rows[at].txn]
		}
	}
	return nil
}
