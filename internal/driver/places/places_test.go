package places

import (
	"testing"

	"github.com/kbench/kbench/internal/client"
)

func TestASlotKeepsItsPlace(t *testing.T) {
	var table Table[int]
	slots := []client.Slot{0, 1, aChunk - 1, aChunk, 5 * aChunk}
	for i, slot := range slots {
		*table.At(slot) = i + 1
	}
	for i, slot := range slots {
		if got := *table.At(slot); got != i+1 {
			t.Errorf("slot %d has %d, want %d", slot, got, i+1)
		}
	}
	high := client.Slot(most)
	if first, second := table.At(high), table.At(high); first == second {
		t.Error("a slot that is not kept has a place of its own")
	}
}

func BenchmarkAt(b *testing.B) {
	var table Table[int]
	b.ReportAllocs()
	for slot := client.Slot(0); b.Loop(); slot = (slot + 1) % (1 << 16) {
		*table.At(slot)++
	}
}
