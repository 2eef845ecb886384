package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/kbench/kbench/internal/proc"
)

// What an Undo does.
const (
	undoStart    = "start"
	undoResume   = "resume"
	undoUnfilter = "unfilter"
	undoRelease  = "release-worker"
	undoRejoin   = "rejoin"
)

// Undo is plain data that heals one change. It is journalled before the change is made.
type Undo struct {
	Do      string `json:"do"`               // start, resume, unfilter, release-worker, rejoin
	Node    int32  `json:"node,omitempty"`   // start, resume, rejoin: of a node
	Role    string `json:"role,omitempty"`   // start, resume, release-worker: of a worker
	Worker  int    `json:"worker,omitempty"` // likewise
	proc.ID        // start, resume, release-worker: the process as it was; without its start a later run leaves it alone
}

func (u Undo) victim() victim {
	if u.Role != "" {
		return victim{u.Role, int32(u.Worker)}
	}
	return victim{n: u.Node}
}

// undoFor makes the undo of a change to a victim.
func undoFor(do string, v victim, pid int) Undo {
	u := Undo{Do: do, Role: v.role}
	if v.role == "" {
		u.Node = v.n
	} else {
		u.Worker = int(v.n)
	}
	if pid > 0 {
		u.ID, _ = proc.Identify(pid)
	}
	return u
}

// undo heals one change. It looks first: what is healed already is left alone, so doing it twice does no harm.
func (h hands) undo(ctx context.Context, u Undo) error {
	if u.Do == undoUnfilter {
		return unfilter(h.env.Cluster)
	}
	v := u.victim()
	if u.Do == undoRejoin {
		return h.rejoin(ctx, v)
	}
	state, _, err := h.state(v)
	if err != nil {
		return err
	}
	switch {
	case u.Do == undoStart && (state == stateDead || state == stateDetached):
		return h.start(ctx, v)
	case u.Do == undoResume && state == statePaused:
		return h.resume(ctx, v)
	case u.Do == undoRelease && (state == stateRunning || state == statePaused):
		return h.env.Workers.Release(v.role, int(v.n))
	}
	return nil
}

// SaveJournal writes what is not healed yet, whole or not at all; with nothing left to heal the file goes away.
func SaveJournal(path string, undos []Undo) error {
	if len(undos) == 0 {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("journal of faults: %w", err)
		}
		return nil
	}
	text, err := json.MarshalIndent(undos, "", "  ")
	if err != nil {
		return fmt.Errorf("journal of faults: %w", err)
	}
	part := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".part")
	if err := os.WriteFile(part, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("journal of faults: %w", err)
	}
	if err := os.Rename(part, path); err != nil {
		return fmt.Errorf("journal of faults: %w", err)
	}
	return nil
}

// LoadJournal reads what a run has not healed; no file means nothing.
func LoadJournal(path string) ([]Undo, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var undos []Undo
	if err == nil {
		err = json.Unmarshal(text, &undos)
	}
	if err != nil {
		return nil, fmt.Errorf("journal of faults: %w", err)
	}
	return undos, nil
}

// HealJournal heals what a run that crashed has left hurt, last first. Nodes and workers that kbench started have died
// with it and filters have ended with it; what may be left is a process that stands still, and it is let go on if it
// is the very one that was paused. It says what it did, a line each.
func HealJournal(undos []Undo) (healed []string, err error) {
	var problems []error
	for i := len(undos) - 1; i >= 0; i-- {
		u := undos[i]
		if u.Do != undoResume || !u.Alive() {
			continue
		}
		if state, err := proc.State(u.Pid); err != nil || state != proc.Paused {
			problems = append(problems, err)
			continue
		}
		if err := syscall.Kill(u.Pid, syscall.SIGCONT); err != nil {
			problems = append(problems, fmt.Errorf("resume process %d: %w", u.Pid, err))
			continue
		}
		healed = append(healed, fmt.Sprintf("process %d, paused by an earlier run, goes on", u.Pid))
	}
	return healed, errors.Join(problems...)
}
