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

// At is the clock that another process began: base is its Base.
func At(base int64) (Clock, error) {
	start := time.Now()
	now, err := monotonic()
	if err != nil {
		return Clock{}, err
	}
	return Clock{start: start, offset: now - base, base: base}, nil
}

// Now is the time since the base in nanoseconds.
func (c Clock) Now() int64 { return c.offset + int64(time.Since(c.start)) }

// Base identifies the clock for another process: see At.
func (c Clock) Base() int64 { return c.base }

// Wall is the wall clock's reading less the monotonic one, in nanoseconds: when it changes, the wall clock was stepped.
func (c Clock) Wall() int64 { return time.Now().Round(0).UnixNano() - c.Now() }

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
