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

func TestStartTimeTellsProcessesApart(t *testing.T) {
	own, err := StartTime(os.Getpid())
	if err != nil || own == 0 {
		t.Fatalf("own start time %d, error %v", own, err)
	}
	if _, err := StartTime(1 << 30); err == nil {
		t.Fatal("a process that cannot exist has a start time")
	}
}

func TestAwaitEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := Await(ctx, os.Getpid(), Dead); err == nil {
		t.Fatal("waited for its own death and saw it")
	}
}
