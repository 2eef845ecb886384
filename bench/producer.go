package bench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/payload"
	"github.com/kbench/kbench/internal/worker"
	"github.com/kbench/kbench/scenarios"
)

// producerSpec is a producer's part of the load.
type producerSpec struct {
	Settings  map[string]string
	Topics    []string          // names on the cluster
	Turns     []int             // indices of topics, used in turn; none: each topic
	Keyed     []bool            // by topic: the history has its records' keys, since compaction goes by them
	Stages    []scenarios.Stage // of all producers together, from the end of the warm-up; none: nothing by schedule
	Warmup    time.Duration
	Max       bool
	Producers int
	Records   int64 // of this producer, by schedule; 0: no such end
	recordSpec
	Txn      txnSpec
	InFlight int    // places for records in flight
	Resend   string // log of the session before, whose uncompleted sends are sent again; "": none
}

// txnSpec groups sends in transactions; Size 0: none.
type txnSpec struct {
	Size  int
	Abort float64 // share that is aborted, drawn
	Every int     // each so many-th is aborted, 0: none
}

// producer is one session that sends. One goroutine sends; the client's calls acked.
type producer struct {
	*session
	spec   *producerSpec
	client client.Producer
	waiter client.Waiter     // nil: the client does not tell
	txns   client.Transactor // nil: not transactional
	slots  *slots
	made   *records
	topics []topicRef // as spec.Topics
	done   <-chan struct{}

	flushes  sync.WaitGroup // commands to flush, which are waited for beside the sending
	number   int32          // index in the header's table of producers
	patience time.Duration  // how long finish waits for what is in flight
	next     int64          // sequence of the next new record
	free     int64          // since when the sending goroutine has not been held up: see heldUp
	waits    uint64         // that it knows of: in the client's Sends, and for places in flight
	txn      uint64         // transactions begun
	inTxn    int            // records in the open transaction, -1: none is open
	txnCall  int64
	send     history.Op // reused by the sending goroutine
	out      client.Record

	_       apart
	ack     history.Op // reused by acked
	ackedAt int64      // the time of what came last
}

func (s *session) produce(ctx context.Context, driver client.Driver, commands <-chan worker.Command) error {
	p, err := newProducer(ctx, s, s.spec.Producer, driver)
	if err != nil {
		return err
	}
	defer p.leave()
	s.emit(worker.Event{Is: worker.Ready, Settings: settingsOf(p.client)})
	if err := p.obey(ctx, commands); err != nil {
		return err
	}
	return p.finish(ctx)
}

func newProducer(ctx context.Context, s *session, spec *producerSpec, driver client.Driver) (*producer, error) {
	p := &producer{session: s, spec: spec, slots: newSlots(spec.InFlight), inTxn: -1, done: ctx.Done(), number: s.producerNumber(), patience: transactionStep}
	for _, name := range spec.Topics {
		p.topics = append(p.topics, s.topics[name])
	}
	var err error
	if p.client, err = p.open(driver); err != nil {
		return nil, fmt.Errorf("open %s: %w", s.name(), err)
	}
	counters := p.counters
	s.counts.client.Store(&counters)
	if observer, ok := p.client.(client.Observer); ok {
		s.observer.Store(&observer)
	}
	p.waiter, _ = p.client.(client.Waiter)
	copies := false
	if c, ok := p.client.(client.Copier); ok {
		copies = c.CopiesPayload()
	}
	if p.made, err = newRecords(spec.recordSpec, len(p.slots.flights), copies, s.spec.Seed, s.rng); err != nil {
		return nil, errors.Join(err, p.client.Close())
	}
	if spec.Settings["transactional.id"] != "" {
		if err := p.beginTransactions(ctx); err != nil {
			return nil, errors.Join(err, p.client.Close())
		}
	}
	return p, nil
}

