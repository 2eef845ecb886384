package faults

import (
	"context"
	"fmt"
	"math/rand"

	"github.com/kbench/kbench/internal/cluster"
)

// isolate cuts nodes from their peers and from the controllers, and leaves them to their clients: a leader goes on without
// knowing that it is deposed.
type isolate struct{ order }

func newIsolate(o order) Fault { return isolate{o} }

func (isolate) Name() string { return "isolate" }

func (f isolate) Check(env Env) error {
	if _, err := linkOf(env); err != nil {
		return err
	}
	return checkVictims(env, f.target, nodesOnly)
}

func (f isolate) Inject(ctx context.Context, in *Injection, rng *rand.Rand) (bool, error) {
	victims, err := in.Aim(ctx, f.target, rng)
	if err != nil {
		return false, err
	}
	link, err := linkOf(in.Env)
	if err != nil {
		return false, err
	}
	for _, v := range victims {
		if cut, err := link.PeersCut(v.n); err != nil || cut {
			return false, fmt.Errorf("%s is to be whole: isolated already is %v: %w", in.run.name(v), cut, err)
		}
		in.before(undoFor(undoRejoin, v, 0))
	}
	if err := in.journalled(); err != nil {
		return false, err
	}
	in.struck()
	in.begins()
	for _, v := range victims {
		if err := link.CutPeers(ctx, v.n); err != nil {
			return false, fmt.Errorf("%s: %w", in.run.name(v), err)
		}
	}
	return in.isolated(link, victims)
}

// isolated is the system's word on what became of the victims.
func (in *Injection) isolated(link cluster.PeerLink, victims []victim) (bit bool, err error) {
	bit = len(victims) > 0
	for _, v := range victims {
		cut, err := link.PeersCut(v.n)
		if err != nil {
			return false, err
		}
		if cut {
			in.see("%s is off its peers' network", in.run.name(v))
		} else {
			bit = false
			in.see("%s is on its peers' network still", in.run.name(v))
		}
	}
	return bit, nil
}

// askTheIsolated asks a broker that is still cut off who leads what it led: clients that have not asked another one since
// believe it.
func (in *Injection) askTheIsolated(ctx context.Context, v victim) {
	teller, ok := in.Cluster.(cluster.Teller)
	if !ok {
		return
	}
	for _, p := range in.leads {
		leader, epoch, err := teller.LeaderBy(ctx, v.n, in.Physical(p.Topic), p.Partition)
		switch {
		case err != nil:
			in.see("%s, still cut off, does not say who leads %s: %v", in.run.name(v), partitionName(p), err)
		case leader == v.n:
			in.see("%s, still cut off, answers clients, and takes itself for the leader of %s, epoch %d", in.run.name(v), partitionName(p), epoch)
		default:
			in.see("%s, still cut off, names broker %d the leader of %s, epoch %d", in.run.name(v), leader, partitionName(p), epoch)
		}
	}
}

// rejoin heals it. What the node has on disk is kept first: it truncates what its peers do not have.
func (h hands) rejoin(ctx context.Context, v victim) error {
	link, err := linkOf(h.env)
	if err != nil {
		return err
	}
	cut, err := link.PeersCut(v.n)
	if err != nil || !cut {
		return err
	}
	_ = h.atRest(v, stateIsolated, nil)
	h.goesOn(v)
	return link.JoinPeers(ctx, v.n)
}

func linkOf(env Env) (cluster.PeerLink, error) {
	link, ok := env.Cluster.(cluster.PeerLink)
	if !ok {
		return nil, fmt.Errorf("needs a cluster whose brokers have networks of their own: --cluster docker; %s has none", describe(env))
	}
	return link, nil
}
