package history

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"
)

var someHeader = Header{Run: 0xdeadbeef01020304, Partitions: []string{"orders/0", "orders/1"}, Producers: []string{"p0", "p1"}, Self: Client{"p0", 1}}

// drawOp makes any operation that Append takes, numbers at their extremes included.
func drawOp(t *rapid.T) Op {
	number := rapid.OneOf(rapid.Int64Range(0, 1000), rapid.Int64Range(0, 1<<40), rapid.Int64(), rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64, -1, 0}))
	small := rapid.OneOf(rapid.Int32Range(-1, 5), rapid.Int32())
	name := rapid.SampledFrom([]string{"", "g", "readers", "kill"})
	value := func() Value {
		return rapid.OneOf(rapid.Just(NoValue), rapid.Custom(func(t *rapid.T) Value {
			return Value{small.Draw(t, "producer"), small.Draw(t, "session"), number.Draw(t, "seq")}
		})).Draw(t, "value")
	}
	var op Op
	op.clear()
	op.Records, op.Partitions, op.Offsets = nil, nil, nil
	op.Kind = Kind(rapid.IntRange(1, int(maxKind)).Draw(t, "kind"))
	op.Outcome = Outcome(rapid.IntRange(0, 2).Draw(t, "outcome"))
	op.Call, op.Return = number.Draw(t, "call"), number.Draw(t, "return")
	op.Txn = rapid.SampledFrom([]uint64{0, 1, 2, math.MaxUint64}).Draw(t, "txn")
	items := rapid.IntRange(0, 6).Draw(t, "items")
	switch op.Kind {
	case Send:
		op.Intended, op.Offset, op.Value = number.Draw(t, "intended"), number.Draw(t, "offset"), value()
		op.Held = number.Draw(t, "held")
		op.Partition = small.Draw(t, "partition")
		op.Attempt = rapid.SampledFrom([]int32{1, 1, 2, 300}).Draw(t, "attempt")
		if rapid.Bool().Draw(t, "from") {
			op.FromPartition, op.FromOffset = small.Draw(t, "from partition"), number.Draw(t, "from offset")
			if op.FromPartition == Unknown {
				op.FromOffset = Unknown
			}
		}
	case Poll, Process, FinalRead:
		op.Partition, op.Group = small.Draw(t, "partition"), name.Draw(t, "group")
		op.Isolation = Isolation(rapid.IntRange(0, 2).Draw(t, "isolation"))
		if op.Kind == FinalRead {
			op.Pass, op.Reached = small.Draw(t, "pass"), number.Draw(t, "reached")
		}
		for range items {
			op.Records = append(op.Records, Record{number.Draw(t, "offset"), small.Draw(t, "epoch"), Flags(rapid.IntRange(0, 3).Draw(t, "flags")), value(), number.Draw(t, "intended")})
		}
	case Assign, Subscribe:
		op.Group = name.Draw(t, "group")
		for range items {
			op.Partitions = append(op.Partitions, small.Draw(t, "partition"))
		}
	case Commit, Ends:
		op.Group, op.Generation = name.Draw(t, "group"), small.Draw(t, "generation")
		for range items {
			op.Offsets = append(op.Offsets, PartitionOffset{small.Draw(t, "partition"), number.Draw(t, "offset")})
		}
	case Fault:
		op.Name, op.Target = name.Draw(t, "name"), name.Draw(t, "target")
	}
	return op
}

func kept(op *Op) Op {
	c := *op
	c.Records, c.Partitions, c.Offsets = slices.Clone(op.Records), slices.Clone(op.Partitions), slices.Clone(op.Offsets)
	if len(c.Records) == 0 {
		c.Records = nil
	}
	if len(c.Partitions) == 0 {
		c.Partitions = nil
	}
	if len(c.Offsets) == 0 {
		c.Offsets = nil
	}
	return c
}

func read(t interface{ Fatalf(string, ...any) }, dir string) (*History, []Op) {
	h, err := Open(dir)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	var ops []Op
	if err := h.Each(func(op *Op) error { ops = append(ops, kept(op)); return nil }); err != nil {
		t.Fatalf("each: %v", err)
	}
	return h, ops
}

