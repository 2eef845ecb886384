package check

import (
	"maps"
	"math"
	"slices"

	"github.com/kbench/kbench/internal/history"
)

// ending is the position of a group on a partition, as the cluster told it when all was done, and the commits that could
// explain it or contradict it: those of that position, and those of later ones.
//
// A transaction's offset took effect if it is that position, no other commit explains it, and the transaction answered the
// last record before it. It did not if it lies behind that position, and no other commit of the position can have come
// later and set the group back. Anything else is not known.
type ending struct {
	group     *group
	partition int32
	position  int64
	last      int64             // offset of the last record before the position
	by        map[*txn]*advance // commits within transactions
	alone     []advance         // others
	answers   map[*txn]bool     // transactions that answered that last record
	same      int               // how many commits of the position there are, or may be
	latest    int64             // when the last of them took effect at the latest
}

// advance is a commit of the position or a later one, by one transaction.
type advance struct {
	position int64 // Unknown: several
	ok       bool  // one was answered without error
	call     int64 // of the first
	ended    int64
}

// groupEndings are the known positions by partition.
func (c *court) groupEndings() [][]*ending {
	list := make([][]*ending, len(c.parts))
	for _, name := range slices.Sorted(maps.Keys(c.groups)) {
		g := c.groups[name]
		for p, position := range g.stands {
			if position < 0 {
				continue
			}
			e := &ending{group: g, partition: int32(p), position: position, last: history.Unknown, by: map[*txn]*advance{}, answers: map[*txn]bool{}}
			c.parts[p].offsets.each(0, position, func(offset int64, entry uint32) bool {
				if entry != 0 {
					e.last = offset
				}
				return true
			})
			list[p] = append(list[p], e)
		}
	}
	return list
}

func (e *ending) answered(x *txn, offset int64) {
	if offset == e.last {
		e.answers[x] = true
	}
}

func (e *ending) commit(x *txn, position int64, op *history.Op) {
	if position < e.position {
		return
	}
	a := advance{position: position, ok: op.Outcome == history.OK, call: op.Call, ended: math.MaxInt64}
	if x == nil {
		if a.ok {
			a.ended = op.Return
		}
		e.alone = append(e.alone, a)
		return
	}
	if x.outcome == rankOK {
		a.ended = x.ended
	}
	before := e.by[x]
	if before == nil {
		e.by[x] = &a
		return
	}
	before.ok, before.call = before.ok || a.ok, min(before.call, a.call)
	if before.position != position {
		before.position = history.Unknown
	}
}

// sum looks for the commits that explain the position; one of several positions may.
func (e *ending) sum() {
	e.latest = math.MinInt64
	each := func(a *advance) {
		if a.position <= e.position {
			e.same++
			e.latest = max(e.latest, a.ended)
		}
	}
	for i := range e.alone {
		each(&e.alone[i])
	}
	for _, a := range e.by {
		each(a)
	}
}

type fate uint8

const (
	isUnknown fate = iota
	isThere
	isAbsent
)

// fate of the offset that a transaction committed, and that offset.
func (e *ending) fate(x *txn) (int64, fate) {
	a := e.by[x]
	if a == nil || !a.ok || a.position == history.Unknown {
		return 0, isUnknown
	}
	if a.position == e.position {
		if e.same == 1 && e.answers[x] {
			return a.position, isThere
		}
		return a.position, isUnknown
	}
	if e.latest < a.call {
		return a.position, isAbsent
	}
	return a.position, isUnknown
}
