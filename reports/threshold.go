package reports

import (
	"fmt"
	"strings"
	"time"

	"github.com/kbench/kbench/scenarios"
)

// evaluate measures each threshold against the document's own figures. One whose figure is not known is not met: what was
// not measured was not shown. The second result says what could not be evaluated.
func evaluate(texts []string, d Document) ([]Threshold, []string) {
	results, warnings := []Threshold{}, []string(nil)
	for _, text := range texts {
		result := Threshold{Expr: text}
		t, err := scenarios.ParseThreshold(text)
		switch figure, unit := d.figure(t.Metric); {
		case err != nil:
			warnings = append(warnings, fmt.Sprintf("threshold %q: %v", text, err))
		case figure == nil:
			warnings = append(warnings, fmt.Sprintf("threshold %q counts as not met: %s is not known", text, t.Metric))
		default:
			result.OK = compare(*figure, t.Op, t.Value)
			published := *figure / unit
			result.Value = &published
		}
		results = append(results, result)
	}
	return results, warnings
}

func compare(figure float64, op string, bound float64) bool {
	switch op {
	case "<":
		return figure < bound
	case "<=":
		return figure <= bound
	case ">":
		return figure > bound
	case ">=":
		return figure >= bound
	}
	return false
}

// figure is a metric in its base unit, nil where it is not known, and how many of these make the published unit: times
// are published in milliseconds.
func (d Document) figure(metric string) (value *float64, unit float64) {
	if of, rest, ok := strings.Cut(metric, "."); ok && (of == "ack" || of == "e2e") {
		return d.latency(of, rest), 1000
	}
	t, c := d.Throughput, d.Counts
	switch metric {
	case "throughput":
		return t.AckedPerS, 1
	case "throughput.offered":
		return t.OfferedPerS, 1
	case "throughput.read":
		return t.ReadPerS, 1
	case "throughput.mib":
		return t.AckedMiBPerS, 1
	case "unavailable":
		return worst(d.Faults, func(f Fault) *int64 { return f.UnavailableMs }), 1
	case "recovered":
		return worst(d.Faults, func(f Fault) *int64 { return f.RecoveredMs }), 1
	}
	counts := map[string]*uint64{"sent": c.Sent, "acked": c.Acked, "failed": c.Failed, "indeterminate": c.Indeterminate,
		"read": c.Read, "lost": c.Lost, "duplicated": c.Duplicated}
	return float(counts[metric]), 1
}

// latency reads "p99" or "service.p99" of an acknowledgement's or an end-to-end latency.
func (d Document) latency(of, rest string) *float64 {
	l := d.Latency.Ack
	if of == "e2e" {
		l = d.Latency.EndToEnd
	}
	q, quantile := l.Response, rest
	if kind, name, ok := strings.Cut(rest, "."); ok {
		quantile = name
		if kind == "service" {
			q = l.Service
		}
	}
	return float(map[string]*int64{"p50": q.P50, "p90": q.P90, "p95": q.P95, "p99": q.P99, "p999": q.P999, "p9999": q.P9999, "max": q.Max}[quantile])
}

// worst is the largest figure of all faults; nil where there is no fault, or one whose figure is not known.
func worst(faults []Fault, of func(Fault) *int64) *float64 {
	var most *float64
	for _, f := range faults {
		v := float(of(f))
		if v == nil {
			return nil
		}
		if most == nil || *v > *most {
			most = v
		}
	}
	return most
}

func float[T int64 | uint64](n *T) *float64 {
	if n == nil {
		return nil
	}
	f := float64(*n)
	return &f
}

// measured is the figure in words, in its own unit.
func (t Threshold) measured() string {
	if t.Value == nil {
		return unknown
	}
	known, err := scenarios.ParseThreshold(t.Expr)
	if err != nil {
		return decimal(*t.Value, 2)
	}
	for _, m := range scenarios.Metrics() {
		switch {
		case m.Name != known.Metric:
		case m.Unit == scenarios.Microseconds, m.Unit == scenarios.Milliseconds:
			return duration(time.Duration(*t.Value * float64(time.Millisecond)))
		case m.Unit == scenarios.PerSecond, m.Unit == scenarios.MiBPerSecond:
			return decimal(*t.Value, 1) + string(m.Unit)
		}
	}
	return decimal(*t.Value, 0)
}
