package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kbench/kbench/internal/cluster/clustertest"
	"github.com/kbench/kbench/reports"
	"github.com/kbench/kbench/scenarios"
)

// TestPromisesAndTwinsOnRealBrokers runs every built-in scenario that promises something once: each promise must hold with evidence, and each
// twin must be seen to break.
func TestPromisesAndTwinsOnRealBrokers(t *testing.T) {
	clustertest.Require(t)
	rows, err := builtins()
	if err != nil {
		t.Fatal(err)
	}
	rows = slices.DeleteFunc(rows, func(r listed) bool {
		return r.Guarantee == "" || !slices.Contains(r.Clusters, "local") || !tested(t, r)
	})
	showPromises(t, "local", rows)
}

// TestPromisesAndTwinsInContainers runs those that need networks of their own, and one pair that local brokers show too.
func TestPromisesAndTwinsInContainers(t *testing.T) {
	image := clustertest.RequireDocker(t)
	rows, err := builtins()
	if err != nil {
		t.Fatal(err)
	}
	rows = slices.DeleteFunc(rows, func(r listed) bool {
		return slices.Contains(r.Clusters, "local") && !strings.HasPrefix(r.Name, "slow-follower") && !strings.HasPrefix(r.Name, "send-once")
	})
	t.Setenv("KBENCH_IMAGE", image)
	showPromises(t, "docker", rows)
}

// showPromises runs scenarios on a kind of cluster, each once, and wants of each what it expects.
func showPromises(t *testing.T, kind string, rows []listed) {
	t.Helper()
	args := []string{"run", "--cluster", kind, "--json", "--out", filepath.Join(t.TempDir(), "runs")}
	for _, r := range rows {
		if strings.HasPrefix(r.Name, "soak") {
			r.Name = shortSoak(t, r.Name)
		}
		args = append(args, r.Name)
	}
	results := runJSON(t, args, reports.ExitAsExpected)
	if len(results.Results) != len(rows) {
		t.Fatalf("%d results for %d scenarios", len(results.Results), len(rows))
	}
	for i, r := range results.Results {
		t.Logf("%-45s %-12s as expected: %v", r.Scenario, r.Verdict, r.AsExpected)
		if !r.AsExpected || r.Verdict != rows[i].Expect || r.Cluster.Simulated {
			t.Errorf("%s: verdict %s (simulated: %v), expected %s: %v", r.Scenario, r.Verdict, r.Cluster.Simulated, rows[i].Expect, r.Guarantee.Reasons)
		}
	}
}

// tested tells whether the scenario puts its promise to the test: something is hurt, or a twin breaks. The others measure.
func tested(t *testing.T, r listed) bool {
	t.Helper()
	s, err := scenarios.Open(r.Name)
	if err != nil {
		t.Fatal(err)
	}
	return r.Twin != "" || len(s.Faults)+len(s.Steps) > 0
}

// shortSoak is a file with a soak of half a minute.
func shortSoak(t *testing.T, name string) string {
	t.Helper()
	var changes []scenarios.Change
	for _, assignment := range []string{
		"load.duration=36s", "load.rate=200/s", "seed=3",
		"faults[0].every=12s", "faults[0].for=2s..4s", "faults[1].every=9s", "faults[1].for=1s..2s", "faults[1].random=[kill]",
	} {
		c, err := scenarios.Set(assignment)
		if err != nil {
			t.Fatal(err)
		}
		changes = append(changes, c)
	}
	s, err := scenarios.Open(name, changes...)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name+".yaml")
	if err := os.WriteFile(path, scenarios.Marshal(s), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// runJSON executes a command line that prints the result document of several runs.
func runJSON(t *testing.T, args []string, want int) reports.Results {
	t.Helper()
	var out, progress bytes.Buffer
	code := execute(args, bytes.NewReader(nil), &out, &progress)
	if code != want {
		t.Errorf("exit code %d, not %d\n%s", code, want, progress.String())
	}
	var results reports.Results
	if err := json.Unmarshal(out.Bytes(), &results); err != nil {
		t.Fatalf("stdout is no result document: %v\n%s\n%s", err, out.String(), progress.String())
	}
	return results
}
