package reports

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	mostRows = 40 // of a ranking that are shown
	mostBar  = 16
	leastBar = 4
)

// rankings writes what comparing the cells says.
func (p *page) rankings(all []Ranking) {
	for _, r := range all {
		p.section(fmt.Sprintf("Ranking of %s by %s", r.Scenario, r.Objective))
		p.line("  ", r.headline(p.style))
		p.WriteString("\n")
		p.ranked(r)
		p.excluded(r.Excluded)
		p.front(r)
		p.axes(r)
		p.buffers(r.Buffer)
		p.doubts(r)
	}
}

// headline is the answer: the best cell, and how many may be as good.
func (r Ranking) headline(style Style) string {
	if len(r.Cells) == 0 {
		return style.paint(yellow, "No cell could be ranked.")
	}
	best, count := r.Cells[0], map[string]int{}
	for _, c := range r.Cells[1:] {
		count[c.Difference]++
	}
	text := fmt.Sprintf("%s: %s, %s", style.paint(bold, "Best"), r.label(best.Cell), r.figure(best.Objective.Median))
	switch others := len(r.Cells) - 1; {
	case others == 0:
	case count[Untold] > 0:
		text += fmt.Sprintf("; too few runs to tell it from %s", ofOthers(count[Untold]+count[Noise], others))
	case count[Noise] == 0:
		text += "; it differs from every other by more than noise"
	default:
		text += fmt.Sprintf("; the difference to %s may be noise", ofOthers(count[Noise], others))
	}
	return text + "."
}

func ofOthers(n, others int) string {
	switch {
	case others == 1:
		return "the other"
	case n == others:
		return fmt.Sprintf("all %d others", others)
	}
	return fmt.Sprintf("%d of the %d others", n, others)
}

// label of a cell, a product written as what it is worth where that is known.
func (r Ranking) label(c map[string]string) string {
	var parts []string
	for _, path := range slices.Sorted(maps.Keys(c)) {
		parts = append(parts, axisName(path)+"="+r.shown(c, path))
	}
	return strings.Join(parts, " ")
}

// shown is a cell's value on an axis.
func (r Ranking) shown(c map[string]string, path string) string {
	value := c[path]
	if !isProduct(value) {
		return value
	}
	for _, of := range r.Cells {
		if maps.Equal(of.Cell, c) {
			if n, ok := number64(of.asked[strings.TrimPrefix(path, "client.")]); ok {
				return bytesText(n)
			}
		}
	}
	return value
}

// figure of the objective in its unit.
func (r Ranking) figure(f float64) string { return inUnit(f, r.Unit) }

func inUnit(f float64, unit string) string {
	switch unit {
	case "ms":
		return millisOf(f)
	case "count":
		return shortly(f)
	}
	return shortly(f) + unit
}

func millisOf(ms float64) string { return duration(time.Duration(ms * float64(time.Millisecond))) }

// brackets are an interval's ends.
func brackets(f *Figure, unit string) string {
	if f == nil || f.Low == nil {
		return ""
	}
	if unit != "ms" {
		unit = "count" // rates stand beside their unit
	}
	return "[" + inUnit(*f.Low, unit) + " – " + inUnit(*f.High, unit) + "]"
}

// ranked is the table of the cells, the best first, with a bar for the objective.
func (p *page) ranked(r Ranking) {
	if len(r.Cells) == 0 {
		return
	}
	paths := slices.Sorted(maps.Keys(r.Cells[0].Cell))
	head := []string{"#"}
	for _, path := range paths {
		head = append(head, axisName(path))
	}
	metric, isThroughput, isP99 := r.objective.Metric, r.objective.Metric == "throughput", r.objective.Metric == "ack.p99"
	head = append(head, metric, "interval", "to best", "differs")
	if !isThroughput {
		head = append(head, "throughput")
	}
	if !isP99 {
		head = append(head, "ack p99")
	}
	rows := [][]string{head}
	for _, c := range r.Cells[:min(len(r.Cells), mostRows)] {
		row := []string{fmt.Sprint(c.Rank)}
		for _, path := range paths {
			row = append(row, r.shown(c.Cell, path))
		}
		to := unknown
		if c.ToBest != nil && c.Rank > 1 {
			to = change(c.ToBest)
		}
		row = append(row, r.figure(c.Objective.Median), brackets(&c.Objective, r.Unit), to, differs(c))
		if !isThroughput {
			row = append(row, figureText(c.Throughput, "/s"))
		}
		if !isP99 {
			row = append(row, figureText(c.AckP99, "ms"))
		}
		if c.OnFront {
			row[len(row)-1] += " ◆"
		} else {
			row[len(row)-1] += "  "
		}
		rows = append(rows, row)
	}
	if tableWidth(columns(rows)) > pageWidth {
		interval := slices.Index(head, "interval")
		for i := range rows {
			rows[i] = slices.Delete(rows[i], interval, interval+1)
		}
	}
	r.bars(rows)
	p.table(rows)
	if more := len(r.Cells) - mostRows; more > 0 {
		p.line("  ", fmt.Sprintf("… %d more are in the result document (--json)", more))
	}
	p.line("  ", fmt.Sprintf("◆ on the Pareto front of throughput against ack p99. differs: by more than noise, Mann–Whitney with Holm's correction for all %d pairs of %d cells, %d%% level.",
		len(r.Cells)*(len(r.Cells)-1)/2, len(r.Cells), int(100*alphaOf)))
}

