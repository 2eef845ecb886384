// Package drivertest is what every driver has to pass: client.Driver's promises, tried out against a simulated cluster.
package drivertest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/driver/franz"
)

// patience bounds waiting for what must happen; nothing is measured by it.
const patience = 15 * time.Second

// promise is something that a driver has to keep.
type promise struct {
	name string
	test func(*testing.T, client.Driver)
}

// Run tries out a driver on simulated clusters.
func Run(t *testing.T, d client.Driver) {
	for _, p := range slices.Concat(anywhere, simulated) {
		t.Run(p.name, func(t *testing.T) { p.test(t, d) })
	}
}

// RunOn tries out, on a cluster that is there, what needs no broker that misbehaves by order. It makes its topics anew.
func RunOn(t *testing.T, d client.Driver, bootstrap []string) {
	for _, p := range anywhere {
		t.Run(p.name, func(t *testing.T) { p.test(t, there{d, bootstrap}) })
	}
}

// there is a driver with the cluster to try it out on.
type there struct {
	client.Driver
	bootstrap []string
}

var anywhere = []promise{
	{"every record is acknowledged once, where it is stored", acknowledgements},
	{"a record has the timestamp that it was given", timestamps},
	{"acknowledgements come together only with one answer", together},
	{"keyed records go where Java puts them", placement},
	{"acks=0 tells no offset", noAcks},
	{"a payload that is copied may be reused at once", reusedPayload},
	{"headers and tombstones come back as they were sent", headers},
	{"a record too large is refused", oversize},
	{"committed and aborted transactions", transactions},
	{"offsets travel with their transaction", transactionOffsets},
	{"offsets of a former generation are fenced, anonymous ones not", groupFencing},
	{"a newer session fences the older", producerFencing},
	{"assigned partitions are read from where they should", assignment},
	{"automatic commits happen only when asked for", autoCommit},
	{"members hand partitions over in order", handover},
	{"the isolation level is the one asked for", isolation},
}

var simulated = []promise{
	{"the library says where records waited", observations},
	{"records that overtake each other are told apart by their values", overtaking},
	{"a full buffer blocks for max.block.ms, then refuses", bufferFull},
	{"a full buffer goes on when there is room", bufferDrains},
	{"a broker's refusal is definite only for what the record is", refusals},
	{"an append answered too late is stored twice, or once", lateAnswers},
	{"a record that times out is indeterminate", timeouts},
	{"a closed producer takes nothing and leaves nothing behind", closing},
	{"a transaction with a refused record can only be aborted", brokenTransaction},
	{"an unanswered commit is neither abortable nor fenced", unansweredCommit},
	{"committed offsets are read back", committed},
	{"a member that is thrown out has lost its partitions", thrownOut},
	{"settings that cannot be honoured are refused", badSettings},
	{"secrets are not shown", secrets},
}

// rig is a cluster with what a test needs around it.
type rig struct {
	*kfake.Cluster // nil where the cluster is not simulated
	bootstrap      []string
	t              *testing.T
	d              client.Driver
}

func newRig(t *testing.T, d client.Driver, partitions int32, topics ...string) rig {
	t.Helper()
	if on, ok := d.(there); ok {
		r := rig{bootstrap: on.bootstrap, t: t, d: on.Driver}
		for _, topic := range topics {
			r.renew(topic, partitions)
		}
		return r
	}
	c, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.SeedTopics(partitions, topics...),
		kfake.GroupMinSessionTimeout(100*time.Millisecond), kfake.BrokerConfigs(map[string]string{"group.initial.rebalance.delay.ms": "0"}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return rig{Cluster: c, bootstrap: c.ListenAddrs(), t: t, d: d}
}

// renew makes a topic that holds nothing. Deleting it takes the groups' offsets in it along.
func (r rig) renew(topic string, partitions int32) {
	r.t.Helper()
	admin := r.admin()
	eventually(r.t, "no topic "+topic, func() bool {
		err := admin.DeleteTopic(r.context(), topic)
		return errors.Is(err, kerr.UnknownTopicOrPartition)
	})
	must(r.t, admin.CreateTopic(r.context(), client.Topic{Name: topic, Partitions: int(partitions), Replication: 3}))
	eventually(r.t, "leaders of "+topic, func() bool {
		ends, err := admin.EndOffsets(r.context(), topic, client.ReadUncommitted)
		return err == nil && len(ends) == int(partitions)
	})
}

// group is a group of this test's own.
func (r rig) group() string { return "group of " + r.t.Name() }

// acks collects what became of records.
type acks struct {
	mu  sync.Mutex
	got map[client.Slot][]client.Ack
}

func (a *acks) sink(acks []client.Ack) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.got == nil {
		a.got = make(map[client.Slot][]client.Ack)
	}
	for _, ack := range acks {
		a.got[ack.Slot] = append(a.got[ack.Slot], ack)
	}
}

