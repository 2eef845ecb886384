package local

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// spawner starts child processes that die with this process. The kernel ties a child's fate to the thread that
// started it, not to the process, so all are started from one thread that lives as long as they may.
type spawner struct{ requests chan spawnRequest }

type spawnRequest struct {
	cmd     *exec.Cmd
	started chan error
}

func newSpawner() *spawner {
	s := &spawner{make(chan spawnRequest)}
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		for r := range s.requests {
			r.started <- r.cmd.Start()
		}
	}()
	return s
}

// close ends the thread, and with it any child left.
func (s *spawner) close() { close(s.requests) }

// start starts the command in a process group of its own, so that a terminal's Ctrl-C is not for it.
func (s *spawner) start(cmd *exec.Cmd) error {
	attr, err := childAttr()
	if err != nil {
		return err
	}
	cmd.SysProcAttr = attr
	r := spawnRequest{cmd, make(chan error, 1)}
	s.requests <- r
	return <-r.started
}

// run runs a command to its end and returns all it said. When ctx ends first, the whole group is killed.
func (s *spawner) run(ctx context.Context, name string, args ...string) (string, error) {
	var said strings.Builder
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	if err := s.start(cmd); err != nil {
		return "", err
	}
	if err := cmd.Wait(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return said.String(), fmt.Errorf("%s: %w: %s", name, err, lastLines(said.String(), 5))
	}
	return said.String(), nil
}

// lastLines of a text, for an error message.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

var errNotLinux = errors.New("local clusters need Linux, where a child can be made to die with its parent")
