package bench

import (
	"bytes"
	"fmt"
	"math"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/payload"
	"github.com/kbench/kbench/scenarios"
)

func TestARecordTooSmallForItsHeadIsRefusedWithTheMinimum(t *testing.T) {
	_, err := newRecords(recordSpec{Size: payload.Size - 1}, 4, true, 1, rand.New(rand.NewSource(1)))
	if err == nil || !strings.Contains(err.Error(), "at least 48") {
		t.Fatalf("error %v does not say the minimum", err)
	}
}

// codecs are Kafka's, as Kafka's clients in Go have them.
func codecs() map[string]func(*testing.T, []byte) int {
	return map[string]func(*testing.T, []byte) int{
		"gzip": func(t *testing.T, b []byte) int {
			var out bytes.Buffer
			w := gzip.NewWriter(&out)
			if _, err := w.Write(b); err != nil || w.Close() != nil {
				t.Fatal(err)
			}
			return out.Len()
		},
		"snappy": func(_ *testing.T, b []byte) int { return len(s2.EncodeSnappy(nil, b)) },
		"lz4": func(t *testing.T, b []byte) int {
			var out bytes.Buffer
			w := lz4.NewWriter(&out)
			if _, err := w.Write(b); err != nil || w.Close() != nil {
				t.Fatal(err)
			}
			return out.Len()
		},
		"zstd": func(t *testing.T, b []byte) int {
			w, err := zstd.NewWriter(nil)
			if err != nil {
				t.Fatal(err)
			}
			return len(w.EncodeAll(b, nil))
		},
	}
}

// batch is what a client compresses at once: values with their heads, and a few bytes of framing for each.
func batch(t *testing.T, spec recordSpec, bytes int) []byte {
	t.Helper()
	r, err := newRecords(spec, 4096, true, 1, rand.New(rand.NewSource(1)))
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for seq := int64(0); len(all) < bytes; seq++ {
		f := flight{seq: seq, session: 1, intended: seq * 1_234_567}
		var out client.Record
		r.put(&f, new(buffer), payload.Head{Attempt: 1, Session: 1, Run: 0x1234567890abcdef, Seq: uint64(seq), Intended: f.intended}, &out)
		all = append(all, byte(seq), byte(2*seq), byte(seq>>7), 1)
		all = append(all, out.Value...)
	}
	return all
}

// TestPayloadsReachTheRatioAskedFor compresses whole batches by each of Kafka's codecs.
func TestPayloadsReachTheRatioAskedFor(t *testing.T) {
	for _, ratio := range []float64{1.5, 2, 4, 8} {
		for _, size := range []int{1 << 10, 10 << 10} {
			spec := recordSpec{Size: size, Payload: payloadSpec{Kind: "ratio", Ratio: ratio}}
			b := batch(t, spec, 64<<10)
			for name, compress := range codecs() {
				got := float64(len(b)) / float64(compress(t, b))
				within := 0.15
				if name == "snappy" {
					within = max(within, ratio/20) // a row of zeros costs it 3 bytes for each 64
				}
				if math.Abs(got/ratio-1) > within {
					t.Errorf("%s, %d bytes: a ratio of %.2f, %.1f was asked for", name, size, got, ratio)
				}
			}
		}
	}
	varied := recordSpec{Sizes: scenarios.Sizes{Kind: scenarios.UniformSizes, Min: 200, Max: 4000}, Payload: payloadSpec{Kind: "ratio", Ratio: 3}}
	b := batch(t, varied, 256<<10)
	for name, compress := range codecs() {
		if got := float64(len(b)) / float64(compress(t, b)); math.Abs(got/3-1) > 0.12 {
			t.Errorf("%s, sizes that vary: a ratio of %.2f, 3 was asked for", name, got)
		}
	}
}

func TestPayloadsCompressAsAsked(t *testing.T) {
	const size = 10_000
	packed := func(kind string, share float64) float64 {
		b := batch(t, recordSpec{Size: size, Payload: payloadSpec{Kind: kind, Compressibility: share}}, size)
		return float64(codecs()["gzip"](t, b)) / float64(len(b))
	}
	if r := packed("random", 0); r < 0.99 {
		t.Errorf("a random payload shrinks to %.2f of its size", r)
	}
	if r := packed("compressible", 0.7); r < 0.28 || r > 0.33 {
		t.Errorf("a payload that is 0.7 compressible shrinks to %.2f of its size", r)
	}
}

func TestPayloadsFromAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lines")
	if err := os.WriteFile(path, []byte("first\nsecond\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	const size = payload.Size + 8
	v, err := newValues(payloadSpec{Kind: "file", File: path}, size, size, 2, true, rand.New(rand.NewSource(1)))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(v.of(nil, size).bytes[payload.Size:]); got != "second\ns" {
		t.Fatalf("the second record carries %q", got)
	}
	if _, err := newValues(payloadSpec{Kind: "file", File: path + "x"}, 100, 100, 1, true, rand.New(rand.NewSource(1))); err == nil {
		t.Fatal("a file that is not there was taken")
	}
}

// TestBuffersOfPlacesInFlightAreNeverShared sends records of sizes that vary as a client that does not copy would have it: what is in
// flight must not be written to, and what has come back is used again.
func TestBuffersOfPlacesInFlightAreNeverShared(t *testing.T) {
	const places, largest, records = 50, 5000, 20_000
	v, err := newValues(payloadSpec{}, payload.Size, largest, places, false, rand.New(rand.NewSource(1)))
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewSource(2))
	held := make([]buffer, places)
	made := map[*byte]bool{}
	for n := range records {
		at, size := rng.Intn(places), payload.Size+rng.Intn(largest-payload.Size+1)
		v.of(&held[at], size)
		b := held[at].bytes
		if len(b) != size || cap(b) > 2*size && cap(b) > 96 || cap(b) > largest {
			t.Fatalf("record %d of %d bytes has a buffer of %d, with room for %d", n, size, len(b), cap(b))
		}
		for other := range held {
			if other != at && held[other].bytes != nil && &held[other].bytes[0] == &b[0] {
				t.Fatalf("places %d and %d have one buffer", at, other)
			}
		}
		if want := payload.Sum(b[payload.Size:]); held[at].sum != want {
			t.Fatalf("record %d of %d bytes is sealed with %x, want %x", n, size, held[at].sum, want)
		}
		made[&b[0]] = true
	}
	if len(made) > 12*places {
		t.Errorf("%d buffers for %d places: they are not used again", len(made), places)
	}
}

func TestKeysAreSkewedAsAsked(t *testing.T) {
	const draws = 20_000
	top := func(spec scenarios.Keys) (share float64, distinct int) {
		k := newKeys(spec, 0)
		r := records{keyDraws: 7, keys: k}
		seen, most := map[int64]int{}, 0
		for seq := range int64(draws) {
			n := r.key(1, seq)
			seen[n]++
			most = max(most, seen[n])
		}
		return float64(most) / draws, len(seen)
	}
	for _, c := range []struct {
		spec        scenarios.Keys
		least, most float64
		distinct    int
	}{
		{scenarios.Keys{Kind: scenarios.UniformKeys, Count: 1000}, 0.001, 0.003, 1000},
		{scenarios.Keys{Kind: scenarios.SequentialKeys, Count: 100}, 0.01, 0.01, 100},
		{scenarios.Keys{Kind: scenarios.ZipfKeys, Count: 1000, Exponent: 0}, 0.001, 0.003, 1000},
		{scenarios.Keys{Kind: scenarios.ZipfKeys, Count: 1000, Exponent: 1}, 0.125, 0.145, 0},     // 1/H(1000) = 0.1336
		{scenarios.Keys{Kind: scenarios.ZipfKeys, Count: 1000, Exponent: 1.1}, 0.17, 0.19, 0},     // 0.1798
		{scenarios.Keys{Kind: scenarios.ZipfKeys, Count: 1000, Exponent: 2}, 0.59, 0.625, 0},      // 0.6083
		{scenarios.Keys{Kind: scenarios.ZipfKeys, Count: 1, Exponent: 1.1}, 1, 1, 1},              // there is no other
		{scenarios.Keys{Kind: scenarios.HotKeys, Count: 1000, Share: 0.9, Hot: 2}, 0.44, 0.46, 0}, // two share 0.9
		{scenarios.Keys{Kind: scenarios.NoKeys}, 1, 1, 1},
	} {
		share, distinct := top(c.spec)
		if share < c.least || share > c.most || c.distinct > 0 && distinct != c.distinct {
			t.Errorf("%+v: the first of %d has a share of %.4f, want %.3f to %.3f", c.spec, distinct, share, c.least, c.most)
		}
	}
}

