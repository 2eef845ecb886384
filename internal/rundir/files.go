package rundir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Version of run.json.
const Version = 1

// Load reads a run directory's run.json.
func Load(dir string) (Meta, error) {
	b, err := os.ReadFile(filepath.Join(dir, MetaFile))
	if errors.Is(err, fs.ErrNotExist) {
		return Meta{}, fmt.Errorf("%s is no run directory: it has no %s", dir, MetaFile)
	}
	if err != nil {
		return Meta{}, fmt.Errorf("read run: %w", err)
	}
	var m Meta
	if err := json.Unmarshal(b, &m); err != nil {
		return Meta{}, fmt.Errorf("read %s: %w", filepath.Join(dir, MetaFile), err)
	}
	if m.Version != Version {
		return Meta{}, fmt.Errorf("%s has version %d, this kbench reads %d", filepath.Join(dir, MetaFile), m.Version, Version)
	}
	return m, nil
}

// Save writes run.json so that a reader sees the old one or the new one, never a part.
func (m Meta) Save(dir string) error {
	m.Version = Version
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("write run: %w", err)
	}
	return WriteFile(filepath.Join(dir, MetaFile), append(b, '\n'))
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

// List returns the run directories below dir, itself included, in order of their names; it does not look inside
// a run directory for others.
func List(dir string) ([]string, error) {
	var runs []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		if _, err := os.Stat(filepath.Join(path, MetaFile)); err == nil {
			runs = append(runs, path)
			return fs.SkipDir
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	slices.Sort(runs)
	return runs, nil
}
