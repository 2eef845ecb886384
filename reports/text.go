package reports

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/kbench/kbench/internal/rundir"
	"github.com/kbench/kbench/internal/stats"
)

// Verdicts as the result document spells them.
const (
	Holds        = "holds"
	Violated     = "violated"
	Inconclusive = "inconclusive"
	Unjudged     = "unjudged"
)

// Summary is what the text about one run draws on.
type Summary struct {
	Document Document // as Build made it
	Meta     rundir.Meta
	Figures  stats.Figures
	Dir      string // the run directory, as the reader would write it
}

// Text writes the summary of one run: the verdict first, then its faults and their cost, then latency, then what to do.
func Text(w io.Writer, s Summary, style Style) error {
	p := &page{style: style}
	s.verdict(p)
	s.thresholds(p)
	s.faults(p)
	s.latency(p)
	s.stages(p)
	s.backlog(p)
	s.throughput(p)
	s.resources(p)
	p.findings(s.Document.Findings)
	s.next(p)
	closing(p, s.Document.Warnings, s.Document.Guarantee.Scope)
	p.WriteString("\n")
	p.line("Run directory: ", s.Dir)
	if _, err := io.WriteString(w, p.String()); err != nil {
		return fmt.Errorf("write the summary: %w", err)
	}
	return nil
}

// JudgedText writes a judgement alone, of the history that title names.
func JudgedText(w io.Writer, j Judged, title string, style Style) error {
	p := &page{style: style}
	p.WriteString(p.style.paint(verdictColor(j.Verdict, j.Verdict != Violated), strings.ToUpper(j.Verdict)) + ": " + title + "\n")
	p.promise(j.Verdict, j.Guarantee.Name, j.Counts)
	reasons(p, j.Guarantee.Reasons)
	p.judgedFaults(j.Faults)
	p.findings(j.Findings)
	closing(p, j.Warnings, j.Guarantee.Scope)
	if _, err := io.WriteString(w, p.String()); err != nil {
		return fmt.Errorf("write the judgement: %w", err)
	}
	return nil
}

func (s Summary) verdict(p *page) {
	d := s.Document
	p.WriteString(p.style.paint(verdictColor(d.Verdict, d.AsExpected), headline(d, s.Meta.Stage)) + ": " + title(d) + "\n")
	if d.Cluster.Simulated {
		p.line("  ", p.style.paint(yellow, "SIMULATED")+": no real broker was measured or judged; "+
			"replication, and what is lost with it, cannot be shown.")
	}
	p.promise(d.Verdict, d.Guarantee.Name, d.Counts)
	if s.Meta.Error != "" {
		p.labelled("  ", "failed", s.Meta.Error)
	}
	if d.Verdict != Holds || !d.AsExpected {
		reasons(p, d.Guarantee.Reasons)
	}
	p.setting(d)
}

// headline is the answer in capitals.
func headline(d Document, stage rundir.Stage) string {
	h := strings.ToUpper(d.Verdict)
	switch {
	case d.Verdict == Holds, d.Verdict == Violated:
		h += expectation(d.AsExpected)
	case !d.AsExpected && d.Guarantee.Name != nil:
		h += ", NOT as expected"
	}
	switch stage {
	case rundir.Complete:
	case rundir.Interrupted:
		h += ", INTERRUPTED"
	case rundir.Broken:
		h += ", RUN FAILED"
	default:
		h += ", RUN CUT OFF (" + string(stage) + ")"
	}
	if missed(d.Thresholds) > 0 {
		h += ", THRESHOLD MISSED"
	}
	if d.Cluster.Simulated {
		h += ", SIMULATED"
	}
	return h
}

func expectation(asExpected bool) string {
	if asExpected {
		return " as expected"
	}
	return ", NOT as expected"
}

func verdictColor(verdict string, asExpected bool) color {
	switch {
	case verdict == Inconclusive, verdict == Unjudged:
		return yellow
	case asExpected:
		return green
	default:
		return red
	}
}

// title names the run: its scenario, its cell, its repeat.
func title(d Document) string {
	t := d.Scenario
	if d.Guarantee.Name != nil {
		t += " (" + *d.Guarantee.Name + ")"
	}
	if len(d.Cell) > 0 {
		t += "  " + cell(d.Cell)
	}
	return t
}

