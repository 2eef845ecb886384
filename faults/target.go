package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"slices"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/scenarios"
)

// aimed is what a target turned out to be.
type aimed struct {
	victims []victim
	leads   []client.Partition // aimed at by their leader
}

// aim finds who is meant by a target at this moment.
func (r *runner) aim(ctx context.Context, t scenarios.Target, rng *rand.Rand) (aimed, error) {
	switch t.Kind {
	case scenarios.ProducerWorker, scenarios.ConsumerWorker, scenarios.ProcessorWorker:
		return aimed{victims: []victim{{t.Kind, int32(t.N)}}}, nil
	case scenarios.Killed:
		return r.hurt(undoStart)
	case scenarios.Paused:
		return r.hurt(undoResume)
	case scenarios.Named:
		return r.named(t.Name)
	}
	nodes, err := r.nodes(ctx, t, rng)
	if err != nil {
		return aimed{}, err
	}
	var a aimed
	for _, n := range nodes {
		a.victims = append(a.victims, victim{n: n})
	}
	if t.Kind == scenarios.Leader {
		a.leads = []client.Partition{partitionOf(t)}
	}
	return a, nil
}

func partitionOf(t scenarios.Target) client.Partition {
	return client.Partition{Topic: t.Topic, Partition: int32(t.Partition)}
}

// nodes that a target means; never none without an error.
func (r *runner) nodes(ctx context.Context, t scenarios.Target, rng *rand.Rand) ([]int32, error) {
	switch t.Kind {
	case scenarios.Leader, scenarios.Follower, scenarios.Followers:
		p, err := ask(ctx, askLimit, func(ctx context.Context) (client.PartitionState, error) { return led(ctx, r.env, partitionOf(t)) })
		if err != nil {
			return nil, err
		}
		return fromPartition(t.Kind, p, rng)
	case scenarios.Broker:
		return r.broker(t, rng)
	case scenarios.Brokers:
		return sortedCopy(r.env.Cluster.Brokers()), nil
	case scenarios.Controller:
		id, err := ask(ctx, askLimit, r.env.Admin.Controller)
		return []int32{id}, err
	case scenarios.GroupCoordinator:
		id, err := coordinatorOf(ctx, r.env, coordinated{client.GroupCoordinator, t.Name})
		return []int32{id}, err
	case scenarios.TransactionCoordinator:
		id, err := coordinatorOf(ctx, r.env, coordinated{client.TransactionCoordinator, t.Name})
		return []int32{id}, err
	}
	return nil, fmt.Errorf("%q is nobody who could be hurt", t.Kind)
}

// stateOf one partition.
func stateOf(ctx context.Context, env Env, of client.Partition) (client.PartitionState, error) {
	list, err := env.Admin.Partitions(ctx, env.Physical(of.Topic))
	if err != nil {
		return client.PartitionState{}, err
	}
	for _, p := range list {
		if p.Partition.Partition == of.Partition {
			return p, nil
		}
	}
	return client.PartitionState{}, definite{fmt.Errorf("topic %s has no partition %d, only %d partitions", of.Topic, of.Partition, len(list))}
}

// led is the state of a partition that has a leader.
func led(ctx context.Context, env Env, of client.Partition) (client.PartitionState, error) {
	p, err := stateOf(ctx, env, of)
	if err == nil && p.Leader < 0 {
		err = fmt.Errorf("%s has no leader", partitionName(of))
	}
	return p, err
}

// fromPartition takes the leader, one follower or all of them. A follower is drawn from those in sync, if there are any.
func fromPartition(kind string, p client.PartitionState, rng *rand.Rand) ([]int32, error) {
	leader := []int32{p.Leader}
	if kind == scenarios.Leader {
		return leader, nil
	}
	followers := minus(sortedCopy(p.Replicas), leader)
	if len(followers) == 0 {
		return nil, errors.New("the partition has no follower: its only replica leads it")
	}
	if kind == scenarios.Followers {
		return followers, nil
	}
	if inSync := minus(sortedCopy(p.ISR), leader); len(inSync) > 0 {
		followers = inSync
	}
	return []int32{followers[rng.Intn(len(followers))]}, nil
}

// broker N, or one drawn from those that run, and have replicas of the run's topics if any of them has.
func (r *runner) broker(t scenarios.Target, rng *rand.Rand) ([]int32, error) {
	known := sortedCopy(r.env.Cluster.Brokers())
	if !t.Random {
		if !slices.Contains(known, int32(t.N)) {
			return nil, fmt.Errorf("no such broker: the cluster has %v", known)
		}
		return []int32{int32(t.N)}, nil
	}
	var running []int32
	for _, id := range known {
		state, _, err := hands{r.env}.state(victim{n: id})
		if err != nil {
			return nil, err
		}
		if state == stateRunning {
			running = append(running, id)
		}
	}
	if len(running) == 0 {
		return nil, errors.New("no broker runs")
	}
	r.mu.Lock()
	idle := func(id int32) bool { return !r.seen.replicates([]victim{{n: id}}) }
	if useful := slices.DeleteFunc(slices.Clone(running), idle); len(useful) > 0 {
		running = useful
	}
	r.mu.Unlock()
	return []int32{running[rng.Intn(len(running))]}, nil
}

// hurt are the victims that wait for the given undo.
func (r *runner) hurt(undo string) (aimed, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var a aimed
	for _, p := range r.pending {
		if v := p.undo.victim(); p.undo.Do == undo && !slices.Contains(a.victims, v) {
			a.victims = append(a.victims, v)
		}
	}
	if len(a.victims) == 0 {
		return a, errors.New("nobody is, by now")
	}
	return a, nil
}

func (r *runner) named(name string) (aimed, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a, ok := r.names[name]
	if !ok {
		return a, errors.New("no step before has given this name")
	}
	return a, nil
}

func sortedCopy(ids []int32) []int32 { return slices.Sorted(slices.Values(ids)) }
