package main

import (
	"context"
	"errors"
	"fmt"
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
	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/cluster"
	"github.com/kbench/kbench/internal/driver/franz"
	"github.com/kbench/kbench/internal/rundir"
	"github.com/kbench/kbench/internal/settings"
	"github.com/kbench/kbench/reports"
	"github.com/kbench/kbench/scenarios"
)

const (
	defaultCluster = "auto"
	defaultDriver  = "confluent"
)

// runFlags are those of kbench run.
type runFlags struct {
	cluster, driver, commandConfig, out string
	resume, objective                   string
	bootstrap, properties, set          []string
	seed                                int64
	repeat                              int
	json, quiet, keep                   bool
	timeout                             time.Duration
	containers                          containers
}

func (a *app) runCommand() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run [SCENARIO...]",
		Short: "Run scenarios: load a cluster, hurt it, and judge what became of every record",
		Long: `Run scenarios, each a built-in name ('kbench scenarios list') or a YAML file; without one, quickstart.

The result goes to stdout, progress to stderr, and everything that was recorded to a run directory, which
'kbench check' judges again at any time.

A scenario with a matrix is run for each combination of its values ('cell'), as often as its repeat says. The cells of each
repeat come in an order drawn by the seed, on one warm cluster where they need the same. The result ranks them by the
objective, and says which differences are more than noise. What was interrupted goes on with --resume.`,
		Example: `  kbench run
  kbench run leader-loss leader-loss-acks-1
  kbench run quickstart --set client.acks=1 --set load.rate=20000/s
  kbench run buffer-rule                                   # would more buffer.memory help here?
  kbench run my.yaml --repeat 9 --set 'matrix={client.acks: [1, all], client.batch.size: [16KiB, 1MiB]}' \
      --objective 'max throughput where ack.p99 < 50ms' --out grid
  kbench run --resume grid                                 # go on where it was interrupted
  kbench run my.yaml --bootstrap-server broker:9092 --command-config client.properties --json`,
		ValidArgsFunction: completeScenarios,
		RunE:              func(c *cobra.Command, args []string) error { return a.run(c.Context(), f, args) },
	}
	f.add(c)
	flags := c.Flags()
	flags.IntVar(&f.repeat, "repeat", 0, "runs of each cell (0: as the scenario says)")
	flags.StringVar(&f.objective, "objective", "", "what a matrix's cells are ranked by: 'max throughput', 'min ack.p99', 'max throughput where ack.p99 < 50ms'")
	flags.StringVar(&f.resume, "resume", "", "folder of several runs to go on with: runs that came to their end are kept")
	flags.DurationVar(&f.timeout, "timeout", 0, "end everything after this time (0: no limit)")
	return c
}

// add gives a command the flags that say which cluster is loaded, how, and where the result goes.
func (f *runFlags) add(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.cluster, "cluster", defaultCluster, "kind of cluster: auto, local, docker, embedded or external")
	flags.StringSliceVar(&f.bootstrap, "bootstrap-server", nil, "addresses of an external cluster, HOST:PORT,... (with --cluster external left out: those of the one cluster that 'kbench cluster up' keeps)")
	f.containers.add(c)
	flags.StringVar(&f.commandConfig, "command-config", "", "file of Kafka client properties for every client")
	flags.StringArrayVarP(&f.properties, "client-property", "X", nil, "a property of every client that knows it: key=value; only producers: producer.key=value; only consumers: consumer.key=value")
	flags.StringVar(&f.driver, "driver", defaultDriver, "client library under test: confluent or franz")
	flags.StringArrayVar(&f.set, "set", nil, "override a field of the scenario: path=value")
	flags.Int64Var(&f.seed, "seed", 0, "seed of keys, sizes, victims and times (0: drawn, and recorded)")
	flags.StringVar(&f.out, "out", "", "folder for the run directories (default kbench-runs/SCENARIO-TIME)")
	flags.BoolVar(&f.json, "json", false, "print the result document instead of the summary")
	flags.BoolVar(&f.quiet, "quiet", false, "no progress on stderr")
	flags.BoolVar(&f.keep, "keep", false, "leave the cluster up that was started for the runs, as 'kbench cluster up' does, and the runs' topics on it or on an external one")
	_ = c.RegisterFlagCompletionFunc("cluster", cobra.FixedCompletions([]string{"auto", "local", "docker", "embedded", "external"}, cobra.ShellCompDirectiveNoFileComp))
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
	saved    *rundir.Plan // what --resume goes on with
	sittings []rundir.Sitting
	done     []reports.Trial // runs with a result, in the plan's order
	last     reports.Summary
	took     pace
	stopped  int // exit code of what ended the plan early, 0 for nothing
}

