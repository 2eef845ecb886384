package drivertest

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kbench/kbench/internal/client"
)

func acknowledgements(t *testing.T, d client.Driver) {
	const records, partitions = 20_000, 4
	r := newRig(t, d, partitions, "orders")
	p, got := r.producer(nil)
	for i := range records {
		send(t, p, "orders", int32(i%partitions), client.Slot(i), numbered(i))
	}
	must(t, p.Flush(r.context()))
	logs := make([]map[int64]string, partitions)
	for n := range logs {
		logs[n] = r.log("orders", int32(n), client.ReadUncommitted)
	}
	for i := range records {
		ack := got.one(t, client.Slot(i))
		if ack.Err != nil || ack.Partition != int32(i%partitions) {
			t.Fatalf("record %d: %+v", i, ack)
		}
		if stored := logs[ack.Partition][ack.Offset]; stored != numbered(i) {
			t.Fatalf("record %d acknowledged at %d/%d, where %q is stored", i, ack.Partition, ack.Offset, stored)
		}
	}
	if n := got.count(); n != records {
		t.Fatalf("%d acknowledgements for %d records", n, records)
	}
}

// overtaking has brokers refuse requests now and then, so that batches overtake each other, and matches most records by
// what their values say, some by their slots.
func overtaking(t *testing.T, d client.Driver) {
	library, ok := d.(client.Recognising)
	if !ok {
		t.Skip("this driver has no need to recognise values")
	}
	const records, partitions, slotOf = 20_000, 2, 7
	r := newRig(t, d, partitions, "orders")
	got := new(acks)
	of := func(value []byte) (client.Slot, bool) {
		var n int
		_, err := fmt.Sscanf(string(value), "value-%d", &n)
		return client.Slot(n * slotOf), err == nil && n < records
	}
	p, err := library.NewRecognisingProducer(r.bootstrap, map[string]string{"enable.idempotence": "false", "batch.size": "1KiB", "linger.ms": "0"}, got.sink, of)
	must(t, err)
	t.Cleanup(func() { p.Close() })
	r.refuseNowAndThen(7)
	for i := range records {
		must(t, p.Send(&client.Record{Topic: "orders", Partition: int32(i % partitions), Value: []byte(numbered(i)), Known: i%5 != 0}, client.Slot(i*slotOf)))
	}
	ctx, cancel := context.WithTimeout(r.context(), time.Minute)
	defer cancel()
	must(t, p.Flush(ctx))
	overtaken, last := 0, int64(-1)
	for n := range int32(partitions) {
		log := r.log("orders", n, client.ReadUncommitted)
		for i := int(n); i < records; i += partitions {
			ack := got.one(t, client.Slot(i*slotOf))
			if ack.Err != nil || ack.Partition != n || log[ack.Offset] != numbered(i) {
				t.Fatalf("record %d: %+v, where %q is stored", i, ack, log[ack.Offset])
			}
			if ack.Offset < last {
				overtaken++
			}
			last = ack.Offset
		}
	}
	if overtaken < 3 {
		t.Errorf("records were overtaken %d times: nothing was shown", overtaken)
	}
	must(t, p.Send(&client.Record{Topic: "orders", Partition: 0, Value: []byte("of nobody"), Known: true}, 1<<20))
	eventually(t, "a report dropped", func() bool { return p.(client.Counters).Counters()["dropped"] == 1 })
	if n := got.count(); n != records {
		t.Errorf("%d acknowledgements for %d records", n, records)
	}
}

