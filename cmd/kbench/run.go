package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/magiconair/properties"
	"github.com/spf13/cobra"

	"github.com/kbench/kbench/bench"
	"github.com/kbench/kbench/internal/cluster"
	"github.com/kbench/kbench/internal/driver/franz"
	"github.com/kbench/kbench/internal/rundir"
	"github.com/kbench/kbench/internal/settings"
	"github.com/kbench/kbench/reports"
	"github.com/kbench/kbench/scenarios"
)

// runFlags are those of kbench run.
type runFlags struct {
	cluster, driver, commandConfig, out string
	bootstrap, properties, set          []string
	seed                                int64
	repeat                              int
	json, quiet, keep                   bool
	timeout                             time.Duration
}

func (a *app) runCommand() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run [SCENARIO...]",
		Short: "Run scenarios: load a cluster, hurt it, and judge what became of every record",
		Long: `Run scenarios, each a built-in name ('kbench scenarios list') or a YAML file; without one, quickstart.

The result goes to stdout, progress to stderr, and everything that was recorded to a run directory, which
'kbench check' judges again at any time.`,
		Example: `  kbench run
  kbench run leader-loss leader-loss-acks-1
  kbench run quickstart --set client.acks=1 --set load.rate=20000/s
  kbench run my.yaml --bootstrap-server broker:9092 --command-config client.properties --json`,
		ValidArgsFunction: completeScenarios,
		RunE:              func(c *cobra.Command, args []string) error { return a.run(c.Context(), f, args) },
	}
	f.add(c)
	flags := c.Flags()
	flags.IntVar(&f.repeat, "repeat", 0, "runs of each cell (0: as the scenario says)")
	flags.DurationVar(&f.timeout, "timeout", 0, "end everything after this time (0: no limit)")
	return c
}

