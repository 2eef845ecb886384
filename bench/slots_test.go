package bench

import (
	"sync"
	"testing"

	"github.com/kbench/kbench/internal/client"
)

func TestNoPlaceIsGivenOutTwice(t *testing.T) {
	const places, records = 8, 50_000
	s := newSlots(places)
	inFlight := make(chan client.Slot, places)
	var giving sync.WaitGroup
	giving.Go(func() {
		for slot := range inFlight {
			s.flights[slot].seq = noSeq
			s.give(slot)
			s.publish()
		}
	})
	for i := range records {
		slot, _, ok := s.take(nil)
		if !ok {
			t.Fatal("no place although none is ever kept")
		}
		if s.flights[slot].seq != noSeq {
			t.Fatalf("place %d is given out while record %d is in it", slot, s.flights[slot].seq)
		}
		if i%7 == 0 { // never sent
			s.putBack()
			continue
		}
		s.flights[slot].seq = int64(i)
		inFlight <- slot
	}
	close(inFlight)
	giving.Wait()
	if free := int(s.given.Load()-s.taken) + len(s.flights) - s.fresh; free != len(s.flights) {
		t.Fatalf("%d of %d places are free", free, len(s.flights))
	}
}

// TestAsManyPlacesAreUsedAsRecordsWereInFlight: all of them only where that many are.
func TestAsManyPlacesAreUsedAsRecordsWereInFlight(t *testing.T) {
	s := newSlots(100)
	take := func(n int) (list []client.Slot) {
		for range n {
			slot, waited, ok := s.take(nil)
			if !ok || waited {
				t.Fatal("no place was free")
			}
			list = append(list, slot)
		}
		return list
	}
	give := func(list []client.Slot) {
		for _, slot := range list {
			s.give(slot)
		}
		s.publish()
	}
	for range 50 {
		give(take(7))
		take(1)
		s.putBack()
	}
	if s.fresh != 7 {
		t.Errorf("%d places were used for 7 records in flight", s.fresh)
	}
	give(take(100))
	seen := map[client.Slot]bool{}
	for _, slot := range take(100) {
		seen[slot] = true
	}
	if len(seen) != 100 {
		t.Errorf("%d places for 100 records in flight", len(seen))
	}
	closed := make(chan struct{})
	close(closed)
	if _, waited, ok := s.take(closed); ok || !waited || s.waits.Load() != 1 {
		t.Error("a place was free beyond the last")
	}
}

func TestTakingEndsWhenDone(t *testing.T) {
	s := newSlots(1)
	if _, _, ok := s.take(nil); !ok {
		t.Fatal("no place in an empty set")
	}
	done := make(chan struct{})
	close(done)
	if _, _, ok := s.take(done); ok {
		t.Fatal("the only place was given out twice")
	}
}

func BenchmarkSlots(b *testing.B) {
	s := newSlots(1024)
	b.ReportAllocs()
	for b.Loop() {
		slot, _, _ := s.take(nil)
		s.give(slot)
		s.publish()
	}
}
