package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kbench/kbench/internal/rundir"
	"github.com/kbench/kbench/scenarios"
)

// toPlan is what the folder of several runs says of them.
func (j *job) toPlan() rundir.Plan {
	plan := rundir.Plan{Version: rundir.PlanVersion, Kbench: version, Driver: j.flags.driver, Cluster: string(j.fleet.kind), Bootstrap: j.flags.bootstrap, Containers: j.flags.containers.planned(j.fleet.kind)}
	at := map[string]int{}
	for i, p := range j.plan {
		text := seedless(p.Scenario)
		n, known := at[text]
		if !known {
			n = len(plan.Scenarios)
			at[text], plan.Scenarios = n, append(plan.Scenarios, text)
		}
		plan.Runs = append(plan.Runs, rundir.PlanRun{
			Dir: fmt.Sprintf("%03d-%s", i+1, p.Scenario.Name), Scenario: n, Cell: p.Cell, Repeat: p.Repeat, Seed: p.Seed, Notes: p.Notes,
		})
	}
	return plan
}

func seedless(s scenarios.Scenario) string {
	s.Seed = 0
	return string(scenarios.Marshal(s))
}

// fromPlan is what a folder says is to be run in it.
func fromPlan(dir string, plan rundir.Plan) ([]planned, error) {
	var all []scenarios.Scenario
	for _, text := range plan.Scenarios {
		s, err := scenarios.Parse(filepath.Join(dir, rundir.PlanFile), []byte(text))
		if err != nil {
			return nil, fmt.Errorf("the plan cannot be gone on with by this kbench (%s): %w", version, err)
		}
		all = append(all, s)
	}
	var runs []planned
	for _, r := range plan.Runs {
		s := all[r.Scenario]
		s.Seed = r.Seed
		runs = append(runs, planned{Run: scenarios.Run{Scenario: s, Cell: r.Cell, Repeat: r.Repeat, Seed: r.Seed, Notes: r.Notes}})
	}
	return runs, nil
}

// resumed reads the plan that --resume names, and takes from it what the command line leaves open.
func (j *job) resumed() error {
	plan, err := rundir.LoadPlan(j.flags.resume)
	if err != nil {
		if _, one := rundir.Load(j.flags.resume); one == nil {
			err = fmt.Errorf("%s holds a single run, of which nothing is left to do: run it again with another --out", j.flags.resume)
		}
		return err
	}
	if j.flags.out != "" && filepath.Clean(j.flags.out) != filepath.Clean(j.flags.resume) {
		return fmt.Errorf("--out %s and --resume %s: runs that are resumed stay in their folder", j.flags.out, j.flags.resume)
	}
	if j.flags.keep {
		return errors.New("--keep: a plan that is gone on with has a cluster of its own, which ends with it")
	}
	for _, fixed := range []struct {
		flag      string
		given     *string
		untouched string
		was       string
	}{{"--driver", &j.flags.driver, defaultDriver, plan.Driver}, {"--cluster", &j.flags.cluster, defaultCluster, plan.Cluster}} {
		if *fixed.given != fixed.untouched && *fixed.given != fixed.was {
			return fmt.Errorf("%s was begun with %s %s: its runs cannot be compared with others", j.flags.resume, fixed.flag, fixed.was)
		}
		*fixed.given = fixed.was
	}
	if err := j.flags.containers.resume(j.flags.resume, plan.Containers); err != nil {
		return err
	}
	if len(j.flags.bootstrap) == 0 {
		j.flags.bootstrap = plan.Bootstrap
	}
	j.saved = &plan
	return nil
}

// same refuses to go on with a plan that is not what the command line asks for.
func (j *job) same() error {
	now, was := j.toPlan(), *j.saved
	if len(now.Runs) != len(was.Runs) {
		return fmt.Errorf("%s was begun with %d runs, and this is %d: leave the scenario and its changes out to go on with what was begun", j.flags.resume, len(was.Runs), len(now.Runs))
	}
	for i, r := range was.Runs {
		n := now.Runs[i]
		old, err := withoutObjective(was.Scenarios[r.Scenario])
		if err != nil {
			return err
		}
		mine, err := withoutObjective(now.Scenarios[n.Scenario])
		if err != nil {
			return err
		}
		switch {
		case r.Seed != n.Seed || r.Repeat != n.Repeat:
			return fmt.Errorf("%s was begun with another order of the cells: run %d has seed %d, and this %d", j.flags.resume, i+1, r.Seed, n.Seed)
		case !maps.Equal(r.Cell, n.Cell):
			return fmt.Errorf("%s was begun with another matrix: run %d is of %v, and this of %v", j.flags.resume, i+1, r.Cell, n.Cell)
		case old != mine:
			return fmt.Errorf("%s was begun with another scenario: %s\nleave the scenario and its changes out to go on with what was begun", j.flags.resume, firstDifference(old, mine))
		}
	}
	return nil
}

