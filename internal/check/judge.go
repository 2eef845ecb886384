package check

import (
	"cmp"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
)

// GCPercent is what a process that judges a long run should give debug.SetGCPercent: the judge's tables grow with the run
// and hold few pointers, so that they are quickly looked through, and Go's 100 would let as much garbage stand beside them.
const GCPercent = 20

// Dir judges a run by its directory. An error means that there is no run to judge; a run that cannot be judged is
// inconclusive, and the reasons say why.
func Dir(dir string) (Judgement, error) {
	meta, err := rundir.Load(dir)
	if err != nil {
		return Judgement{}, err
	}
	h, err := history.Open(rundir.History(dir))
	if err != nil {
		return unreadable(meta, fmt.Sprintf("the history cannot be read: %v", err)), nil
	}
	if why := another(meta, &h.Header); why != "" {
		return unreadable(meta, why), nil
	}
	r := recordedRun(meta, h)
	r.dir = dir
	r.compare(dir, h)
	return judge(h, r), nil
}

// JSONL judges a hand-written or exported history. An error means that it does not keep to the format.
func JSONL(r io.Reader) (Judgement, error) {
	h, err := history.OpenJSONL(r)
	if err != nil {
		return Judgement{}, err
	}
	return judge(h, run{guarantee: h.Header.Guarantee}), nil
}

func unreadable(meta rundir.Meta, why string) Judgement {
	j := Judgement{Guarantee: meta.Guarantee, Expected: expected(meta.Guarantee, meta.Expect.Violated), Warnings: meta.Warnings}
	j.Faults = make([]FaultJudgement, len(meta.Faults))
	j.nameFaults(meta)
	j.Reasons = append(recordReasons(meta), why)
	return j
}

// nameFaults enters what a run's own record says of its faults.
func (j *Judgement) nameFaults(meta rundir.Meta) {
	for i, f := range meta.Faults {
		w := faultWindow(f, meta.Clock)
		of := &j.Faults[i]
		of.Name, of.Target, of.From, of.To = f.Name, f.Target, w.from, w.to
		of.Healed, of.Bit, of.Evidence = f.Healed != nil, &f.Bit, f.Evidence
		of.Protection = distinctOf(slices.Concat(f.Protection, of.Protection))
	}
}

func expected(guarantee string, violated bool) string {
	switch {
	case violated:
		return "violated"
	case guarantee == "":
		return ""
	default:
		return "holds"
	}
}

// trial is one judgement on its way.
type trial struct {
	h       *history.History
	run     run
	ledger  *ledger
	crashes []string
	tallies []tally
	watch   *watch
	agree   *agreement
	census  *census
	outputs *outputs
	effects *effects
	counts  Counts
}

// judge makes two passes over the history: one to learn what was sent, read and committed, one to judge by it.
func judge(h *history.History, r run) Judgement {
	t := &trial{h: h, run: r, ledger: newLedger(h, r)}
	t.guard("the first pass", func() error {
		if err := h.Each(func(op *history.Op) error { t.ledger.learn(op); return nil }); err != nil {
			return err
		}
		t.ledger.settle()
		return nil
	})
	if len(t.crashes) == 0 {
		t.secondPass()
	}
	j := t.sum()
	t.explain(&j)
	t.crossCheck(&j)
	return j
}

// guard runs a part of the judge. One that fails or crashes makes the verdict inconclusive; it takes nothing with it.
func (t *trial) guard(name string, f func() error) {
	defer func() {
		if p := recover(); p != nil {
			t.crashes = append(t.crashes, fmt.Sprintf("%s crashed: %v%s", name, p, where(debug.Stack())))
		}
	}()
	if err := f(); err != nil {
		t.crashes = append(t.crashes, fmt.Sprintf("%s failed: %v", name, err))
	}
}

// where finds the line that panicked in a stack.
func where(stack []byte) string {
	_, below, found := strings.Cut(string(stack), "panic(")
	if !found {
		return ""
	}
	lines := strings.Split(below, "\n")
	if len(lines) < 4 {
		return ""
	}
	place, _, _ := strings.Cut(strings.TrimSpace(lines[3]), " ")
	return " at " + place[strings.LastIndexByte(place, '/')+1:]
}