// planned is one run of the plan.
type planned struct {
	scenarios.Run
	dir  string
	done bool // in an earlier sitting
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
	if len(args) == 0 && f.resume == "" {
		args = []string{"quickstart"}
	}
	j := &job{app: a, flags: f, progress: newProgress(a.err, f.quiet)}
	if err := j.prepare(ctx, args); err != nil {
		return err
	}
	release, err := j.begin()
	if err != nil {
		return &exitError{reports.ExitBroken, err}
	}
	defer release()
	if f.timeout > 0 {
		var cancel func()
		ctx, cancel = context.WithTimeoutCause(ctx, f.timeout, fmt.Errorf("the time limit of %s is over", f.timeout))
		defer cancel()
	}
	err = j.runAll(ctx)
	j.stopped = codeOf(err)
	err = errors.Join(err, j.report())
	j.fleet.stays(j.app.err)
	return err
}

// prepare reads and checks everything before anything starts.
func (j *job) prepare(ctx context.Context, args []string) error {
	if j.flags.resume != "" {
		if err := j.resumed(); err != nil {
			return usage(err)
		}
	}
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
	if err := j.planAll(args, changes); err != nil {
		return usage(err)
	}
	if err := j.ready(ctx, security); err != nil || j.saved == nil || len(args) == 0 {
		return err
	}
	if err := j.same(); err != nil {
		return usage(err)
	}
	return nil
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
	j.flags.containers.janitor = []string{self, "janitor"}
	if _, err := j.flags.containers.bytes(); err != nil {
		return usage(err)
	}
	return nil
}

// ready settles, for a plan that is made, where its runs lie and on what cluster they run.
func (j *job) ready(ctx context.Context, security map[string]string) error {
	j.fleet = &fleet{bootstrap: j.flags.bootstrap, security: security, limits: j.flags.containers, keep: j.flags.keep, note: j.progress.note}
	err := j.fleet.choose(ctx, cluster.Kind(j.flags.cluster), j.plan)
	if ctx.Err() != nil { // what was asked for may be there all the same
		return &exitError{reports.ExitInterrupted, context.Cause(ctx)}
	}
	if err != nil {
		return usage(err)
	}
	if err := j.layOut(); err != nil {
		return usage(err)
	}
	j.fleet.dir, j.fleet.made = j.out, clustersIn(j.out)
	return nil
}

