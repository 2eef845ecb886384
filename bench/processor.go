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

// processorSpec is one read–process–write worker.
type processorSpec struct {
	Producer   producerSpec // Topics: the one it writes to
	Consumer   map[string]string
	From       topicRef
	Group      string // logical, for the history
	GroupID    string // on the cluster
	Batch      int    // inputs a transaction
	Manual     bool   // read every partition by assignment instead of as a member
	Isolation  history.Isolation
	Generation bool // send the group's generation with the offsets (KIP-447)
}

// processor reads a batch, writes one output for each input, and commits outputs and offsets together.
type processor struct {
	readerLog
	spec   *processorSpec
	driver client.Driver
	out    *producer
	in     client.Consumer
}

func (s *session) process(ctx context.Context, driver client.Driver, commands <-chan worker.Command) error {
	spec := s.spec.Processor
	out, err := newProducer(ctx, s, &spec.Producer, driver)
	if err != nil {
		return err
	}
	defer out.leave()
	p := &processor{readerLog: readerLog{session: s, run: s.spec.Header.Run}, spec: spec, driver: driver, out: out}
	ctx, stop := obeyGate(ctx, s, commands)
	defer stop()
	out.done = ctx.Done()
	if err := p.open(ctx); err != nil {
		return err
	}
	for ctx.Err() == nil {
		if err := p.turn(ctx); err != nil {
			return errors.Join(err, p.in.Close())
		}
	}
	return errors.Join(p.in.Close(), stopped(ctx), out.finish(context.WithoutCancel(ctx)))
}

// open begins to read at the group's committed offsets, as a member or by assignment. It is done anew after an
// aborted transaction, whose inputs are to be read again.
func (p *processor) open(ctx context.Context) error {
	own, err := p.driver.NewConsumer(p.session.spec.Bootstrap, p.spec.Consumer)
	if err != nil {
		return fmt.Errorf("open %s's reader: %w", p.name(), err)
	}
	p.in, p.held = own, map[client.Partition]bool{}
	if !p.spec.Manual {
		if err := own.Subscribe([]string{p.spec.From.Physical}); err != nil {
			return errors.Join(fmt.Errorf("subscribe: %w", err), own.Close())
		}
		return nil
	}
	return p.assign(ctx)
}

func (p *processor) assign(ctx context.Context) error {
	parts := make([]client.Partition, p.spec.From.Partitions)
	for i := range parts {
		parts[i] = client.Partition{Topic: p.spec.From.Physical, Partition: int32(i)}
	}
	ctx, cancel := context.WithTimeout(ctx, transactionStep)
	defer cancel()
	positions, err := p.in.Committed(ctx, parts)
	for err != nil && pause(ctx, 100*time.Millisecond) { // a coordinator that moves or loads is no reason to give up
		positions, err = p.in.Committed(ctx, parts)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("committed offsets: %w", err), p.in.Close())
	}
	for i := range positions {
		positions[i].Offset = max(0, positions[i].Offset) // nothing committed: the run's own topics begin at 0
	}
	if err := p.in.Assign(positions); err != nil {
		return errors.Join(fmt.Errorf("assign: %w", err), p.in.Close())
	}
	for _, part := range parts {
		p.held[part] = true
	}
	p.reassigned(p.out.client)
	return nil
}

func (p *processor) turn(ctx context.Context) error {
	call := p.clock.Now()
	event, err := p.in.Poll(pollWait, p.spec.Batch)
	if err != nil {
		return fmt.Errorf("poll: %w", err)
	}
	switch event.Kind {
	case client.Delivery:
		p.polled(call, event.Records, p.spec.Group, p.spec.Isolation)
		return p.transform(ctx, event.Records)
	case client.Assigned:
		if p.spec.Manual {
			return nil // told when it was made
		}
		p.given(event.Partitions)
		p.reassigned(p.out.client)
	case client.Revoked, client.Lost:
		p.taken(event.Partitions)
		p.reassigned(p.out.client)
	}
	return nil
}

// transform answers a batch of inputs and commits it. An abort is part of an application's life: it reads again
// from the committed offsets and goes on. A session that was fenced ends.
func (p *processor) transform(ctx context.Context, inputs []client.Fetched) error {
	// The membership under which the inputs came: by the time the offsets are sent the client may have lost it, and what
	// it would tell then is no generation at all, which no broker fences (KIP-447).
	meta, err := p.membership()
	if err != nil {
		return err
	}
	p.pass(ctx, pointPolled, len(inputs))
	if ctx.Err() != nil {
		return nil
	}
	if p.out.txns == nil {
		return p.transformPlain(ctx, inputs)
	}
	if err := p.out.begin(); err != nil {
		return err
	}
	step, cancel := context.WithTimeout(context.WithoutCancel(ctx), transactionStep)
	defer cancel()
	next, err := p.respond(step, inputs)
	if err != nil {
		return p.startOver(ctx, err)
	}
	p.pass(ctx, pointBeforeOffsets, len(inputs))
	if err := p.sendOffsets(step, next, meta); err != nil {
		return p.startOver(ctx, err)
	}
	committed, err := p.out.commitTransaction(step)
	if err != nil {
		return err
	}
	if !committed {
		return p.readAgain(ctx)
	}
	p.counts.processed.Add(uint64(len(inputs)))
	return nil
}

