package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kbench/kbench/bench"
	"github.com/kbench/kbench/internal/capacity"
	"github.com/kbench/kbench/internal/cluster"
	"github.com/kbench/kbench/internal/rundir"
	"github.com/kbench/kbench/internal/stats"
	"github.com/kbench/kbench/reports"
	"github.com/kbench/kbench/scenarios"
)

const (
	keptUp      = 0.99            // share of the offered rate that has to be sent
	grown       = 0.02            // share of the records due by which what waits may grow within a trial
	trialsDrain = 5 * time.Second // for what is open after a trial's load
	hopeless    = 1500 * time.Millisecond

	byHost     = "machine" // limits a trial in which the host took processors away
	muchStolen = 0.03      // share of the processors, in a trial's worst second, with which a miss says nothing of the rate
	mostStolen = 8         // trials of a search that do not count for it, and in a row: a machine that is always robbed is
	mostRobbed = 2         // measured as it is, and what the search has to find out has its time
)

// errHopeless ends a trial that can hold nothing any more.
var errHopeless = errors.New("the trial was ended early: acknowledgements are too far behind the load")

// try makes one trial and tells whether it held. An error ends the search.
func (h *hunt) try(ctx context.Context, next capacity.Trial) (reports.CapacityTrial, error) {
	t := reports.CapacityTrial{Number: len(h.doc.Trials) + 1, Phase: string(next.Phase), RatePerS: next.Rate, Why: []reports.Miss{}, Objectives: []reports.Threshold{}}
	t.Dir = trialDir(t.Number, next.Rate)
	s, err := h.scenario(next)
	if err != nil {
		return t, fmt.Errorf("trial at %s: %w", perSecond(next.Rate), err)
	}
	began := time.Now()
	trying, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if next.Phase != capacity.WarmUp {
		h.watch = h.hurry(next.Rate, stop)
	}
	p := planned{Run: h.job.plan[0].Run, dir: filepath.Join(h.out, t.Dir)}
	p.Scenario, p.Cell, p.Repeat = s, maps.Clone(p.Cell), 1
	err = h.one(trying, p)
	h.watch = nil
	h.discard(h.last.Meta)
	t.TookS = time.Since(began).Seconds()
	if err != nil {
		return t, err
	}
	t.EndedEarly = errors.Is(context.Cause(trying), errHopeless)
	return h.took(ctx, t, h.last)
}

// scenario of a trial: the search's, at its rate.
func (h *hunt) scenario(next capacity.Trial) (scenarios.Scenario, error) {
	duration := h.opts.trial
	switch next.Phase {
	case capacity.WarmUp:
		duration = max(h.opts.warmup, time.Second)
	case capacity.Confirming:
		duration *= 2
	}
	var changes []scenarios.Change
	for _, assignment := range []string{"load.rate=" + perSecond(next.Rate), "load.duration=" + duration.String(),
		"load.drain=" + min(trialsDrain, h.base.Load.Drain).String()} {
		c, err := scenarios.Set(assignment)
		if err != nil {
			return scenarios.Scenario{}, err
		}
		changes = append(changes, c)
	}
	return h.base.With(changes...)
}

// hurry ends a trial once what is due is so far ahead of what is acknowledged that no objective can be held any more. A
// latency that the objective allows is no such sign.
func (h *hunt) hurry(rate float64, stop func(error)) func(bench.Progress) {
	allowed := hopeless
	for _, text := range h.doc.Objectives {
		if o, err := scenarios.ParseThreshold(text); err == nil && (strings.HasPrefix(o.Metric, "ack.") || strings.HasPrefix(o.Metric, "e2e.")) {
			allowed = max(allowed, time.Duration(o.Value)*time.Microsecond+time.Second)
		}
	}
	return func(p bench.Progress) {
		if p.Total <= 0 || p.Stage != rundir.Measuring {
			return
		}
		due := rate * min(p.Elapsed, p.Total).Seconds()
		if behind := due - float64(p.Acked); behind > rate*allowed.Seconds() {
			stop(errHopeless)
		}
	}
}

// took takes a trial's figures into the document and judges it.
func (h *hunt) took(ctx context.Context, t reports.CapacityTrial, s reports.Summary) (reports.CapacityTrial, error) {
	d := s.Document
	t.SentPerS, t.AckedPerS, t.ReadPerS = s.Figures.Throughput.SentPerS, d.Throughput.AckedPerS, d.Throughput.ReadPerS
	t.Objectives, t.Ack, t.EndToEnd, t.Verdict = d.Thresholds, d.Latency.Ack.Response, d.Latency.EndToEnd.Response, d.Verdict
	t.History = true
	if share, known := foreign(s.Figures.Resources); known && h.fleet.kind == cluster.Local {
		h.foreign = append(h.foreign, share)
	}
	h.doc.Cluster, h.doc.Client, h.doc.Machine, h.doc.Guarantee = d.Cluster, d.Client, d.Machine, d.Guarantee.Name
	t.Why = misses(t, s, len(h.doc.Objectives))
	t.Held = len(t.Why) == 0
	cut := s.Meta.Stage != rundir.Complete && !t.EndedEarly
	t.Counts = t.Phase != string(capacity.WarmUp) && !cut
	h.excuse(&t, stolen(s.Figures.Resources))
	if t.Counts && !t.Held {
		h.advice = append(h.advice, s.Figures.Throughput.LargerBatches)
	}
	h.doc.Trials = append(h.doc.Trials, t)
	switch {
	case d.Verdict == reports.Violated && !d.AsExpected, d.Verdict == reports.Unjudged && !d.AsExpected:
		h.worst = append(h.worst, reports.ExitViolated)
		return t, nil
	case s.Meta.Stage == rundir.Broken:
		return t, fmt.Errorf("trial %d: %s", t.Number, s.Meta.Error)
	case cut && ctx.Err() != nil:
		return t, context.Cause(ctx)
	case cut:
		return t, fmt.Errorf("trial %d was cut off: %s", t.Number, s.Meta.Error)
	}
	return t, h.spare()
}

