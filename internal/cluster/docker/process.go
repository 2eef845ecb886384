package docker

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/kbench/kbench/internal/cluster"
	"github.com/kbench/kbench/internal/cluster/kraft"
	"github.com/kbench/kbench/internal/proc"
)

const (
	stateRunning = proc.Running
	statePaused  = proc.Paused
	stateDead    = proc.Dead

	lookEvery = 5 * time.Millisecond
	lookLimit = 10 * time.Second
)

// Kill ends a node by SIGKILL.
func (c *Cluster) Kill(ctx context.Context, id int32) error { return c.end(ctx, id, "SIGKILL") }

// Stop ends a node by SIGTERM, which has it hand over its leaderships first. A paused node cannot.
func (c *Cluster) Stop(ctx context.Context, id int32) error {
	st, err := c.State(id)
	if err != nil {
		return err
	}
	if st.State == statePaused {
		return fmt.Errorf("%s is paused and cannot stop by itself", kraft.Name(id))
	}
	return c.end(ctx, id, "SIGTERM")
}

func (c *Cluster) end(ctx context.Context, id int32, signal string) error {
	if err := c.alive(id); err != nil {
		return err
	}
	if _, err := c.engine.client.ContainerKill(ctx, c.container(id), client.ContainerKillOptions{Signal: signal}); err != nil {
		return fmt.Errorf("%s: %s: %w", kraft.Name(id), signal, err)
	}
	if err := c.awaitState(ctx, id, stateDead); err != nil {
		return err
	}
	c.died(id)
	return c.logs.drained(ctx, c.container(id))
}

// Pause stops every process of a node's container, by the kernel's freezer.
func (c *Cluster) Pause(ctx context.Context, id int32) error {
	if err := c.alive(id); err != nil {
		return err
	}
	err := frozen(func() error {
		_, err := c.engine.client.ContainerPause(ctx, c.container(id), client.ContainerPauseOptions{})
		return err
	})
	if err != nil {
		return fmt.Errorf("pausing %s: %w", kraft.Name(id), err)
	}
	return c.awaitState(ctx, id, statePaused)
}

const freezeTries = 5

// frozen tries again where the kernel could not freeze all: control groups of the first version cannot while a process is being
// made, runc then lets all go on, and leaves trying again to who asked (opencontainers/runc#4388).
func frozen(freeze func() error) error {
	for tried := 1; ; tried++ {
		err := freeze()
		if err == nil || tried == freezeTries || !strings.Contains(err.Error(), "unable to freeze") {
			return err
		}
	}
}

// Resume lets a paused node go on.
func (c *Cluster) Resume(ctx context.Context, id int32) error {
	if err := c.alive(id); err != nil {
		return err
	}
	if _, err := c.engine.client.ContainerUnpause(ctx, c.container(id), client.ContainerUnpauseOptions{}); err != nil {
		return fmt.Errorf("resuming %s: %w", kraft.Name(id), err)
	}
	return c.awaitState(ctx, id, stateRunning)
}

// Start starts a node, again with its data and at its address.
func (c *Cluster) Start(ctx context.Context, id int32) error {
	st, err := c.State(id)
	if err != nil {
		return err
	}
	if st.State != stateDead {
		return fmt.Errorf("%s runs already", kraft.Name(id))
	}
	since := time.Now()
	if _, err := c.engine.client.ContainerStart(ctx, c.container(id), client.ContainerStartOptions{}); err != nil {
		return fmt.Errorf("starting %s: %w", kraft.Name(id), err)
	}
	c.logs.follow(c.container(id), kraft.Name(id), since)
	return c.born(ctx, id)
}

func (c *Cluster) alive(id int32) error {
	st, err := c.State(id)
	return orSaying(err, st.State == stateDead, "%s is dead", kraft.Name(id))
}

// State of a node, as the engine shows it now.
func (c *Cluster) State(id int32) (cluster.ProcessState, error) {
	st, _, err := c.look(context.Background(), id)
	return st, err
}

// look asks the engine for a node's state, and whether it is cut from its peers.
func (c *Cluster) look(ctx context.Context, id int32) (st cluster.ProcessState, cut bool, err error) {
	if err := c.known(id); err != nil {
		return st, false, err
	}
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	found, err := c.engine.client.ContainerInspect(ctx, c.container(id), client.ContainerInspectOptions{})
	if err != nil {
		return st, false, fmt.Errorf("state of %s: %w", kraft.Name(id), err)
	}
	_, among := found.Container.NetworkSettings.Networks[peersNetwork(c.Run)]
	st, err = stateOf(found.Container.State)
	return st, !among, err
}

func stateOf(s *container.State) (cluster.ProcessState, error) {
	switch s.Status {
	case container.StatePaused, container.StateRunning:
	default:
		return cluster.ProcessState{State: stateDead}, nil
	}
	state := stateRunning
	if s.Paused {
		state = statePaused
	}
	started, err := time.Parse(time.RFC3339Nano, s.StartedAt)
	return cluster.ProcessState{Pid: s.Pid, State: state, Started: started}, err
}

func (c *Cluster) awaitState(ctx context.Context, id int32, want string) error {
	return c.await(ctx, func(ctx context.Context) (bool, string, error) {
		st, _, err := c.look(ctx, id)
		return st.State == want, fmt.Sprintf("%s is %s, not %s", kraft.Name(id), st.State, want), err
	})
}

// await looks until it sees what is wanted.
func (c *Cluster) await(ctx context.Context, look func(context.Context) (seen bool, otherwise string, err error)) error {
	for {
		seen, otherwise, err := look(ctx)
		if seen && err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", otherwise, ctx.Err())
		case <-time.After(lookEvery):
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// born notes the process of a node that lives, where it is one of this machine: an engine in a virtual machine has others.
func (c *Cluster) born(ctx context.Context, id int32) error {
	found, err := c.engine.client.ContainerInspect(ctx, c.container(id), client.ContainerInspectOptions{})
	if err != nil {
		return fmt.Errorf("process of %s: %w", kraft.Name(id), err)
	}
	pid := found.Container.State.Pid
	groups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil || !strings.Contains(string(groups), found.Container.ID) {
		return nil // its resources are not told
	}
	named, err := proc.Identify(pid)
	if err != nil {
		return nil // it has ended already
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pids[id] = named
	return nil
}

func (c *Cluster) died(id int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pids, id)
}

// Processes are the ids of the processes of the nodes that live.
func (c *Cluster) Processes() map[int32]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	alive := map[int32]int{}
	for id, p := range c.pids {
		if p.Alive() {
			alive[id] = p.Pid
		}
	}
	return alive
}
