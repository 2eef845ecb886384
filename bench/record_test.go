package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/clock"
	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/payload"
	"github.com/kbench/kbench/internal/worker"
)

// instant is a producer that has every record acknowledged at once: what is left is kbench's own work.
type instant struct {
	sink client.Sink
	next int64
	ack  [1]client.Ack
}

func (i *instant) Send(_ *client.Record, s client.Slot) error {
	i.ack[0] = client.Ack{Slot: s, Partition: 0, Offset: i.next}
	i.sink(i.ack[:])
	i.next++
	return nil
}
func (*instant) Flush(context.Context) error { return nil }
func (*instant) Close() error                { return nil }
func (*instant) CopiesPayload() bool         { return true }

// instantDriver opens instant producers.
type instantDriver struct{}

func (instantDriver) Name() string    { return "instant" }
func (instantDriver) Version() string { return "0" }
func (instantDriver) NewProducer(_ []string, _ map[string]string, sink client.Sink) (client.Producer, error) {
	return &instant{sink: sink}, nil
}
func (instantDriver) NewConsumer([]string, map[string]string) (client.Consumer, error) {
	return nil, fmt.Errorf("the instant driver has no consumer")
}

func instantProducer(tb testing.TB, size int) (*producer, func()) {
	tb.Helper()
	c, err := clock.New()
	if err != nil {
		tb.Fatal(err)
	}
	path := filepath.Join(tb.TempDir(), "p0.1.log")
	spec := sessionSpec{
		Log: path, Clock: c.Base(),
		Header:   history.Header{Version: 1, Run: 7, Partitions: []string{"orders/0"}, Producers: []string{"p0"}, Self: history.Client{Name: "p0", Session: 1}},
		Topics:   []topicRef{{Name: "orders", Physical: "orders-x", Partitions: 1}},
		Producer: &producerSpec{Topics: []string{"orders-x"}, recordSpec: recordSpec{Size: size}, Producers: 1, InFlight: 1024},
	}
	s, err := newSession(spec, func(worker.Event) {}, func(err error) { tb.Error(err) })
	if err != nil {
		tb.Fatal(err)
	}
	p, err := newProducer(tb.Context(), s, spec.Producer, instantDriver{})
	if err != nil {
		tb.Fatal(err)
	}
	return p, func() {
		if err := s.log.Close(); err != nil {
			tb.Error(err)
		}
	}
}