func (t *trial) secondPass() {
	c := &court{ledger: t.ledger, windows: t.run.windows}
	if !t.run.recorded {
		c.windows = t.ledger.sawFaults
	}
	d := &docket{trial: t}
	t.guard("the second pass", func() error {
		d.open(c)
		return t.h.Each(func(op *history.Op) error { d.hear(c, op); return nil })
	})
	for i, checker := range d.list {
		if !d.out[i] {
			t.guard("the checker "+checker.name, func() error { t.tallies = append(t.tallies, checker.found()...); return nil })
		}
	}
}

// docket gives each operation to the checkers that want its kind.
type docket struct {
	*trial
	list   []namedChecker
	out    []bool // crashed: hears no more
	byKind [history.FinalRead + 1][]int
	view   view
	turn   int // the place in byKind's list of the checker that is hearing
}

func (d *docket) open(c *court) {
	d.list = checkers(c)
	d.watch, d.agree = newWatch(c), &agreement{court: c}
	d.list = append(d.list, namedChecker{"faults", d.watch}, namedChecker{"passes", d.agree})
	if d.run.recorded {
		d.census = newCensus(c)
		d.list = append(d.list, namedChecker{"census", d.census})
	}
	d.out = make([]bool, len(d.list))
	for i, checker := range d.list {
		switch own := checker.checker.(type) {
		case *outputs:
			d.outputs = own
		case *effects:
			d.effects = own
		}
		for _, k := range checker.kinds() {
			d.byKind[k] = append(d.byKind[k], i)
		}
	}
}

func (d *docket) hear(c *court, op *history.Op) {
	v := &d.view
	v.Op, v.values = op, v.values[:0]
	switch op.Kind {
	case history.Send:
		v.value = c.values.index(op.Value)
	case history.Poll, history.FinalRead, history.Process:
		for k := range op.Records {
			v.values = append(v.values, c.values.index(identity(&op.Records[k])))
		}
	}
	for d.turn = 0; d.turn < len(d.byKind[op.Kind]); d.turn++ {
		d.rest(op.Kind)
	}
}

// rest hands the view to the checkers whose turn has not been, until one crashes.
func (d *docket) rest(kind history.Kind) {
	defer func() {
		if p := recover(); p != nil {
			i := d.byKind[kind][d.turn]
			d.out[i] = true
			d.crashes = append(d.crashes, fmt.Sprintf("the checker %s crashed: %v%s", d.list[i].name, p, where(debug.Stack())))
		}
	}()
	for ; d.turn < len(d.byKind[kind]); d.turn++ {
		if i := d.byKind[kind][d.turn]; !d.out[i] {
			d.list[i].add(&d.view)
		}
	}
}

// sum puts the judgement together.
func (t *trial) sum() Judgement {
	r := t.run
	t.counts = t.count()
	j := Judgement{Guarantee: r.guarantee, Expected: expected(r.guarantee, r.meta.Expect.Violated), Scope: t.scope(), Counts: t.counts}
	j.Findings, j.Reasons = t.findings()
	if t.watch != nil {
		j.Faults, j.AtRisk = t.watch.judgements(), t.watch.exposed()
	} else {
		j.Faults = make([]FaultJudgement, len(r.meta.Faults))
	}
	j.nameFaults(r.meta)
	missing := t.missing()
	j.Verdict = t.verdict(j.Findings, missing)
	if j.Verdict == Violated {
		for i := range missing {
			missing[i] = "besides: " + missing[i]
		}
	}
	j.Reasons = append(j.Reasons, missing...)
	j.Warnings = t.warnings()
	j.AsExpected = t.asExpected(&j)
	return j
}

// verdict by the decision table. missing is what stands against 'holds'.
func (t *trial) verdict(findings []Finding, missing []string) Verdict {
	broken := slices.ContainsFunc(findings, func(f Finding) bool { return f.Decides })
	switch {
	case t.nothing() != "":
		return Inconclusive // what was not exercised cannot be broken either
	case t.run.guarantee == "" && t.run.recorded:
		if len(missing) > 0 {
			return Inconclusive
		}
		return Unjudged
	case t.run.guarantee == "" && !broken && len(missing) == 0:
		return Unjudged
	}
	anomalies, evidence := Holds, Holds
	if broken {
		anomalies = Violated
	}
	if len(missing) > 0 {
		evidence = Inconclusive
	}
	return combine(anomalies, evidence)
}

