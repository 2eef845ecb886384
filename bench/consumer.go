package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/worker"
)

// When a consumer commits what it handles.
const (
	commitAfter  = "after-processing"
	commitBefore = "before-processing"
	commitAuto   = "auto"
	commitNone   = "none"
)

// pollWait is how long a poll may take; it bounds how late a command is obeyed.
const pollWait = 50 * time.Millisecond

// consumerSpec is one member of a group.
type consumerSpec struct {
	Settings  map[string]string
	Topics    []string // names on the cluster
	Group     string   // logical, for the history
	Commit    string
	Handling  time.Duration // how long handling one record takes
	Batch     int           // records handled between commits; 0: what a poll brings
	Isolation history.Isolation
}

// maxPoll bounds what one poll brings.
const maxPoll = 2000

// consumer is one session of a group's member: it reads, handles, and commits.
type consumer struct {
	readerLog
	spec   *consumerSpec
	client client.Consumer
	next   map[client.Partition]int64 // position after what was handled
	op     history.Op
}

func (s *session) consume(ctx context.Context, driver client.Driver, commands <-chan worker.Command) error {
	spec := s.spec.Consumer
	own, err := driver.NewConsumer(s.spec.Bootstrap, spec.Settings)
	if err != nil {
		return fmt.Errorf("open %s: %w", s.name(), err)
	}
	c := &consumer{
		readerLog: readerLog{session: s, run: s.spec.Header.Run, held: map[client.Partition]bool{}}, spec: spec, client: own,
		next: map[client.Partition]int64{},
	}
	if counted, ok := own.(client.Counters); ok {
		counters := counted.Counters
		s.counts.client.Store(&counters)
	}
	if err := own.Subscribe(spec.Topics); err != nil {
		return errors.Join(fmt.Errorf("subscribe: %w", err), own.Close())
	}
	c.subscribed()
	ctx, stop := obeyGate(ctx, s, commands)
	defer stop()
	for ctx.Err() == nil {
		if err := c.turn(ctx); err != nil {
			return errors.Join(err, own.Close())
		}
	}
	if err := own.Close(); err != nil {
		return fmt.Errorf("close %s: %w", s.name(), err)
	}
	return stopped(ctx)
}

// errStopped is why a session's context ends when it was told to stop.
var errStopped = errors.New("told to stop")

// stopped is the error of a session whose context has ended: none where that was asked for.
func stopped(ctx context.Context) error {
	if cause := context.Cause(ctx); !errors.Is(cause, errStopped) {
		return cause
	}
	return nil
}

// obeyGate obeys the commands that every session of a reader knows; told to stop, it ends the context it returns.
func obeyGate(ctx context.Context, s *session, commands <-chan worker.Command) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case c, ok := <-commands:
				switch {
				case !ok || c.Do == worker.Stop:
					cancel(errStopped)
					return
				case c.Do == worker.Hold:
					s.gate.hold(c.Point)
				case c.Do == worker.Release:
					s.gate.open()
				}
				if c.ID != 0 {
					s.answer(c.ID, nil)
				}
			}
		}
	}()
	return ctx, func() { cancel(errStopped) }
}

// subscribed records the subscription.
func (c *consumer) subscribed() {
	now := c.clock.Now()
	op := history.Op{Kind: history.Subscribe, Outcome: history.OK, Call: now, Return: now, Partition: history.Unknown, Offset: history.Unknown}
	for _, name := range c.spec.Topics {
		ref := c.topics[name]
		for p := range ref.Partitions {
			op.Partitions = append(op.Partitions, ref.First+int32(p))
		}
	}
	c.record(&op)
}

// turn polls once and deals with what came.
func (c *consumer) turn(ctx context.Context) error {
	call := c.clock.Now()
	event, err := c.client.Poll(pollWait, maxPoll)
	if err != nil {
		return fmt.Errorf("poll: %w", err)
	}
	switch event.Kind {
	case client.Delivery:
		c.polled(call, event.Records, c.spec.Group, c.spec.Isolation)
		return c.handle(ctx, event.Records)
	case client.Assigned:
		c.given(event.Partitions)
		c.reassigned(c.client)
	case client.Revoked, client.Lost:
		c.taken(event.Partitions)
		for _, p := range event.Partitions {
			delete(c.next, p.Partition)
		}
		c.reassigned(c.client)
	}
	return nil
}