// refuseNowAndThen has brokers refuse each so many-th Produce request.
func (r rig) refuseNowAndThen(each int) {
	var n atomic.Int64
	r.ControlKey(int16(kmsg.Produce), func(asked kmsg.Request) (kmsg.Response, error, bool) {
		r.KeepControl()
		if n.Add(1)%int64(each) != 0 {
			return nil, nil, false
		}
		req := asked.(*kmsg.ProduceRequest)
		resp := req.ResponseKind().(*kmsg.ProduceResponse)
		for _, t := range req.Topics {
			answer := kmsg.NewProduceResponseTopic()
			answer.Topic, answer.TopicID = t.Topic, t.TopicID
			for _, part := range t.Partitions {
				refused := kmsg.NewProduceResponseTopicPartition()
				refused.Partition, refused.ErrorCode = part.Partition, kerr.NotEnoughReplicas.Code
				answer.Partitions = append(answer.Partitions, refused)
			}
			resp.Topics = append(resp.Topics, answer)
		}
		return resp, nil, true
	})
}

// placement compares with murmur2 of Java's DefaultPartitioner, worked out for 7 partitions.
func placement(t *testing.T, d client.Driver) {
	const partitions = 7
	r := newRig(t, d, partitions, "orders")
	p, got := r.producer(nil)
	keys := []string{"a", "key-1", "key-2", "orders", "21", "kbench", "a longer key, of more than one word"}
	for i, key := range keys {
		must(t, p.Send(&client.Record{Topic: "orders", Partition: client.AnyPartition, Key: []byte(key), Value: []byte("v")}, client.Slot(i)))
	}
	must(t, p.Send(&client.Record{Topic: "orders", Partition: client.AnyPartition, Value: []byte("v")}, 100))
	must(t, p.Flush(r.context()))
	for i, key := range keys {
		if ack, want := got.one(t, client.Slot(i)), int32(murmur2([]byte(key))&0x7fffffff)%partitions; ack.Partition != want {
			t.Errorf("key %q went to %d, Java puts it into %d", key, ack.Partition, want)
		}
	}
	if ack := got.one(t, 100); ack.Err != nil || ack.Partition < 0 || ack.Partition >= partitions {
		t.Errorf("without a key: %+v", ack)
	}
}

func noAcks(t *testing.T, d client.Driver) {
	r := newRig(t, d, 1, "orders")
	p, got := r.producer(map[string]string{"acks": "0"})
	for i := range 100 {
		send(t, p, "orders", 0, client.Slot(i), numbered(i))
	}
	must(t, p.Flush(r.context()))
	for i := range 100 {
		if ack := got.one(t, client.Slot(i)); ack.Err != nil || ack.Offset != client.UnknownOffset {
			t.Fatalf("record %d: %+v", i, ack)
		}
	}
	eventually(t, "all records in the log", func() bool { return len(r.log("orders", 0, client.ReadUncommitted)) == 100 })
}

func reusedPayload(t *testing.T, d client.Driver) {
	r := newRig(t, d, 1, "orders")
	p, _ := r.producer(nil)
	copier, ok := p.(client.Copier)
	if !ok || !copier.CopiesPayload() {
		t.Skip("this driver does not claim to copy")
	}
	value := make([]byte, len(numbered(0)))
	for i := range 1000 {
		copy(value, numbered(i))
		must(t, p.Send(&client.Record{Topic: "orders", Partition: 0, Value: value}, client.Slot(i)))
	}
	must(t, p.Flush(r.context()))
	seen := r.values("orders", 1, client.ReadUncommitted)
	for i := range 1000 {
		if seen[numbered(i)] != 1 {
			t.Fatalf("%s is in the log %d times", numbered(i), seen[numbered(i)])
		}
	}
}

// stalled makes brokers hold Produce requests until it is called.
func (r rig) stalled() (release func()) {
	free := make(chan struct{})
	r.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		r.KeepControl()
		select {
		case <-free:
			r.DropControl()
		default:
			r.SleepControl(func() { <-free })
		}
		return nil, nil, false
	})
	done := false
	release = func() {
		if !done {
			done = true
			close(free)
		}
	}
	r.t.Cleanup(release)
	return release
}

var tiny = map[string]string{"buffer.memory": "16KiB", "batch.size": "4KiB", "max.block.ms": "150ms", "linger.ms": "0"}

