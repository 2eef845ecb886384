package segments

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

type batch struct {
	base   int64
	epoch  int32
	values []string // "-" for null
	codec  kgo.CompressionCodec
	flags  int16
}

// encode makes a batch as Kafka stores it, by kmsg's own definitions.
func (b batch) encode(t testing.TB) []byte {
	t.Helper()
	var records []byte
	for i, v := range b.values {
		r := kmsg.Record{OffsetDelta: int32(i), TimestampDelta64: int64(3 * i), Key: []byte("k"), Value: []byte(v), Headers: []kmsg.Header{{Key: "h", Value: []byte("x")}}}
		if v == "-" {
			r.Value = nil
		}
		// The length comes first and does not count itself; a varint of 0 takes one byte.
		r.Length = int32(len(r.AppendTo(nil)) - 1)
		records = r.AppendTo(records)
	}
	codec := kgo.CodecNone
	c, err := kgo.DefaultCompressor(b.codec)
	if err != nil {
		t.Fatal(err)
	}
	if c != nil {
		records, codec = c.Compress(new(bytes.Buffer), records)
		records = slices.Clone(records)
	}
	out := kmsg.RecordBatch{
		FirstOffset: b.base, PartitionLeaderEpoch: b.epoch, Magic: 2, Attributes: b.flags | int16(codec),
		LastOffsetDelta: int32(len(b.values)) - 1, ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1,
		NumRecords: int32(len(b.values)), Records: records,
	}
	raw := out.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[8:], uint32(len(raw)-12))
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], castagnoli))
	return raw
}

// write makes a partition's folder of segments, each named by its base offset.
func write(t testing.TB, segments map[int64][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for base, content := range segments {
		for name, content := range map[string][]byte{".log": content, ".index": {1, 2, 3}, ".timeindex": nil} {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%020d%s", base, name)), content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// read is what Read hands over: "offset:value@epoch".
func read(t testing.TB, dir string, most int64) (string, Extent) {
	t.Helper()
	var list []string
	e, err := Read(dir, most, func(r *Record) error {
		value := string(r.Value)
		if r.Value == nil {
			value = "null"
		}
		list = append(list, fmt.Sprintf("%d:%s@%d", r.Offset, value, r.Epoch))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(list, " "), e
}

const all = 1 << 40

func TestEveryCodecIsRead(t *testing.T) {
	long := strings.Repeat("words that repeat, ", 5000)
	for name, codec := range map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	} {
		t.Run(name, func(t *testing.T) {
			raw := batch{base: 7, epoch: 3, values: []string{"a", "-", "", long}, codec: codec}.encode(t)
			if name != "none" && len(raw) > len(long)/2 {
				t.Fatalf("%d bytes: it was not compressed", len(raw))
			}
			got, e := read(t, write(t, map[int64][]byte{0: raw}), all)
			if want := "7:a@3 8:null@3 9:@3 10:" + long + "@3"; got != want {
				t.Errorf("read %.80s, want %.80s", got, want)
			}
			if e.From != 7 || e.End != 11 || !e.Whole || e.Bytes != int64(len(raw)) || len(e.Problems) > 0 {
				t.Errorf("%+v", e)
			}
		})
	}
}

func TestSegmentsAreReadInOrder(t *testing.T) {
	join := func(list ...batch) []byte {
		var b []byte
		for _, each := range list {
			b = append(b, each.encode(t)...)
		}
		return b
	}
	control := batch{base: 2, values: []string{"commit"}, flags: controlBit | 1<<4}
	segments := map[int64][]byte{
		0:     join(batch{base: 0, values: []string{"a", "b"}}, control),
		3:     join(batch{base: 3, epoch: 1, values: []string{"c"}, flags: 1 << 4}),
		10000: join(batch{base: 10000, epoch: 2, values: []string{"d"}}, batch{base: 10001, epoch: 2, values: []string{"e"}}),
	}
	dir := write(t, segments)
	for _, c := range []struct {
		name  string
		most  int64
		want  string
		from  int64
		whole bool
	}{
		{"all", all, "0:a@0 1:b@0 3:c@1 10000:d@2 10001:e@2", 0, true},
		{"just as much as there is", int64(len(segments[0]) + len(segments[3]) + len(segments[10000])), "0:a@0 1:b@0 3:c@1 10000:d@2 10001:e@2", 0, true},
		{"one byte less", int64(len(segments[0]) + len(segments[3]) + len(segments[10000]) - 1), "3:c@1 10000:d@2 10001:e@2", 2, false},
		{"the last segment", int64(len(segments[10000])), "10000:d@2 10001:e@2", 10000, false},
		{"less than that", int64(len(segments[10000])) - 1, "10001:e@2", 10001, false},
		{"nothing", 0, "", 10002, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, e := read(t, dir, c.most)
			if got != c.want || e.From != c.from || e.Whole != c.whole || len(e.Problems) > 0 || e.End != 10002 {
				t.Errorf("read %q, %+v", got, e)
			}
		})
	}
}

func TestWhatIsTornOrDamagedIsToldAndPassedOver(t *testing.T) {
	first, second, third := batch{values: []string{"a"}}, batch{base: 1, values: []string{"b"}}, batch{base: 2, values: []string{"c"}}
	spoil := func(b []byte, at int, by byte) []byte {
		b = slices.Clone(b)
		b[at] ^= by
		return b
	}
	resum := func(b []byte) []byte {
		binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], castagnoli))
		return b
	}
	whole := third.encode(t)
	for _, c := range []struct {
		name    string
		middle  []byte
		tail    []byte
		want    string
		problem string
	}{
		{"nothing", second.encode(t), whole, "0:a@0 1:b@0 2:c@0", ""},
		{"a head cut short", second.encode(t), whole[:30], "0:a@0 1:b@0", "the rest is no batch"},
		{"a body cut short", second.encode(t), whole[:len(whole)-1], "0:a@0 1:b@0", "ends within a batch"},
		{"zeros laid out beforehand", second.encode(t), make([]byte, 300), "0:a@0 1:b@0", ""},
		{"a few zeros", second.encode(t), make([]byte, 30), "0:a@0 1:b@0", ""},
		{"rubbish", second.encode(t), bytes.Repeat([]byte{0xff}, 100), "0:a@0 1:b@0", "the rest is no batch"},
		{"a flipped bit", spoil(second.encode(t), headSize+3, 1), whole, "0:a@0 2:c@0", "the checksum of the batch at offset 1 is wrong"},
		{"an old format", spoil(second.encode(t), atMagic, 3), whole, "0:a@0 2:c@0", "a batch of format 1"},
		{"more records than it holds", resum(spoil(second.encode(t), atCount+3, 2)), whole, "0:a@0 1:b@0 2:c@0", "longer than its batch"},
		{"fewer records than it holds", resum(spoil(second.encode(t), atCount+3, 1)), whole, "0:a@0 2:c@0", "bytes behind its last record"},
		{"an unknown codec", resum(spoil(second.encode(t), atCodec+1, 7)), whole, "0:a@0 2:c@0", "the batch at offset 1"},
		{"another codec than it is coded with", resum(spoil(second.encode(t), atCodec+1, 4)), whole, "0:a@0 2:c@0", "the batch at offset 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, e := read(t, write(t, map[int64][]byte{0: slices.Concat(first.encode(t), c.middle, c.tail)}), all)
			told := strings.Join(e.Problems, "; ")
			if got != c.want || (c.problem == "") != (told == "") || !strings.Contains(told, c.problem) {
				t.Errorf("read %q, problems %q, want %q, %q", got, told, c.want, c.problem)
			}
		})
	}
}

