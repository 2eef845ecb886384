package rundir

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cespare/xxhash/v2"
)

// Version of run.json.
const Version = 1

// Load reads a run directory's run.json. One that was changed since it was written, or has members that this kbench does
// not know, is read as far as it goes, and Altered says so.
func Load(dir string) (Meta, error) {
	b, err := os.ReadFile(filepath.Join(dir, MetaFile))
	if errors.Is(err, fs.ErrNotExist) {
		return Meta{}, fmt.Errorf("%s is no run directory: it has no %s", dir, MetaFile)
	}
	if err != nil {
		return Meta{}, fmt.Errorf("read run: %w", err)
	}
	m, err := parse(b)
	if err != nil {
		return Meta{}, fmt.Errorf("read %s: %w", filepath.Join(dir, MetaFile), err)
	}
	return m, nil
}

// Runs are the run directories that a folder stands for: itself, or those that the folders directly in it stand for, by name; of
// a plan those that count, in its order: each run's latest attempt, and no warm-up. An error where there are none.
func Runs(dir string) ([]string, error) {
	places, err := places(dir)
	if err != nil {
		return nil, err
	}
	var runs []string
	for _, at := range places {
		switch {
		case HasPlan(at):
			in, err := planRuns(at)
			if err != nil {
				return nil, err
			}
			runs = append(runs, in...)
		case isRun(at):
			runs = append(runs, at)
		}
	}
	switch {
	case len(runs) > 0:
		return runs, nil
	case HasPlan(dir):
		return nil, fmt.Errorf("no run in %s has begun", dir)
	}
	return nil, fmt.Errorf("%s is no run directory: it has no %s, and no folder in it has one", dir, MetaFile)
}

// Unmade is how many runs of plans, among those that a folder stands for as Runs has it, have not begun.
func Unmade(dir string) int {
	unmade := 0
	places, _ := places(dir) // what cannot be read is an error of Runs
	for _, at := range places {
		p, err := LoadPlan(at)
		if err != nil {
			continue // no plan; a broken one is an error of Runs
		}
		for _, r := range p.Runs {
			if _, _, found := r.Latest(at); !found {
				unmade++
			}
		}
	}
	return unmade
}

// places are where the runs of a folder are: in itself, where it is a run directory or has a plan, else in what lies in it.
func places(dir string) ([]string, error) {
	if HasPlan(dir) || isRun(dir) {
		return []string{dir}, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	all := make([]string, len(entries))
	for i, entry := range entries {
		all[i] = filepath.Join(dir, entry.Name())
	}
	return all, nil
}

func isRun(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, MetaFile))
	return err == nil
}

func parse(b []byte) (Meta, error) {
	var m Meta
	if err := json.Unmarshal(b, &m); err != nil {
		return Meta{}, err
	}
	if m.Version != Version {
		return Meta{}, fmt.Errorf("it has version %d, this kbench reads %d", m.Version, Version)
	}
	m.Altered = altered(b, m)
	return m, nil
}

// altered compares a run.json with its seal. A member that is not known may be what speaks against the run, so that
// nobody who does not know it can judge by the rest.
func altered(b []byte, m Meta) string {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(new(Meta)); err != nil {
		return fmt.Sprintf("%s, written by kbench %s: %v", MetaFile, m.Kbench, err)
	}
	if m.Seal != "" && m.Seal != seal(b, m.Seal) {
		return MetaFile + " was changed after it was written: its seal is broken"
	}
	return ""
}

// Save writes run.json so that a reader sees the old one or the new one, never a part. It is sealed: the last member is
// the XXH64 of all the file's bytes, with zeros where its own 16 hex digits stand.
func (m Meta) Save(dir string) error {
	m.Version, m.Seal = Version, unsealed
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("write run: %w", err)
	}
	b = append(b, '\n')
	at := bytes.LastIndex(b, []byte(unsealed))
	copy(b[at:], seal(b, unsealed))
	return WriteFile(filepath.Join(dir, MetaFile), b)
}

const unsealed = "0000000000000000"

// seal of a file in which the given one stands last.
func seal(b []byte, stands string) string {
	at := bytes.LastIndex(b, []byte(stands))
	if at < 0 || len(stands) != len(unsealed) {
		return ""
	}
	d := xxhash.New()
	for _, part := range [][]byte{b[:at], []byte(unsealed), b[at+len(stands):]} {
		_, _ = d.Write(part) // never fails: see hash.Hash
	}
	return fmt.Sprintf("%016x", d.Sum64())
}

// WriteFile replaces a file as a whole: it has its old content or its new one, also after a crash of the machine.
func WriteFile(path string, content []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
			err = fmt.Errorf("write %s: %w", path, err)
		}
	}()
	if _, err = f.Write(content); err != nil {
		return err
	}
	if err = f.Chmod(0o644); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// Log is the path of a session's log in a run directory.
func Log(dir, name string, session int) string {
	return filepath.Join(dir, HistoryDir, fmt.Sprintf("%s.%d.log", name, session))
}

// History is the path of a run directory's logs.
func History(dir string) string { return filepath.Join(dir, HistoryDir) }
