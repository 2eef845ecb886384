package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kbench/kbench/internal/capacity"
	"github.com/kbench/kbench/internal/cluster"
	"github.com/kbench/kbench/internal/rundir"
	"github.com/kbench/kbench/reports"
	"github.com/kbench/kbench/scenarios"
)

// capacityFlags are those of kbench capacity.
type capacityFlags struct {
	runFlags
	slo            []string
	start, highest string
	precision      string
	budget, trial  time.Duration
	warmup         time.Duration
	keepTrials     bool
}

const (
	defaultObjective = "ack.p99 < 50ms"
	capacityFile     = "capacity.json" // the document, in the search's directory
	closing          = 6 * time.Second // of the budget, for stopping the cluster and for the report
	unsteady         = 1500 * time.Millisecond
	muchForeign      = 0.05           // share of the machine's processors
	trialsSpace      = int64(1) << 30 // of histories, kept below a search's directory
)

func (a *app) capacityCommand() *cobra.Command {
	f := capacityFlags{}
	c := &cobra.Command{
		Use:   "capacity [SCENARIO]",
		Short: "Find the highest rate at which a latency objective holds",
		Long: `Find the highest rate at which an objective holds: trials with an open loop at one rate after another, on one
warm cluster. The rate is doubled until a trial misses the objective, then bisected by what all trials together say, until the
90% interval of the answer is narrow enough. A longer trial at its low end confirms it.

A trial holds where every objective does, every record was sent in time and acknowledged, and neither
acknowledgements nor consumers fall behind. Each is recorded and judged as by 'kbench run'. The scenario is a built-in
name or a file (none: capacity, a steady load of 1 KiB records); its faults are left out.

Exit codes: 0 found · 1 a guarantee was violated · 3 the time was over first; what is known is told · 4 the cluster or the
machine failed · 5 the objective is not met even at the lowest rate · 130 interrupted.`,
		Example: `  kbench capacity --slo 'ack.p99<20ms'
  kbench capacity my.yaml --slo 'ack.p99<20ms' --slo 'e2e.p99<100ms' --bootstrap-server broker:9092
  kbench capacity quickstart --slo 'ack.p999<100ms' --set client.linger.ms=20 --budget 10m --json`,
		ValidArgsFunction: completeScenarios,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage(fmt.Errorf("%s takes one scenario, and got %d\nsee '%s --help'", c.CommandPath(), len(args), c.CommandPath()))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return a.capacity(c.Context(), f, args) },
	}
	f.add(c)
	flags := c.Flags()
	flags.StringArrayVar(&f.slo, "slo", nil, "an objective such as 'ack.p99 < 20ms'; may be given again, all have to hold (default: the scenario's thresholds, else '"+defaultObjective+"')")
	flags.StringVar(&f.start, "start", "", "first rate to try, such as 5000/s (default: the scenario's rate)")
	flags.StringVar(&f.highest, "max", "1000000/s", "highest rate to try")
	flags.StringVar(&f.precision, "precision", "5%", "how much of the rate trials may leave open to either side")
	flags.DurationVar(&f.budget, "budget", 5*time.Minute, "time for everything, a limit that is kept")
	flags.DurationVar(&f.trial, "trial", 5*time.Second, "measured part of a trial; the confirming one is twice as long")
	flags.DurationVar(&f.warmup, "warmup", -1, "load at the first rate before anything counts (default 90s on brokers that kbench starts, whose code is compiled meanwhile; else 5s)")
	flags.Lookup("warmup").DefValue = "0s" // so that the help does not print what stands for "not given"
	flags.BoolVar(&f.keepTrials, "keep-trials", false, "keep the history of every trial, however large (otherwise as many of the last as fit in 1 GiB)")
	return c
}

// hunt is one search on its way.
type hunt struct {
	job
	base     scenarios.Scenario
	opts     capacityFlags
	doc      reports.Capacity
	search   *capacity.Search
	began    time.Time
	deadline time.Time // of trials
	foreign  []float64 // of each trial: the share of the machine's processors that others took
	advice   []string  // of each that missed: why larger batches would carry more, "" where nothing says so
	robbed   int       // trials of the latest that do not count for what the machine's host took, one after the other
	stolen   []float64 // of each that does not count for it: the share of the processors that the machine's host took in its worst second
	worst    []int     // exit codes of trials that decide whatever the search finds
}

