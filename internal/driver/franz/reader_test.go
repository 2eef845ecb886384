package franz_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/driver/franz"
)

func cluster(t *testing.T, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(3), kfake.SeedTopics(3, "orders")}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// transact stores n records in orders/0 in a transaction of their own.
func transact(t *testing.T, c *kfake.Cluster, n int, commit bool) {
	t.Helper()
	p, err := franz.New(nil).NewProducer(c.ListenAddrs(), map[string]string{"transactional.id": "t", "linger.ms": "0"}, func(acks []client.Ack) {
		for _, a := range acks {
			if a.Err != nil {
				t.Errorf("%+v", a)
			}
		}
	})
	must(t, err)
	defer p.Close()
	txn := p.(client.Transactor)
	ctx := within(t, 20*time.Second)
	must(t, txn.InitTransactions(ctx))
	must(t, txn.BeginTransaction())
	for i := range n {
		must(t, p.Send(&client.Record{Topic: "orders", Partition: 0, Value: fmt.Appendf(nil, "%v-%d", commit, i)}, client.Slot(i)))
	}
	must(t, p.Flush(ctx))
	if commit {
		must(t, txn.Commit(ctx))
	} else {
		must(t, txn.Abort(ctx))
	}
}

func read(t *testing.T, ctx context.Context, c *kfake.Cluster, start, end int64, isolation client.Isolation) ([]int64, int64, error) {
	t.Helper()
	var offsets []int64
	position, err := franz.ReadPartition(ctx, c.ListenAddrs(), nil, client.Partition{Topic: "orders", Partition: 0}, start, end, isolation, func(batch []client.Fetched) error {
		for _, f := range batch {
			offsets = append(offsets, f.Offset)
		}
		return nil
	})
	return offsets, position, err
}

// TestReadPartitionReachesTheEnd: the log ends with what is no record for the reader, and the position says so.
func TestReadPartitionReachesTheEnd(t *testing.T) {
	c := cluster(t)
	transact(t, c, 3, true)  // offsets 0-2, marker 3
	transact(t, c, 2, false) // offsets 4-5, marker 6
	for _, try := range []struct {
		name       string
		start, end int64
		isolation  client.Isolation
		records    string
		position   int64
	}{
		{"aborted records and a marker at the end", 0, 7, client.ReadCommitted, "[0 1 2]", 7},
		{"a marker at the end", 0, 7, client.ReadUncommitted, "[0 1 2 4 5]", 7},
		{"only a marker", 3, 4, client.ReadCommitted, "[]", 7},
		{"not beyond the end asked for", 0, 2, client.ReadCommitted, "[0 1]", 7},
		{"from the middle", 1, 3, client.ReadUncommitted, "[1 2]", 7},
		{"nothing asked for", 5, 5, client.ReadUncommitted, "[]", 5},
	} {
		t.Run(try.name, func(t *testing.T) {
			offsets, position, err := read(t, within(t, 20*time.Second), c, try.start, try.end, try.isolation)
			must(t, err)
			if got := fmt.Sprint(offsets); got != try.records || position < try.end || position > try.position {
				t.Errorf("records %s, position %d; want %s, %d..%d", got, position, try.records, try.end, try.position)
			}
		})
	}
}

// TestReadPartitionFallsShort: an end that is not there is not reached, and the error says so.
func TestReadPartitionFallsShort(t *testing.T) {
	c := cluster(t)
	transact(t, c, 3, true)
	offsets, position, err := read(t, within(t, 700*time.Millisecond), c, 0, 100, client.ReadCommitted)
	if err == nil || !errors.Is(err, context.DeadlineExceeded) || position != 4 || len(offsets) != 3 {
		t.Errorf("records %v, position %d, %v", offsets, position, err)
	}
}

func TestReadPartitionStopsAtAnOpenTransaction(t *testing.T) {
	c := cluster(t)
	transact(t, c, 1, true)
	p, err := franz.New(nil).NewProducer(c.ListenAddrs(), map[string]string{"transactional.id": "open"}, func([]client.Ack) {})
	must(t, err)
	defer p.Close()
	txn := p.(client.Transactor)
	must(t, txn.InitTransactions(within(t, 20*time.Second)))
	must(t, txn.BeginTransaction())
	must(t, p.Send(&client.Record{Topic: "orders", Partition: 0, Value: []byte("x")}, 1))
	must(t, p.Flush(within(t, 20*time.Second)))
	if _, position, err := read(t, within(t, 700*time.Millisecond), c, 0, 3, client.ReadCommitted); err == nil || position != 2 {
		t.Errorf("position %d, %v", position, err)
	}
}

func TestReadPartitionAsksAgain(t *testing.T) {
	c := cluster(t)
	transact(t, c, 3, true)
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Err: kerr.NotLeaderForPartition, Count: 2})
	must(t, c.MoveTopicPartition("orders", 0, (c.LeaderFor("orders", 0)+1)%3))
	offsets, position, err := read(t, within(t, 20*time.Second), c, 0, 4, client.ReadCommitted)
	if err != nil || position != 4 || len(offsets) != 3 {
		t.Errorf("records %v, position %d, %v", offsets, position, err)
	}
}

func TestReadPartitionStopsWithItsCaller(t *testing.T) {
	c := cluster(t)
	transact(t, c, 3, true)
	full := errors.New("disk full")
	_, err := franz.ReadPartition(within(t, 20*time.Second), c.ListenAddrs(), nil, client.Partition{Topic: "orders", Partition: 0}, 0, 4, client.ReadCommitted,
		func([]client.Fetched) error { return full })
	if !errors.Is(err, full) {
		t.Errorf("%v", err)
	}
	if _, _, err := read(t, within(t, 20*time.Second), c, 50, 100, client.ReadCommitted); !errors.Is(err, kerr.OffsetOutOfRange) {
		t.Errorf("beyond the end: %v", err)
	}
}

// TestReadPartitionRefusesACorruptBatch flips a bit of a batch on its way.
func TestReadPartitionRefusesACorruptBatch(t *testing.T) {
	c := cluster(t)
	transact(t, c, 3, true)
	c.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		ask := req.(*kmsg.FetchRequest)
		answer := ask.ResponseKind().(*kmsg.FetchResponse)
		topic, part := kmsg.NewFetchResponseTopic(), kmsg.NewFetchResponseTopicPartition()
		topic.Topic, topic.TopicID = ask.Topics[0].Topic, ask.Topics[0].TopicID
		part.RecordBatches = corruptBatch()
		part.HighWatermark, part.LastStableOffset = 4, 4
		topic.Partitions = append(topic.Partitions, part)
		answer.Topics = append(answer.Topics, topic)
		return answer, nil, true
	})
	offsets, position, err := read(t, within(t, 20*time.Second), c, 0, 4, client.ReadCommitted)
	if err == nil || position != 0 || len(offsets) != 0 {
		t.Errorf("records %v, position %d, %v", offsets, position, err)
	}
}

func corruptBatch() []byte {
	batch := kmsg.RecordBatch{Magic: 2, CRC: 12345, NumRecords: 1, Records: []byte{0}}
	raw := batch.AppendTo(nil)
	batch.Length = int32(len(raw) - 12)
	return batch.AppendTo(nil)
}
