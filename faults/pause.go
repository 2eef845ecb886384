package faults

import (
	"context"
	"math/rand"
)

// pause sends SIGSTOP to nodes or workers: they stand still, while their sockets keep taking what fits. A simulation may let a
// broker stand still likewise.
type pause struct{ order }

func newPause(o order) Fault { return pause{o} }

func (pause) Name() string { return "pause" }

func (f pause) Check(env Env) error { return checkVictims(env, f.target, mayBeFrozen) }

func (f pause) Inject(ctx context.Context, in *Injection, rng *rand.Rand) (bool, error) {
	victims, err := in.Aim(ctx, f.target, rng)
	if err != nil {
		return false, err
	}
	return in.strike(ctx, victims, blow{act: hands.pause, shows: statePaused, undo: undoResume})
}
