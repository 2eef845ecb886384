package franz

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/driver/count"
	"github.com/kbench/kbench/internal/driver/places"
	"github.com/kbench/kbench/internal/settings"
)

// producer sends through franz-go. Key and value are the library's until their Ack: it does not copy them.
type producer struct {
	cl      atomic.Pointer[kgo.Client]
	side    *kgo.Client // for a transaction's requests that the library does not send; nil before InitTransactions
	opts    []kgo.Opt   // to make the client anew
	full    map[string]string
	sink    client.Sink
	acks0   bool
	retries bool
	alone   bool  // one request in flight
	most    int64 // bytes of a record that the library would still take

	flights places.Table[flight]
	promise func(*kgo.Record, error) // done, made once
	count   count.Counts
	watch   *watch
	began   time.Time
	closing chan struct{}
	once    sync.Once

	txn    transaction
	buffer buffer

	// Written for every record, by senders and by the library's answers: each on a line of its own in the processors' caches.
	_     [64]byte
	taken atomic.Uint64 // records that the library took
	_     [64]byte
	told  atomic.Uint64 // records that had their Ack
	last  answered
	ack   [1]client.Ack
	_     [64]byte
}

// flight is one record under way. It stands as the record's context, which the library hands back with the record. It fills three
// lines of the processors' caches, which every record misses: once when it is sent, and once when the library tells of it.
type flight struct {
	endless
	record  kgo.Record
	slot    client.Slot
	size    int32               // of key, value and headers
	at      time.Duration       // of a sampled record: when it was handed to the library, since began; 0 for the others
	headers *[]kgo.RecordHeader // kept for the next record; nil until one has any
	_       [8]byte
}

// endless is a context that never ends and carries nothing. It takes no room, and is never written: the library may still wait for
// its end beside a later record's flight.
type endless struct{}

func (endless) Deadline() (time.Time, bool) { return time.Time{}, false }
func (endless) Done() <-chan struct{}       { return nil }
func (endless) Err() error                  { return nil }
func (endless) Value(any) any               { return nil }

// answered is what was told last, and with which of the brokers' answers.
type answered struct {
	answers uint64 // that had been read by then
	before  int    // records told since the clock was read for one
}

// toldTogether bounds the records for which the clock is read once. A record's time is never earlier than the broker's answer, and
// earlier than its own call back by what recording those before it took: microseconds, unless that was held up.
const toldTogether = 64

// together notes that one more record is told, of an answer that had been read when so many had been.
func (a *answered) together(answers uint64) bool {
	if a.before == 0 || answers != a.answers || a.before == toldTogether {
		a.answers, a.before = answers, 1
		return false
	}
	a.before++
	return true
}

func (d driver) NewProducer(bootstrap []string, asked map[string]string, sink client.Sink) (client.Producer, error) {
	full, err := resolve(settings.Producer, asked)
	if err != nil {
		return nil, fmt.Errorf("franz producer: %w", err)
	}
	opts, err := producerOptions(bootstrap, full)
	if err != nil {
		return nil, fmt.Errorf("franz producer: %w", err)
	}
	p := &producer{
		full:    full,
		sink:    sink,
		acks0:   full["acks"] == "0",
		retries: full["retries"] != "0",
		alone:   full["enable.idempotence"] == "false" && full["max.in.flight.requests.per.connection"] == "1",
		most:    min(settings.Number(full, "max.request.size"), settings.Number(full, "batch.size")),
		began:   time.Now(),
		closing: make(chan struct{}),
	}
	p.watch = newWatch(p.acks0, int(settings.Number(full, "max.in.flight.requests.per.connection")))
	p.watch.count = &p.count
	p.promise = p.done
	p.buffer.size = settings.Number(full, "buffer.memory")
	p.buffer.maxBlock = millis(full, "max.block.ms")
	p.buffer.closing, p.buffer.room = p.closing, make(chan struct{}, 1)
	p.buffer.count, p.buffer.waited = &p.count, &p.watch.room
	p.opts = append(opts, kgo.WithLogger(logger{log: d.log, level: kgo.LogLevelDebug, count: &p.count}), kgo.WithHooks(p.watch))
	p.txn.id = full["transactional.id"]
	cl, err := kgo.NewClient(p.opts...)
	if err != nil {
		return nil, fmt.Errorf("franz producer: %w", err)
	}
	p.cl.Store(cl)
	return p, nil
}

// EffectiveSettings are Kafka's names, as the driver gives them to the library's options.
func (p *producer) EffectiveSettings() map[string]string { return settings.Redact(maps.Clone(p.full)) }

func (p *producer) Counters() map[string]uint64 { return p.count.All() }

// Observed tells how the time since it was called before was spent.
func (p *producer) Observed() []client.Interval {
	return p.watch.observed(time.Now(), p.open(), p.buffer.used())
}

func (p *producer) BufferWaits() uint64 { return p.buffer.waits.Load() }

// recordOverhead bounds what a batch's head and a record's lengths add to key and value.
const recordOverhead = 61 + 21

