// Package payload is the head of every record that kbench sends: who sent it, which one it is, when it was meant to
// be sent, and a checksum over all of it. It is a leaf.
//
// The head is the first Size bytes of a record's value or, where a record has none, the value of its header Tombstone. Little
// endian:
//
//	0  magic "KB2" and the attempt (1 byte)
//	4  producer number (2), session (2)
//	8  run (8)
//	16 sequence within the session (8)
//	24 intended time, ns on the run's clock (8)
//	32 the session's transaction, 0 for none (4)
//	36 length of the whole value (4)
//	40 XXH64 over the 40 bytes before and the XXH64 of what stands behind the head, in exclusive or with the cover of its headers (8)
//
// What stands behind the head is summed apart, so that a sender which sends the same bytes behind many heads sums them once.
package payload

import (
	"encoding/binary"
	"errors"
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// Size is the length of the head in bytes, and so the least size of a record's value.
const Size = 48

const magic = uint32('K') | uint32('B')<<8 | uint32('2')<<16

// Head is a record's identity.
type Head struct {
	Attempt  uint8 // from 1
	Producer uint16
	Session  uint16 // from 1
	Run      uint64
	Seq      uint64
	Intended int64 // ns
	Txn      uint32

	Cover uint64 // of the record's headers, see Cover: not stored, but a part of the checksum
}

// Tombstone is the header that carries the head of a record whose value is null.
const Tombstone = "kbench"

// Cover adds one more of a record's headers to what its checksum covers besides the value. It begins with 0, which is the
// cover of no headers.
func Cover(before uint64, name string, value []byte) uint64 {
	const odd = 0x9e3779b97f4a7c15
	return (bits.RotateLeft64(before, 29)^xxhash.Sum64String(name))*odd + xxhash.Sum64(value) | 1
}

// ErrForeign says that a value is not one of kbench's: too short, or another magic.
var ErrForeign = errors.New("not a record of kbench")

// ErrCorrupt says that a value has a head, but not the length or the checksum that the head names.
var ErrCorrupt = errors.New("record corrupted: length or checksum differ from its head")

// Sum is the checksum of what stands behind a head.
func Sum(body []byte) uint64 { return xxhash.Sum64(body) }

// Put writes the head into the first Size bytes of value and seals the whole value with its checksum.
func Put(value []byte, h Head) { PutSummed(value, h, Sum(value[Size:])) }

// PutSummed is Put for a value of which the Sum of what stands behind the head is known.
func PutSummed(value []byte, h Head, body uint64) {
	_ = value[Size-1]
	le := binary.LittleEndian
	head := words{
		uint64(magic|uint32(h.Attempt)<<24) | uint64(h.Producer)<<32 | uint64(h.Session)<<48,
		h.Run, h.Seq, uint64(h.Intended),
		uint64(h.Txn) | uint64(uint32(len(value)))<<32,
		body,
	}
	le.PutUint64(value, head[0])
	le.PutUint64(value[8:], head[1])
	le.PutUint64(value[16:], head[2])
	le.PutUint64(value[24:], head[3])
	le.PutUint64(value[32:], head[4])
	le.PutUint64(value[40:], head.sum()^h.Cover)
}

// Peek reads a value's head without verifying anything but its magic.
func Peek(value []byte) (Head, bool) {
	if len(value) < Size || binary.LittleEndian.Uint32(value)&0xffffff != magic {
		return Head{}, false
	}
	le := binary.LittleEndian
	return Head{
		Attempt:  value[3],
		Producer: le.Uint16(value[4:]),
		Session:  le.Uint16(value[6:]),
		Run:      le.Uint64(value[8:]),
		Seq:      le.Uint64(value[16:]),
		Intended: int64(le.Uint64(value[24:])),
		Txn:      le.Uint32(value[32:]),
	}, true
}

// Get reads and verifies the value of a record without headers.
func Get(value []byte) (Head, error) { return GetCovered(value, 0) }

// GetCovered reads and verifies a value whose checksum has that cover. On ErrCorrupt the head is what stands there, which may be
// wrong.
func GetCovered(value []byte, cover uint64) (Head, error) {
	h, ok := Peek(value)
	if !ok {
		return Head{}, ErrForeign
	}
	h.Cover = cover
	le := binary.LittleEndian
	head := words{le.Uint64(value), le.Uint64(value[8:]), le.Uint64(value[16:]), le.Uint64(value[24:]), le.Uint64(value[32:]), Sum(value[Size:])}
	if int(le.Uint32(value[36:])) != len(value) || head.sum()^cover != le.Uint64(value[40:]) {
		return h, ErrCorrupt
	}
	return h, nil
}