// cell is a matrix cell on one line, in order of its paths.
func cell(c map[string]string) string {
	var parts []string
	for path, value := range c {
		parts = append(parts, path+"="+value)
	}
	slices.Sort(parts)
	return strings.Join(parts, " ")
}

// promise says in one sentence what was promised and whether it was kept, and in one line the figures.
func (p *page) promise(verdict string, guarantee *string, c Counts) {
	sentence := "Measured; no promise was judged."
	if guarantee != nil {
		promises := map[string]string{
			"at-most-once":              "no record is there twice (some may be lost)",
			"at-least-once":             "every acknowledged record is there (some perhaps twice)",
			"exactly-once":              "every acknowledged record is there once, in the order of its producer",
			"exactly-once-transactions": "every input has one output, committed with its offset or not at all",
		}
		outcome := map[string]string{Holds: "was kept", Violated: "was broken"}[verdict]
		if outcome == "" {
			outcome = "could be neither shown nor refuted"
		}
		sentence = fmt.Sprintf("The promise that %s %s.", promises[*guarantee], outcome)
	}
	p.line("  ", sentence)
	figures := fmt.Sprintf("%s acknowledged of %s sent, %s lost, %s duplicated", number(c.Acked), number(c.Sent), number(c.Lost), number(c.Duplicated))
	for _, more := range []struct {
		n    *uint64
		what string
	}{{c.Indeterminate, "never answered"}, {c.Failed, "refused"}} {
		if more.n != nil && *more.n > 0 {
			figures += fmt.Sprintf(", %s %s", number(more.n), more.what)
		}
	}
	p.line("  ", p.style.paint(bold, figures+"."))
}

func reasons(p *page, texts []string) { p.labelled("  ", "because", texts...) }

// setting is the system under test on two lines.
func (p *page) setting(d Document) {
	c := d.Cluster
	about := strings.TrimSpace(deref(c.Software) + " " + deref(c.Version))
	if c.Brokers != nil {
		about += fmt.Sprintf(", %d brokers", *c.Brokers)
	}
	p.line("  ", strings.TrimPrefix(about, ", ")+" ("+strings.Join(strings.Fields(c.Kind+" "+deref(c.Mode)), ", ")+")")
	client := deref(d.Client.Version)
	if client == "" {
		client = d.Client.Driver
	}
	p.line("  ", fmt.Sprintf("%s; seed %d", client, d.Seed))
}

// deref is the zero value for nil.
func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func missed(thresholds []Threshold) (n int) {
	for _, t := range thresholds {
		if !t.OK {
			n++
		}
	}
	return n
}

func (s Summary) thresholds(p *page) {
	if len(s.Document.Thresholds) == 0 {
		return
	}
	p.section("Thresholds")
	rows := [][]string{}
	for _, t := range s.Document.Thresholds {
		result := "met"
		if !t.OK {
			result = "MISSED"
		}
		rows = append(rows, []string{t.Expr, t.measured(), result})
	}
	p.table(rows)
}

func (s Summary) faults(p *page) {
	if len(s.Document.Faults) == 0 {
		return
	}
	p.section("Faults")
	if len(s.Document.Faults) > stats.FewFaults {
		p.manyFaults(s.Document.Faults)
		return
	}
	for i, f := range s.Document.Faults {
		p.line("  ", fmt.Sprintf("%d  %s", i+1, when(f.Name, f.Target, f.AtMs, f.HealedMs)))
		if !f.Bit {
			p.labelled("     ", "no evidence", p.style.paint(red, "that it bit: it proves nothing"))
		}
		p.labelled("     ", "seen", first(f.Evidence)...)
		p.labelled("     ", "protected", first(f.Protection)...)
		if f.Problem != "" {
			p.labelled("     ", "problem", f.Problem)
		}
		p.labelled("     ", "cost", cost(f))
		if risk := atRisk(Sensitivity{f.AtRisk, f.LossRateSeen95}); risk != "" {
			p.labelled("     ", "at risk", risk)
		}
	}
}

// judgedFaults are the faults of which only a judgement is known.
func (p *page) judgedFaults(faults []JudgedFault) {
	if len(faults) == 0 {
		return
	}
	p.section("Faults")
	if len(faults) > stats.FewFaults {
		p.manyFaults(fromJudged(faults))
		return
	}
	for i, f := range faults {
		p.line("  ", fmt.Sprintf("%d  %s", i+1, when(f.Name, f.Target, f.AtMs, f.HealedMs)))
		if f.Bit != nil && !*f.Bit {
			p.labelled("     ", "no evidence", p.style.paint(red, "that it bit: it proves nothing"))
		}
		p.labelled("     ", "seen", first(f.Evidence)...)
		p.labelled("     ", "protected", first(f.Protection)...)
		if risk := atRisk(Sensitivity{f.AtRisk, f.LossRateSeen95}); risk != "" {
			p.labelled("     ", "at risk", risk)
		}
	}
}

