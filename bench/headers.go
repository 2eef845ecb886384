package bench

import (
	"strconv"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/payload"
	"github.com/kbench/kbench/scenarios"
)

// headers are the sets of headers that records carry in turn, made once, each with its cover for the records' checksums.
type headers struct {
	sets   [][]client.Header
	covers []uint64
	stone  []client.Header // a set and a tombstone's identity behind it
}

const headerSets = 64

func newHeaders(spec scenarios.Headers, fill func([]byte)) *headers {
	h := &headers{stone: make([]client.Header, spec.Count+1)}
	if spec.Count == 0 {
		return h
	}
	all := make([]byte, headerSets*spec.Count*spec.Size)
	fill(all)
	for range headerSets {
		var set []client.Header
		cover := uint64(0)
		for i := range spec.Count {
			one := client.Header{Key: "h" + strconv.Itoa(i), Value: all[:spec.Size:spec.Size]}
			all = all[spec.Size:]
			set, cover = append(set, one), payload.Cover(cover, one.Key, one.Value)
		}
		h.sets, h.covers = append(h.sets, set), append(h.covers, cover)
	}
	return h
}

// of are a record's headers with their cover. The list of a tombstone is valid until the next one's.
func (h *headers) of(seq int64, identity []byte) (list []client.Header, cover uint64) {
	if len(h.sets) > 0 {
		turn := uint64(seq) % headerSets
		list, cover = h.sets[turn], h.covers[turn]
	}
	if identity == nil {
		return list, cover
	}
	n := copy(h.stone, list)
	h.stone[n] = client.Header{Key: payload.Tombstone, Value: identity}
	return h.stone, cover
}
