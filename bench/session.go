package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/clock"
	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/payload"
	"github.com/kbench/kbench/internal/worker"
)

// Roles of a session.
const (
	roleProducer  = "producer"
	roleConsumer  = "consumer"
	roleProcessor = "processor"
)

// Points at which a worker can be held.
const (
	pointPolled        = "polled"         // records in hand, nothing done with them
	pointHandled       = "handled"        // between effect and commit, whichever comes first
	pointBeforeOffsets = "before-offsets" // outputs sent, the transaction's offsets not
)

// sessionSpec is all that a session needs to know; it travels to child processes as JSON.
type sessionSpec struct {
	Role    string
	Number  int
	Log     string // path of its history log
	Header  history.Header
	Clock   int64 // base of the run's clock
	Wall    int64 // the wall clock against it when the run began
	Journal bool  // write every send down before it is made, and every effect before the commit that covers it
	Seed    int64

	Driver    string
	Bootstrap []string
	Topics    []topicRef // every topic of the run

	Producer  *producerSpec  `json:",omitempty"`
	Consumer  *consumerSpec  `json:",omitempty"`
	Processor *processorSpec `json:",omitempty"`
}

// topicRef ties a topic on the cluster to its partitions in the header's table.
type topicRef struct {
	Name       string // logical
	Physical   string
	First      int32 // index of its partition 0
	Partitions int
}

// session is what producers, consumers and processors have in common: their clock, log, counters and gate.
type session struct {
	spec   sessionSpec
	clock  clock.Clock
	log    *history.Writer
	emit   func(worker.Event)
	gate   gate
	wall   *wall
	counts counts
	rng    *rand.Rand
	topics map[string]topicRef // by name on the cluster
	fail   context.CancelCauseFunc
	pacing func(pacer Pacer, start int64, now func() int64) Pacer // in place of the pacer, where a test breaks it; else nil

	observer atomic.Pointer[client.Observer] // of the load's producers, once there is a client
}

// Sessions returns the body of every session; drivers are the client libraries by name.
func Sessions(drivers map[string]client.Driver) worker.Body { return sessions(drivers, nil) }

// sessions are Sessions that a test can change before they begin.
func sessions(drivers map[string]client.Driver, change func(*session)) worker.Body {
	return func(ctx context.Context, raw json.RawMessage, commands <-chan worker.Command, emit func(worker.Event)) error {
		var spec sessionSpec
		if err := json.Unmarshal(raw, &spec); err != nil {
			return fmt.Errorf("read the session's task: %w", err)
		}
		driver, ok := drivers[spec.Driver]
		if !ok {
			return fmt.Errorf("no driver is called %q", spec.Driver)
		}
		return runSession(ctx, spec, driver, commands, emit, change)
	}
}

func runSession(ctx context.Context, spec sessionSpec, driver client.Driver, commands <-chan worker.Command, emit func(worker.Event), change func(*session)) (err error) {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	s, err := newSession(spec, emit, fail)
	if err != nil {
		return err
	}
	if change != nil {
		change(s)
	}
	defer func() {
		if closed := s.log.Close(); closed != nil {
			err = errors.Join(err, s.unwritable(closed))
		}
	}()
	told := s.tell()
	defer told()
	defer s.gate.open()
	switch spec.Role {
	case roleProducer:
		return s.produce(ctx, driver, commands)
	case roleConsumer:
		return s.consume(ctx, driver, commands)
	case roleProcessor:
		return s.process(ctx, driver, commands)
	}
	return fmt.Errorf("no session has the role %q", spec.Role)
}

// newSession opens the clock and the history of a session; fail ends it.
func newSession(spec sessionSpec, emit func(worker.Event), fail context.CancelCauseFunc) (*session, error) {
	s := &session{spec: spec, emit: emit, rng: rand.New(rand.NewSource(spec.Seed)), topics: make(map[string]topicRef, len(spec.Topics)), fail: fail}
	for _, t := range spec.Topics {
		s.topics[t.Physical] = t
	}
	s.counts.positions = make([]atomic.Int64, len(spec.Header.Partitions))
	var err error
	if s.clock, err = clock.At(spec.Clock); err != nil {
		return nil, err
	}
	s.wall = newWall(s.clock.Wall, spec.Wall)
	if s.log, err = history.Create(spec.Log, spec.Header); err != nil {
		return nil, s.unwritable(err)
	}
	return s, nil
}

// unwritable is why a session ends whose history cannot be written.
func (s *session) unwritable(err error) error {
	return &worker.MachineError{Err: fmt.Errorf("history of %s: %w", s.name(), err)}
}

func (s *session) name() string { return s.spec.Header.Self.Name }

// tell sends the counters and flushes the log several times a second, so that whoever dies leaves nearly everything
// behind. The function returned tells a last time.
func (s *session) tell() func() {
	quit := make(chan struct{})
	var telling sync.WaitGroup
	telling.Add(1)
	go func() {
		defer telling.Done()
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				if err := s.log.Flush(); err != nil {
					s.fail(s.unwritable(err))
				}
				s.emit(s.figures(worker.Counts))
				s.tellObserved()
			}
		}
	}()
	return func() {
		close(quit)
		telling.Wait()
		s.tellObserved()
		s.emit(s.figures(worker.Final))
	}
}

// figures are the counters, and how far the session has seen the wall clock go.
func (s *session) figures(is string) worker.Event {
	s.wall.look()
	return worker.Event{Is: is, Counters: s.counts.snapshot(), Wall: s.wall.step()}
}

