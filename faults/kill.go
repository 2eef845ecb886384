package faults

import (
	"context"
	"math/rand"
)

// kill sends SIGKILL to nodes or workers.
type kill struct{ order }

func newKill(o order) Fault { return kill{o} }

func (kill) Name() string { return "kill" }

func (f kill) Check(env Env) error { return checkVictims(env, f.target, mayBeSimulated) }

func (f kill) Inject(ctx context.Context, in *Injection, rng *rand.Rand) (bool, error) {
	victims, err := in.Aim(ctx, f.target, rng)
	if err != nil {
		return false, err
	}
	return in.strike(ctx, victims, blow{act: hands.kill, shows: stateDead, undo: undoStart})
}
