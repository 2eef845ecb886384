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

	used    atomic.Int64
	waits   atomic.Uint64 // who had to wait
	waiting atomic.Int32
	room    chan struct{}
}

func (b *buffer) try(n int64) bool {
	for {
		used := b.used.Load()
		if used+n > b.size {
			return false
		}
		if b.used.CompareAndSwap(used, used+n) {
			return true
		}
	}
}

func (b *buffer) take(n int64) error {
	if b.try(n) {
		return nil
	}
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

func (b *buffer) free(n int64) {
	b.used.Add(-n)
	if b.waiting.Load() > 0 {
		select {
		case b.room <- struct{}{}:
		default:
		}
	}
}
