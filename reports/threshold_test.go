package reports

import (
	"strings"
	"testing"

	"github.com/kbench/kbench/scenarios"
)

func ptr[T any](v T) *T { return &v }

// measuredRun knows every figure that a threshold can bound.
func measuredRun() Document {
	d := empty()
	q := Quantiles{P50: ptr(int64(1000)), P90: ptr(int64(2000)), P95: ptr(int64(3000)), P99: ptr(int64(41_200)), P999: ptr(int64(60_000)), P9999: ptr(int64(70_000)), Max: ptr(int64(80_000)), Count: 10}
	service := q
	service.P99 = ptr(int64(9_000))
	d.Latency.Ack = Latency{Response: q, Service: service}
	d.Latency.EndToEnd = d.Latency.Ack
	d.Throughput = Throughput{OfferedPerS: ptr(5000.0), AckedPerS: ptr(4990.0), AckedMiBPerS: ptr(4.87), ReadPerS: ptr(4980.0)}
	n := ptr(uint64(7))
	d.Counts = Counts{Sent: n, Acked: n, Indeterminate: n, Failed: n, Read: n, Lost: ptr(uint64(0)), Duplicated: n}
	d.Faults = []Fault{{UnavailableMs: ptr(int64(6120)), RecoveredMs: ptr(int64(6900))}, {UnavailableMs: ptr(int64(40)), RecoveredMs: ptr(int64(0))}}
	return d
}

func TestThresholds(t *testing.T) {
	for _, c := range []struct {
		expr  string
		value *float64
		ok    bool
	}{
		{"ack.p99 < 50ms", ptr(41.2), true},
		{"ack.p99 < 41.2ms", ptr(41.2), false},
		{"ack.p99 <= 41.2ms", ptr(41.2), true},
		{"ack.response.p99 < 1s", ptr(41.2), true},
		{"ack.service.p99 < 10ms", ptr(9.0), true},
		{"e2e.max < 50ms", ptr(80.0), false},
		{"throughput > 4900/s", ptr(4990.0), true},
		{"throughput >= 4990.5/s", ptr(4990.0), false},
		{"throughput > 4MiB/s", ptr(4.87), true},
		{"throughput.read > 5000/s", ptr(4980.0), false},
		{"lost <= 0", ptr(0.0), true},
		{"duplicated < 7", ptr(7.0), false},
		{"unavailable < 5s", ptr(6120.0), false},
		{"recovered < 7s", ptr(6900.0), true},
		{"ack.p98 < 50ms", nil, false}, // no such metric
		{"nonsense", nil, false},
	} {
		t.Run(c.expr, func(t *testing.T) {
			results, warnings := evaluate([]string{c.expr}, measuredRun())
			got := results[0]
			if got.OK != c.ok || (got.Value == nil) != (c.value == nil) || got.Value != nil && *got.Value != *c.value {
				t.Errorf("%+v (value %v), want ok %v, value %v", got, got.Value, c.ok, c.value)
			}
			if (c.value == nil) != (len(warnings) == 1) {
				t.Errorf("warnings %q", warnings)
			}
		})
	}
}

func TestEveryMetricHasItsFigure(t *testing.T) {
	for _, m := range scenarios.Metrics() {
		if value, unit := measuredRun().figure(m.Name); value == nil || unit == 0 {
			t.Errorf("%s: no figure", m.Name)
		}
		if value, _ := empty().figure(m.Name); value != nil {
			t.Errorf("%s of a run of which nothing is known is %v, want unknown", m.Name, *value)
		}
	}
}

func TestAThresholdOnAnUnknownFigureIsNotMet(t *testing.T) {
	d := measuredRun()
	d.Faults[1].UnavailableMs = nil
	results, warnings := evaluate([]string{"unavailable < 1h"}, d)
	if results[0].OK || results[0].Value != nil || !strings.Contains(strings.Join(warnings, ""), "unavailable is not known") {
		t.Errorf("%+v, warnings %q; want not met, null, and a warning", results[0], warnings)
	}
}