// add gives a command the flags that say which cluster is loaded, how, and where the result goes.
func (f *runFlags) add(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.cluster, "cluster", "auto", "kind of cluster: auto, local, embedded or external")
	flags.StringSliceVar(&f.bootstrap, "bootstrap-server", nil, "addresses of an external cluster, HOST:PORT,...")
	flags.StringVar(&f.commandConfig, "command-config", "", "file of Kafka client properties for every client")
	flags.StringArrayVarP(&f.properties, "client-property", "X", nil, "a property of every client that knows it: key=value; only producers: producer.key=value; only consumers: consumer.key=value")
	flags.StringVar(&f.driver, "driver", "confluent", "client library under test: confluent or franz")
	flags.StringArrayVar(&f.set, "set", nil, "override a field of the scenario: path=value")
	flags.Int64Var(&f.seed, "seed", 0, "seed of keys, sizes, victims and times (0: drawn, and recorded)")
	flags.StringVar(&f.out, "out", "", "folder for the run directories (default kbench-runs/SCENARIO-TIME)")
	flags.BoolVar(&f.json, "json", false, "print the result document instead of the summary")
	flags.BoolVar(&f.quiet, "quiet", false, "no progress on stderr")
	flags.BoolVar(&f.keep, "keep", false, "leave the run's topics on an external cluster")
	_ = c.RegisterFlagCompletionFunc("cluster", cobra.FixedCompletions([]string{"auto", "local", "embedded", "external"}, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("driver", cobra.FixedCompletions([]string{"confluent", "franz"}, cobra.ShellCompDirectiveNoFileComp))
}

// job is everything that one command line asks for.
type job struct {
	app      *app
	flags    runFlags
	plan     []planned
	fleet    *fleet
	progress *progress
	watch    func(bench.Progress) // sees how a run goes, too; may be nil
	brief    bool                 // no lines about how far a run is
	noLooks  bool                 // as bench.Config's
	worker   []string
	out      string
	docs     []reports.Document
	last     reports.Summary
}

// planned is one run of the plan.
type planned struct {
	scenarios.Run
	dir string
}

// title of a run: its scenario, cell and repeat.
func (p planned) title() string {
	title := p.Scenario.Name
	for _, path := range slices.Sorted(maps.Keys(p.Cell)) {
		title += " " + path + "=" + p.Cell[path]
	}
	if p.Repeat > 1 {
		title += fmt.Sprintf(" (repeat %d)", p.Repeat)
	}
	return title + ": " + p.Scenario.About
}

func (a *app) run(ctx context.Context, f runFlags, args []string) error {
	if len(args) == 0 {
		args = []string{"quickstart"}
	}
	j := &job{app: a, flags: f, progress: newProgress(a.err, f.quiet)}
	if err := j.prepare(args); err != nil {
		return err
	}
	if f.timeout > 0 {
		var cancel func()
		ctx, cancel = context.WithTimeoutCause(ctx, f.timeout, fmt.Errorf("the time limit of %s is over", f.timeout))
		defer cancel()
	}
	err := j.runAll(ctx)
	return errors.Join(err, j.report())
}

// prepare reads and checks everything before anything starts.
func (j *job) prepare(args []string) error {
	if err := j.equip(); err != nil {
		return err
	}
	security, changes, err := clientProperties(j.flags)
	if err != nil {
		return usage(err)
	}
	if err := understood(security); err != nil {
		return usage(err)
	}
	var problems []error
	for _, arg := range args {
		runs, err := j.planOf(arg, changes)
		if err != nil {
			problems = append(problems, err)
		}
		for _, r := range runs {
			j.plan = append(j.plan, planned{Run: r})
		}
	}
	if len(problems) > 0 {
		return usage(errors.Join(problems...))
	}
	return j.ready(security)
}

// equip finds what every run is made with.
func (j *job) equip() error {
	if _, ok := drivers(j.app.err)[j.flags.driver]; !ok {
		return usage(fmt.Errorf("no driver is called %q: confluent or franz", j.flags.driver))
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find kbench's own program: %w", err)
	}
	j.worker = []string{self, "worker"}
	return nil
}

// ready settles, for a plan that is made, where its runs lie and on what cluster they run.
func (j *job) ready(security map[string]string) error {
	j.layOut()
	if err := j.unused(); err != nil {
		return usage(err)
	}
	j.fleet = &fleet{
		bootstrap: j.flags.bootstrap, security: security, dir: j.out, note: j.progress.note,
	}
	if err := j.fleet.choose(cluster.Kind(j.flags.cluster), j.plan); err != nil {
		return usage(err)
	}
	return nil
}

// planOf is what one argument means.
func (j *job) planOf(arg string, properties []scenarios.Change) (scenarios.Plan, error) {
	changes, err := j.changes(properties)
	if err != nil {
		return nil, err
	}
	s, err := scenarios.Open(arg, changes...)
	if err != nil {
		return nil, err
	}
	for _, of := range []map[string]string{s.Client, consumerSettings(s), processorSettings(s)} {
		if err := noSecrets(arg, of); err != nil {
			return nil, err
		}
	}
	return scenarios.NewPlan(s)
}

func consumerSettings(s scenarios.Scenario) map[string]string {
	all := map[string]string{}
	for _, c := range s.Consumers {
		maps.Copy(all, c.Settings)
	}
	return all
}

func processorSettings(s scenarios.Scenario) map[string]string {
	all := map[string]string{}
	if s.Processor != nil {
		maps.Copy(all, s.Processor.Client)
		maps.Copy(all, s.Processor.Consumer)
	}
	return all
}

// noSecrets refuses a scenario with a secret in it: the run directory keeps the scenario, and is shown around.
func noSecrets(scenario string, of map[string]string) error {
	for name, shown := range settings.Redact(of) {
		if shown != of[name] {
			return fmt.Errorf("%s: %s is a secret and would be written into the run directory: give it by --command-config or -X", scenario, name)
		}
	}
	return nil
}

// understood finds settings that no client could reach the cluster with, before anything starts. Nothing is connected.
func understood(security map[string]string) error {
	admin, err := franz.NewAdmin([]string{"127.0.0.1:9092"}, security)
	if err != nil {
		return err
	}
	return admin.Close()
}

// changes are what the command line changes about a scenario. What stands later wins.
func (j *job) changes(properties []scenarios.Change) ([]scenarios.Change, error) {
	changes := slices.Clone(properties)
	assignments := j.flags.set
	if j.flags.seed != 0 {
		assignments = append(assignments, "seed="+strconv.FormatInt(j.flags.seed, 10))
	}
	if j.flags.repeat != 0 {
		assignments = append(assignments, "repeat="+strconv.Itoa(j.flags.repeat))
	}
	for _, assignment := range assignments {
		c, err := scenarios.Set(assignment)
		if err != nil {
			return nil, err
		}
		changes = append(changes, c)
	}
	return changes, nil
}

// clientProperties reads the file of --command-config, which says how a cluster is reached, and -X, which also sets what
// a scenario's clients do.
func clientProperties(f runFlags) (security map[string]string, changes []scenarios.Change, err error) {
	security = map[string]string{}
	if f.commandConfig != "" {
		file, err := properties.LoadFile(f.commandConfig, properties.UTF8)
		if err != nil {
			return nil, nil, fmt.Errorf("--command-config: %w", err)
		}
		for key, value := range file.Map() {
			if settings.IsSecurity(key) {
				security[key] = value
			} else {
				changes = append(changes, scenarios.Override(scenarios.EveryClient, key, value))
			}
		}
	}
	for _, p := range f.properties {
		key, value, ok := strings.Cut(p, "=")
		if !ok || key == "" {
			return nil, nil, fmt.Errorf("-X %s: a property has the form key=value", p)
		}
		who := scenarios.EveryClient
		if rest, ok := strings.CutPrefix(key, "producer."); ok {
			who, key = scenarios.EveryProducer, rest
		} else if rest, ok := strings.CutPrefix(key, "consumer."); ok {
			who, key = scenarios.EveryConsumer, rest
		}
		if settings.IsSecurity(key) {
			security[key] = value
			continue
		}
		changes = append(changes, scenarios.Override(who, key, value))
	}
	return security, changes, nil
}

// layOut gives each run its directory.
func (j *job) layOut() {
	stamp := time.Now().Format("20060102-150405")
	j.out = j.flags.out
	if j.out == "" {
		name := j.plan[0].Scenario.Name
		if len(j.plan) > 1 {
			name = "runs"
		}
		j.out = filepath.Join("kbench-runs", name+"-"+stamp)
	}
	if len(j.plan) == 1 {
		j.plan[0].dir = j.out
		return
	}
	for i := range j.plan {
		j.plan[i].dir = filepath.Join(j.out, fmt.Sprintf("%03d-%s", i+1, j.plan[i].Scenario.Name))
	}
}

// unused refuses a directory that holds a run already: its record is evidence, and no verdict may be told from it.
func (j *job) unused() error {
	for _, p := range j.plan {
		for _, name := range []string{rundir.MetaFile, rundir.HistoryDir} {
			if _, err := os.Lstat(filepath.Join(p.dir, name)); !errors.Is(err, fs.ErrNotExist) {
				return errors.Join(fmt.Errorf("%s holds a run already: give another folder with --out", p.dir), err)
			}
		}
	}
	return nil
}

// runAll carries the plan out, one run after another. A run that fails does not keep the next from being tried, an
// interruption does.
func (j *job) runAll(ctx context.Context) (err error) {
	defer func() {
		if closed := j.fleet.close(); closed != nil {
			err = errors.Join(err, &exitError{reports.ExitBroken, closed})
		}
	}()
	for i, p := range j.plan {
		if ctx.Err() != nil {
			return &exitError{reports.ExitInterrupted, context.Cause(ctx)}
		}
		if len(j.plan) > 1 {
			j.progress.note("%d/%d %s", i+1, len(j.plan), p.title())
		} else {
			j.progress.note("%s", p.title())
		}
		for _, note := range p.Notes {
			j.progress.note("  %s", note)
		}
		if err := j.one(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// one makes one run and judges it. Its error is of the kind that ends the whole job.
func (j *job) one(ctx context.Context, p planned) error {
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return &exitError{reports.ExitBroken, fmt.Errorf("run directory: %w", err)}
	}
	b, err := j.fleet.forRun(ctx, p.Scenario)
	if err != nil {
		return j.noCluster(ctx, p, err)
	}
	if err := linkLogs(p.dir, b.logs); err != nil {
		return &exitError{reports.ExitBroken, err}
	}
	log, err := os.OpenFile(filepath.Join(p.dir, "clients.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return &exitError{reports.ExitBroken, fmt.Errorf("run directory: %w", err)}
	}
	defer log.Close()
	_, failed := bench.Run(ctx, bench.Config{
		Scenario: p.Scenario, Source: scenarios.Marshal(p.Scenario), Cell: p.Cell, Repeat: p.Repeat, Seed: p.Seed, Dir: p.dir,
		Cluster: b.cluster, Why: b.why, Admin: b.admin, Reader: b.reader,
		Security: j.fleet.security, Driver: j.flags.driver, Drivers: drivers(log), Worker: j.worker, Version: version,
		Keep: j.flags.keep, NoLooks: j.noLooks, Progress: j.update,
	})
	j.progress.end()
	if failed != nil {
		j.progress.note("  %v", failed)
	}
	return j.conclude(p)
}

// update shows how a run goes to all who want to know.
func (j *job) update(p bench.Progress) {
	if p.Note != "" || !j.brief {
		j.progress.update(p)
	}
	if j.watch != nil {
		j.watch(p)
	}
}

// noCluster leaves a run directory that says why nothing was run in it.
func (j *job) noCluster(ctx context.Context, p planned, cause error) error {
	meta := rundir.Meta{
		Version: 1, Kbench: version, Scenario: p.Scenario.Name, About: p.Scenario.About, Twin: p.Scenario.Twin,
		Cell: p.Cell, Repeat: p.Repeat, Seed: p.Seed, Guarantee: string(p.Scenario.Guarantee),
		Expect:  rundir.Expect{Violated: p.Scenario.Expect.Violated, Anomalies: p.Scenario.Expect.Anomalies},
		Started: time.Now().Format(time.RFC3339), Stage: rundir.Broken, Error: cause.Error(),
		Cluster: rundir.ClusterInfo{Kind: string(j.fleet.kind), Why: j.fleet.why},
	}
	if ctx.Err() != nil {
		meta.Stage, meta.Error = rundir.Interrupted, context.Cause(ctx).Error()
	}
	j.progress.note("  %s", meta.Error)
	if err := meta.Save(p.dir); err != nil {
		return errors.Join(&exitError{reports.ExitBroken, err}, cause)
	}
	return j.conclude(p)
}

// conclude judges what a run directory holds.
func (j *job) conclude(p planned) error {
	summary, err := judge(p.dir)
	if err != nil {
		return &exitError{reports.ExitBroken, err}
	}
	j.docs, j.last = append(j.docs, summary.Document), summary
	if len(j.plan) > 1 {
		j.progress.note("  %s", reports.Line(summary.Document, style(j.app.err)))
	}
	return nil
}

// linkLogs lets a run directory show the logs of the cluster that it shares with others.
func linkLogs(dir, logs string) error {
	if logs == "" {
		return nil
	}
	link := filepath.Join(dir, "cluster")
	if link == logs {
		return nil
	}
	to, err := filepath.Rel(dir, logs)
	if err != nil {
		return err
	}
	if err := os.Symlink(to, link); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("run directory: %w", err)
	}
	return nil
}

// report prints the result and sets the exit code.
func (j *job) report() error {
	if len(j.docs) == 0 {
		return nil
	}
	j.app.exit = reports.Several(j.docs).ExitCode
	if len(j.docs) < len(j.plan) {
		j.app.exit = reports.CombinedExit([]int{j.app.exit, reports.ExitInconclusive})
	}
	switch {
	case j.flags.json && len(j.plan) == 1:
		return reports.WriteJSON(j.app.out, j.docs[0])
	case j.flags.json:
		return reports.WriteJSON(j.app.out, reports.Several(j.docs))
	case len(j.plan) == 1:
		return reports.Text(j.app.out, j.last, style(j.app.out))
	default:
		return reports.Table(j.app.out, j.docs, style(j.app.out))
	}
}