func write(t interface{ Fatalf(string, ...any) }, path string, h Header, ops []Op, flushAt int) {
	w, err := Create(path, h)
	if err != nil {
		t.Fatalf("create: %v", err)
	}
	for i := range ops {
		if err := w.Append(&ops[i]); err != nil {
			t.Fatalf("append: %v", err)
		}
		if i == flushAt {
			if err := w.Flush(); err != nil {
				t.Fatalf("flush: %v", err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

func TestEveryOperationComesBackAsItWasAppended(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		run := filepath.Join(dir, fmt.Sprint(n))
		if err := os.Mkdir(run, 0o755); err != nil {
			t.Fatalf("%v", err)
		}
		ops := rapid.SliceOfN(rapid.Custom(drawOp), 0, 40).Draw(t, "ops")
		for i := range ops {
			if ops[i].Kind == Send && ops[i].Return == Unknown {
				ops[i].Return = 0
			}
		}
		write(t, filepath.Join(run, "p0.1.log"), someHeader, ops, rapid.IntRange(-1, 39).Draw(t, "flush"))
		h, got := read(t, run)
		if len(h.Tears) != 0 || !h.Sessions[0].Closed {
			t.Fatalf("tears %v, sessions %v", h.Tears, h.Sessions)
		}
		for i := range ops {
			ops[i].Client = 0
		}
		if len(got) != len(ops) {
			t.Fatalf("%d operations came back of %d", len(got), len(ops))
		}
		for i := range ops {
			if !reflect.DeepEqual(got[i], kept(&ops[i])) {
				t.Fatalf("operation %d:\nwrote %+v\nread  %+v", i, ops[i], got[i])
			}
		}
	})
}

func TestHeaderComesBack(t *testing.T) {
	dir := t.TempDir()
	head := someHeader
	head.Guarantee, head.Starts, head.Inputs, head.Outputs, head.Compacted = "exactly-once", map[int32]int64{1: 7}, []string{"orders"}, []string{"bills"}, []string{"bills"}
	write(t, filepath.Join(dir, "p0.1.log"), head, nil, -1)
	c := head
	c.Self = Client{"c0", 2}
	write(t, filepath.Join(dir, "c0.2.log"), c, nil, -1)
	h, _ := read(t, dir)
	want := head
	want.Version, want.Self, want.Clients = Version, Client{}, []Client{{"c0", 2}, {"p0", 1}}
	if !reflect.DeepEqual(h.Header, want) {
		t.Errorf("header\n%+v, want\n%+v", h.Header, want)
	}
}

func send(seq int64, call, ret int64) Op {
	return Op{Kind: Send, Outcome: OK, Intended: Unknown, Call: call, Return: ret, Partition: 0, Offset: seq, Value: Value{0, 1, seq}, Attempt: 1, FromPartition: Unknown, FromOffset: Unknown}
}

func TestLogsAreMergedInOrderOfReturn(t *testing.T) {
	dir := t.TempDir()
	other := someHeader
	other.Self = Client{"p1", 1}
	write(t, filepath.Join(dir, "p0.1.log"), someHeader, []Op{send(0, 1, 10), send(1, 2, 30), send(2, 3, 20), send(3, 4, 50)}, -1)
	write(t, filepath.Join(dir, "p1.1.log"), other, []Op{send(10, 1, 15), send(11, 2, 40)}, -1)
	_, ops := read(t, dir)
	var got []string
	for _, op := range ops {
		got = append(got, fmt.Sprintf("%d:%d", op.Client, op.Value.Seq))
	}
	if want := []string{"0:0", "1:10", "0:1", "0:2", "1:11", "0:3"}; !slices.Equal(got, want) {
		t.Errorf("order %v, want %v", got, want)
	}
}

func TestJournalLinesAreResolved(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "p0.1.log")
	journal := func(seq, call int64, n int32) Op {
		op := send(seq, call, Unknown)
		op.Outcome, op.Offset, op.Attempt = Indeterminate, Unknown, n
		return op
	}
	write(t, path, someHeader, []Op{journal(0, 1, 1), journal(1, 2, 1), journal(2, 3, 1), send(1, 2, 9), journal(2, 8, 2)}, 2)
	_, ops := read(t, dir)
	type short struct {
		seq, call, ret int64
		outcome        Outcome
		attempt        int32
	}
	var got []short
	for _, op := range ops {
		got = append(got, short{op.Value.Seq, op.Call, op.Return, op.Outcome, op.Attempt})
	}
	want := []short{{1, 2, 9, OK, 1}, {0, 1, 9, Indeterminate, 1}, {2, 3, 9, Indeterminate, 1}, {2, 8, 9, Indeterminate, 2}}
	if !slices.Equal(got, want) {
		t.Errorf("resolved\n%+v, want\n%+v", got, want)
	}
	left, err := Uncompleted(path)
	if err != nil || len(left) != 3 || left[0].Value.Seq != 0 || left[1].Value.Seq != 2 || left[2].Attempt != 2 || left[0].Return != Unknown {
		t.Errorf("uncompleted %+v, %v", left, err)
	}
}

// firstOps is where the first chunk after the header begins.
func firstOps(log []byte) int {
	head := log[len(magic):]
	return len(magic) + headSize + int(binary.LittleEndian.Uint32(head[4:]))
}

// repacked is a log whose first chunk of operations is stored in another way.
func repacked(t *testing.T, log []byte, coding byte, pack func(raw []byte) []byte) []byte {
	t.Helper()
	at := firstOps(log)
	h, err := parseHead(log[at:])
	if err != nil || h.coding != s2Block {
		t.Fatalf("%+v, %v", h, err)
	}
	end := at + headSize + int(h.stored)
	raw, err := s2.Decode(nil, log[at+headSize:end])
	if err != nil {
		t.Fatal(err)
	}
	stored := pack(raw)
	h.coding, h.stored, h.sum = coding, uint32(len(stored)), xxhash.Sum64(stored)
	head := make([]byte, headSize)
	h.put(head)
	return slices.Concat(log[:at], head, stored, log[end:])
}

func TestChunksOfEveryCodingAreRead(t *testing.T) {
	short := func(raw []byte) []byte { return raw[:len(raw)-1] }
	zstdOf := func(raw []byte) []byte {
		w, err := zstd.NewWriter(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		return w.EncodeAll(raw, nil)
	}
	for _, c := range []struct {
		name   string
		coding byte
		pack   func([]byte) []byte
		torn   string
	}{
		{"as it is", plain, slices.Clone[[]byte], ""},
		{"zstd", zstandard, zstdOf, ""},
		{"zstd of another length", zstandard, func(raw []byte) []byte { return zstdOf(short(raw)) }, "does not decompress"},
		{"S2 of another length", s2Block, func(raw []byte) []byte { return s2.Encode(nil, short(raw)) }, "does not decompress: it has"},
		{"no S2", s2Block, func(raw []byte) []byte { return []byte{255, 255, 255, 255, 255, 255} }, "does not decompress"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "p0.1.log")
			var ops []Op
			for i := range int64(1000) {
				ops = append(ops, send(i, 10*i, 10*i+5))
			}
			write(t, path, someHeader, ops, -1)
			_, want := read(t, dir)
			log, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, repacked(t, log, c.coding, c.pack), 0o644); err != nil {
				t.Fatal(err)
			}
			h, got := read(t, dir)
			if c.torn == "" {
				if len(h.Tears) != 0 || len(want) != len(ops) || !reflect.DeepEqual(got, want) {
					t.Errorf("%d operations, tears %+v", len(got), h.Tears)
				}
			} else if len(h.Tears) == 0 || !strings.Contains(h.Tears[0].Reason, c.torn) || len(got) != 0 {
				t.Errorf("%d operations, tears %+v", len(got), h.Tears)
			}
		})
	}
}

