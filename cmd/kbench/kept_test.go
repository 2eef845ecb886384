package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/kbench/kbench/internal/cluster/clustertest"
	"github.com/kbench/kbench/reports"
)

// TestARunMayLeaveItsClusterUp, and says how to go on with it.
func TestARunMayLeaveItsClusterUp(t *testing.T) {
	clustertest.Require(t)
	name := fmt.Sprintf("stays-%d", os.Getpid())
	scenario := scenarioFile(t, strings.Replace(short, "name: short", "name: "+name, 1))
	t.Cleanup(func() { kbench(t, reports.ExitAsExpected, "cluster", "down", name) })
	run := []string{"run", scenario, "--cluster", "local", "--keep", "--out"}
	_, said := command(t, reports.ExitAsExpected, append(run, filepath.Join(t.TempDir(), "first"))...)
	if !strings.Contains(said, "cluster "+name+" stays up: kbench run --bootstrap-server 127.0.0.1:") {
		t.Errorf("it does not say how to go on:\n%s", said)
	}
	if left := pids(t, name); len(left) != 3 {
		t.Errorf("brokers that are up: %v", left)
	}
	again := kbench(t, reports.ExitUsage, append(run, filepath.Join(t.TempDir(), "again"))...)
	if !strings.Contains(again, "kbench cluster down "+name) {
		t.Errorf("it does not say what to do:\n%s", again)
	}
}

// TestRunsOnAKeptClusterHurtItsBrokers keeps a cluster up, kills a broker of it in a run that knows no more than its address,
// and leaves another dead by killing kbench itself: the next run finds every broker alive.
func TestRunsOnAKeptClusterHurtItsBrokers(t *testing.T) {
	clustertest.Require(t)
	name := fmt.Sprintf("test-%d", os.Getpid())
	t.Cleanup(func() { kbench(t, reports.ExitAsExpected, "cluster", "down", name) })
	c := decoded[shownCluster](t, kbench(t, reports.ExitAsExpected, "cluster", "up", name, "--json"))
	if c.Name != name || c.Kind != "local" || len(c.Brokers) != 3 || len(c.Bootstrap) != 3 || c.Release == "" {
		t.Fatalf("it is %+v", c)
	}
	first := pids(t, name)

	out := filepath.Join(t.TempDir(), "killed")
	on := func(out string) []string {
		return []string{"--bootstrap-server", c.Bootstrap[1], "--out", out, "--set", "load.warmup=500ms", "--set", "load.duration=8s"}
	}
	d := decoded[reports.Document](t, kbench(t, reports.ExitAsExpected, append([]string{"run", "quickstart", "--json", "--set", "faults=[{at: 1s, kill: leader(orders/0), for: 3s}]"}, on(out)...)...))
	if d.Cluster.Kind != "external" || d.Cluster.Version == nil || len(d.Faults) != 1 || !d.Faults[0].Bit {
		t.Errorf("cluster %+v, faults %+v", d.Cluster, d.Faults)
	}
	second := pids(t, name)
	changed := 0
	for id, pid := range second {
		if first[id] != pid {
			changed++
		}
	}
	if changed != 1 {
		t.Errorf("processes %v, before the run %v", second, first)
	}

	killed := append(on(filepath.Join(t.TempDir(), "cut")), "--set", "faults=[{at: 1s, kill: leader(orders/0), for: 6s}]")
	interrupted(t, killed, "kill broker", []syscall.Signal{syscall.SIGKILL})
	if left := pids(t, name); len(left) != 2 {
		t.Errorf("after kbench was killed there are %v", left)
	}
	kbench(t, reports.ExitAsExpected, append([]string{"run", "quickstart", "--set", "faults=[]"}, on(filepath.Join(t.TempDir(), "healed"))...)...)
	if left := pids(t, name); len(left) != 3 {
		t.Errorf("after the next run there are %v", left)
	}

	ungiven := kbench(t, reports.ExitBroken, append([]string{"run", "quickstart", "--set", "faults=[]", "--set", "cluster.config.num.io.threads=7"}, on(filepath.Join(t.TempDir(), "ungiven"))...)...)
	for _, said := range []string{`broker 1: num.io.threads is "8", not "7"`, `broker 3: num.io.threads is "8", not "7"`, "kbench cluster up NAME --for SCENARIO"} {
		if !strings.Contains(ungiven, said) {
			t.Errorf("%q is not said: %s", said, ungiven)
		}
	}

	for said, args := range map[string][]string{
		"has this machine's place for local clusters": {"run", "--cluster", "local"},
		"is up already, and is another one":           {"cluster", "up", name, "--brokers", "2"},
		"single requests":                             {"run", "send-once", "--bootstrap-server", c.Bootstrap[0]},
		"broker.session.timeout.ms=6000":              {"run", "leader-loss", "--bootstrap-server", c.Bootstrap[0]},
		"3 controllers":                               {"run", "controller-kill", "--bootstrap-server", c.Bootstrap[0]},
	} {
		if text := kbench(t, reports.ExitUsage, args...); !strings.Contains(text, said) {
			t.Errorf("%v does not say %q", args, said)
		}
	}
}

// kbench runs a command line and returns what it printed: the result, and the error where it failed.
func kbench(t *testing.T, exit int, args ...string) string {
	t.Helper()
	var out, stderr bytes.Buffer
	code := execute(args, nil, &out, &stderr)
	t.Logf("kbench %s: %d\n%s", strings.Join(args, " "), code, stderr.String())
	if code != exit {
		t.Fatalf("exit code %d, not %d\n%s", code, exit, out.String())
	}
	if code == reports.ExitAsExpected {
		return out.String()
	}
	return stderr.String()
}

func decoded[T any](t *testing.T, text string) (document T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return document
}

// pids of the brokers of a kept cluster that live, by id.
func pids(t *testing.T, name string) map[int32]int {
	t.Helper()
	alive := map[int32]int{}
	for _, c := range decoded[shownClusters](t, kbench(t, reports.ExitAsExpected, "cluster", "status", "--json")).Clusters {
		for _, b := range c.Brokers {
			if c.Name == name && b.State == "running" {
				alive[b.ID] = *b.Pid
			}
		}
	}
	return alive
}
