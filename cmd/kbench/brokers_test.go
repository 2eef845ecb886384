package main

import (
	"path/filepath"
	"regexp"
	"testing"

	"github.com/kbench/kbench/internal/cluster/clustertest"
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
	args := []string{"run", "--cluster", "local", "--json", "--out", filepath.Join(t.TempDir(), "runs")}
	for _, r := range rows {
		args = append(args, r.scenario)
	}
	results := runJSON(t, args, reports.ExitAsExpected)
	for i, d := range results.Results {
		one, all := regexp.MustCompile(rows[i].one), regexp.MustCompile(rows[i].all)
		for _, f := range d.Findings {
			if f.Anomaly != "lost-write" {
				continue
			}
			t.Logf("%s: %q, %q", d.Scenario, f.Brokers, f.Witnesses[0].Brokers)
			if len(f.Brokers) == 0 || !all.MatchString(f.Brokers[0]) {
				t.Errorf("%s: of all lost records %q", d.Scenario, f.Brokers)
			}
			for _, w := range f.Witnesses {
				if len(w.Brokers) == 0 || !one.MatchString(w.Brokers[0]) {
					t.Errorf("%s: of %s %q", d.Scenario, w.Value, w.Brokers)
				}
			}
		}
	}
}