// recognisedSize is the largest record, in bytes, that is matched to its report by its value. The library copies the value
// for that; beyond this size a slot that it carries is no dearer (ADR 12).
const recognisedSize = 512

func (p *producer) open(driver client.Driver) (client.Producer, error) {
	if d, ok := driver.(client.Recognising); ok && max(p.spec.Size, p.spec.Sizes.Max) <= recognisedSize {
		p.slots.recognise()
		return d.NewRecognisingProducer(p.session.spec.Bootstrap, p.spec.Settings, p.acked, p.recognised)
	}
	return driver.NewProducer(p.session.spec.Bootstrap, p.spec.Settings, p.acked)
}

// recognised is the place of the record that has this value: of this session, and entered when it was sent.
func (p *producer) recognised(value []byte) (client.Slot, bool) {
	h, ok := payload.Peek(value)
	if !ok || h.Run != p.session.spec.Header.Run || int32(h.Producer) != p.number || h.Session != uint16(p.session.spec.Header.Self.Session) {
		return 0, false
	}
	return p.slots.find(int64(h.Seq))
}

// counters are the client's, with the waits for a place in flight among those for room in its buffer: both are the
// client holding the load up.
func (p *producer) counters() map[string]uint64 {
	out := map[string]uint64{}
	if own, ok := p.client.(client.Counters); ok {
		maps.Copy(out, own.Counters())
	}
	if waits := p.slots.waits.Load(); waits > 0 {
		out["buffer_waits"] += waits
	}
	return out
}

// noSeq marks a place that no record is in.
const noSeq = -1

func settingsOf(c any) map[string]string {
	if e, ok := c.(client.Effective); ok {
		return e.EffectiveSettings()
	}
	return nil
}

// obey works off commands until told to stop. Sending is sequential: one schedule or one burst after another.
func (p *producer) obey(ctx context.Context, commands <-chan worker.Command) error {
	ctx, stop := context.WithCancel(ctx)
	tasks := make(chan func() error, 64)
	ended := make(chan error, 1)
	defer p.flushes.Wait()
	defer stop()
	go func() {
		for task := range tasks {
			if err := worker.Guarded(task); err != nil {
				ended <- err
				return
			}
		}
		ended <- nil
	}()
	p.done = ctx.Done()
	if p.spec.Resend != "" {
		tasks <- func() error { return p.resend(ctx) }
	}
	for {
		select {
		case err := <-ended:
			return err
		case <-ctx.Done():
			close(tasks)
			return errors.Join(<-ended, context.Cause(ctx))
		case c, ok := <-commands:
			if !ok || c.Do == worker.Stop {
				if c.N > 0 {
					p.patience = time.Duration(c.N) * time.Millisecond
				}
				stop()
				close(tasks)
				return <-ended
			}
			p.obeyOne(ctx, c, tasks)
		}
	}
}

func (p *producer) obeyOne(ctx context.Context, c worker.Command, tasks chan<- func() error) {
	switch c.Do {
	case worker.Begin:
		tasks <- func() error {
			err := p.schedule(ctx, c.At, max(c.At, c.From), c.End)
			p.answer(c.ID, err)
			return err
		}
	case worker.SendN:
		tasks <- func() error {
			err := p.burst(ctx, c.N, c.Open)
			p.answer(c.ID, err)
			return err
		}
	case worker.Flush:
		p.flushes.Go(func() { p.answer(c.ID, p.client.Flush(ctx)) })
	case worker.Hold:
		p.gate.hold(c.Point)
		p.answer(c.ID, nil)
	case worker.Release:
		p.gate.open()
	}
}

func (s *session) answer(id uint64, err error) {
	e := worker.Event{ID: id, Is: worker.Answer}
	if err != nil {
		e.Error = err.Error()
	}
	s.emit(e)
}