func (a *acks) all() map[client.Slot][]client.Ack {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.got)
}

func (a *acks) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.got)
}

// one is the only Ack of a slot.
func (a *acks) one(t *testing.T, slot client.Slot) client.Ack {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	got := a.got[slot]
	if len(got) != 1 {
		t.Fatalf("slot %d has %d acknowledgements: %v", slot, len(got), got)
	}
	return got[0]
}

func (r rig) producer(settings map[string]string) (client.Producer, *acks) {
	r.t.Helper()
	a := new(acks)
	p, err := r.d.NewProducer(r.bootstrap, settings, a.sink)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { p.Close() })
	return p, a
}

func (r rig) transactor(id string) (client.Producer, client.Transactor, *acks) {
	r.t.Helper()
	p, a := r.producer(map[string]string{"transactional.id": id, "transaction.timeout.ms": "60s"})
	txn := p.(client.Transactor)
	must(r.t, txn.InitTransactions(r.context()))
	return p, txn, a
}

func (r rig) consumer(settings map[string]string) client.Consumer {
	r.t.Helper()
	all := map[string]string{"auto.offset.reset": "earliest", "fetch.max.wait.ms": "50ms"}
	maps.Copy(all, settings)
	c, err := r.d.NewConsumer(r.bootstrap, all)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	return c
}

func (r rig) context() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	r.t.Cleanup(cancel)
	return ctx
}

func (r rig) admin() client.Admin {
	r.t.Helper()
	a, err := franz.NewAdmin(r.bootstrap, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { a.Close() })
	return a
}

// send sends to one partition and fails the test if the record is not taken.
func send(t *testing.T, p client.Producer, topic string, partition int32, slot client.Slot, value string) {
	t.Helper()
	if err := p.Send(&client.Record{Topic: topic, Partition: partition, Value: []byte(value)}, slot); err != nil {
		t.Fatalf("send %d: %v", slot, err)
	}
}

// log is what a partition holds for a reader of that isolation, by offset.
func (r rig) log(topic string, partition int32, isolation client.Isolation) map[int64]string {
	r.t.Helper()
	if isolation == client.ReadCommitted {
		r.awaitMarkers(topic)
	}
	ends, err := r.admin().EndOffsets(r.context(), topic, isolation)
	must(r.t, err)
	records := make(map[int64]string)
	position, err := franz.ReadPartition(r.context(), r.bootstrap, nil, client.Partition{Topic: topic, Partition: partition}, 0, ends[partition], isolation,
		func(batch []client.Fetched) error {
			for _, f := range batch {
				records[f.Offset] = string(f.Value)
			}
			return nil
		})
	must(r.t, err)
	if position < ends[partition] {
		r.t.Fatalf("reader stopped at %d of %d", position, ends[partition])
	}
	return records
}

// awaitMarkers gives the coordinator time to write the markers of transactions that it has ended: it answers before
// (KIP-98). A test that leaves a transaction open is held up for as long, and no longer.
func (r rig) awaitMarkers(topic string) {
	r.t.Helper()
	for limit := time.Now().Add(3 * time.Second); time.Now().Before(limit); time.Sleep(20 * time.Millisecond) {
		stable, err := r.admin().EndOffsets(r.context(), topic, client.ReadCommitted)
		must(r.t, err)
		high, err := r.admin().EndOffsets(r.context(), topic, client.ReadUncommitted)
		must(r.t, err)
		if maps.Equal(stable, high) {
			return
		}
	}
}

// values counts how often each value is in a topic's log.
func (r rig) values(topic string, partitions int32, isolation client.Isolation) map[string]int {
	r.t.Helper()
	counted := make(map[string]int)
	for p := range partitions {
		for _, value := range r.log(topic, p, isolation) {
			counted[value]++
		}
	}
	return counted
}

// until polls until done says so, and fails the test if it never does.
func until(t *testing.T, c client.Consumer, what string, done func(client.Event) bool) {
	t.Helper()
	for limit := time.Now().Add(patience); time.Now().Before(limit); {
		event, err := c.Poll(50*time.Millisecond, 100)
		if err != nil {
			t.Fatalf("poll: %v", err)
		}
		if done(event) {
			return
		}
	}
	t.Fatalf("never seen: %s", what)
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for limit := time.Now().Add(patience); time.Now().Before(limit); time.Sleep(5 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("never came: %s", what)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func numbered(i int) string { return fmt.Sprintf("value-%06d", i) }

func at(topic string, partition int32, offset int64) client.PartitionOffset {
	return client.PartitionOffset{Partition: client.Partition{Topic: topic, Partition: partition}, Offset: offset}
}