func (t *trial) asExpected(j *Judgement) bool {
	if j.Verdict == Inconclusive {
		return false
	}
	e := t.run.meta.Expect
	if !e.Violated {
		return j.Verdict == Holds || j.Guarantee == "" && j.Verdict == Unjudged
	}
	seen := j.Verdict == Violated || j.Verdict == Unjudged && len(e.Anomalies) > 0
	doubts := t.doubts() // what only seems so for want of evidence was not seen
	for _, name := range e.Anomalies {
		if doubts[name] != "" || !slices.ContainsFunc(j.Findings, func(f Finding) bool { return f.Anomaly == name }) {
			j.Reasons = append(j.Reasons, "expected and not seen: "+name)
			seen = false
		}
	}
	if j.Verdict == Holds {
		j.Reasons = append(j.Reasons, "it was expected to be violated")
	}
	return seen
}

// findings joins what the checkers found, those that decide first. The reasons name what decides, and what would if the
// evidence for it were whole.
func (t *trial) findings() ([]Finding, []string) {
	var list []Finding
	var reasons []string
	doubts := t.doubts()
	for _, found := range t.tallies {
		if found.count == 0 {
			continue
		}
		against := decides(found.anomaly, found.variant, t.run.guarantee)
		if doubt := doubts[found.anomaly]; against && doubt != "" {
			against = false
			reasons = append(reasons, fmt.Sprintf("%s (%d) does not count: %s", found.anomaly, found.count, doubt))
		}
		list = merge(list, found, against)
	}
	slices.SortStableFunc(list, func(a, b Finding) int {
		if a.Decides != b.Decides {
			return map[bool]int{true: -1, false: 1}[a.Decides]
		}
		return cmp.Compare(a.Anomaly, b.Anomaly)
	})
	for _, f := range list {
		if f.Decides {
			reasons = append(reasons, fmt.Sprintf("%s: %d", f.Anomaly, f.Count))
		}
	}
	return list, reasons
}

func merge(list []Finding, t tally, against bool) []Finding {
	i := slices.IndexFunc(list, func(f Finding) bool { return f.Anomaly == t.anomaly })
	if i < 0 {
		return append(list, Finding{Anomaly: t.anomaly, Decides: against, Count: t.count, Checked: t.checked, Witnesses: t.witnesses})
	}
	f := &list[i]
	f.Count += t.count
	f.Checked = max(f.Checked, t.checked)
	if against && !f.Decides { // its witnesses come first
		f.Witnesses = append(slices.Clone(t.witnesses), f.Witnesses...)
	} else {
		f.Witnesses = append(f.Witnesses, t.witnesses...)
	}
	f.Witnesses = f.Witnesses[:min(len(f.Witnesses), maxWitnesses)]
	f.Decides = f.Decides || against
	return list
}

// count goes through all records once more, after the pass.
func (t *trial) count() Counts {
	n := t.ledger.counts
	if t.outputs != nil {
		n.Duplicated += t.outputs.double.count
	}
	t.ledger.values.each(func(i index, s state) {
		if s&anyRead != 0 && !t.ledger.values.nobody(i) {
			n.Read++
		}
		if s&(sent|implied) == 0 {
			return
		}
		n.Sent++
		switch s.rank() {
		case rankOK:
			n.Acked++
		case rankFailed:
			n.Failed++
		default:
			n.Indeterminate++
		}
	})
	return n
}

func (t *trial) warnings() []string {
	list := slices.Concat(t.run.meta.Warnings, t.h.Warnings, t.ledger.warnings)
	for _, tear := range t.h.Tears {
		list = append(list, fmt.Sprintf("%s is torn at byte %d: %s", tear.File, tear.Offset, tear.Reason))
	}
	list = append(list, t.drawn().warnings()...)
	if c := t.run.meta.Cluster; t.run.recorded && t.run.guarantee != "" && c.Version == "" {
		list = append(list, "the brokers do not tell their version: what is said holds for them as they were")
	}
	// Aborted transactions whose records were stored put a reader to the test as a fault does.
	if t.run.recorded && t.run.guarantee != "" && len(t.run.meta.Faults) == 0 && t.ledger.hidden == 0 {
		list = append(list, "no fault was injected: the promise was not put to the test")
	}
	return list
}
