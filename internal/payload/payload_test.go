package payload

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/cespare/xxhash/v2"
)

func sample() Head {
	return Head{Attempt: 2, Producer: 3, Session: 4, Run: 5, Seq: 1 << 40, Intended: -6, Txn: 7}
}

func TestHeadComesBack(t *testing.T) {
	for _, size := range []int{Size, Size + 1, 1024} {
		value := make([]byte, size)
		Put(value, sample())
		got, err := Get(value)
		if err != nil || got != sample() {
			t.Errorf("%d bytes: %+v, error %v", size, got, err)
		}
		if again, err := Get(value); err != nil || again != got {
			t.Errorf("%d bytes: a second reading gives %+v, error %v", size, again, err)
		}
	}
}

func TestEveryDamagedByteIsSeen(t *testing.T) {
	value := make([]byte, Size+16)
	for i := range value {
		Put(value, sample())
		value[i] ^= 1
		if _, err := Get(value); err == nil {
			t.Errorf("byte %d was changed and nobody noticed", i)
		}
	}
}

func TestABodySummedOnceSealsEveryHead(t *testing.T) {
	value, other := make([]byte, Size+100), make([]byte, Size+100)
	for i := range value {
		value[i], other[i] = byte(i), byte(i)
	}
	sum := Sum(value[Size:])
	for seq := range uint64(10) {
		h := sample()
		h.Seq, h.Cover = seq, 9*seq
		PutSummed(value, h, sum)
		Put(other, h)
		if got, err := GetCovered(value, h.Cover); err != nil || got != h || !bytes.Equal(value, other) {
			t.Errorf("%+v, error %v; summed again %x, %x", got, err, value[:Size], other[:Size])
		}
	}
}

func TestACutValueIsCorruptAndAStrangersForeign(t *testing.T) {
	value := make([]byte, Size+16)
	Put(value, sample())
	if _, err := Get(value[:Size+8]); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a cut value: %v", err)
	}
	for _, other := range [][]byte{nil, []byte("hello"), make([]byte, 100)} {
		if _, err := Get(other); !errors.Is(err, ErrForeign) {
			t.Errorf("%q: %v", other, err)
		}
	}
}

func FuzzGet(f *testing.F) {
	value := make([]byte, Size+4)
	Put(value, sample())
	f.Add(value)
	f.Add([]byte("KB2"))
	f.Fuzz(func(t *testing.T, value []byte) {
		before := string(value)
		h, err := Get(value)
		if string(value) != before {
			t.Fatal("reading changed the value")
		}
		if err != nil {
			return
		}
		Put(value, h)
		if string(value) != before {
			t.Fatal("a value that verifies differs from the one written again")
		}
	})
}

func BenchmarkPut(b *testing.B) {
	for _, size := range []int{100, 1024} {
		b.Run(map[int]string{100: "100B", 1024: "1KiB"}[size], func(b *testing.B) {
			value := make([]byte, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				Put(value, sample())
			}
		})
	}
}

// BenchmarkPutSummed is what a sender pays whose bodies are summed once. Its values stand scattered over more memory than the
// processor's caches hold, as places in flight do.
func BenchmarkPutSummed(b *testing.B) {
	const size, places = 100, 1 << 18
	values := make([]byte, places*size)
	b.ReportAllocs()
	h := sample()
	for b.Loop() {
		h.Seq++
		at := int(h.Seq * 0x9E3779B1 % places * size)
		PutSummed(values[at:at+size], h, 5)
	}
}

func TestAHeadsSumIsXXH64(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		var w words
		var b []byte
		for i := range w {
			w[i] = rng.Uint64() >> rng.UintN(65)
			b = binary.LittleEndian.AppendUint64(b, w[i])
		}
		if got, want := w.sum(), xxhash.Sum64(b); got != want {
			t.Fatalf("%x: %x, want %x", b, got, want)
		}
	}
}