// planAll is what is to be run: what the arguments mean or, with none, what the folder to go on with says.
func (j *job) planAll(args []string, changes []scenarios.Change) error {
	if j.saved != nil && len(args) == 0 {
		if len(changes)+len(j.flags.set)+len(j.flags.properties) > 0 || j.flags.seed != 0 || j.flags.repeat != 0 {
			return fmt.Errorf("--resume %s goes on with what was begun: --set, -X, --seed and --repeat cannot change it", j.flags.resume)
		}
		var err error
		if j.plan, err = fromPlan(j.flags.resume, *j.saved); err != nil {
			return err
		}
		for _, p := range j.plan {
			if err := j.honoured(p.Scenario); err != nil {
				return err
			}
		}
		return j.rankBy(j.flags.objective)
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
	return errors.Join(append(problems, j.rankBy(j.flags.objective))...)
}

// rankBy puts an objective in place of the scenarios' own.
func (j *job) rankBy(objective string) error {
	if objective == "" {
		return nil
	}
	o, err := scenarios.ParseObjective(objective)
	if err != nil {
		return fmt.Errorf("--objective: %w", err)
	}
	cells := false
	for i := range j.plan {
		j.plan[i].Scenario.Objective = o
		cells = cells || len(j.plan[i].Cell) > 0
	}
	if !cells && len(j.plan) > 0 {
		return errors.New("--objective ranks the cells of a matrix, and there is none: such as --set 'matrix={client.acks: [1, all]}'")
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
	if err := noSecrets(arg, s); err != nil {
		return nil, err
	}
	plan, err := scenarios.NewPlan(s)
	for _, run := range plan { // each may be a cell
		if err := noSecrets(arg, run.Scenario); err != nil {
			return nil, err
		}
		if err := j.honoured(run.Scenario); err != nil {
			return nil, err
		}
	}
	return plan, err
}

// honoured refuses settings that the client library under test does not have: a run would find out only when its cluster is up.
func (j *job) honoured(s scenarios.Scenario) error {
	library, ok := drivers(j.app.err)[j.flags.driver].(client.Choosy)
	if !ok {
		return nil
	}
	var problems []string
	refused := func(path string, err error) {
		if err != nil {
			problems = append(problems, path+": "+strings.ReplaceAll(err.Error(), "\n", "\n  "+path+": "))
		}
	}
	refused("client", library.RefusedOfProducer(s.Client))
	for _, c := range s.Consumers {
		refused("consumer", library.RefusedOfConsumer(c.Settings))
	}
	if s.Processor != nil {
		refused("processor.client", library.RefusedOfProducer(s.Processor.Client))
		refused("processor.consumer", library.RefusedOfConsumer(s.Processor.Consumer))
	}
	if len(problems) == 0 {
		return nil
	}
	return fmt.Errorf("%s cannot run with --driver %s:\n  %s\n  take it out of the scenario, or choose another --driver", s.Name, j.flags.driver, strings.Join(problems, "\n  "))
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
func noSecrets(name string, s scenarios.Scenario) error {
	for _, of := range []map[string]string{s.Client, consumerSettings(s), processorSettings(s)} {
		if secret := secretIn(of); secret != "" {
			return fmt.Errorf("%s: %s is a secret and would be written into the run directory: give it by --command-config or -X", name, secret)
		}
	}
	for _, flag := range s.Cluster.JVM {
		if property, value, _ := strings.Cut(flag, "="); secretIn(map[string]string{strings.ToLower(property): value}) != "" {
			return fmt.Errorf("%s: cluster.jvm has a secret, %s, which would be written into the run directory: start such a cluster apart, and give its address", name, property)
		}
	}
	if secret := secretIn(s.Cluster.Config); secret != "" {
		return fmt.Errorf("%s: cluster.config.%s is a secret and would be written into the run directory: start such a cluster apart, and give its address", name, secret)
	}
	return nil
}

// secretIn is the name of a setting with a secret, "" where there is none.
func secretIn(of map[string]string) string {
	shown := settings.Redact(of)
	for _, name := range slices.Sorted(maps.Keys(of)) {
		if shown[name] != of[name] {
			return name
		}
	}
	return ""
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
	assignments := slices.Clone(j.flags.set)
	seed := j.flags.seed
	if next := len(j.plan); seed == 0 && j.saved != nil && next < len(j.saved.Runs) {
		seed = j.saved.Runs[next].Seed // the first run of each scenario has its seed
	}
	if seed != 0 {
		assignments = append(assignments, "seed="+strconv.FormatInt(seed, 10))
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

// runAll carries the plan out, one run after another. A run that fails does not keep the next from being tried, an
// interruption does.
func (j *job) runAll(ctx context.Context) (err error) {
	defer func() {
		if closed := j.fleet.close(); closed != nil {
			err = errors.Join(err, &exitError{reports.ExitBroken, closed})
		}
	}()
	j.announce()
	for i, p := range j.plan {
		if p.done {
			if err := j.keep(p); err != nil {
				return err
			}
			continue
		}
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
		if len(p.Cell) > 0 {
			j.discard(j.last.Meta)
		}
	}
	return nil
}

// one makes one run and judges it. Its error is of the kind that ends the whole job.
func (j *job) one(ctx context.Context, p planned) error {
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return &exitError{reports.ExitBroken, fmt.Errorf("run directory: %w", err)}
	}
	began := time.Now()
	b, err := j.fleet.forRun(ctx, p.Scenario)
	if err != nil {
		return j.noCluster(ctx, p, err)
	}
	if err := j.warm(ctx, p, b); err != nil {
		return err
	}
	if b.cold {
		began = time.Now() // what the cluster took is not what a run takes
	}
	b.cold = false
	if err := j.record(ctx, p, b); err != nil {
		return err
	}
	j.took.add(time.Since(began))
	return j.conclude(p)
}

// record makes one run on a cluster, and leaves in its directory what came of it.
func (j *job) record(ctx context.Context, p planned, b *berth) error {
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
		Notes: p.Notes, Keep: j.flags.keep, NoLooks: j.noLooks, Progress: j.update,
	})
	j.progress.end()
	if failed != nil {
		j.progress.note("  %v", failed)
	}
	return nil
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
	j.last = summary
	j.add(p, summary.Document, summary.Meta)
	if len(j.plan) > 1 {
		j.progress.note("  %s", reports.Line(summary.Document, style(j.app.err)))
	}
	j.standings()
	return nil
}

func (j *job) add(p planned, d reports.Document, m rundir.Meta) {
	j.done = append(j.done, reports.Trial{Document: d, Counters: m.Counters, Objective: p.Scenario.RankedBy(), Unfinished: unfinished(m)})
}

// discard removes the topics of a run that is over and judged: the next ones need the room, and the brokers' care.
func (j *job) discard(m rundir.Meta) {
	if j.fleet.current == nil || j.flags.keep || j.fleet.kind == cluster.External { // there a run removes its own
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, topic := range m.Topics {
		if err := j.fleet.current.admin.DeleteTopic(ctx, topic.Physical); err != nil {
			j.progress.note("  topic %s could not be removed: %v", topic.Physical, err)
		}
	}
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

// results are those of all runs so far. A plan that is not complete is no success.
func (j *job) results() reports.Results {
	var docs []reports.Document
	for _, t := range j.done {
		docs = append(docs, t.Document)
	}
	r := reports.Several(docs, reports.Rank(j.done, sittingNotes(j.sittings, j.made(), len(j.plan)))...)
	codes := []int{r.ExitCode, j.stopped}
	if len(docs) < len(j.plan) {
		codes = append(codes, reports.ExitInconclusive)
	}
	r.ExitCode = reports.CombinedExit(codes)
	return r
}

// made is how many runs came to their end.
func (j *job) made() int {
	made := 0
	for _, t := range j.done {
		if !t.Unfinished {
			made++
		}
	}
	return made
}

// report prints the result and sets the exit code.
func (j *job) report() error {
	j.progress.over()
	if len(j.done) == 0 {
		return nil
	}
	r := j.results()
	j.app.exit = r.ExitCode
	one := len(j.plan) == 1 && j.saved == nil
	if r.ExitCode == reports.ExitInterrupted && !one {
		j.progress.note("to go on with it: kbench run --resume %s", j.out)
	}
	switch {
	case j.flags.json && one:
		return reports.WriteJSON(j.app.out, r.Results[0])
	case j.flags.json:
		return reports.WriteJSON(j.app.out, r)
	case one:
		return reports.Text(j.app.out, j.last, style(j.app.out))
	default:
		return j.table(r)
	}
}

// table prints the result of several runs. Where too few were made to be ranked, nothing else would say that some are missing.
func (j *job) table(r reports.Results) error {
	if err := reports.Table(j.app.out, r.Results, style(j.app.out), r.Rankings...); err != nil {
		return err
	}
	if made := j.made(); made < len(j.plan) && len(r.Rankings) == 0 {
		fmt.Fprintf(j.app.out, "\n%s\n", incomplete(made, len(j.plan)))
	}
	return nil
}
