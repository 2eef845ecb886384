package drivertest

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kbench/kbench/internal/client"
)

// fill stores n records in each partition, value by offset.
func (r rig) fill(topic string, partitions int32, n int) {
	r.t.Helper()
	p, got := r.producer(nil)
	slot := client.Slot(0)
	for partition := range partitions {
		for i := range n {
			send(r.t, p, topic, partition, slot, numbered(i))
			slot++
		}
	}
	must(r.t, p.Flush(r.context()))
	for s := range slot {
		if ack := got.one(r.t, s); ack.Err != nil {
			r.t.Fatalf("%+v", ack)
		}
	}
}

func assignment(t *testing.T, d client.Driver) {
	r := newRig(t, d, 2, "in")
	r.fill("in", 2, 500)
	c := r.consumer(nil)
	must(t, c.Assign([]client.PartitionOffset{at("in", 0, 490), at("in", 1, -1)}))
	event, err := c.Poll(time.Second, 10)
	must(t, err)
	if event.Kind != client.Assigned || len(event.Partitions) != 2 || event.Partitions[0].Offset != 490 {
		t.Fatalf("first event %+v", event)
	}
	next, left := map[int32]int64{0: 490, 1: 0}, 510
	until(t, c, "all records", func(e client.Event) bool {
		if len(e.Records) > 100 {
			t.Fatalf("%d records, at most 100 were asked for", len(e.Records))
		}
		for _, f := range e.Records {
			if f.Offset != next[f.Partition] || string(f.Value) != numbered(int(f.Offset)) {
				t.Fatalf("got %d/%d %q, want offset %d", f.Partition, f.Offset, f.Value, next[f.Partition])
			}
			if f.Epoch < 0 {
				t.Fatalf("no leader epoch: %+v", f)
			}
			next[f.Partition]++
			left--
		}
		return left == 0
	})
	if event, err = c.Poll(20*time.Millisecond, 10); err != nil || event.Kind != client.Nothing {
		t.Errorf("at the end: %+v, %v", event, err)
	}
	must(t, c.Assign([]client.PartitionOffset{at("in", 1, 499)}))
	var again []client.Fetched
	until(t, c, "the last record again", func(e client.Event) bool {
		again = append(again, e.Records...)
		return len(again) > 0
	})
	if again[0].Partition != 1 || again[0].Offset != 499 {
		t.Errorf("after the second assignment: %+v", again[0])
	}
}

func committed(t *testing.T, d client.Driver) {
	r := newRig(t, d, 3, "in")
	r.fill("in", 3, 10)
	c := r.consumer(map[string]string{"group.id": r.group()})
	must(t, c.Assign([]client.PartitionOffset{at("in", 0, 0)}))
	must(t, c.Commit(r.context(), []client.PartitionOffset{at("in", 0, 4), at("in", 2, 7)}))
	got, err := c.Committed(r.context(), []client.Partition{{Topic: "in", Partition: 0}, {Topic: "in", Partition: 1}, {Topic: "in", Partition: 2}})
	must(t, err)
	if want := []client.PartitionOffset{at("in", 0, 4), at("in", 1, -1), at("in", 2, 7)}; !slices.Equal(got, want) {
		t.Errorf("committed %v, want %v", got, want)
	}
	must(t, c.Assign([]client.PartitionOffset{at("in", 0, -1)}))
	until(t, c, "the record after the committed offset", func(e client.Event) bool {
		if len(e.Records) > 0 && e.Records[0].Offset != 4 {
			t.Fatalf("reading went on at %d", e.Records[0].Offset)
		}
		return len(e.Records) > 0
	})
	alone := r.consumer(nil)
	if err := alone.Commit(r.context(), []client.PartitionOffset{at("in", 0, 5)}); err == nil {
		t.Error("without a group a commit is no error")
	}
	if _, err := alone.Committed(r.context(), []client.Partition{{Topic: "in"}}); err == nil {
		t.Error("without a group there are committed offsets")
	}
	r.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: kerr.GroupAuthorizationFailed})
	if err := c.Commit(r.context(), []client.PartitionOffset{at("in", 0, 5)}); err == nil {
		t.Error("a refused commit is no error")
	}
}

