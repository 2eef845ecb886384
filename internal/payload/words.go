package payload

import "math/bits"

// words are a head as it is summed: its first 40 bytes, little endian, and the sum of what stands behind it.
type words [Size / 8]uint64

// Constants of XXH64.
const (
	prime1 = 0x9e3779b185ebca87
	prime2 = 0xc2b2ae3d27d4eb4f
	prime3 = 0x165667b19e3779f9
	prime4 = 0x85ebca77c2b2ae63
)

// sum is the XXH64, with seed 0, of the words as bytes. The length being known it needs no loop, and no byte of what is summed is
// read back from memory that has just been written, for which a sender would wait until its line has come.
//
// Source: https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md, "XXH64 Algorithm Description".
func (w *words) sum() uint64 {
	var p1 uint64 = prime1 // sums of constants that wrap
	v1, v2, v3, v4 := round(p1+prime2, w[0]), round(prime2, w[1]), round(0, w[2]), round(-p1, w[3])
	h := bits.RotateLeft64(v1, 1) + bits.RotateLeft64(v2, 7) + bits.RotateLeft64(v3, 12) + bits.RotateLeft64(v4, 18)
	h = (h^round(0, v1))*prime1 + prime4
	h = (h^round(0, v2))*prime1 + prime4
	h = (h^round(0, v3))*prime1 + prime4
	h = (h^round(0, v4))*prime1 + prime4
	h += Size
	h = bits.RotateLeft64(h^round(0, w[4]), 27)*prime1 + prime4
	h = bits.RotateLeft64(h^round(0, w[5]), 27)*prime1 + prime4
	h = (h ^ h>>33) * prime2
	h = (h ^ h>>29) * prime3
	return h ^ h>>32
}

func round(v, word uint64) uint64 { return bits.RotateLeft64(v+word*prime2, 31) * prime1 }