// schedule sends what is due from a time on until end on the run's clock, by a schedule that began at start: each record
// at its intended time or, where the client holds the sender up, as soon after it as can be: never skipped, and never moved.
func (p *producer) schedule(ctx context.Context, start, from, end int64) error {
	if p.spec.Max {
		return p.flatOut(ctx, from, end)
	}
	course := newCourse(p.spec.Warmup, p.spec.Stages, p.spec.Producers, p.session.spec.Number)
	if len(course.lines) == 0 {
		return nil
	}
	var pace Pacer = course
	if p.pacing != nil {
		pace = p.pacing(pace, start, p.clock.Now)
	}
	sleeper, err := p.clock.NewSleeper(ctx)
	if err != nil {
		return &worker.MachineError{Err: err}
	}
	defer sleeper.Close()
	first := course.after(time.Duration(from - start))
	for n := first; p.spec.Records == 0 || n < uint64(p.spec.Records); n++ {
		after := pace.At(n)
		if after >= time.Duration(end-start) || !sleeper.Until(start+int64(after)) || ctx.Err() != nil {
			break
		}
		intended := start + int64(after)
		if err := p.one(ctx, intended, unread); err != nil {
			return err
		}
	}
	return p.endTransaction(ctx)
}

// sentTogether is how many records share a reading of the clock where nothing is due at a time and the client takes each at once. A
// call is never after the record was handed over, and before it by what sending those before took: microseconds, unless the process was
// held up.
const sentTogether = 8

// flatOut sends as fast as the client takes the records: a record's intended time is when it is sent.
func (p *producer) flatOut(ctx context.Context, start, end int64) error {
	if !p.clock.SleepUntil(start, ctx.Done()) {
		return nil
	}
	now := int64(0)
	for n := int64(0); p.spec.Records == 0 || n < p.spec.Records; n++ {
		if n%sentTogether == 0 {
			if now = p.clock.Now(); now >= end || ctx.Err() != nil {
				break
			}
		}
		now = max(now, p.free) // who was held up goes on from there
		if err := p.one(ctx, now, now); err != nil {
			return err
		}
	}
	return p.endTransaction(ctx)
}

// burst sends n records at once, and ends a transaction that is not full by then unless it is to stay open.
func (p *producer) burst(ctx context.Context, n int, open bool) error {
	for range n {
		if ctx.Err() != nil {
			break
		}
		now := p.clock.Now()
		if err := p.one(ctx, now, now); err != nil {
			return err
		}
	}
	if open {
		return nil
	}
	return p.endTransaction(ctx)
}

// unread says that the clock is to be read when the record is handed to the client.
const unread = 0

// one sends the next new record. now is the time, where it has just been read. Only what ends the session is an error.
func (p *producer) one(ctx context.Context, intended, now int64) error {
	if p.txns != nil && p.inTxn < 0 {
		if err := p.begin(); err != nil {
			return err
		}
	}
	seq := p.next
	p.next++
	sent := p.sendOwn(&flight{intended: intended, call: now, seq: seq, session: uint16(p.session.spec.Header.Self.Session), attempt: 1})
	if !sent || p.txns == nil {
		return nil
	}
	if p.inTxn++; p.inTxn >= p.spec.Txn.Size {
		defer p.heldUp()
		return p.endTransaction(ctx)
	}
	return nil
}

// resend sends again what the journal of the session before left without an end. A new session of an idempotent
// producer is another producer to the broker, which cannot recognise the records.
func (p *producer) resend(ctx context.Context) error {
	lost, err := history.Uncompleted(p.spec.Resend)
	if err != nil {
		return fmt.Errorf("read the journal of the session before: %w", err)
	}
	for _, op := range lost {
		if ctx.Err() != nil {
			return nil
		}
		p.sendOwn(&flight{intended: p.clock.Now(), seq: op.Value.Seq, session: uint16(op.Value.Session), attempt: uint16(op.Attempt + 1)})
		p.counts.resent.Add(1)
	}
	return nil
}

