package stats

import (
	"fmt"
	"path/filepath"

	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
)

// Dir takes the figures of a run directory. A run that ended before anybody recorded anything has figures of nothing.
func Dir(dir string) (Figures, error) {
	m, err := rundir.Load(dir)
	if err != nil {
		return Figures{}, err
	}
	at := rundir.History(dir)
	logs, err := filepath.Glob(filepath.Join(at, "*.log"))
	if err != nil {
		return Figures{}, fmt.Errorf("look for history logs: %w", err)
	}
	if len(logs) == 0 {
		return Compute(nothing{}, history.Header{}, m)
	}
	h, err := history.Open(at)
	if err != nil {
		return Figures{}, err
	}
	return Compute(h, h.Header, m)
}

// nothing is the history of a run in which nobody recorded anything.
type nothing struct{}

func (nothing) Each(func(*history.Op) error) error { return nil }
