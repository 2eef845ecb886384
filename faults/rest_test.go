package faults

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kbench/kbench/scenarios"
)

// Whoever looks at a node's disk is told when it is at rest, and before it goes on.
func TestRestIsToldAfterANodeStopsAndBeforeItGoesOn(t *testing.T) {
	for action, want := range map[string]string{
		"kill":  "kill 1; at rest 1 dead; goes on 1; start 1",
		"stop":  "stop 1; at rest 1 dead; goes on 1; start 1",
		"pause": "pause 1; at rest 1 paused; goes on 1; resume 1",
	} {
		t.Run(action, func(t *testing.T) {
			f := newFake()
			env := resting(f)
			if _, err := play(t, f, env, 300*ms, scenarios.Fault{Action: action, Target: target(t, "leader(orders/0)"), For: 100 * ms}); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(withoutJournal(f), "; "); got != want {
				t.Errorf("done: %s, want %s", got, want)
			}
		})
	}
}

func TestNoRestIsToldOfANodeThatCouldNotBeHurt(t *testing.T) {
	f := newFake()
	f.killErr = errors.New("not permitted")
	got, _ := play(t, f, resting(f), 200*ms, scenarios.Fault{Action: "kill", Target: target(t, "leader(orders/0)"), For: 50 * ms})
	if got[0].Error == "" || strings.Contains(f.done(), "at rest") {
		t.Errorf("%+v, done: %s", got[0], f.done())
	}
}

func resting(f *fake) Env {
	env := f.env()
	env.AtRest = func(node int32, state string) { f.note("at rest %d %s", node, state) }
	env.GoesOn = func(node int32) { f.note("goes on %d", node) }
	return env
}

func withoutJournal(f *fake) []string {
	return slices.DeleteFunc(strings.Split(f.done(), "; "), func(s string) bool { return strings.HasPrefix(s, "journal") })
}

func TestEvidenceTellsWhenItWasSeen(t *testing.T) {
	f := newFake()
	got, err := play(t, f, f.env(), 500*ms, scenarios.Fault{Action: "kill", Target: target(t, "leader(orders/0)"), For: 100 * ms})
	if err != nil {
		t.Fatal(err)
	}
	r := got[0]
	if len(r.EvidenceAt) == 0 || len(r.EvidenceAt) > len(r.Evidence) || !slices.IsSorted(r.EvidenceAt) || r.EvidenceAt[0] < r.At {
		t.Errorf("%d lines seen at %v; the fault began at %d", len(r.Evidence), r.EvidenceAt, r.At)
	}
}

func TestTimesOfEvidenceAreCutWithIt(t *testing.T) {
	in := &Injection{run: &runner{}, Env: Env{Now: func() int64 { return time.Now().UnixNano() }}}
	for i := range 2 * maxLines {
		in.line(fmt.Sprint("line ", i))
	}
	if r := in.record(); len(r.Evidence) != maxLines+1 || len(r.EvidenceAt) != maxLines {
		t.Errorf("%d lines with %d times", len(r.Evidence), len(r.EvidenceAt))
	}
}
