package bench

import (
	"sync/atomic"
	"time"

	"github.com/kbench/kbench/internal/client"
)

// flight is what is remembered of a record between its sending and its acknowledgement.
type flight struct {
	intended, call int64
	held           int64 // as history.Op's
	seq            int64 // of the session below, noSeq while no record is here
	session        int32 // an earlier one for a resend
	txn            uint64
	topic          int32 // index in the session's topics
	attempt        int32
	fromPartition  int32
	fromOffset     int64
	key            int64  // its number, keyNone for none or for another record's
	size           int32  // bytes of its value
	tombstone      bool   // it has none
	value          []byte // the buffer that it is sent from, which stays with the place
}

// slots hands out places for records in flight without a lock: one goroutine takes, one other gives back.
type slots struct {
	flights []flight
	free    []client.Slot // ring; its length is a power of two of at least len(flights)
	mask    uint64
	taken   atomic.Uint64 // written by the taker
	given   atomic.Uint64 // written by the giver
	waits   atomic.Uint64 // takes that found no place free
}

func newSlots(n int) *slots {
	size := 1
	for size < n {
		size *= 2
	}
	s := &slots{flights: make([]flight, n), free: make([]client.Slot, size), mask: uint64(size - 1)}
	for i := range n {
		s.free[i] = client.Slot(i)
	}
	s.given.Store(uint64(n))
	return s
}

// take returns a free place, waiting for one until done is closed.
func (s *slots) take(done <-chan struct{}) (client.Slot, bool) {
	at := s.taken.Load()
	if at == s.given.Load() {
		s.waits.Add(1)
	}
	for at == s.given.Load() {
		select {
		case <-done:
			return 0, false
		case <-time.After(50 * time.Microsecond):
		}
	}
	slot := s.free[at&s.mask]
	s.taken.Store(at + 1)
	return slot, true
}

// putBack undoes the latest take, by the taker: the record was never sent.
func (s *slots) putBack() { s.taken.Store(s.taken.Load() - 1) }

// give returns a place.
func (s *slots) give(slot client.Slot) {
	at := s.given.Load()
	s.free[at&s.mask] = slot
	s.given.Store(at + 1)
}