// transformPlain writes outputs, waits for them, and commits the offsets: at least once.
func (p *processor) transformPlain(ctx context.Context, inputs []client.Fetched) error {
	step, cancel := context.WithTimeout(context.WithoutCancel(ctx), transactionStep)
	defer cancel()
	next, err := p.respond(step, inputs)
	if err != nil && step.Err() != nil {
		return err // nobody answers any more
	}
	if err != nil {
		return p.readAgain(ctx)
	}
	p.pass(ctx, pointBeforeOffsets, len(inputs))
	call := p.clock.Now()
	err = p.in.Commit(step, next)
	p.committed(call, 0, next, err)
	p.counts.processed.Add(uint64(len(inputs)))
	return nil
}

// respond sends one output for each input, waits until each is acknowledged, and returns the positions after the inputs.
// An input whose output was not stored must not be committed.
func (p *processor) respond(ctx context.Context, inputs []client.Fetched) ([]client.PartitionOffset, error) {
	last := map[client.Partition]int64{}
	acked := p.counts.acked.Load()
	for i := range inputs {
		in := &inputs[i]
		seq := p.out.next
		p.out.next++
		p.out.sendRecord(&flight{
			intended: p.clock.Now(), seq: seq, session: uint16(p.session.spec.Header.Self.Session), attempt: 1, txn: p.out.openTxn(),
			fromPartition: p.partition(in.Topic, in.Partition), fromOffset: in.Offset, key: keyNone,
		}, in.Key)
		last[client.Partition{Topic: in.Topic, Partition: in.Partition}] = in.Offset + 1
	}
	next := make([]client.PartitionOffset, 0, len(last))
	for part, offset := range last {
		next = append(next, client.PartitionOffset{Partition: part, Offset: offset})
	}
	if err := p.out.client.Flush(ctx); err != nil {
		return nil, fmt.Errorf("flush outputs: %w", err)
	}
	if n := p.counts.acked.Load() - acked; n < uint64(len(inputs)) {
		return nil, fmt.Errorf("of %d outputs %d were acknowledged", len(inputs), n)
	}
	return next, nil
}

// membership is what offsets are sent with: the group's generation, or nothing that could be fenced.
func (p *processor) membership() (client.GroupMetadata, error) {
	if !p.spec.Generation || p.spec.Manual {
		return client.Anonymous(p.spec.GroupID), nil
	}
	meta, err := p.in.GroupMetadata()
	if err != nil {
		return meta, fmt.Errorf("group metadata: %w", err)
	}
	return meta, nil
}

func (p *processor) sendOffsets(ctx context.Context, next []client.PartitionOffset, meta client.GroupMetadata) error {
	call := p.clock.Now()
	err := p.out.txns.SendOffsets(ctx, next, meta)
	p.committed(call, p.out.txn, next, err)
	if err != nil {
		return fmt.Errorf("send offsets: %w", err)
	}
	return nil
}

// committed records a commit of offsets, within a transaction or (txn 0) alone.
func (p *processor) committed(call int64, txn uint64, next []client.PartitionOffset, err error) {
	op := history.Op{
		Kind: history.Commit, Call: call, Return: p.clock.Now(), Txn: txn, Group: p.spec.Group, Offsets: p.offsets(next),
		Partition: history.Unknown, Offset: history.Unknown, Generation: history.Unknown,
	}
	if err == nil {
		op.Outcome = history.OK
		p.counts.committed.Add(1)
	}
	p.record(&op)
	p.settle()
}

// startOver aborts the open transaction and reads again from the committed offsets.
func (p *processor) startOver(ctx context.Context, cause error) error {
	cause = p.fence(cause)
	step, cancel := context.WithTimeout(context.WithoutCancel(ctx), transactionStep)
	defer cancel()
	if err := p.out.rollBack(step, cause); err != nil {
		return err
	}
	return p.readAgain(ctx)
}

// readAgain has the reader begin anew where the group has committed.
func (p *processor) readAgain(ctx context.Context) error {
	if err := p.in.Close(); err != nil {
		return fmt.Errorf("close %s's reader: %w", p.name(), err)
	}
	p.emit(p.figures(worker.Counts))
	time.Sleep(10 * time.Millisecond) // a refusal that repeats must not spin
	return p.open(ctx)
}
