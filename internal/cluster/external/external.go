// Package external is a cluster that somebody else runs: kbench talks to it and hurts nothing about it.
package external

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/cluster"
)

// Cluster is a cluster at known addresses.
type Cluster struct {
	bootstrap []string
	admin     client.Admin
	brokers   []int32 // as they were when it was opened
}

var _ cluster.Cluster = (*Cluster)(nil)

const askEvery = 100 * time.Millisecond

// Open asks the cluster at the bootstrap addresses who its brokers are. The admin must be connected to it with whatever
// security it needs, and stays the caller's to close.
func Open(ctx context.Context, bootstrap []string, admin client.Admin) (*Cluster, error) {
	brokers, err := admin.Brokers(ctx)
	if err != nil {
		return nil, fmt.Errorf("cluster at %v: %w", bootstrap, err)
	}
	return &Cluster{bootstrap, admin, slices.Sorted(maps.Keys(brokers))}, nil
}

// Info of an external cluster: it does not tell its software and version.
func (c *Cluster) Info() cluster.Info {
	return cluster.Info{Kind: "external", Brokers: len(c.brokers)}
}

// Bootstrap addresses as they were given.
func (c *Cluster) Bootstrap() []string { return slices.Clone(c.bootstrap) }

// Brokers that were there when it was opened.
func (c *Cluster) Brokers() []int32 { return slices.Clone(c.brokers) }

// Healthy waits until every broker that was there is there again.
func (c *Cluster) Healthy(ctx context.Context) error {
	for {
		err := c.complete(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; last: %w", context.Cause(ctx), err)
		case <-time.After(askEvery):
		}
	}
}

func (c *Cluster) complete(ctx context.Context) error {
	now, err := c.admin.Brokers(ctx)
	if err != nil {
		return err
	}
	for _, id := range c.brokers {
		if _, ok := now[id]; !ok {
			return fmt.Errorf("broker %d is missing", id)
		}
	}
	return nil
}

// Close leaves the cluster alone.
func (c *Cluster) Close() error { return nil }