// misses are the reasons why a trial does not hold, the one that limits first. None: it holds. What is not known is a
// reason, too.
func misses(t reports.CapacityTrial, s reports.Summary, objectives int) []reports.Miss {
	why := []reports.Miss{}
	add := func(limit, format string, args ...any) {
		why = append(why, reports.Miss{Limit: limit, Detail: fmt.Sprintf(format, args...)})
	}
	d, f, offered := s.Document, s.Figures, t.RatePerS
	if open := f.Throughput.Failed + f.Throughput.Indeterminate; open > 0 && !t.EndedEarly {
		add("errors", "%d of %d records were not acknowledged", open, f.Throughput.Sent)
	}
	waited := s.Meta.Counters["client.buffer_waits"] > 0
	if sent := t.SentPerS; sent == nil || *sent < keptUp*offered {
		limit := "client"
		if waited { // the sender was held up: its buffer was full of what is not acknowledged
			limit = "acknowledgements"
		}
		add(limit, "%s of %.0f/s were sent", perSecondOf(sent), offered)
	}
	if t.EndedEarly {
		add("acknowledgements", "ended early, too far behind the load")
		return why
	}
	if g := f.Growth.Unacked; g == nil || *g > grown {
		add("acknowledgements", "what waits for acknowledgements %s", grew(g))
	}
	if reads := s.Meta.Judged.Group != "" || s.Meta.Judged.Processors != ""; reads {
		if g := f.Growth.Unread; g == nil || *g > grown {
			add("consumers", "what waits for consumers %s", grew(g))
		}
	}
	if n := len(d.Thresholds); n != objectives {
		add("objective", "%d of %d objectives were measured", n, objectives)
	}
	for _, o := range d.Thresholds {
		if !o.OK {
			add(limitOf(o, d.Throughput.LimitedBy), "%s", reports.Missed(o))
		}
	}
	if t.Verdict != reports.Holds && t.Verdict != reports.Unjudged {
		add("verdict", "%s: %s", t.Verdict, strings.Join(d.Guarantee.Reasons, "; "))
	}
	return why
}

func perSecondOf(rate *float64) string {
	if rate == nil {
		return "an unknown number"
	}
	return fmt.Sprintf("%.0f", *rate)
}

func grew(by *float64) string {
	if by == nil {
		return "is not known"
	}
	return fmt.Sprintf("grew by %.1f%% of the load", *by*100)
}

// limitOf an objective that is missed. Where the evidence of the run says that the client held the load back, that is why.
func limitOf(o reports.Threshold, by *string) string {
	t, err := scenarios.ParseThreshold(o.Expr)
	switch {
	case err != nil:
		return "objective"
	case by != nil && *by == string(stats.ByClient):
		return "client"
	case strings.HasPrefix(t.Metric, "ack.") || strings.HasPrefix(t.Metric, "e2e."):
		return "latency"
	}
	return "objective"
}

// excuse has a trial not count that was too slow while the machine's host took processors away. What broke a promise, or could not
// be judged alone, is no matter of speed.
func (h *hunt) excuse(t *reports.CapacityTrial, share float64) {
	if !t.Counts || t.Verdict == reports.Violated || share <= muchStolen || !slices.ContainsFunc(t.Why, overloaded) ||
		h.robbed >= mostRobbed || len(h.stolen) >= mostStolen {
		h.robbed = 0
		return
	}
	h.robbed++
	h.stolen = append(h.stolen, share)
	t.Counts = false
	t.Why = slices.Insert(t.Why, 0, reports.Miss{Limit: byHost, Detail: fmt.Sprintf("the machine's host took %.0f%% of its processors away", share*100)})
}

// overloaded is a miss that the rate of the trial made, or may have made.
func overloaded(m reports.Miss) bool { return m.Limit != "verdict" && m.Limit != byHost }

// disturbed is a trial that missed while the machine's host took processors away, and does not count for it.
func disturbed(t reports.CapacityTrial) bool {
	return !t.Counts && len(t.Why) > 0 && t.Why[0].Limit == byHost
}

// stolen is the share of the processors that the machine's host took away in the worst second, 0 where that is not known: a
// machine that does not tell of it is measured as it is.
func stolen(r *stats.Resources) float64 {
	if r == nil || r.Machine.Steal.Peak == nil || r.Machine.All == nil || *r.Machine.All <= 0 {
		return 0
	}
	return *r.Machine.Steal.Peak / *r.Machine.All
}

// foreign is the share of the machine's processors that went to what is neither kbench nor its brokers; false where that is
// not known.
func foreign(r *stats.Resources) (share float64, known bool) {
	if r == nil || r.Machine.CPU.Mean == nil || r.Machine.CPUs == nil || *r.Machine.CPUs <= 0 {
		return 0, false
	}
	used := *r.Machine.CPU.Mean
	for _, p := range r.Processes {
		if p.CPU.Mean == nil {
			return 0, false
		}
		used -= *p.CPU.Mean
	}
	return max(0, used) / *r.Machine.CPUs, true
}
