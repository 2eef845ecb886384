package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/cluster"
	"github.com/kbench/kbench/internal/proxy"
	"github.com/kbench/kbench/scenarios"
)

// fake is a cluster of three brokers and one controller, its workers and its load, which react as Kafka does. It
// writes down in which order things are done to it.
type fake struct {
	client.Admin // methods that no fault uses

	mu         sync.Mutex
	nodes      map[int32]*node
	partitions []client.PartitionState
	workers    map[string]*node
	counters   map[string]map[string]uint64
	group      client.GroupState
	committed  []client.PartitionOffset
	log        []string
	journal    []Undo

	stubborn bool  // leaders do not move
	deaf     int32 // admin requests that get no answer until their context ends
	saveErr  error
	killErr  error
	treated  []proxy.Treated
	late     []proxy.Late
	code     int16 // with which the coordinator answers late ends of transactions
	holding  string
	misses   bool // the filter catches nothing of its topic

	sent, acked, read atomic.Uint64
	began             time.Time
}

type node struct {
	state string
	pid   int
}

func newFake() *fake {
	f := &fake{
		nodes: map[int32]*node{1: {"running", 4711}, 2: {"running", 4712}, 3: {"running", 4713}, 1001: {"running", 4714}},
		workers: map[string]*node{
			"producer 0": {"running", 5000}, "consumer 0": {"running", 5001}, "consumer 1": {"running", 5002}, "processor 1": {"waiting", 0},
		},
		counters: map[string]map[string]uint64{"consumer 0": {"processed": 7}},
		group:    client.GroupState{State: "Stable", Members: []client.GroupMember{{ID: "a", Assigned: make([]client.Partition, 1)}, {ID: "b", Assigned: make([]client.Partition, 1)}}},
		began:    time.Now(),
	}
	for p, leader := range []int32{1, 2} {
		f.partitions = append(f.partitions, client.PartitionState{
			Partition: client.Partition{Topic: "run-orders", Partition: int32(p)}, Leader: leader, ISR: []int32{1, 2, 3}, Replicas: []int32{1, 2, 3},
		})
	}
	return f
}

func (f *fake) env() Env {
	return Env{
		Cluster: processes{f}, Admin: f, Workers: crew{f}, Load: load{f},
		Topics: []string{"orders"}, Groups: map[string]string{"consumer": "readers"},
		Physical: prefix, Group: prefix, Transactional: prefix,
		Now:  func() int64 { return int64(time.Since(f.began)) + 1 },
		Fail: func(fault string, problem error) { f.note("fail %s", fault) },
		Save: f.save,
	}
}

func prefix(name string) string { return "run-" + name }

func (f *fake) note(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log = append(f.log, fmt.Sprintf(format, args...))
}

func (f *fake) done() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.log, "; ")
}

func (f *fake) save(undos []Undo) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.saveErr != nil {
		return f.saveErr
	}
	f.journal = slices.Clone(undos)
	var names []string
	for _, u := range undos {
		names = append(names, fmt.Sprint(u.Do, " ", u.Role, u.victim().n))
	}
	f.log = append(f.log, "journal ["+strings.Join(names, ", ")+"]")
	return nil
}

// gone takes a broker out of the cluster's metadata, back puts it in again.
func (f *fake) gone(id int32) {
	for i := range f.partitions {
		p := &f.partitions[i]
		if len(p.ISR) > 1 {
			p.ISR = minus(p.ISR, []int32{id})
		}
		if p.Leader == id && !f.stubborn {
			p.Leader, p.Epoch = p.ISR[0], p.Epoch+1
		}
	}
}

func (f *fake) back(id int32) {
	for i := range f.partitions {
		if p := &f.partitions[i]; slices.Contains(p.Replicas, id) && !slices.Contains(p.ISR, id) {
			p.ISR = sortedCopy(append(slices.Clone(p.ISR), id))
		}
	}
}

func (f *fake) change(what string, id int32, from []string, to string, metadata func(int32)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, ok := f.nodes[id]
	if !ok || !slices.Contains(from, n.state) {
		return fmt.Errorf("%s %d: it cannot be", what, id)
	}
	f.log = append(f.log, fmt.Sprint(what, " ", id))
	if n.state = to; to == "running" && what == "start" {
		n.pid += 100
	}
	metadata(id)
	return nil
}