func (a *app) capacity(ctx context.Context, f capacityFlags, args []string) error {
	h := &hunt{job: job{app: a, flags: f.runFlags, progress: newProgress(a.err, f.quiet), noLooks: true}, opts: f, began: time.Now()}
	h.brief = !h.progress.terminal
	if err := h.plan(ctx, args); err != nil {
		return err
	}
	h.deadline = h.began.Add(f.budget - min(closing, f.budget/5))
	limited, cancel := context.WithDeadlineCause(ctx, h.deadline, errBudget)
	defer cancel()
	err := h.run(limited)
	if closed := h.fleet.close(); closed != nil {
		err = errors.Join(err, closed)
	}
	return h.conclude(ctx, err)
}

var errBudget = errors.New("the time budget is over")

// plan reads and checks everything before anything starts.
func (h *hunt) plan(ctx context.Context, args []string) error {
	if len(args) == 0 {
		args = []string{"capacity"}
	}
	first, problems := h.understand(args[0])
	options, err := h.options(first)
	if err := errors.Join(append(problems, err)...); err != nil {
		return usage(err)
	}
	h.flags.set = append(slices.Clone(h.flags.set), "faults=[]", "repeat=1", "load.rate="+perSecond(options.Start),
		"load.duration="+h.opts.trial.String(), "load.warmup="+unsteady.String(), "thresholds="+yamlList(h.doc.Objectives))
	if h.flags.out == "" {
		name := "capacity-" + strings.TrimPrefix(first.Name, "capacity-")
		if first.Name == "capacity" {
			name = first.Name
		}
		h.flags.out = filepath.Join("kbench-runs", name+"-"+h.began.Format("20060102-150405"))
	}
	if _, err := os.Lstat(filepath.Join(h.flags.out, capacityFile)); !errors.Is(err, fs.ErrNotExist) {
		return usage(errors.Join(fmt.Errorf("%s holds a search already: give another folder with --out", h.flags.out), err))
	}
	if err := h.prepare(ctx, args); err != nil {
		return err
	}
	if h.flags.keep && h.fleet.ownBrokers() {
		return usage(errors.New("--keep: a search leaves no cluster up: 'kbench cluster up --for capacity --steady' starts one that stays, and --bootstrap-server takes it"))
	}
	h.fleet.steady = true
	if h.base = h.job.plan[0].Scenario; h.fleet.ownBrokers() {
		// The data of a trial is gone before it fills the disk.
		h.base, err = h.base.With(scenarios.Change{Path: "cluster.config.log.segment.delete.delay.ms", Value: "1s", From: "--set"})
		if err != nil {
			return err
		}
	}
	options.WarmUp = h.warmUp()
	h.search = capacity.New(options)
	h.describe(options)
	return nil
}

// warmUp is how long the cluster is loaded before anything counts. The code of brokers that have just started is slow until
// it is compiled.
func (h *hunt) warmUp() time.Duration {
	switch {
	case h.opts.warmup >= 0:
	case h.fleet.ownBrokers():
		h.opts.warmup = min(90*time.Second, h.opts.budget*3/10)
	default:
		h.opts.warmup = 5 * time.Second
	}
	if h.opts.warmup == 0 {
		return 0
	}
	return h.opts.warmup + unsteady
}

