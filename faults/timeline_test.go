package faults

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/proc"
	"github.com/kbench/kbench/internal/proxy"
	"github.com/kbench/kbench/internal/rundir"
	"github.com/kbench/kbench/scenarios"
)

const ms = time.Millisecond

func after(d time.Duration) scenarios.Trigger { return scenarios.Trigger{After: d} }

// play runs a timeline for so long.
func play(t *testing.T, f *fake, env Env, length time.Duration, list ...scenarios.Fault) ([]rundir.Fault, error) {
	t.Helper()
	now := env.Now()
	return RunTimeline(limited(t), env, list, dice(), now, now+length.Nanoseconds(), nil)
}

func has(lines []string, part string) bool {
	return slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, part) })
}

func wantLines(t *testing.T, what string, lines []string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !has(lines, part) {
			t.Errorf("%s lacks %q:\n%s", what, part, strings.Join(lines, "\n"))
		}
	}
}

func TestKillOfALeader(t *testing.T) {
	f := newFake()
	got, err := play(t, f, f.env(), 600*ms, scenarios.Fault{Action: "kill", Target: target(t, "leader(orders/0)"), At: after(50 * ms), For: 200 * ms})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 {
		t.Fatalf("%d records", len(got))
	}
	r := got[0]
	if r.Name != "kill" || r.Target != "broker 1" || r.Asked != "leader(orders/0)" || !r.Bit || r.Error != "" || r.At <= 0 || r.Healed == nil || *r.Healed < r.At {
		t.Errorf("record %+v", r)
	}
	wantLines(t, "evidence", r.Evidence, "process 4711 of broker 1 is dead", "leader of orders/0 moved 1→2, epoch 0→1",
		"ISR of orders/1 shrank 1,2,3→2,3", "broker 1 is fenced", "broker 1 is running again, process 4811", "ISR of orders/0 grew 2,3→1,2,3")
	wantLines(t, "protection", r.Protection, "orders/0 went on with broker 2, which was in sync")
	if f.log[0] != "journal [start 1]" || f.log[1] != "kill 1" || f.log[2] != "start 1" || f.log[3] != "journal []" || len(f.log) != 4 {
		t.Errorf("done: %s", f.done())
	}
}

