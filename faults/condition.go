package faults

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/cluster"
	"github.com/kbench/kbench/scenarios"
)

const (
	pollCounted = 5 * time.Millisecond  // figures that kbench itself counts
	pollAsked   = 50 * time.Millisecond // figures that the cluster is asked for
)

// checkCondition says what keeps a condition from being evaluated here.
func checkCondition(env Env, c *scenarios.Condition) error {
	switch {
	case c == nil:
		return nil
	case c.Func == "filtered":
		if err := checkFilter(env); err != nil {
			return fmt.Errorf("%s: %w", c.Text, err)
		}
	case !slices.Contains([]string{"<", "<=", "=", "!=", ">=", ">"}, c.Op):
		return fmt.Errorf("%s: unknown comparison %q", c.Text, c.Op)
	}
	return nil
}

// figure is the value that a condition asks for, now. Figures that only grow count from the start of the cluster,
// filtered ones from the start of the run.
func (r *runner) figure(ctx context.Context, c *scenarios.Condition) (int64, error) {
	switch t := c.Target; c.Func {
	case "acked":
		return int64(r.env.Load.Acked()), nil
	case "sent":
		return int64(r.env.Load.Sent()), nil
	case "read":
		return int64(r.env.Load.Read()), nil
	case "filtered":
		return r.filteredSince()
	case "held":
		return r.held(t), nil
	case "processed":
		return int64(r.env.Workers.Counters(t.Kind, t.N)["processed"]), nil
	case "isr", "leader", "epoch":
		p, err := r.partition(ctx, partitionOf(t))
		return map[string]int64{"isr": int64(len(p.ISR)), "leader": int64(p.Leader), "epoch": int64(p.Epoch)}[c.Func], err
	case "end":
		return r.end(ctx, partitionOf(t))
	case "committed":
		return r.committed(ctx, c.Group, partitionOf(t))
	case "members":
		g, err := groupOf(ctx, r.env, c.Group)
		return int64(g.members), err
	}
	return 0, fmt.Errorf("no figure is called %q", c.Func)
}

// partition is what the cluster says of one now. A broker that lags behind, or is cut from the others, does not count: a
// partition's leader epoch never goes back.
func (r *runner) partition(ctx context.Context, of client.Partition) (client.PartitionState, error) {
	p, err := ask(ctx, askLimit, func(ctx context.Context) (client.PartitionState, error) { return stateOf(ctx, r.env, of) })
	if err != nil {
		return p, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, was := range []client.PartitionState{r.told[of], r.seen.partitions[of]} {
		if was.Epoch > p.Epoch {
			p = was
		}
	}
	r.told[of] = p
	return p, nil
}

func (r *runner) filteredSince() (int64, error) {
	f, ok := r.env.Cluster.(cluster.AnswerFilter)
	if !ok {
		return 0, checkFilter(r.env)
	}
	return int64(f.Filtered() - r.filtered), nil
}

// held is how many records a worker has in hand where it is held, at least 1, and 0 where it is not held.
func (r *runner) held(t scenarios.Target) int64 {
	point, records := r.env.Workers.Held(t.Kind, t.N)
	if point == "" {
		return 0
	}
	return int64(max(records, 1))
}

func (r *runner) end(ctx context.Context, of client.Partition) (int64, error) {
	return ask(ctx, askLimit, func(ctx context.Context) (int64, error) {
		ends, err := r.env.Admin.EndOffsets(ctx, r.env.Physical(of.Topic), client.ReadUncommitted)
		if err != nil {
			return 0, err
		}
		end, ok := ends[of.Partition]
		if !ok {
			return 0, fmt.Errorf("the end of %s is not known", partitionName(of))
		}
		return end, nil
	})
}

// committed offset of a group, -1 where it has none.
func (r *runner) committed(ctx context.Context, group string, of client.Partition) (int64, error) {
	return ask(ctx, askLimit, func(ctx context.Context) (int64, error) {
		offsets, err := r.env.Admin.CommittedOffsets(ctx, r.env.Group(group))
		if err != nil {
			return 0, err
		}
		for _, o := range offsets {
			if o.Topic == r.env.Physical(of.Topic) && o.Partition.Partition == of.Partition {
				return o.Offset, nil
			}
		}
		return -1, nil
	})
}

// wanted is what a condition compares with: a number, or the one broker that a step has named.
func (r *runner) wanted(c *scenarios.Condition) (int64, error) {
	if c.Name == "" {
		return c.Value, nil
	}
	a, err := r.named(c.Name)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%s: %w", c.Name, err)
	case len(a.victims) != 1 || a.victims[0].role != "":
		return 0, fmt.Errorf("%s is not one broker", c.Name)
	}
	return int64(a.victims[0].n), nil
}

// holds evaluates a condition once.
func (r *runner) holds(ctx context.Context, c *scenarios.Condition) (ok bool, value int64, err error) {
	wanted, err := r.wanted(c)
	if err != nil {
		return false, 0, err
	}
	if value, err = r.figure(ctx, c); err != nil {
		return false, 0, err
	}
	switch c.Op {
	case "<":
		ok = value < wanted
	case "<=":
		ok = value <= wanted
	case "=":
		ok = value == wanted
	case "!=":
		ok = value != wanted
	case ">=":
		ok = value >= wanted
	case ">":
		ok = value > wanted
	default:
		err = fmt.Errorf("unknown comparison %q", c.Op)
	}
	return ok, value, err
}

// await evaluates a condition until it holds. Where ctx ends first, the error says what was seen last.
func (r *runner) await(ctx context.Context, c *scenarios.Condition) error {
	if err := checkCondition(r.env, c); err != nil {
		return err
	}
	if _, err := r.wanted(c); err != nil {
		return err
	}
	pace := pollAsked
	if slices.Contains([]string{"acked", "sent", "read", "filtered", "held", "processed"}, c.Func) {
		pace = pollCounted
	}
	last := errors.New("never evaluated")
	for {
		ok, value, err := r.holds(ctx, c)
		switch {
		case ok && err == nil:
			return nil
		case err == nil:
			last = fmt.Errorf("last seen %d", value)
		case ctx.Err() == nil:
			last = err
		}
		if sleep(ctx, pace) != nil {
			return fmt.Errorf("%w, %w", context.Cause(ctx), last)
		}
	}
}
