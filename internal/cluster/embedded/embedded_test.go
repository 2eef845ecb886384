package embedded

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kbench/kbench/internal/cluster"
)

const topic = "t"

// start starts a cluster with a topic of six partitions and a client.
func start(t *testing.T, o Options) (*Cluster, *kgo.Client) {
	t.Helper()
	c, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Bootstrap()...), kgo.DefaultProduceTopic(topic), kgo.ConsumeTopics(topic),
		kgo.ConsumerGroup("g"), kgo.MetadataMinAge(50*time.Millisecond), kgo.FetchMaxWait(100*time.Millisecond), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	if _, err := kadm.NewClient(cl).CreateTopic(limit(t), 6, 2, nil, topic); err != nil {
		t.Fatal(err)
	}
	return c, cl
}

func limit(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestItSaysThatItIsSimulated(t *testing.T) {
	c, _ := start(t, Options{Config: map[string]string{"message.max.bytes": "1000", "replica.lag.time.max.ms": "5"}})
	if info := c.Info(); !info.Simulated || info.Kind != "embedded" || info.Brokers != 3 || strings.Contains(info.Software, "Apache") {
		t.Errorf("%+v", info)
	}
	if _, is := any(c).(cluster.Process); is {
		t.Error("it claims to have processes")
	}
	cannot := strings.Join(c.Cannot(), "\n")
	for _, want := range []string{"truncated", "min.insync.replicas", "processes", "replica.lag.time.max.ms"} {
		if !strings.Contains(cannot, want) {
			t.Errorf("%q is not among what it cannot show:\n%s", want, cannot)
		}
	}
	if strings.Contains(cannot, "message.max.bytes") {
		t.Error("a setting that it honours is called ignored")
	}
}

func TestDetachedBrokerIsUnreachableAndLosesItsLeaderships(t *testing.T) {
	for broker := range int32(3) {
		c, cl := start(t, Options{})
		produce(t, cl, 60)
		before := leaders(t, c)
		addr := c.Bootstrap()[broker]
		if err := c.Detach(limit(t), broker); err != nil {
			t.Fatal(err)
		}
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			t.Errorf("broker %d still takes connections", broker)
		}
		if err := c.Healthy(limit(t)); err == nil || c.Attached(broker) {
			t.Errorf("healthy without broker %d: %v", broker, err)
		}
		for p, after := range leaders(t, c) {
			was := before[p]
			if moved := was.leader == broker; after.leader == broker || moved != (after.epoch == was.epoch+1) || moved == (after.leader == was.leader) {
				t.Errorf("broker %d detached, partition %d: before %+v, after %+v", broker, p, was, after)
			}
		}
		produce(t, cl, 60)
		if err := c.Attach(limit(t), broker); err != nil {
			t.Fatal(err)
		}
		if err := c.Healthy(limit(t)); err != nil || !slices.Contains(c.Bootstrap(), addr) {
			t.Errorf("broker %d is back: %v, addresses %v, before %s", broker, err, c.Bootstrap(), addr)
		}
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		produce(t, cl, 60)
		consume(t, cl, 180)
		// The controller among them must be one again.
		if _, err := kadm.NewClient(cl).CreateTopic(limit(t), 1, 3, nil, "later"); err != nil {
			t.Errorf("creating a topic after broker %d was back: %v", broker, err)
		}
	}
}

func TestBrokersThatStandStillAnswerWhenTheyGoOn(t *testing.T) {
	c, cl := start(t, Options{})
	produce(t, cl, 10)
	each := func(do func(context.Context, int32) error, still bool) {
		t.Helper()
		for _, id := range c.Brokers() {
			if err := do(limit(t), id); err != nil || c.Frozen(id) != still || !c.Attached(id) {
				t.Fatalf("broker %d: frozen %v, attached %v: %v", id, c.Frozen(id), c.Attached(id), err)
			}
			if err := do(limit(t), id); err == nil {
				t.Errorf("the same was done twice to broker %d", id)
			}
		}
	}
	each(c.Freeze, true)
	answered := make(chan time.Time, 1)
	cl.Produce(limit(t), kgo.StringRecord("x"), func(_ *kgo.Record, err error) {
		if err != nil {
			t.Error(err)
		}
		answered <- time.Now()
	})
	select {
	case <-answered:
		t.Fatal("answered by a broker that stands still")
	case <-time.After(200 * time.Millisecond):
	}
	went := time.Now()
	each(c.Thaw, false)
	if at := <-answered; at.Before(went) {
		t.Errorf("answered %v before any went on", went.Sub(at))
	}
	if err := c.Freeze(limit(t), 3); err == nil {
		t.Error("a broker that there is not was frozen")
	}
	each(c.Freeze, true) // which must not keep the cluster from closing
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func TestDetachRefuses(t *testing.T) {
	c, _ := start(t, Options{Brokers: 2})
	for name, step := range map[string]func(context.Context, int32) error{"detach": c.Detach, "attach": c.Attach} {
		if err := step(limit(t), 2); err == nil || !strings.Contains(err.Error(), "no broker 2") {
			t.Errorf("%s of no broker: %v", name, err)
		}
	}
	if err := c.Attach(limit(t), 0); err == nil {
		t.Error("an attached broker was attached")
	}
	if err := c.Detach(limit(t), 0); err != nil {
		t.Fatal(err)
	}
	if err := c.Detach(limit(t), 0); err == nil {
		t.Error("a detached broker was detached")
	}
	if err := c.Detach(limit(t), 1); err == nil {
		t.Error("the last broker was detached")
	}
}

type leader struct{ leader, epoch int32 }

// leaders asks through a client of its own, because kadm answers from what its client remembers.
func leaders(t *testing.T, c *Cluster) map[int32]leader {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Bootstrap()...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	topics, err := kadm.NewClient(cl).ListTopics(limit(t), topic)
	if err != nil {
		t.Fatal(err)
	}
	found := map[int32]leader{}
	for _, p := range topics[topic].Partitions {
		found[p.Partition] = leader{p.Leader, p.LeaderEpoch}
	}
	if len(found) != 6 {
		t.Fatalf("partitions: %v", found)
	}
	return found
}

func produce(t *testing.T, cl *kgo.Client, n int) {
	t.Helper()
	var records []*kgo.Record
	for range n {
		records = append(records, &kgo.Record{Value: []byte("x")})
	}
	if err := cl.ProduceSync(limit(t), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func consume(t *testing.T, cl *kgo.Client, n int) {
	t.Helper()
	for ctx := limit(t); n > 0; {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("%d records missing", n)
		}
		n -= fetches.NumRecords()
	}
}