func TestALeaderThatDoesNotMoveIsNoBite(t *testing.T) {
	f := newFake()
	f.stubborn = true
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	now := f.env().Now()
	got, err := RunTimeline(ctx, f.env(), []scenarios.Fault{{Action: "kill", Target: target(t, "leader(orders/0)")}}, dice(), now, now+int64(200*ms), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got[0].Bit {
		t.Error("it is said to have bitten")
	}
	wantLines(t, "evidence", got[0].Evidence, "process 4711 of broker 1 is dead", "the leader of orders/0 was not seen to move")
}

func TestPauseBitesByTheProcessState(t *testing.T) {
	f := newFake()
	got, err := play(t, f, f.env(), 300*ms, scenarios.Fault{Action: "pause", Target: target(t, "leader(orders/0)"), For: 100 * ms})
	if err != nil || !got[0].Bit || got[0].Healed == nil {
		t.Fatalf("%+v, %v", got, err)
	}
	wantLines(t, "evidence", got[0].Evidence, "process 4711 of broker 1 is paused", "broker 1 is running again, process 4711")
}

func TestEvidenceIsNotTakenFromAnswersThatLagBehind(t *testing.T) {
	p := client.Partition{Topic: "orders"}
	state := func(leader, epoch int32) view {
		return view{partitions: map[client.Partition]client.PartitionState{p: {Partition: p, Leader: leader, Epoch: epoch}}, controller: -1}
	}
	now := state(1, 0).over(state(2, 1))
	if got := now.partitions[p]; got.Leader != 2 {
		t.Errorf("a stale answer was believed: %+v", got)
	}
	if list := changes(state(2, 1), now); len(list) != 0 {
		t.Errorf("changes %+v", list)
	}
}

func TestAnUncleanElectionIsCalledOne(t *testing.T) {
	p := client.Partition{Topic: "orders"}
	c := leaderChange(client.PartitionState{Partition: p, Leader: 1, ISR: []int32{1}}, client.PartitionState{Partition: p, Leader: 2, Epoch: 1})
	if !strings.Contains(c.text, "unclean") || c.protects != "" {
		t.Errorf("%+v", c)
	}
}

func TestFaultsStrikeInOrderAndHealLastFirst(t *testing.T) {
	f := newFake()
	got, err := play(t, f, f.env(), 700*ms,
		scenarios.Fault{Action: "pause", Target: target(t, "broker(3)"), At: after(400 * ms)},
		scenarios.Fault{Action: "kill", Target: target(t, "broker(2)"), At: after(50 * ms)},
		scenarios.Fault{Action: "pause", Target: target(t, "producer(0)"), At: after(200 * ms), For: 100 * ms})
	if err != nil {
		t.Fatal(err)
	}
	want := "journal [start 2]; kill 2; journal [start 2, resume producer0]; pause producer 0; resume producer 0; journal [start 2]; " +
		"journal [start 2, resume 3]; pause 3; resume 3; journal [start 2]; start 2; journal []"
	if f.done() != want {
		t.Errorf("done:\n%s\nwant:\n%s", f.done(), want)
	}
	if got[0].Target != "broker 2" || got[1].Target != "producer 0" || got[2].Target != "broker 3" {
		t.Errorf("records are not in the order in which the faults struck: %+v", got)
	}
}

func TestATriggerWaitsForItsCondition(t *testing.T) {
	f := newFake()
	go func() {
		time.Sleep(150 * ms)
		f.note("500 acked")
		f.acked.Store(500)
	}()
	got, err := play(t, f, f.env(), 600*ms, scenarios.Fault{Action: "kill", Target: target(t, "broker(2)"), At: scenarios.Trigger{When: condition(t, "acked(500)")}})
	if err != nil || !got[0].Bit {
		t.Fatalf("%+v, %v", got, err)
	}
	if !strings.HasPrefix(f.done(), "500 acked; journal [start 2]; kill 2") {
		t.Errorf("done: %s", f.done())
	}
}

func TestAFaultThatNeverStrikesHasNotBitten(t *testing.T) {
	f := newFake()
	got, err := play(t, f, f.env(), 100*ms,
		scenarios.Fault{Action: "kill", Target: target(t, "broker(2)"), At: scenarios.Trigger{When: condition(t, "acked(500)")}},
		scenarios.Fault{Action: "kill", Target: target(t, "broker(2)"), At: after(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range got {
		if r.Bit || !strings.Contains(r.Error, "never injected") || !strings.Contains(r.Error, "the load is over") {
			t.Errorf("record %+v", r)
		}
	}
	if len(got) != 2 || f.done() != "fail kill; fail kill" {
		t.Errorf("%d records, done: %s", len(got), f.done())
	}
}

func TestEverythingIsHealedWhenTheRunIsBrokenOff(t *testing.T) {
	f := newFake()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for !strings.Contains(f.done(), "pause 3") {
			time.Sleep(ms)
		}
		cancel()
	}()
	now := f.env().Now()
	_, err := RunTimeline(ctx, f.env(), []scenarios.Fault{
		{Action: "kill", Target: target(t, "broker(2)")},
		{Action: "pause", Target: target(t, "broker(3)"), At: after(100 * ms), For: time.Hour},
	}, dice(), now, now+int64(time.Hour), nil)
	if err != nil {
		t.Fatal(err)
	}
	if f.nodes[2].state != "running" || f.nodes[3].state != "running" || len(f.journal) != 0 {
		t.Errorf("left hurt: %s", f.done())
	}
}

func TestWithoutAJournalNothingIsHurt(t *testing.T) {
	f := newFake()
	f.saveErr = errors.New("no space left on device")
	got, _ := play(t, f, f.env(), 200*ms, scenarios.Fault{Action: "kill", Target: target(t, "broker(2)")})
	if f.nodes[2].state != "running" || got[0].Bit || !strings.Contains(got[0].Error, "no space left") {
		t.Errorf("state %s, record %+v", f.nodes[2].state, got[0])
	}
}

func TestAFaultThatFailsHalfWayIsHealed(t *testing.T) {
	f := newFake()
	f.killErr = errors.New("operation not permitted")
	got, err := play(t, f, f.env(), 200*ms, scenarios.Fault{Action: "kill", Target: target(t, "broker(2)")})
	if err != nil {
		t.Fatal(err)
	}
	if got[0].Bit || !strings.Contains(got[0].Error, "operation not permitted") || len(f.journal) != 0 || !strings.Contains(f.done(), "fail kill") {
		t.Errorf("record %+v, done: %s", got[0], f.done())
	}
}

func TestRestarts(t *testing.T) {
	for _, c := range []struct {
		fault scenarios.Fault
		want  string
	}{
		{scenarios.Fault{Action: "restart", Target: target(t, "leader(orders/1)"), For: 50 * ms}, "journal [start 2]; stop 2; start 2; journal []"},
		{scenarios.Fault{Action: "rolling-restart", Target: scenarios.Target{Kind: scenarios.Brokers}},
			"journal [start 1]; stop 1; start 1; journal []; journal [start 2]; stop 2; start 2; journal []; journal [start 3]; stop 3; start 3; journal []"},
	} {
		t.Run(c.fault.Action, func(t *testing.T) {
			f := newFake()
			env, startedAgain := f.env(), int64(0)
			env.GoesOn = func(int32) {
				if startedAgain == 0 {
					startedAgain = env.Now()
				}
			}
			got, err := play(t, f, env, 500*ms, c.fault)
			if err != nil || !got[0].Bit || got[0].Healed == nil {
				t.Fatalf("%+v, %v", got, err)
			}
			if got[0].At > startedAgain || *got[0].Healed < startedAgain {
				t.Errorf("from %d to %d, but the first broker was started again at %d", got[0].At, *got[0].Healed, startedAgain)
			}
			if f.done() != c.want {
				t.Errorf("done: %s", f.done())
			}
			wantLines(t, "evidence", got[0].Evidence, "process 4712 of broker 2 is dead", "broker 2 is running again, process 4812")
		})
	}
}

func TestFilters(t *testing.T) {
	for _, c := range []struct {
		action, evidence, protection string
		how                          string
	}{
		{"cut-acks", "3 records appended at orders/0 offset 17, answer withheld", "recognised the retry of 1 cut batches", "1"},
		{"refuse-produce", "3 records for orders/0 refused, not forwarded", "", "2"},
	} {
		t.Run(c.action, func(t *testing.T) {
			f := newFake()
			env := f.env()
			env.Cluster = filtered{processes{f}}
			got, err := play(t, f, env, 300*ms, scenarios.Fault{Action: c.action, Target: scenarios.Target{Kind: scenarios.TopicTarget, Topic: "orders"}, Count: 5, For: 100 * ms})
			if err != nil || !got[0].Bit || got[0].Healed == nil || got[0].Target != "topic orders" {
				t.Fatalf("%+v, %v", got, err)
			}
			wantLines(t, "evidence", got[0].Evidence, c.evidence, "in all 1 batches with 3 records")
			if !slices.Equal(got[0].Partitions, []string{"orders/0"}) {
				t.Errorf("it could hurt %q", got[0].Partitions)
			}
			if c.protection != "" {
				wantLines(t, "protection", got[0].Protection, c.protection)
			} else if len(got[0].Protection) > 0 {
				t.Errorf("protection %v", got[0].Protection)
			}
			if want := "journal [unfilter 0]; filter " + c.how + " run-orders 5; unfilter; journal []"; f.done() != want {
				t.Errorf("done: %s, want %s", f.done(), want)
			}
		})
	}
}

func TestAFilterThatCaughtNothingOfItsTopicHasNotBitten(t *testing.T) {
	f := newFake()
	f.misses = true
	env := f.env()
	env.Cluster = filtered{processes{f}}
	got, err := play(t, f, env, 200*ms, scenarios.Fault{Action: "cut-acks", Target: scenarios.Target{Kind: scenarios.TopicTarget, Topic: "orders"}})
	if err != nil || len(got) != 1 || got[0].Bit || len(got[0].Evidence) > 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestLateEndsOfTransactions(t *testing.T) {
	for _, c := range []struct {
		name       string
		code       int16
		evidence   string
		protection []string
	}{
		{"taken for the end of another", 0, "commit of bills-1 (producer 0, epoch 0) delivered after 2 records of the next transaction, and taken for its end", nil},
		{"refused", 90, "refused: PRODUCER_FENCED", []string{"the coordinator refused 1 late ends of transactions"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake()
			f.code = c.code
			f.late = []proxy.Late{{TransactionalID: "run-bills-1", Answered: true}} // of a fault before
			env := f.env()
			env.Cluster = filtered{processes{f}}
			got, err := play(t, f, env, 300*ms, scenarios.Fault{Action: "delay-end-txn", Target: scenarios.Target{Kind: scenarios.TransactionalID, Name: "bills-1"}, After: 2, For: 100 * ms})
			if err != nil || !got[0].Bit || got[0].Healed == nil || got[0].Target != "transactional id bills-1" {
				t.Fatalf("%+v, %v", got, err)
			}
			wantLines(t, "evidence", got[0].Evidence, c.evidence, "in all 1 late ends of transactions arrived")
			if !slices.Equal(got[0].Protection, c.protection) {
				t.Errorf("protection %v", got[0].Protection)
			}
			if want := "journal [unfilter 0]; delay run-bills-1 2 -1; unfilter; journal []"; f.done() != want {
				t.Errorf("done: %s, want %s", f.done(), want)
			}
		})
	}
}

func TestALateEndThatNobodyAnsweredHasNotBitten(t *testing.T) {
	f := newFake()
	f.misses = true
	env := f.env()
	env.Cluster = filtered{processes{f}}
	got, err := play(t, f, env, 200*ms, scenarios.Fault{Action: "delay-end-txn", Target: scenarios.Target{Kind: scenarios.TransactionalID, Name: "bills-1"}})
	if err != nil || len(got) != 1 || got[0].Bit || len(got[0].Evidence) > 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestWorkersAreHurtAsProcesses(t *testing.T) {
	f := newFake()
	f.counters["consumer 0"] = map[string]uint64{"fenced": 1} // before the fault
	go func() {
		for !strings.Contains(f.done(), "kill consumer 0") {
			time.Sleep(ms)
		}
		f.mu.Lock()
		f.counters["consumer 0"] = map[string]uint64{"fenced": 2}
		f.mu.Unlock()
	}()
	got, err := play(t, f, f.env(), 500*ms, scenarios.Fault{Action: "kill", Target: target(t, "consumer(0)"), At: after(20 * ms), For: 200 * ms})
	if err != nil || !got[0].Bit {
		t.Fatalf("%+v, %v", got, err)
	}
	wantLines(t, "evidence", got[0].Evidence, "process 5001 of consumer 0 is dead", "group readers: Stable with 2 members→Stable with 1 members", "consumer 0 is running again, process 5101")
	wantLines(t, "protection", got[0].Protection, "group readers is stable with 1 members, which share 2 partitions", "consumer 0 was fenced")
}

func TestASimulationIsCalledOne(t *testing.T) {
	f := newFake()
	env := f.env()
	env.Cluster = simulated{f}
	got, err := play(t, f, env, 400*ms, scenarios.Fault{Action: "kill", Target: target(t, "leader(orders/0)"), For: 100 * ms})
	if err != nil || !got[0].Bit || got[0].Healed == nil {
		t.Fatalf("%+v, %v", got, err)
	}
	wantLines(t, "evidence", got[0].Evidence, "broker 1 is detached from its clients (simulated: no process died)", "leader of orders/0 moved 1→2")
	if has(got[0].Evidence, "process 4711") {
		t.Errorf("a simulation claims a process: %v", got[0].Evidence)
	}
}

func TestRecordsAreToldAsTheyChange(t *testing.T) {
	f := newFake()
	var mu sync.Mutex
	var stages []string
	live := func(list []rundir.Fault) {
		mu.Lock()
		defer mu.Unlock()
		stage := "none"
		if len(list) == 1 {
			stage = map[bool]string{true: "healed", false: "hurt"}[list[0].Healed != nil]
			if list[0].Bit {
				stage += " and bitten"
			}
		}
		if len(stages) == 0 || stages[len(stages)-1] != stage {
			stages = append(stages, stage)
		}
	}
	now := f.env().Now()
	if _, err := RunTimeline(limited(t), f.env(), []scenarios.Fault{{Action: "kill", Target: target(t, "broker(2)"), At: after(50 * ms), For: 200 * ms}}, dice(), now, now+int64(400*ms), live); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if got := strings.Join(stages, ", "); got != "hurt, hurt and bitten, healed and bitten" {
		t.Errorf("stages: %s", got)
	}
}

func TestChecksNameWhatTheClusterCannotDo(t *testing.T) {
	f := newFake()
	ext := f.env()
	ext.Cluster = external{simulated{f}}
	emb := f.env()
	emb.Cluster = simulated{f}
	topic := scenarios.Target{Kind: scenarios.TopicTarget, Topic: "orders"}
	f.workers["consumer 1"].pid = 0
	for _, c := range []struct {
		name   string
		env    Env
		action string
		target scenarios.Target
		want   string // "": it can
	}{
		{"kill on external", ext, "kill", target(t, "broker(1)"), "the external cluster has none"},
		{"kill on embedded", emb, "kill", target(t, "leader(orders/0)"), ""},
		{"pause on embedded", emb, "pause", target(t, "leader(orders/0)"), "the embedded cluster, a simulation, has none"},
		{"controller on embedded", emb, "kill", target(t, "controller"), "no controller of its own"},
		{"cut-acks without proxies", f.env(), "cut-acks", topic, "needs clients that go through kbench's proxies"},
		{"a broker that is not there", f.env(), "kill", target(t, "broker(9)"), "no such broker"},
		{"a topic that is not there", f.env(), "kill", target(t, "leader(bills/0)"), "no such topic"},
		{"a worker that is no process", f.env(), "kill", target(t, "consumer(1)"), "no process of its own"},
		{"a worker that is not there", f.env(), "kill", target(t, "consumer(9)"), "no such worker"},
		{"stop of a worker", f.env(), "stop", target(t, "consumer(0)"), "killed or paused"},
		{"a worker on external", ext, "kill", target(t, "consumer(0)"), ""},
		{"late ends of transactions without proxies", f.env(), "delay-end-txn", scenarios.Target{Kind: scenarios.TransactionalID, Name: "bills-1"}, "needs clients that go through kbench's proxies"},
		{"isolate on processes", f.env(), "isolate", target(t, "leader(orders/0)"), "--cluster docker"},
		{"an unknown fault", f.env(), "maim", target(t, "broker(1)"), "unknown fault \"maim\", known are cut-acks, delay-end-txn, isolate, kill, pause"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := CheckTimeline(c.env, []scenarios.Fault{{Action: c.action, Target: c.target, Pos: scenarios.Pos{Line: 7}}})
			switch {
			case c.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "line 7: ")):
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestKnownDescribesEveryFault(t *testing.T) {
	var names []string
	for _, d := range Known() {
		names = append(names, d.Name)
		if d.About == "" || d.Targets == "" || d.Needs == "" {
			t.Errorf("%s is not described: %+v", d.Name, d)
		}
		made, err := newFault(order{action: d.Name})
		if err != nil || made.Name() != d.Name {
			t.Errorf("%s makes %v, %v", d.Name, made, err)
		}
	}
	if got := strings.Join(names, " "); got != "cut-acks delay-end-txn isolate kill pause refuse-produce restart rolling-restart stop" {
		t.Errorf("known: %s", got)
	}
}

func TestJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "undo.json")
	if got, err := LoadJournal(path); err != nil || got != nil {
		t.Fatalf("%v, %v", got, err)
	}
	want := []Undo{{Do: undoStart, Node: 1, ID: proc.ID{Pid: 4711, Began: 9}}, {Do: undoResume, Role: "consumer", Worker: 2}}
	if err := SaveJournal(path, want); err != nil {
		t.Fatal(err)
	}
	if got, err := LoadJournal(path); err != nil || !slices.Equal(got, want) {
		t.Fatalf("%v, %v", got, err)
	}
	for range 2 {
		if err := SaveJournal(path, nil); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := LoadJournal(path); err != nil || got != nil {
		t.Fatalf("%v, %v", got, err)
	}
}
