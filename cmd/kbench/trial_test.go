package main

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/kbench/kbench/internal/capacity"
	"github.com/kbench/kbench/internal/rundir"
	"github.com/kbench/kbench/internal/stats"
	"github.com/kbench/kbench/reports"
)

// heldTrial is a trial of 1,000/s that held, and what it was taken from.
func heldTrial() (reports.CapacityTrial, reports.Summary) {
	p99, count, sent, level := int64(4000), uint64(5000), 999.0, 0.001
	s := reports.Summary{Meta: rundir.Meta{Stage: rundir.Complete, Counters: map[string]uint64{}}}
	s.Meta.Judged.Group = "readers"
	s.Document.Latency.Ack.Response = reports.Quantiles{P99: &p99, Count: count}
	s.Document.Latency.EndToEnd.Response = reports.Quantiles{P99: &p99, Count: count}
	s.Document.Thresholds = []reports.Threshold{{Expr: "ack.p99 < 20ms", Value: new(4.0), OK: true}}
	s.Figures = stats.Figures{Growth: stats.Growth{Unacked: &level, Unread: &level}}
	return reports.CapacityTrial{RatePerS: 1000, SentPerS: &sent, Verdict: reports.Holds}, s
}

func TestATrialHoldsOnlyWhereNothingIsMissedOrUnknown(t *testing.T) {
	much := 0.05
	for name, c := range map[string]struct {
		change func(*reports.CapacityTrial, *reports.Summary)
		limits []string
	}{
		"it held":          {func(*reports.CapacityTrial, *reports.Summary) {}, nil},
		"nobody judges it": {func(t *reports.CapacityTrial, _ *reports.Summary) { t.Verdict = reports.Unjudged }, nil},
		"nobody reads": {func(_ *reports.CapacityTrial, s *reports.Summary) {
			s.Meta.Judged.Group, s.Figures.Growth.Unread = "", nil
		}, nil},
		"too little was sent":        {func(t *reports.CapacityTrial, _ *reports.Summary) { t.SentPerS = new(980.0) }, []string{"client"}},
		"nobody knows what was sent": {func(t *reports.CapacityTrial, _ *reports.Summary) { t.SentPerS = nil }, []string{"client"}},
		"the sender was held up": {func(t *reports.CapacityTrial, s *reports.Summary) {
			t.SentPerS = new(980.0)
			s.Meta.Counters["client.buffer_waits"] = 3
		}, []string{"acknowledgements"}},
		"acknowledgements fall behind": {func(_ *reports.CapacityTrial, s *reports.Summary) { s.Figures.Growth.Unacked = &much }, []string{"acknowledgements"}},
		"nobody knows whether they do": {func(_ *reports.CapacityTrial, s *reports.Summary) { s.Figures.Growth.Unacked = nil }, []string{"acknowledgements"}},
		"consumers fall behind":        {func(_ *reports.CapacityTrial, s *reports.Summary) { s.Figures.Growth.Unread = &much }, []string{"consumers"}},
		"consumers never polled":       {func(_ *reports.CapacityTrial, s *reports.Summary) { s.Figures.Growth.Unread = nil }, []string{"consumers"}},
		"the objective is missed":      {func(_ *reports.CapacityTrial, s *reports.Summary) { s.Document.Thresholds[0].OK = false }, []string{"latency"}},
		"it is missed by the client": {func(_ *reports.CapacityTrial, s *reports.Summary) {
			s.Document.Thresholds[0].OK = false
			s.Document.Throughput.LimitedBy = new("client")
		}, []string{"client"}},
		"a record failed":             {func(_ *reports.CapacityTrial, s *reports.Summary) { s.Figures.Throughput.Failed = 1 }, []string{"errors"}},
		"a record was never answered": {func(_ *reports.CapacityTrial, s *reports.Summary) { s.Figures.Throughput.Indeterminate = 1 }, []string{"errors"}},
		"the verdict is open":         {func(t *reports.CapacityTrial, _ *reports.Summary) { t.Verdict = reports.Inconclusive }, []string{"verdict"}},
		"it was ended early": {func(t *reports.CapacityTrial, s *reports.Summary) {
			t.EndedEarly, s.Figures.Throughput.Indeterminate = true, 9
		}, []string{"acknowledgements"}},
		"it is no run that has an end": {func(t *reports.CapacityTrial, s *reports.Summary) {
			*t, *s = reports.CapacityTrial{RatePerS: 1000}, reports.Summary{}
		}, []string{"client", "acknowledgements", "objective", "verdict"}},
	} {
		t.Run(name, func(t *testing.T) {
			trial, s := heldTrial()
			c.change(&trial, &s)
			var limits []string
			for _, m := range misses(trial, s, 1) {
				if m.Detail == "" {
					t.Errorf("%s without a word", m.Limit)
				}
				limits = append(limits, m.Limit)
			}
			if !slices.Equal(limits, c.limits) {
				t.Errorf("it ran into %v, want %v", limits, c.limits)
			}
		})
	}
}

