package reports

import (
	"slices"
	"time"

	"github.com/kbench/kbench/internal/check"
	"github.com/kbench/kbench/internal/rundir"
	"github.com/kbench/kbench/internal/stats"
)

// Build makes the result document of one run out of what is known of it, what was judged, and its figures.
func Build(m rundir.Meta, j check.Judgement, f stats.Figures) Document {
	judged := Judge(j, m.Clock.MeasureStart)
	d := Document{
		Version: 1, Scenario: m.Scenario, Cell: orEmptyMap(m.Cell), Repeat: m.Repeat, Seed: m.Seed,
		AsExpected: j.AsExpected, Verdict: judged.Verdict, Guarantee: judged.Guarantee,
		Cluster: cluster(m.Cluster), Client: libraries(m.Client), Machine: machine(m.Machine),
		Counts: judged.Counts, Findings: judged.Findings, Faults: faults(m, j, f), Sensitivity: judged.Sensitivity,
		Latency: latencies(f), Lag: lag(&f.Lag, m.Load.RatePerS != nil), Groups: groupsOf(f, m.Load), Topics: topicsOf(f), Backlog: backlogOf(f, m.Load),
		Throughput: throughput(f.Throughput), Stages: stages(f.Stages), Resources: resources(f.Resources),
		Warnings: union(union(m.Warnings, judged.Warnings), f.Warnings),
	}
	var notKnown []string
	d.Thresholds, notKnown = evaluate(m.Thresholds, d)
	d.Warnings = orEmpty(append(d.Warnings, notKnown...))
	d.ExitCode = ExitCode(m.Stage, d.Verdict, d.AsExpected, missed(d.Thresholds) == 0)
	return d
}

// Judge makes the document of a judgement alone. start is where its times count from, ns on the history's clock.
func Judge(j check.Judgement, start int64) Judged {
	judged := Judged{
		Verdict: j.Verdict.String(),
		Guarantee: Guarantee{
			Name: known(j.Guarantee), Expected: known(j.Expected), Verdict: j.Verdict.String(), Scope: j.Scope, Reasons: orEmpty(j.Reasons),
		},
		Counts:   counts(j),
		Findings: []Finding{}, Faults: []JudgedFault{}, Sensitivity: sensitivity(j.AtRisk),
		Warnings: orEmpty(j.Warnings),
	}
	for _, f := range j.Faults {
		judged.Faults = append(judged.Faults, judgedFault(f, start))
	}
	for _, f := range j.Findings {
		judged.Findings = append(judged.Findings, finding(f, start))
	}
	return judged
}

// counts are not known where the judge saw nothing: a history that cannot be read says nothing of what was lost.
func counts(j check.Judgement) Counts {
	c := j.Counts
	if j.Verdict == check.Inconclusive && c.Sent == 0 && c.Read == 0 {
		return Counts{}
	}
	return Counts{
		Sent: &c.Sent, Acked: &c.Acked, Indeterminate: &c.Indeterminate, Failed: &c.Failed, Read: &c.Read, Lost: &c.Lost, Duplicated: &c.Duplicated,
	}
}

func finding(f check.Finding, start int64) Finding {
	out := Finding{Anomaly: f.Anomaly, Decides: f.Decides, Count: f.Count, Checked: f.Checked, Witnesses: []Witness{}, Brokers: orEmpty(f.Brokers)}
	for _, w := range f.Witnesses {
		witness := Witness{Partition: w.Partition, Offset: w.Offset, Value: w.Value, During: w.During, Detail: w.Detail, Operations: []Operation{}, Brokers: orEmpty(w.Brokers)}
		if w.At != nil {
			witness.AtMs = ptrTo(toMs(*w.At - start))
		}
		for _, o := range w.Operations {
			witness.Operations = append(witness.Operations, operation(o, start))
		}
		out.Witnesses = append(out.Witnesses, witness)
	}
	return out
}

func operation(o check.Operation, start int64) Operation {
	ms := func(ns *int64) *float64 {
		if ns == nil {
			return nil
		}
		return ptrTo(float64(*ns-start) / float64(time.Millisecond))
	}
	return Operation{AtMs: ms(o.At), CallMs: ms(o.Call), Client: o.Client, Op: o.Op, Fault: o.Fault, Text: o.Text, Result: o.Result}
}

func judgedFault(f check.FaultJudgement, start int64) JudgedFault {
	out := JudgedFault{
		Name: f.Name, Target: f.Target, AtMs: toMs(f.From - start), Bit: f.Bit, Evidence: orEmpty(f.Evidence), Protection: orEmpty(f.Protection),
		AtRisk: f.AtRisk, LossRateSeen95: f.LossRate95,
	}
	if f.Healed {
		out.HealedMs = ptrTo(toMs(f.To - start))
	}
	return out
}

func sensitivity(atRisk *uint64) Sensitivity {
	if atRisk == nil {
		return Sensitivity{}
	}
	return Sensitivity{atRisk, check.LossRate95(*atRisk)}
}

func faults(m rundir.Meta, j check.Judgement, f stats.Figures) []Fault {
	out := []Fault{}
	for i, happened := range m.Faults {
		var cost stats.Outage
		if i < len(f.Faults) {
			cost = f.Faults[i].Outage
		}
		one := fault(happened, m.Clock.MeasureStart, cost)
		if i < len(j.Faults) {
			one.AtRisk, one.LossRateSeen95 = j.Faults[i].AtRisk, j.Faults[i].LossRate95
			one.Protection = orEmpty(union(one.Protection, j.Faults[i].Protection))
		}
		out = append(out, one)
	}
	return out
}

// union is a and what b has besides, in order.
func union(a, b []string) []string {
	all := slices.Clone(a)
	for _, text := range b {
		if !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	return all
}
