package main

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kbench/kbench/internal/rundir"
	"github.com/kbench/kbench/reports"
)

// grid is a matrix that takes a few seconds.
const grid = `name: grid
about: four cells
cluster: {config: {min.insync.replicas: 2}}
topics: [{name: orders, partitions: 2, replication: 3}]
load: {rate: 2000/s, duration: 400ms, record: {size: 100}}
client: {enable.idempotence: false}
matrix: {client.acks: [1, all], client.linger.ms: [0, 5]}
repeat: 2
`

// TestAMatrixGoesOnAfterAnInterruption by a signal in the middle of its third run: the two before it are kept as they are,
// what is there of the third stays where it is, and the order does not change.
func TestAMatrixGoesOnAfterAnInterruption(t *testing.T) {
	out := filepath.Join(t.TempDir(), "runs")
	stderr, progress := io.Pipe()
	cmd := &exec.Cmd{Path: os.Args[0], Stderr: progress, Args: []string{"kbench", "run", scenarioFile(t, grid), "--cluster", "embedded", "--out", out}}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	third := make(chan bool, 1)
	go func() {
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			if strings.HasPrefix(lines.Text(), "3/8 ") {
				third <- true
			}
		}
	}()
	select {
	case <-third:
	case <-time.After(time.Minute):
		t.Error("the third run never began")
	}
	time.Sleep(100 * time.Millisecond)
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait() // the code says it
	_ = progress.Close()
	if code := cmd.ProcessState.ExitCode(); code != reports.ExitInterrupted {
		t.Fatalf("exit code %d, not %d", code, reports.ExitInterrupted)
	}
	before := contents(t, out, "001-grid/run.json", "002-grid/run.json", "003-grid/run.json")
	plan, err := rundir.LoadPlan(out)
	if err != nil {
		t.Fatal(err)
	}

	text, _ := command(t, reports.ExitAsExpected, "run", "--resume", out, "--json")
	var results reports.Results
	if err := json.Unmarshal([]byte(text), &results); err != nil {
		t.Fatal(err)
	}
	if after := contents(t, out, "001-grid/run.json", "002-grid/run.json", "003-grid/run.json"); after != before {
		t.Error("what was there has changed")
	}
	if len(results.Results) != len(plan.Runs) {
		t.Fatalf("%d results of %d runs", len(results.Results), len(plan.Runs))
	}
	for i, d := range results.Results {
		want := plan.Runs[i]
		if d.Seed != want.Seed || d.Repeat != want.Repeat || d.Cell["client.acks"] != want.Cell["client.acks"] || d.Cell["client.linger.ms"] != want.Cell["client.linger.ms"] {
			t.Errorf("run %d is %v, repeat %d; planned was %v, repeat %d", i+1, d.Cell, d.Repeat, want.Cell, want.Repeat)
		}
	}
	for dir, want := range map[string]rundir.Stage{"002-grid": rundir.Complete, "003-grid": rundir.Interrupted, "003-grid.2": rundir.Complete, "008-grid": rundir.Complete} {
		if m, err := rundir.Load(filepath.Join(out, dir)); err != nil || m.Stage != want {
			t.Errorf("%s is %s, want %s: %v", dir, m.Stage, want, err)
		}
	}
	if len(results.Rankings) != 1 || len(results.Rankings[0].Cells) != 4 || !strings.Contains(strings.Join(results.Rankings[0].Warnings, " "), "2 sittings") {
		t.Errorf("ranking %+v", results.Rankings)
	}
}

func contents(t *testing.T, dir string, names ...string) string {
	t.Helper()
	var all strings.Builder
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

// TestTheStandingsRenewThemselvesOnATerminal, below what is noted, and are gone when the result comes.
func TestTheStandingsRenewThemselvesOnATerminal(t *testing.T) {
	progress, shown := terminal(t)
	code := execute([]string{"run", scenarioFile(t, grid), "--cluster", "embedded", "--out", filepath.Join(t.TempDir(), "runs")}, nil, io.Discard, progress)
	if code != reports.ExitAsExpected {
		t.Fatalf("exit code %d", code)
	}
	text := shown()
	for _, want := range []string{"\x1b[1A\x1b[2K", "1 of 8 runs, about", "best so far by min ack.p99: acks=", "8/8 grid"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %q", want, text)
		}
	}
	last := strings.LastIndex(text, "best so far")
	if after := text[last:]; !strings.Contains(after, "\x1b[1A\x1b[2K") {
		t.Errorf("the standings stay: %q", after)
	}
}

func TestOnlyOneKbenchWorksInAFolder(t *testing.T) {
	out := filepath.Join(t.TempDir(), "runs")
	first := &job{out: out, plan: make([]planned, 2), fleet: &fleet{}, progress: newProgress(io.Discard, true)}
	release, err := first.begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.begin(); err == nil || !strings.Contains(err.Error(), "another kbench is at work") {
		t.Errorf("a second one answers %v", err)
	}
	release()
	release, err = first.begin()
	if err != nil {
		t.Fatal(err)
	}
	release()
}
