package kept

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/kbench/kbench/internal/cluster"
	"github.com/kbench/kbench/internal/flock"
)

// Files in a cluster's folder.
const (
	recordFile = "cluster.json"
	claimFile  = "claim" // locked while the cluster is made, and by a holder for as long as it lives
)

// changesFile, beside the folders, is locked while one of them is made or removed.
const changesFile = ".changes"

// Store is the folder in which kept clusters have theirs.
type Store struct {
	Dir   string
	Kinds map[cluster.Kind]Kind
	Note  func(format string, args ...any)
}

// Kept is a cluster that is up, with hold of its nodes.
type Kept struct {
	Record
	Nodes
}

var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// CheckName says why a cluster cannot be called so.
func CheckName(name string) error {
	if !nameForm.MatchString(name) {
		return fmt.Errorf("a cluster cannot be called %q: letters, digits, dots, dashes and underscores, 63 at most", name)
	}
	return nil
}

// Up starts a cluster that stays until Down, and notes it. The name must be free: see Find.
func (s Store) Up(ctx context.Context, spec Spec) (Kept, error) {
	kind, ok := s.Kinds[spec.Kind]
	if !ok {
		return Kept{}, fmt.Errorf("a cluster of kind %q cannot be kept", spec.Kind)
	}
	claim, err := s.claim(ctx, spec.Name)
	if err != nil {
		return Kept{}, err
	}
	defer claim.Close()
	dir := s.folder(spec.Name)
	if err := kind.Up(ctx, Making{spec, dir, claim, s.write, s.Note}); err != nil {
		return Kept{}, errors.Join(err, os.RemoveAll(dir))
	}
	return s.open(ctx, spec.Name, "")
}

// claim makes a cluster's folder and locks it. Whoever inherits the file shares the lock; the kernel gives it back when all
// have ended.
func (s Store) claim(ctx context.Context, name string) (*os.File, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	done, err := s.changing(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	dir := s.folder(name)
	if err := os.Mkdir(dir, 0o700); errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("there is a cluster %s already, or one is being started", name)
	} else if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, claimFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lock(ctx, f); err != nil {
		return nil, errors.Join(err, f.Close(), os.RemoveAll(dir))
	}
	return f, nil
}

// List returns the clusters that are up, by name, and removes what is left of those that are gone.
func (s Store) List(ctx context.Context) ([]Kept, error) {
	entries, err := os.ReadDir(s.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []Kept
	var problems []error
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		k, err := s.open(ctx, e.Name(), "")
		switch {
		case errors.Is(err, ErrGone):
			problems = append(problems, s.clean(ctx, e.Name()))
		case errors.Is(err, errStarting):
		case err != nil:
			problems = append(problems, fmt.Errorf("cluster %s: %w", e.Name(), err))
		default:
			list = append(list, k)
		}
	}
	return list, errors.Join(problems...)
}

// Find a cluster that is up, by its name. It removes what is left of one that is gone.
func (s Store) Find(ctx context.Context, name string) (k Kept, found bool, err error) {
	k, err = s.open(ctx, name, "")
	switch {
	case err == nil:
		return k, true, nil
	case errors.Is(err, fs.ErrNotExist):
		return Kept{}, false, nil
	case errors.Is(err, ErrGone):
		return Kept{}, false, s.clean(ctx, name)
	default:
		return Kept{}, false, fmt.Errorf("cluster %s: %w", name, err)
	}
}

// At finds the cluster to which one of the addresses belongs.
func (s Store) At(ctx context.Context, addresses []string) (k Kept, found bool, err error) {
	all, err := s.List(ctx)
	for _, k := range all {
		if slices.ContainsFunc(k.Bootstrap, func(own string) bool { return slices.ContainsFunc(addresses, same(own)) }) {
			return k, true, nil
		}
	}
	return Kept{}, false, err
}

// same address, whichever way loopback is spelt.
func same(own string) func(string) bool {
	return func(other string) bool {
		if port, ok := strings.CutPrefix(other, "localhost:"); ok {
			other = "127.0.0.1:" + port
		}
		return other == own
	}
}

// Down stops a cluster and removes everything about it.
func (s Store) Down(ctx context.Context, k Kept) error {
	if err := k.Remove(ctx); err != nil {
		return fmt.Errorf("cluster %s: %w", k.Spec.Name, err)
	}
	return s.clean(ctx, k.Spec.Name)
}

// errStarting says that a cluster is on its way up.
var errStarting = errors.New("it is being started")

// open gets hold of a cluster by its record; logs is as Holding's.
func (s Store) open(ctx context.Context, name, logs string) (Kept, error) {
	dir := s.folder(name)
	if _, err := os.Stat(dir); err != nil {
		return Kept{}, err
	}
	text, err := os.ReadFile(filepath.Join(dir, recordFile))
	if errors.Is(err, fs.ErrNotExist) {
		return Kept{}, unfinished(dir)
	}
	if err != nil {
		return Kept{}, err
	}
	var r Record
	if err := json.Unmarshal(text, &r); err != nil {
		return Kept{}, fmt.Errorf("%s: %w", filepath.Join(dir, recordFile), err)
	}
	kind, ok := s.Kinds[r.Spec.Kind]
	if !ok {
		return Kept{}, fmt.Errorf("it is of kind %q, which this kbench does not know", r.Spec.Kind)
	}
	nodes, err := kind.Hold(ctx, r, Holding{dir, logs})
	return Kept{r, nodes}, err
}

// unfinished tells why a folder has no record: its cluster is being started, or who started it was killed.
func unfinished(dir string) error {
	if free, err := claimIsFree(dir); err != nil || !free {
		return errors.Join(err, errStarting)
	}
	return ErrGone
}

// claimIsFree tells whether nobody holds the claim on a cluster's folder.
func claimIsFree(dir string) (bool, error) {
	f, err := os.OpenFile(filepath.Join(dir, claimFile), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	return flock.Try(f, flock.Alone)
}

// clean removes what is left of a cluster that is gone.
func (s Store) clean(ctx context.Context, name string) error {
	done, err := s.changing(ctx)
	if err != nil {
		return err
	}
	defer done()
	if free, err := claimIsFree(s.folder(name)); err != nil || !free {
		return err // somebody has begun a new one of this name
	}
	problems := []error{os.RemoveAll(s.folder(name))}
	for _, kind := range s.Kinds {
		problems = append(problems, kind.Sweep(s.Note))
	}
	return errors.Join(problems...)
}

// changing waits until no other process makes or removes a folder.
func (s Store) changing(ctx context.Context) (done func(), err error) {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(s.Dir, changesFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lock(ctx, f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { f.Close() }, nil
}

// lock waits for the lock of an open file. Somebody who only looks whether it is free has it for a moment.
func lock(ctx context.Context, f *os.File) error {
	for {
		if locked, err := flock.Try(f, flock.Alone); locked || err != nil {
			return err
		}
		if !pause(ctx, 20*time.Millisecond) {
			return fmt.Errorf("waiting for %s: %w", f.Name(), context.Cause(ctx))
		}
	}
}

// write notes a cluster; the record is there whole or not at all.
func (s Store) write(r Record) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(s.folder(r.Spec.Name), recordFile)
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func (s Store) folder(name string) string { return filepath.Join(s.Dir, name) }

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