func autoCommit(t *testing.T, d client.Driver) {
	for name, asked := range map[string]bool{"asked for": true, "not asked for": false} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, d, 1, "in")
			r.fill("in", 1, 10)
			with := map[string]string{"group.id": r.group(), "auto.commit.interval.ms": "100"}
			if asked {
				with["enable.auto.commit"] = "true"
			}
			c := r.consumer(with)
			must(t, c.Subscribe([]string{"in"}))
			left := 10
			until(t, c, "all records", func(e client.Event) bool { left -= len(e.Records); return left == 0 })
			offset := func() int64 {
				got, err := c.Committed(r.context(), []client.Partition{{Topic: "in", Partition: 0}})
				must(t, err)
				return got[0].Offset
			}
			if asked {
				until(t, c, "a commit", func(client.Event) bool { return offset() == 10 })
				return
			}
			for range 10 {
				_, err := c.Poll(30*time.Millisecond, 10)
				must(t, err)
			}
			must(t, c.Close())
			if all, err := r.admin().CommittedOffsets(r.context(), r.group()); err != nil || len(all) != 0 {
				t.Errorf("committed %v, %v", all, err)
			}
		})
	}
}

// reader is a member of a group that checks the order of its events and commits when it hands partitions back.
type reader struct {
	t    *testing.T
	c    client.Consumer
	mu   sync.Mutex
	own  map[client.Partition]int64 // next offset, -1: first record not seen yet
	seen map[client.Partition]map[int64]int
	log  []client.EventKind
}

func (m *reader) handle(e client.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e.Kind != client.Nothing && e.Kind != client.Delivery {
		m.log = append(m.log, e.Kind)
	}
	switch e.Kind {
	case client.Assigned:
		for _, p := range e.Partitions {
			m.own[p.Partition] = -1
		}
	case client.Delivery:
		for _, f := range e.Records {
			m.take(f)
		}
	case client.Revoked:
		var done []client.PartitionOffset
		for _, p := range e.Partitions {
			if next, ok := m.own[p.Partition]; ok && next >= 0 {
				done = append(done, client.PartitionOffset{Partition: p.Partition, Offset: next})
			}
			delete(m.own, p.Partition)
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := m.c.Commit(ctx, done); err != nil {
			m.t.Errorf("commit while handing back: %v", err)
		}
	case client.Lost:
		m.t.Error("partitions lost")
	}
}

func (m *reader) take(f client.Fetched) {
	p := client.Partition{Topic: f.Topic, Partition: f.Partition}
	next, ok := m.own[p]
	if !ok {
		m.t.Errorf("record %v@%d of a partition that is not assigned", p, f.Offset)
		return
	}
	if next >= 0 && f.Offset != next {
		m.t.Errorf("record %v@%d, expected %d", p, f.Offset, next)
	}
	m.own[p] = f.Offset + 1
	if m.seen[p] == nil {
		m.seen[p] = make(map[int64]int)
	}
	m.seen[p][f.Offset]++
}

func (m *reader) owned() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.own)
}

func (m *reader) kinds() []client.EventKind {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.log)
}

func handover(t *testing.T, d client.Driver) {
	for _, strategy := range []string{"range", "cooperative-sticky"} {
		t.Run(strategy, func(t *testing.T) { handoverWith(t, d, strategy) })
	}
}

