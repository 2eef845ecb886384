package reports

import (
	"fmt"
	"io"
	"slices"
	"strings"

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
	Document Document
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
	s.throughput(p)
	findings(p, s.Document.Findings)
	s.next(p)
	closing(p, s.Document.Warnings, s.Document.Guarantee.Scope)
	p.WriteString("\n")
	p.line("Run directory: ", s.Dir)
	if _, err := io.WriteString(w, p.String()); err != nil {
		return fmt.Errorf("write the summary: %w", err)
	}
	return nil
}

// JudgedText writes what `kbench check` found in any history.
func JudgedText(w io.Writer, j Judged, title string, style Style) error {
	p := &page{style: style}
	p.WriteString(p.style.paint(verdictColor(j.Verdict, j.Verdict != Violated), strings.ToUpper(j.Verdict)) + "  " + title + "\n")
	p.line("  ", promise(j.Verdict, j.Guarantee.Name, j.Counts))
	reasons(p, j.Guarantee.Reasons)
	findings(p, j.Findings)
	closing(p, j.Warnings, j.Guarantee.Scope)
	if _, err := io.WriteString(w, p.String()); err != nil {
		return fmt.Errorf("write the judgement: %w", err)
	}
	return nil
}

func (s Summary) verdict(p *page) {
	d := s.Document
	p.WriteString(p.style.paint(verdictColor(d.Verdict, d.AsExpected), headline(d, s.Meta.Stage)) + "  " + title(d) + "\n")
	if d.Cluster.Simulated {
		p.line("  ", p.style.paint(yellow, "SIMULATED")+": no real broker was measured or judged; "+
			"replication, and what is lost with it, cannot be shown.")
	}
	p.line("  ", promise(d.Verdict, d.Guarantee.Name, d.Counts))
	if s.Meta.Error != "" {
		p.labelled("  ", "failed", s.Meta.Error)
	}
	if d.Verdict != Holds || !d.AsExpected {
		reasons(p, d.Guarantee.Reasons)
	}
	p.line("  ", setting(d))
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

// promise says in one sentence what was promised, whether it was kept, and the figures.
func promise(verdict string, guarantee *string, c Counts) string {
	figures := fmt.Sprintf("%s sent, %s acknowledged, %s lost, %s duplicated", number(c.Sent), number(c.Acked), number(c.Lost), number(c.Duplicated))
	if guarantee == nil {
		return "Measured, no promise judged: " + figures + "."
	}
	promises := map[string]string{
		"at-most-once":              "no record is there twice, and none that was refused; some may be lost",
		"at-least-once":             "every acknowledged record is there; some may be there twice",
		"exactly-once":              "every acknowledged record is there once, in the order in which it was sent",
		"exactly-once-transactions": "every input has one output, and outputs and offsets are committed together or not at all",
	}
	kept := map[string]string{Holds: "Kept", Violated: "Broken"}[verdict]
	if kept == "" {
		kept = "Neither shown nor refuted"
	}
	return fmt.Sprintf("%s: %s. %s.", kept, promises[*guarantee], figures)
}

func reasons(p *page, texts []string) { p.labelled("  ", "because", texts...) }

// setting is the system under test on one line.
func setting(d Document) string {
	c := d.Cluster
	about := strings.TrimSpace(deref(c.Software) + " " + deref(c.Version))
	if c.Brokers != nil {
		about += fmt.Sprintf(", %d brokers", *c.Brokers)
	}
	about += " (" + strings.Join(strings.Fields(c.Kind+" "+deref(c.Mode)), ", ") + ")"
	client := deref(d.Client.Version)
	if client == "" {
		client = d.Client.Driver
	}
	return fmt.Sprintf("%s · %s · seed %d", about, client, d.Seed)
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
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
		figure, result := unknown, "met"
		if t.Value != nil {
			figure = humanize.FtoaWithDigits(*t.Value, 2)
		}
		if !t.OK {
			result = "MISSED"
		}
		rows = append(rows, []string{t.Expr, figure, result})
	}
	p.table(rows)
}

func (s Summary) faults(p *page) {
	if len(s.Document.Faults) == 0 {
		return
	}
	p.section("Faults")
	for i, f := range s.Document.Faults {
		p.line("  ", fmt.Sprintf("%d  %s", i+1, when(f)))
		if !f.Bit {
			p.labelled("     ", "no evidence", p.style.paint(red, "that it bit: it proves nothing"))
		}
		p.labelled("     ", "seen", f.Evidence...)
		if i < len(s.Meta.Faults) {
			p.labelled("     ", "protected", s.Meta.Faults[i].Protection...)
			if problem := s.Meta.Faults[i].Error; problem != "" {
				p.labelled("     ", "problem", problem)
			}
		}
		p.labelled("     ", "cost", s.cost(i))
		if risk := atRisk(f); risk != "" {
			p.labelled("     ", "at risk", risk)
		}
	}
}

func when(f Fault) string {
	text := strings.TrimSpace(f.Name+" "+f.Target) + " at " + clock(f.AtMs)
	if f.HealedMs == nil {
		return text + ", not healed while the load ran"
	}
	return text + ", healed at " + clock(*f.HealedMs)
}