// withoutObjective: what the runs are ranked by may change, since it changes no run.
func withoutObjective(text string) (string, error) {
	s, err := scenarios.Parse(rundir.PlanFile, []byte(text))
	s.Objective = scenarios.Objective{}
	return string(scenarios.Marshal(s)), err
}

func firstDifference(old, mine string) string {
	a, b := strings.Split(old, "\n"), strings.Split(mine, "\n")
	for i := range max(len(a), len(b)) {
		of := func(lines []string) string {
			if i < len(lines) && strings.TrimSpace(lines[i]) != "" {
				return strings.TrimSpace(lines[i])
			}
			return "nothing"
		}
		if of(a) != of(b) {
			return fmt.Sprintf("it says %q, this one %q", of(a), of(b))
		}
	}
	return "they differ"
}

// layOut gives each run its directory, and leaves in the folder of several the plan to go on with.
func (j *job) layOut() error {
	if j.out = j.flags.resume; j.out == "" {
		j.out = j.flags.out
	}
	if j.out == "" {
		name := j.plan[0].Scenario.Name
		if len(j.plan) > 1 && slices.ContainsFunc(j.plan, func(p planned) bool { return p.Scenario.Name != name }) {
			name = "runs"
		}
		j.out = filepath.Join("kbench-runs", name+"-"+time.Now().Format("20060102-150405"))
	}
	if len(j.plan) == 1 && j.saved == nil {
		j.plan[0].dir = j.out
		return j.unused()
	}
	plan := j.toPlan()
	for i, r := range plan.Runs {
		p := &j.plan[i]
		last, next, found := r.Latest(j.out)
		if _, done := rundir.Done(last); found && done {
			p.dir, p.done = last, true
		} else {
			p.dir = next
		}
	}
	return j.unused()
}

// unused refuses a folder that holds runs already, unless they are to be gone on with: their record is evidence, and no
// verdict may be told from it.
func (j *job) unused() error {
	if j.saved != nil {
		return nil
	}
	if rundir.HasPlan(j.out) {
		return fmt.Errorf("%s holds runs already: go on with them by --resume %s, or give another folder with --out", j.out, j.out)
	}
	for _, p := range j.plan {
		for _, dir := range []string{p.dir, filepath.Join(j.out, filepath.Base(p.dir))} {
			for _, name := range []string{rundir.MetaFile, rundir.HistoryDir} {
				if _, err := os.Lstat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
					return errors.Join(fmt.Errorf("%s holds a run already: give another folder with --out", dir), err)
				}
			}
		}
	}
	return nil
}

// begin writes down what is to be run before the first run starts, and keeps others from the folder meanwhile.
func (j *job) begin() (release func(), err error) {
	if len(j.plan) == 1 && j.saved == nil {
		return func() {}, nil
	}
	if err := os.MkdirAll(j.out, 0o755); err != nil {
		return nil, fmt.Errorf("folder of the runs: %w", err)
	}
	folder, err := os.Open(j.out)
	if err != nil {
		return nil, fmt.Errorf("folder of the runs: %w", err)
	}
	if err := unix.Flock(int(folder.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		folder.Close()
		return nil, fmt.Errorf("another kbench is at work in %s: %w", j.out, err)
	}
	plan := j.toPlan()
	if j.saved != nil {
		plan = *j.saved
	}
	done := 0
	for _, p := range j.plan {
		if p.done {
			done++
		}
	}
	plan.Sittings = append(plan.Sittings, rundir.Sitting{Started: time.Now().Format(time.RFC3339), Kbench: version, Done: done})
	j.sittings = plan.Sittings
	if err := plan.Save(j.out); err != nil {
		folder.Close()
		return nil, err
	}
	if j.saved != nil {
		j.progress.note("%d of %d runs are done already, in %s", done, len(j.plan), j.out)
	}
	return func() { folder.Close() }, nil // which gives up the lock
}

// clustersIn is how many clusters earlier sittings had in a folder.
func clustersIn(dir string) int {
	found, _ := filepath.Glob(filepath.Join(dir, rundir.ClusterDir+"*")) // the pattern is right
	return len(found)
}

// sittingNotes are what a reader of the ranking should know of how the runs were made.
func sittingNotes(sittings []rundir.Sitting, done, all int) []string {
	var notes []string
	if done < all {
		notes = append(notes, incomplete(done, all))
	}
	worked := 0
	for i, s := range sittings {
		after := done
		if i+1 < len(sittings) {
			after = sittings[i+1].Done
		}
		if after > s.Done {
			worked++
		}
	}
	if worked > 1 {
		notes = append(notes, fmt.Sprintf("the runs were made in %d sittings, each with a cluster of its own; a repeat that lies in two of them is not quite one block", worked))
	}
	return notes
}

func incomplete(done, all int) string {
	return fmt.Sprintf("the plan is not complete: %d of %d runs were made", done, all)
}