func handoverWith(t *testing.T, d client.Driver, strategy string) {
	const partitions = 4
	r := newRig(t, d, partitions, "in")
	with := map[string]string{"group.id": r.group(), "session.timeout.ms": "6s", "heartbeat.interval.ms": "50ms", "partition.assignment.strategy": strategy,
		"max.poll.records": "7"}
	stop := make(chan struct{})
	var running sync.WaitGroup
	member := func() *reader {
		m := &reader{t: t, c: r.consumer(with), own: make(map[client.Partition]int64), seen: make(map[client.Partition]map[int64]int)}
		must(t, m.c.Subscribe([]string{"in"}))
		running.Add(1)
		go func() {
			defer running.Done()
			for {
				select {
				case <-stop:
					return
				default:
				}
				e, err := m.c.Poll(20*time.Millisecond, 100)
				if err != nil {
					t.Errorf("poll: %v", err)
					return
				}
				m.handle(e)
			}
		}()
		return m
	}
	first := member()
	eventually(t, "the first member owns all", func() bool { return first.owned() == partitions })
	r.fill("in", partitions, 300)
	second := member()
	eventually(t, "both own half", func() bool { return first.owned() == 2 && second.owned() == 2 })
	r.fill("in", partitions, 300)
	counted := func() int {
		n := 0
		for _, m := range []*reader{first, second} {
			m.mu.Lock()
			for _, offsets := range m.seen {
				n += len(offsets)
			}
			m.mu.Unlock()
		}
		return n
	}
	eventually(t, "every record", func() bool { return counted() >= partitions*600 })
	close(stop)
	running.Wait()
	for p := range int32(partitions) {
		all := make(map[int64]int)
		for _, m := range []*reader{first, second} {
			for offset, n := range m.seen[client.Partition{Topic: "in", Partition: p}] {
				all[offset] += n
			}
		}
		if len(all) != 600 || slices.Max(slices.Collect(maps.Values(all))) != 1 {
			t.Errorf("partition %d: %d offsets of 600, or some more than once", p, len(all))
		}
	}
	if kinds := first.kinds(); len(kinds) < 3 || kinds[0] != client.Assigned || !slices.Contains(kinds, client.Revoked) {
		t.Errorf("events of the first member: %v", kinds)
	}
}

// thrownOut has the coordinator forget a member.
func thrownOut(t *testing.T, d client.Driver) {
	r := newRig(t, d, 2, "in")
	c := r.consumer(map[string]string{"group.id": r.group(), "session.timeout.ms": "6s", "heartbeat.interval.ms": "50ms"})
	must(t, c.Subscribe([]string{"in"}))
	until(t, c, "an assignment", func(e client.Event) bool { return e.Kind == client.Assigned && len(e.Partitions) == 2 })
	r.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat}, TopLevel: true, Err: kerr.UnknownMemberID})
	until(t, c, "the loss", func(e client.Event) bool {
		if e.Kind == client.Revoked {
			t.Fatal("told as handed back")
		}
		return e.Kind == client.Lost && len(e.Partitions) == 2
	})
	until(t, c, "a new assignment", func(e client.Event) bool { return e.Kind == client.Assigned && len(e.Partitions) == 2 })
}

func isolation(t *testing.T, d client.Driver) {
	r := newRig(t, d, 1, "in")
	p, txn, _ := r.transactor("t")
	for i, end := range []func(context.Context) error{txn.Abort, txn.Commit} {
		must(t, txn.BeginTransaction())
		send(t, p, "in", 0, client.Slot(i), numbered(i))
		must(t, p.Flush(r.context()))
		must(t, end(r.context()))
	}
	for level, want := range map[string][]string{
		"":                 {numbered(0), numbered(1)},
		"read_uncommitted": {numbered(0), numbered(1)},
		"read_committed":   {numbered(1)},
	} {
		with := map[string]string{}
		if level != "" {
			with["isolation.level"] = level
		}
		c := r.consumer(with)
		must(t, c.Assign([]client.PartitionOffset{at("in", 0, 0)}))
		var got []string
		until(t, c, "the committed record", func(e client.Event) bool {
			for _, f := range e.Records {
				got = append(got, string(f.Value))
			}
			return slices.Contains(got, numbered(1))
		})
		if !slices.Equal(got, want) {
			t.Errorf("isolation.level=%q: read %v, want %v", level, got, want)
		}
	}
}
