package proc

import (
	"context"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

func TestStateFollowsTheProcess(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	starter := NewStarter()
	defer starter.Close()
	cmd := exec.Command("sleep", "60")
	if err := starter.Start(cmd); err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	want := func(state string) {
		t.Helper()
		if got, err := State(pid); err != nil || got != state {
			t.Fatalf("state %q, error %v; want %q", got, err, state)
		}
	}
	want(Running)
	if err := Signal(ctx, pid, syscall.SIGSTOP, Paused); err != nil {
		t.Fatal(err)
	}
	want(Paused)
	if err := Signal(ctx, pid, syscall.SIGCONT, Running); err != nil {
		t.Fatal(err)
	}
	if err := Signal(ctx, pid, syscall.SIGKILL, Dead); err != nil { // a zombie until it is waited for
		t.Fatal(err)
	}
	_ = cmd.Wait()
	want(Dead)
}

func TestAnIDTellsProcessesApart(t *testing.T) {
	own, err := Identify(os.Getpid())
	if err != nil || own.Began == 0 || !own.Alive() {
		t.Fatalf("this process is %+v, alive %v: %v", own, own.Alive(), err)
	}
	if none, err := Identify(1 << 30); err == nil {
		t.Fatalf("a process that cannot exist is %+v", none)
	}
	for name, id := range map[string]ID{"started later": {own.Pid, own.Began + 1}, "no start": {Pid: own.Pid}, "no process": {}, "gone": {1 << 30, own.Began}} {
		if id.Alive() {
			t.Errorf("%s: %+v is alive", name, id)
		}
	}
}

func TestAwaitEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := Await(ctx, os.Getpid(), Dead); err == nil {
		t.Fatal("waited for its own death and saw it")
	}
}
