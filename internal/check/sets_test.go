package check

import (
	"math/rand/v2"
	"testing"

	log "github.com/kbench/kbench/internal/history"
)

// TestSetsOfOffsets: both kinds of sets agree with a map.
func TestSetsOfOffsets(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	var set offsetSet
	var rows intervals
	want := map[int64]bool{}
	for range 500 {
		var records []log.Record
		at := r.Int64N(5000)
		if r.IntN(50) == 0 {
			at = r.Int64() >> r.IntN(40)
		}
		for range r.IntN(200) {
			records = append(records, log.Record{Offset: at})
			want[at] = true
			at += 1 + r.Int64N(100)/99
		}
		set.addAll(records)
		rows.addAll(records)
	}
	n := int64(0)
	for i, row := range rows {
		if row.from >= row.to || i > 0 && row.from <= rows[i-1].to {
			t.Errorf("row %v comes after %v", row, rows[max(i-1, 0)])
		}
		n += row.to - row.from
	}
	if n != int64(len(want)) {
		t.Errorf("%d offsets in rows, want %d", n, len(want))
	}
	for at := int64(-1); at < 6000; at++ {
		if set.has(at) != want[at] {
			t.Errorf("%d in the set: %v, want %v", at, set.has(at), want[at])
		}
	}
	for at := range want {
		if !set.has(at) {
			t.Errorf("%d is missing", at)
		}
	}
}
