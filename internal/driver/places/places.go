// Package places keeps one thing for each slot, so that nothing is allocated for a record on its way.
package places

import (
	"sync"
	"sync/atomic"

	"github.com/kbench/kbench/internal/client"
)

const (
	aChunk = 1 << 12
	most   = 1 << 24 // slots above this are not kept
)

// Table has a place in memory for each slot. The zero value is ready; it is safe for concurrent use, and what stands at a
// place belongs to whoever has the slot in flight.
type Table[T any] struct {
	grow   sync.Mutex
	chunks atomic.Pointer[[]*[aChunk]T]
}

// At is a slot's place, the same one each time. A slot whose number is very high gets a new one each time.
func (t *Table[T]) At(slot client.Slot) *T {
	i, at := int(slot/aChunk), slot%aChunk
	if chunks := t.chunks.Load(); chunks != nil && i < len(*chunks) {
		return &(*chunks)[i][at]
	}
	if slot >= most {
		return new(T)
	}
	return &t.reach(i)[at]
}

// reach makes all chunks up to i.
func (t *Table[T]) reach(i int) *[aChunk]T {
	t.grow.Lock()
	defer t.grow.Unlock()
	var chunks []*[aChunk]T
	if have := t.chunks.Load(); have != nil {
		chunks = append(chunks, *have...)
	}
	for len(chunks) <= i {
		chunks = append(chunks, new([aChunk]T))
	}
	t.chunks.Store(&chunks)
	return chunks[i]
}
