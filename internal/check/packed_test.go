package check

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// FuzzPack: whatever stands in a sheet comes back from its packed form, by whatever shape it was packed, and no form is
// larger than the entries written out.
func FuzzPack(f *testing.F) {
	f.Add([]byte{1, 2, 3}, uint8(3), uint8(5))
	f.Add([]byte{}, uint8(1), uint8(0))
	f.Add(slices.Repeat([]byte{0, 255, 7, 128}, 600), uint8(6), uint8(11))
	f.Add(slices.Repeat([]byte{8, 200, 136, 77}, sheetSize), uint8(5), uint8(0)) // larger packed than written out
	f.Fuzz(func(t *testing.T, b []byte, slot, difference uint8) {
		var e, back entries
		last := [4]uint32{1, 1 << 10, 1 << 20, 1 << 30}
		for i := 0; i+1 < len(b) && i/2 < sheetSize; i += 2 {
			v := &last[b[i]&3]
			switch b[i] >> 2 & 3 {
			case 0: // nothing
			case 1:
				*v += uint32(b[i+1])
				e[i/2] = *v
			default: // anything
				*v = uint32(b[i+1])<<23 | uint32(b[i])
				e[i/2] = *v
			}
			if e[i/2] != 0 && b[i] >= 128 {
				e[i/2] |= readBit
			}
		}
		s := shape{uint(slot)%maxSlotBits + 1, uint(difference) % 20}
		content := pack(nil, &e, s)
		if len(content) > 4*sheetSize+16 {
			t.Errorf("packed in %d bytes", len(content))
		}
		unpack(content, &back)
		if back != e {
			t.Errorf("with %v:\n%v\ncame back as\n%v", s, e, back)
		}
	})
}

// TestPackedIsAnArray compares it with a map while places are written in all sorts of orders.
func TestPackedIsAnArray(t *testing.T) {
	for name, place := range map[string]func(*rand.Rand, int64) int64{
		"in order":     func(_ *rand.Rand, i int64) int64 { return i },
		"back and far": func(r *rand.Rand, i int64) int64 { return max(0, i-r.Int64N(20_000)) },
		"anywhere":     func(r *rand.Rand, _ int64) int64 { return r.Int64N(1 << 16) },
		"absurd":       func(r *rand.Rand, _ int64) int64 { return r.Int64() >> r.IntN(60) },
	} {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			var p packed
			want := map[int64]uint32{}
			for i := range int64(30_000) {
				at := place(r, i)
				if p.get(at) != want[at] {
					t.Fatalf("at %d stands %d, want %d", at, p.get(at), want[at])
				}
				if r.IntN(3) > 0 {
					want[at] = uint32(i/7*4+1) | uint32(r.IntN(2))*readBit
					p.set(at, want[at])
				}
			}
			got, before := 0, int64(-1)
			p.each(0, 1<<63-1, func(offset int64, v uint32) bool {
				if offset <= before || want[offset] != v {
					t.Fatalf("at %d, after %d, stands %d, want %d", offset, before, v, want[offset])
				}
				got, before = got+1, offset
				return true
			})
			if got != len(want) {
				t.Errorf("%d places, want %d", got, len(want))
			}
			lo, hi, inside := before/3, before/2, 0
			for at := range want {
				if at >= lo && at < hi {
					inside++
				}
			}
			p.each(lo, hi, func(offset int64, _ uint32) bool {
				if offset < lo || offset >= hi {
					t.Fatalf("%d is not in [%d, %d)", offset, lo, hi)
				}
				inside--
				return true
			})
			if inside != 0 {
				t.Errorf("%d places are missing between %d and %d", inside, lo, hi)
			}
		})
	}
}

// log of a partition to which several sessions send by the hash of a key.
func fewSessions(n int) []uint32 {
	r := rand.New(rand.NewPCG(1, 2))
	next, list := [4]uint32{1, 1 << 20, 1 << 21, 1 << 22}, make([]uint32, n)
	for i := range list {
		s := &next[r.IntN(4)]
		*s += 1 + uint32(r.ExpFloat64()*6)
		list[i] = *s
	}
	return list
}

// TestPackedIsSmall: the log of a run takes about a byte a record.
func TestPackedIsSmall(t *testing.T) {
	var p packed
	const n = 200_000
	for i, v := range fewSessions(n) {
		p.set(int64(i), v)
	}
	bytes := 0
	for _, content := range p.table.dense {
		bytes += len(content)
	}
	if size := float64(bytes) / n; size > 1.25 {
		t.Errorf("%.2f bytes a record", size)
	}
}

func BenchmarkPackedSet(b *testing.B) {
	list := fewSessions(1 << 16)
	var p packed
	for i := 0; b.Loop(); i++ {
		p.set(int64(i), list[i&(1<<16-1)])
	}
}

func BenchmarkPackedGet(b *testing.B) {
	const n = 1 << 18
	var p packed
	for i, v := range fewSessions(n) {
		p.set(int64(i), v)
	}
	for i := 0; b.Loop(); i++ {
		p.get(int64(i) & (n - 1))
	}
}

// TestSparseIsAMap compares it with a map while rows are put in all sorts of orders.
func TestSparseIsAMap(t *testing.T) {
	for name, number := range map[string]func(i int64) int64{
		"in order":              func(i int64) int64 { return i },
		"backwards":             func(i int64) int64 { return 2999 - i },
		"far ones first":        func(i int64) int64 { return (i*1021 + 2500) % 3000 },
		"every hundredth":       func(i int64) int64 { return 100 * i },
		"a few, and then dense": func(i int64) int64 { return max(5000-7*i, i-700) },
		"at the far end":        func(i int64) int64 { return math.MaxInt64>>9 - i*i },
	} {
		t.Run(name, func(t *testing.T) {
			var s sparse[int64]
			want := map[int64][]int64{}
			for i := range int64(3000) {
				at := number(i)
				if got := s.get(at); !slices.Equal(got, want[at]) {
					t.Fatalf("at %d stands %v, not %v", at, got, want[at])
				}
				want[at] = []int64{i}
				s.put(at, want[at])
				if i%500 != 0 {
					continue
				}
				for at, row := range want {
					if got := s.get(at); !slices.Equal(got, row) {
						t.Fatalf("at %d stands %v, not %v", at, got, row)
					}
				}
				all := slices.Sorted(maps.Keys(want))
				if got := s.numbers(0, math.MaxInt64); !slices.Equal(got, all) {
					t.Fatalf("the numbers are %v, not %v", got, all)
				}
				first, last := all[len(all)/3], all[2*len(all)/3]
				if got := s.numbers(first, last); !slices.Equal(got, all[len(all)/3:2*len(all)/3+1]) {
					t.Fatalf("the numbers from %d to %d are %v", first, last, got)
				}
			}
			if int64(len(s.dense)) > 4*s.used+4096 {
				t.Errorf("%d rows take %d places", s.used, len(s.dense))
			}
		})
	}
}
