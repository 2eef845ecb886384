package local

import (
	"context"
	"errors"
	"fmt"

	"github.com/kbench/kbench/internal/cluster/kraft"
	"github.com/kbench/kbench/internal/proc"
)

// Healthy waits until the cluster is whole. It goes past the proxies.
func (c *Cluster) Healthy(ctx context.Context) error {
	return kraft.Healthy(ctx, c.Direct(), c.Brokers(), c.allRun)
}

// allRun says which nodes are dead or paused.
func (c *Cluster) allRun() error {
	var problems []error
	for _, n := range c.nodes {
		st, err := n.state()
		if err == nil && st.State != proc.Running {
			err = fmt.Errorf("%s is %s", kraft.Name(n.id), st.State)
		}
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}
