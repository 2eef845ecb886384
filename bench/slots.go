package bench

import (
	"sync/atomic"
	"time"

	"github.com/kbench/kbench/internal/client"
)

// flight is what is remembered of a record between its sending and its acknowledgement. One goroutine writes it and another reads it
// for every record, tens of thousands of others later: it fills one line of the processors' caches, so that each misses them once.
type flight struct {
	intended, call int64
	held           int64 // as history.Op's
	seq            int64 // of the session below, noSeq while no record is here
	fromOffset     int64
	fromPartition  int32
	txn            uint32 // as in a record's head
	key            int32  // its number, keyNone for none or for another record's
	size           int32  // bytes of its value
	session        uint16 // as in a record's head; an earlier one for a resend
	topic          uint16 // index in the session's topics
	attempt        uint16
	tombstone      bool // it has no value
	known          bool // slots.find finds it by its sequence
}

// cacheLine is what processors fetch from memory at once, in bytes.
const cacheLine = 64

// apart keeps what one goroutine writes off the line of the processors' caches that holds what the other does.
type apart [cacheLine]byte

// slots hands out places for records in flight without a lock: one goroutine takes, one other gives back. A place that was never
// used is handed out only while none that was is free, so that as much memory is in turn as records were ever in flight at once: the
// places are enough for a full buffer of the smallest records, and going round all of them would have every record miss the caches.
type slots struct {
	flights []flight
	buffers []buffer      // by place: the one that its records are sent from; the taker's
	free    []client.Slot // ring of those that came back; its length is a power of two of at least len(flights)
	mask    uint64
	index   []atomic.Uint32 // by sequence: a place and 1, or 0; nil where nobody asks

	_     apart
	fresh int           // places from here on were never used; the taker's
	taken uint64        // from the ring; the taker's
	seen  uint64        // of given, by the taker
	first bool          // the latest place had never been used
	waits atomic.Uint64 // takes that found no place free
	_     apart
	put   uint64        // the giver's, some of which the taker may not know of yet
	given atomic.Uint64 // of put, what the taker may know of
	_     apart
}

func newSlots(n int) *slots {
	size := 1
	for size < n {
		size *= 2
	}
	s := &slots{flights: make([]flight, n), buffers: make([]buffer, n), free: make([]client.Slot, size), mask: uint64(size - 1)}
	for i := range s.flights {
		s.flights[i].seq = noSeq
	}
	return s
}

// take returns a free place, waiting for one until done is closed; waited tells whether it had to.
func (s *slots) take(done <-chan struct{}) (slot client.Slot, waited, ok bool) {
	if s.taken == s.seen {
		s.seen = s.given.Load()
	}
	if s.first = s.taken == s.seen && s.fresh < len(s.flights); s.first {
		s.fresh++
		return client.Slot(s.fresh - 1), false, true
	}
	if s.taken == s.seen {
		waited = true
		s.waits.Add(1)
	}
	for s.taken == s.seen {
		select {
		case <-done:
			return 0, true, false
		case <-time.After(50 * time.Microsecond):
		}
		s.seen = s.given.Load()
	}
	slot = s.free[s.taken&s.mask]
	s.taken++
	return slot, waited, true
}

// putBack undoes the latest take, by the taker: the record was never sent.
func (s *slots) putBack() {
	if s.first {
		s.fresh--
		return
	}
	s.taken--
}

// give returns a place, of which the taker learns with the next publish.
func (s *slots) give(slot client.Slot) {
	s.free[s.put&s.mask] = slot
	s.put++
}

func (s *slots) publish() { s.given.Store(s.put) }

// recognise makes find work. The index is larger than the places, so that records seldom stand in each other's way.
func (s *slots) recognise() { s.index = make([]atomic.Uint32, 2*len(s.free)) }

// enter has find know of a record by its sequence, from before it is sent until it is forgotten. False says that another
// one on its way, which many have overtaken, stands where it would.
func (s *slots) enter(seq int64, slot client.Slot) bool {
	if s.index == nil {
		return false
	}
	at := &s.index[uint64(seq)&uint64(len(s.index)-1)]
	if at.Load() != 0 {
		return false
	}
	at.Store(uint32(slot) + 1)
	return true
}

func (s *slots) forget(seq int64) { s.index[uint64(seq)&uint64(len(s.index)-1)].Store(0) }

// find is the place of the record on its way that has this sequence and was entered. It is the giver's to ask.
func (s *slots) find(seq int64) (client.Slot, bool) {
	at := s.index[uint64(seq)&uint64(len(s.index)-1)].Load()
	if at == 0 || s.flights[at-1].seq != seq {
		return 0, false
	}
	return client.Slot(at - 1), true
}
