package check

import "github.com/kbench/kbench/internal/history"

// keyed is the newest record of a key in a compacted topic, as far as acknowledgements tell.
type keyed struct {
	newest index
	offset int64 // of it, -1: unknown
	loose  bool  // some record of the key may stand anywhere, so that any but the only one may be gone
}

// replaces notes which records of compacted topics may be gone by right: those that a later record of their key replaces, tombstones
// that are not kept for as long as the run lasted, and of a recorded run those of which nobody knows the key; in a hand-written history
// a record without a key is the only one of its own. Where it is not known which record came later, each may be gone: a record is never
// taken for lost that compaction may have removed.
func (l *ledger) replaces(op *history.Op, i index) {
	if p := l.part(op.Partition); p != nil {
		if p.topic.compacted {
			l.replacesIn(p.topic, op, i)
		}
		return
	}
	for _, t := range l.topics { // it may have gone to any
		if t.compacted {
			l.replacesIn(t, op, i)
		}
	}
}

func (l *ledger) replacesIn(t *topic, op *history.Op, i index) {
	if op.Key == 0 && l.run.recorded || op.Tombstone && !t.keeps {
		l.values.mark(i, replaced)
	}
	if op.Key == 0 {
		return
	}
	offset := op.Offset
	if op.Outcome != history.OK || op.Partition < 0 {
		offset = history.Unknown
	}
	k, known := t.keys[op.Key]
	switch {
	case !known:
		k = keyed{i, offset, offset < 0}
	case k.newest == i: // sent again
		k.loose = true
	case offset < 0 || k.loose:
		k.loose = true
		l.values.mark(i, replaced)
		l.values.mark(k.newest, replaced)
	case offset > k.offset:
		l.values.mark(k.newest, replaced)
		k.newest, k.offset = i, offset
	default:
		l.values.mark(i, replaced)
	}
	t.keys[op.Key] = k
}

// mayBeGone tells whether a record may be missing in its partition, by right: one that is still in the log has been there all the time.
func (l *ledger) mayBeGone(s state, p *partition) bool {
	return s&replaced != 0 && !(p != nil && s.inLog(p) && l.complete(p))
}
