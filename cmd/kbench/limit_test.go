package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kbench/kbench/internal/cluster/clustertest"
	"github.com/kbench/kbench/reports"
	"github.com/kbench/kbench/scenarios"
)

// lateFollowers is a cluster whose acknowledgements take a fifth of a second each, since followers wait that long for more
// to fetch: with acks=all it is the brokers that let no more through, however fast the machine is, and with room for four
// records it is that.
const lateFollowers = `
cluster: {brokers: 3, config: {replica.fetch.min.bytes: 50000000, replica.fetch.wait.max.ms: 200}}
topics: [{name: orders, partitions: 6, replication: 3}]
producers: {count: 1}
`

// TestWhoLimitedALoadOnRealBrokers puts loads on such a cluster of which it is known what limits them.
func TestWhoLimitedALoadOnRealBrokers(t *testing.T) {
	clustertest.Require(t)
	runs := []struct{ name, rest, want, says string }{
		{"as-fast-as-it-goes", "load: {rate: max, warmup: 1s, duration: 4s, drain: 3s, record: {size: 1KiB}}\nclient: {acks: all}\n",
			"broker", "the client waited for answers"},
		{"a-buffer-for-little", "load: {rate: max, warmup: 500ms, duration: 2s, drain: 8s, record: {size: 1KiB}}\nclient: {acks: all, buffer.memory: 4KiB}\n",
			"client", "its buffer holds no more"},
		{"a-rate-that-is-kept", "load: {rate: 100/s, warmup: 500ms, duration: 3s, drain: 8s, record: {size: 1KiB}}\nclient: {acks: 1}\n",
			"rate", "of 100 planned"},
	}
	for _, driver := range []string{"confluent", "franz"} {
		t.Run(driver, func(t *testing.T) {
			dir := t.TempDir()
			args := []string{"run", "--cluster", "local", "--driver", driver, "--json", "--out", filepath.Join(dir, "runs")}
			for _, r := range runs {
				file := filepath.Join(dir, r.name+".yaml")
				if err := os.WriteFile(file, []byte("name: "+r.name+lateFollowers+r.rest), 0o600); err != nil {
					t.Fatal(err)
				}
				args = append(args, file)
			}
			for i, d := range runJSON(t, args, reports.ExitAsExpected).Results {
				t.Logf("%s: %+v", d.Scenario, d.Throughput.Evidence)
				whoLimited(t, d, runs[i].want, runs[i].says)
			}
		})
	}
}

// whoLimited holds a run to what is known to have limited it. Where other processes took the machine's processors kbench
// must not answer, and must still have seen the queues as they were.
func whoLimited(t *testing.T, d reports.Document, want, says string) {
	t.Helper()
	got, seen := "unknown", strings.Join(d.Throughput.Evidence, "\n")
	if d.Throughput.LimitedBy != nil {
		got = *d.Throughput.LimitedBy
	} else if strings.Contains(seen, "other processes took") {
		got = want
	}
	if got != want || !strings.Contains(seen, says) {
		t.Errorf("%s is limited by %q, want %q because %q:\n%s", d.Scenario, got, want, says, seen)
	}
	if r := d.Resources; r == nil || len(r.Processes) != 5 || d.Stages == nil {
		t.Errorf("%s: kbench, three brokers and a controller were to be looked at: %+v", d.Scenario, r)
	}
}

// TestBuiltinsRunOnEitherLibrary, but for soak, whose text says so.
func TestBuiltinsRunOnEitherLibrary(t *testing.T) {
	for library := range drivers(io.Discard) {
		j := &job{app: &app{err: io.Discard}, flags: runFlags{driver: library}}
		for _, name := range scenarios.Builtins() {
			_, err := j.planOf(name, nil)
			if refused := library == "franz" && name == "soak"; (err != nil) != refused {
				t.Errorf("%s on %s: %v", name, library, err)
			}
		}
	}
}
