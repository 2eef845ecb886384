package faults

import (
	"context"
	"math/rand"
)

// stop sends SIGTERM to nodes, which shut down in good order.
type stop struct{ order }

func newStop(o order) Fault { return stop{o} }

func (stop) Name() string { return "stop" }

func (f stop) Check(env Env) error { return checkVictims(env, f.target, mayBeSimulated|nodesOnly) }

func (f stop) Inject(ctx context.Context, in *Injection, rng *rand.Rand) (bool, error) {
	victims, err := in.Aim(ctx, f.target, rng)
	if err != nil {
		return false, err
	}
	return in.strike(ctx, victims, blow{act: hands.stop, shows: stateDead, undo: undoStart})
}
