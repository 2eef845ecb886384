package bench

import (
	"math/rand"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/payload"
	"github.com/kbench/kbench/scenarios"
)

// recordSpec says what a producer's records look like.
type recordSpec struct {
	Size       int             // bytes of the value; where Sizes varies, the largest
	Sizes      scenarios.Sizes // how the size varies; zero: not at all
	Keys       scenarios.Keys
	NullKeys   float64 // share of records that have no key besides
	Headers    scenarios.Headers
	Tombstones float64 // share of records whose value is null
	Payload    payloadSpec
}

// records makes a producer's records: which key, which size, a value or none, which headers. All of it follows from the seed and
// from a record's identity, so that the one goroutine that sends needs no lock, and a record that is sent again is the same.
type records struct {
	keyDraws, sizeDraws, stoneDraws draws

	keys    keys
	sizes   sizes
	stones  float64
	headers *headers
	values  *values
	keyRoom []byte // of all places in flight
}

func newRecords(spec recordSpec, places int, copies bool, seed int64, rng *rand.Rand) (*records, error) {
	least, largest := spec.Size, spec.Size
	if spec.Sizes.Kind != "" || spec.Tombstones > 0 {
		least, largest = payload.Size, max(spec.Size, spec.Sizes.Max)
	}
	v, err := newValues(spec.Payload, least, largest, places, copies, rng)
	if err != nil {
		return nil, err
	}
	split := func(component string) draws { return draws(scenarios.Split(seed, component).Uint64()) }
	return &records{
		keyDraws: split("keys"), sizeDraws: split("sizes"), stoneDraws: split("tombstones"),
		keys: newKeys(spec.Keys, spec.NullKeys), sizes: newSizes(spec.Sizes, spec.Size), stones: spec.Tombstones,
		headers: newHeaders(spec.Headers, v.fill), values: v, keyRoom: make([]byte, places*keyRoom),
	}, nil
}

// key is the number of a record's key, keyNone for none.
func (r *records) key(session int32, seq int64) int64 {
	if r.keys.spec.Kind == scenarios.NoKeys {
		return keyNone // without a draw
	}
	return r.keys.of(r.keyDraws.of(session, seq), seq)
}

// keyAt writes a key for a place in flight; nil where there is none.
func (r *records) keyAt(slot client.Slot, number int64) []byte {
	if number == keyNone {
		return nil
	}
	at := int(slot) * keyRoom
	return appendKey(r.keyRoom[at:at:at+keyRoom], number)
}

// put makes the rest of the record that a flight is about: its value with the head, or a header that has it. held is the buffer of
// its place in flight.
func (r *records) put(f *flight, held *buffer, h payload.Head, out *client.Record) {
	f.tombstone = r.stones > 0 && r.stone(int32(f.session), f.seq)
	size := payload.Size
	if !f.tombstone {
		if size = r.sizes.fixed; r.sizes.spec.Kind != "" {
			size = r.sizes.of(r.sizeDraws.of(int32(f.session), f.seq))
		}
		f.size = int32(size)
	}
	value := r.values.of(held, size)
	if f.tombstone {
		out.Headers, h.Cover = r.headers.of(f.seq, value.bytes)
		out.Value = nil
	} else {
		out.Headers, h.Cover = r.headers.of(f.seq, nil)
		out.Value = value.bytes
	}
	payload.PutSummed(value.bytes, h, value.sum)
}

func (r *records) stone(session int32, seq int64) bool {
	d := r.stoneDraws.of(session, seq)
	return d.share() < r.stones
}
