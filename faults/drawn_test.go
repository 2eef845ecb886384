package faults

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kbench/kbench/scenarios"
)

func drawn(t *testing.T, action, who string, at, last time.Duration) scenarios.Fault {
	t.Helper()
	return scenarios.Fault{Action: action, Target: target(t, who), At: after(at), For: last, Drawn: true}
}

// order is what was done, without the journal.
func (f *fake) order() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var done []string
	for _, line := range f.log {
		if !strings.HasPrefix(line, "journal") {
			done = append(done, line)
		}
	}
	return strings.Join(done, "; ")
}

func TestOneDrawnNodeIsDownAtATime(t *testing.T) {
	f := newFake()
	got, err := play(t, f, f.env(), 1500*ms,
		drawn(t, "kill", "broker(2)", 50*ms, 300*ms), drawn(t, "pause", "broker(3)", 100*ms, 100*ms), drawn(t, "kill", "controller", 150*ms, 100*ms))
	if err != nil || len(got) != 3 {
		t.Fatalf("%d records, %v", len(got), err)
	}
	for i, r := range got {
		if r.Error != "" || !r.Bit || !r.Drawn || r.Healed == nil {
			t.Errorf("record %+v", r)
		}
		if i > 0 && (got[i-1].Healed == nil || r.At < *got[i-1].Healed) {
			t.Errorf("%s %s was hurt before %s %s had healed", r.Name, r.Target, got[i-1].Name, got[i-1].Target)
		}
	}
}

func TestADrawnNodeWaitsForOneThatAScenarioHurts(t *testing.T) {
	f := newFake()
	_, err := play(t, f, f.env(), 900*ms,
		scenarios.Fault{Action: "pause", Target: target(t, "broker(1)"), At: after(20 * ms), For: 300 * ms}, drawn(t, "kill", "broker(2)", 60*ms, 100*ms))
	if want := "pause 1; resume 1; kill 2; start 2"; err != nil || f.order() != want {
		t.Errorf("done: %s, %v\nwant: %s", f.order(), err, want)
	}
}

func TestADrawnClientDoesNotWaitForNodes(t *testing.T) {
	f := newFake()
	_, err := play(t, f, f.env(), 900*ms, drawn(t, "pause", "broker(2)", 20*ms, 500*ms),
		drawn(t, "pause", "producer(0)", 100*ms, 50*ms), drawn(t, "pause", "consumer(0)", 250*ms, 50*ms))
	want := "pause 2; pause producer 0; resume producer 0; pause consumer 0; resume consumer 0; resume 2"
	if err != nil || f.order() != want {
		t.Errorf("done: %s, %v\nwant: %s", f.order(), err, want)
	}
}

// recovering is the fake as a cluster whose brokers need a while until they serve again.
type recovering struct {
	processes
	asked atomic.Int32
	polls int32
}

func (r *recovering) Healthy(context.Context) error {
	if r.asked.Add(1) <= r.polls {
		return errors.New("broker 1 does not know broker 2")
	}
	return nil
}

func TestADrawnNodeWaitsUntilTheClusterIsWhole(t *testing.T) {
	f := newFake()
	env := f.env()
	slow := &recovering{processes: processes{f}, polls: 3}
	env.Cluster = slow
	if _, err := play(t, f, env, 1200*ms, drawn(t, "pause", "broker(1)", 10*ms, 50*ms)); err != nil {
		t.Fatal(err)
	}
	if slow.asked.Load() != 4 || f.order() != "pause 1; resume 1" {
		t.Errorf("asked %d times; done: %s", slow.asked.Load(), f.order())
	}
}

func TestADrawnFaultThatNeverHadItsTurnIsToldOf(t *testing.T) {
	f := newFake()
	env := f.env()
	env.Cluster = &recovering{processes: processes{f}, polls: 1000}
	got, err := play(t, f, env, 300*ms, drawn(t, "kill", "broker(1)", 10*ms, 50*ms))
	if err != nil || len(got) != 1 {
		t.Fatalf("%d records, %v", len(got), err)
	}
	if got[0].Bit || !strings.Contains(got[0].Error, "never injected: the cluster is not whole: broker 1 does not know broker 2") {
		t.Errorf("record %+v", got[0])
	}
	if f.order() != "fail kill" {
		t.Errorf("done: %s", f.order())
	}
}

func TestAGroupThatRebalancesIsNotHurtAgain(t *testing.T) {
	f := newFake()
	f.group.State = "PreparingRebalance"
	time.AfterFunc(300*ms, func() {
		f.note("settled")
		f.mu.Lock()
		f.group.State = "Stable"
		f.mu.Unlock()
	})
	if _, err := play(t, f, f.env(), 800*ms, drawn(t, "pause", "consumer(0)", 10*ms, 50*ms)); err != nil {
		t.Fatal(err)
	}
	if f.order() != "settled; pause consumer 0; resume consumer 0" {
		t.Errorf("done: %s", f.order())
	}
}

// TestWhatALaterFaultDoesIsNotCountedToAnEarlierOne: each has the evidence of its own time.
func TestWhatALaterFaultDoesIsNotCountedToAnEarlierOne(t *testing.T) {
	f := newFake()
	got, err := play(t, f, f.env(), 1200*ms, drawn(t, "pause", "broker(1)", 20*ms, 100*ms), drawn(t, "kill", "broker(1)", 400*ms, 100*ms))
	if err != nil || len(got) != 2 {
		t.Fatalf("%d records, %v", len(got), err)
	}
	if len(got[0].Protection) > 0 || has(got[0].Evidence, "leader of orders/0") {
		t.Errorf("the pause is credited with the election that the kill brought: %+v", got[0])
	}
	wantLines(t, "the kill's protection", got[1].Protection, "orders/0 went on with broker 2")
}

// TestAHundredDrawnFaults: nothing piles up, neither in the journal nor in the records.
func TestAHundredDrawnFaults(t *testing.T) {
	const n = 120
	f := newFake()
	env, longest := f.env(), 0
	save := env.Save
	env.Save = func(undos []Undo) error {
		longest = max(longest, len(undos)) // one journal at a time
		return save(undos)
	}
	var list []scenarios.Fault
	for i := range n {
		at := time.Duration(i) * 25 * ms
		if i%3 == 0 {
			list = append(list, drawn(t, "kill", []string{"broker(1)", "broker(2)", "broker(3)"}[i/3%3], at, 5*ms))
		} else {
			list = append(list, drawn(t, "pause", []string{"producer(0)", "consumer(1)"}[i%2], at, 5*ms))
		}
	}
	got, err := play(t, f, env, 30*time.Second, list...)
	if err != nil || len(got) != n {
		t.Fatalf("%d records, %v", len(got), err)
	}
	for i, r := range got {
		if !r.Bit || r.Error != "" || r.Healed == nil || len(r.Evidence) > 20 {
			t.Errorf("record %d: %+v", i, r)
		}
		if i > 0 && r.At < got[i-1].At {
			t.Errorf("record %d is not in the order of time", i)
		}
	}
	if longest > 3 {
		t.Errorf("the journal had %d entries at once", longest)
	}
}
