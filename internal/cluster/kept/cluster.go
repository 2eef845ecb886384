package kept

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/cluster"
	"github.com/kbench/kbench/internal/cluster/external"
	"github.com/kbench/kbench/internal/proc"
)

// Cluster is a kept cluster as a run sees it: an external one, which stays, and whose nodes can be hurt.
type Cluster struct {
	*external.Cluster
	Nodes
	record Record
	admin  client.Admin
}

var (
	_ cluster.Cluster = (*Cluster)(nil)
	_ cluster.Process = (*Cluster)(nil)
	_ cluster.Owner   = (*Cluster)(nil)
	_ cluster.Made    = (*Cluster)(nil)
	_ cluster.Logs    = (*Cluster)(nil)
)

// A cluster that is waited for is asked so often, and each time given so long.
const (
	askEvery    = 50 * time.Millisecond
	answerLimit = 5 * time.Second
)

// Open a kept cluster for a run, and heal what an earlier run that was killed has left: nodes that are dead or paused. The
// admin must be connected to it, and stays the caller's to close. logs takes the nodes' logs where they lie nowhere on this
// machine.
func (s Store) Open(ctx context.Context, r Record, logs string, admin client.Admin) (cluster.Cluster, error) {
	k, err := s.open(ctx, r.Spec.Name, logs)
	if err != nil {
		return nil, fmt.Errorf("kept cluster %s: %w", r.Spec.Name, err)
	}
	c, err := open(ctx, k, admin, s.Note)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("kept cluster %s: %w", r.Spec.Name, err), k.Close())
	}
	if link, ok := k.Nodes.(linked); ok {
		return &Linked{c, link}, nil
	}
	return c, nil
}

// linked are nodes that can be cut from their peers.
type linked interface {
	cluster.PeerLink
	cluster.Teller
}

// Linked is a kept cluster whose nodes are linked by a network of their own.
type Linked struct {
	*Cluster
	linked
}

func open(ctx context.Context, k Kept, admin client.Admin, note func(format string, args ...any)) (*Cluster, error) {
	c := &Cluster{Nodes: k.Nodes, record: k.Record, admin: admin}
	if err := c.heal(ctx, note); err != nil {
		return nil, err
	}
	if err := c.Healthy(ctx); err != nil {
		return nil, err
	}
	var err error
	c.Cluster, err = external.Open(ctx, k.Bootstrap, admin)
	return c, err
}

func (c *Cluster) all() []int32 { return slices.Concat(c.record.Controllers, c.record.Brokers) }

func (c *Cluster) heal(ctx context.Context, note func(format string, args ...any)) error {
	for _, id := range c.all() {
		st, err := c.State(id)
		if err != nil {
			return err
		}
		switch st.State {
		case proc.Dead:
			note("node %d is dead, and is started", id)
			err = c.Start(ctx, id)
		case proc.Paused:
			note("node %d is paused, and goes on", id)
			err = c.Resume(ctx, id)
		}
		if err == nil {
			err = c.join(ctx, id, note)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// join links a node with its peers again, where it was cut from them.
func (c *Cluster) join(ctx context.Context, id int32, note func(format string, args ...any)) error {
	link, ok := c.Nodes.(cluster.PeerLink)
	if !ok {
		return nil
	}
	cut, err := link.PeersCut(id)
	if err != nil || !cut {
		return err
	}
	note("node %d is cut from its peers, and is joined with them", id)
	return link.JoinPeers(ctx, id)
}

// Info of an external cluster of which kbench knows what it is.
func (c *Cluster) Info() cluster.Info {
	i := c.record.Info
	i.Kind = string(cluster.External)
	return i
}

// Healthy waits until every node runs, and every broker is registered and answers: of one that was started within its
// session, others say that it is there all the while.
func (c *Cluster) Healthy(ctx context.Context) error {
	for {
		err := errors.Join(c.allRun(), c.allServe(ctx))
		if err == nil {
			return nil
		}
		if !pause(ctx, askEvery) {
			return fmt.Errorf("%w; last: %w", context.Cause(ctx), err)
		}
	}
}

// allServe says which brokers are not registered, or do not answer themselves.
func (c *Cluster) allServe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	registered, err := c.admin.Brokers(ctx)
	if err != nil {
		return err
	}
	for _, id := range c.record.Brokers {
		if _, ok := registered[id]; !ok {
			return fmt.Errorf("broker %d is not registered", id)
		}
		if _, err := c.admin.BrokerConfig(ctx, id); err != nil {
			return fmt.Errorf("broker %d does not answer: %w", id, err)
		}
	}
	return nil
}

func (c *Cluster) allRun() error {
	for _, id := range c.all() {
		st, err := c.State(id)
		if err == nil && st.State != proc.Running {
			err = fmt.Errorf("node %d is %s", id, st.State)
		}
		if link, ok := c.Nodes.(cluster.PeerLink); ok && err == nil {
			var cut bool
			if cut, err = link.PeersCut(id); cut {
				err = fmt.Errorf("node %d is cut from its peers", id)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Settings that every node was given.
func (c *Cluster) Settings() map[string]string { return maps.Clone(c.record.Settings) }

// JVM flags of a broker.
func (c *Cluster) JVM() []string { return slices.Clone(c.record.JVM) }

// Close lets go of the cluster, which stays.
func (c *Cluster) Close() error { return c.Nodes.Close() }
