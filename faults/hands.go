package faults

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kbench/kbench/internal/cluster"
	"github.com/kbench/kbench/scenarios"
)

// States of a node or worker as the system shows them; detached is what a simulation shows in place of dead.
const (
	stateRunning  = "running"
	statePaused   = "paused"
	stateDead     = "dead"
	stateDetached = "detached"
	stateIsolated = "isolated"
)

// victim is a node of the cluster, or a worker where role is set.
type victim struct {
	role string
	n    int32
}

// hands do to a victim what a fault asks for. Each call returns once the system shows the effect.
type hands struct{ env Env }

func (h hands) kill(ctx context.Context, v victim) error {
	if v.role != "" {
		return h.env.Workers.Kill(v.role, int(v.n))
	}
	return h.node(func(p cluster.Process) error { return h.atRest(v, stateDead, p.Kill(ctx, v.n)) },
		func(d cluster.Detacher) error { return d.Detach(ctx, v.n) })
}

func (h hands) stop(ctx context.Context, v victim) error {
	return h.node(func(p cluster.Process) error { return h.atRest(v, stateDead, p.Stop(ctx, v.n)) },
		func(d cluster.Detacher) error { return d.Detach(ctx, v.n) })
}

func (h hands) pause(ctx context.Context, v victim) error {
	if v.role != "" {
		return h.env.Workers.Pause(v.role, int(v.n))
	}
	if f := freezer(h.env); f != nil {
		return f.Freeze(ctx, v.n)
	}
	return h.node(func(p cluster.Process) error { return h.atRest(v, statePaused, p.Pause(ctx, v.n)) }, nil)
}

func (h hands) resume(ctx context.Context, v victim) error {
	if v.role != "" {
		return h.env.Workers.Resume(v.role, int(v.n))
	}
	if f := freezer(h.env); f != nil {
		h.goesOn(v)
		return f.Thaw(ctx, v.n)
	}
	return h.node(func(p cluster.Process) error { h.goesOn(v); return p.Resume(ctx, v.n) }, nil)
}

func (h hands) start(ctx context.Context, v victim) error {
	if v.role != "" {
		return h.env.Workers.Start(ctx, v.role, int(v.n))
	}
	return h.node(func(p cluster.Process) error { h.goesOn(v); return p.Start(ctx, v.n) },
		func(d cluster.Detacher) error { return d.Attach(ctx, v.n) })
}

// atRest passes on whether a node's process was brought to rest.
func (h hands) atRest(v victim, state string, err error) error {
	if err == nil && h.env.AtRest != nil {
		h.env.AtRest(v.n, state)
	}
	return err
}

func (h hands) goesOn(v victim) {
	if h.env.GoesOn != nil {
		h.env.GoesOn(v.n)
	}
}

// state of the victim, and its process id, 0 where there is none.
func (h hands) state(v victim) (state string, pid int, err error) {
	if v.role != "" {
		return h.env.Workers.State(v.role, int(v.n))
	}
	err = h.node(func(p cluster.Process) error {
		s, err := p.State(v.n)
		state, pid = s.State, s.Pid
		return err
	}, func(d cluster.Detacher) error {
		f := freezer(h.env)
		switch {
		case !d.Attached(v.n):
			state = stateDetached
		case f != nil && f.Frozen(v.n):
			state = statePaused
		default:
			state = stateRunning
		}
		return nil
	})
	return state, pid, err
}

// node takes the process if the cluster has any, else, in a simulation, the broker's port.
func (h hands) node(process func(cluster.Process) error, port func(cluster.Detacher) error) error {
	switch c := h.env.Cluster.(type) {
	case cluster.Process:
		return process(c)
	case cluster.Detacher:
		if port != nil {
			return port(c)
		}
	}
	return noProcess(h.env)
}

// freezer is the simulation that can let brokers stand still; nil where there are processes, or none can.
func freezer(env Env) cluster.Freezer {
	if _, real := env.Cluster.(cluster.Process); real {
		return nil
	}
	f, _ := env.Cluster.(cluster.Freezer)
	return f
}

func noProcess(env Env) error {
	return fmt.Errorf("needs a cluster whose processes kbench has started: --cluster local; %s has none", describe(env))
}

func describe(env Env) string {
	info := env.Cluster.Info()
	if info.Simulated {
		return "the " + info.Kind + " cluster, a simulation,"
	}
	return "the " + info.Kind + " cluster"
}

// demand is what checkVictims allows.
type demand uint8

const (
	mayBeSimulated demand = 1 << iota // detaching a broker will do
	mayBeFrozen                       // letting a broker stand still will do
	nodesOnly                         // not for workers
)

// checkVictims says what keeps a target from being hurt here, as far as it can be known before the load.
func checkVictims(env Env, t scenarios.Target, d demand) error {
	switch t.Kind {
	case scenarios.ProducerWorker, scenarios.ConsumerWorker, scenarios.ProcessorWorker:
		return checkWorker(env, t, d)
	case scenarios.Named: // checked where it was given
		return nil
	}
	_, process := env.Cluster.(cluster.Process)
	_, detacher := env.Cluster.(cluster.Detacher)
	switch {
	case !process && !(detacher && d&mayBeSimulated != 0) && !(freezer(env) != nil && d&mayBeFrozen != 0):
		return noProcess(env)
	case !process && t.Kind == scenarios.Controller:
		return fmt.Errorf("%s has no controller of its own", describe(env))
	case t.Kind == scenarios.Broker && !t.Random && !slices.Contains(env.Cluster.Brokers(), int32(t.N)):
		return fmt.Errorf("no such broker: the cluster has %v", env.Cluster.Brokers())
	case t.Topic != "" && len(env.Topics) > 0 && !slices.Contains(env.Topics, t.Topic):
		return fmt.Errorf("no such topic in this run: %s", strings.Join(env.Topics, ", "))
	}
	return nil
}

func checkWorker(env Env, t scenarios.Target, d demand) error {
	if d&nodesOnly != 0 {
		return errors.New("a worker can be killed or paused, nothing else")
	}
	if env.Workers == nil {
		return errors.New("this run has no workers")
	}
	state, pid, err := env.Workers.State(t.Kind, t.N)
	if err == nil && state == stateRunning && pid == 0 {
		err = errors.New("the worker is no process of its own, so no signal can reach it")
	}
	return err
}
