package confluent

import (
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/kbench/kbench/internal/client"
)

// statistics are the parts of librdkafka's that are looked at.
type statistics struct {
	Ts       int64  `json:"ts"`          // µs of its monotonic clock
	Age      int64  `json:"age"`         // µs since the client was made
	TxMsgs   uint64 `json:"txmsgs"`      // records put into requests, each attempt
	TxBytes  uint64 `json:"txmsg_bytes"` // their keys and values
	MsgCount int64  `json:"msg_cnt"`     // records in the producer, until their report is read
	MsgSize  int64  `json:"msg_size"`    // bytes of them
	Brokers  map[string]struct {
		Node        int32               `json:"nodeid"`
		TxRetries   uint64              `json:"txretries"`    // requests other than Produce sent again
		ReqTimeouts uint64              `json:"req_timeouts"` // requests that timed out
		TxBytes     int64               `json:"txbytes"`
		RxBytes     int64               `json:"rxbytes"`
		Queue       spread              `json:"int_latency"`    // µs
		Outgoing    spread              `json:"outbuf_latency"` // µs
		RoundTrip   spread              `json:"rtt"`            // µs
		Throttle    spread              `json:"throttle"`       // ms
		Partitions  map[string]struct{} `json:"toppars"`        // that it leads
	} `json:"brokers"`
	Topics map[string]struct {
		BatchBytes   spread `json:"batchsize"`
		BatchRecords spread `json:"batchcnt"`
	} `json:"topics"`
}

// spread is what librdkafka tells of a window of values, which begins anew with each statistics event.
type spread struct {
	Count uint64  `json:"cnt"`
	Sum   float64 `json:"sum"`
	Least float64 `json:"min"`
	P50   float64 `json:"p50"`
	P75   float64 `json:"p75"`
	P90   float64 `json:"p90"`
	P95   float64 `json:"p95"`
	P99   float64 `json:"p99"`
	P9999 float64 `json:"p99_99"`
	Most  float64 `json:"max"`
}

// times has values in another unit. Quantiles come from a histogram whose cells may reach beyond the largest value.
func (s spread) times(unit float64) client.Spread {
	if s.Count == 0 {
		return client.Spread{}
	}
	out := client.Spread{Count: s.Count, Sum: s.Sum * unit}
	for i, v := range []float64{s.Least, s.P50, s.P75, s.P90, s.P95, s.P99, s.P9999, s.Most} {
		out.At[i] = min(max(v, s.Least), s.Most) * unit
	}
	return out
}

// study reads a statistics event. Of records sent again librdkafka tells nothing, but it counts every attempt: what
// exceeds the records taken so far was a resend. So "retries" is a lower bound, exact once everything has been sent.
func (p *producer) study(document string) {
	var s statistics
	if json.Unmarshal([]byte(document), &s) != nil {
		return
	}
	taken := p.taken.Load()
	if s.TxMsgs > taken {
		p.count.Raise("retries", s.TxMsgs-taken)
	}
	var requests, timeouts uint64
	for _, b := range s.Brokers {
		requests += b.TxRetries
		timeouts += b.ReqTimeouts
	}
	var wire float64
	for _, t := range s.Topics {
		wire += t.BatchBytes.Sum
	}
	if wire > 0 {
		p.count.Raise("batch_bytes", s.TxBytes)
		p.count.Add("wire_bytes", uint64(wire))
	}
	p.count.Raise("request_retries", requests)
	p.count.Raise("request_timeouts", timeouts)
	p.observations.add(&s, time.Now(), func(records uint64) client.Spread { return p.room.Take(records) }, taken)
}

// observations are the windows that statistics told of, until somebody takes them.
type observations struct {
	mu    sync.Mutex
	told  []client.Interval
	ts    int64 // of the statistics before
	taken uint64
	bytes map[int32][2]int64 // sent to each broker, received from it

	most       int // requests in flight that the settings allow at a broker
	idempotent bool
}

// mostTold bounds what is kept for somebody who does not come.
const mostTold = 64

func (o *observations) add(s *statistics, now time.Time, room func(uint64) client.Spread, taken uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	length := s.Age
	if o.ts > 0 {
		length = s.Ts - o.ts
	}
	if length <= 0 {
		return
	}
	i := client.Interval{
		Ended: now, Length: time.Duration(length) * time.Microsecond, Records: &s.MsgCount, Bytes: &s.MsgSize,
		Room: room(taken - min(taken, o.taken)),
	}
	o.ts, o.taken = s.Ts, taken
	for _, t := range s.Topics { // one topic tells most of it: windows of several cannot be joined here
		if t.BatchRecords.Count > i.BatchRecords.Count {
			i.BatchRecords, i.BatchBytes = t.BatchRecords.times(1), t.BatchBytes.times(1)
		}
	}
	if o.bytes == nil {
		o.bytes = map[int32][2]int64{}
	}
	for _, b := range s.Brokers {
		if b.Node < 0 { // known by its address alone, or the group's coordinator once more
			continue
		}
		out, in := b.TxBytes-o.bytes[b.Node][0], b.RxBytes-o.bytes[b.Node][1]
		o.bytes[b.Node] = [2]int64{b.TxBytes, b.RxBytes}
		i.Brokers = append(i.Brokers, client.BrokerInterval{
			Broker: b.Node, Queue: b.Queue.times(1), Outgoing: b.Outgoing.times(1), RoundTrip: b.RoundTrip.times(1),
			Throttle: b.Throttle.times(1000), Out: &out, In: &in, Allowed: o.allowed(len(b.Partitions)),
		})
	}
	slices.SortFunc(i.Brokers, func(a, b client.BrokerInterval) int { return int(a.Broker - b.Broker) })
	if o.told = append(o.told, i); len(o.told) > mostTold {
		o.told = slices.Delete(o.told, 0, 1)
	}
}

// allowed is how many requests a broker that leads so many partitions gets at a time. A request carries one partition. An
// idempotent librdkafka compares the records of a partition that are in flight, not its requests, with the five that a
// broker recognises duplicates among: a partition has one request of five records or more in flight. While there is more
// to send its thread does not sleep meanwhile, so that a busy thread says nothing.
func (o *observations) allowed(partitions int) int {
	if o.idempotent && partitions > 0 {
		return min(o.most, partitions)
	}
	return o.most
}

// Observed hands over what statistics told since it was called before.
func (p *producer) Observed() []client.Interval {
	p.observations.mu.Lock()
	defer p.observations.mu.Unlock()
	told := p.observations.told
	p.observations.told = nil
	return told
}
