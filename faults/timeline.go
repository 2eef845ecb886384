package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"sync"
	"time"

	"github.com/kbench/kbench/internal/rundir"
	"github.com/kbench/kbench/scenarios"
)

// RunTimeline injects each fault at its time after start, or when its condition comes true, and heals it after its
// duration or, where it has none, when the load ends. start and end are on the run's clock, in ns. It returns when the
// load is over, everything is healed, and the cluster shows that it has got over it; when ctx ends it heals at once.
//
// live, if not nil, gets the records whenever they change. A fault that could not be done carries its error in its
// record and through Env.Fail, and has not bitten; the error returned is about the cluster before, and about healing.
func RunTimeline(ctx context.Context, env Env, list []scenarios.Fault, rng *rand.Rand, start, end int64, live func([]rundir.Fault)) ([]rundir.Fault, error) {
	if len(list) == 0 {
		return nil, nil
	}
	var targets []scenarios.Target
	for _, f := range list {
		targets = append(targets, f.Target)
	}
	return run(ctx, env, subjectsOf(env, targets), live, func(r *runner) error {
		loading, cancel := context.WithTimeoutCause(ctx, time.Duration(end-env.Now()), errLoadOver)
		defer cancel()
		var playing sync.WaitGroup
		for _, f := range list {
			in := r.plan(f.Action, f.Target.String())
			in.rec.Drawn = f.Drawn
			draw := rand.New(rand.NewSource(rng.Int63())) // its own, so that victims do not depend on who comes first
			playing.Go(func() { r.play(ctx, loading, in, f, draw, start) })
		}
		playing.Wait()
		if r.hurting() {
			<-loading.Done()
		}
		return nil
	})
}

var errLoadOver = errors.New("the load is over")

// play is one fault's life until the end of the load; what is not healed by then is healed with the rest.
func (r *runner) play(ctx, loading context.Context, in *Injection, f scenarios.Fault, rng *rand.Rand, start int64) {
	err := r.awaitTrigger(loading, f.At, start)
	if err == nil && f.Drawn {
		turn := r.turns.of(roleOf(f.Target)) // kept until the fault is healed
		turn.Lock()
		defer turn.Unlock()
		err = r.awaitWhole(loading, f.Target)
	}
	if err != nil {
		err = fmt.Errorf("never injected: %w", err)
	} else {
		err = r.begin(ctx, in, ofFault(f), rng)
	}
	if err != nil {
		in.failed(at(f.Pos, err))
		if r.env.Fail != nil {
			r.env.Fail(f.Action, err)
		}
		_ = in.heal(context.WithoutCancel(ctx), nil) // what was half done; a problem is in its record
		return
	}
	if f.For > 0 && sleep(loading, f.For) == nil {
		_ = in.heal(context.WithoutCancel(ctx), nil) // likewise, and the end tries again
	}
}

func (r *runner) awaitTrigger(ctx context.Context, t scenarios.Trigger, start int64) error {
	if t.When == nil {
		return sleep(ctx, time.Duration(start+t.After.Nanoseconds()-r.env.Now()))
	}
	if err := r.await(ctx, t.When); err != nil {
		return fmt.Errorf("%s: %w", t.When.Text, err)
	}
	return nil
}
