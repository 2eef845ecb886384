package history

import (
	"fmt"
	"sync"
)

// stream hands out a log's operations. A long log is decoded by a goroutine of its own, some batches ahead.
type stream struct {
	log   *cursor
	size  int // operations in a batch
	batch *batch
	at    int // the operation of the batch whose turn it is

	full, free chan *batch // nil where nobody decodes ahead
}

// decodeAhead is the size of a log from which that is worth a goroutine.
const decodeAhead = 4 * chunkSize

// batchSize bounds what is held in memory, however many logs there are.
func batchSize(logs int) int { return min(max(4096/logs, 16), 128) }

// done tells whether the stream has come to its end.
func (s *stream) done() bool { return len(s.batch.ops) == 0 }

func (s *stream) before(other *stream) bool {
	a, b := s.batch.ops[s.at].order, other.batch.ops[other.at].order
	return a < b || a == b && s.log.client < other.log.client
}

// advance goes to the next operation, or to the end.
func (s *stream) advance() error {
	if s.at++; s.at < len(s.batch.ops) {
		return nil
	}
	return s.turn()
}

// turn goes on to the next batch.
func (s *stream) turn() error {
	if s.batch.err == nil {
		s.at = 0
		if s.full == nil {
			s.batch.fill(s.log, s.size)
		} else {
			s.free <- s.batch
			s.batch = <-s.full
		}
	}
	if s.at < len(s.batch.ops) {
		return nil
	}
	return s.batch.err
}

// batch is a row of operations of one log, empty at its end.
type batch struct {
	ops  []ordered
	room []Record // for the records of all operations
	used int      // records of the last filling
	err  error    // what came instead of the next operation
}

// ordered is an operation with its place in the merge.
type ordered struct {
	Op
	order int64
}

const maxRoom = 1 << 16 // records; what does not fit is allocated anew

// fill decodes up to n operations. Few that have many records are enough.
func (b *batch) fill(log *cursor, n int) {
	if cap(b.ops) < n {
		b.ops = make([]ordered, n)
	}
	if b.used > cap(b.room) && cap(b.room) < maxRoom {
		b.room = make([]Record, 0, min(b.used+b.used/4, maxRoom))
	}
	b.ops, b.used, b.err = b.ops[:n], 0, nil
	room := b.room
	for i := range b.ops {
		o := &b.ops[i]
		o.Records = room[:0]
		more, err := log.next(&o.Op)
		if err != nil || !more {
			b.ops, b.err = b.ops[:i], err
			return
		}
		o.order = log.order
		room = o.Records[len(o.Records):]
		if b.used += len(o.Records); b.used >= 8*n {
			b.ops = b.ops[:i+1]
			return
		}
	}
}

// decoders are the goroutines that decode ahead.
type decoders struct {
	stop chan struct{}
	all  sync.WaitGroup
}

// start has a goroutine decode for a stream, while one batch is in use and another one waits.
func (d *decoders) start(s *stream) {
	s.full, s.free = make(chan *batch, 1), make(chan *batch, 3)
	s.free <- &batch{}
	s.free <- &batch{}
	d.all.Go(func() {
		for last := false; !last; {
			var b *batch
			select {
			case b = <-s.free:
			case <-d.stop:
				return
			}
			b.guarded(s.log, s.size)
			last = len(b.ops) == 0 || b.err != nil
			select {
			case s.full <- b:
			case <-d.stop:
				return
			}
		}
	})
}

// guarded fills the batch. A crash is an error of this log: it must not take the process with it.
func (b *batch) guarded(log *cursor, n int) {
	defer func() {
		if p := recover(); p != nil {
			b.ops, b.err = b.ops[:0], fmt.Errorf("%s: decoding crashed: %v", log.name, p)
		}
	}()
	b.fill(log, n)
}

// end stops all goroutines and waits for them.
func (d *decoders) end() {
	close(d.stop)
	d.all.Wait()
}
