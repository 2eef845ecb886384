package rundir

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func aPlan() Plan {
	return Plan{
		Version: 1, Kbench: "1.2.3", Driver: "franz", Cluster: "embedded", Scenarios: []string{"name: small\n", "name: large\n"},
		Runs: []PlanRun{
			{Dir: "001-small", Scenario: 1, Cell: map[string]string{"client.acks": "1"}, Repeat: 1, Seed: 7, Notes: []string{"measured"}},
			{Dir: "002-small", Scenario: 0, Repeat: 2, Seed: 8},
		},
		Sittings: []Sitting{{Started: "2026-01-02T15:04:05Z", Kbench: "1.2.3", Done: 1}},
	}
}

func TestAPlanIsReadAsItWasWritten(t *testing.T) {
	dir := t.TempDir()
	if HasPlan(dir) {
		t.Error("an empty folder has a plan")
	}
	if err := aPlan().Save(dir); err != nil {
		t.Fatal(err)
	}
	got, err := LoadPlan(dir)
	if err != nil || !reflect.DeepEqual(got, aPlan()) || !HasPlan(dir) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestPlansThatCannotBe(t *testing.T) {
	for _, c := range []struct{ name, text, says string }{
		{"none", "", "no folder of several runs"},
		{"no JSON", "{", "read "},
		{"another version", `{"kbench_plan": 2}`, "version 2, this kbench reads 1"},
		{"a member that is not known", `{"kbench_plan": 1, "shuffle": true}`, "shuffle"},
		{"a scenario that is not there", `{"kbench_plan": 1, "scenarios": ["x"], "runs": [{"dir": "1", "scenario": 1}]}`, "run 1 is of scenario 1"},
		{"a directory elsewhere", `{"kbench_plan": 1, "scenarios": ["x"], "runs": [{"dir": "../1", "scenario": 0}]}`, "which cannot be"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if c.text != "" {
				if err := os.WriteFile(filepath.Join(dir, PlanFile), []byte(c.text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := LoadPlan(dir); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("answers %v, want %q", err, c.says)
			}
		})
	}
}

func TestAttempts(t *testing.T) {
	dir, run := t.TempDir(), PlanRun{Dir: "001-small"}
	if last, next, found := run.Latest(dir); found || last != next || filepath.Base(next) != "001-small" {
		t.Errorf("nothing was run: %s, %s, %v", last, next, found)
	}
	for _, name := range []string{"001-small", "001-small.2"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if last, next, found := run.Latest(dir); !found || filepath.Base(last) != "001-small.2" || filepath.Base(next) != "001-small.3" {
		t.Errorf("after two: %s, %s, %v", last, next, found)
	}
}

func TestOnlyARunThatCameToItsEndIsDone(t *testing.T) {
	for stage, want := range map[Stage]bool{Complete: true, Interrupted: false, Broken: false, Measuring: false, Reading: false} {
		dir := t.TempDir()
		if err := (Meta{Stage: stage}).Save(dir); err != nil {
			t.Fatal(err)
		}
		if _, done := Done(dir); done != want {
			t.Errorf("%s is done: %v", stage, done)
		}
	}
	dir := t.TempDir()
	if _, done := Done(dir); done {
		t.Error("an empty folder is done")
	}
	if err := (Meta{Stage: Complete}).Save(dir); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, MetaFile)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), `"seed": 0`, `"seed": 1`, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, done := Done(dir); done {
		t.Error("a run that was altered is done")
	}
}
