package faults

import (
	"strings"
	"testing"
	"time"

	"github.com/kbench/kbench/scenarios"
)

// step builds one as the format does.
func step(t *testing.T, do, arg string, more ...func(*scenarios.Step)) scenarios.Step {
	t.Helper()
	s := scenarios.Step{Do: do}
	switch do {
	case "await", "check":
		s.When, s.Within = condition(t, arg), 10*time.Second
	case "cut-acks", "refuse-produce", "restore":
		s.Target = scenarios.Target{Kind: scenarios.TopicTarget, Topic: arg}
	case "delay-end-txn":
		s.Target, s.After = scenarios.Target{Kind: scenarios.TransactionalID, Name: arg}, 1
	case "rolling-restart":
		s.Target = scenarios.Target{Kind: scenarios.Brokers}
	default:
		s.Target = target(t, arg)
	}
	for _, m := range more {
		m(&s)
	}
	return s
}

func as(name string) func(*scenarios.Step)        { return func(s *scenarios.Step) { s.As = name } }
func n(n int) func(*scenarios.Step)               { return func(s *scenarios.Step) { s.N = n } }
func at_(point string) func(*scenarios.Step)      { return func(s *scenarios.Step) { s.Point = point } }
func in(d time.Duration) func(*scenarios.Step)    { return func(s *scenarios.Step) { s.Within = d } }
func lasts(d time.Duration) func(*scenarios.Step) { return func(s *scenarios.Step) { s.For = d } }
func line(line int) func(*scenarios.Step)         { return func(s *scenarios.Step) { s.Pos.Line = line } }

