package local

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/kbench/kbench/internal/cluster"
)

// identity names one process for good: a pid comes back, a pid with its start time does not, until the next boot.
type identity struct {
	Pid   int    `json:"pid"`
	Ticks uint64 `json:"ticks"` // start, in ticks of 10 ms since boot
}

// ticksPerSecond is the kernel's USER_HZ, which is 100 on every architecture that Go runs on.
const ticksPerSecond = 100

// identify reads the start time of a process that lives now.
func identify(pid int) (identity, error) {
	st, err := readStat(fmt.Sprintf("/proc/%d/stat", pid))
	return identity{pid, st.ticks}, err
}

// state is the process as /proc shows it now. Paused means that every thread is stopped. A process that is gone, or
// has ended and waits to be reaped, is dead.
func (id identity) state() (cluster.ProcessState, error) {
	dead := cluster.ProcessState{State: "dead"}
	if id.Pid == 0 {
		return dead, nil
	}
	st, err := readStat(fmt.Sprintf("/proc/%d/stat", id.Pid))
	if gone(err) || err == nil && (st.ticks != id.Ticks || st.ended()) {
		return dead, nil
	}
	if err != nil {
		return dead, err
	}
	boot, err := bootTime()
	if err != nil {
		return dead, err
	}
	stopped, err := allStopped(id.Pid)
	if gone(err) {
		return dead, nil
	}
	alive := cluster.ProcessState{Pid: id.Pid, State: "running", Started: boot.Add(time.Duration(st.ticks) * time.Second / ticksPerSecond)}
	if stopped {
		alive.State = "paused"
	}
	return alive, err
}

// commandLine is the process's arguments.
func (id identity) commandLine() ([]string, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", id.Pid))
	return strings.Split(strings.TrimSuffix(string(raw), "\x00"), "\x00"), err
}

// allStopped tells whether every thread of a process is stopped. Threads that have ended do not count.
func allStopped(pid int) (bool, error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(tasks) == 0 {
		return false, errors.Join(err, fs.ErrNotExist)
	}
	for _, task := range tasks {
		st, err := readStat(task)
		if gone(err) || err == nil && st.ended() {
			continue
		}
		if err != nil || st.state != 'T' {
			return false, err
		}
	}
	return true, nil
}

// stat is what is used of a stat file, see proc(5).
type stat struct {
	state byte
	ticks uint64
}

func (s stat) ended() bool { return s.state == 'Z' || s.state == 'X' || s.state == 'x' }

func readStat(path string) (stat, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return stat{}, err
	}
	st, err := parseStat(raw)
	if err != nil {
		return stat{}, fmt.Errorf("%s: %w", path, err)
	}
	return st, nil
}

// parseStat reads from the last parenthesis on: the command's name before it may hold anything.
func parseStat(raw []byte) (stat, error) {
	const stateField, startField = 3, 22
	end := bytes.LastIndexByte(raw, ')')
	if end < 0 {
		return stat{}, errors.New("no command name")
	}
	fields := strings.Fields(string(raw[end+1:]))
	if len(fields) <= startField-stateField || len(fields[0]) != 1 {
		return stat{}, errors.New("too few fields")
	}
	ticks, err := strconv.ParseUint(fields[startField-stateField], 10, 64)
	if err != nil {
		return stat{}, fmt.Errorf("start time: %w", err)
	}
	return stat{fields[0][0], ticks}, nil
}

// bootTime is when the machine started, to the second.
func bootTime() (time.Time, error) {
	raw, err := os.ReadFile("/proc/stat")
	if err != nil {
		return time.Time{}, err
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "btime "); ok {
			s, err := strconv.ParseInt(strings.TrimSpace(rest), 10, 64)
			return time.Unix(s, 0), err
		}
	}
	return time.Time{}, errors.New("/proc/stat has no btime")
}

// gone: a process may end between the opening of its file and the reading of it.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH)
}