// Send may be called from several goroutines.
func (p *producer) Send(r *client.Record, slot client.Slot) error {
	size := int64(len(r.Key) + len(r.Value) + client.HeaderBytes(r.Headers))
	if size+recordOverhead > p.most || size > p.buffer.size {
		p.count.Add("error.MESSAGE_TOO_LARGE", 1)
		return p.tooLarge(size)
	}
	if err := p.txn.mayProduce(); err != nil {
		return err
	}
	waited, err := p.buffer.take(size)
	if err != nil {
		p.txn.unsent()
		return explain("send", err)
	}
	f := p.flights.At(slot)
	f.slot, f.size = slot, int32(size)
	if f.at = 0; timed(p.taken.Add(1)) {
		f.at = time.Since(p.began)
	}
	own := &f.record // the rest of it is what the library told of the record before
	own.Topic, own.Partition, own.Key, own.Value = r.Topic, r.Partition, r.Key, r.Value
	own.Headers, own.Timestamp, own.Context = f.headed(r.Headers), r.Timestamp(), f
	if waited {
		own.Timestamp = time.Time{} // delivery.timeout.ms is reckoned from it, and begins when there is room
	}
	p.cl.Load().Produce(context.Background(), own, p.promise)
	return nil
}

// headed are headers as the library has them.
func (f *flight) headed(headers []client.Header) []kgo.RecordHeader {
	if len(headers) == 0 {
		return nil
	}
	if f.headers == nil {
		f.headers = new([]kgo.RecordHeader)
	}
	own := (*f.headers)[:0]
	for _, h := range headers {
		own = append(own, kgo.RecordHeader(h))
	}
	*f.headers = own
	return own
}

func (p *producer) tooLarge(size int64) error {
	switch {
	case size > p.buffer.size:
		return fmt.Errorf("send: a record of %d bytes can never fit into buffer.memory=%d", size, p.buffer.size)
	case size+recordOverhead > settings.Number(p.full, "max.request.size"):
		return fmt.Errorf("send: a record of %d bytes exceeds max.request.size=%s", size, p.full["max.request.size"])
	}
	return fmt.Errorf("send: a record of %d bytes exceeds batch.size=%s, above which franz-go takes none: raise batch.size", size, p.full["batch.size"])
}

// done is called by the library for one record after the other.
func (p *producer) done(r *kgo.Record, err error) {
	f := r.Context.(*flight)
	ack := &p.ack[0]
	*ack = client.Ack{Slot: f.slot, Partition: r.Partition, Offset: r.Offset}
	if err != nil {
		ack.Err = explain("deliver", err)
		p.count.Add("error."+name(err), 1)
		ack.Offset = client.UnknownOffset
		ack.Definite = p.alone && !p.retries && intrinsic(err) || errors.Is(err, kgo.ErrMaxBuffered)
	} else if p.acks0 || ack.Offset < 0 {
		ack.Offset = client.UnknownOffset
		if !p.acks0 {
			p.count.Add("deduplicated", 1)
		}
	}
	if ack.Partition < 0 {
		ack.Partition = client.AnyPartition
	}
	if err == nil && f.at > 0 {
		p.watch.acknowledged(r.Topic, r.Partition, time.Since(p.began)-f.at)
	}
	if err == nil && !p.acks0 {
		ack.Together = p.last.together(p.watch.answers.Load())
	} else {
		p.last = answered{} // no answer of a broker says when this was known
	}
	size := int64(f.size)
	p.txn.acked(err)
	p.sink(p.ack[:]) // from here on the flight may be another record's
	p.told.Add(1)
	p.buffer.free(size)
}

// open is how many records are without their Ack.
func (p *producer) open() int64 {
	told := p.told.Load() // first: what is told was taken before
	return int64(p.taken.Load() - told)
}

// Flush sends what lingers and waits for every Ack.
func (p *producer) Flush(ctx context.Context) error {
	if err := p.cl.Load().Flush(ctx); err != nil {
		return fmt.Errorf("flush: %d records without acknowledgement: %w", p.open(), err)
	}
	if open := p.open(); open > 0 && p.closed() {
		return fmt.Errorf("flush: %d records without acknowledgement: %w", open, errClosed)
	}
	return nil
}

func (p *producer) closed() bool {
	select {
	case <-p.closing:
		return true
	default:
		return false
	}
}

// awaitAcks lets the library tell what became of the records that its Close has given up, which it does from goroutines
// that outlive Close.
func (p *producer) awaitAcks() {
	for until := time.Now().Add(closeLimit); p.open() > 0 && time.Now().Before(until); {
		time.Sleep(time.Millisecond)
	}
}

// closeLimit bounds a wait that only a record lost by the library itself could make long.
const closeLimit = 10 * time.Second

// Close may be called twice. What is still under way gets an Ack with an error before it returns.
func (p *producer) Close() error {
	p.once.Do(func() {
		close(p.closing)
		p.cl.Load().Close()
		p.awaitAcks()
		if p.side != nil {
			p.side.Close()
		}
	})
	return nil
}