// processes is the fake as a cluster with processes.
type processes struct{ *fake }

func (f processes) Kill(_ context.Context, id int32) error {
	if f.killErr != nil {
		return f.killErr
	}
	return f.change("kill", id, []string{"running", "paused"}, "dead", f.gone)
}
func (f processes) Stop(_ context.Context, id int32) error {
	return f.change("stop", id, []string{"running"}, "dead", f.gone)
}
func (f processes) Pause(_ context.Context, id int32) error {
	return f.change("pause", id, []string{"running"}, "paused", func(int32) {})
}
func (f processes) Resume(_ context.Context, id int32) error {
	return f.change("resume", id, []string{"paused"}, "running", func(int32) {})
}
func (f processes) Start(_ context.Context, id int32) error {
	return f.change("start", id, []string{"dead"}, "running", f.back)
}
func (f processes) Controllers() []int32 { return []int32{1001} }
func (f processes) State(id int32) (cluster.ProcessState, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, ok := f.nodes[id]
	if !ok {
		return cluster.ProcessState{}, errors.New("no such node")
	}
	s := cluster.ProcessState{State: n.state, Pid: n.pid}
	if n.state == "dead" {
		s.Pid = 0
	}
	return s, nil
}

func (f *fake) Info() cluster.Info            { return cluster.Info{Kind: "local"} }
func (f *fake) Bootstrap() []string           { return nil }
func (f *fake) Healthy(context.Context) error { return nil }
func (f *fake) Close() error                  { return nil }

// Brokers of the cluster.
func (f *fake) brokerIDs() []int32 { return []int32{1, 2, 3} }

func (f processes) Brokers() []int32 { return f.brokerIDs() }

// admin

func (f *fake) answer(ctx context.Context) error {
	if atomic.AddInt32(&f.deaf, -1) >= 0 {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

func (f *fake) Partitions(ctx context.Context, topic string) ([]client.PartitionState, error) {
	if err := f.answer(ctx); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if topic != "run-orders" {
		return nil, errors.New("unknown topic")
	}
	return slices.Clone(f.partitions), nil
}

func (f *fake) Brokers(context.Context) (map[int32]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	up := map[int32]string{}
	for id, n := range f.nodes {
		if id < 1000 && n.state != "dead" {
			up[id] = "address"
		}
	}
	return up, nil
}

func (f *fake) Controller(context.Context) (int32, error) { return 1001, nil }

func (f *fake) Coordinator(_ context.Context, kind client.CoordinatorKind, name string) (int32, error) {
	switch {
	case kind == client.GroupCoordinator && name == "run-readers":
		return 3, nil
	case kind == client.TransactionCoordinator && name == "run-bills-1":
		return 2, nil
	}
	return 0, errors.New("unknown")
}

func (f *fake) Group(_ context.Context, group string) (client.GroupState, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if group != "run-readers" {
		return client.GroupState{}, errors.New("unknown group")
	}
	return f.group, nil
}

func (f *fake) EndOffsets(context.Context, string, client.Isolation) (map[int32]int64, error) {
	return map[int32]int64{0: 42, 1: 0}, nil
}

func (f *fake) CommittedOffsets(context.Context, string) ([]client.PartitionOffset, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.committed), nil
}

// crew is the fake as workers.
type crew struct{ *fake }

func (c crew) do(what, role string, n int, to string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	name := fmt.Sprint(role, " ", n)
	w, ok := c.workers[name]
	if !ok {
		return errors.New("no such worker")
	}
	c.log = append(c.log, what+" "+name)
	if w.state = to; to == "running" && what == "start" {
		w.pid += 100
	}
	if role == "consumer" && what == "kill" {
		c.group = client.GroupState{State: "Stable", Members: []client.GroupMember{{ID: "b", Assigned: make([]client.Partition, 2)}}}
	}
	return nil
}

func (c crew) Kill(role string, n int) error   { return c.do("kill", role, n, "dead") }
func (c crew) Pause(role string, n int) error  { return c.do("pause", role, n, "paused") }
func (c crew) Resume(role string, n int) error { return c.do("resume", role, n, "running") }
func (c crew) Start(_ context.Context, role string, n int) error {
	return c.do("start", role, n, "running")
}
func (c crew) State(role string, n int) (string, int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w, ok := c.workers[fmt.Sprint(role, " ", n)]
	if !ok {
		return "", 0, errors.New("no such worker")
	}
	return w.state, w.pid, nil
}
func (c crew) Hold(role string, n int, point string) error {
	c.note("hold %s %d at %s", role, n, point)
	c.holding = point
	return nil
}
func (c crew) Release(role string, n int) error {
	c.note("release %s %d", role, n)
	c.holding = ""
	return nil
}
func (c crew) Held(string, int) (string, int) { return c.holding, 0 }
func (c crew) Counters(role string, n int) map[string]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counters[fmt.Sprint(role, " ", n)]
}

