package faults

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/kbench/kbench/scenarios"
)

// networked is the fake as a cluster whose brokers have networks of their own.
type networked struct {
	processes
	cut map[int32]bool
}

func (f networked) CutPeers(_ context.Context, id int32) error {
	f.note("cut %d", id)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cut[id] = true
	f.gone(id)
	return nil
}

func (f networked) JoinPeers(_ context.Context, id int32) error {
	f.note("join %d", id)
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.cut, id)
	f.back(id)
	return nil
}

func (f networked) PeersCut(id int32) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cut[id], nil
}

// LeaderBy: a broker that is cut off still takes itself for what it was.
func (f networked) LeaderBy(_ context.Context, broker int32, topic string, _ int32) (leader, epoch int32, err error) {
	if topic != "run-orders" {
		return -1, -1, errors.New("no such topic")
	}
	return broker, 0, nil
}

func isolating(t *testing.T) (*fake, Env) {
	f := newFake()
	env := resting(f)
	env.Cluster = networked{processes{f}, map[int32]bool{}}
	return f, env
}

func TestIsolateCutsALeaderOffAndJoinsItAgain(t *testing.T) {
	f, env := isolating(t)
	got, err := play(t, f, env, 600*ms, scenarios.Fault{Action: "isolate", Target: target(t, "leader(orders/0)"), For: 200 * ms})
	if err != nil {
		t.Fatal(err)
	}
	if done := strings.Join(withoutJournal(f), "; "); done != "cut 1; at rest 1 isolated; goes on 1; join 1" {
		t.Errorf("done: %s", done)
	}
	if r := got[0]; !r.Bit || r.Healed == nil || r.Target != "broker 1" || r.Error != "" {
		t.Errorf("%+v", r)
	}
	wantLines(t, "evidence", got[0].Evidence, "broker 1 is off its peers' network", "leader of orders/0 moved 1→2, epoch 0→1",
		"broker 1, still cut off, answers clients, and takes itself for the leader of orders/0, epoch 0", "broker 1 is on its peers' network again")
	wantLines(t, "protection", got[0].Protection, "orders/0 went on with broker 2")
	if len(f.journal) > 0 {
		t.Errorf("the journal has %v still", f.journal)
	}
}

// The isolated broker lists itself when it is asked, so that answers of its and of others' alternate.
func TestWhoIsRegisteredIsToldOnceOfTheIsolated(t *testing.T) {
	all, others := view{registered: map[int32]bool{1: true, 2: true}}, view{registered: map[int32]bool{2: true}}
	for action, want := range map[string]int{"isolate": 1, "kill": 4} {
		in := &Injection{run: &runner{}, Env: newFake().env(), victims: []victim{{n: 1}}}
		in.rec.Name, in.rec.At = action, 1
		for range 2 {
			in.observe(changes(all, others))
			in.observe(changes(others, all))
		}
		if len(in.seen.Lines) != want {
			t.Errorf("%s: %q", action, in.seen.Lines)
		}
	}
}

// A leader that stays one was not seen to be deposed, so that the fault showed nothing.
func TestIsolateHasNotBittenWhereTheLeaderStays(t *testing.T) {
	f, env := isolating(t)
	f.stubborn = true
	ctx, cancel := context.WithTimeout(limited(t), 2000*ms)
	defer cancel()
	got, _ := RunTimeline(ctx, env, []scenarios.Fault{{Action: "isolate", Target: target(t, "leader(orders/0)"), For: 100 * ms}}, dice(), env.Now(), env.Now()+int64(300*ms), nil)
	if len(got) != 1 || got[0].Bit {
		t.Errorf("%+v", got)
	}
}

func TestIsolateNeedsNetworks(t *testing.T) {
	f := newFake()
	err := CheckTimeline(f.env(), []scenarios.Fault{{Action: "isolate", Target: target(t, "leader(orders/0)")}})
	if err == nil || !strings.Contains(err.Error(), "--cluster docker") {
		t.Errorf("got %v", err)
	}
}

func TestConditionsDoNotBelieveABrokerThatLagsBehind(t *testing.T) {
	f := newFake()
	r := prepared(t, f.env())
	f.partitions[0].Leader, f.partitions[0].Epoch = 2, 5
	leader := condition(t, "leader(orders/0) = 2")
	if ok, value, err := r.holds(limited(t), leader); !ok || err != nil {
		t.Fatalf("%d, %v", value, err)
	}
	f.partitions[0].Leader, f.partitions[0].Epoch = 1, 4 // as the old leader has it
	if ok, value, err := r.holds(limited(t), leader); !ok || err != nil {
		t.Errorf("the leader is %d again, %v", value, err)
	}
}
