package reports

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// timeline draws what a witness tells: a line for each operation, in order, with its time, and beside them a bar for each
// fault from its beginning to its heal.
//
//	 5.010s  ┬  kill broker 1
//	 5.020s  │  p0 sends p0/1/17 to orders/0 ... ok after 14ms, offset 17
//	 5.900s  │  leader of orders/0 moved 1→2, epoch 0→1
//	11.060s  ┴  healed: kill broker 1
//	14.200s     final read, pass 1 ............. 17 holds p0/1/900, p0/1/17 is not there
func (p *page) timeline(indent string, ops []Operation) {
	if len(ops) == 0 {
		return
	}
	say := clockOf(ops)
	room, column := 0, 0
	for _, o := range ops {
		room = max(room, width(say(o.when())))
		if o.Result != "" {
			column = max(column, min(width(o.Text), maxTextColumn))
		}
	}
	b := newBars(ops)
	for _, o := range ops {
		time := say(o.when())
		row, below := b.row(o)
		lead := indent + strings.Repeat(" ", room-width(time)) + time + "  " + row
		p.told(lead, indent+strings.Repeat(" ", room+2)+below, o, column)
	}
}

// maxTextColumn is how far to the right results may be aligned.
const maxTextColumn = 52

// told writes one operation; lines after its first begin with below.
func (p *page) told(lead, below string, o Operation, column int) {
	const leastDots = 3
	room := pageWidth - width(lead) - width(o.Text) - width(o.Result) - 2
	if o.Result != "" && room >= leastDots {
		dots := strings.Repeat(".", min(max(column-width(o.Text), 0)+leastDots, room))
		p.WriteString(lead + o.Text + " " + dots + " " + o.Result + "\n")
		return
	}
	for _, l := range wrap(o.Text, pageWidth-width(lead)) {
		p.WriteString(strings.TrimRight(lead+l, " ") + "\n")
		lead = below
	}
	if o.Result == "" {
		return
	}
	below += "    "
	for _, l := range wrap(o.Result, pageWidth-width(below)) {
		p.WriteString(below + l + "\n")
	}
}

// when is where an operation stands in the order: a send when it was made, anything else when it was done.
func (o Operation) when() *float64 {
	if o.Op == "send" {
		return o.CallMs
	}
	return o.AtMs
}

// clockOf tells times in the unit that suits all of them.
func clockOf(ops []Operation) func(*float64) string {
	latest := 0.0
	for _, o := range ops {
		if ms := o.when(); ms != nil {
			latest = max(latest, math.Abs(*ms))
		}
	}
	return func(ms *float64) string {
		switch {
		case ms == nil:
			return ""
		case latest >= 100:
			return fmt.Sprintf("%.3fs", *ms/1e3)
		case latest >= 0.1:
			return fmt.Sprintf("%.3fms", *ms)
		default:
			return fmt.Sprintf("%.0fns", *ms*1e6)
		}
	}
}

// bars are the columns in which the faults of a timeline stand.
type bars struct {
	columns []int // the fault that a column shows now, -1: none
}

// newBars makes as many columns as there are faults at once.
func newBars(ops []Operation) *bars {
	b := &bars{}
	for _, o := range ops {
		b.row(o)
	}
	for i := range b.columns {
		b.columns[i] = -1
	}
	return b
}

// row is the drawing beside an operation, and beside the lines that continue it.
func (b *bars) row(o Operation) (row, below string) {
	at, mark := -1, ""
	if o.Fault != nil {
		at = slices.Index(b.columns, *o.Fault)
		switch {
		case o.Op == "fault" && at < 0:
			at, mark = b.free(), "┬"
			b.columns[at] = *o.Fault
		case o.Op == "healed" && at >= 0:
			mark = "┴"
		}
	}
	for i, fault := range b.columns {
		bar, more := " ", " "
		if fault >= 0 {
			bar, more = "│", "│"
		}
		if i == at && mark != "" {
			bar = mark
			if mark == "┴" {
				more = " "
				b.columns[i] = -1
			}
		}
		row, below = row+bar, below+more
	}
	if row != "" {
		row, below = row+"  ", below+"  "
	}
	return row, below
}

// free is a column that shows no fault.
func (b *bars) free() int {
	if i := slices.Index(b.columns, -1); i >= 0 {
		return i
	}
	b.columns = append(b.columns, -1)
	return len(b.columns) - 1
}
