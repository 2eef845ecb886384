package main

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/kbench/kbench/internal/cluster/clustertest"
	"github.com/kbench/kbench/reports"
)

// TestTrackRecordOnRealBrokers runs every scenario of docs/track-record once, where it has to break, and its control,
// the same file through a client that does not have the bug, where it has to hold.
func TestTrackRecordOnRealBrokers(t *testing.T) {
	clustertest.Require(t)
	files, err := filepath.Glob("../../docs/track-record/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, c := range []struct {
		name, verdict string
		flags         []string
	}{
		{"librdkafka breaks it", "violated", []string{"--driver", "confluent"}},
		{"franz-go keeps it", "holds", []string{"--driver", "franz", "--set", "expect=holds"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := slices.Concat([]string{"run", "--cluster", "local", "--json", "--out", filepath.Join(t.TempDir(), "runs")}, c.flags, files)
			results := runJSON(t, args, reports.ExitAsExpected)
			if len(results.Results) != len(files) {
				t.Fatalf("%d results for %d scenarios", len(results.Results), len(files))
			}
			for _, r := range results.Results {
				t.Logf("%-30s %-10s as expected: %v", r.Scenario, r.Verdict, r.AsExpected)
				if !r.AsExpected || r.Verdict != c.verdict || r.Cluster.Simulated {
					t.Errorf("%s: verdict %s (simulated: %v), expected %s: %v", r.Scenario, r.Verdict, r.Cluster.Simulated, c.verdict, r.Guarantee.Reasons)
				}
			}
		})
	}
}
