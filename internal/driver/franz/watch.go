package franz

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/driver/count"
)

// watch gathers where records waited within the library, from its hooks: each request's way, and how full batches were. Of
// single records it sees one of sampled.
//
// franz-go does not tell when a record left the client's queue. What a record's acknowledgement took less what the latest
// request to the same broker took is its time in the queue, and on the way back to kbench.
type watch struct {
	acks0   bool
	allowed int           // requests in flight at a broker
	count   *count.Counts // nil: nobody counts
	answers atomic.Uint64 // that were read of requests to produce, from before their records are told of

	mu           sync.Mutex
	began        time.Time
	brokers      map[int32]*connection
	leaders      map[client.Partition]*connection
	records      uint64 // in batches that were written
	told         uint64 // likewise, when Observed was called before
	batchRecords count.Spread
	batchBytes   count.Spread
	room         count.Spread
}

// connection is what a broker's requests took.
type connection struct {
	queue, outgoing, roundTrip, throttle count.Spread
	out, in                              int64
	records                              uint64
	latest                               time.Duration // of a request, from the client's queue to its answer
}

// sampled: of so many records one is timed.
const sampled = 16

// timed says whether the n-th record is one of the sample. Every sampled-th would not do: records that go to 4 partitions in
// turn would all be of the same partition. The multiples of the golden ratio, modulo 1, have no such rhythm (Knuth, The Art
// of Computer Programming 3, 6.4: Fibonacci hashing).
func timed(n uint64) bool {
	const golden = 0x9E3779B97F4A7C15 // 2^64 over the golden ratio
	return n*golden < 1<<64/sampled
}

var (
	_ kgo.HookBrokerE2E           = (*watch)(nil)
	_ kgo.HookBrokerThrottle      = (*watch)(nil)
	_ kgo.HookProduceBatchWritten = (*watch)(nil)
)

func newWatch(acks0 bool, allowed int) *watch {
	return &watch{acks0: acks0, allowed: allowed, began: time.Now(), brokers: map[int32]*connection{}, leaders: map[client.Partition]*connection{}}
}

// to is the connection to a broker; mu is held.
func (w *watch) to(broker int32) *connection {
	c := w.brokers[broker]
	if c == nil {
		c = &connection{}
		w.brokers[broker] = c
	}
	return c
}

// OnBrokerE2E is told of each request and its answer.
func (w *watch) OnBrokerE2E(meta kgo.BrokerMetadata, key int16, e kgo.BrokerE2E) {
	if meta.NodeID < 0 { // a seed, whose id is not known yet
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.to(meta.NodeID)
	c.out += int64(e.BytesWritten)
	c.in += int64(e.BytesRead)
	if kmsg.Key(key) != kmsg.Produce || e.Err() != nil {
		return
	}
	w.answers.Add(1)
	outgoing, answered := e.WriteWait+e.TimeToWrite, e.ReadWait+e.TimeToRead
	c.latest = outgoing + answered
	c.outgoing.Add(outgoing.Microseconds())
	if !w.acks0 {
		c.roundTrip.Add(answered.Microseconds())
	}
}

// OnBrokerThrottle is told of answers that hold the client back.
func (w *watch) OnBrokerThrottle(meta kgo.BrokerMetadata, interval time.Duration, _ bool) {
	if meta.NodeID < 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.to(meta.NodeID).throttle.Add(interval.Microseconds())
}

// OnProduceBatchWritten is told of each batch that was acknowledged.
func (w *watch) OnProduceBatchWritten(meta kgo.BrokerMetadata, topic string, partition int32, m kgo.ProduceBatchMetrics) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.to(meta.NodeID)
	c.records += uint64(m.NumRecords)
	w.records += uint64(m.NumRecords)
	w.leaders[client.Partition{Topic: topic, Partition: partition}] = c
	w.batchRecords.Add(int64(m.NumRecords))
	w.batchBytes.Add(int64(m.CompressedBytes))
	if w.count != nil {
		w.count.Add("batch_bytes", uint64(m.UncompressedBytes))
		w.count.Add("wire_bytes", uint64(m.CompressedBytes))
	}
}

// acknowledged is told of one record of sampled, and how long after it was sent.
func (w *watch) acknowledged(topic string, partition int32, took time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.leaders[client.Partition{Topic: topic, Partition: partition}]
	if c == nil || c.latest == 0 {
		return
	}
	c.queue.Add(max(0, took-c.latest).Microseconds())
}

// observed ends the span of time that began with the call before, if it has lasted long enough to tell something.
func (w *watch) observed(now time.Time, records, bytes int64) []client.Interval {
	const least = 500 * time.Millisecond
	w.mu.Lock()
	defer w.mu.Unlock()
	length := now.Sub(w.began)
	if length < least {
		return nil
	}
	i := client.Interval{
		Ended: now, Length: length, Records: &records, Bytes: &bytes, Room: w.room.Take(w.records - w.told),
		BatchRecords: w.batchRecords.Take(0), BatchBytes: w.batchBytes.Take(0),
	}
	w.began, w.told = now, w.records
	for _, id := range slices.Sorted(maps.Keys(w.brokers)) {
		c := w.brokers[id]
		out, in, answers := c.out, c.in, c.roundTrip.Take(0)
		i.Brokers = append(i.Brokers, client.BrokerInterval{
			Broker: id, Queue: count.Scale(c.queue.Take(0), c.records), Outgoing: c.outgoing.Take(0), RoundTrip: answers,
			Throttle: c.throttle.Take(answers.Count), Out: &out, In: &in, Allowed: w.allowed,
		})
		c.out, c.in, c.records = 0, 0, 0
	}
	return []client.Interval{i}
}
