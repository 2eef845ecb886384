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

// ticksPerSecond is the kernel's USER_HZ, which is 100 on every architecture that Go runs on.
const ticksPerSecond = 100

// stateOf is a process as /proc shows it now. Paused means that every thread is stopped. A process that is gone, or
// has ended and waits to be reaped, is dead.
func stateOf(id proc.ID) (cluster.ProcessState, error) {
	dead := cluster.ProcessState{State: proc.Dead}
	if id.Pid == 0 {
		return dead, nil
	}
	now, err := proc.Identify(id.Pid)
	if gone(err) || err == nil && now != id {
		return dead, nil
	}
	if err != nil {
		return cluster.ProcessState{}, err
	}
	shown, err := proc.State(id.Pid)
	if err != nil {
		return cluster.ProcessState{}, err
	}
	if shown == proc.Dead {
		return dead, nil
	}
	boot, err := bootTime()
	started := boot.Add(time.Duration(id.Began) * time.Second / ticksPerSecond)
	return cluster.ProcessState{Pid: id.Pid, State: shown, Started: started}, err
}

// commandLine is the process's arguments.
func commandLine(id proc.ID) ([]string, error) {
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
