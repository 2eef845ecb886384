package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/kbench/kbench/internal/flock"
	"github.com/kbench/kbench/internal/proc"
)

// A cluster's data lies in a folder of its own below the temporary one. Its owner holds a lock on a file in it, which
// the kernel gives back when the owner dies; the file tells which processes were started for it.
const (
	dataPrefix   = "kbench-cluster-"
	unownedYet   = "kbench-new-"
	ownerFile    = "owner.json"
	dataMark     = "-Dkbench.data=" // on each node's command line, with the folder: what proves that it is ours
	leftoverWait = 5 * time.Second
)

// owner is the content of the owner file.
type owner struct {
	Pid   int       `json:"pid"`
	Boot  string    `json:"boot"` // of the machine: start times mean nothing after another
	Nodes []proc.ID `json:"nodes"`
}

// dataFolder is a folder that this process owns.
type dataFolder struct {
	path string
	lock *os.File

	mu    sync.Mutex
	owner owner
}

// newDataFolder makes a folder. It gets the name that a sweep looks for only once its owner is known.
func newDataFolder(tempDir string) (*dataFolder, error) {
	unowned, err := os.MkdirTemp(tempDir, unownedYet)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(tempDir, dataPrefix+strings.TrimPrefix(filepath.Base(unowned), unownedYet))
	lock, err := os.OpenFile(filepath.Join(unowned, ownerFile), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(unowned))
	}
	d := &dataFolder{path: path, lock: lock, owner: owner{Pid: os.Getpid(), Boot: proc.Boot()}}
	if _, err := flock.Try(lock, flock.Alone); err != nil {
		return nil, errors.Join(err, lock.Close(), os.RemoveAll(unowned))
	}
	if err := errors.Join(d.write(), os.Rename(unowned, path)); err != nil {
		return nil, errors.Join(err, lock.Close(), os.RemoveAll(unowned))
	}
	return d, nil
}

// add notes one more process that works in the folder.
func (d *dataFolder) add(node proc.ID) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.owner.Nodes = append(d.owner.Nodes, node)
	return d.write()
}

// write rewrites the file in place, because its lock is on just this file.
func (d *dataFolder) write() error {
	raw, err := json.Marshal(d.owner)
	if err != nil {
		return err
	}
	if err := d.lock.Truncate(0); err != nil {
		return err
	}
	_, err = d.lock.WriteAt(raw, 0)
	return err
}

func (d *dataFolder) remove() error {
	return errors.Join(os.RemoveAll(d.path), d.lock.Close())
}

// Sweep removes the data of clusters in tempDir ("": the system's) whose owners are gone, as every Start does.
func Sweep(tempDir string, note func(format string, args ...any)) error {
	return sweep(orElse(tempDir, os.TempDir()), note)
}

// sweep removes what crashed owners left: folders whose lock is free, and processes that provably worked in them.
func sweep(tempDir string, note func(format string, args ...any)) error {
	folders, err := filepath.Glob(filepath.Join(tempDir, dataPrefix+"*"))
	if err != nil {
		return err
	}
	var problems []error
	for _, folder := range folders {
		swept, err := sweepFolder(folder)
		if err != nil {
			problems = append(problems, fmt.Errorf("left over by an earlier run: %w", err))
		}
		if swept {
			note("removed %s, left over by an earlier run", folder)
		}
	}
	return errors.Join(problems...)
}

func sweepFolder(folder string) (swept bool, err error) {
	f, err := os.OpenFile(filepath.Join(folder, ownerFile), os.O_RDWR, 0)
	if errors.Is(err, os.ErrPermission) {
		return false, nil // somebody else's
	}
	if errors.Is(err, os.ErrNotExist) {
		return true, os.RemoveAll(folder) // a removal that was cut short: the owner file may go first
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	if free, err := flock.Try(f, flock.Alone); err != nil || !free {
		return false, err
	}
	var o owner
	if err := json.NewDecoder(f).Decode(&o); err == nil && o.Boot == proc.Boot() {
		for _, node := range o.Nodes {
			if err := killLeftover(node, folder); err != nil {
				return false, err
			}
		}
	}
	return true, os.RemoveAll(folder)
}

// killLeftover kills a process only if it is the very one that was noted and says itself that it works in the folder.
func killLeftover(node proc.ID, folder string) error {
	st, err := stateOf(node)
	if err != nil || st.State == proc.Dead {
		return err
	}
	args, err := commandLine(node)
	if err != nil || !slices.Contains(args, dataMark+folder) {
		return err
	}
	if err := syscall.Kill(node.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("process %d: %w", node.Pid, err)
	}
	for end := time.Now().Add(leftoverWait); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if st, err := stateOf(node); err != nil || st.State == proc.Dead {
			return err
		}
	}
	return fmt.Errorf("process %d does not die", node.Pid)
}