// tellObserved passes on what the client's library said of where records waited.
func (s *session) tellObserved() {
	observer := s.observer.Load()
	if observer == nil {
		return
	}
	if windows := s.windows((*observer).Observed()); len(windows) > 0 {
		s.emit(worker.Event{Is: worker.Observed, Windows: windows})
	}
}

// record appends an operation; a log that cannot be written ends the session.
func (s *session) record(op *history.Op) {
	if err := s.log.Append(op); err != nil {
		s.counts.dropped.Add(1)
		s.fail(s.unwritable(err))
	}
}

// settle makes sure that what was recorded survives the death of this process, where that is asked.
func (s *session) settle() {
	if !s.spec.Journal {
		return
	}
	if err := s.log.Flush(); err != nil {
		s.fail(s.unwritable(err))
	}
}

// pass stops at the point for as long as the session is held there. Everything that it did before is on the disk when it
// says so, since what strikes it there may be its death.
func (s *session) pass(ctx context.Context, point string, n int) {
	s.gate.pass(ctx, point, n, func(e worker.Event) {
		s.settle()
		s.emit(e)
	})
}

// partition is a partition's index in the header's table. One that the run does not have is told of as dropped.
func (s *session) partition(topic string, partition int32) int32 {
	return s.within(s.topics[topic], partition)
}

// within is a partition's index where its topic is known already.
func (s *session) within(ref topicRef, partition int32) int32 {
	if partition < 0 || int(partition) >= ref.Partitions {
		s.counts.dropped.Add(1)
		return history.Unknown
	}
	return ref.First + partition
}

// offsets translates a client's positions.
func (s *session) offsets(positions []client.PartitionOffset) []history.PartitionOffset {
	out := make([]history.PartitionOffset, len(positions))
	for i, p := range positions {
		out[i] = history.PartitionOffset{Partition: s.partition(p.Topic, p.Partition.Partition), Offset: p.Offset}
	}
	return out
}

// recordOf reads the identity of a fetched record: it stands in the value's head or, of a tombstone, in a header.
func recordOf(f *client.Fetched, run uint64) history.Record {
	r := history.Record{Offset: f.Offset, Epoch: f.Epoch, Value: history.NoValue, Intended: history.Unknown}
	identity, cover := f.Value, uint64(0)
	for i := range f.Headers {
		if h := &f.Headers[i]; f.Value == nil && h.Key == payload.Tombstone {
			identity = h.Value
		} else {
			cover = payload.Cover(cover, h.Key, h.Value)
		}
	}
	head, err := payload.GetCovered(identity, cover)
	switch {
	case errors.Is(err, payload.ErrForeign) || head.Run != run && err == nil:
		r.Flags = history.Foreign
		return r
	case err != nil:
		r.Flags = history.Corrupt
	}
	r.Value = history.Value{Producer: int32(head.Producer), Session: int32(head.Session), Seq: int64(head.Seq)}
	r.Intended = head.Intended
	return r
}

// readerLog writes what a reader was given.
type readerLog struct {
	*session
	run   uint64
	held  map[client.Partition]bool
	ready bool             // it has told that it is
	op    history.Op       // reused
	seen  []history.Record // of the latest poll, as they came
}

// samePartition is the end of the row of records of one partition that begins at start.
func samePartition(records []client.Fetched, start int) int {
	end := start + 1
	for end < len(records) && records[end].Partition == records[start].Partition && records[end].Topic == records[start].Topic {
		end++
	}
	return end
}

// polled records one poll, partition after partition in the order given, and leaves what it saw in seen.
func (l *readerLog) polled(call int64, records []client.Fetched, group string, isolation history.Isolation) {
	now := l.clock.Now()
	l.seen = l.seen[:0]
	for i := range records {
		l.seen = append(l.seen, recordOf(&records[i], l.run))
	}
	for start := 0; start < len(records); {
		end := samePartition(records, start)
		l.op = history.Op{
			Kind: history.Poll, Outcome: history.OK, Call: call, Return: now, Group: group, Isolation: isolation,
			Partition: l.partition(records[start].Topic, records[start].Partition),
			Offset:    history.Unknown, FromPartition: history.Unknown, Generation: history.Unknown,
			Intended: history.Unknown, Records: l.seen[start:end],
		}
		l.record(&l.op)
		start = end
	}
	l.counts.read.Add(uint64(len(records)))
}

// given adds partitions to what is held, taken removes some.
func (l *readerLog) given(partitions []client.PartitionOffset) {
	for _, p := range partitions {
		l.held[p.Partition] = true
	}
}

func (l *readerLog) taken(partitions []client.PartitionOffset) {
	for _, p := range partitions {
		delete(l.held, p.Partition)
	}
}

// reassigned records a change of the assignment, told as the whole set that is held now. After its first a session is
// ready; of says whose settings it shows.
func (l *readerLog) reassigned(of any) {
	now := l.clock.Now()
	op := history.Op{Kind: history.Assign, Outcome: history.OK, Call: now, Return: now, Partition: history.Unknown, Offset: history.Unknown}
	for p := range l.held {
		op.Partitions = append(op.Partitions, l.partition(p.Topic, p.Partition))
	}
	slices.Sort(op.Partitions)
	l.record(&op)
	if !l.ready {
		l.ready = true
		l.emit(worker.Event{Is: worker.Ready, Settings: settingsOf(of)})
	}
}