// load is the fake as producers.
type load struct{ *fake }

func (l load) Send(ctx context.Context, n int, open bool) error {
	if l.note("send %d", n); open {
		l.note("open")
	}
	l.sent.Add(uint64(n))
	l.acked.Add(uint64(n))
	return nil
}
func (l load) Flush(context.Context) error { l.note("flush"); return nil }
func (l load) Sent() uint64                { return l.sent.Load() }
func (l load) Acked() uint64               { return l.acked.Load() }
func (l load) Read() uint64                { return l.read.Load() }

// filtered is the fake as a cluster with proxies, on which every request is caught at once.
type filtered struct{ processes }

func (f filtered) Filter(how cluster.Refusal, topic string, n int) error {
	f.note("filter %d %s %d", how, topic, n)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.misses {
		topic = "run-others"
	}
	f.treated = append(f.treated,
		proxy.Treated{How: how, Topic: topic, Offset: 17, Records: 3, Retried: how == cluster.CutAnswer},
		proxy.Treated{How: how, Topic: "run-others", Offset: 1, Records: 1})
	return nil
}
func (f filtered) DelayEndTxn(id string, after, n int) error {
	f.note("delay %s %d %d", id, after, n)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.late = append(f.late,
		proxy.Late{TransactionalID: id, Commit: true, Records: after, Delivered: true, Answered: !f.misses, Code: f.code},
		proxy.Late{TransactionalID: "run-others", Delivered: true, Answered: true})
	return nil
}
func (f filtered) Late() []proxy.Late {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.late)
}
func (f filtered) Unfilter() error { f.note("unfilter"); return nil }
func (f filtered) Filtered() int   { f.mu.Lock(); defer f.mu.Unlock(); return len(f.treated) }
func (f filtered) Treated() []proxy.Treated {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.treated)
}

// simulated is the fake as a simulation: it has ports, no processes.
type simulated struct {
	f *fake
}

func (s simulated) Info() cluster.Info            { return cluster.Info{Kind: "embedded", Simulated: true} }
func (s simulated) Bootstrap() []string           { return nil }
func (s simulated) Brokers() []int32              { return s.f.brokerIDs() }
func (s simulated) Healthy(context.Context) error { return nil }
func (s simulated) Close() error                  { return nil }
func (s simulated) Detach(_ context.Context, id int32) error {
	return s.f.change("detach", id, []string{"running"}, "detached", s.f.gone)
}
func (s simulated) Attach(_ context.Context, id int32) error {
	return s.f.change("attach", id, []string{"detached"}, "running", s.f.back)
}
func (s simulated) Attached(id int32) bool {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	return s.f.nodes[id].state == "running"
}

// external is the fake as a cluster that kbench only uses.
type external struct{ simulatedOnly }

type simulatedOnly interface {
	Bootstrap() []string
	Brokers() []int32
	Healthy(context.Context) error
	Close() error
}

func (external) Info() cluster.Info { return cluster.Info{Kind: "external"} }

func target(t *testing.T, text string) scenarios.Target {
	t.Helper()
	if text == "" {
		return scenarios.Target{}
	}
	got, err := scenarios.ParseTarget(text)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func condition(t *testing.T, text string) *scenarios.Condition {
	t.Helper()
	got, err := scenarios.ParseCondition(text)
	if err != nil {
		t.Fatal(err)
	}
	return &got
}

func dice() *rand.Rand { return rand.New(rand.NewSource(1)) }

// limited bounds a test.
func limited(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// stuck is the fake with processes that cannot be resumed.
type stuck struct{ processes }

func (stuck) Resume(context.Context, int32) error { return errors.New("it does not move") }
