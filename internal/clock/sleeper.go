package clock

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Sleeper wakes one goroutine on time. Go's own timers may be a millisecond late, since the runtime waits for them in
// whole milliseconds; a thread that sleeps in a system call is on time, but keeps the runtime's monitor busy. A timer of
// the kernel's that the runtime polls like a socket (timerfd_create(2)) is on time and costs nothing in between.
type Sleeper struct {
	clock Clock
	fd    int // os.File.Fd would make it blocking
	timer *os.File
	quit  func() bool
}

// NewSleeper makes a Sleeper whose waits end early once ctx has ended.
func (c Clock) NewSleeper(ctx context.Context) (*Sleeper, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a timer: %w", err)
	}
	s := &Sleeper{clock: c, fd: fd, timer: os.NewFile(uintptr(fd), "timer")}
	s.quit = context.AfterFunc(ctx, func() {
		_ = s.timer.SetReadDeadline(time.Unix(1, 0)) // long ago: ends a wait at once
	})
	return s, nil
}

// Until waits until t on the clock, or returns at once where that has passed. False says that ctx ended first.
func (s *Sleeper) Until(t int64) bool {
	if t <= s.clock.Now() {
		return true
	}
	at := unix.ItimerSpec{Value: unix.NsecToTimespec(s.clock.base + t)}
	if err := unix.TimerfdSettime(s.fd, unix.TFD_TIMER_ABSTIME, &at, nil); err != nil {
		return false
	}
	var expirations [8]byte
	_, err := s.timer.Read(expirations[:])
	return err == nil
}

// Close gives the timer back.
func (s *Sleeper) Close() error {
	s.quit()
	return s.timer.Close()
}
