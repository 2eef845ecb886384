package check

import (
	"errors"

	"github.com/kbench/kbench/internal/history"
)

// state is what is known of one logical record: who claims to have sent it, and who has seen it.
type state uint16

// What became of its sends: the best of all attempts, since any that may have committed may have. Two bits.
const (
	noOutcome state = iota
	rankFailed
	rankIndeterminate
	rankOK
	rankMask = 3
)

const (
	sent       state = 1 << (iota + 2) // some session recorded that it sends it
	implied                            // nobody recorded it, but the sender's log ends too early to know
	resent                             // by a later attempt
	polled                             // some poll returned it
	proof                              // a reader that sees committed records only has seen it
	inFirst                            // the final read's first pass has it
	inSecond                           // its second pass has it
	placed                             // an offset is known
	twice                              // two are
	proven                             // its transaction was indeterminate, and another record of it was read
	missed                             // counted as lost or unseen
	undone                             // counted as unprocessed
	untimely                           // counted as aborted-read
	outOfOrder                         // counted in nonmonotonic-send
)

const anyRead = polled | inFirst | inSecond

func (s state) rank() state { return s & rankMask }

// must tells whether the record has to be in the log: it was acknowledged, or committed by its transaction, or it has
// been seen where only committed records are.
func (s state) must() bool {
	return s.rank() == rankOK || s.rank() == rankIndeterminate && s&(proven|proof) != 0
}

// committed tells whether the record is known to be a part of the log.
func (s state) committed() bool { return s.rank() != rankFailed && s.must() }

// values numbers the logical records densely, so that what is known of one fits into a few bytes.
type values struct {
	sessions map[sessionKey]*session
	last     *session
	states   []state
	blocks   []block // by index >> blockBits: where the numbers come from
}

// Index of a value; the highest bit is left to whoever stores it.
type index = uint32

const (
	blockBits = 6
	blockSize = 1 << blockBits
	maxBlocks = 1<<(31-blockBits) - 2
)

type sessionKey struct{ producer, session int32 }

// session is what one session of one producer sent.
type session struct {
	key     sessionKey
	blocks  paged[uint32] // by seq >> blockBits: its block + 1
	highest int64         // highest seq recorded as sent, -1: none
	closed  bool          // its log is whole: what is not in it was not sent

}

type block struct {
	session *session
	first   int64 // seq of its first value
}

var errTooMany = errors.New("more than two thousand million records: this judge cannot number them")

func newValues() *values { return &values{sessions: map[sessionKey]*session{}} }

func (v *values) session(producer, number int32) *session {
	key := sessionKey{producer, number}
	if v.last != nil && v.last.key == key {
		return v.last
	}
	s := v.sessions[key]
	if s == nil {
		s = &session{key: key, highest: -1}
		v.sessions[key] = s
	}
	v.last = s
	return s
}

// state is what is known of a value.
func (v *values) state(i index) state { return v.states[i] }

// mark adds to what is known of a value, whose rank stays as it is.
func (v *values) mark(i index, bits state) { v.states[i] |= bits }

// raise lifts the rank of a value's sends to at least that: what may have committed may have, whatever another attempt says.
func (v *values) raise(i index, rank state) {
	if s := v.states[i]; rank > s.rank() {
		v.states[i] = s&^rankMask | rank
	}
}

// index numbers a value, the same at each call. A sequence below zero is nobody's.
func (v *values) index(value history.Value) index {
	if value.Producer < 0 || value.Seq < 0 {
		value = history.Value{Producer: -1, Session: -1}
	}
	s := v.session(value.Producer, value.Session)
	b := s.blocks.at(value.Seq >> blockBits)
	if *b == 0 {
		if len(v.blocks) >= maxBlocks {
			panic(errTooMany)
		}
		v.blocks = append(v.blocks, block{s, value.Seq &^ (blockSize - 1)})
		v.states = append(v.states, make([]state, blockSize)...)
		*b = uint32(len(v.blocks))
	}
	return (*b-1)<<blockBits | index(value.Seq&(blockSize-1))
}

// each calls f for what is known of each number, used or not.
func (v *values) each(f func(index, state)) {
	for i, s := range v.states {
		f(index(i), s)
	}
}

// value is the value that has a number.
func (v *values) value(i index) history.Value {
	b := v.blocks[i>>blockBits]
	if b.session.key.producer < 0 {
		return history.NoValue
	}
	return history.Value{Producer: b.session.key.producer, Session: b.session.key.session, Seq: b.first + int64(i&(blockSize-1))}
}

func (v *values) of(i index) *session { return v.blocks[i>>blockBits].session }

// nobody tells whether a number stands for records without an identity.
func (v *values) nobody(i index) bool { return v.of(i).key.producer < 0 }