// sendOwn sends a record of the load: topic and key follow from its identity.
func (p *producer) sendOwn(f *flight) bool {
	f.topic = p.topicOf(f.seq)
	f.key = int32(p.made.key(int32(f.session), f.seq))
	f.txn, f.fromPartition, f.fromOffset = p.openTxn(), history.Unknown, history.Unknown
	return p.sendRecord(f, nil)
}

// topicOf is the index of the topic whose turn it is.
func (p *producer) topicOf(seq int64) uint16 {
	if len(p.spec.Turns) > 0 {
		return uint16(p.spec.Turns[seq%int64(len(p.spec.Turns))])
	}
	if len(p.spec.Topics) == 1 {
		return 0 // without a division
	}
	return uint16(seq % int64(len(p.spec.Topics)))
}

// heldUp notes that the client or the cluster has just let the sending goroutine go on: a record that was due before could
// not have been sent sooner by anyone, however fast.
func (p *producer) heldUp() { p.free = p.clock.Now() }

// noteWaits notes if the Send that has just returned, or a wait for a place in flight, held the sender up.
func (p *producer) noteWaits() {
	waits := p.slots.waits.Load()
	if p.waiter != nil {
		waits += p.waiter.BufferWaits()
	}
	if waits != p.waits {
		p.waits = waits
		p.heldUp()
	}
}

// sendRecord sends one record and tells whether the client took it. The key may be that of another record, which this one answers.
// Its call is read here unless it is there already.
func (p *producer) sendRecord(f *flight, key []byte) bool {
	slot, waited, ok := p.slots.take(p.done)
	if !ok {
		return false
	}
	if waited {
		p.noteWaits()
	}
	if key == nil {
		key = p.made.keyAt(slot, int64(f.key))
	}
	p.out.Topic, p.out.Partition, p.out.Key, p.out.Known = p.spec.Topics[f.topic], client.AnyPartition, key, false
	p.made.put(f, &p.slots.buffers[slot], payload.Head{
		Attempt: uint8(f.attempt), Producer: uint16(p.number), Session: f.session,
		Run: p.session.spec.Header.Run, Seq: uint64(f.seq), Intended: f.intended, Txn: f.txn,
	}, &p.out)
	if p.free > f.intended {
		f.held = p.free
	}
	if waited || f.call == unread {
		f.call = p.clock.Now()
	}
	p.out.Stamp = p.wall.stamp(f.call)
	p.slots.flights[slot] = *f
	if !f.tombstone && f.session == uint16(p.session.spec.Header.Self.Session) && p.slots.enter(f.seq, slot) {
		f.known, p.slots.flights[slot].known, p.out.Known = true, true, true
	}
	if p.session.spec.Journal {
		p.describe(&p.send, f)
		p.record(&p.send)
		p.settle()
	}
	p.counts.sent.Add(1)
	err := p.client.Send(&p.out, slot)
	p.noteWaits()
	if err != nil {
		p.describe(&p.send, f)
		p.send.Outcome, p.send.Return = history.Failed, p.clock.Now()
		p.record(&p.send)
		p.counts.failed.Add(1)
		p.landed(&p.slots.flights[slot])
		p.slots.putBack()
		return false
	}
	return true
}

// landed says that no record is here any more.
func (p *producer) landed(f *flight) {
	if f.known {
		p.slots.forget(f.seq)
	}
	f.seq = noSeq
}

// producerNumber is this producer's index in the header's table of producers.
func (s *session) producerNumber() int32 {
	for i, name := range s.spec.Header.Producers {
		if name == s.spec.Header.Self.Name {
			return int32(i)
		}
	}
	return history.Unknown
}

