// Package proc starts child processes that do not outlive kbench and tells what state the operating system shows a
// process in. It is a leaf.
package proc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Starter starts children with a parent-death signal. Linux ties that signal to the thread that started the child,
// so one goroutine, locked to its thread for as long as the Starter lives, starts them all.
type Starter struct {
	work chan func()
}

// NewStarter makes a Starter. Close it when every child has ended: closing may kill those that have not.
func NewStarter() *Starter {
	s := &Starter{work: make(chan func())}
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		for f := range s.work {
			f()
		}
	}()
	return s
}

// Start starts cmd in a process group of its own, so that a terminal's interrupt does not reach it, and has the
// system kill it when kbench dies.
func (s *Starter) Start(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	failed := make(chan error, 1)
	s.work <- func() { failed <- cmd.Start() }
	return <-failed
}

// Close ends the starting thread.
func (s *Starter) Close() { close(s.work) }

// States of a process.
const (
	Running = "running"
	Paused  = "paused"
	Dead    = "dead"
)

// State is what the system shows: Paused only when every thread is stopped, Dead also for a zombie.
func State(pid int) (string, error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil {
		return "", err
	}
	alive, stopped := 0, 0
	for _, thread := range threads {
		letter, err := stateLetter(thread)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // the thread ended between the listing and the reading
		}
		if err != nil {
			return "", err
		}
		switch letter {
		case 'Z', 'X', 'x':
			continue
		case 'T', 't':
			stopped++
		}
		alive++
	}
	switch {
	case alive == 0:
		return Dead, nil
	case stopped == alive:
		return Paused, nil
	default:
		return Running, nil
	}
}

// stateLetter is the field after the command's name, which stands in parentheses and may contain any character.
func stateLetter(stat string) (byte, error) {
	text, err := os.ReadFile(stat)
	if err != nil {
		return 0, err
	}
	end := bytes.LastIndexByte(text, ')')
	if end < 0 || end+2 >= len(text) {
		return 0, fmt.Errorf("%s: no state in %q", stat, text)
	}
	return text[end+2], nil
}

// ID names one process until the next boot: a pid comes back, a pid with its start does not.
type ID struct {
	Pid   int    `json:"pid,omitempty"`
	Began uint64 `json:"began,omitempty"` // its start, in clock ticks since boot
}

// Identify names a process that lives now, or waits to be reaped.
func Identify(pid int) (ID, error) {
	began, err := startTime(pid)
	return ID{pid, began}, err
}

// Alive tells whether it is still that process which has the pid. One that waits to be reaped counts, and one whose
// start is not known does not.
func (id ID) Alive() bool {
	began, err := startTime(id.Pid)
	return err == nil && id.Began != 0 && began == id.Began
}

// Boot is the id of the machine's boot, within which start times mean something; "" where it is not told.
func Boot() string {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id))
}

func startTime(pid int) (uint64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	end := bytes.LastIndexByte(text, ')')
	if end < 0 {
		return 0, fmt.Errorf("process %d: no start time in %q", pid, text)
	}
	fields := bytes.Fields(text[end+1:])
	const startTime = 22 - 3 // field 22 of proc(5), counted from the state, which is field 3
	if len(fields) <= startTime {
		return 0, fmt.Errorf("process %d: no start time in %q", pid, text)
	}
	return strconv.ParseUint(string(fields[startTime]), 10, 64)
}

// Signal sends sig to a process and waits until the system shows the state.
func Signal(ctx context.Context, pid int, sig syscall.Signal, state string) error {
	if err := syscall.Kill(pid, sig); err != nil {
		return fmt.Errorf("send %v to process %d: %w", sig, pid, err)
	}
	return Await(ctx, pid, state)
}

// Await waits until the system shows a process in the state.
func Await(ctx context.Context, pid int, state string) error {
	for {
		now, err := State(pid)
		if err != nil {
			return err
		}
		if now == state {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("process %d is %s, not %s: %w", pid, now, state, context.Cause(ctx))
		case <-time.After(2 * time.Millisecond):
		}
	}
}
