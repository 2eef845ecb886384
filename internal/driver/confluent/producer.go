package confluent

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/driver/count"
	"github.com/kbench/kbench/internal/driver/places"
	"github.com/kbench/kbench/internal/settings"
)

// producer sends through librdkafka. A report is matched to its slot by what comes back with it, which is exact whatever
// the library does with the message in between: by its value where the caller can tell the slot from that, and else by
// the message's opaque value. Both cost something: the value is copied, opaque values are kept in a map under a lock that
// the sender and the reports contend for. Matching by partition and order is not exact (docs/adr/0012-matching-reports.md).
type producer struct {
	p         *kafka.Producer
	sink      client.Sink
	of        client.Recogniser // nil: every slot is carried
	maxBlock  time.Duration
	memory    int64 // buffer.memory as librdkafka counts it
	retries   bool
	acks0     bool
	effective map[string]string

	slots   places.Table[client.Slot] // each holds its own number, for the library to carry
	spare   sync.Pool                 // of messages: the library keeps none
	headers headerPool
	count   count.Counts

	room         count.Spread // µs that Send waited for room
	observations observations
	studies      chan string // statistics on their way to be read, beside the reports

	// Written for every record, by senders and by the reports: each on a line of its own in the processors' caches.
	_     [64]byte
	taken atomic.Uint64 // records that the library took, or is about to
	_     [64]byte
	told  atomic.Uint64 // records that had their Ack
	acks  []client.Ack  // of the reports in hand
	_     [64]byte

	alive   sync.RWMutex // read: a call into the library; written: the library is gone
	closing chan struct{}
	once    sync.Once
	drained sync.WaitGroup
	stuck   atomic.Bool // a call does not return; see attended
	telling sync.Mutex  // held while reports are told, and their records asked for
	silent  bool        // Close has returned without the library's end: the sink is called no more

	waits    atomic.Uint64 // Sends that had to wait for room
	waiting  atomic.Int32
	freed    chan struct{} // reports have been read while somebody waits for room
	flushing atomic.Int32
	idle     chan struct{} // the last Ack came while somebody flushes
}

func (d driver) NewProducer(bootstrap []string, asked map[string]string, sink client.Sink) (client.Producer, error) {
	return d.NewRecognisingProducer(bootstrap, asked, sink, nil)
}

func (d driver) NewRecognisingProducer(bootstrap []string, asked map[string]string, sink client.Sink, of client.Recogniser) (client.Producer, error) {
	conf, effective, err := configure(settings.Producer, bootstrap, asked)
	if err != nil {
		return nil, fmt.Errorf("confluent producer: %w", err)
	}
	full, err := settings.Resolve(settings.Producer, asked)
	if err != nil {
		return nil, fmt.Errorf("confluent producer: %w", err)
	}
	conf["go.delivery.report.fields"] = "none"
	if of != nil {
		conf["go.delivery.report.fields"] = "value"
	}
	conf["go.events.channel.size"] = 8192 // reports beyond these wait inside librdkafka
	conf["go.produce.channel.size"] = 0
	kibs, _ := strconv.ParseInt(effective["queue.buffering.max.kbytes"], 10, 64)
	p := &producer{
		sink:      sink,
		of:        of,
		acks:      make([]client.Ack, 0, reportsAtOnce),
		maxBlock:  time.Duration(settings.Number(full, "max.block.ms")) * time.Millisecond,
		memory:    kibs * 1024,
		retries:   effective["retries"] != "0",
		acks0:     effective["acks"] == "0",
		effective: effective,
		closing:   make(chan struct{}),
		freed:     make(chan struct{}, 1),
		studies:   make(chan string, 4),
		idle:      make(chan struct{}, 1),
	}
	p.observations.most, _ = strconv.Atoi(effective["max.in.flight.requests.per.connection"])
	p.observations.idempotent = effective["enable.idempotence"] == "true"
	p.spare.New = func() any { return new(kafka.Message) }
	if p.p, err = kafka.NewProducer(&conf); err != nil {
		return nil, fmt.Errorf("confluent producer: %w", err)
	}
	events, logs := p.p.Events(), p.p.Logs()
	p.drained.Go(func() { p.drain(events) })
	p.drained.Go(func() {
		for document := range p.studies {
			p.study(document)
		}
	})
	p.drained.Go(func() { forward(logs, d.log) })
	return p, nil
}

