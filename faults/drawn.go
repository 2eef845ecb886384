package faults

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/kbench/kbench/scenarios"
)

// turns of drawn faults: one at a time may hurt a node, and one a client of each role. A scenario promises something
// while one of them is broken; a random series must not break two.
type turns struct {
	mu     sync.Mutex
	byRole map[string]*sync.Mutex // "" for nodes
}

func (t *turns) of(role string) *sync.Mutex {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byRole == nil {
		t.byRole = map[string]*sync.Mutex{}
	}
	if t.byRole[role] == nil {
		t.byRole[role] = &sync.Mutex{}
	}
	return t.byRole[role]
}

// roleOf a target: "" for a node of the cluster.
func roleOf(t scenarios.Target) string {
	switch t.Kind {
	case scenarios.ProducerWorker, scenarios.ConsumerWorker, scenarios.ProcessorWorker:
		return t.Kind
	}
	return ""
}

const wholeEvery = 100 * time.Millisecond // how often it is asked whether everybody has recovered

// awaitWhole waits until nobody of the target's role is hurt or still recovering: nodes registered and in sync, the
// members of a group settled, a client itself at work.
func (r *runner) awaitWhole(ctx context.Context, t scenarios.Target) error {
	for {
		why := r.broken(ctx, roleOf(t))
		if why == "" {
			why = r.absent(t)
		}
		if why == "" {
			return nil
		}
		if err := sleep(ctx, wholeEvery); err != nil {
			return fmt.Errorf("%s: %w", why, err)
		}
	}
}

// absent says that a client does not run, "" where it does: one that ended by itself is started again, in time.
func (r *runner) absent(t scenarios.Target) string {
	if roleOf(t) == "" {
		return ""
	}
	v := victim{t.Kind, int32(t.N)}
	state, _, err := hands{r.env}.state(v)
	switch {
	case err != nil:
		return err.Error()
	case state != stateRunning:
		return r.name(v) + " is " + state
	}
	return ""
}

// broken looks what keeps the nodes, or the clients of a role, from being whole, "" for nothing.
func (r *runner) broken(ctx context.Context, role string) string {
	if role == "" && r.brokenAs(role) == "" {
		// A broker that came back at once may not have been missed yet; asked itself, it says whether it serves.
		if err := r.env.Cluster.Healthy(ctx); err != nil {
			return "the cluster is not whole: " + err.Error()
		}
	}
	if _, err := r.lookNow(ctx); err != nil {
		return err.Error()
	}
	return r.brokenAs(role)
}

// brokenAs says it as far as the last look shows it.
func (r *runner) brokenAs(role string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at := slices.IndexFunc(r.pending, func(p pending) bool {
		return (p.undo.Do == undoStart || p.undo.Do == undoResume) && p.undo.victim().role == role
	}); at >= 0 {
		return r.name(r.pending[at].undo.victim()) + " is hurt"
	}
	if role == "" {
		return r.unsettled()
	}
	for _, g := range r.env.groupsOf(role) {
		if r.seen.groups[g].state != "Stable" {
			return fmt.Sprintf("group %s is %s", g, r.seen.groups[g].state)
		}
	}
	return ""
}
