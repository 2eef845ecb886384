package faults_test

import (
	"context"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kbench/kbench/faults"
	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/cluster"
	"github.com/kbench/kbench/internal/cluster/clustertest"
	"github.com/kbench/kbench/internal/cluster/embedded"
	"github.com/kbench/kbench/internal/cluster/local"
	"github.com/kbench/kbench/internal/driver/confluent"
	"github.com/kbench/kbench/internal/driver/franz"
	"github.com/kbench/kbench/internal/rundir"
	"github.com/kbench/kbench/scenarios"
)

// producing is a load of one producer, told to send by steps.
type producing struct {
	client.Producer
	topic             string
	sent, acked, fail atomic.Uint64

	mu      sync.Mutex
	offsets []int64
}

func (p *producing) take(acks []client.Ack) {
	for _, a := range acks {
		if a.Err != nil {
			p.fail.Add(1)
			continue
		}
		p.mu.Lock()
		p.offsets = append(p.offsets, a.Offset)
		p.mu.Unlock()
		p.acked.Add(1)
	}
}

func (p *producing) Send(_ context.Context, n int, _ bool) error {
	for range n {
		seq := p.sent.Add(1)
		record := client.Record{Topic: p.topic, Partition: 0, Value: fmt.Appendf(nil, "value %d", seq)}
		if err := p.Producer.Send(&record, client.Slot(seq)); err != nil {
			return err
		}
	}
	return nil
}

func (p *producing) Sent() uint64  { return p.sent.Load() }
func (p *producing) Acked() uint64 { return p.acked.Load() }
func (p *producing) Read() uint64  { return 0 }

// bed is a real cluster with a topic of its own and a producer for each test.
type bed struct {
	c     cluster.Cluster
	admin client.Admin
}

func makeBed(t *testing.T) bed {
	c := clustertest.Start(t, local.Options{ProxyClients: true, Config: map[string]string{"min.insync.replicas": "2"}})
	admin, err := franz.NewAdmin(c.Bootstrap(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { admin.Close() })
	return bed{c, admin}
}

func (b bed) env(t *testing.T, name string, settings map[string]string) (faults.Env, *producing) {
	t.Helper()
	topic := "orders-" + name
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := b.c.Healthy(ctx); err != nil {
		t.Fatal(err)
	}
	if err := b.admin.CreateTopic(ctx, client.Topic{Name: topic, Partitions: 1, Replication: 3, Config: map[string]string{"min.insync.replicas": "2"}}); err != nil {
		t.Fatal(err)
	}
	load := &producing{topic: topic}
	var err error
	if load.Producer, err = confluent.New(nil).NewProducer(b.c.Bootstrap(), settings, load.take); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { load.Close() })
	began := time.Now()
	same := func(name string) string { return name }
	return faults.Env{
		Cluster: b.c, Admin: b.admin, Load: load, Topics: []string{"orders"},
		Physical: func(string) string { return topic }, Group: same, Transactional: same,
		Now: func() int64 { return int64(time.Since(began)) + 1 }, Note: t.Logf,
		Fail: func(fault string, problem error) { t.Errorf("%s: %v", fault, problem) },
	}, load
}

func steps(t *testing.T, lines ...string) (list []scenarios.Step) {
	t.Helper()
	for _, line := range lines {
		do, rest, _ := strings.Cut(line, " ")
		s := scenarios.Step{Do: do, Within: time.Minute}
		var err error
		switch do {
		case "send":
			_, err = fmt.Sscan(rest, &s.N)
		case "wait":
			s.For, err = time.ParseDuration(rest)
		case "await", "check":
			var c scenarios.Condition
			c, err = scenarios.ParseCondition(rest)
			s.When = &c
		case "cut-acks", "refuse-produce", "restore":
			s.Target, s.N = scenarios.Target{Kind: scenarios.TopicTarget, Topic: "orders"}, 1
		case "flush":
		default:
			who, name, _ := strings.Cut(rest, " as ")
			s.As = name
			s.Target, err = scenarios.ParseTarget(who)
		}
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		list = append(list, s)
	}
	return list
}

func runSteps(t *testing.T, env faults.Env, lines ...string) []rundir.Fault {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	list := steps(t, lines...)
	if err := faults.CheckSteps(env, list); err != nil {
		t.Fatal(err)
	}
	records, err := faults.RunSteps(ctx, env, list, rand.New(rand.NewSource(1)), nil)
	for _, r := range records {
		t.Logf("%s %s: bit %v, at %v, healed %v, %s\n  %s\n  protection:\n  %s", r.Name, r.Target, r.Bit, time.Duration(r.At), healed(r), r.Error,
			strings.Join(r.Evidence, "\n  "), strings.Join(r.Protection, "\n  "))
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if !r.Bit || r.Healed == nil || r.Error != "" {
			t.Errorf("%s %s: bit %v, healed %v, %s", r.Name, r.Target, r.Bit, healed(r), r.Error)
		}
	}
	return records
}

func healed(r rundir.Fault) time.Duration {
	if r.Healed == nil {
		return -1
	}
	return time.Duration(*r.Healed)
}

func (b bed) end(t *testing.T, topic string) int64 {
	t.Helper()
	ends, err := b.admin.EndOffsets(t.Context(), topic, client.ReadUncommitted)
	if err != nil {
		t.Fatal(err)
	}
	return ends[0]
}

