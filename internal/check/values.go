package check

import (
	"errors"
	"math"

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
	untimely                           // counted as aborted-read
	outOfOrder                         // counted in nonmonotonic-send
	replaced                           // compaction may have taken it out of its topic
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

// values numbers the logical records densely, so that what is known of one fits into a byte.
type values struct {
	near   [][]*session // by producer and number, where both are small
	far    map[sessionKey]*session
	all    []*session
	blocks []block // by index >> blockBits: where the numbers come from
	none   index   // of what is nobody's, once it has been asked for
	states states
}

// Index of a value; the highest bit is left to whoever stores it.
type index = uint32

const (
	blockBits = 8
	blockSize = 1 << blockBits
	maxBlocks = 1<<(31-blockBits) - 2
	maxRow    = 16 // blocks
)

type sessionKey struct{ producer, session int32 }

// session is what one session of one producer sent.
type session struct {
	key     sessionKey
	blocks  paged[uint32] // by seq >> blockBits: its block + 1
	highest int64         // highest seq recorded as sent, -1: none
	closed  bool          // its log is whole: what is not in it was not sent

	last    int64 // seq >> blockBits that was looked for last, with the index of its block
	lastAt  index
	newest  int64  // seq >> blockBits of the newest block, with its number
	spare   uint32 // blocks behind it that are kept for those to come
	grown   uint32 // length of the row of blocks that it is in
	newestN uint32
}

type block struct {
	session *session
	first   int64 // seq of its first value, -1: not in use yet
}

var errTooMany = errors.New("more than two thousand million records: this judge cannot number them")

func newValues() *values {
	return &values{far: map[sessionKey]*session{}, none: math.MaxUint32, states: newStates()}
}

// Sessions whose numbers are below these are found without a map.
const nearProducers, nearSessions = 1 << 12, 1 << 8

func (v *values) session(producer, number int32) *session {
	if uint32(producer) < uint32(len(v.near)) {
		if row := v.near[producer]; uint32(number) < uint32(len(row)) && row[number] != nil {
			return row[number]
		}
	}
	return v.farSession(sessionKey{producer, number})
}

func (v *values) farSession(key sessionKey) *session {
	s := v.far[key]
	if s != nil {
		return s
	}
	s = &session{key: key, highest: -1, last: -1, newest: -2}
	v.far[key] = s
	v.all = append(v.all, s)
	if uint32(key.producer) < nearProducers && uint32(key.session) < nearSessions {
		for int(key.producer) >= len(v.near) {
			v.near = append(v.near, nil)
		}
		row := &v.near[key.producer]
		for int(key.session) >= len(*row) {
			*row = append(*row, nil)
		}
		(*row)[key.session] = s
	}
	return s
}

// index numbers a value, the same at each call. A sequence below zero is nobody's.
func (v *values) index(value history.Value) index {
	nobody := value.Producer < 0 || value.Seq < 0
	if nobody {
		value = history.Value{Producer: -1, Session: -1}
	}
	s := v.session(value.Producer, value.Session)
	if b := value.Seq >> blockBits; b != s.last {
		s.lastAt, s.last = v.block(s, b)<<blockBits, b
	}
	i := s.lastAt | index(value.Seq&(blockSize-1))
	if nobody {
		v.none = i
	}
	return i
}

// block is the number of the block that begins at a sequence. Blocks of one session that follow each other get numbers
// that follow each other, in rows that grow with the session: then its values are found, packed and named together.
func (v *values) block(s *session, begin int64) uint32 {
	at := s.blocks.at(begin)
	if *at != 0 {
		return *at - 1
	}
	n := s.newestN + 1
	if begin == s.newest+1 && s.spare > 0 {
		s.spare--
	} else {
		n = uint32(len(v.blocks))
		row := uint32(1)
		if begin == s.newest+1 {
			row = min(2*s.grown, maxRow)
		}
		if n+row > maxBlocks {
			panic(errTooMany)
		}
		for range row {
			v.blocks = append(v.blocks, block{s, -1})
		}
		s.spare, s.grown = row-1, row
	}
	s.newest, s.newestN = begin, n
	v.blocks[n].first = begin << blockBits
	v.states.grow(index(n) << blockBits)
	*at = n + 1
	return n
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
func (v *values) nobody(i index) bool { return i == v.none }

// state is what is known of a value.
func (v *values) state(i index) state { return v.states.get(i) }

// mark adds to what is known of a value, whose rank stays as it is.
func (v *values) mark(i index, bits state) {
	if s := v.states.get(i); s|bits != s {
		v.states.set(i, s|bits)
	}
}

// raise lifts the rank of a value's sends to at least that: what may have committed may have, whatever another attempt says.
func (v *values) raise(i index, rank state) {
	if s := v.states.get(i); rank > s.rank() {
		v.states.set(i, s&^rankMask|rank)
	}
}

// each calls f for what is known of each number of which anything is.
func (v *values) each(f func(index, state)) { v.states.each(f) }
