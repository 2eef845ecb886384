package franz

import (
	"sync/atomic"
	"time"

	"github.com/kbench/kbench/internal/driver/count"
)

// buffer is buffer.memory with Kafka's meaning: keys and values on their way, and whoever has no room waits for
// max.block.ms.
type buffer struct {
	size     int64
	maxBlock time.Duration
	closing  <-chan struct{}
	count    *count.Counts
	waited   *count.Spread // µs

	waits   atomic.Uint64 // who had to wait
	waiting atomic.Int32
	room    chan struct{}

	// Bytes that were ever taken and ever given back, each on a line of its own in the processors' caches. Senders look at
	// the latter only when what they have seen of it leaves no room.
	_     [64]byte
	taken atomic.Int64
	seen  atomic.Int64 // of freed
	_     [64]byte
	freed atomic.Int64
	_     [64]byte
}

func (b *buffer) try(n int64) bool {
	for {
		taken := b.taken.Load()
		if taken+n-b.seen.Load() > b.size {
			freed := b.freed.Load()
			if taken+n-freed > b.size {
				return false
			}
			b.seen.Store(freed)
		}
		if b.taken.CompareAndSwap(taken, taken+n) {
			return true
		}
	}
}

// take tells whether it had to wait.
func (b *buffer) take(n int64) (waited bool, err error) {
	if b.try(n) {
		return false, nil
	}
	return true, b.wait(n)
}

func (b *buffer) wait(n int64) error {
	start := time.Now()
	b.waiting.Add(1)
	b.waits.Add(1)
	b.count.Add("buffer_waits", 1)
	defer func() {
		b.waiting.Add(-1)
		waited := time.Since(start).Microseconds()
		b.count.Add("buffer_wait_us", uint64(waited))
		b.waited.Add(waited)
	}()
	limit := time.NewTimer(b.maxBlock)
	defer limit.Stop()
	again := time.NewTicker(5 * time.Millisecond) // one wake-up may be taken by another waiter
	defer again.Stop()
	for {
		if b.try(n) {
			return nil
		}
		select {
		case <-b.room:
		case <-again.C:
		case <-limit.C:
			return errBufferFull
		case <-b.closing:
			return errClosed
		}
	}
}

// used is what is taken and not given back.
func (b *buffer) used() int64 {
	freed := b.freed.Load()
	return b.taken.Load() - freed
}

func (b *buffer) free(n int64) {
	b.freed.Add(n)
	if b.waiting.Load() > 0 {
		select {
		case b.room <- struct{}{}:
		default:
		}
	}
}