// handle works off the records of one poll, which are those in seen, batch by batch.
func (c *consumer) handle(ctx context.Context, records []client.Fetched) error {
	batch := c.spec.Batch
	if batch <= 0 {
		batch = len(records)
	}
	for start := 0; start < len(records); start += batch {
		end := min(start+batch, len(records))
		if err := c.handleBatch(ctx, records[start:end], c.seen[start:end]); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
	}
	return nil
}

func (c *consumer) handleBatch(ctx context.Context, records []client.Fetched, seen []history.Record) error {
	c.pass(ctx, pointPolled, len(records))
	if ctx.Err() != nil {
		return nil // what is in hand stays undone, and uncommitted unless the client commits by itself
	}
	for start := 0; start < len(records); {
		end := samePartition(records, start)
		last := &records[end-1]
		c.next[client.Partition{Topic: last.Topic, Partition: last.Partition}] = last.Offset + 1
		start = end
	}
	switch c.spec.Commit {
	case commitBefore:
		c.commit(ctx)
		c.pass(ctx, pointHandled, len(records))
		c.effect(ctx, records, seen)
	case commitAfter:
		c.effect(ctx, records, seen)
		c.pass(ctx, pointHandled, len(records))
		c.commit(ctx)
	case commitAuto:
		c.effect(ctx, records, seen)
		c.pass(ctx, pointHandled, len(records))
	}
	for p, next := range c.next {
		if index := c.partition(p.Topic, p.Partition); index >= 0 {
			c.counts.positions[index].Store(next)
		}
	}
	return nil
}

// effect is what handling the records does to the world: here, a line in the history. It is written record by record
// where handling takes time, so that a death in between leaves the right ones undone.
func (c *consumer) effect(ctx context.Context, records []client.Fetched, seen []history.Record) {
	for start := 0; start < len(records); {
		end := start + 1
		if c.spec.Handling == 0 {
			end = samePartition(records, start)
		}
		call := c.clock.Now()
		if c.spec.Handling > 0 {
			c.clock.SleepUntil(call+int64(c.spec.Handling), ctx.Done())
		}
		c.done(call, c.partition(records[start].Topic, records[start].Partition), seen[start:end])
		start = end
	}
}

// done records the effect on records of one partition.
func (c *consumer) done(call int64, partition int32, seen []history.Record) {
	c.op = history.Op{
		Kind: history.Process, Outcome: history.OK, Call: call, Return: c.clock.Now(), Group: c.spec.Group,
		Partition: partition, Records: seen,
		Intended: history.Unknown, Offset: history.Unknown, FromPartition: history.Unknown, Generation: history.Unknown,
	}
	c.record(&c.op)
	c.settle()
	c.counts.processed.Add(uint64(len(seen)))
}

// commit commits the positions of what was handled. A refusal because the group has moved on is no error of the
// session: the records belong to another member now, and the history shows the refusal.
func (c *consumer) commit(ctx context.Context) {
	positions := make([]client.PartitionOffset, 0, len(c.next))
	for p, next := range c.next {
		positions = append(positions, client.PartitionOffset{Partition: p, Offset: next})
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), transactionStep)
	defer cancel()
	op := history.Op{
		Kind: history.Commit, Call: c.clock.Now(), Group: c.spec.Group, Offsets: c.offsets(positions),
		Partition: history.Unknown, Offset: history.Unknown, Generation: history.Unknown,
	}
	err := c.client.Commit(ctx, positions)
	op.Return = c.clock.Now()
	if err == nil {
		op.Outcome = history.OK
		c.counts.committed.Add(1)
	}
	c.record(&op)
	c.settle()
	if err != nil {
		_ = c.fence(err) // counts it
	}
}
