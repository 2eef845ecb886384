package bench_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/kbench/kbench/internal/check"
	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/driver/franz"
	"github.com/kbench/kbench/internal/history"
)

// promptAdmin answers for brokers that look for transactions that are overdue ten times a second. It tells which topics
// were made.
type promptAdmin struct {
	client.Admin
	topics []string
}

func (a *promptAdmin) CreateTopic(ctx context.Context, t client.Topic) error {
	a.topics = append(a.topics, t.Name)
	return a.Admin.CreateTopic(ctx, t)
}

func (a *promptAdmin) BrokerConfig(ctx context.Context, broker int32) (map[string]string, error) {
	config, err := a.Admin.BrokerConfig(ctx, broker)
	if err == nil {
		config["transaction.abort.timed.out.transaction.cleanup.interval.ms"] = "100"
	}
	return config, err
}

// hang opens a transaction that lasts longer than any of the run's may, writes a record in it, and leaves it.
func hang(t *testing.T, bootstrap []string, topic string) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	p, err := franz.New(nil).NewProducer(bootstrap, map[string]string{"transactional.id": "left", "transaction.timeout.ms": "600000", "acks": "all"}, func([]client.Ack) {})
	if err != nil {
		t.Error(err)
		return
	}
	x := p.(client.Transactor)
	for _, err := range []error{x.InitTransactions(ctx), x.BeginTransaction(), p.Send(&client.Record{Topic: topic, Value: []byte("left")}, 0), p.Flush(ctx), p.Close()} {
		if err != nil {
			t.Error(err)
		}
	}
}

// TestATransactionThatNobodyEndsIsFound leaves a transaction open after the load. The run waits until it should have
// been aborted; by then it is no matter of time any more.
func TestATransactionThatNobodyEndsIsFound(t *testing.T) {
	t.Parallel()
	r := newTrial(t, "franz", `
guarantee: exactly-once-transactions
expect: {violated: [hanging-transaction]}
topics: [{name: orders, partitions: 1, replication: 3}]
load: {rate: 500/s, duration: 400ms, record: {size: 200}, transactions: {size: 10}, drain: 2s}
client: {acks: all, transaction.timeout.ms: 1s}
`)
	admin := &promptAdmin{Admin: r.Admin}
	r.Admin = admin
	r.Cluster = &told{Cluster: r.cluster, asked: func(times int) {
		if times == 2 {
			hang(t, r.cluster.Bootstrap(), admin.topics[0])
		}
	}}
	meta, err := runOf(t, r)
	if err != nil {
		t.Fatal(err)
	}
	held := meta.FinalRead.Held
	if len(held) != 1 || held[0].Partition != "orders/0" || held[0].LimitMs != 1000+2*100+5000 || held[0].StoodMs < held[0].LimitMs || held[0].HighWatermark <= held[0].LastStable {
		t.Fatalf("held: %+v, problems %q", held, meta.FinalRead.Problems)
	}
	o := outcome{meta, judged(t, r.Dir), r.Dir}
	o.want(t, check.Violated)
	if n := o.found("hanging-transaction"); n != 1 || !o.verdict.AsExpected {
		t.Errorf("%d hanging transactions, reasons %q", n, o.verdict.Reasons)
	}
	if n := count(t, r.Dir, func(op *history.Op) bool {
		return op.Kind == history.FinalRead && op.Pass == 2 && op.Isolation == history.ReadUncommitted && len(op.Records) > 0
	}); n == 0 {
		t.Error("the last pass does not show what stands behind it")
	}
}

// TestWhereTheProcessorsStandIsTold: their group's positions are in the history, behind everything that moved them.
func TestWhereTheProcessorsStandIsTold(t *testing.T) {
	t.Parallel()
	o := newTrial(t, "franz", `
guarantee: exactly-once-transactions
topics: [{name: orders, partitions: 2, replication: 3}, {name: bills, partitions: 1, replication: 3}]
load: {rate: 300/s, duration: 400ms, record: {size: 200}}
client: {acks: all, enable.idempotence: true}
processor: {from: orders, to: bills, group: billing, transactional.id: bills, batch: 20}
`).complete(t)
	o.want(t, check.Holds)
	committed, told := map[int32]int64{}, map[int32]int64{}
	count(t, o.dir, func(op *history.Op) bool {
		switch {
		case op.Kind == history.Commit && op.Outcome == history.OK:
			for _, at := range op.Offsets {
				committed[at.Partition] = max(committed[at.Partition], at.Offset)
			}
			clear(told)
		case op.Kind == history.Ends && op.Group == "billing":
			for _, at := range slices.Clone(op.Offsets) {
				told[at.Partition] = at.Offset
			}
		}
		return false
	})
	if len(told) != 2 || told[0] != committed[0] || told[1] != committed[1] {
		t.Errorf("told %v, committed %v", told, committed)
	}
}