// A host that lends processors for a while takes them back in the middle of a trial: what was missed then says nothing of the
// system, what held does, and a machine that is always robbed is measured as it is.
func TestAMissWhileTheHostTookProcessorsDoesNotCount(t *testing.T) {
	behind := 0.05
	for name, c := range map[string]struct {
		steal  float64 // in the worst second, of two processors
		missed bool
		before int
		row    int
		counts bool
	}{
		"missed, robbed":           {0.18, true, 0, 0, false},
		"held, robbed":             {0.18, false, 0, 0, true},
		"missed, hardly robbed":    {0.02, true, 0, 0, true},
		"missed, the last time":    {0.18, true, mostStolen - 1, 0, false},
		"missed, as always robbed": {0.18, true, mostStolen, 0, true},
		"missed, robbed again":     {0.18, true, 1, mostRobbed - 1, false},
		"missed, robbed each time": {0.18, true, 2, mostRobbed, true},
	} {
		t.Run(name, func(t *testing.T) {
			trial, s := heldTrial()
			s.Figures.Throughput.SentPerS = trial.SentPerS
			s.Document.Verdict, s.Document.AsExpected = reports.Holds, true
			s.Figures.Resources = &stats.Resources{Machine: stats.Machine{All: new(2.0), Steal: stats.Level{Peak: &c.steal}}}
			if c.missed {
				s.Figures.Growth.Unacked = &behind
			}
			h := hunt{job: job{fleet: &fleet{}}, opts: capacityFlags{keepTrials: true}, stolen: make([]float64, c.before), robbed: c.row}
			h.doc.Objectives = []string{"ack.p99<20ms"}
			trial.Phase = string(capacity.Bisecting)
			got, err := h.took(t.Context(), trial, s)
			if err != nil || got.Counts != c.counts || disturbed(got) == c.counts || got.Held == c.missed {
				t.Errorf("%+v, %v", got, err)
			}
			if !c.counts && (got.Why[0].Detail != "the machine's host took 9% of its processors away" || len(h.stolen) != c.before+1) {
				t.Errorf("it says %v of %d", got.Why, len(h.stolen))
			}
		})
	}
}

func TestTheVerdictOfASearchIsTheWorstOfWhatItsLoadDidNotPrevent(t *testing.T) {
	held := reports.CapacityTrial{Verdict: reports.Holds}
	open := reports.CapacityTrial{Verdict: reports.Inconclusive, Why: []reports.Miss{{Limit: "verdict"}}}
	tooMuch := reports.CapacityTrial{Verdict: reports.Inconclusive, Why: []reports.Miss{{Limit: "acknowledgements"}, {Limit: "verdict"}}}
	robbed := reports.CapacityTrial{Verdict: reports.Inconclusive, Why: []reports.Miss{{Limit: byHost}, {Limit: "verdict"}}}
	early := reports.CapacityTrial{Verdict: reports.Inconclusive, EndedEarly: true}
	broken := reports.CapacityTrial{Verdict: reports.Violated, Why: []reports.Miss{{Limit: "acknowledgements"}, {Limit: "verdict"}}}
	unjudged := reports.CapacityTrial{Verdict: reports.Unjudged}
	for name, c := range map[string]struct {
		trials []reports.CapacityTrial
		want   string
	}{
		"none":                    {nil, reports.Inconclusive},
		"all held":                {[]reports.CapacityTrial{held, held}, reports.Holds},
		"one could not be judged": {[]reports.CapacityTrial{held, open, held}, reports.Inconclusive},
		"one was robbed, and could not be judged": {[]reports.CapacityTrial{held, robbed}, reports.Inconclusive},
		"one had too much":                        {[]reports.CapacityTrial{held, tooMuch, early}, reports.Holds},
		"all had too much":                        {[]reports.CapacityTrial{tooMuch, early}, reports.Inconclusive},
		"nobody judges":                           {[]reports.CapacityTrial{unjudged, tooMuch}, reports.Unjudged},
		"one was violated, by too much too":       {[]reports.CapacityTrial{held, open, broken, held}, reports.Violated},
	} {
		if got := verdictOf(c.trials); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestAdviceIsWhatMostTrialsSay(t *testing.T) {
	for name, c := range map[string]struct {
		said []string
		want string
	}{
		"no trial missed": {nil, ""},
		"half of them":    {[]string{"", "a"}, ""},
		"most of them":    {[]string{"a", "", "b"}, "b"},
	} {
		if got := inMost(c.said); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestASearchEndsInOneStatusAndExitCode(t *testing.T) {
	stopped, stop := context.WithCancel(context.Background())
	stop()
	broken := errors.New("the cluster is gone")
	for name, c := range map[string]struct {
		ctx    context.Context
		worst  []int
		found  capacity.Status
		ended  error
		status string
		exit   int
	}{
		"found":                           {found: capacity.Found, status: reports.CapacityFound, exit: 0},
		"found, then the budget was over": {found: capacity.Found, ended: errBudget, status: reports.CapacityFound, exit: 0},
		"the highest rate holds":          {found: capacity.AtLeast, status: reports.CapacityAtLeast, exit: 0},
		"not even the lowest":             {found: capacity.NotMet, status: reports.CapacityNotMet, exit: reports.ExitThreshold},
		"not confirmed":                   {found: capacity.Loose, status: reports.CapacityInconclusive, exit: reports.ExitInconclusive},
		"the zero value":                  {status: reports.CapacityInconclusive, exit: reports.ExitInconclusive},
		"no bracket when it was over":     {found: capacity.Unknown, ended: errBudget, status: reports.CapacityInconclusive, exit: reports.ExitInconclusive},
		"the cluster failed":              {found: capacity.Found, ended: broken, status: reports.CapacityFailed, exit: reports.ExitBroken},
		"a guarantee was violated":        {worst: []int{reports.ExitViolated}, found: capacity.Loose, ended: broken, status: reports.CapacityViolated, exit: reports.ExitViolated},
		"Ctrl-C":                          {ctx: stopped, found: capacity.Found, ended: context.Canceled, status: reports.CapacityInterrupted, exit: reports.ExitInterrupted},
	} {
		t.Run(name, func(t *testing.T) {
			if c.ctx == nil {
				c.ctx = context.Background()
			}
			h := hunt{worst: c.worst}
			status, exit := h.status(c.ctx, capacity.Outcome{Status: c.found}, c.ended)
			if status != c.status || exit != c.exit {
				t.Errorf("%s, exit %d, want %s, %d", status, exit, c.status, c.exit)
			}
		})
	}
}
