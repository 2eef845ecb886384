package bench

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// wallEvery is how often the wall clock is looked at: it may be moved and moved back within a run, while brokers and
// clients reckon their time-outs by it.
const wallEvery = 50 * time.Millisecond

// wall watches how far the wall clock is from where it was when a run began, against the monotonic one.
type wall struct {
	read  func() int64 // ns, see clock.Clock.Wall
	began int64

	latest atomic.Int64 // reading, ns

	mu       sync.Mutex
	farthest int64 // ns, with its sign
}

// newWall begins at the given reading, which may be another process's of the same machine.
func newWall(read func() int64, began int64) *wall {
	w := &wall{read: read, began: began}
	w.latest.Store(read())
	return w
}

// stamp is a time on the run's clock as a record's timestamp, ms since the epoch: what the wall clock showed then, unless it was
// stepped since it was looked at.
func (w *wall) stamp(at int64) int64 { return (at + w.latest.Load()) / int64(time.Millisecond) }

// look takes the least of three readings, since one may be interrupted between its two clocks, and a step shows in all.
func (w *wall) look() {
	off := w.read() - w.began
	for range 2 {
		if again := w.read() - w.began; abs(again) < abs(off) {
			off = again
		}
	}
	w.latest.Store(w.began + off)
	w.saw(off)
}

// saw keeps the farthest, which somebody else may have seen.
func (w *wall) saw(off int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if abs(off) > abs(w.farthest) {
		w.farthest = off
	}
}

// step is the farthest yet, in ns.
func (w *wall) step() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.farthest
}

// watch looks until ctx ends.
func (w *wall) watch(ctx context.Context) {
	tick := time.NewTicker(wallEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			w.look()
		}
	}
}

func abs(n int64) int64 { return max(n, -n) }