func bufferFull(t *testing.T, d client.Driver) {
	r := newRig(t, d, 1, "orders")
	p, got := r.producer(tiny)
	release := r.stalled()
	value := strings.Repeat("x", 1000)
	sent := 0
	for ; sent < 1000; sent++ {
		if err := p.Send(&client.Record{Topic: "orders", Partition: 0, Value: []byte(value)}, client.Slot(sent)); err != nil {
			if !strings.Contains(err.Error(), "buffer.memory") {
				t.Fatalf("refused with %v", err)
			}
			break
		}
	}
	if sent != 16 {
		t.Errorf("%d records of 1000 bytes fitted into 16 KiB", sent)
	}
	counted := p.(client.Counters).Counters()
	if counted["buffer_waits"] != 1 || counted["buffer_wait_us"] < 150_000 {
		t.Errorf("counters: %v", counted)
	}
	release()
	must(t, p.Flush(r.context()))
	if n := got.count(); n != sent {
		t.Errorf("%d acknowledgements for %d records taken", n, sent)
	}
	if n := len(r.log("orders", 0, client.ReadUncommitted)); n != sent {
		t.Errorf("%d records in the log, %d were taken", n, sent)
	}
}

func bufferDrains(t *testing.T, d client.Driver) {
	r := newRig(t, d, 1, "orders")
	with := map[string]string{"buffer.memory": "16KiB", "batch.size": "4KiB", "max.block.ms": "30s"}
	p, got := r.producer(with)
	release := r.stalled()
	go func() {
		for p.(client.Counters).Counters()["buffer_waits"] == 0 {
			time.Sleep(time.Millisecond)
		}
		release()
	}()
	value := strings.Repeat("x", 1000)
	for i := range 200 {
		send(t, p, "orders", 0, client.Slot(i), value)
	}
	must(t, p.Flush(r.context()))
	if n := got.count(); n != 200 {
		t.Errorf("%d acknowledgements", n)
	}
}

func oversize(t *testing.T, d client.Driver) {
	r := newRig(t, d, 1, "orders")
	p, got := r.producer(map[string]string{"max.request.size": "64KiB", "batch.size": "64KiB"})
	if err := p.Send(&client.Record{Topic: "orders", Partition: 0, Value: make([]byte, 100_000)}, 1); err == nil {
		t.Error("a record above max.request.size was taken")
	}
	q, _ := r.producer(map[string]string{"buffer.memory": "16KiB", "max.block.ms": "30s"})
	if err := q.Send(&client.Record{Topic: "orders", Partition: 0, Value: make([]byte, 20_000)}, 1); err == nil {
		t.Error("a record above buffer.memory was taken")
	}
	send(t, p, "orders", 0, 2, "small")
	must(t, p.Flush(r.context()))
	if log := r.log("orders", 0, client.ReadUncommitted); len(log) != 1 || got.count() != 1 {
		t.Errorf("log %v, acknowledgements %v", log, got.all())
	}
}

func refusals(t *testing.T, d client.Driver) {
	plain := map[string]string{"retries": "0", "enable.idempotence": "false", "max.in.flight.requests.per.connection": "1"}
	for _, c := range []struct {
		name     string
		settings map[string]string
		err      *kerr.Error
		definite bool
	}{
		{"too large, retries off", plain, kerr.MessageTooLarge, true},
		{"invalid record, retries off", plain, kerr.InvalidRecord, true},
		{"too large, retries on", nil, kerr.MessageTooLarge, false},
		{"not enough replicas, retries off", plain, kerr.NotEnoughReplicas, false},
		{"timed out, retries off", plain, kerr.RequestTimedOut, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, d, 1, "orders")
			p, got := r.producer(c.settings)
			r.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: c.err, Count: -1})
			send(t, p, "orders", 0, 7, "refused")
			eventually(t, "an acknowledgement", func() bool { return got.count() == 1 })
			if ack := got.one(t, 7); ack.Err == nil || ack.Definite != c.definite || ack.Offset != client.UnknownOffset {
				t.Errorf("%+v", ack)
			}
			counted := fmt.Sprint(p.(client.Counters).Counters())
			if !strings.Contains(counted, "error.") {
				t.Errorf("the error is not counted: %s", counted)
			}
		})
	}
}

