package faults

import (
	"context"
	"fmt"
	"math/rand"
	"slices"
	"time"

	"github.com/kbench/kbench/internal/rundir"
	"github.com/kbench/kbench/scenarios"
)

// sendLimit is how long a step may take to hand its records to the clients, and workers to start.
const sendLimit = 2 * time.Minute

// RunSteps carries the steps out one after the other and then heals what is still hurt. The first step that fails, a
// condition that does not come true among them, ends the sequence: its error says which, and what was seen last. Such a
// run shows nothing, and has to be called inconclusive.
//
// It returns when everything is healed and the cluster shows that it has got over it. live is as for RunTimeline.
func RunSteps(ctx context.Context, env Env, list []scenarios.Step, rng *rand.Rand, live func([]rundir.Fault)) ([]rundir.Fault, error) {
	var targets []scenarios.Target
	for _, s := range list {
		targets = append(targets, s.Target)
		if s.When != nil {
			targets = append(targets, scenarios.Target{Topic: s.When.Target.Topic})
		}
	}
	return run(ctx, env, subjectsOf(env, targets), live, func(r *runner) error {
		for i, s := range list {
			if err := r.step(ctx, s, rng); err != nil {
				return at(s.Pos, fmt.Errorf("step %d, %s: %w", i+1, describeStep(s), err))
			}
		}
		return nil
	})
}

// step does one thing.
func (r *runner) step(ctx context.Context, s scenarios.Step, rng *rand.Rand) error {
	switch s.Do {
	case "send":
		return within(ctx, sendLimit, func(ctx context.Context) error { return r.env.Load.Send(ctx, s.N, s.Open) })
	case "flush":
		return within(ctx, s.Within, r.env.Load.Flush)
	case "wait":
		return sleep(ctx, s.For)
	case "await":
		return within(ctx, s.Within, func(ctx context.Context) error { return r.await(ctx, s.When) })
	case "check":
		return within(ctx, askLimit, func(ctx context.Context) error { return r.checkNow(ctx, s.When) })
	case "resume":
		return r.undoFor(ctx, undoResume, s.Target, rng)
	case "rejoin":
		return r.undoFor(ctx, undoRejoin, s.Target, rng)
	case "start":
		return within(ctx, sendLimit, func(ctx context.Context) error { return r.start(ctx, s.Target, rng) })
	case "restore":
		return r.heal(ctx, func(p pending) bool { return p.undo.Do == undoUnfilter })
	case "hold":
		return r.hold(ctx, s, rng)
	case "release":
		return r.undoFor(ctx, undoRelease, s.Target, rng)
	}
	return r.hurtStep(ctx, s, rng)
}

func within(ctx context.Context, limit time.Duration, do func(context.Context) error) error {
	if limit <= 0 {
		limit = 30 * time.Second
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not within %v", limit))
	defer cancel()
	return do(ctx)
}

// hurtStep injects a fault and keeps the name that the step gives its victims.
func (r *runner) hurtStep(ctx context.Context, s scenarios.Step, rng *rand.Rand) error {
	in := r.plan(s.Do, s.Target.String())
	if err := r.begin(ctx, in, ofStep(s), rng); err != nil {
		in.failed(err)
		return err
	}
	if s.As != "" {
		r.mu.Lock()
		r.names[s.As] = aimed{in.victims, in.leads}
		r.mu.Unlock()
	}
	return nil
}

// checkNow wants a condition to hold at this moment.
func (r *runner) checkNow(ctx context.Context, c *scenarios.Condition) error {
	ok, value, err := r.holds(ctx, c)
	if err == nil && !ok {
		err = fmt.Errorf("it is %d", value)
	}
	return err
}

// undoFor heals what waits for the given undo and befell the target.
func (r *runner) undoFor(ctx context.Context, do string, t scenarios.Target, rng *rand.Rand) error {
	a, err := r.aim(ctx, t, rng)
	if err != nil {
		return err
	}
	for _, v := range a.victims {
		if !r.waitsFor(do, v) {
			return fmt.Errorf("%s does not wait for that: no step before has made it", r.name(v))
		}
	}
	return r.heal(ctx, func(p pending) bool { return p.undo.Do == do && slices.Contains(a.victims, p.undo.victim()) })
}

func (r *runner) waitsFor(do string, v victim) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.pending, func(p pending) bool { return p.undo.Do == do && p.undo.victim() == v })
}

// start starts who was killed or stopped, and workers that have waited for it from the beginning.
func (r *runner) start(ctx context.Context, t scenarios.Target, rng *rand.Rand) error {
	a, err := r.aim(ctx, t, rng)
	if err != nil {
		return err
	}
	if len(a.victims) == 1 && a.victims[0].role != "" && !r.waitsFor(undoStart, a.victims[0]) {
		return hands{r.env}.start(ctx, a.victims[0])
	}
	return r.undoFor(ctx, undoStart, t, rng)
}

// hold has workers stop at a point. It is no fault, but is released at the end like one.
func (r *runner) hold(ctx context.Context, s scenarios.Step, rng *rand.Rand) error {
	a, err := r.aim(ctx, s.Target, rng)
	if err != nil {
		return err
	}
	for _, v := range a.victims {
		if v.role == "" {
			return fmt.Errorf("%s is no worker and cannot be held", r.name(v))
		}
		r.mu.Lock()
		r.pending = append(r.pending, pending{undoFor(undoRelease, v, 0), nil})
		r.mu.Unlock()
		if err := r.saveJournal(); err != nil {
			return err
		}
		if err := r.env.Workers.Hold(v.role, int(v.n), s.Point); err != nil {
			return err
		}
	}
	return nil
}

func describeStep(s scenarios.Step) string {
	switch {
	case s.When != nil:
		return s.Do + " " + s.When.Text
	case s.Do == "send":
		return fmt.Sprintf("send %d", s.N)
	case s.Target.Kind != scenarios.NoTarget:
		return s.Do + " " + s.Target.String()
	}
	return s.Do
}