func TestDamageIsReported(t *testing.T) {
	var ops []Op
	for i := range int64(30000) {
		ops = append(ops, send(i, 10*i, 10*i+5))
	}
	whole := func(t *testing.T) (string, []byte) {
		dir := t.TempDir()
		path := filepath.Join(dir, "p0.1.log")
		write(t, path, someHeader, ops, -1)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return path, b
	}
	for _, c := range []struct {
		name   string
		damage func([]byte) []byte
		tail   bool
		reason string
		atMost int
	}{
		{"the last bytes missing", func(b []byte) []byte { return b[:len(b)-3] }, true, "middle of a chunk", 30000},
		{"half of it missing", func(b []byte) []byte { return b[:len(b)/2] }, true, "middle of a chunk", 29999},
		{"a bit turned in the middle", func(b []byte) []byte { b[firstOps(b)+headSize+5] ^= 4; return b }, false, "checksum differs", 29999},
		{"garbage at the end", func(b []byte) []byte { return append(b, make([]byte, 40)...) }, false, "no chunk", 30000},
		{"nothing but the magic", func(b []byte) []byte { return b[:len(magic)] }, true, "before its header", 0},
		{"empty", func(b []byte) []byte { return nil }, true, "before its header", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			path, b := whole(t)
			if err := os.WriteFile(path, c.damage(b), 0o644); err != nil {
				t.Fatal(err)
			}
			other := someHeader
			other.Self = Client{"p1", 1}
			write(t, filepath.Join(filepath.Dir(path), "p1.1.log"), other, nil, -1)
			h, got := read(t, filepath.Dir(path))
			if len(h.Tears) != 1 || h.Tears[0].Tail != c.tail || !strings.Contains(h.Tears[0].Reason, c.reason) || h.Tears[0].File != "p0.1.log" {
				t.Errorf("tears %+v", h.Tears)
			}
			if h.Header.Clients[0] != (Client{"p0", 1}) {
				t.Errorf("clients %v", h.Header.Clients)
			}
			if len(got) > c.atMost {
				t.Errorf("%d operations of a damaged log", len(got))
			}
		})
	}
}