// understand reads the scenario as it is, settles the objective, and says what a search cannot make sense of.
func (h *hunt) understand(arg string) (scenarios.Scenario, []error) {
	_, properties, err := clientProperties(h.flags)
	if err != nil {
		return scenarios.Scenario{}, []error{err}
	}
	changes, err := h.changes(properties)
	if err != nil {
		return scenarios.Scenario{}, []error{err}
	}
	s, err := scenarios.Open(arg, changes...)
	if err != nil {
		return s, []error{err}
	}
	var problems []error
	refuse := func(is bool, format string, args ...any) {
		if is {
			problems = append(problems, fmt.Errorf(arg+": "+format, args...))
		}
	}
	refuse(len(s.Steps) > 0, "a strict sequence of steps has no rate to search for: capacity takes a scenario with a load")
	refuse(len(s.Matrix) > 0, "a search is of one cell: choose one, such as --set matrix={} --set %s=…", firstAxis(s))
	refuse(s.Expect.Violated, "it is expected to violate its guarantee: capacity takes a scenario that should hold")
	refuse(s.Load.Records > 0, "load.records ends a trial before its time: leave it out")
	refuse(s.Repeat > 1, "a search repeats its trials by itself: leave repeat out")
	problems = append(problems, h.objectives(s)...)
	if n := len(s.Faults); n > 0 {
		h.doc.LeftOut = append(h.doc.LeftOut, plural(n, "fault"))
	}
	if s.Load.Shape.Kind != "" {
		h.doc.LeftOut = append(h.doc.LeftOut, "the shape of the load")
	}
	return s, problems
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func firstAxis(s scenarios.Scenario) string {
	if len(s.Matrix) == 0 {
		return ""
	}
	return s.Matrix[0].Path
}

// objectives are those of the command line, else the scenario's, else the default.
func (h *hunt) objectives(s scenarios.Scenario) []error {
	var problems []error
	switch {
	case len(h.opts.slo) > 0:
		h.doc.ObjectiveFrom, h.doc.Objectives = "slo", h.opts.slo
		if n := len(s.Thresholds); n > 0 {
			h.doc.LeftOut = append(h.doc.LeftOut, plural(n, "threshold"))
		}
	case len(s.Thresholds) > 0:
		h.doc.ObjectiveFrom = "scenario"
		for _, t := range s.Thresholds {
			h.doc.Objectives = append(h.doc.Objectives, t.Text)
		}
	default:
		h.doc.ObjectiveFrom, h.doc.Objectives = "default", []string{defaultObjective}
	}
	for i, text := range h.doc.Objectives {
		t, err := scenarios.ParseThreshold(text)
		if err != nil {
			problems = append(problems, fmt.Errorf("--slo: %w", err))
			continue
		}
		if strings.HasPrefix(t.Metric, "e2e.") && len(s.Consumers) == 0 && s.Processor == nil {
			problems = append(problems, fmt.Errorf("%s: nobody reads in scenario %s: give it a consumer", text, s.Name))
		}
		if t.Metric == "unavailable" || t.Metric == "recovered" {
			problems = append(problems, fmt.Errorf("%s: it is about faults, and a search has none", text))
		}
		h.doc.Objectives[i] = strings.TrimSpace(text)
	}
	return problems
}

// options of the search: where it begins and ends.
func (h *hunt) options(s scenarios.Scenario) (capacity.Options, error) {
	o := capacity.Options{Trial: h.opts.trial + unsteady, Confirm: 2*h.opts.trial + unsteady}
	var problems []error
	parse := func(flag, text string, to *float64) {
		rate, err := scenarios.ParseRate(text)
		if err != nil {
			problems = append(problems, fmt.Errorf("--%s: %w", flag, err))
		}
		*to = rate
	}
	o.Start = s.Load.Rate
	if o.Start == 0 {
		o.Start = h.fewest()
	}
	if h.opts.start != "" {
		parse("start", h.opts.start, &o.Start)
	}
	parse("max", h.opts.highest, &o.Highest)
	if o.Highest < o.Start && h.opts.start == "" {
		o.Start = o.Highest
	}
	o.Lowest = min(h.fewest(), o.Start)
	percent, isPercent := strings.CutSuffix(h.opts.precision, "%")
	precision, err := strconv.ParseFloat(percent, 64)
	if precision /= 100; !isPercent || err != nil || precision < 0.04 || precision > 0.5 {
		problems = append(problems, fmt.Errorf("--precision: expected a share from 4%% to 50%%, found %q", h.opts.precision))
	}
	o.Precision = precision
	switch {
	case o.Highest < o.Start:
		problems = append(problems, fmt.Errorf("--max %s is below --start %s", h.opts.highest, h.opts.start))
	case h.opts.trial < 2*time.Second:
		problems = append(problems, fmt.Errorf("--trial: a trial of less than 2s tells nothing of a trend, found %v", h.opts.trial))
	case h.opts.budget < 4*(h.opts.trial+unsteady):
		problems = append(problems, fmt.Errorf("--budget %v is too little for trials of %v: give at least %v", h.opts.budget, h.opts.trial, 4*(h.opts.trial+unsteady)))
	}
	return o, errors.Join(problems...)
}

// fewest is the lowest rate worth a trial: below it fewer than ten records lie beyond the rarest quantile of the objective,
// which then says nothing.
func (h *hunt) fewest() float64 {
	beyond := 0.01
	for _, text := range h.doc.Objectives {
		for _, q := range []struct {
			suffix string
			beyond float64
		}{{".p999", 0.001}, {".p9999", 0.0001}} {
			if t, err := scenarios.ParseThreshold(text); err == nil && strings.HasSuffix(t.Metric, q.suffix) {
				beyond = min(beyond, q.beyond)
			}
		}
	}
	return 10 / beyond / h.opts.trial.Seconds()
}

func yamlList(texts []string) string {
	quoted := make([]string, len(texts))
	for i, text := range texts {
		quoted[i] = "'" + strings.ReplaceAll(text, "'", "''") + "'"
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

func perSecond(rate float64) string { return fmt.Sprintf("%.10g/s", rate) }

// describe fills in what is known of the document before the first trial.
func (h *hunt) describe(o capacity.Options) {
	h.doc.Version, h.doc.Scenario, h.doc.Seed = 1, h.base.Name, h.job.plan[0].Seed
	h.doc.BudgetS, h.doc.TrialS, h.doc.ConfirmS = h.opts.budget.Seconds(), h.opts.trial.Seconds(), 2*h.opts.trial.Seconds()
	h.doc.Precision, h.doc.RecordBytes, h.doc.Dir = o.Precision, h.base.Load.Record.Size, h.out
	h.doc.Cluster = reports.Cluster{Kind: string(h.fleet.kind), Simulated: h.fleet.kind == cluster.Embedded, Effective: map[string]string{}}
	h.doc.Client = reports.Client{Driver: h.flags.driver, Asked: map[string]string{}, Effective: map[string]string{}}
	h.doc.Trials, h.doc.Warnings = []reports.CapacityTrial{}, []string{}
	h.progress.note("%s: highest rate that holds %s, from %s on", h.base.Name, strings.Join(h.doc.Objectives, " and "), perSecond(o.Start))
	if h.doc.ObjectiveFrom == "default" {
		h.progress.note("  no objective was given: '%s' is taken; --slo says another", defaultObjective)
	}
	if len(h.doc.LeftOut) > 0 {
		h.progress.note("  left out of the scenario: %s", strings.Join(h.doc.LeftOut, ", "))
	}
}

// run makes trials until the search is over. What it returns ended it before its time.
func (h *hunt) run(ctx context.Context) error {
	for {
		next, more := h.search.Next(time.Until(h.deadline))
		if !more {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		began := time.Now()
		t, err := h.try(ctx, next)
		if t.Verdict == reports.Violated {
			return errors.Join(fmt.Errorf("trial %d broke the guarantee: 'kbench report %s' shows how", t.Number, filepath.Join(h.out, t.Dir)), err)
		}
		if err != nil {
			return err
		}
		h.settle(ctx, t)
		if t.Counts || next.Phase == capacity.WarmUp {
			h.search.Add(capacity.Result{Trial: next, Passed: t.Held, Took: time.Since(began)})
		}
		h.show(t)
	}
}

// settle lets the cluster come to rest before the next trial.
func (h *hunt) settle(ctx context.Context, t reports.CapacityTrial) {
	rest := 500 * time.Millisecond
	switch {
	case disturbed(t):
		rest = 10 * time.Second // for the host to lend again what it took
	case !t.Held:
		rest = 2 * time.Second
	}
	select {
	case <-ctx.Done():
	case <-time.After(rest):
	}
}

// show tells how a trial went, and what is known by now.
func (h *hunt) show(t reports.CapacityTrial) {
	h.progress.note("  %s", reports.TrialLine(t, style(h.app.err)))
	if o := h.search.Outcome(); o.Rate > 0 {
		h.progress.note("     %s", reports.Bracket(o.Passed, o.Failed, o.Low, o.Rate, o.High))
	}
}

// conclude makes the document of what the search came to, leaves it in the directory, and prints it.
func (h *hunt) conclude(ctx context.Context, ended error) error {
	if _, err := os.Stat(h.out); err != nil && ended != nil { // nothing was begun
		return ended
	}
	h.sum(ctx, ended)
	h.app.exit = h.doc.ExitCode
	file, err := os.Create(filepath.Join(h.out, capacityFile))
	if err != nil {
		return &exitError{reports.ExitBroken, fmt.Errorf("result document: %w", err)}
	}
	defer file.Close()
	if err := reports.WriteJSON(file, h.doc); err != nil {
		return &exitError{reports.ExitBroken, err}
	}
	if h.flags.json {
		return reports.WriteJSON(h.app.out, h.doc)
	}
	return reports.CapacityText(h.app.out, h.doc, style(h.app.out))
}

// sum settles what the search came to.
func (h *hunt) sum(ctx context.Context, ended error) {
	o, d := h.search.Outcome(), &h.doc
	d.TookS = time.Since(h.began).Seconds()
	d.HeldPerS, d.MissedPerS = positive(o.Passed), positive(o.Failed)
	if o.Rate > 0 {
		mib := func(rate float64) float64 { return rate * float64(d.RecordBytes) / (1 << 20) }
		d.RatePerS, d.MiBPerS = positive(o.Rate), positive(mib(o.Rate))
		d.Interval = &reports.CapacityInterval{LowPerS: o.Low, HighPerS: o.High, LowMiBPerS: mib(o.Low), HighMiBPerS: mib(o.High), Confidence: capacity.Confidence}
		if o.Confirmed > 0 {
			d.Confirmed = &reports.CapacityConfirmed{RatePerS: o.Confirmed, MiBPerS: mib(o.Confirmed), Trial: len(d.Trials)}
		}
	}
	h.limits(o)
	h.doc.Verdict = verdictOf(h.doc.Trials)
	d.Status, d.ExitCode = h.status(ctx, o, ended)
	h.warn(o, ended)
}

func (h *hunt) status(ctx context.Context, o capacity.Outcome, ended error) (string, int) {
	switch {
	case ctx.Err() != nil:
		return reports.CapacityInterrupted, reports.CombinedExit(append(h.worst, reports.ExitInterrupted))
	case slices.Contains(h.worst, reports.ExitViolated):
		return reports.CapacityViolated, reports.ExitViolated
	case ended != nil && !errors.Is(ended, errBudget):
		return reports.CapacityFailed, reports.ExitBroken
	case o.Status == capacity.Found:
		return reports.CapacityFound, reports.ExitAsExpected
	case o.Status == capacity.AtLeast:
		return reports.CapacityAtLeast, reports.ExitAsExpected
	case o.Status == capacity.NotMet:
		return reports.CapacityNotMet, reports.ExitThreshold
	}
	return reports.CapacityInconclusive, reports.ExitInconclusive
}

func positive(f float64) *float64 {
	if f <= 0 {
		return nil
	}
	return &f
}

// verdictOf a search is the worst of its trials. That one could not be judged whose load was too much for the system says
// nothing of the promise; of one that would have held otherwise it does.
func verdictOf(trials []reports.CapacityTrial) string {
	worst := reports.Inconclusive
	for _, verdict := range []string{reports.Holds, reports.Unjudged, reports.Inconclusive, reports.Violated} {
		for _, t := range trials {
			tooMuch := t.EndedEarly || slices.ContainsFunc(t.Why, overloaded)
			if t.Verdict == verdict && !(verdict == reports.Inconclusive && tooMuch) {
				worst = verdict
			}
		}
	}
	return worst
}

// limits tells what the trials ran into that were made near the edge or above, the most frequent first.
func (h *hunt) limits(o capacity.Outcome) {
	if o.Status == capacity.AtLeast {
		h.doc.LimitedBy = new("max")
		return
	}
	seen := map[string]int{}
	how := map[string]string{}
	for _, t := range h.doc.Trials {
		if !t.Counts || t.Held || t.RatePerS < o.Low*0.9 || len(t.Why) == 0 {
			continue
		}
		seen[t.Why[0].Limit]++
		how[t.Why[0].Limit] = t.Why[0].Detail
	}
	var order []string
	for limit := range seen {
		order = append(order, limit)
	}
	slices.SortFunc(order, func(a, b string) int {
		if seen[a] != seen[b] {
			return seen[b] - seen[a]
		}
		return strings.Compare(a, b)
	})
	h.doc.LimitedHow = []string{}
	for i, limit := range order {
		if i == 0 {
			h.doc.LimitedBy = &order[0]
		}
		h.doc.LimitedHow = append(h.doc.LimitedHow, fmt.Sprintf("%s in %s, such as: %s", limit, plural(seen[limit], "trial"), how[limit]))
	}
}

// inMost is the latest of the sentences, where more than half of all say one.
func inMost(sentences []string) string {
	said := slices.DeleteFunc(slices.Clone(sentences), func(s string) bool { return s == "" })
	if 2*len(said) <= len(sentences) {
		return ""
	}
	return said[len(said)-1]
}

// warn says what a reader of the figure should know.
func (h *hunt) warn(o capacity.Outcome, ended error) {
	say := func(format string, args ...any) {
		h.doc.Warnings = append(h.doc.Warnings, fmt.Sprintf(format, args...))
	}
	if ended != nil {
		say("%v", ended)
	}
	if o.Rate > 0 && !o.Precise {
		say("trials leave more open than the ±%.0f%% that were asked for: the time was over. --budget gives more, --precision asks for less", h.doc.Precision*100)
	}
	if o.Drifted {
		say("the system changed while it was searched: later trials contradict earlier ones, and the interval does not contain that")
	}
	if o.Dip > 0 {
		say("%s, the first rate, missed though higher ones held: by accident, or since clients send smaller batches at less load, of which each costs as much (a larger client.linger.ms evens that out); 'kbench run' shows that rate by itself",
			perSecond(o.Dip))
	}
	if by := h.doc.LimitedBy; by != nil && *by == "client" {
		say("the machine that makes the load is the limit, not the cluster: use a larger one, or more producers")
	}
	if advice := inMost(h.advice); advice != "" {
		say("in most trials that missed %s", advice)
	}
	if h.fleet.ownBrokers() {
		say("brokers and load share this machine: compare the rate with others of this machine, and quote it for no other")
	}
	if n := len(h.foreign); n > 0 {
		slices.Sort(h.foreign)
		if half := h.foreign[n/2]; half >= muchForeign {
			say("other processes took %.0f%% of this machine's processors or more in half of the trials: the rate is what they left", half*100)
		}
	}
	if n := len(h.stolen); n > 0 {
		say("the machine's host took up to %.0f%% of its processors away in %s that missed (steal), as hosts do that lend processors or memory for a while: such a miss does not count, and a load that lasts longer than a trial may find less",
			slices.Max(h.stolen)*100, plural(n, "trial"))
	}
	dropped := 0
	for _, t := range h.doc.Trials {
		if !t.History {
			dropped++
		}
	}
	if dropped > 0 {
		say("the histories of %s were removed after they were judged, since together they were larger than %d MiB; --keep-trials keeps them", plural(dropped, "trial"), trialsSpace>>20)
	}
}

// trialDir of the n-th trial, within the search's directory.
func trialDir(n int, rate float64) string {
	return filepath.Join("trials", fmt.Sprintf("%02d-%.0f", n, rate))
}

// spare removes the histories of earlier trials where all together take too much room. What was judged of them stays.
func (h *hunt) spare() error {
	if h.opts.keepTrials {
		return nil
	}
	total := int64(0)
	for i := len(h.doc.Trials) - 1; i >= 0; i-- {
		t := &h.doc.Trials[i]
		if !t.History {
			continue
		}
		dir := rundir.History(filepath.Join(h.out, t.Dir))
		total += sizeOf(dir)
		if total > trialsSpace && i < len(h.doc.Trials)-1 {
			if err := os.RemoveAll(dir); err != nil {
				return fmt.Errorf("remove the history of trial %d: %w", t.Number, err)
			}
			t.History = false
		}
	}
	return nil
}

func sizeOf(dir string) int64 {
	var sum int64
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			if info, err := e.Info(); err == nil {
				sum += info.Size()
			}
		}
		return nil
	})
	return sum
}