// cost is what a fault did to availability.
func (s Summary) cost(i int) string {
	f := s.Document.Faults[i]
	var outage stats.Outage
	if i < len(s.Figures.Faults) {
		outage = s.Figures.Faults[i].Outage
	}
	if f.UnavailableMs == nil {
		return "unavailability not known: nothing was sent meanwhile, or nobody can tell to which partition"
	}
	text := "at most " + millis(f.UnavailableMs) + " without an acknowledgement"
	if outage.Partition != "" {
		text += " (" + outage.Partition + ")"
	}
	switch {
	case outage.NeverRecovered:
		return text + "; sends NEVER RECOVERED"
	case f.RecoveredMs == nil:
		return text + "; recovery not known: nothing was sent after it"
	case *f.RecoveredMs == 0:
		return text + "; sends were not interrupted"
	default:
		return text + "; steady again " + millis(f.RecoveredMs) + " after the injection"
	}
}

func atRisk(f Fault) string {
	if f.AtRisk == nil {
		return ""
	}
	text := number(f.AtRisk) + " records"
	if f.LossRateSeen95 != nil && *f.LossRateSeen95 > 0 {
		text += fmt.Sprintf("; a loss of 1 in %s of them or more would have been seen (95%%)", humanize.Comma(int64(1 / *f.LossRateSeen95)))
	}
	return text
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
		rows = append(rows, s.phases(func(p Phase) Quantiles { return p.EndToEnd.Response })...)
	}
	p.table(rows)
}

// phases are the rows before the first fault, during each, and after the last.
func (s Summary) phases(of func(Phase) Quantiles) [][]string {
	var rows [][]string
	for _, phase := range s.Document.Latency.Phases {
		f := s.Document.Faults[phase.Fault]
		first, last := s.edge(phase.Fault)
		switch {
		case phase.Phase == "during":
			rows = append(rows, latencyRow(strings.TrimSpace("during "+f.Name+" "+f.Target), of(phase)))
		case phase.Phase == "before" && first, phase.Phase == "after" && last:
			rows = append(rows, latencyRow(phase.Phase, of(phase)))
		default:
			continue
		}
		rows[len(rows)-1][0] = "  " + rows[len(rows)-1][0]
	}
	return rows
}

// edge tells whether a fault is the first and the last in the document's order, which is that of their injection.
func (s Summary) edge(fault int) (first, last bool) {
	return fault == 0, fault == len(s.Document.Faults)-1
}

func latencyRow(name string, q Quantiles) []string {
	return []string{name, micros(q.P50), micros(q.P99), micros(q.P999), micros(q.Max), humanize.Comma(int64(q.Count))}
}

func (s Summary) throughput(p *page) {
	t := s.Document.Throughput
	if t.AckedPerS == nil && t.OfferedPerS == nil {
		return
	}
	p.section("Throughput")
	text := fmt.Sprintf("offered %s/s, acknowledged %s/s", rate(t.OfferedPerS), rate(t.AckedPerS))
	if t.AckedMiBPerS != nil {
		text += fmt.Sprintf(" (%s MiB/s)", rate(t.AckedMiBPerS))
	}
	if t.ReadPerS != nil {
		text += fmt.Sprintf(", read %s/s", rate(t.ReadPerS))
	}
	if t.LimitedBy != nil {
		text += "; limited by the " + *t.LimitedBy
	}
	p.line("  ", text)
}

// findings lists what was found, that which decides first.
func findings(p *page, all []Finding) {
	found := slices.DeleteFunc(slices.Clone(all), func(f Finding) bool { return f.Count == 0 })
	if len(found) == 0 {
		return
	}
	slices.SortStableFunc(found, func(a, b Finding) int {
		switch {
		case a.Decides == b.Decides:
			return 0
		case a.Decides:
			return -1
		}
		return 1
	})
	p.section("Found")
	for _, f := range found {
		weight := "allowed by the promise"
		if f.Decides {
			weight = "decides"
		}
		p.line("  ", fmt.Sprintf("%s: %s of %s checked (%s)", f.Anomaly, humanize.Comma(int64(f.Count)), humanize.Comma(int64(f.Checked)), weight))
		if f.Decides {
			witnesses(p, f)
		}
	}
}

// witnesses shows the first of a finding; the result document has them all.
func witnesses(p *page, f Finding) {
	const shown = 3
	for i, w := range f.Witnesses {
		if i == shown {
			p.line("      ", fmt.Sprintf("… and %d more in %s", len(f.Witnesses)-shown, rundir.ResultFile))
			return
		}
		text := w.Value
		if w.Partition != "" {
			text += "  " + w.Partition
		}
		if w.Offset != nil {
			text += fmt.Sprintf(" offset %d", *w.Offset)
		}
		if w.AtMs != nil {
			text += "  at " + clock(*w.AtMs)
		}
		if w.During != "" {
			text += ", during " + w.During
		}
		p.line("      ", text)
	}
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