// CopiesPayload: librdkafka copies key and value before Send returns.
func (p *producer) CopiesPayload() bool { return true }

func (p *producer) EffectiveSettings() map[string]string { return maps.Clone(p.effective) }

func (p *producer) Counters() map[string]uint64 { return p.count.All() }

func (p *producer) BufferWaits() uint64 { return p.waits.Load() }

// Send may be called from several goroutines, as long as no slot is in flight twice.
func (p *producer) Send(r *client.Record, slot client.Slot) error {
	m := p.spare.Get().(*kafka.Message)
	defer p.spare.Put(m)
	m.TopicPartition.Topic, m.TopicPartition.Partition = &r.Topic, r.Partition
	m.Key, m.Value, m.Headers, m.Opaque, m.Timestamp = r.Key, r.Value, nil, nil, r.Timestamp()
	if p.of == nil || !r.Known {
		carried := p.slots.At(slot)
		if *carried != slot { // written once, before the library has ever seen it
			*carried = slot
		}
		m.Opaque = carried
	}
	if len(r.Headers) > 0 {
		own := p.headers.lend(r.Headers)
		defer p.headers.Put(own)
		m.Headers = *own
	}
	p.taken.Add(1)
	err := p.produce(m)
	if err == nil {
		return nil
	}
	if code(err) == kafka.ErrQueueFull {
		err = p.produceWhenRoom(m)
	}
	if err != nil {
		p.taken.Add(^uint64(0))
		return p.refusal(err)
	}
	return nil
}

func (p *producer) produce(m *kafka.Message) error {
	p.alive.RLock()
	defer p.alive.RUnlock()
	if p.p == nil {
		return errClosed
	}
	return p.p.Produce(m, nil)
}

// produceWhenRoom gives buffer.memory Kafka's meaning: librdkafka answers a full buffer at once, Kafka waits for
// max.block.ms.
func (p *producer) produceWhenRoom(m *kafka.Message) error {
	if size := int64(len(m.Key) + len(m.Value)); size > p.memory {
		return fmt.Errorf("a record of %d bytes can never fit into buffer.memory=%d", size, p.memory)
	}
	start := time.Now()
	p.waiting.Add(1)
	p.waits.Add(1)
	p.count.Add("buffer_waits", 1)
	defer func() {
		p.waiting.Add(-1)
		waited := time.Since(start).Microseconds()
		p.count.Add("buffer_wait_us", uint64(waited))
		p.room.Add(waited)
	}()
	limit := time.NewTimer(p.maxBlock)
	defer limit.Stop()
	again := time.NewTicker(time.Millisecond) // librdkafka frees a batch a moment after its last report is read
	defer again.Stop()
	for {
		select {
		case <-p.freed:
		case <-again.C:
		case <-limit.C:
			return errBufferFull
		case <-p.closing:
			return errClosed
		}
		if err := p.produce(m); code(err) != kafka.ErrQueueFull {
			return err
		}
	}
}

// refusal explains why the library did not take a record. A fatal state is named by its cause.
func (p *producer) refusal(err error) error {
	if c := code(err); c != kafka.ErrNoError {
		p.count.Add("error."+name(c), 1)
		if c == kafka.ErrFatal {
			err = p.fatal(err)
		}
	}
	return explain("send", err)
}

// fatal is the error that made the producer unusable, or the given one if there is none.
func (p *producer) fatal(otherwise error) error {
	p.alive.RLock()
	defer p.alive.RUnlock()
	if p.p != nil {
		if err := p.p.GetFatalError(); err != nil {
			return err
		}
	}
	return otherwise
}

// reportsAtOnce bounds the reports that are handed to the sink at once, and so how long the first of them waits for that:
// some microseconds.
const reportsAtOnce = 64

// drain reads reports until the library is closed, as many at once as are there.
func (p *producer) drain(events <-chan kafka.Event) {
	defer close(p.studies)
	for event := range events {
		p.telling.Lock()
		p.look(event)
	more:
		for len(p.acks) > 0 && len(p.acks) < reportsAtOnce {
			select {
			case event, ok := <-events:
				if !ok {
					break more
				}
				p.look(event)
			default:
				break more
			}
		}
		p.tell()
		p.telling.Unlock()
	}
}

