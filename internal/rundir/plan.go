package rundir

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// PlanFile lies in the folder of several runs and says what is to be run there, in order, so that it can be gone on with
// after an interruption.
const PlanFile = "plan.json"

// PlanVersion of plan.json.
const PlanVersion = 1

// Plan is plan.json.
type Plan struct {
	Version   int      `json:"kbench_plan"` // 1
	Kbench    string   `json:"kbench"`      // version of the program that made it
	Driver    string   `json:"driver"`
	Cluster   string   `json:"cluster"` // kind
	Bootstrap []string `json:"bootstrap_server,omitempty"`
	// Containers is what was asked for: without the image's id. nil where the cluster is of another kind.
	Containers *Containers `json:"containers,omitempty"`
	Scenarios  []string    `json:"scenarios"` // the cells' scenario files, without a seed
	Runs       []PlanRun   `json:"runs"`
	Sittings   []Sitting   `json:"sittings"`
}

// PlanRun is one run of a plan.
type PlanRun struct {
	Dir      string            `json:"dir"`      // its run directory within the folder, at the first attempt
	Scenario int               `json:"scenario"` // of Plan.Scenarios, from 0
	Cell     map[string]string `json:"cell,omitempty"`
	Repeat   int               `json:"repeat"`
	Seed     int64             `json:"seed"`
	Notes    []string          `json:"notes,omitempty"`
}

// Sitting is one time that kbench worked on the plan. Each has clusters of its own.
type Sitting struct {
	Started string `json:"started"` // RFC 3339
	Kbench  string `json:"kbench"`
	Done    int    `json:"done"` // runs that were complete before
}

// HasPlan tells whether the folder is one of several runs.
func HasPlan(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, PlanFile))
	return err == nil
}

// LoadPlan reads a folder's plan.json.
func LoadPlan(dir string) (Plan, error) {
	path := filepath.Join(dir, PlanFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Plan{}, fmt.Errorf("%s has no %s: it is no folder of several runs", dir, PlanFile)
	}
	if err != nil {
		return Plan{}, fmt.Errorf("read plan: %w", err)
	}
	var p Plan
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return Plan{}, fmt.Errorf("read %s: %w", path, err)
	}
	if p.Version != PlanVersion {
		return Plan{}, fmt.Errorf("%s has version %d, this kbench reads %d", path, p.Version, PlanVersion)
	}
	for i, r := range p.Runs {
		if r.Scenario < 0 || r.Scenario >= len(p.Scenarios) || r.Dir == "" || filepath.Base(r.Dir) != r.Dir {
			return Plan{}, fmt.Errorf("%s: run %d is of scenario %d in %q, which cannot be", path, i+1, r.Scenario, r.Dir)
		}
	}
	return p, nil
}

// Save writes plan.json as a whole.
func (p Plan) Save(dir string) error {
	p.Version = PlanVersion
	b, err := json.MarshalIndent(p, "", " ")
	if err != nil {
		return fmt.Errorf("write plan: %w", err)
	}
	return WriteFile(filepath.Join(dir, PlanFile), append(b, '\n'))
}

// Attempt is the run directory of a run's n-th attempt, from 1. What an attempt left is kept: it is evidence.
func (r PlanRun) Attempt(dir string, n int) string {
	if n == 1 {
		return filepath.Join(dir, r.Dir)
	}
	return filepath.Join(dir, fmt.Sprintf("%s.%d", r.Dir, n))
}

// Latest is the run directory of the last attempt that was made, and where the next one would go. Both are the same, and
// found is false, where none was made.
func (r PlanRun) Latest(dir string) (last, next string, found bool) {
	last = r.Attempt(dir, 1)
	for n := 1; ; n++ {
		next = r.Attempt(dir, n)
		if _, err := os.Lstat(next); err != nil {
			return last, next, n > 1
		}
		last = next
	}
}

func planRuns(dir string) ([]string, error) {
	p, err := LoadPlan(dir)
	if err != nil {
		return nil, err
	}
	var runs []string
	for _, r := range p.Runs {
		if last, _, found := r.Latest(dir); found {
			runs = append(runs, last)
		}
	}
	return runs, nil
}

// Done tells whether a run directory holds a run that came to its end, and is as it was left. What is not known to have
// ended well is to be run again.
func Done(dir string) (Meta, bool) {
	m, err := Load(dir)
	return m, err == nil && m.Stage == Complete && m.Altered == ""
}
