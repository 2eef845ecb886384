package faults

import (
	"context"
	"fmt"
	"math/rand"
	"time"

	"github.com/kbench/kbench/scenarios"
)

// rolling restarts every broker in turn, as an upgrade does: the next only once the one before is in sync again.
type rolling struct{ order }

// rejoinLimit is how long one broker may take to be registered and in sync again.
const rejoinLimit = 2 * time.Minute

func newRolling(o order) Fault { return rolling{o} }

func (rolling) Name() string { return "rolling-restart" }

func (f rolling) Check(env Env) error {
	return checkVictims(env, scenarios.Target{Kind: scenarios.Brokers}, mayBeSimulated|nodesOnly)
}

// Inject returns when the last broker is back. It has bitten only if every broker was really stopped.
func (f rolling) Inject(ctx context.Context, in *Injection, rng *rand.Rand) (bool, error) {
	brokers, err := in.Aim(ctx, scenarios.Target{Kind: scenarios.Brokers}, rng)
	if err != nil {
		return false, err
	}
	all := true
	for i, b := range brokers {
		bit, err := in.restart(ctx, []victim{b}, 0)
		if err == nil {
			err = in.rejoined(ctx, b)
		}
		if err != nil {
			return false, fmt.Errorf("after %d of %d brokers: %w", i, len(brokers), err)
		}
		all = all && bit
	}
	return all, nil
}

// rejoined waits until a broker is registered and in every ISR that it belongs to.
func (in *Injection) rejoined(ctx context.Context, b victim) error {
	waiting, cancel := context.WithTimeout(ctx, rejoinLimit)
	defer cancel()
	for {
		missing, err := in.run.lookNow(waiting)
		if err == nil {
			why := missing.without(b.n)
			if why == "" {
				return nil
			}
			err = fmt.Errorf("%s is not back: %s", in.run.name(b), why)
		}
		if sleep(waiting, lookEvery) != nil {
			return err
		}
	}
}
