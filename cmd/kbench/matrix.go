package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/kbench/kbench/internal/cluster"
	"github.com/kbench/kbench/internal/rundir"
	"github.com/kbench/kbench/internal/stats"
	"github.com/kbench/kbench/reports"
)

// warmUp is how long brokers that have just started are put under load before a cell of a matrix is measured on them: in
// that time a JVM has compiled what is run most.
const warmUp = 12 * time.Second

// warm makes a run that does not count where a cell of a matrix would be the first on brokers that have just started, and
// pay for their warm-up.
func (j *job) warm(ctx context.Context, p planned, b *berth) error {
	s, can := p.Scenario.WarmUp(warmUp)
	if !b.cold || j.fleet.kind != cluster.Local || len(p.Cell) == 0 || !can {
		return nil
	}
	p.Scenario = s
	for n := 1; ; n++ {
		p.dir = filepath.Join(j.out, fmt.Sprintf("warm-up-%d", n))
		err := os.Mkdir(p.dir, 0o755)
		if err == nil {
			break
		}
		if !os.IsExist(err) {
			return &exitError{reports.ExitBroken, fmt.Errorf("run directory: %w", err)}
		}
	}
	j.progress.note("  the brokers have just started: %v of load that does not count", warmUp)
	if err := j.record(ctx, p, b); err != nil {
		return err
	}
	if m, err := rundir.Load(p.dir); err == nil {
		j.discard(m)
	}
	return nil
}

// keep takes the result of a run that an earlier sitting made. Its document lies beside it; where it does not, or is not the
// run's, the run is judged again.
func (j *job) keep(p planned) error {
	t, err := trialOf(p.dir)
	if err != nil {
		return &exitError{reports.ExitBroken, err}
	}
	t.Objective = p.Scenario.RankedBy()
	j.done = append(j.done, t)
	return nil
}

// trialOf is the result of a run as its directory has it.
func trialOf(dir string) (reports.Trial, error) {
	meta, err := rundir.Load(dir)
	if err != nil {
		return reports.Trial{}, err
	}
	var d reports.Document
	text, err := os.ReadFile(filepath.Join(dir, rundir.ResultFile))
	if err == nil {
		err = json.Unmarshal(text, &d)
	}
	if err != nil || d.Version != 1 || d.Seed != meta.Seed || d.Repeat != meta.Repeat || d.Scenario != meta.Scenario || meta.Kbench != version {
		s, err := judge(dir)
		if err != nil {
			return reports.Trial{}, err
		}
		d = s.Document
	}
	return reports.Trial{Document: d, Counters: meta.Counters, Unfinished: unfinished(meta)}, nil
}

// unfinished tells whether a run was interrupted or cut off. One that failed was not: that may be its cell's doing.
func unfinished(m rundir.Meta) bool { return m.Stage != rundir.Complete && m.Stage != rundir.Broken }

// announce says at once what too few repeats will not be able to show.
func (j *job) announce() {
	cells, repeats := map[string]map[string]bool{}, map[string]int{}
	for _, p := range j.plan {
		if len(p.Cell) == 0 {
			continue
		}
		name := p.Scenario.Name
		if cells[name] == nil {
			cells[name] = map[string]bool{}
		}
		cells[name][fmt.Sprint(p.Cell)] = true
		repeats[name] = max(repeats[name], p.Repeat)
	}
	for name, of := range cells {
		if needed := stats.RunsNeeded(len(of)); len(of) > 1 && repeats[name] < needed {
			j.progress.note("%s: %d cells, %d each: single cells can be told apart from --repeat %d on; what each axis does shows earlier",
				name, len(of), repeats[name], needed)
		}
	}
}

// pace is how long runs take.
type pace struct {
	runs int
	all  time.Duration
}

func (p *pace) add(d time.Duration) { p.runs, p.all = p.runs+1, p.all+d }

// left of so many runs, 0 while nothing is known.
func (p *pace) left(runs int) time.Duration {
	if p.runs == 0 {
		return 0
	}
	return p.all / time.Duration(p.runs) * time.Duration(runs)
}

// standings shows, between the runs of a matrix, how far it has come and which cells lead.
func (j *job) standings() {
	if len(j.plan) < 2 {
		return
	}
	board := reports.Standings(j.done)
	if len(board) == 0 {
		return
	}
	left := ""
	if d := j.took.left(len(j.plan) - len(j.done)); d > 0 {
		left = fmt.Sprintf(", about %s left", d.Round(time.Second))
	}
	head := fmt.Sprintf("%d of %d runs%s; %s", len(j.done), len(j.plan), left, board[0])
	j.progress.stand(append([]string{head}, board[1:]...))
}

// reportPlan reports on a folder of several runs: each run's own document is taken, and the cells are compared anew, by
// another objective where one is given.
func (a *app) reportPlan(dir, asJSON, objective string) error {
	plan, err := rundir.LoadPlan(dir)
	if err != nil {
		return usage(err)
	}
	j := &job{app: a, flags: runFlags{json: asJSON == "-"}, saved: &plan, out: dir, sittings: plan.Sittings, progress: newProgress(a.err, true)}
	if j.plan, err = fromPlan(dir, plan); err != nil {
		return usage(err)
	}
	if err := j.rankBy(objective); err != nil {
		return usage(err)
	}
	for i, r := range plan.Runs {
		last, _, found := r.Latest(dir)
		if _, err := rundir.Load(last); !found || err != nil {
			continue
		}
		j.plan[i].dir = last
		if err := j.keep(j.plan[i]); err != nil {
			return err
		}
	}
	if len(j.done) == 0 {
		return &exitError{reports.ExitInconclusive, fmt.Errorf("no run in %s has begun: kbench run --resume %s", dir, dir)}
	}
	if err := j.report(); err != nil || asJSON == "" || asJSON == "-" {
		return err
	}
	file, err := os.Create(asJSON)
	if err != nil {
		return err
	}
	defer file.Close()
	return reports.WriteJSON(file, j.results())
}
