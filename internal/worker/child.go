package worker

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/kbench/kbench/internal/proc"
)

// Child runs a session in a child process: argv is the command that calls Serve, whose stdin and stdout carry the
// commands and events, and whose stderr goes to the file named log.
func Child(starter *proc.Starter, argv []string, spec json.RawMessage, log string) (Handle, error) {
	stderr, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("worker's log: %w", err)
	}
	defer stderr.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stderr = stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := starter.Start(cmd); err != nil {
		return nil, fmt.Errorf("start worker: %w", err)
	}
	c := &child{cmd: cmd, log: log, events: make(chan Event, 256), words: json.NewEncoder(stdin), stdin: stdin}
	if err := c.words.Encode(spec); err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return nil, fmt.Errorf("tell worker its task: %w", err)
	}
	go c.listen(stdout)
	return c, nil
}

type child struct {
	cmd    *exec.Cmd
	log    string
	events chan Event

	speaking sync.Mutex
	words    *json.Encoder
	stdin    io.Closer
}

// listen passes events on until the child's stdout closes, then reaps it.
func (c *child) listen(stdout io.Reader) {
	defer close(c.events)
	lines := json.NewDecoder(bufio.NewReader(stdout))
	told := false
	for {
		var e Event
		if err := lines.Decode(&e); err != nil {
			told = c.misspoke(err) || told
			break
		}
		told = told || e.Is == Done
		c.events <- e
	}
	err := c.cmd.Wait()
	if told || err == nil {
		return
	}
	if status, ok := c.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGKILL {
		return // killed: a session that says nothing at its end
	}
	c.events <- Event{Is: Done, Error: fmt.Sprintf("worker process ended by itself: %v (its last words are in %s)", err, filepath.Base(c.log))}
}

// misspoke ends a child that says what is no event, since nothing after it can be understood, and tells so.
func (c *child) misspoke(err error) bool {
	var syntax *json.SyntaxError
	var shape *json.UnmarshalTypeError
	if !errors.As(err, &syntax) && !errors.As(err, &shape) {
		return false // the end of its output
	}
	_ = c.cmd.Process.Kill()
	c.events <- Event{Is: Done, Error: fmt.Sprintf("worker process said what is no event: %v", err)}
	return true
}

func (c *child) Command(cmd Command) error {
	c.speaking.Lock()
	defer c.speaking.Unlock()
	if err := c.words.Encode(cmd); err != nil {
		return fmt.Errorf("%w: %w", ErrEnded, err)
	}
	return nil
}

func (c *child) Events() <-chan Event { return c.events }

func (c *child) Pid() int { return c.cmd.Process.Pid }

// Serve is the child's side: it runs body with the spec and the commands that in carries, and writes events to out.
// A parent that goes away ends the session.
func Serve(ctx context.Context, body Body, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	words := json.NewDecoder(bufio.NewReader(in))
	var spec json.RawMessage
	if err := words.Decode(&spec); err != nil {
		return fmt.Errorf("worker: read its task: %w", err)
	}
	commands := make(chan Command, 16)
	go func() {
		defer cancel()
		defer close(commands)
		for {
			var c Command
			if words.Decode(&c) != nil {
				return
			}
			select {
			case commands <- c:
			case <-ctx.Done():
				return
			}
		}
	}()
	var speaking sync.Mutex
	lines := json.NewEncoder(out)
	emit := func(e Event) {
		speaking.Lock()
		defer speaking.Unlock()
		_ = lines.Encode(e) // a parent that does not listen any more is noticed on stdin
	}
	emit(done(Guarded(func() error { return body(ctx, spec, commands, emit) })))
	return nil
}