// log is every value of the topic in order.
func (b bed) log(t *testing.T, topic string) (values []string) {
	t.Helper()
	_, err := franz.ReadPartition(t.Context(), b.c.Bootstrap(), nil, client.Partition{Topic: topic}, 0, b.end(t, topic), client.ReadUncommitted, func(records []client.Fetched) error {
		for _, r := range records {
			values = append(values, string(r.Value))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return values
}

func contains(t *testing.T, lines []string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, part) }) {
			t.Errorf("no line says %q", part)
		}
	}
}

func TestOnAnEmbeddedCluster(t *testing.T) {
	c, err := embedded.Start(embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	admin, err := franz.NewAdmin(c.Bootstrap(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	env, load := bed{c, admin}.env(t, "simulated", map[string]string{"acks": "all", "enable.idempotence": "true"})
	if err := faults.CheckSteps(env, steps(t, "pause controller")); err == nil {
		t.Error("a simulation claims that it can pause a controller")
	}
	got := runSteps(t, env, "send 10", "flush", "kill leader(orders/0) as old", "await leader(orders/0) != old", "send 10", "start old", "flush")
	contains(t, got[0].Evidence, "is detached from its clients (simulated: no process died)", "leader of orders/0 moved")
	if load.Acked() != 20 {
		t.Errorf("%d acknowledged", load.Acked())
	}
	got = runSteps(t, env, "pause leader(orders/0) as still", "send 10", "wait 300ms", "resume still", "flush")
	contains(t, got[0].Evidence, "stands still (simulated: no process was stopped)", "is running again")
	if f := got[0]; f.Name != "pause" || !f.Bit || f.Healed == nil || *f.Healed-f.At < int64(300*time.Millisecond) || load.Acked() != 30 {
		t.Errorf("%+v, %d acknowledged", f, load.Acked())
	}
}

func TestOnARealCluster(t *testing.T) {
	b := makeBed(t)
	plain := map[string]string{"acks": "all", "enable.idempotence": "false", "linger.ms": "0", "request.timeout.ms": "5000", "delivery.timeout.ms": "60000"}
	idempotent := map[string]string{"acks": "all", "enable.idempotence": "true", "linger.ms": "0", "request.timeout.ms": "5000", "delivery.timeout.ms": "60000"}

	t.Run("cut answers of a plain producer: its retry is a duplicate", func(t *testing.T) {
		env, load := b.env(t, "plain", plain)
		got := runSteps(t, env, "send 1", "flush", "cut-acks", "send 1", "await filtered >= 1", "await end(orders/0) = 2", "check acked = 1", "restore", "await acked = 2")
		contains(t, got[0].Evidence, "1 records appended at orders/0 offset 1, answer withheld")
		if n := b.end(t, load.topic); n != 3 || load.offsets[1] != 2 {
			t.Errorf("%d records in the log, acknowledged at %v", n, load.offsets)
		}
	})
	t.Run("cut answers of an idempotent producer: its retry is recognised", func(t *testing.T) {
		env, load := b.env(t, "idempotent", idempotent)
		got := runSteps(t, env, "send 1", "flush", "cut-acks", "send 1", "await filtered >= 1", "restore", "await acked = 2")
		contains(t, got[0].Protection, "recognised the retry of 1 cut batches")
		if n := b.end(t, load.topic); n != 2 {
			t.Errorf("%d records in the log", n)
		}
	})
	t.Run("a refused request is overtaken", func(t *testing.T) {
		settings := map[string]string{"max.in.flight.requests.per.connection": "5", "batch.size": "1"}
		for name, value := range plain {
			settings[name] = value
		}
		env, load := b.env(t, "refused", settings)
		runSteps(t, env, "send 1", "flush", "refuse-produce", "send 5", "await filtered >= 1", "await acked = 6")
		if n := b.end(t, load.topic); n != 6 {
			t.Errorf("%d records in the log, want 6", n)
		}
		if log := b.log(t, load.topic); log[len(log)-1] != "value 2" {
			t.Errorf("the refused record was not overtaken: %v", log)
		}
	})
	t.Run("a follower paused for a moment stays in sync", func(t *testing.T) {
		env, _ := b.env(t, "paused", plain)
		runSteps(t, env, "send 1", "flush", "pause follower(orders/0)", "wait 300ms", "resume paused", "await isr(orders/0) = 3")
	})
	t.Run("a rolling restart", func(t *testing.T) {
		env, load := b.env(t, "rolled", idempotent)
		got := runSteps(t, env, "send 10", "rolling-restart brokers", "send 10", "flush")
		for _, id := range b.c.Brokers() {
			contains(t, got[0].Evidence, fmt.Sprintf("of broker %d is dead", id), fmt.Sprintf("broker %d is running again", id))
		}
		if n := b.end(t, load.topic); n != 20 {
			t.Errorf("%d records in the log", n)
		}
	})
	t.Run("the death of a leader", func(t *testing.T) {
		env, load := b.env(t, "killed", idempotent)
		got := runSteps(t, env, "send 10", "flush", "kill leader(orders/0) as old", "send 10", "await leader(orders/0) != old", "start old", "await isr(orders/0) = 3", "flush")
		contains(t, got[0].Evidence, "is dead", "leader of orders/0 moved", "ISR of orders/0 shrank", "is fenced", "is running again")
		contains(t, got[0].Protection, "which was in sync")
		if n := b.end(t, load.topic); n != 20 || load.Acked() != 20 {
			t.Errorf("%d records in the log, %d acknowledged", n, load.Acked())
		}
	})
}