// look takes one event of the library's.
func (p *producer) look(event kafka.Event) {
	switch e := event.(type) {
	case *kafka.Message:
		p.report(e)
	case *kafka.Stats:
		select {
		case p.studies <- e.String():
		default: // what they count goes on, and the next tell it
		}
	case kafka.Error:
		p.count.Add("error."+name(e.Code()), 1)
		if e.IsFatal() && (failure{err: e}).Fenced() {
			p.count.Add("fenced", 1)
		}
	default:
		p.count.Add("dropped", 1) // nothing that this driver knows, and maybe something that the judge should
	}
}

// slotOf is the slot of a report's record.
func (p *producer) slotOf(m *kafka.Message) (client.Slot, bool) {
	if slot, ok := m.Opaque.(*client.Slot); ok {
		return *slot, true
	}
	if p.of == nil {
		return 0, false
	}
	return p.of(m.Value)
}

// report puts what a report says with the acks in hand.
func (p *producer) report(m *kafka.Message) {
	if p.silent {
		return
	}
	slot, ok := p.slotOf(m)
	if !ok {
		p.count.Add("dropped", 1) // a report on no record of ours
		return
	}
	at := &m.TopicPartition
	ack := client.Ack{Slot: slot, Partition: at.Partition, Offset: int64(at.Offset)}
	switch {
	case at.Error != nil:
		c := code(at.Error)
		p.count.Add("error."+name(c), 1)
		ack.Offset = client.UnknownOffset
		ack.Err = explain("deliver", at.Error)
		ack.Definite = !p.retries && intrinsic(c)
	case p.acks0:
		ack.Offset = client.UnknownOffset // nobody told one: what librdkafka reports now and then counts from 0
	case ack.Offset < 0:
		ack.Offset = client.UnknownOffset
		p.count.Add("deduplicated", 1) // DUPLICATE_SEQUENCE_NUMBER counts as delivered, at an offset not told
	}
	if ack.Partition < 0 {
		ack.Partition = client.AnyPartition
	}
	p.acks = append(p.acks, ack)
}

// tell hands over the acks in hand.
func (p *producer) tell() {
	if len(p.acks) == 0 {
		return
	}
	p.sink(p.acks)
	p.told.Add(uint64(len(p.acks)))
	p.acks = p.acks[:0]
	if p.flushing.Load() > 0 && p.open() == 0 {
		signal(p.idle)
	}
	if p.waiting.Load() > 0 {
		signal(p.freed)
	}
}

// open is how many records are without their Ack. One that the library refuses counts for a moment, too.
func (p *producer) open() int64 {
	told := p.told.Load() // first: what is told was taken before
	return int64(p.taken.Load() - told)
}

// signal wakes whoever waits, if nobody has been woken yet.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Flush sends what lingers and waits for every Ack.
func (p *producer) Flush(ctx context.Context) error {
	p.flushing.Add(1)
	defer p.flushing.Add(-1)
	for p.open() > 0 {
		pushed := p.push()
		select {
		case <-p.idle:
		case <-pushed:
		case <-ctx.Done():
			return fmt.Errorf("flush: %d records without acknowledgement: %w", p.open(), ctx.Err())
		case <-p.closing:
			return fmt.Errorf("flush: %w", errClosed)
		}
	}
	return nil
}

// push has the library send without lingering for a while. Its own Flush does so, but wakes up late.
func (p *producer) push() (done chan struct{}) {
	const while = 50 // ms
	done = make(chan struct{})
	go func() {
		defer close(done)
		p.alive.RLock()
		defer p.alive.RUnlock()
		if p.p != nil && p.p.Flush(while) == 0 {
			time.Sleep(time.Millisecond) // the last reports are on their way to the sink
		}
	}()
	return done
}

// Close may be called twice. A producer that is stuck is left behind: nothing can close it.
func (p *producer) Close() error {
	p.once.Do(func() {
		close(p.closing)
		if p.stuck.Load() {
			p.telling.Lock()
			p.silent = true
			p.telling.Unlock()
			return
		}
		p.alive.Lock()
		library := p.p
		p.p = nil
		p.alive.Unlock()
		library.Close()
		p.drained.Wait()
	})
	return nil
}
