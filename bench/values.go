package bench

import (
	"bytes"
	"fmt"
	"math/rand"
	"os"
	"strconv"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/payload"
)

// payloadSpec says what stands behind a record's head.
type payloadSpec struct {
	Kind            string  // random, compressible, file
	File            string  // file: its lines, in turn, cut or repeated to the record's size
	Compressibility float64 // compressible: share of the bytes that repeat
}

// values are the buffers that records are sent from, filled once: only the head is written for each record. A client
// that copies the payload gets them in turn; for another each place in flight has its own.
type values struct {
	buffers [][]byte
	copies  bool
	turn    int
}

// Buffers that are sent in turn repeat after at least so many bytes, more than a compressor looks back in a batch.
const repeatAfter = 4 << 20

func newValues(spec payloadSpec, size, places int, copies bool, rng *rand.Rand) (*values, error) {
	if size < payload.Size {
		return nil, fmt.Errorf("a record of %d bytes is too small: its identity and checksum need at least %d", size, payload.Size)
	}
	count := places
	if copies {
		count = min(places, max(64, repeatAfter/size))
	}
	fill, err := filler(spec, rng)
	if err != nil {
		return nil, err
	}
	v := &values{buffers: make([][]byte, count), copies: copies}
	all := make([]byte, count*size)
	for i := range v.buffers {
		v.buffers[i] = all[i*size : (i+1)*size : (i+1)*size]
		fill(v.buffers[i][payload.Size:])
	}
	return v, nil
}

// of is the buffer for the record at a place.
func (v *values) of(slot client.Slot) []byte {
	if !v.copies {
		return v.buffers[slot]
	}
	v.turn++
	return v.buffers[v.turn%len(v.buffers)]
}

func filler(spec payloadSpec, rng *rand.Rand) (func([]byte), error) {
	switch spec.Kind {
	case "", "random":
		return func(b []byte) { rng.Read(b) }, nil
	case "compressible":
		return func(b []byte) {
			rng.Read(b[int(float64(len(b))*spec.Compressibility):])
		}, nil
	case "file":
		text, err := os.ReadFile(spec.File)
		if err != nil {
			return nil, fmt.Errorf("payload file: %w", err)
		}
		lines := bytes.Split(bytes.TrimRight(text, "\n"), []byte("\n"))
		if len(text) == 0 {
			return nil, fmt.Errorf("payload file %s is empty", spec.File)
		}
		next := 0
		return func(b []byte) {
			line := append(lines[next%len(lines)], '\n')
			next++
			for n := 0; n < len(b); {
				n += copy(b[n:], line)
			}
		}, nil
	}
	return nil, fmt.Errorf("no payload is called %q: random, compressible or file", spec.Kind)
}

// keySpec says which keys records have.
type keySpec struct {
	Kind  string // none, uniform, zipf
	Count int
}

// newKeys returns the source of keys; nil keys leave the partition to the client.
func newKeys(spec keySpec, rng *rand.Rand) func() []byte {
	if spec.Kind == "" || spec.Kind == "none" || spec.Count < 1 {
		return func() []byte { return nil }
	}
	keys := make([][]byte, spec.Count)
	for i := range keys {
		keys[i] = strconv.AppendInt([]byte("k"), int64(i), 10)
	}
	if spec.Kind == "zipf" && spec.Count > 1 {
		const s, v = 1.1, 1 // a mild skew: of 1,000 keys the first takes about a fifth
		draw := rand.NewZipf(rng, s, v, uint64(spec.Count-1))
		return func() []byte { return keys[draw.Uint64()] }
	}
	return func() []byte { return keys[rng.Intn(len(keys))] }
}
