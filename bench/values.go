package bench

import (
	"bytes"
	"fmt"
	"math/bits"
	"math/rand"
	"os"
	"slices"

	"github.com/kbench/kbench/internal/payload"
)

// payloadSpec says what stands behind a record's head.
type payloadSpec struct {
	Kind            string  // random, compressible, ratio, file
	File            string  // file: its lines, in turn, cut or repeated to the record's size
	Compressibility float64 // compressible: share of the bytes that repeat
	Ratio           float64 // ratio: uncompressed to compressed, heads included
}

// values are the buffers that records are sent from, each filled once: only the head is written for each record, and a shorter
// record is the beginning of a buffer. A client that copies the payload gets them in turn; for another each place in flight has its
// own, for as long as it is large enough.
type values struct {
	fill    func([]byte)
	largest int
	turns   []buffer // of a client that copies
	turn    int
	spare   [64][][]byte // of one that does not: buffers that no place holds, by class
}

// buffer is what a record is sent from. Behind the head it stays as it is, and is summed anew only when its length changes.
type buffer struct {
	bytes []byte // none: nothing is held
	sum   uint64 // payload.Sum of what stands behind the head
}

// holds makes a buffer one of these bytes, the first of which are as they were.
func (b *buffer) holds(bytes []byte) {
	same := len(b.bytes) == len(bytes) && &b.bytes[0] == &bytes[0]
	b.bytes = bytes
	if !same {
		b.sum = payload.Sum(bytes[payload.Size:])
	}
}

// Buffers that are sent in turn repeat after at least so many bytes, more than a compressor looks back in a batch.
const (
	repeatAfter = 4 << 20
	mostInTurn  = 64 << 20
)

// newValues makes the buffers for records of up to largest bytes, for so many places in flight. Those of a client that does not copy
// are made when they are first needed or, if all are to be as large as the largest, now.
func newValues(spec payloadSpec, least, largest, places int, copies bool, rng *rand.Rand) (*values, error) {
	if largest < payload.Size {
		return nil, fmt.Errorf("a record of %d bytes is too small: its identity and checksum need at least %d", largest, payload.Size)
	}
	fill, err := filler(spec, rng)
	if err != nil {
		return nil, err
	}
	v := &values{fill: fill, largest: largest}
	switch {
	case copies:
		row := v.row(min(places, max(2, min(64, mostInTurn/largest), repeatAfter/largest)))
		v.turns = make([]buffer, len(row))
		for i := range row {
			v.turns[i].holds(row[i])
		}
	case least == largest:
		class, _ := v.class(largest)
		v.spare[class] = v.row(places)
	}
	return v, nil
}

// row makes so many buffers for the largest records. Each begins on a line of the processors' caches, so that a record's head,
// which is all that is written of it, is on one.
func (v *values) row(count int) [][]byte {
	stride := (v.largest + cacheLine - 1) / cacheLine * cacheLine
	row, all := make([][]byte, count), make([]byte, count*stride)
	for i := range row {
		row[i], all = all[:v.largest:v.largest], all[stride:]
		v.fill(row[i][payload.Size:])
	}
	return row
}

// of is the buffer for a record of a size: the one that its place in flight holds, which is made to fit, or one that is not the
// place's. It is for one goroutine.
func (v *values) of(held *buffer, size int) *buffer {
	if v.turns != nil {
		if v.turn++; v.turn == len(v.turns) {
			v.turn = 0
		}
		held = &v.turns[v.turn]
		held.holds(held.bytes[:size])
		return held
	}
	if len(held.bytes) == size {
		return held
	}
	class, room := v.class(size)
	if cap(held.bytes) == room {
		held.holds(held.bytes[:size])
		return held
	}
	if cap(held.bytes) > 0 {
		own, _ := v.class(cap(held.bytes))
		v.spare[own] = append(v.spare[own], held.bytes)
	}
	held.holds(v.fresh(class, size, room))
	return held
}

// fresh is a buffer that no place holds.
func (v *values) fresh(class, size, room int) []byte {
	if list := v.spare[class]; len(list) > 0 {
		b := list[len(list)-1]
		v.spare[class] = list[:len(list)-1]
		return b[:size]
	}
	b := make([]byte, room)
	v.fill(b[payload.Size:])
	return b[:size:room]
}

// class of a size, and the room that its buffers have: a power of two or half as much again, so that a third of it is wasted at
// most, and never more than the largest record needs.
func (v *values) class(size int) (class, room int) {
	half := bits.Len(uint(size-1)) - 1 // the power of two below
	class, room = 2*half, 3<<half>>1
	if size > room {
		class, room = class+1, 2<<half
	}
	return class, min(room, v.largest)
}

// A block of what fills values that can be compressed. Values of any length are made of whole ones and a part.
const fillBlock = 512

// headCost is about what a compressor makes of a record's head and framing: most of the checksum, the times and the differences.
const headCost = 26

func filler(spec payloadSpec, rng *rand.Rand) (func([]byte), error) {
	switch spec.Kind {
	case "", "random":
		return func(b []byte) { rng.Read(b) }, nil
	case "compressible":
		return func(b []byte) {
			for block := range slices.Chunk(b, fillBlock) {
				rng.Read(block[int(float64(len(block))*spec.Compressibility):])
			}
		}, nil
	case "ratio":
		return func(b []byte) { fillToRatio(b, spec.Ratio, rng) }, nil
	case "file":
		return fileFiller(spec.File)
	}
	return nil, fmt.Errorf("no payload is called %q: random, compressible, ratio or file", spec.Kind)
}

// fillToRatio leaves in each beginning of a value as many random bytes as its compressed form should have, less what the head and
// the changes from one to the other cost. Long rows of zeros cost every codec next to nothing, random bytes all that they are.
func fillToRatio(b []byte, ratio float64, rng *rand.Rand) {
	const changeCost = 5
	spent := float64(headCost)
	for from := 0; from < len(b); from += fillBlock {
		block := b[from:min(from+fillBlock, len(b))]
		due := float64(payload.Size+from+len(block))/ratio - spent
		if ratio <= 1 {
			due = float64(len(block))
		}
		if due <= changeCost {
			continue
		}
		n := min(int(due), len(block))
		if n < len(block) {
			n = max(0, n-changeCost)
			spent += changeCost
		}
		spent += float64(n)
		rng.Read(block[len(block)-n:])
	}
}

func fileFiller(path string) (func([]byte), error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("payload file: %w", err)
	}
	lines := bytes.Split(bytes.TrimRight(text, "\n"), []byte("\n"))
	if len(text) == 0 {
		return nil, fmt.Errorf("payload file %s is empty", path)
	}
	next := 0
	return func(b []byte) {
		line := append(slices.Clip(lines[next%len(lines)]), '\n')
		next++
		for n := 0; n < len(b); {
			n += copy(b[n:], line)
		}
	}, nil
}
