package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/kbench/kbench/internal/cluster"
	"github.com/kbench/kbench/internal/cluster/local"
	"github.com/kbench/kbench/internal/doctor"
	"github.com/kbench/kbench/internal/doctor/machine"
	"github.com/kbench/kbench/internal/rundir"
	"github.com/kbench/kbench/internal/timing"
	"github.com/kbench/kbench/reports"
	"github.com/kbench/kbench/scenarios"
)

// doctorFlags are those of kbench doctor.
type doctorFlags struct {
	timing, json, quiet bool
	driver, out         string
}

func (a *app) doctorCommand() *cobra.Command {
	var f doctorFlags
	c := &cobra.Command{
		Use:   "doctor [--timing [DIR...]]",
		Short: "Say what this machine allows: which clusters can run, and whether its timings can be trusted",
		Long: `Say what this machine allows: which kinds of cluster can run on it, what would make its figures worse, and what to do about it.

With --timing kbench puts its load on a synthetic server (the embedded cluster) whose leader stands still for a second, and holds
what it publishes against arithmetic: response and service time of acknowledgements, end-to-end latency, and the lag of the load,
with a client's buffer that takes everything and with one that stops the sender. It takes half a minute.

With run directories of the scenario stalled-leader (or any that pauses the leader of one partition under a steady rate)
it compares what was published of those runs. A run directory may also be a folder of them, as 'kbench run' leaves it.

Exit codes: 0 real brokers can run here, warnings or not; with --timing, every figure agrees · 2 usage error · 3 arithmetic has
nothing to say about a run · 4 no real brokers can run here; with --timing, timings cannot be trusted · 130 interrupted.`,
		Example: `  kbench doctor
  kbench doctor --timing
  kbench doctor --timing --driver franz --json
  kbench run stalled-leader --cluster local --out stalled && kbench doctor --timing stalled`,
		RunE: func(c *cobra.Command, dirs []string) error {
			if f.timing || len(dirs) > 0 {
				return a.checkTimings(c.Context(), f, dirs)
			}
			return a.examine(c.Context(), f)
		},
	}
	flags := c.Flags()
	flags.BoolVar(&f.timing, "timing", false, "check the timings")
	flags.BoolVar(&f.json, "json", false, "print JSON")
	flags.BoolVar(&f.quiet, "quiet", false, "no progress on stderr")
	flags.StringVar(&f.driver, "driver", "confluent", "client library of --timing: confluent or franz")
	flags.StringVar(&f.out, "out", "", "folder to keep the run directories of --timing in (default: they are removed unless something is wrong)")
	return c
}

// examine says what the machine allows.
func (a *app) examine(ctx context.Context, f doctorFlags) error {
	base, err := localBase()
	if err != nil {
		return &exitError{reports.ExitBroken, err}
	}
	runs, err := filepath.Abs("kbench-runs")
	if err != nil {
		return &exitError{reports.ExitBroken, err}
	}
	needs := doctor.Needs{
		Brokers: 3, Kafka: local.KafkaVersion, Java: local.MinJava, Images: kafkaImages(), Data: os.TempDir(), Runs: runs,
	}
	report := doctor.Examine(ctx, machine.Machine{Local: base, Docker: dockerHosts()}, needs, doctor.Limit)
	document := reports.NewExamined(report)
	a.exit = document.ExitCode
	if f.json {
		return reports.WriteJSON(a.out, document)
	}
	return reports.ExaminedText(a.out, document, style(a.out))
}

// kafkaImages are those that a cluster of containers is made of.
func kafkaImages() []string {
	return []string{"apache/kafka:" + local.KafkaVersion, "kbench/kafka:" + local.KafkaVersion}
}

