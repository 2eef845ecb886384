package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/kbench/kbench/internal/cluster"
	"github.com/kbench/kbench/internal/proc"
)

// identity names one process: a pid comes back, a pid with its start time does not, until the next boot.
type identity struct {
	Pid   int    `json:"pid"`
	Ticks uint64 `json:"ticks"` // start, in ticks of 10 ms since boot
}

// ticksPerSecond is the kernel's USER_HZ, which is 100 on every architecture that Go runs on.
const ticksPerSecond = 100

// identify reads the start time of a process that lives now, or waits to be reaped.
func identify(pid int) (identity, error) {
	ticks, err := proc.StartTime(pid)
	return identity{pid, ticks}, err
}

// state is the process as /proc shows it now. Paused means that every thread is stopped. A process that is gone, or
// has ended and waits to be reaped, is dead.
func (id identity) state() (cluster.ProcessState, error) {
	dead := cluster.ProcessState{State: proc.Dead}
	if id.Pid == 0 {
		return dead, nil
	}
	ticks, err := proc.StartTime(id.Pid)
	if gone(err) || err == nil && ticks != id.Ticks {
		return dead, nil
	}
	if err != nil {
		return cluster.ProcessState{}, err
	}
	state, err := proc.State(id.Pid)
	if err != nil {
		return cluster.ProcessState{}, err
	}
	if state == proc.Dead {
		return dead, nil
	}
	boot, err := bootTime()
	started := boot.Add(time.Duration(ticks) * time.Second / ticksPerSecond)
	return cluster.ProcessState{Pid: id.Pid, State: state, Started: started}, err
}

// commandLine is the process's arguments.
func (id identity) commandLine() ([]string, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", id.Pid))
	return strings.Split(strings.TrimSuffix(string(raw), "\x00"), "\x00"), err
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
