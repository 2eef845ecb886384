package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/rundir"
)

// build sends the backlog, as fast as the client takes it, and waits until each record has its end. Nobody reads meanwhile.
func (r *run) build(ctx context.Context) error {
	n := r.s.Load.Backlog
	if n == 0 {
		return nil
	}
	r.note("building a backlog of %d records", n)
	b := rundir.Backlog{Records: n, Start: r.clock.Now()}
	tell := func() { r.change(func(m *rundir.Meta) { own := b; m.Load.Backlog = &own }) }
	tell()
	if err := r.crew.Send(ctx, int(n), false); err != nil {
		return fmt.Errorf("build the backlog: %w", err)
	}
	if err := r.crew.Flush(ctx); err != nil {
		return fmt.Errorf("build the backlog: %w", err)
	}
	b.Built = r.clock.Now()
	tell()
	r.note("the backlog is built: %d records in %v", n, time.Duration(b.Built-b.Start).Round(time.Millisecond))
	return nil
}

// readLate starts the readers of a backlog beside the load, which does not wait for them: that a group takes its time to come
// together is a part of what its members have to catch up with.
func (r *run) readLate(ctx context.Context) {
	if r.s.Load.Backlog == 0 {
		return
	}
	r.change(func(m *rundir.Meta) {
		own := *m.Load.Backlog
		own.Read = r.clock.Now()
		m.Load.Backlog = &own
	})
	r.begins.Go(func() {
		if err := r.startRoles(ctx, roleConsumer, roleProcessor); err != nil && ctx.Err() == nil {
			r.problem("start the readers: %v", err)
		}
	})
}

// quiet is for how long nobody may have read anything new before a backlog counts as worked off whose end nobody has shown to reach:
// behind its last record there may be control records.
const quiet = 2 * time.Second

// workOff waits until every group has come to the end of a backlog that is worked off alone. It gives up when the load's duration is over
// or, where it has none, after as long as draining may take.
func (r *run) workOff(ctx context.Context, warm int64) {
	limit := r.s.Load.Duration
	if limit == 0 {
		limit = r.s.Load.Drain
	}
	ctx, cancel := context.WithDeadline(ctx, time.Now().Add(time.Duration(warm-r.clock.Now())+limit))
	defer cancel()
	ends := r.backlogEnds(ctx)
	read, since := r.crew.Read(), time.Now()
	for !r.workedOff(ctx, ends) && pause(ctx, 20*time.Millisecond) {
		if now := r.crew.Read(); now != read {
			read, since = now, time.Now()
		}
		if read > 0 && time.Since(since) > quiet {
			break
		}
	}
	r.change(func(m *rundir.Meta) { m.Clock.MeasureEnd = r.clock.Now() })
}

// backlogEnds are the last offsets of what readers of committed records can get, by partition of the header's table. Where the cluster
// does not tell, nobody is seen to arrive.
func (r *run) backlogEnds(ctx context.Context) map[int32]int64 {
	last := map[int32]int64{}
	inputs, _ := r.split()
	for _, t := range inputs {
		ends, err := r.Admin.EndOffsets(ctx, t.Physical, client.ReadCommitted)
		if err != nil {
			return nil
		}
		for p, end := range ends {
			if end > 0 {
				last[t.First+p] = end - 1
			}
		}
	}
	return last
}

func (r *run) workedOff(ctx context.Context, ends map[int32]int64) bool {
	if ends == nil {
		return false
	}
	inputs, _ := r.split()
	if p := r.s.Processor; p != nil {
		ok, _ := r.committedTo(ctx, p.Group, p.From, ends)
		return ok
	}
	for _, c := range r.s.Consumers {
		for _, t := range inputs {
			if ok, _ := r.handledTo(c.Group, t, ends); !ok {
				return false
			}
		}
	}
	return true
}