// first is as much of a list as is read in passing.
func first(lines []string) []string {
	const shown = 4
	if len(lines) <= shown+1 {
		return lines
	}
	return append(slices.Clone(lines[:shown]), fmt.Sprintf("… and %d more in %s", len(lines)-shown, rundir.MetaFile))
}

func when(name, target string, at int64, healed *int64) string {
	text := strings.TrimSpace(name+" "+target) + " at " + clock(at)
	if healed == nil {
		return text + ", not healed while the load ran"
	}
	return text + ", healed at " + clock(*healed)
}

// cost is what a fault did to availability.
func cost(f Fault) string {
	if f.UnavailableMs == nil {
		return "unavailability not known: nothing was sent meanwhile, or nobody can tell to which partition"
	}
	text := "up to " + millis(f.UnavailableMs) + " without an ok send"
	if f.Outage.Partition != "" {
		text += " (" + f.Outage.Partition + ")"
	}
	switch {
	case f.Outage.NeverRecovered:
		return text + "; sends NEVER RECOVERED"
	case f.RecoveredMs == nil:
		return text + "; recovery was not seen"
	case *f.RecoveredMs == 0:
		return text + "; sends were not interrupted"
	default:
		return text + "; steady again after " + millis(f.RecoveredMs)
	}
}

func atRisk(s Sensitivity) string {
	if s.AtRisk == nil {
		return ""
	}
	text := number(s.AtRisk) + " records"
	if rate := oneIn(s); rate != unknown {
		text += fmt.Sprintf("; a loss rate of %s or more would have been seen (95%% confidence)", rate)
	}
	return text
}

// oneIn is the rate of loss that would have been seen: as a share where few records were at risk.
func oneIn(s Sensitivity) string {
	if s.LossRateSeen95 == nil || *s.LossRateSeen95 <= 0 {
		return unknown
	}
	if *s.LossRateSeen95 > 0.1 {
		return fmt.Sprintf("%.0f%%", 100**s.LossRateSeen95)
	}
	return "1 in " + humanize.Comma(int64(math.Round(1 / *s.LossRateSeen95)))
}

func (s Summary) latency(p *page) {
	l := s.Document.Latency
	if l.Ack.Response.Count == 0 && l.EndToEnd.Response.Count == 0 {
		return
	}
	p.section("Latency")
	rows := [][]string{{"response, from when each record was due", "p50", "p99", "p99.9", "max", "records"}}
	rows = append(rows, latencyRow("acknowledged", l.Ack.Response))
	rows = append(rows, s.phases(func(p Phase) Quantiles { return p.Ack.Response })...)
	if l.EndToEnd.Response.Count > 0 {
		rows = append(rows, latencyRow("end to end", l.EndToEnd.Response))
		rows = append(rows, s.readers()...)
		rows = append(rows, s.phases(func(p Phase) Quantiles { return p.EndToEnd.Response })...)
	}
	p.table(rows)
	s.lag(p)
}

// lag says how far the load was behind its schedule, and why, where any record was late.
func (s Summary) lag(p *page) {
	l := s.Document.Lag
	if l.Late == nil || *l.Late == 0 {
		return
	}
	after := duration(time.Duration(l.LateAfterUs) * time.Microsecond)
	p.line("  ", fmt.Sprintf("lag behind the schedule: p50 %s, p99 %s, max %s; %s of %s records more than %s late: %s held up by the client or the cluster, "+
		"%s by the load's own machine", micros(l.All.P50), micros(l.All.P99), micros(l.All.Max), number(l.Late), humanize.Comma(int64(l.All.Count)),
		after, number(l.LateHeld), number(l.LateOwn)))
}