func TestAnEmptyLogEndsWhereItsSegmentBegins(t *testing.T) {
	got, e := read(t, write(t, map[int64][]byte{42: nil}), all)
	if got != "" || e.From != 42 || e.End != 42 || !e.Whole {
		t.Errorf("%q, %+v", got, e)
	}
}

func TestWhatIsNoPartitionIsAnError(t *testing.T) {
	ignore := func(*Record) error { return nil }
	if _, err := Read(filepath.Join(t.TempDir(), "orders-0"), all, ignore); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
	if _, err := Read(t.TempDir(), all, ignore); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty folder: %v", err)
	}
}

func TestAnErrorEndsTheReading(t *testing.T) {
	stop, n := errors.New("enough"), 0
	_, err := Read(write(t, map[int64][]byte{0: batch{values: []string{"a", "b"}}.encode(t)}), all, func(*Record) error { n++; return stop })
	if !errors.Is(err, stop) || n != 1 {
		t.Errorf("%v after %d", err, n)
	}
}

// FuzzSegments: whatever stands in a segment, reading it ends, and gives no record that no intact batch holds.
func FuzzSegments(f *testing.F) {
	for _, codec := range []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()} {
		raw := batch{base: 5, epoch: 1, values: []string{"a", "-", strings.Repeat("b", 100)}, codec: codec}.encode(f)
		f.Add(raw, int64(1<<20), false)
		f.Add(append(raw, raw[:40]...), int64(100), true)
	}
	f.Fuzz(func(t *testing.T, raw []byte, most int64, fix bool) {
		if fix && len(raw) > headSize { // let it come past the checksum
			binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], castagnoli))
		}
		intact := 0
		e, err := Read(write(t, map[int64][]byte{0: raw}), most, func(r *Record) error { intact++; return nil })
		if err != nil {
			t.Fatal(err)
		}
		if intact > 0 && e.Bytes == 0 || e.Bytes > int64(len(raw)) || e.Bytes > max(most, 0) {
			t.Errorf("%d records from %d bytes of %d, at most %d", intact, e.Bytes, len(raw), most)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	value := strings.Repeat("x", 1024)
	values := slices.Repeat([]string{value}, 16)
	var raw []byte
	for base := int64(0); len(raw) < 64<<20; base += 16 {
		raw = append(raw, batch{base: base, values: values}.encode(b)...)
	}
	dir := write(b, map[int64][]byte{0: raw})
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if _, err := Read(dir, all, func(*Record) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
