package worker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kbench/kbench/internal/proc"
	"github.com/kbench/kbench/internal/worker"
)

// TestMain lets the test binary be a child process: "session" serves the body under test, "parent" starts such a child
// and waits to be killed.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 {
		switch os.Args[1] {
		case "session":
			if err := worker.Serve(context.Background(), obedient, os.Stdin, os.Stdout); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		case "parent":
			parent()
		}
	}
	os.Exit(m.Run())
}

// parent starts a child, tells its process id, and waits.
func parent() {
	h, err := worker.Child(proc.NewStarter(), command(), task("name"), os.DevNull)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	<-h.Events()
	fmt.Println(h.Pid())
	select {}
}

func command() []string { return []string{os.Args[0], "session"} }

func task(name string) json.RawMessage { return json.RawMessage(strconv.Quote(name)) }

// What the body under test can be told to do besides.
const (
	fail        = "fail"
	failMachine = "fail-machine"
	panics      = "panic"
	exits       = "exit"
	crashes     = "crash"
	babbles     = "babble"
)

// obedient answers each command with its own number and ends as it is told.
func obedient(ctx context.Context, spec json.RawMessage, commands <-chan worker.Command, emit func(worker.Event)) error {
	var name string
	if err := json.Unmarshal(spec, &name); err != nil {
		return fmt.Errorf("task: %w", err)
	}
	emit(worker.Event{Is: worker.Ready, Settings: map[string]string{"task": name}})
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case c, ok := <-commands:
			if !ok || c.Do == worker.Stop {
				return nil
			}
			if err := obey(c, emit); err != nil {
				return err
			}
		}
	}
}

func obey(c worker.Command, emit func(worker.Event)) error {
	switch c.Do {
	case fail:
		return errors.New("the broker said no")
	case failMachine:
		return fmt.Errorf("while recording: %w", &worker.MachineError{Err: errors.New("disk full")})
	case panics:
		var nothing []int
		_ = nothing[c.N]
	case exits:
		os.Exit(7)
	case crashes:
		go func() { panic("out of reach") }()
		select {}
	case babbles:
		fmt.Println("this is no event")
		select {}
	case worker.Hold:
		emit(worker.Event{Is: worker.Held, Point: c.Point, N: 3})
	default:
		emit(worker.Event{ID: c.ID, Is: worker.Answer, N: c.N})
	}
	return nil
}

// sessions starts the body under test in both ways.
func sessions(t *testing.T, check func(t *testing.T, h worker.Handle)) {
	t.Helper()
	t.Run("inside", func(t *testing.T) {
		nothingLeft(t)
		check(t, worker.Inside(t.Context(), obedient, task("orders")))
	})
	t.Run("child", func(t *testing.T) { check(t, child(t)) })
}

// child starts a session as a process, which must be gone at the test's end.
func child(t *testing.T) worker.Handle {
	t.Helper()
	nothingLeft(t)
	starter := proc.NewStarter()
	h, err := worker.Child(starter, command(), task("orders"), filepath.Join(t.TempDir(), "child.log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if state, err := proc.State(h.Pid()); err != nil || state != proc.Dead {
			t.Errorf("process %d is %s (%v) at the end", h.Pid(), state, err)
			_ = syscall.Kill(h.Pid(), syscall.SIGKILL)
		}
		starter.Close()
	})
	return h
}

// nothingLeft fails the test where it leaves goroutines behind. They may take a moment to end.
func nothingLeft(t *testing.T) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		for range 500 {
			if runtime.NumGoroutine() <= before {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		stacks := make([]byte, 1<<16)
		t.Errorf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
	})
}

// next is the next event; without one the session hangs, and the test with it, until the limit.
func next(t *testing.T, h worker.Handle) (worker.Event, bool) {
	t.Helper()
	select {
	case e, ok := <-h.Events():
		return e, ok
	case <-time.After(30 * time.Second):
		t.Fatal("no event")
		return worker.Event{}, false
	}
}

func ready(t *testing.T, h worker.Handle) {
	t.Helper()
	if e, _ := next(t, h); e.Is != worker.Ready || e.Settings["task"] != "orders" {
		t.Fatalf("the first event is %+v, not ready with its task", e)
	}
}

func tell(t *testing.T, h worker.Handle, c worker.Command) {
	t.Helper()
	if err := h.Command(c); err != nil {
		t.Fatal(err)
	}
}

func over(t *testing.T, h worker.Handle) {
	t.Helper()
	if e, more := next(t, h); more {
		t.Fatalf("%+v after the end", e)
	}
}

