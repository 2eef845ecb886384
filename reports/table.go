package reports

import (
	"fmt"
	"io"
	"slices"
)

// Line is one run on one line, for the list of many.
func Line(d Document, style Style) string {
	verdict := d.Verdict
	if !d.AsExpected {
		verdict += ", NOT as expected"
	}
	if d.Cluster.Simulated {
		verdict += ", SIMULATED"
	}
	return fmt.Sprintf("%s: %s, seed %d: %s acknowledged, %s lost, %s duplicated, unavailable %s, ack p99 %s",
		style.paint(verdictColor(d.Verdict, d.AsExpected), verdict), title(d), d.Seed, number(d.Counts.Acked), number(d.Counts.Lost),
		number(d.Counts.Duplicated), longest(d.Faults), micros(d.Latency.Ack.Response.P99))
}

func longest(faults []Fault) string {
	ms := worst(faults, func(f Fault) *int64 { return f.UnavailableMs })
	if ms == nil {
		return unknown
	}
	n := int64(*ms)
	return millis(&n)
}

// Table writes many runs: for each scenario and cell the runs as expected of the runs made, below it each run that was not
// as expected, with its reasons, and last how the cells of a matrix compare.
func Table(w io.Writer, docs []Document, style Style, rankings ...Ranking) error {
	p := &page{style: style}
	rows := [][]string{{"scenario", "expected", "verdict", "acked", "lost", "dup.", "unavail.", "ack p99"}}
	met, scenario := 0, ""
	for _, group := range groups(docs) {
		row, ok := summarize(group)
		if len(group[0].Cell) > 0 && group[0].Scenario != scenario {
			rows = append(rows, []string{group[0].Scenario})
		}
		scenario = group[0].Scenario
		rows, met = append(rows, row), met+ok
	}
	c := green
	if met < len(docs) {
		c = red
	}
	p.WriteString(style.paint(c, fmt.Sprintf("%d of %d runs as expected", met, len(docs))) + simulatedNote(docs) + "\n\n")
	p.table(rows)
	p.sensitivities(repeats(docs))
	p.unexpected(docs)
	p.rankings(rankings)
	if _, err := io.WriteString(w, p.String()); err != nil {
		return fmt.Errorf("write the table: %w", err)
	}
	return nil
}

func simulatedNote(docs []Document) string {
	n := 0
	for _, d := range docs {
		if d.Cluster.Simulated {
			n++
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", %d SIMULATED", n)
}

// groups puts the runs of one scenario and cell together: scenarios in the order in which they first come, their cells in
// the order of their values, since that of a plan is drawn.
func groups(docs []Document) [][]Document {
	var all [][]Document
	at := map[string]int{}
	for _, d := range docs {
		key := d.Scenario + "\x00" + cell(d.Cell)
		i, known := at[key]
		if !known {
			i = len(all)
			at[key], all = i, append(all, nil)
		}
		all[i] = append(all[i], d)
	}
	first := map[string]int{}
	for i, g := range all {
		if _, known := first[g[0].Scenario]; !known {
			first[g[0].Scenario] = i
		}
	}
	slices.SortStableFunc(all, func(a, b []Document) int {
		if d := first[a[0].Scenario] - first[b[0].Scenario]; d != 0 {
			return d
		}
		return compareCells(a[0].Cell, b[0].Cell)
	})
	return all
}

func summarize(group []Document) ([]string, int) {
	verdicts, met := map[string]int{}, 0
	var faults []Fault
	var p99 *int64
	for _, d := range group {
		verdicts[d.Verdict]++
		faults = append(faults, d.Faults...)
		if asExpected(d) {
			met++
		}
		if q := d.Latency.Ack.Response.P99; q != nil && (p99 == nil || *q > *p99) {
			p99 = q
		}
	}
	name := group[0].Scenario
	if len(group[0].Cell) > 0 {
		name = "  " + labelOf(group[0].Cell)
	}
	return []string{name, fmt.Sprintf("%d/%d", met, len(group)), tally(verdicts),
		total(group, func(c Counts) *uint64 { return c.Acked }), total(group, func(c Counts) *uint64 { return c.Lost }),
		total(group, func(c Counts) *uint64 { return c.Duplicated }), longest(faults), micros(p99)}, met
}

// total of a count over several runs; unknown where one of them does not know it.
func total(group []Document, of func(Counts) *uint64) string {
	var sum uint64
	for _, d := range group {
		n := of(d.Counts)
		if n == nil {
			return unknown
		}
		sum += *n
	}
	return number(&sum)
}

// repeats takes the runs of each scenario and cell together. A run without a verdict would not have shown a loss either: what
// it put at risk does not count.
func repeats(docs []Document) []Repeats {
	list := []Repeats{}
	for _, group := range groups(docs) {
		r := Repeats{Scenario: group[0].Scenario, Cell: orEmptyMap(group[0].Cell), Runs: len(group)}
		var atRisk *uint64
		for _, d := range group {
			if asExpected(d) {
				r.AsExpected++
			}
			if n := d.Sensitivity.AtRisk; n != nil && d.Verdict != Inconclusive {
				atRisk = ptrTo(deref(atRisk) + *n)
				r.Judged++
			}
		}
		r.Sensitivity = sensitivity(atRisk)
		list = append(list, r)
	}
	return list
}

func asExpected(d Document) bool { return d.AsExpected && d.ExitCode == ExitAsExpected }

// sensitivities say of each scenario how rare a loss its runs would have shown.
func (p *page) sensitivities(all []Repeats) {
	rows := [][]string{{"all runs together", "judged", "records at risk", "least loss rate seen (95%)"}}
	for _, r := range all {
		if r.Sensitivity.AtRisk == nil {
			continue
		}
		name := r.Scenario
		if len(r.Cell) > 0 {
			name += " " + cell(r.Cell)
		}
		rows = append(rows, []string{name, fmt.Sprintf("%d of %d", r.Judged, r.Runs), number(r.Sensitivity.AtRisk), oneIn(r.Sensitivity)})
	}
	if len(rows) > 1 {
		p.WriteString("\n")
		p.table(rows)
	}
}

// tally is the verdict of all, or that they differ.
func tally(verdicts map[string]int) string {
	for v := range verdicts {
		if len(verdicts) == 1 {
			return v
		}
	}
	return "mixed"
}

func (p *page) unexpected(docs []Document) {
	for i, d := range docs {
		if d.ExitCode == ExitAsExpected {
			continue
		}
		p.WriteString("\n")
		p.line("  ", fmt.Sprintf("run %d, exit %d: %s", i+1, d.ExitCode, Line(d, p.style)))
		for _, reason := range d.Guarantee.Reasons {
			p.line("      ", reason)
		}
		for _, t := range d.Thresholds {
			if !t.OK {
				p.line("      ", "threshold missed: "+t.Expr)
			}
		}
	}
}