func differs(c RankedCell) string {
	switch c.Difference {
	case Best:
		return "best"
	case Real:
		return "yes"
	case Noise:
		return "noise"
	}
	return "?"
}

func figureText(f *Figure, unit string) string {
	if f == nil {
		return unknown
	}
	return inUnit(f.Median, unit)
}

// bars draws the objective's medians behind the rows, where the page has room for it.
func (r Ranking) bars(rows [][]string) {
	room := min(pageWidth-tableWidth(columns(rows))-2, mostBar)
	if room < leastBar {
		return
	}
	most := 0.0
	for _, c := range r.Cells {
		most = max(most, c.Objective.Median)
	}
	rows[0] = append(rows[0], "")
	for i := range rows[1:] {
		rows[i+1] = append(rows[i+1], pad(bar(r.Cells[i].Objective.Median, most, room), room))
	}
}

// tableWidth is that of a table with such columns.
func tableWidth(columns []int) int {
	sum := 0
	for _, w := range columns {
		sum += w + 2
	}
	return sum
}

// bar is a share of the room in eighths of a column.
func bar(value, most float64, room int) string {
	if most <= 0 || value <= 0 {
		return ""
	}
	eighths := max(1, int(value/most*float64(room)*8+0.5))
	text := strings.Repeat("█", eighths/8)
	if part := eighths % 8; part > 0 {
		text += string([]rune("▏▎▍▌▋▊▉")[part-1])
	}
	return text
}

func (p *page) excluded(cells []ExcludedCell) {
	if len(cells) == 0 {
		return
	}
	p.WriteString("\n")
	p.line("  ", "Not ranked:")
	for _, c := range cells {
		p.line("    ", labelOf(c.Cell)+": "+c.Reason)
	}
}

func (p *page) front(r Ranking) {
	if len(r.Pareto) == 0 {
		return
	}
	p.WriteString("\n")
	p.line("  ", "Pareto front: no cell has more throughput at no more latency, by the medians")
	rows := [][]string{}
	for _, point := range r.Pareto {
		rows = append(rows, []string{"  " + r.label(point.Cell), shortly(point.Throughput) + "/s", "ack p99 " + millisOf(point.AckP99)})
	}
	p.table(rows)
}

// axes says what each axis does, and what is left.
func (p *page) axes(r Ranking) {
	if len(r.Axes) == 0 || len(r.Cells) == 0 {
		return
	}
	p.WriteString("\n")
	p.line("  ", "What each axis does to "+r.objective.Metric+", the others held fixed (medians of ratios, interval)")
	widest := 0
	for _, a := range r.Axes {
		widest = max(widest, width(axisName(a.Axis)))
	}
	for _, a := range r.Axes {
		p.line("    "+pad(axisName(a.Axis), widest)+"  ", a.text())
	}
	if v := r.Variance; v.Rest != nil {
		p.line("    ", fmt.Sprintf("Of the variance (of logarithms) the axes' interplay explains %s, the repeats %s; %s is left.",
			percent(v.Interplay), percent(v.Repeats), percent(v.Rest)))
	}
}

func (a AxisEffect) text() string {
	if len(a.Effects) == 0 {
		return "cannot be told: in no repeat all its values stand side by side"
	}
	var parts []string
	for _, v := range a.Effects[1:] {
		part := axisValue(v.Value) + " " + change(&v.Ratio.Median)
		if v.Ratio.Low != nil {
			part += " [" + change(v.Ratio.Low) + " to " + change(v.Ratio.High) + "]"
		}
		parts = append(parts, part)
	}
	text := "from " + axisValue(a.Effects[0].Value) + ": " + strings.Join(parts, ", ")
	switch {
	case a.P == nil:
		text += "; too few runs to say whether that is noise"
	case *a.P <= alphaOf:
		text += "; more than noise, " + pText(a.P)
	default:
		text += "; may be noise, " + pText(a.P)
	}
	if a.Share != nil {
		text += ", explains " + percent(a.Share) + " of the variance"
	}
	return text
}

// axisValue is a value in passing: of a product, what it is of the rule.
func axisValue(v string) string {
	if rule := ofRule(v); rule != "" {
		return strings.TrimPrefix(rule, "×") + " rule"
	}
	return v
}

func percent(f *float64) string {
	if f == nil {
		return unknown
	}
	if *f > 0 && *f < 0.01 {
		return "<1%"
	}
	return fmt.Sprintf("%.0f%%", 100**f)
}

// buffers answers whether more buffer would have helped.
func (p *page) buffers(answers []BufferAnswer) {
	if len(answers) == 0 {
		return
	}
	p.section("Would more buffer.memory have helped?")
	p.line("  ", bufferNote(answers[0].Library))
	for _, a := range answers {
		p.WriteString("\n")
		text := strings.ToUpper(a.Answer[:1]) + a.Answer[1:]
		if len(a.Cell) > 0 {
			text = labelOf(a.Cell) + ": " + a.Answer
		}
		p.line("  ", text+".")
		p.sizes(a)
	}
}

