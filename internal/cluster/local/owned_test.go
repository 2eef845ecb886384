package local

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/kbench/kbench/internal/proc"
)

func ignore(string, ...any) {}

// child is a process that carries the arguments on its command line.
func child(t *testing.T, args ...string) proc.ID {
	t.Helper()
	cmd := exec.Command("/bin/sh", append([]string{"-c", "while :; do sleep 1; done"}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
	id, err := proc.Identify(cmd.Process.Pid)
	must(t, err)
	return id
}

func TestSweep(t *testing.T) {
	another := func(id proc.ID) proc.ID { id.Began++; return id }
	same := func(id proc.ID) proc.ID { return id }
	for name, c := range map[string]struct {
		held    bool
		boot    string
		mark    bool
		noted   func(proc.ID) proc.ID
		removed bool
		killed  bool
	}{
		"the owner lives":                          {true, proc.Boot(), true, same, false, false},
		"the owner died and left a node":           {false, proc.Boot(), true, same, true, true},
		"the pid is another process's by now":      {false, proc.Boot(), true, another, true, false},
		"the process does not say that it is ours": {false, proc.Boot(), false, same, true, false},
		"the machine was restarted":                {false, "another", true, same, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			temp := t.TempDir()
			d, err := newDataFolder(temp)
			must(t, err)
			mark := "nothing"
			if c.mark {
				mark = dataMark + d.path
			}
			process := child(t, mark)
			d.owner.Boot = c.boot
			must(t, d.add(c.noted(process)))
			if c.held {
				defer d.lock.Close()
			} else {
				must(t, d.lock.Close()) // as the kernel does for a dead owner
			}
			must(t, sweep(temp, ignore))
			if _, err := os.Stat(d.path); os.IsNotExist(err) != c.removed {
				t.Errorf("folder: %v, want removed: %v", err, c.removed)
			}
			if st, err := stateOf(process); err != nil || (st.State == proc.Dead) != c.killed {
				t.Errorf("process: %+v, %v, want killed: %v", st, err, c.killed)
			}
		})
	}
}

func TestSweepLeavesOthersAlone(t *testing.T) {
	temp := t.TempDir()
	other := filepath.Join(temp, "somebody-elses")
	halfRemoved := filepath.Join(temp, dataPrefix+"1")
	must(t, os.Mkdir(other, 0o755), os.Mkdir(halfRemoved, 0o755), sweep(temp, ignore))
	if _, err := os.Stat(other); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(halfRemoved); !os.IsNotExist(err) {
		t.Errorf("a folder whose removal was cut short is still there: %v", err)
	}
}

func TestDataFolderTellsItsOwner(t *testing.T) {
	d, err := newDataFolder(t.TempDir())
	must(t, err)
	must(t, d.add(proc.ID{Pid: 1, Began: 2}), d.add(proc.ID{Pid: 3, Began: 4}))
	raw, err := os.ReadFile(filepath.Join(d.path, ownerFile))
	must(t, err)
	var o owner
	must(t, json.Unmarshal(raw, &o))
	if o.Pid != os.Getpid() || o.Boot == "" || len(o.Nodes) != 2 || o.Nodes[1] != (proc.ID{Pid: 3, Began: 4}) {
		t.Errorf("got %+v", o)
	}
	must(t, d.remove())
	if _, err := os.Stat(d.path); !os.IsNotExist(err) {
		t.Errorf("still there: %v", err)
	}
}

func TestStateIsTheSystems(t *testing.T) {
	id := child(t)
	want := func(state string) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			st, err := stateOf(id)
			must(t, err)
			if st.State == state {
				if alive := state != proc.Dead; (st.Pid == id.Pid) != alive || st.Started.IsZero() == alive {
					t.Errorf("%+v", st)
				}
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%s, want %s", st.State, state)
			}
		}
	}
	want(proc.Running)
	if st, err := stateOf(id); err != nil || time.Since(st.Started).Abs() > time.Minute {
		t.Errorf("started %v, %v", st.Started, err)
	}
	must(t, syscall.Kill(id.Pid, syscall.SIGSTOP))
	want(proc.Paused)
	must(t, syscall.Kill(id.Pid, syscall.SIGCONT))
	want(proc.Running)
	if st, err := stateOf(proc.ID{Pid: id.Pid, Began: id.Began + 1}); err != nil || st.State != proc.Dead {
		t.Errorf("another process with this pid: %+v, %v", st, err)
	}
	must(t, syscall.Kill(id.Pid, syscall.SIGKILL))
	want(proc.Dead) // not reaped yet
}