// describe fills a send, an empty one or one that this filled before, from what is remembered of it. It has no answer.
func (p *producer) describe(op *history.Op, f *flight) {
	op.Kind, op.Outcome, op.Generation = history.Send, history.Indeterminate, history.Unknown
	op.Intended, op.Held, op.Call, op.Return = f.intended, f.held, f.call, history.Unknown
	op.Txn, op.Attempt = uint64(f.txn), int32(f.attempt)
	op.Value = history.Value{Producer: p.number, Session: int32(f.session), Seq: f.seq}
	op.Partition, op.Offset = history.Unknown, history.Unknown
	op.FromPartition, op.FromOffset = f.fromPartition, f.fromOffset
	op.Size, op.Tombstone, op.Key = int64(f.size), f.tombstone, 0
	if p.spec.Keyed != nil && p.spec.Keyed[f.topic] {
		op.Key = int64(f.key) + 1
	}
}

// acked records the end of sends. The client calls it, from one goroutine at a time. All that it hands over at once came
// before the one reading of the clock, and so did what it says came together with that.
func (p *producer) acked(acks []client.Ack) {
	defer p.endOnPanic() // the client's goroutine, which no one else guards
	if len(acks) == 0 || !acks[0].Together || p.ackedAt == unread {
		p.ackedAt = p.clock.Now()
	}
	now := p.ackedAt
	var ok, landed uint64
	for i := range acks {
		if a := &acks[i]; p.ackedOne(a, now) {
			landed++
			if a.Err == nil {
				ok++
			}
		}
	}
	if landed > 0 {
		p.counts.acked.Add(ok)
		p.slots.publish()
	}
}

// ackedOne records the end of one send. What is said of no record that is on its way, such as a second time of the same,
// cannot be written down: false.
func (p *producer) ackedOne(a *client.Ack, now int64) bool {
	if int(a.Slot) >= len(p.slots.flights) || p.slots.flights[a.Slot].seq == noSeq {
		p.counts.dropped.Add(1)
		return false
	}
	f := &p.slots.flights[a.Slot]
	p.describe(&p.ack, f)
	p.ack.Return = now
	if a.Partition >= 0 {
		p.ack.Partition = p.within(p.topics[f.topic], a.Partition)
	}
	switch {
	case a.Err == nil:
		p.ack.Outcome, p.ack.Offset = history.OK, a.Offset
	case a.Definite:
		p.ack.Outcome = history.Failed
		p.counts.failed.Add(1)
	default:
		p.counts.indeterminate.Add(1)
	}
	p.record(&p.ack)
	p.landed(f)
	p.slots.give(a.Slot)
	return true
}

// endOnPanic ends the session where a callback of the client's panics.
func (s *session) endOnPanic() {
	if panicked := recover(); panicked != nil {
		s.fail(worker.Panicked(panicked))
	}
}

// finish waits for what is in flight for as long as patience lasts, and leaves.
func (p *producer) finish(ctx context.Context) error {
	waiting, cancel := context.WithTimeout(ctx, p.patience)
	defer cancel()
	flushed := p.client.Flush(waiting)
	ended := p.endTransaction(waiting)
	open, closed := p.leave()
	if open > 0 && flushed == nil {
		flushed = fmt.Errorf("%d records were never answered", open)
	}
	return errors.Join(closed, ended, ctxCause(ctx), flushed)
}

// leave closes the client and writes down what never had an answer: it may or may not be in the log. A session that
// failed does so too, since a log that was closed has to tell of every send. It may be called twice.
func (p *producer) leave() (open int, err error) {
	if err = p.client.Close(); err != nil {
		err = fmt.Errorf("close %s: %w", p.name(), err)
	}
	for i := range p.slots.flights {
		f := &p.slots.flights[i]
		if f.seq == noSeq {
			continue
		}
		p.describe(&p.send, f)
		p.send.Return = p.clock.Now()
		p.record(&p.send)
		p.counts.indeterminate.Add(1)
		p.landed(f)
		open++
	}
	return open, err
}

// ctxCause is why ctx ended, nil while it goes on.
func ctxCause(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return context.Cause(ctx)
}

const transactionStep = 60 * time.Second
