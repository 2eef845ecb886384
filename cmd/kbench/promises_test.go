package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/kbench/kbench/internal/cluster/clustertest"
	"github.com/kbench/kbench/reports"
)

// TestPromisesAndTwinsOnRealBrokers runs every built-in scenario once: each promise must hold with evidence, and each
// twin must be seen to break.
func TestPromisesAndTwinsOnRealBrokers(t *testing.T) {
	clustertest.Require(t)
	rows, err := builtins()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"run", "--cluster", "local", "--json", "--out", filepath.Join(t.TempDir(), "runs")}
	for _, r := range rows {
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
