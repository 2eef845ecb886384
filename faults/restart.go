package faults

import (
	"context"
	"fmt"
	"math/rand"
	"time"
)

// restart stops nodes in good order and starts them again after a while.
type restart struct{ order }

func newRestart(o order) Fault { return restart{o} }

func (restart) Name() string { return "restart" }

func (f restart) Check(env Env) error { return checkVictims(env, f.target, mayBeSimulated|nodesOnly) }

func (f restart) Inject(ctx context.Context, in *Injection, rng *rand.Rand) (bool, error) {
	victims, err := in.Aim(ctx, f.target, rng)
	if err != nil {
		return false, err
	}
	return in.restart(ctx, victims, f.last)
}

// restart stops the victims, leaves them down for a while, and starts them.
func (in *Injection) restart(ctx context.Context, victims []victim, down time.Duration) (bit bool, err error) {
	bit, err = in.strike(ctx, victims, blow{act: hands.stop, shows: stateDead, undo: undoStart})
	if err != nil {
		return false, err
	}
	if err := sleep(ctx, down); err != nil {
		return bit, err
	}
	if err := in.heal(ctx, nil); err != nil {
		return bit, fmt.Errorf("start again: %w", err)
	}
	return bit, nil
}