func TestSomeRecordsHaveNoKeyWhereThatIsAsked(t *testing.T) {
	r := records{keyDraws: 7, keys: newKeys(scenarios.Keys{Kind: scenarios.UniformKeys, Count: 10}, 0.25)}
	none := 0
	for seq := range int64(10_000) {
		if r.key(1, seq) == keyNone {
			none++
		}
	}
	if none < 2350 || none > 2650 {
		t.Errorf("%d of 10000 have no key, want a quarter", none)
	}
	if r.keyAt(0, keyNone) != nil {
		t.Error("a key where there is none")
	}
}

func TestSizesAreDrawnAsAsked(t *testing.T) {
	const records = 50_000
	for _, v := range []scenarios.Sizes{
		{},
		{Kind: scenarios.UniformSizes, Min: 100, Max: 1000},
		{Kind: scenarios.NormalSizes, A: 500, B: 100, Min: 100, Max: 1000},
		{Kind: scenarios.NormalSizes, A: 100, B: 400, Min: 100, Max: 1000}, // half of it cut off
		{Kind: scenarios.LognormalSizes, A: 300, B: 0.8, Min: 60, Max: 8000},
		{Kind: scenarios.ZipfSizes, A: 1.1, Min: 64, Max: 4096},
		{Kind: scenarios.HistogramSizes, Min: 100, Max: 9000, Bins: []scenarios.SizeBin{{Size: 100, Part: 7}, {Size: 1000, Part: 2}, {Size: 9000, Part: 1}}},
	} {
		s, d := newSizes(v, 200), draws(3)
		sum, least, most := 0.0, math.MaxInt, 0
		for seq := range int64(records) {
			n := s.of(d.of(1, seq))
			if again := s.of(d.of(1, seq)); again != n {
				t.Fatalf("%+v: record %d has %d bytes, and then %d", v, seq, n, again)
			}
			sum, least, most = sum+float64(n), min(least, n), max(most, n)
		}
		spec := scenarios.RecordSpec{Size: 200, Sizes: v}
		if want := spec.Mean(); math.Abs(sum/records/want-1) > 0.03 {
			t.Errorf("%+v: %.1f bytes in the mean, want %.1f", v, sum/records, want)
		}
		if v.Kind != "" && (least < v.Min || most > v.Max) {
			t.Errorf("%+v: from %d to %d bytes", v, least, most)
		}
	}
}

// BenchmarkRecords makes records without sending them: what loads of several sorts cost.
func BenchmarkRecords(b *testing.B) {
	keys := scenarios.Keys{Kind: scenarios.UniformKeys, Count: 1000}
	for name, spec := range map[string]recordSpec{
		"plain":    {Size: 1024, Keys: keys},
		"zipf":     {Size: 1024, Keys: scenarios.Keys{Kind: scenarios.ZipfKeys, Count: 1000, Exponent: 1.1}},
		"sizes":    {Sizes: scenarios.Sizes{Kind: scenarios.LognormalSizes, A: 800, B: 0.8, Min: 100, Max: 16 << 10}, Keys: keys},
		"headers":  {Size: 1024, Keys: keys, Headers: scenarios.Headers{Count: 3, Size: 32}},
		"tombs":    {Size: 1024, Keys: keys, Tombstones: 0.1},
		"smallest": {Size: 100},
	} {
		for _, copies := range []bool{true, false} {
			b.Run(fmt.Sprintf("%s,copies=%v", name, copies), func(b *testing.B) {
				const places = 4096
				r, err := newRecords(spec, places, copies, 1, rand.New(rand.NewSource(1)))
				if err != nil {
					b.Fatal(err)
				}
				held := make([]buffer, places)
				var out client.Record
				one := func(seq int64) {
					slot := client.Slot(seq % places)
					f := flight{seq: seq, session: 1}
					out.Key = r.keyAt(slot, r.key(1, seq))
					r.put(&f, &held[slot], payload.Head{Attempt: 1, Session: 1, Seq: uint64(seq)}, &out)
				}
				seq := int64(0)
				for ; seq < 16*places; seq++ {
					one(seq)
				}
				b.ReportAllocs()
				for b.Loop() {
					one(seq)
					seq++
				}
			})
		}
	}
}