func bufferNote(library string) string {
	if library == "librdkafka" {
		return "The buffer is librdkafka's (queue.buffering.max.kbytes), which counts bytes of records; Java's producer pools buffers of batch.size, and nothing here is advice for it."
	}
	return "The buffer is " + library + "'s; Java's producer pools buffers of batch.size, and nothing here is advice for it."
}

func (p *page) sizes(a BufferAnswer) {
	rows := [][]string{{"buffer", "rule", "waited", "a run", "throughput", "interval", "ack p99", "interval"}}
	for _, s := range a.Sizes {
		rows = append(rows, []string{bytesText(float64(s.Bytes)), ofRule(s.Value), share(s.Waited.ShareRecords), waitText(s.Waited.MsPerRun),
			figureText(s.Throughput, "/s"), brackets(s.Throughput, "/s"), figureText(s.AckP99, "ms"), brackets(s.AckP99, "ms")})
	}
	if !slices.ContainsFunc(rows[1:], func(row []string) bool { return row[1] != "" }) {
		rows[0][1] = ""
	}
	p.table(withoutEmpty(rows))
	p.line("  ", "waited: records that found the buffer full, of those sent; a run: for how long, all senders together.")
}

// ofRule is a product as a multiple of batch.size x partitions x 2, which is handed around as a rule; "" for what is none.
func ofRule(value string) string {
	if !strings.Contains(value, "batch.size") || !strings.Contains(value, "partitions") {
		return ""
	}
	n, _ := magnitude(value)
	return "×" + decimal(n/2, 3)
}

// withoutEmpty leaves columns out that say nothing in any row.
func withoutEmpty(rows [][]string) [][]string {
	for c := len(rows[0]) - 1; c >= 0; c-- {
		if !slices.ContainsFunc(rows, func(row []string) bool { return row[c] != "" }) {
			for i := range rows {
				rows[i] = slices.Delete(rows[i], c, c+1)
			}
		}
	}
	return rows
}

// share is one of few, to two digits: 0.32%.
func share(f *float64) string {
	switch {
	case f == nil:
		return unknown
	case *f == 0:
		return "none"
	case *f < 0.0001:
		return "<0.01%"
	case *f < 0.1:
		return fmt.Sprintf("%.2f%%", 100**f)
	}
	return fmt.Sprintf("%.0f%%", 100**f)
}

func waitText(ms *float64) string {
	if ms == nil {
		return unknown
	}
	return millisOf(*ms)
}

func (p *page) doubts(r Ranking) {
	texts := slices.Clone(r.Warnings)
	if r.Drift.Seen != nil && !*r.Drift.Seen {
		texts = append(texts, fmt.Sprintf("no drift was seen over the runs (%s)", pText(r.Drift.P)))
	}
	if len(texts) == 0 {
		return
	}
	p.WriteString("\n")
	p.line("  ", "Doubts")
	for _, t := range texts {
		p.line("    - ", t)
	}
}

// Standings are the leading cells of the matrix that the latest trial belongs to, as far as it has come: a line that says
// which is ahead, and a table of the first few. None where there is nothing to compare.
func Standings(trials []Trial) []string {
	const shown = 5
	if len(trials) == 0 {
		return nil
	}
	latest := trials[len(trials)-1].Document
	of := slices.DeleteFunc(slices.Clone(trials), func(t Trial) bool { return t.Document.Scenario != latest.Scenario || t.Unfinished })
	if len(latest.Cell) == 0 || len(of) == 0 {
		return nil
	}
	m := newMatrix(of)
	r := Ranking{objective: m.objective, Unit: unitName(m.unit)}
	for _, runs := range m.cells {
		if m.unfit(runs) == "" && m.beyond(runs) == "" {
			r.Cells = append(r.Cells, m.ranked(runs))
		}
	}
	if len(r.Cells) == 0 {
		return []string{"no cell can be ranked yet"}
	}
	slices.SortStableFunc(r.Cells, func(a, b RankedCell) int {
		if r.objective.Better(a.Objective.Median, b.Objective.Median) {
			return -1
		}
		return 1
	})
	best := r.Cells[0]
	lines := []string{fmt.Sprintf("best so far by %s: %s, %s", m.objective, r.label(best.Cell), r.figure(best.Objective.Median))}
	var page page
	rows := [][]string{}
	for i, c := range r.Cells[:min(shown, len(r.Cells))] {
		rows = append(rows, []string{fmt.Sprintf("%d  %s", i+1, r.label(c.Cell)), r.figure(c.Objective.Median), brackets(&c.Objective, r.Unit),
			figureText(c.AckP99, "ms"), plural(c.Objective.Runs, "run")})
	}
	page.table(rows)
	return append(lines, strings.Split(strings.TrimRight(page.String(), "\n"), "\n")...)
}

func plural(n int, what string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, what)
	}
	return fmt.Sprintf("%d %ss", n, what)
}
