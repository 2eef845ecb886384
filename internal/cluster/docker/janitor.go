package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"syscall"
	"time"
)

// janitor is a process in a session of its own, which no signal to kbench or its terminal reaches. It waits for its
// standard input to end, as it does when kbench ends, whichever way, and removes what has the run's label.
type janitor struct {
	cmd   *exec.Cmd
	alive io.WriteCloser // the other end of its standard input
}

func startJanitor(command []string) (*janitor, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("the process that is to remove the cluster: %w", err)
	}
	return &janitor{cmd, in}, nil
}

// keepWord tells a janitor, before its standard input ends, that the cluster stays.
const keepWord = "keep"

// spare lets it go, and has it leave the cluster as it is.
func (j *janitor) spare() error {
	if j == nil {
		return nil
	}
	_, err := io.WriteString(j.alive, keepWord)
	return errors.Join(err, j.dismiss())
}

// dismiss lets it go. It looks once more by itself.
func (j *janitor) dismiss() error {
	if j == nil {
		return nil
	}
	_ = j.alive.Close()
	ended := make(chan error, 1)
	go func() { ended <- j.cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			return fmt.Errorf("the process that removes the cluster: %w", err)
		}
	case <-time.After(dismissLimit):
		return fmt.Errorf("the process that removes the cluster (%d) has not ended: does the engine answer?", j.cmd.Process.Pid)
	}
	return nil
}

// dismissLimit is somewhat more than what it gives itself.
const dismissLimit = closeLimit + 15*time.Second

// Janitor is what that process does.
func Janitor(alive io.Reader, run string) error {
	said, _ := io.ReadAll(alive) // ends with the other end, by whatever error
	if string(said) == keepWord {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
	defer cancel()
	return Remove(ctx, run)
}