// lateAnswers has a broker append and then answer REQUEST_TIMED_OUT: the client sends again.
func lateAnswers(t *testing.T, d client.Driver) {
	for name, c := range map[string]struct {
		settings map[string]string
		copies   int
	}{
		"idempotent":     {nil, 1},
		"not idempotent": {map[string]string{"enable.idempotence": "false"}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, d, 1, "orders")
			p, got := r.producer(c.settings)
			send(t, p, "orders", 0, 1, "first")
			must(t, p.Flush(r.context()))
			r.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.RequestTimedOut, Count: 2})
			send(t, p, "orders", 0, 2, "again")
			must(t, p.Flush(r.context()))
			if ack := got.one(t, 2); ack.Err != nil {
				t.Fatalf("%+v", ack)
			}
			if copies := r.values("orders", 1, client.ReadUncommitted)["again"]; copies != c.copies {
				t.Errorf("stored %d times, want %d", copies, c.copies)
			}
			eventually(t, "two resends counted", func() bool { return p.(client.Counters).Counters()["retries"] == 2 })
		})
	}
}

func timeouts(t *testing.T, d client.Driver) {
	r := newRig(t, d, 1, "orders")
	p, got := r.producer(map[string]string{"enable.idempotence": "false", "request.timeout.ms": "500ms", "delivery.timeout.ms": "1s"})
	r.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotEnoughReplicas, Count: -1})
	send(t, p, "orders", 0, 1, "late")
	eventually(t, "an acknowledgement", func() bool { return got.count() == 1 })
	if ack := got.one(t, 1); ack.Err == nil || ack.Definite {
		t.Errorf("%+v", ack)
	}
}

func closing(t *testing.T, d client.Driver) {
	r := newRig(t, d, 1, "orders")
	warm, _ := r.producer(nil)
	must(t, warm.Close())
	before := runtime.NumGoroutine()
	p, got := r.producer(nil)
	release := r.stalled()
	for i := range 100 {
		send(t, p, "orders", 0, client.Slot(i), numbered(i))
	}
	must(t, p.Close())
	told := got.count()
	must(t, p.Close())
	if err := p.Send(&client.Record{Topic: "orders", Partition: 0, Value: []byte("late")}, 200); err == nil {
		eventually(t, "an error for a record sent after Close", func() bool {
			acks := got.all()[200]
			return len(acks) == 1 && acks[0].Err != nil
		})
	}
	for slot, acks := range got.all() {
		if len(acks) != 1 || acks[0].Err == nil || acks[0].Definite {
			t.Errorf("slot %d: %+v", slot, acks)
		}
	}
	release()
	r.Close()
	eventually(t, "no goroutine left behind", func() bool { return runtime.NumGoroutine() <= before })
	late := got.all()
	delete(late, 200)
	if len(late) != told {
		t.Errorf("%d of %d acknowledgements came after Close", len(late)-told, len(late))
	}
}

// murmur2 as Java's clients have it (org.apache.kafka.common.utils.Utils).
func murmur2(data []byte) uint32 {
	const m, seed = 0x5bd1e995, 0x9747b28c
	h := uint32(seed) ^ uint32(len(data))
	for ; len(data) >= 4; data = data[4:] {
		k := uint32(data[0]) | uint32(data[1])<<8 | uint32(data[2])<<16 | uint32(data[3])<<24
		k *= m
		k ^= k >> 24
		k *= m
		h = h*m ^ k
	}
	switch len(data) {
	case 3:
		h ^= uint32(data[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(data[1]) << 8
		fallthrough
	case 1:
		h ^= uint32(data[0])
		h *= m
	}
	h ^= h >> 13
	h *= m
	return h ^ h>>15
}
