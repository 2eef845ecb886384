package reports

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dustin/go-humanize"
)

// pageWidth is how wide a text may become.
const pageWidth = 100

// unknown stands where a figure is not known.
const unknown = "–"

// Style of a text. The caller knows whether it goes to a terminal, and what the reader asked for.
type Style struct{ Color bool }

type color string

const (
	bold   color = "1"
	green  color = "1;32"
	red    color = "1;31"
	yellow color = "1;33"
)

func (s Style) paint(c color, text string) string {
	if !s.Color {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}

// page lays text out in lines of at most pageWidth columns.
type page struct {
	strings.Builder
	style Style
}

// section begins a part with its title.
func (p *page) section(title string) { p.WriteString("\n" + p.style.paint(bold, title) + "\n") }

// line writes one line, or several where it is too long; the later ones are indented to hang under the text.
func (p *page) line(lead, text string) {
	hang := strings.Repeat(" ", width(lead))
	for i, l := range wrap(text, pageWidth-width(lead)) {
		if i > 0 {
			lead = hang
		}
		p.WriteString(strings.TrimRight(lead+l, " ") + "\n")
	}
}

// labelled writes lines under one label of a fixed width.
func (p *page) labelled(indent, label string, texts ...string) {
	const room = 13
	for _, text := range texts {
		p.line(indent+pad(label, room), text)
		label = ""
	}
}

// table writes rows of cells: the first column to the left, the others to the right.
func (p *page) table(rows [][]string) {
	widths := columns(rows)
	for _, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			switch {
			case i == 0:
				b.WriteString("  " + pad(cell, widths[i]))
			default:
				b.WriteString("  " + strings.Repeat(" ", widths[i]-width(cell)) + cell)
			}
		}
		p.WriteString(strings.TrimRight(b.String(), " ") + "\n")
	}
}

func columns(rows [][]string) []int {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], width(cell))
		}
	}
	return widths
}

func width(s string) int { return utf8.RuneCountInString(s) }

func pad(s string, to int) string { return s + strings.Repeat(" ", max(0, to-width(s))) }

// wrap breaks a text at its spaces into lines of at most so many columns; a longer word stands alone.
func wrap(text string, columns int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case width(line)+1+width(word) <= columns:
			line += " " + word
		default:
			lines, line = append(lines, line), word
		}
	}
	return append(lines, line)
}

// number is a count with its thousands apart.
func number[T uint64 | int](n *T) string {
	if n == nil {
		return unknown
	}
	return humanize.Comma(int64(*n))
}

// rate is a figure a second: whole from a hundred on, with one decimal below.
func rate(f *float64) string {
	switch {
	case f == nil:
		return unknown
	case *f >= 100:
		return humanize.Comma(int64(*f + 0.5))
	default:
		return decimal(*f, 1)
	}
}

// decimal rounds to so many digits and leaves out what is zero behind the point.
func decimal(f float64, digits int) string {
	text := strconv.FormatFloat(f, 'f', digits, 64)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}

// duration gives three digits or so, in the unit that suits: 850µs, 41.2ms, 6.12s, 2m10s.
func duration(d time.Duration) string {
	for _, unit := range []time.Duration{time.Microsecond, time.Millisecond, time.Second} {
		switch {
		case d < 10*unit:
			return d.Round(unit / 100).String()
		case d < 100*unit:
			return d.Round(unit / 10).String()
		case d < 1000*unit:
			return d.Round(unit).String()
		}
	}
	return d.Round(time.Second).String()
}

func millis(ms *int64) string {
	if ms == nil {
		return unknown
	}
	return duration(time.Duration(*ms) * time.Millisecond)
}

func micros(us *int64) string {
	if us == nil {
		return unknown
	}
	return duration(time.Duration(*us) * time.Microsecond)
}

// clock is a place in the run, from the start of the measured part.
func clock(ms int64) string {
	return (time.Duration(ms) * time.Millisecond).Round(10 * time.Millisecond).String()
}