// phases are the rows before the first fault, during each, and after the last; before and after only where there is
// something to tell.
func (s Summary) phases(of func(Phase) Quantiles) [][]string {
	var rows [][]string
	faults := s.Document.Faults
	if len(faults) > stats.FewFaults {
		return s.manyPhases(of)
	}
	for _, phase := range s.Document.Latency.Phases {
		q, f := of(phase), faults[phase.Fault]
		switch {
		case phase.Phase == "during":
			rows = append(rows, latencyRow(strings.TrimRight("  during "+f.Name+" "+f.Target, " "), q))
		case q.Count == 0:
		case phase.Phase == "before" && phase.Fault == 0, phase.Phase == "after" && phase.Fault == len(faults)-1:
			rows = append(rows, latencyRow("  "+phase.Phase, q))
		}
	}
	return rows
}

func latencyRow(name string, q Quantiles) []string {
	return []string{name, micros(q.P50), micros(q.P99), micros(q.P999), micros(q.Max), humanize.Comma(int64(q.Count))}
}

func (s Summary) throughput(p *page) {
	t := s.Document.Throughput
	scheduled := s.Meta.Load.RatePerS != nil || s.Meta.Load.Max // steps alone have no rate to tell
	if !scheduled || t.AckedPerS == nil && t.OfferedPerS == nil {
		return
	}
	p.section("Throughput")
	text := fmt.Sprintf("offered %s/s, acknowledged %s/s", rate(t.OfferedPerS), rate(t.AckedPerS))
	if t.AckedMiBPerS != nil {
		text += fmt.Sprintf(" (%s MiB/s)", rate(t.AckedMiBPerS))
	}
	if t.Compression != nil {
		text += fmt.Sprintf(", compressed %.2f to 1", *t.Compression)
	}
	if t.ReadPerS != nil {
		text += fmt.Sprintf(", read %s/s", rate(t.ReadPerS))
	}
	if t.LimitedBy != nil {
		text += "; limited by the " + *t.LimitedBy
	}
	p.line("  ", text)
	if by := deref(t.LimitedBy); by != string(stats.ByRate) && (by != "" || s.Document.Resources != nil) {
		p.labelled("     ", "seen", t.Evidence...)
	}
	s.topics(p)
}

// findings lists what was found; those that decide come first.
func (p *page) findings(all []Finding) {
	if len(all) == 0 {
		return
	}
	p.section("Found")
	for _, f := range all {
		weight := "allowed by the promise"
		if f.Decides {
			weight = "decides"
		}
		p.line("  ", fmt.Sprintf("%s: %s of %s checked (%s)", f.Anomaly, humanize.Comma(int64(f.Count)), humanize.Comma(int64(f.Checked)), weight))
		if f.Decides {
			p.labelled("      ", "brokers", f.Brokers...)
			p.witnesses(f.Witnesses)
		}
	}
}

// witnesses shows the first few of a finding; the result document has them all.
func (p *page) witnesses(all []Witness) {
	const shown = 3
	for _, w := range all[:min(shown, len(all))] {
		p.line("      ", w.place())
		p.timeline("        ", w.Operations)
		p.labelled("        ", "brokers", w.Brokers...)
	}
	if len(all) > shown {
		p.line("      ", fmt.Sprintf("… %d more witnesses are in the result document (--json)", len(all)-shown))
	}
}

// place is where a witness can be looked up, and what is wrong there.
func (w Witness) place() string {
	parts := []string{}
	if w.Value != "" {
		parts = append(parts, w.Value)
	}
	if w.Partition != "" {
		parts = append(parts, "in "+w.Partition)
	}
	if w.Offset != nil {
		parts = append(parts, fmt.Sprintf("offset %d", *w.Offset))
	}
	if w.AtMs != nil {
		parts = append(parts, "at "+clock(*w.AtMs))
	}
	if w.During != "" {
		parts = append(parts, "during "+w.During)
	}
	text := strings.Join(parts, " ")
	if w.Detail != "" {
		text += ": " + w.Detail
	}
	return text
}

func (s Summary) next(p *page) {
	p.section("Next")
	steps := advice(s)
	widest := 0
	for _, step := range steps {
		widest = max(widest, width(step.do))
	}
	for _, step := range steps {
		if widest > pageWidth/2 {
			p.line("  ", step.do)
			p.line("      ", step.why)
			continue
		}
		p.line("  "+pad(step.do, widest)+"  ", step.why)
	}
}

func closing(p *page, warnings []string, scope string) {
	if len(warnings) > 0 {
		p.section("Warnings")
		for _, w := range warnings {
			p.line("  - ", w)
		}
	}
	if scope != "" {
		p.section("Scope")
		p.line("  ", scope)
	}
}