func TestASessionObeysAnswersAndStops(t *testing.T) {
	sessions(t, func(t *testing.T, h worker.Handle) {
		ready(t, h)
		for n := range 20 {
			tell(t, h, worker.Command{ID: uint64(n + 1), Do: worker.SendN, N: 10 * n})
		}
		for n := range 20 {
			if e, _ := next(t, h); e.Is != worker.Answer || e.ID != uint64(n+1) || e.N != 10*n {
				t.Fatalf("answer %d is %+v", n, e)
			}
		}
		tell(t, h, worker.Command{Do: worker.Hold, Point: "polled"})
		if e, _ := next(t, h); e.Is != worker.Held || e.Point != "polled" || e.N != 3 {
			t.Fatalf("held: %+v", e)
		}
		tell(t, h, worker.Command{Do: worker.Stop})
		if e, _ := next(t, h); e.Is != worker.Done || e.Error != "" || e.Machine {
			t.Fatalf("done: %+v", e)
		}
		over(t, h)
		for range 100 { // more than any buffer holds
			if err := h.Command(worker.Command{ID: 99, Do: worker.Flush}); !errors.Is(err, worker.ErrEnded) {
				t.Fatalf("a command after the end: %v, not %v", err, worker.ErrEnded)
			}
		}
	})
}

func TestDoneTellsWhyItEnded(t *testing.T) {
	for _, c := range []struct {
		do      string
		says    []string
		machine bool
	}{
		{fail, []string{"the broker said no"}, false},
		{failMachine, []string{"while recording", "disk full"}, true},
		{panics, []string{"panicked", "index out of range", "worker_test.go"}, true},
	} {
		t.Run(c.do, func(t *testing.T) {
			sessions(t, func(t *testing.T, h worker.Handle) {
				ready(t, h)
				tell(t, h, worker.Command{Do: c.do})
				e, _ := next(t, h)
				if e.Is != worker.Done || e.Machine != c.machine {
					t.Errorf("the last event is %+v", e)
				}
				for _, part := range c.says {
					if !strings.Contains(e.Error, part) {
						t.Errorf("%q does not say %q", e.Error, part)
					}
				}
				over(t, h)
			})
		})
	}
}

func TestATaskThatCannotBeReadIsTold(t *testing.T) {
	h := worker.Inside(t.Context(), obedient, json.RawMessage(`{"no":"name"}`))
	if e, _ := next(t, h); e.Is != worker.Done || !strings.Contains(e.Error, "task") {
		t.Errorf("%+v", e)
	}
	over(t, h)
}

