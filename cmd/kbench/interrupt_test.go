package main

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kbench/kbench/internal/cluster/clustertest"
	"github.com/kbench/kbench/reports"
)

// TestNothingSurvivesAnInterruptedRun ends kbench at different moments of a run on real brokers: no process of the run may
// be left, and what was recorded until then must be readable and never hold.
func TestNothingSurvivesAnInterruptedRun(t *testing.T) {
	clustertest.Require(t)
	const killed = -1
	for _, c := range []struct {
		name    string
		after   string // a word of progress
		signals []syscall.Signal
		exit    int
		check   int
	}{
		{"SIGINT while brokers start", "cluster: local", []syscall.Signal{syscall.SIGINT}, reports.ExitInterrupted, reports.ExitInterrupted},
		{"SIGINT under load", "measuring", []syscall.Signal{syscall.SIGINT}, reports.ExitInterrupted, reports.ExitInterrupted},
		{"SIGTERM while a broker is dead", "kill broker", []syscall.Signal{syscall.SIGTERM}, reports.ExitInterrupted, reports.ExitInterrupted},
		{"SIGKILL while a broker is dead", "kill broker", []syscall.Signal{syscall.SIGKILL}, killed, reports.ExitInconclusive},
		{"SIGINT twice", "kill broker", []syscall.Signal{syscall.SIGINT, syscall.SIGINT}, reports.ExitInterrupted, -2},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "run")
			args := []string{"--cluster", "local", "--out", out,
				"--set", "load.warmup=1s", "--set", "load.duration=12s", "--set", "faults=[{at: 6s, kill: leader(orders/0), for: 5s}]"}
			if code := interrupted(t, args, c.after, c.signals); code != c.exit {
				t.Errorf("exit code %d, not %d", code, c.exit)
			}
			noProcesses(t, out)
			var verdict bytes.Buffer
			code := execute([]string{"check", out}, nil, &verdict, &verdict)
			if code != c.check && c.check != -2 || code == reports.ExitAsExpected {
				t.Errorf("check answers %d\n%s", code, verdict.String())
			}
			if !strings.Contains(verdict.String(), "INCONCLUSIVE") {
				t.Errorf("the verdict is %s", verdict.String())
			}
		})
	}
}

// interrupted runs quickstart in a process of its own and sends it signals once its progress shows the word.
func interrupted(t *testing.T, args []string, after string, signals []syscall.Signal) int {
	t.Helper()
	stderr, progress := io.Pipe()
	cmd := &exec.Cmd{Path: os.Args[0], Stderr: progress, Args: append([]string{"kbench", "run", "quickstart"}, args...)}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	seen := make(chan bool, 1)
	go func() {
		lines := bufio.NewScanner(stderr)
		for found := false; lines.Scan(); {
			t.Log(lines.Text())
			if !found && strings.Contains(lines.Text(), after) {
				found = true
				seen <- true
			}
		}
	}()
	select {
	case <-seen:
	case <-time.After(20 * time.Minute): // another package's cluster may have to end first
		_ = cmd.Process.Kill()
		t.Errorf("progress never said %q", after)
	}
	for _, s := range signals {
		if err := cmd.Process.Signal(s); err != nil {
			t.Error(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	_ = cmd.Wait() // the code says it
	_ = progress.Close()
	return cmd.ProcessState.ExitCode()
}

// noProcesses looks for processes whose command line names the run's directory; the kernel may take a moment to end them.
func noProcesses(t *testing.T, out string) {
	t.Helper()
	var left []string
	for range 50 {
		left = nil
		commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range commands {
			if text, err := os.ReadFile(path); err == nil && strings.Contains(string(text), out) {
				left = append(left, strings.ReplaceAll(string(text), "\x00", " "))
			}
		}
		if len(left) == 0 {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("left running: %q", left)
}