// TestEverySendIsRecordedOnce sends through the whole path and reads the history back.
func TestEverySendIsRecordedOnce(t *testing.T) {
	p, done := instantProducer(t, 100)
	const records = 5000
	for range records {
		if err := p.one(t.Context(), p.clock.Now(), unread); err != nil {
			t.Fatal(err)
		}
	}
	done()
	h, err := history.Open(filepath.Dir(p.session.spec.Log))
	if err != nil {
		t.Fatal(err)
	}
	next := int64(0)
	err = h.Each(func(op *history.Op) error {
		want := history.Value{Producer: 0, Session: 1, Seq: next}
		if op.Kind != history.Send || op.Outcome != history.OK || op.Value != want || op.Offset != next || op.Call < op.Intended || op.Return < op.Call {
			return fmt.Errorf("operation %d is %+v", next, *op)
		}
		next++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if next != records {
		t.Fatalf("%d of %d sends are in the history", next, records)
	}
}

// TestTheClockIsReadOnceForWhatCameTogether: a record has the time of the one before it where the client says so, and only there.
func TestTheClockIsReadOnceForWhatCameTogether(t *testing.T) {
	p, done := instantProducer(t, 100)
	own := p.client.(*instant)
	acked := own.sink
	own.sink = func([]client.Ack) {}
	for range 4 {
		if err := p.one(t.Context(), p.clock.Now(), unread); err != nil {
			t.Fatal(err)
		}
	}
	for slot, together := range []bool{true, true, false, true} { // the first has none before it, whatever the client says
		time.Sleep(time.Millisecond)
		acked([]client.Ack{{Slot: client.Slot(slot), Offset: int64(slot), Together: together}})
	}
	done()
	h, err := history.Open(filepath.Dir(p.session.spec.Log))
	if err != nil {
		t.Fatal(err)
	}
	var returns []int64
	err = h.Each(func(op *history.Op) error {
		if op.Return < op.Call {
			t.Errorf("%+v", *op)
		}
		returns = append(returns, op.Return)
		return nil
	})
	if err != nil || len(returns) != 4 {
		t.Fatalf("%d sends, error %v", len(returns), err)
	}
	if returns[0] != returns[1] || returns[1] >= returns[2] || returns[2] != returns[3] {
		t.Errorf("%v", returns)
	}
}

// TestFlatOutTheClockIsReadForEveryEighthRecord, and for the one after whoever was held up.
func TestFlatOutTheClockIsReadForEveryEighthRecord(t *testing.T) {
	p, done := instantProducer(t, 100)
	p.spec.Records = 100
	own := p.client.(*instant)
	acked := own.sink
	own.sink = func(acks []client.Ack) {
		time.Sleep(10 * time.Microsecond)
		acked(acks)
		if acks[0].Offset == 49 { // in the midst of those that share one
			p.heldUp()
		}
	}
	if err := p.flatOut(t.Context(), p.clock.Now(), math.MaxInt64); err != nil {
		t.Fatal(err)
	}
	done()
	h, err := history.Open(filepath.Dir(p.session.spec.Log))
	if err != nil {
		t.Fatal(err)
	}
	var fresh []int64
	last := int64(-1)
	err = h.Each(func(op *history.Op) error {
		if op.Intended != op.Call || op.Return < op.Call || op.Held != 0 || op.Call < last {
			t.Errorf("%+v", *op)
		}
		if op.Call != last {
			fresh = append(fresh, op.Value.Seq)
		}
		last = op.Call
		return nil
	})
	if want := []int64{0, 8, 16, 24, 32, 40, 48, 50, 56, 64, 72, 80, 88, 96}; err != nil || !slices.Equal(fresh, want) {
		t.Errorf("the clock was read for %v, want %v; error %v", fresh, want, err)
	}
}

// TestAPlaceIsALine: each record misses the processors' caches for what is remembered of it, and should miss once.
func TestAPlaceIsALine(t *testing.T) {
	if size := unsafe.Sizeof(flight{}); size != cacheLine {
		t.Errorf("%d bytes", size)
	}
}

// TestWhatCannotBeWrittenDownIsCounted: an event that is dropped without a word would let a run hold that proves nothing.
func TestWhatCannotBeWrittenDownIsCounted(t *testing.T) {
	for _, c := range []struct {
		name  string
		drop  func(*producer)
		count uint64
	}{
		{"an acknowledgement a second time", func(p *producer) { p.acked([]client.Ack{{Slot: 0, Offset: 7}}) }, 1},
		{"an acknowledgement of no place", func(p *producer) { p.acked([]client.Ack{{Slot: 1 << 20}}) }, 1},
		{"records of an unknown topic", func(p *producer) {
			l := readerLog{session: p.session}
			l.polled(0, []client.Fetched{{Topic: "bills-x", Offset: 3}, {Topic: "bills-x", Offset: 4}}, "g", history.ReadCommitted)
		}, 1},
		{"records of an unknown partition", func(p *producer) {
			l := readerLog{session: p.session}
			l.polled(0, []client.Fetched{{Topic: "orders-x", Partition: 1}}, "g", history.ReadCommitted)
		}, 1},
		{"positions of an unknown partition", func(p *producer) {
			p.offsets([]client.PartitionOffset{{Partition: client.Partition{Topic: "orders-x", Partition: -1}}, {Partition: client.Partition{Topic: "orders-x"}}})
		}, 1},
		{"an operation that the history refuses", func(p *producer) {
			p.fail = func(error) {}
			p.record(&history.Op{Kind: 99})
		}, 1},
		{"nothing", func(*producer) {}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, done := instantProducer(t, 100)
			if err := p.one(t.Context(), p.clock.Now(), unread); err != nil {
				t.Fatal(err)
			}
			c.drop(p)
			done()
			if n := p.counts.snapshot()["dropped"]; n != c.count {
				t.Errorf("%d dropped, want %d", n, c.count)
			}
			h, err := history.Open(filepath.Dir(p.session.spec.Log))
			if err != nil {
				t.Fatal(err)
			}
			sends := 0
			err = h.Each(func(op *history.Op) error {
				if op.Kind == history.Send {
					sends++
				}
				return nil
			})
			if err != nil || sends != 1 {
				t.Errorf("%d sends written down, want 1: %v", sends, err)
			}
		})
	}
}

// TestAPanicInTheClientsCallbackEndsTheSession: nobody else guards the client's goroutine.
func TestAPanicInTheClientsCallbackEndsTheSession(t *testing.T) {
	p, done := instantProducer(t, 100)
	defer done()
	var failed error
	p.fail = func(err error) { failed = err }
	p.slots = nil
	p.acked(make([]client.Ack, 1))
	var machine *worker.MachineError
	if !errors.As(failed, &machine) || !strings.Contains(failed.Error(), "kbench panicked") {
		t.Errorf("%v", failed)
	}
}

// TestTheRecordingPathDoesNotAllocate: at a million records a second even one small allocation would show.
func TestTheRecordingPathDoesNotAllocate(t *testing.T) {
	p, done := instantProducer(t, 1024)
	defer done()
	ctx := t.Context()
	perRecord := testing.AllocsPerRun(20_000, func() {
		if err := p.one(ctx, p.clock.Now(), unread); err != nil {
			t.Fatal(err)
		}
	})
	if perRecord > 0.1 {
		t.Fatalf("%.2f allocations a record", perRecord)
	}
}

// BenchmarkRecordingPath is all that kbench does for one record besides the client's own work: place, payload with its
// checksum, stamps, and the line in the history.
func BenchmarkRecordingPath(b *testing.B) {
	for _, size := range []int{100, 1024} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			p, done := instantProducer(b, size)
			defer done()
			ctx := b.Context()
			b.ReportAllocs()
			for b.Loop() {
				if err := p.one(ctx, p.clock.Now(), unread); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestEveryRecordReadIsRecorded reads two partitions' records, one of which is damaged, and looks at what the history has of the
// poll and of the handling.
func TestEveryRecordReadIsRecorded(t *testing.T) {
	c, records, done := instantConsumer(t, 100, 7)
	records[3].Value[60]++
	c.polled(5, records, "g", history.ReadCommitted)
	if err := c.handle(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	done()
	h, err := history.Open(filepath.Dir(c.session.spec.Log))
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[history.Kind]int{}
	err = h.Each(func(op *history.Op) error {
		for i, r := range op.Records {
			kinds[op.Kind]++
			at := i + int(op.Partition)*7
			damaged := r.Flags&history.Corrupt != 0
			if r.Offset != int64(i) || r.Value.Seq != int64(at) || damaged != (at == 3) {
				return fmt.Errorf("record %d of %v in partition %d is %+v", i, op.Kind, op.Partition, r)
			}
		}
		return nil
	})
	if err != nil || kinds[history.Poll] != 14 || kinds[history.Process] != 14 {
		t.Errorf("%d records polled and %d handled of 14: %v", kinds[history.Poll], kinds[history.Process], err)
	}
}

// instantConsumer is one without a client, with as many records of each of two partitions in hand.
func instantConsumer(tb testing.TB, size, each int) (*consumer, []client.Fetched, func()) {
	tb.Helper()
	now, err := clock.New()
	if err != nil {
		tb.Fatal(err)
	}
	spec := sessionSpec{
		Log: filepath.Join(tb.TempDir(), "c0.1.log"), Clock: now.Base(),
		Header: history.Header{Version: 1, Run: 7, Partitions: []string{"orders/0", "orders/1"}, Producers: []string{"p0"}, Self: history.Client{Name: "c0", Session: 1}},
		Topics: []topicRef{{Name: "orders", Physical: "orders-x", Partitions: 2}},
	}
	s, err := newSession(spec, func(worker.Event) {}, func(err error) { tb.Error(err) })
	if err != nil {
		tb.Fatal(err)
	}
	records := make([]client.Fetched, 2*each)
	for i := range records {
		value := make([]byte, size)
		payload.Put(value, payload.Head{Attempt: 1, Session: 1, Run: 7, Seq: uint64(i), Intended: int64(1000 * i)})
		records[i] = client.Fetched{Topic: "orders-x", Partition: int32(i / each), Offset: int64(i % each), Value: value}
	}
	c := &consumer{
		readerLog: readerLog{session: s, run: 7, held: map[client.Partition]bool{}},
		spec:      &consumerSpec{Group: "g", Commit: commitAuto}, next: map[client.Partition]int64{},
	}
	return c, records, func() {
		if err := s.log.Close(); err != nil {
			tb.Error(err)
		}
	}
}

// BenchmarkReadingPath is all that kbench does for one record that a client has read: checksum and head, and the lines in the
// history for the poll and for the handling.
func BenchmarkReadingPath(b *testing.B) {
	for _, size := range []int{100, 1024} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			c, records, done := instantConsumer(b, size, 250)
			defer done()
			ctx := b.Context()
			b.ReportAllocs()
			n := 0
			for ; b.Loop(); n++ {
				if n%len(records) > 0 {
					continue // a poll brings many, and each counts
				}
				c.polled(c.clock.Now(), records, "g", history.ReadCommitted)
				if err := c.handle(ctx, records); err != nil {
					b.Fatal(err)
				}
				for i := range records {
					records[i].Offset += int64(len(records) / 2)
				}
			}
		})
	}
}
