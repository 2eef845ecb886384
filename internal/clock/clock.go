// Package clock is the run's one monotonic clock. Every process of a run reads the same one: it counts from a base
// on CLOCK_MONOTONIC, which the operating system shares between processes. It is a leaf.
package clock

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Clock counts nanoseconds since its base.
type Clock struct {
	start  time.Time // carries Go's own monotonic reading, which is cheaper to read than a system call
	offset int64     // ns from the base to start
	base   int64     // CLOCK_MONOTONIC at the base, ns
}

// New begins a clock now.
func New() (Clock, error) {
	now, err := monotonic()
	if err != nil {
		return Clock{}, err
	}
	return At(now)
}

// At is the clock that another process began: base is its Base. Two readings tie them together; of several tries the one
// counts that nothing came between.
func At(base int64) (Clock, error) {
	var best Clock
	least := time.Duration(1<<63 - 1)
	for try := 0; try < 10 && least > 10*time.Microsecond; try++ {
		start := time.Now()
		now, err := monotonic()
		if err != nil {
			return Clock{}, err
		}
		if took := time.Since(start); took < least {
			least, best = took, Clock{start: start, offset: now - base, base: base}
		}
	}
	return best, nil
}

// Now is the time since the base in nanoseconds.
func (c Clock) Now() int64 { return c.offset + int64(time.Since(c.start)) }

// Base identifies the clock for another process: see At.
func (c Clock) Base() int64 { return c.base }

// Wall is the wall clock's reading less the monotonic one, in nanoseconds: when it changes, the wall clock was stepped, for
// both are slewed alike.
func (c Clock) Wall() int64 {
	now := time.Now() // both readings at once
	return now.Round(0).UnixNano() - c.offset - int64(now.Sub(c.start))
}

// SleepUntil waits until t on the clock, to a millisecond or so, or returns at once where that has passed. It gives up
// early, and returns false, once done is closed.
func (c Clock) SleepUntil(t int64, done <-chan struct{}) bool {
	timer := time.NewTimer(time.Duration(t - c.Now()))
	defer timer.Stop()
	select {
	case <-done:
		return false
	case <-timer.C:
		return true
	}
}

func monotonic() (int64, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0, fmt.Errorf("read the monotonic clock: %w", err)
	}
	return ts.Nano(), nil
}