func TestTheRecipeThatLosesAcknowledgedRecords(t *testing.T) {
	f := newFake()
	got, err := RunSteps(limited(t), f.env(), []scenarios.Step{
		step(t, "pause", "followers(orders/0)"),
		step(t, "send", "", n(10)),
		step(t, "wait", "", lasts(20*ms)),
		step(t, "send", "", n(1000)),
		step(t, "await", "acked(1010)"),
		step(t, "check", "isr(orders/0) = 3"),
		step(t, "kill", "leader(orders/0)", as("old")),
		step(t, "resume", "paused"),
		step(t, "await", "leader(orders/0) != old"),
		step(t, "start", "old"),
		step(t, "await", "isr(orders/0) = 3"),
		step(t, "flush", ""),
	}, dice(), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := "journal [resume 2, resume 3]; pause 2; pause 3; send 10; send 1000; journal [resume 2, resume 3, start 1]; kill 1; " +
		"resume 3; journal [resume 2, start 1]; resume 2; journal [start 1]; start 1; journal []; flush"
	if f.done() != want {
		t.Errorf("done:\n%s\nwant:\n%s", f.done(), want)
	}
	if len(got) != 2 || got[0].Target != "broker 2, broker 3" || got[1].Target != "broker 1" {
		t.Fatalf("records %+v", got)
	}
	for _, r := range got {
		if !r.Bit || r.Healed == nil || *r.Healed < r.At {
			t.Errorf("record %+v", r)
		}
	}
	if *got[0].Healed >= *got[1].Healed {
		t.Error("the followers were resumed after the leader was started")
	}
	wantLines(t, "evidence", got[1].Evidence, "process 4711 of broker 1 is dead", "leader of orders/0 moved 1→2, epoch 0→1", "broker 1 is running again, process 4811")
}

func TestStepsOfWorkersAndFilters(t *testing.T) {
	f := newFake()
	env := f.env()
	env.Cluster = filtered{processes{f}}
	got, err := RunSteps(limited(t), env, []scenarios.Step{
		step(t, "start", "processor(1)"),
		step(t, "hold", "processor(1)", at_("before-offsets")),
		step(t, "await", "held(processor(1))"),
		step(t, "release", "processor(1)"),
		step(t, "cut-acks", "orders", n(1)),
		step(t, "await", "filtered >= 1"),
		step(t, "kill", "producer(0)"),
		step(t, "restore", "orders"),
		step(t, "start", "killed"),
	}, dice(), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := "start processor 1; journal [release-worker processor1]; hold processor 1 at before-offsets; release processor 1; journal []; " +
		"journal [unfilter 0]; filter 1 run-orders 1; journal [unfilter 0, start producer0]; kill producer 0; unfilter; journal [start producer0]; start producer 0; journal []"
	if f.done() != want {
		t.Errorf("done:\n%s\nwant:\n%s", f.done(), want)
	}
	if len(got) != 2 || got[0].Name != "cut-acks" || got[1].Name != "kill" || !got[0].Bit || !got[1].Bit || got[0].Healed == nil || got[1].Healed == nil {
		t.Errorf("records %+v", got)
	}
}

func TestTheRecipeThatEndsTheNextTransaction(t *testing.T) {
	f := newFake()
	env := f.env()
	env.Cluster = filtered{processes{f}}
	leftOpen := func(s *scenarios.Step) { s.Open = true }
	got, err := RunSteps(limited(t), env, []scenarios.Step{
		step(t, "delay-end-txn", "bills-1", n(2)),
		step(t, "send", "", n(4)),
		step(t, "send", "", n(2), leftOpen),
		step(t, "restore", "orders"),
	}, dice(), nil)
	if err != nil || len(got) != 1 || !got[0].Bit || got[0].Healed == nil {
		t.Fatalf("%+v, %v", got, err)
	}
	if want := "journal [unfilter 0]; delay run-bills-1 1 2; send 4; send 2; open; unfilter; journal []"; f.done() != want {
		t.Errorf("done: %s, want %s", f.done(), want)
	}
}

func TestAStepThatFailsEndsTheSequenceAndHeals(t *testing.T) {
	for _, c := range []struct {
		name string
		step func(*testing.T) scenarios.Step
		want string
	}{
		{"a condition that does not come true", func(t *testing.T) scenarios.Step {
			return step(t, "await", "isr(orders/0) = 3", in(150*ms), line(17))
		}, "line 17: step 2, await isr(orders/0) = 3: not within 150ms, last seen 2"},
		{"a check", func(t *testing.T) scenarios.Step { return step(t, "check", "isr(orders/0) = 3") }, "step 2, check isr(orders/0) = 3: it is 2"},
		{"a name that nobody has", func(t *testing.T) scenarios.Step { return step(t, "await", "leader(orders/0) != whom") }, "whom: no step before"},
		{"nobody to resume", func(t *testing.T) scenarios.Step { return step(t, "resume", "paused") }, "step 2, resume paused: nobody is"},
		{"somebody who was not killed", func(t *testing.T) scenarios.Step { return step(t, "start", "broker(3)") }, "broker 3 does not wait for that"},
		{"a broker that is dead already", func(t *testing.T) scenarios.Step { return step(t, "kill", "broker(1)") }, "broker 1 is dead already"},
		{"a fault this cluster cannot do", func(t *testing.T) scenarios.Step { return step(t, "cut-acks", "orders", n(1)) }, "proxies"},
		{"a node that is to be held", func(t *testing.T) scenarios.Step { return step(t, "hold", "broker(2)", at_("polled")) }, "cannot be held"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake()
			got, err := RunSteps(limited(t), f.env(), []scenarios.Step{step(t, "kill", "leader(orders/0)"), c.step(t), step(t, "send", "", n(1))}, dice(), nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if strings.Contains(f.done(), "send") {
				t.Error("the sequence went on")
			}
			if f.nodes[1].state != "running" || len(f.journal) != 0 || got[0].Healed == nil {
				t.Errorf("left hurt: %s", f.done())
			}
			for _, r := range got[1:] {
				if r.Bit || r.Error == "" {
					t.Errorf("a fault that failed is recorded as %+v", r)
				}
			}
		})
	}
}

func TestAHealThatFailsIsToldAndStaysInTheJournal(t *testing.T) {
	f := newFake()
	env := f.env()
	env.Cluster = stuck{processes{f}}
	got, err := RunSteps(limited(t), env, []scenarios.Step{step(t, "pause", "broker(2)"), step(t, "pause", "producer(0)")}, dice(), nil)
	if err == nil || !strings.Contains(err.Error(), "heal: resume broker 2: it does not move") {
		t.Errorf("got %v", err)
	}
	if len(f.journal) != 1 || f.journal[0].Node != 2 || f.workers["producer 0"].state != "running" {
		t.Errorf("journal %v, done: %s", f.journal, f.done())
	}
	if got[0].Healed != nil || got[0].Error == "" || got[1].Healed == nil {
		t.Errorf("records %+v", got)
	}
}

func TestCheckStepsNamesEveryProblem(t *testing.T) {
	f := newFake()
	err := CheckSteps(f.env(), []scenarios.Step{step(t, "kill", "broker(9)"), step(t, "send", "", n(1)), step(t, "refuse-produce", "orders"), step(t, "await", "filtered >= 1")})
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("got %v", err)
	}
}
