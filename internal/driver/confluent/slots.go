package confluent

import (
	"sync"
	"sync/atomic"

	"github.com/kbench/kbench/internal/client"
)

const (
	slotsAChunk = 1 << 12
	boxedSlots  = 1 << 24 // above this a slot is boxed when it is sent
)

// slots keeps one place in memory for each slot's number, so that handing it to the library as an opaque value
// allocates nothing.
type slots struct {
	grow   sync.Mutex
	chunks atomic.Pointer[[]*[slotsAChunk]client.Slot]
}

func (s *slots) box(slot client.Slot) *client.Slot {
	i, at := int(slot/slotsAChunk), slot%slotsAChunk
	if chunks := s.chunks.Load(); chunks != nil && i < len(*chunks) {
		return &(*chunks)[i][at]
	}
	if slot >= boxedSlots {
		boxed := slot
		return &boxed
	}
	return &s.reach(i)[at]
}

// reach makes all chunks up to i.
func (s *slots) reach(i int) *[slotsAChunk]client.Slot {
	s.grow.Lock()
	defer s.grow.Unlock()
	var chunks []*[slotsAChunk]client.Slot
	if have := s.chunks.Load(); have != nil {
		chunks = append(chunks, *have...)
	}
	for len(chunks) <= i {
		chunk := new([slotsAChunk]client.Slot)
		for at := range chunk {
			chunk[at] = client.Slot(len(chunks)*slotsAChunk + at)
		}
		chunks = append(chunks, chunk)
	}
	s.chunks.Store(&chunks)
	return chunks[i]
}
