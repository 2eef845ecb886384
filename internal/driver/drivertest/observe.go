package drivertest

import (
	"strings"
	"testing"
	"time"

	"github.com/kbench/kbench/internal/client"
)

// observations: a library says where its records waited, each of them once, and nobody waited for longer than it took.
func observations(t *testing.T, d client.Driver) {
	const records, partitions = 3000, 4
	r := newRig(t, d, partitions, "orders")
	p, _ := r.producer(map[string]string{"buffer.memory": "65536", "linger.ms": "1"})
	watched, ok := p.(client.Observer)
	if !ok {
		t.Fatal("the driver says nothing of where records waited")
	}
	start := time.Now()
	value := strings.Repeat("v", 1024)
	for i := range records {
		send(t, p, "orders", int32(i%partitions), client.Slot(i), value)
	}
	must(t, p.Flush(r.context()))
	took := time.Since(start)
	seen := observed{t: t, most: float64((took + patience).Microseconds())}
	for until := time.Now().Add(patience); seen.batched < records || seen.out < records*1024; time.Sleep(20 * time.Millisecond) {
		for _, i := range watched.Observed() {
			seen.add(i)
		}
		if time.Now().After(until) {
			t.Fatalf("of %d records %v are told of in batches, and %d bytes", records, seen.batched, seen.out)
		}
	}
	if seen.batched != records || seen.queued < records/2 || seen.queued > records || seen.answers == 0 {
		t.Errorf("%v records in batches, %d that waited in the queue, %d requests that were answered, of %d records", seen.batched, seen.queued, seen.answers, records)
	}
	if seen.room == 0 {
		t.Errorf("nobody waited for room, though %d KiB went through a buffer of 64 KiB", records)
	}
}

// observed adds intervals up.
type observed struct {
	t               *testing.T
	most            float64 // µs that anything can have taken
	batched, room   float64
	queued, answers uint64
	out             int64
}

func (o *observed) add(i client.Interval) {
	o.t.Helper()
	if i.Length <= 0 || i.Ended.After(time.Now()) || i.Records == nil || *i.Records < 0 {
		o.t.Errorf("an interval of %v that ended at %v", i.Length, i.Ended)
	}
	o.batched += i.BatchRecords.Sum
	o.room += i.Room.Sum
	for _, b := range i.Brokers {
		o.queued += b.Queue.Count
		o.answers += b.RoundTrip.Count
		o.out += *b.Out
		for _, s := range []client.Spread{b.Queue, b.Outgoing, b.RoundTrip, i.Room} {
			o.ordered(s)
		}
	}
}

// ordered holds that quantiles do not fall, and that the mean lies between the least and the most.
func (o *observed) ordered(s client.Spread) {
	o.t.Helper()
	if s.Count == 0 {
		return
	}
	for n := 1; n < len(s.At); n++ {
		if s.At[n] < s.At[n-1] {
			o.t.Errorf("quantiles fall: %v", s.At)
		}
	}
	if mean, last := s.Sum/float64(s.Count), s.At[len(s.At)-1]; mean < s.At[0]-1 || mean > last+1 || last > o.most {
		o.t.Errorf("%d values from %v to %v with a mean of %v µs", s.Count, s.At[0], last, mean)
	}
}