func TestInsideEndsWithItsContext(t *testing.T) {
	nothingLeft(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	h := worker.Inside(ctx, obedient, task("orders"))
	ready(t, h)
	if h.Pid() != 0 {
		t.Errorf("it claims process %d", h.Pid())
	}
	cancel(errors.New("enough"))
	if e, _ := next(t, h); e.Is != worker.Done || e.Error != "enough" {
		t.Errorf("%+v", e)
	}
	over(t, h)
}

// TestWordsAfterTheEndAreLost: a callback of a client's may speak when the session is over already.
func TestWordsAfterTheEndAreLost(t *testing.T) {
	nothingLeft(t)
	speaking, spoken := make(chan func(worker.Event), 1), make(chan bool)
	h := worker.Inside(t.Context(), func(_ context.Context, _ json.RawMessage, _ <-chan worker.Command, emit func(worker.Event)) error {
		speaking <- emit
		return nil
	}, nil)
	if e, _ := next(t, h); e.Is != worker.Done {
		t.Fatalf("%+v", e)
	}
	over(t, h)
	go func() {
		(<-speaking)(worker.Event{Is: worker.Answer})
		close(spoken)
	}()
	<-spoken
}

// TestCountsDoNotHoldASessionUp: nobody may fetch them for a while, and only they may be dropped.
func TestCountsDoNotHoldASessionUp(t *testing.T) {
	const counts = 10_000
	h := worker.Inside(t.Context(), func(_ context.Context, _ json.RawMessage, _ <-chan worker.Command, emit func(worker.Event)) error {
		for range counts {
			emit(worker.Event{Is: worker.Counts})
		}
		emit(worker.Event{Is: worker.Held, Point: "polled"})
		return nil
	}, nil)
	told, held, last := 0, false, ""
	for e := range h.Events() {
		told++
		held = held || e.Is == worker.Held
		last = e.Is
	}
	if !held || last != worker.Done || told > counts+2 {
		t.Errorf("%d events, held told: %v, the last is %s", told, held, last)
	}
}

func TestAKilledChildSaysNothingAtItsEnd(t *testing.T) {
	h := child(t)
	ready(t, h)
	if state, err := proc.State(h.Pid()); err != nil || state != proc.Running {
		t.Fatalf("process %d is %s: %v", h.Pid(), state, err)
	}
	if err := syscall.Kill(h.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	over(t, h)
	if err := h.Command(worker.Command{Do: worker.Flush}); !errors.Is(err, worker.ErrEnded) {
		t.Errorf("a command to the dead: %v", err)
	}
}

// TestAPausedChildGoesOn: what it was told in between it does afterwards.
func TestAPausedChildGoesOn(t *testing.T) {
	h := child(t)
	ready(t, h)
	if err := proc.Signal(t.Context(), h.Pid(), syscall.SIGSTOP, proc.Paused); err != nil {
		t.Fatal(err)
	}
	tell(t, h, worker.Command{ID: 4, Do: worker.Flush})
	if err := proc.Signal(t.Context(), h.Pid(), syscall.SIGCONT, proc.Running); err != nil {
		t.Fatal(err)
	}
	if e, _ := next(t, h); e.Is != worker.Answer || e.ID != 4 {
		t.Errorf("%+v", e)
	}
	tell(t, h, worker.Command{Do: worker.Stop})
	if e, _ := next(t, h); e.Is != worker.Done || e.Error != "" {
		t.Errorf("%+v", e)
	}
	over(t, h)
}

func TestAChildThatEndsByItselfIsTold(t *testing.T) {
	for _, c := range []struct{ name, do, says string }{
		{"it exits", exits, "exit status 7"},
		{"it panics where nobody guards", crashes, "exit status 2"},
		{"it says what is no event", babbles, "no event"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := child(t)
			ready(t, h)
			tell(t, h, worker.Command{Do: c.do})
			if e, _ := next(t, h); e.Is != worker.Done || !strings.Contains(e.Error, c.says) {
				t.Errorf("%+v does not say %q", e, c.says)
			}
			over(t, h)
		})
	}
}

func TestAChildsLastWordsAreInItsLog(t *testing.T) {
	nothingLeft(t)
	starter := proc.NewStarter()
	defer starter.Close()
	log := filepath.Join(t.TempDir(), "c0.log")
	h, err := worker.Child(starter, command(), task("orders"), log)
	if err != nil {
		t.Fatal(err)
	}
	ready(t, h)
	tell(t, h, worker.Command{Do: crashes})
	if e, _ := next(t, h); !strings.Contains(e.Error, "c0.log") {
		t.Errorf("%q does not say where to look", e.Error)
	}
	over(t, h)
	if text, err := os.ReadFile(log); err != nil || !strings.Contains(string(text), "out of reach") {
		t.Errorf("the log has %q: %v", text, err)
	}
}

func TestAProgramThatCannotStartIsAnError(t *testing.T) {
	nothingLeft(t)
	starter := proc.NewStarter()
	defer starter.Close()
	dir := t.TempDir()
	if _, err := worker.Child(starter, []string{filepath.Join(dir, "missing")}, task("x"), filepath.Join(dir, "log")); err == nil {
		t.Error("a missing program was started")
	}
	if _, err := worker.Child(starter, command(), task("x"), filepath.Join(dir, "no", "folder", "log")); err == nil {
		t.Error("a log was opened where there is no folder")
	}
}

func TestServeEndsWithItsParent(t *testing.T) {
	nothingLeft(t)
	in, parent := io.Pipe()
	out, served := "", make(chan error)
	go func() {
		var said strings.Builder
		err := worker.Serve(context.Background(), func(ctx context.Context, spec json.RawMessage, commands <-chan worker.Command, emit func(worker.Event)) error {
			<-ctx.Done() // a session that hangs in its client, and reads no commands
			return context.Cause(ctx)
		}, in, &said)
		out = said.String()
		served <- err
	}()
	if _, err := io.WriteString(parent, `"orders"`+"\n"); err != nil {
		t.Fatal(err)
	}
	if err := parent.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-served:
		if err != nil || !strings.Contains(out, `"done"`) {
			t.Errorf("%v, it said %q", err, out)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the session goes on without a parent")
	}
}

func TestServeWithoutATaskIsAnError(t *testing.T) {
	var said strings.Builder
	if err := worker.Serve(t.Context(), obedient, strings.NewReader("no json\n"), &said); err == nil || said.Len() > 0 {
		t.Errorf("%v, it said %q", err, said.String())
	}
}

// TestAChildDiesWithItsParent kills the parent, so that no code of its own can clean up.
func TestAChildDiesWithItsParent(t *testing.T) {
	cmd := exec.Command(os.Args[0], "parent")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscan(out, &pid); err != nil {
		t.Fatal(err)
	}
	if state, err := proc.State(pid); err != nil || state != proc.Running {
		t.Fatalf("the grandchild %d is %s: %v", pid, state, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := proc.Await(ctx, pid, proc.Dead); err != nil {
		t.Error(err)
	}
}