func TestALogWithoutItsEndIsNotClosed(t *testing.T) {
	dir := t.TempDir()
	w, err := Create(filepath.Join(dir, "p0.1.log"), someHeader)
	if err != nil {
		t.Fatal(err)
	}
	op := send(0, 1, 2)
	if err := w.Append(&op); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	h, ops := read(t, dir)
	if len(ops) != 1 || len(h.Tears) != 0 || h.Sessions[0].Closed {
		t.Errorf("%d ops, tears %v, sessions %+v", len(ops), h.Tears, h.Sessions)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Append(&op); err == nil {
		t.Error("appended to a closed log")
	}
}

func TestLogsOfDifferentRunsAreRefused(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "p0.1.log"), someHeader, nil, -1)
	other := someHeader
	other.Run++
	write(t, filepath.Join(dir, "p1.1.log"), other, nil, -1)
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "belongs to run") {
		t.Errorf("err = %v", err)
	}
}

func TestAppendDoesNotAllocate(t *testing.T) {
	w, err := Create(filepath.Join(t.TempDir(), "p0.1.log"), someHeader)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	op := send(0, 1, 2)
	poll := Op{Kind: Poll, Outcome: OK, Group: "readers", Records: make([]Record, 100)}
	for i := range int64(100000) { // until the buffers have grown
		op.Value.Seq = i
		if err := w.Append(&op); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(100000, func() {
		op.Value.Seq++
		if w.Append(&op) != nil || op.Value.Seq%100 == 0 && w.Append(&poll) != nil {
			t.Fatal("append")
		}
	}); n >= 0.01 {
		t.Errorf("%v allocations an operation", n)
	}
}

// load is what a producer at 100,000 records a second to 6 partitions would append.
func load(b *testing.B, journal bool) {
	path := filepath.Join(b.TempDir(), "p0.1.log")
	w, err := Create(path, someHeader)
	if err != nil {
		b.Fatal(err)
	}
	offsets := [6]int64{}
	random := uint64(1)
	b.ReportAllocs()
	i := int64(0)
	for b.Loop() {
		random = random*6364136223846793005 + 1442695040888963407
		noise := int64(random >> 46) // up to 262 µs
		p := int32(random>>20) % 6
		p = max(p, -p)
		offsets[p]++
		op := Op{Kind: Send, Outcome: OK, Intended: i * 10_000, Call: i*10_000 + noise/64, Return: i*10_000 + 3_000_000 + noise, Partition: p,
			Offset: offsets[p], Value: Value{0, 1, i}, Attempt: 1, FromPartition: Unknown}
		if journal {
			line := op
			line.Return, line.Offset, line.Outcome = Unknown, Unknown, Indeterminate
			if err := w.Append(&line); err != nil {
				b.Fatal(err)
			}
		}
		if err := w.Append(&op); err != nil {
			b.Fatal(err)
		}
		i++
	}
	b.StopTimer()
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(info.Size())/float64(w.total), "B/operation")
}

func BenchmarkAppendSend(b *testing.B)       { load(b, false) }
func BenchmarkAppendJournalled(b *testing.B) { load(b, true) }

func benchmarkLog(b *testing.B, dir string, n int64) {
	var ops []Op
	for i := range n {
		ops = append(ops, send(i, 10_000*i, 10_000*i+3_000_000))
	}
	write(b, filepath.Join(dir, "p0.1.log"), someHeader, ops, -1)
}

func BenchmarkEach(b *testing.B) {
	dir := b.TempDir()
	const n = 100_000
	benchmarkLog(b, dir, n)
	h, err := Open(dir)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := h.Each(func(*Op) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/operation")
}

// BenchmarkAppendPoll reports per record.
func BenchmarkAppendPoll(b *testing.B) {
	path := filepath.Join(b.TempDir(), "c0.1.log")
	w, err := Create(path, someHeader)
	if err != nil {
		b.Fatal(err)
	}
	op := Op{Kind: Poll, Outcome: OK, Group: "readers", Isolation: ReadCommitted, Records: make([]Record, 500)}
	b.ReportAllocs()
	i := int64(0)
	for b.Loop() {
		op.Call, op.Return = i*5_000_000, i*5_000_000+1_000_000
		for j := range op.Records {
			seq := i*500 + int64(j)
			op.Records[j] = Record{Offset: seq, Value: Value{0, 1, seq*6 + seq%5}, Intended: seq * 60_000}
		}
		if err := w.Append(&op); err != nil {
			b.Fatal(err)
		}
		i++
	}
	b.StopTimer()
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	info, _ := os.Stat(path)
	b.ReportMetric(float64(info.Size())/float64(w.total)/500, "B/record")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/500, "ns/record")
}
