package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/proxy"
	"github.com/kbench/kbench/scenarios"
)

// prepared is a runner that has not begun.
func prepared(t *testing.T, env Env) *runner {
	t.Helper()
	r := &runner{env: env, poked: make(chan struct{}, 1), names: map[string]aimed{}, told: map[client.Partition]client.PartitionState{}, watched: subjects{topics: env.Topics}}
	if err := r.lookBefore(limited(t)); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTargetsAreFoundWhenTheyAreHurt(t *testing.T) {
	for _, c := range []struct{ target, want, problem string }{
		{"leader(orders/0)", "broker 1", ""},
		{"leader(orders/1)", "broker 2", ""},
		{"leader(orders/7)", "", "no partition 7"},
		{"followers(orders/1)", "broker 1, broker 3", ""},
		{"follower(orders/0)", "broker 3", ""}, // 2 has left the ISR
		{"broker(3)", "broker 3", ""},
		{"broker(9)", "", "no such broker"},
		{"broker(random)", "broker 3", ""}, // 1 is dead, 2 is paused
		{"controller", "controller 1001", ""},
		{"coordinator(group:readers)", "broker 3", ""},
		{"coordinator(transaction:bills-1)", "broker 2", ""},
		{"producer(0)", "producer 0", ""},
		{"killed", "broker 1", ""},
		{"paused", "broker 2, consumer 1", ""},
		{"old", "broker 1", ""},
		{"unheard-of", "", "no step before"},
	} {
		t.Run(c.target, func(t *testing.T) {
			f := newFake()
			r := prepared(t, f.env())
			f.partitions[0].ISR = []int32{1, 3}
			f.nodes[1].state, f.nodes[2].state = "dead", "paused"
			r.pending = []pending{{undo: undoFor(undoStart, victim{n: 1}, 0)}, {undo: undoFor(undoResume, victim{n: 2}, 0)}, {undo: undoFor(undoResume, victim{"consumer", 1}, 0)}}
			r.names["old"] = aimed{victims: []victim{{n: 1}}}
			a, err := r.aim(limited(t), target(t, c.target), dice())
			if c.problem != "" {
				if err == nil || !strings.Contains(err.Error(), c.problem) {
					t.Errorf("got %v, %v, want an error with %q", a, err, c.problem)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, v := range a.victims {
				names = append(names, r.name(v))
			}
			if got := strings.Join(names, ", "); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			wantLead := strings.HasPrefix(c.target, "leader")
			if gotLead := len(a.leads) == 1; gotLead != wantLead {
				t.Errorf("leads %v", a.leads)
			}
		})
	}
}

// A broker without any replica of the run's topics can hurt none of them, and no record is at risk when it dies.
func TestABrokerWithoutReplicasShowsNothing(t *testing.T) {
	alone := func() *fake {
		f := newFake()
		for p := range f.partitions {
			f.partitions[p].Leader, f.partitions[p].ISR, f.partitions[p].Replicas = 2, []int32{2}, []int32{2}
		}
		return f
	}
	f := alone()
	got, err := play(t, f, f.env(), 200*ms, scenarios.Fault{Action: "kill", Target: target(t, "broker(3)"), At: after(10 * ms)})
	if err != nil || len(got) != 1 || got[0].Bit || !strings.Contains(got[0].Error, "no replica") || strings.Contains(f.done(), "kill") && !strings.Contains(f.done(), "fail kill") {
		t.Errorf("%+v, %v, done %s", got, err, f.done())
	}
	for seed := range int64(10) {
		a, err := prepared(t, alone().env()).aim(limited(t), target(t, "broker(random)"), rand.New(rand.NewSource(seed)))
		if err != nil || len(a.victims) != 1 || a.victims[0].n != 2 {
			t.Fatalf("drawn: %+v, %v", a, err)
		}
	}
}

func TestTheSameSeedDrawsTheSameVictims(t *testing.T) {
	draw := func() (list []string) {
		r := prepared(t, newFake().env())
		rng := dice()
		for range 20 {
			for _, text := range []string{"broker(random)", "follower(orders/0)"} {
				a, err := r.aim(limited(t), target(t, text), rng)
				if err != nil {
					t.Fatal(err)
				}
				list = append(list, r.name(a.victims[0]))
			}
		}
		return list
	}
	first, second := fmt.Sprint(draw()), fmt.Sprint(draw())
	if first != second {
		t.Errorf("%s\n%s", first, second)
	}
	for _, broker := range []string{"broker 1", "broker 2", "broker 3"} {
		if !strings.Contains(first, broker) {
			t.Errorf("%s never drawn in %s", broker, first)
		}
	}
}

func TestABrokerThatDoesNotAnswerDoesNotHoldUpTheQuestion(t *testing.T) {
	f := newFake()
	f.deaf = 2 // the first two requests hang
	a, err := (&runner{env: f.env()}).aim(limited(t), target(t, "leader(orders/0)"), dice())
	if err != nil || a.victims[0].n != 1 {
		t.Errorf("got %v, %v", a, err)
	}
}

func TestAQuestionThatNobodyAnswersEndsWithTheReason(t *testing.T) {
	f := newFake()
	f.partitions[0].Leader = -1
	_, err := ask(limited(t), lookLimit, func(ctx context.Context) (client.PartitionState, error) {
		return led(ctx, f.env(), client.Partition{Topic: "orders"})
	})
	if err == nil || !strings.Contains(err.Error(), "orders/0 has no leader") {
		t.Errorf("got %v", err)
	}
}

func TestAQuestionIsAskedUntilItIsAnswered(t *testing.T) {
	var asked atomic.Int32
	answer, err := ask(limited(t), askLimit, func(context.Context) (int32, error) {
		if n := asked.Add(1); n > 2*askTogether {
			return n, nil
		}
		return 0, errors.New("unable to dial")
	})
	if err != nil || answer <= 2*askTogether {
		t.Errorf("got %d, %v", answer, err)
	}
}

func TestADefiniteAnswerIsNotAskedForAgain(t *testing.T) {
	f := newFake()
	start := time.Now()
	_, err := ask(limited(t), time.Hour, func(ctx context.Context) (client.PartitionState, error) {
		return led(ctx, f.env(), client.Partition{Topic: "orders", Partition: 77})
	})
	if err == nil || !strings.Contains(err.Error(), "no partition 77") || time.Since(start) > time.Minute {
		t.Errorf("got %v", err)
	}
}

func TestConditions(t *testing.T) {
	for _, c := range []struct {
		condition string
		holds     bool
	}{
		{"acked(10)", true}, {"acked(11)", false}, {"sent = 12", true}, {"read < 1", true}, {"sent != 12", false},
		{"isr(orders/0) = 3", true}, {"isr(orders/0) < 3", false},
		{"leader(orders/1) = 2", true}, {"leader(orders/0) != old", false}, {"leader(orders/1) != old", true}, {"leader(orders/0) = old", true},
		{"epoch(orders/0) > 0", false}, {"end(orders/0) >= 42", true}, {"end(orders/0) > 42", false},
		{"committed(readers, orders/0) = 5", true}, {"committed(readers, orders/1) >= 0", false},
		{"members(readers) = 2", true},
		{"held(processor(1))", false}, {"processed(consumer(0)) = 7", true}, {"processed(consumer(1)) >= 1", false},
		{"filtered >= 1", false},
	} {
		t.Run(c.condition, func(t *testing.T) {
			f := newFake()
			f.treated = make([]proxy.Treated, 3) // by an earlier run
			env := f.env()
			env.Cluster = filtered{processes{f}}
			r := prepared(t, env)
			f.sent.Store(12)
			f.acked.Store(10)
			f.committed = []client.PartitionOffset{{Partition: client.Partition{Topic: "run-orders"}, Offset: 5}}
			r.names["old"] = aimed{victims: []victim{{n: 1}}}
			got, value, err := r.holds(limited(t), condition(t, c.condition))
			if err != nil || got != c.holds {
				t.Errorf("got %v (value %d), %v", got, value, err)
			}
		})
	}
}

func TestAHeldWorkerHoldsAtLeastOneRecord(t *testing.T) {
	f := newFake()
	f.holding = "before-offsets"
	if ok, _, err := prepared(t, f.env()).holds(limited(t), condition(t, "held(processor(1))")); !ok || err != nil {
		t.Errorf("got %v, %v", ok, err)
	}
}