// dockerHosts are where a container engine may be: where the environment says, or in the places in which a run looks.
func dockerHosts() []string {
	if host := os.Getenv("DOCKER_HOST"); host != "" {
		return []string{host}
	}
	sockets := []string{"/var/run/docker.sock"}
	if own := os.Getenv("XDG_RUNTIME_DIR"); own != "" {
		sockets = append(sockets, filepath.Join(own, "docker.sock"))
	}
	if home, err := os.UserHomeDir(); err == nil {
		sockets = append(sockets, filepath.Join(home, ".docker/run/docker.sock"), filepath.Join(home, ".docker/desktop/docker.sock"))
	}
	sockets = append(sockets, fmt.Sprintf("/run/user/%d/docker.sock", os.Getuid()))
	var hosts []string
	for _, path := range sockets {
		if host := "unix://" + path; !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

func (a *app) checkTimings(ctx context.Context, f doctorFlags, dirs []string) error {
	code := 0
	if len(dirs) == 0 {
		var remove func() error
		var err error
		if dirs, remove, err = a.selfTest(ctx, f); err != nil {
			return err
		}
		defer func() {
			if code == 0 {
				_ = remove() // nothing that anybody needs
			}
		}()
	}
	document, err := compareTimings(dirs)
	if err != nil {
		return err
	}
	code, a.exit = document.ExitCode, document.ExitCode
	if f.json {
		return reports.WriteJSON(a.out, document)
	}
	return reports.DoctorText(a.out, document, style(a.out))
}

// compareTimings holds runs against arithmetic.
func compareTimings(dirs []string) (reports.Doctor, error) {
	var results []timing.Result
	var problems []error
	for _, dir := range dirs {
		runs, err := rundir.Runs(dir)
		if err != nil {
			return reports.Doctor{}, usage(err)
		}
		for _, run := range runs {
			r, err := timing.Check(run)
			if err != nil {
				problems = append(problems, err)
				continue
			}
			results = append(results, r)
		}
	}
	return reports.NewDoctor(results, problems), nil
}

// selfTestCells are what the self-test changes about stalled-leader besides making it short. A record is 1,000 bytes, so that of
// 2,000 that are due in the pause 256 KiB hold about the eighth part and 64 MiB all.
func selfTestCells() []map[string]string {
	return []map[string]string{
		{"client.acks": "1", "client.buffer.memory": "64MiB"},
		{"client.acks": "all", "client.buffer.memory": "256KiB"},
		{"client.acks": "all", "client.buffer.memory": "256KiB", "producers.count": "4"},
		{"client.acks": "0", "client.buffer.memory": "64MiB"},
	}
}

// selfTest runs kbench's own load, with everything recorded and published as ever, on a server whose pauses are known.
// remove takes the run directories away again.
func (a *app) selfTest(ctx context.Context, f doctorFlags) (dirs []string, remove func() error, err error) {
	remove = func() error { return nil }
	if f.out == "" {
		if f.out, err = os.MkdirTemp("", "kbench-doctor-"); err != nil {
			return nil, remove, &exitError{reports.ExitBroken, err}
		}
		remove = func() error { return os.RemoveAll(f.out) }
	}
	var plan []planned
	for _, cell := range selfTestCells() {
		run, err := selfTestRun(cell)
		if err != nil {
			return nil, remove, err
		}
		plan = append(plan, planned{Run: run})
	}
	j := &job{app: a, flags: runFlags{cluster: string(cluster.Embedded), driver: f.driver, out: f.out}, progress: newProgress(a.err, f.quiet), plan: plan}
	if err := errors.Join(j.equip(), j.ready(ctx, nil)); err != nil {
		return nil, remove, err
	}
	if err := j.runAll(ctx); err != nil {
		return nil, remove, err
	}
	for _, p := range j.plan {
		dirs = append(dirs, p.dir)
	}
	if ctx.Err() != nil {
		return nil, remove, &exitError{reports.ExitInterrupted, context.Cause(ctx)}
	}
	return dirs, remove, nil
}

func selfTestRun(cell map[string]string) (scenarios.Run, error) {
	assignments := []string{
		"about=a leader that stands still for 1 s in 5 s, and arithmetic", "load.rate=2000/s", "load.warmup=500ms", "load.duration=5s", "matrix={}",
		"faults=[{at: 2s, pause: leader(orders/0), for: 1s}]",
	}
	for path, value := range cell {
		assignments = append(assignments, path+"="+value)
	}
	var changes []scenarios.Change
	for _, assignment := range assignments {
		c, err := scenarios.Set(assignment)
		if err != nil {
			return scenarios.Run{}, err
		}
		changes = append(changes, c)
	}
	s, err := scenarios.Open("stalled-leader", changes...)
	if err != nil {
		return scenarios.Run{}, err
	}
	plan, err := scenarios.NewPlan(s)
	if err != nil {
		return scenarios.Run{}, err
	}
	plan[0].Cell = cell
	return plan[0], nil
}
