package faults

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/kbench/kbench/internal/proc"
)

// sleeper is a process of the test's own.
func sleeper(t *testing.T) int {
	t.Helper()
	cmd := exec.Command("sleep", "300")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if err := proc.Signal(limited(t), cmd.Process.Pid, syscall.SIGSTOP, proc.Paused); err != nil {
		t.Fatal(err)
	}
	return cmd.Process.Pid
}

func TestTheNextStartResumesWhatACrashLeftPaused(t *testing.T) {
	pid := sleeper(t)
	left := []Undo{undoFor(undoResume, victim{n: 1}, pid), undoFor(undoStart, victim{n: 2}, pid), {Do: undoUnfilter}}
	healed, err := HealJournal(left)
	if err != nil || len(healed) != 1 || !strings.Contains(healed[0], "goes on") {
		t.Fatalf("%v, %v", healed, err)
	}
	if state, err := proc.State(pid); err != nil || state != proc.Running {
		t.Errorf("the process is %s, %v", state, err)
	}
	if again, err := HealJournal(left); err != nil || len(again) != 0 {
		t.Errorf("healed twice: %v, %v", again, err)
	}
}

func TestAStrangersProcessIsLeftAlone(t *testing.T) {
	pid := sleeper(t)
	for name, u := range map[string]Undo{
		"the same number, another process": {Do: undoResume, Node: 1, ID: proc.ID{Pid: pid, Began: 1}},
		"no start time":                    {Do: undoResume, Node: 1, ID: proc.ID{Pid: pid}},
		"gone":                             {Do: undoResume, Node: 1, ID: proc.ID{Pid: 1 << 30, Began: 1}},
	} {
		if healed, err := HealJournal([]Undo{u}); err != nil || len(healed) != 0 {
			t.Errorf("%s: %v, %v", name, healed, err)
		}
	}
	if state, err := proc.State(pid); err != nil || state != proc.Paused {
		t.Errorf("the process is %s, %v", state, err)
	}
}
