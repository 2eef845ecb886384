package main

import (
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/kbench/kbench/internal/cluster/clustertest"
	"github.com/kbench/kbench/internal/rundir"
	"github.com/kbench/kbench/reports"
)

// TestBrokersLogsTellWhereLostRecordsWere loses records in three ways and asks the brokers' own logs where they were: cut off by
// the old leader, with acks=1 and with a lone leader; never in any log, with acks=0.
func TestBrokersLogsTellWhereLostRecordsWere(t *testing.T) {
	clustertest.Require(t)
	const cutOff = `^broker \d had it at offset \d+ \(epoch 0\) when it was down, at [\d.]+s, until it truncated orders/0 to offset \d+ at [\d.]+s$`
	const cutOffAll = `^broker \d had \d+ of the lost records when it was down, at [\d.]+s, and 0 at the end; it truncated orders/0 to offset \d+ at [\d.]+s$`
	rows := []struct{ scenario, one, all string }{
		{"leader-loss-acks-1", cutOff, cutOffAll},
		{"silent-leader-acks-0", `^brokers 1, 2 and 3 never had it: it reached no log$`, `^no broker's log had any of the lost records`},
		{"lone-leader-min-isr-1", cutOff, cutOffAll},
	}
	out := filepath.Join(t.TempDir(), "runs")
	args := []string{"run", "--cluster", "local", "--json", "--out", out}
	for _, r := range rows {
		args = append(args, r.scenario)
	}
	results := runJSON(t, args, reports.ExitAsExpected)
	for _, r := range rows[:1] { // its leader is killed, and comes back
		runs, _ := filepath.Glob(filepath.Join(out, "*-"+r.scenario))
		if len(runs) != 1 || len(startedAgain(t, runs[0])) != 1 {
			t.Errorf("%s in %q: the broker that was killed is not looked at under its new process id", r.scenario, runs)
		}
	}
	for i, d := range results.Results {
		one, all := regexp.MustCompile(rows[i].one), regexp.MustCompile(rows[i].all)
		for _, f := range d.Findings {
			if f.Anomaly != "lost-write" {
				continue
			}
			t.Logf("%s: %q, %q", d.Scenario, f.Brokers, f.Witnesses[0].Brokers)
			if !slices.ContainsFunc(f.Brokers, all.MatchString) { // a follower may have had a few of them, too
				t.Errorf("%s: of all lost records %q", d.Scenario, f.Brokers)
			}
			for _, w := range f.Witnesses {
				if !slices.ContainsFunc(w.Brokers, one.MatchString) {
					t.Errorf("%s: of %s %q", d.Scenario, w.Value, w.Brokers)
				}
			}
		}
	}
}

// startedAgain are the brokers of a run that were looked at under more than one process id.
func startedAgain(t *testing.T, dir string) (again []string) {
	t.Helper()
	samples, err := rundir.Samples(dir)
	if err != nil {
		t.Fatal(err)
	}
	pids := map[string][]int{}
	for _, s := range samples {
		for _, p := range s.Processes {
			if p.Of == rundir.OfBroker && !slices.Contains(pids[p.Name], p.Pid) {
				pids[p.Name] = append(pids[p.Name], p.Pid)
			}
		}
	}
	for name, of := range pids {
		if len(of) > 1 {
			again = append(again, name)
		}
	}
	return again
}
