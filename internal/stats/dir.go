package stats

import (
	"fmt"

	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
)

// Dir takes the figures of a run directory. A run of which nothing can be read has figures of nothing, and a warning that
// says why. An error means that there is no run, or that reading it failed half-way.
func Dir(dir string, options ...Option) (Figures, error) {
	m, err := rundir.Load(dir)
	if err != nil {
		return Figures{}, err
	}
	samples, unread := rundir.Samples(dir)
	h, unreadable := history.Open(rundir.History(dir))
	var f Figures
	if unreadable == nil {
		f, err = take(logs(h, m), h.Header, m, samples, options...)
	} else {
		f, err = take(whole{nothing{}, nothing{}}, history.Header{}, m, samples, options...)
		f.Warnings = append(f.Warnings, fmt.Sprintf("nothing could be measured: %v", unreadable))
	}
	if unread != nil {
		f.Warnings = append(f.Warnings, fmt.Sprintf("what was used is known in part only: %v", unread))
	}
	return f, err
}

// logs leaves out those that cannot hold what a pass is about: reading them is what most of its time would go to. A client
// that the run does not know is taken to have done anything.
func logs(h *history.History, m rundir.Meta) whole {
	roles := map[history.Client]string{{Name: rundir.FinalReader, Session: 1}: "reader"}
	for _, w := range m.Workers {
		roles[history.Client{Name: w.Name, Session: int32(w.Session)}] = w.Role
	}
	return whole{
		sends: h.Only(func(c history.Client) bool { return roles[c] != "reader" && roles[c] != "consumer" }),
		load:  h.Only(func(c history.Client) bool { return roles[c] != "reader" }),
	}
}

// nothing is the history of a run of which nothing can be read.
type nothing struct{}

func (nothing) Each(func(*history.Op) error) error { return nil }
