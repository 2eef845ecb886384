package export

import (
	"fmt"
	"math"

	"github.com/kbench/kbench/internal/stats"
	"github.com/kbench/kbench/reports"
)

// distribution is one latency of a run: of all its measured records, or of those due in one phase of a fault.
type distribution struct {
	of    string // ack, end_to_end, lag, failed, indeterminate
	since string // response: since the record was due; service: since it was sent
	phase string // whole, before, during, after
	fault int    // of the phase, counted from 1; 0: of the whole

	counts *stats.Histogram
	window stats.Window                       // in which its records were due
	step   func(*stats.Point) *stats.Interval // its part in a step of the series; nil: it has none
}

// name is its tag in a histogram log and its file's name: ack.response, end_to_end.service.fault-1.during.
func (d distribution) name() string {
	name := d.of
	if d.since != "" {
		name += "." + d.since
	}
	if d.fault > 0 {
		name += fmt.Sprintf(".fault-%d.%s", d.fault, d.phase)
	}
	return name
}

// distributions are all that a run has; those in which nothing was counted are left out.
func distributions(f *stats.Figures) []distribution {
	all := f.Measured
	list := []distribution{
		{of: "ack", since: "response", counts: &f.Ack.Response, step: func(p *stats.Point) *stats.Interval { return &p.Ack.Response }},
		{of: "ack", since: "service", counts: &f.Ack.Service, step: func(p *stats.Point) *stats.Interval { return &p.Ack.Service }},
		{of: "end_to_end", since: "response", counts: &f.EndToEnd.Response, step: func(p *stats.Point) *stats.Interval { return &p.EndToEnd.Response }},
		{of: "end_to_end", since: "service", counts: &f.EndToEnd.Service, step: func(p *stats.Point) *stats.Interval { return &p.EndToEnd.Service }},
		{of: "lag", counts: &f.Lag.All, step: func(p *stats.Point) *stats.Interval { return &p.Lag }},
		{of: "failed", since: "response", counts: &f.Failed},
		{of: "indeterminate", since: "response", counts: &f.Indeterminate},
	}
	for i := range list {
		list[i].phase, list[i].window = "whole", all
	}
	for i := range f.Faults {
		list = append(list, phases(&f.Faults[i], i+1, all)...)
	}
	var counted []distribution
	for _, d := range list {
		if d.counts.Count() > 0 {
			counted = append(counted, d)
		}
	}
	return counted
}

func phases(f *stats.Fault, number int, measured stats.Window) []distribution {
	var list []distribution
	for i, phase := range []struct {
		name   string
		window stats.Window
	}{
		stats.Before: {"before", stats.Window{From: measured.From, To: f.During.From}},
		stats.During: {"during", f.During},
		stats.After:  {"after", stats.Window{From: f.During.To, To: measured.To}},
	} {
		window := stats.Window{From: max(phase.window.From, measured.From), To: min(phase.window.To, measured.To)}
		of := &f.Phases[i]
		for _, l := range []struct {
			of      string
			latency *stats.Latency
		}{{"ack", &of.Ack}, {"end_to_end", &of.EndToEnd}} {
			list = append(list,
				distribution{of: l.of, since: "response", phase: phase.name, fault: number, counts: &l.latency.Response, window: window},
				distribution{of: l.of, since: "service", phase: phase.name, fault: number, counts: &l.latency.Service, window: window})
		}
	}
	return list
}

// latency is a row of the table of latencies: what is kept of a distribution.
type latency struct {
	run, of, since, phase string
	fault                 int
	from, to              float64 // s from the start of the measured part
	q                     reports.Quantiles
	mean                  float64 // µs
}

func latencies(r *Run) []latency {
	var rows []latency
	for _, d := range distributions(&r.Figures) {
		rows = append(rows, latency{
			run: r.Name, of: d.of, since: d.since, phase: d.phase, fault: d.fault,
			from: *sinceMeasured(r.Meta, d.window.From), to: *sinceMeasured(r.Meta, d.window.To),
			q: reports.QuantilesOf(d.counts), mean: math.Round(d.counts.Counts().Mean()) / 1000,
		})
	}
	return rows
}

func latencyFields() []field[latency] {
	fields := []field[latency]{
		texts("run", "", func(l latency) string { return l.run }),
		texts("latency", "ack: ok sends to their acknowledgement; end_to_end: records to their first delivery; lag: how late records were sent; "+
			"failed, indeterminate: sends without an acknowledgement, until that was known", func(l latency) string { return l.of }),
		texts("since", "response: since the record was due; service: since it was sent; empty for lag", func(l latency) string { return l.since }),
		texts("phase", "whole: of all records due in the measured part; before, during, after: of those due then, as seen from the fault", func(l latency) string { return l.phase }),
		integers("fault", "number of the phase's fault in the run, counted from 1; empty for the whole", func(l latency) *int { return positive(l.fault) }),
		reals("from_s", "start of the phase, from the start of the measured part", func(l latency) *float64 { return &l.from }),
		reals("to_s", "end of the phase, likewise", func(l latency) *float64 { return &l.to }),
		counts("count", "records counted", func(l latency) uint64 { return l.q.Count }),
	}
	for _, q := range documentQuantiles {
		fields = append(fields, integers(q.name+"_us", q.text+", µs", func(l latency) *int64 { return q.of(l.q) }))
	}
	return append(fields, reals("mean_us", "arithmetic mean, µs", func(l latency) *float64 { return &l.mean }))
}
