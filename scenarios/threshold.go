package scenarios

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Units of a threshold's metric: what its value is written in, and the base unit that it is turned into.
type Unit string

const (
	Microseconds Unit = "µs"    // latencies: 50ms is 50,000
	Milliseconds Unit = "ms"    // unavailable, recovered: 5s is 5,000
	PerSecond    Unit = "/s"    // records a second
	MiBPerSecond Unit = "MiB/s" // 10MiB/s is 10
	Count        Unit = "count"
)

// Metric that a threshold can bound. Names without .service are response times, from the intended start.
type Metric struct {
	Name string
	Unit Unit
}

// Metrics that thresholds know. throughput is acknowledged records; unavailable is the longest time without an
// acknowledgement and recovered the time until the last partition took records again, over all faults.
func Metrics() []Metric {
	var all []Metric
	for _, of := range []string{"ack", "e2e"} {
		for _, kind := range []string{"", ".response", ".service"} {
			for _, q := range []string{"p50", "p90", "p95", "p99", "p999", "p9999", "max"} {
				all = append(all, Metric{of + kind + "." + q, Microseconds})
			}
		}
	}
	return append(all, Metric{"throughput", PerSecond}, Metric{"throughput.offered", PerSecond}, Metric{"throughput.read", PerSecond},
		Metric{"throughput.mib", MiBPerSecond}, Metric{"unavailable", Milliseconds}, Metric{"recovered", Milliseconds},
		Metric{"sent", Count}, Metric{"acked", Count}, Metric{"failed", Count}, Metric{"indeterminate", Count}, Metric{"read", Count},
		Metric{"lost", Count}, Metric{"duplicated", Count})
}

var thresholdForm = regexp.MustCompile(`^\s*([a-zA-Z0-9_.]+)\s*(<=|>=|<|>)\s*(\S+)\s*$`)

// ParseThreshold reads ack.p99 < 50ms, throughput > 4900/s, throughput > 10MiB/s, lost <= 0.
func ParseThreshold(s string) (Threshold, error) {
	m := thresholdForm.FindStringSubmatchIndex(s)
	if m == nil {
		return Threshold{}, wrong("", "expected a threshold such as 'ack.p99 < 50ms' or 'throughput > 4900/s', found %q", s)
	}
	name, op, value := s[m[2]:m[3]], s[m[4]:m[5]], s[m[6]:m[7]]
	metric, unknown := metricNamed(name)
	if unknown != nil {
		return Threshold{}, unknown.at(len([]rune(s[:m[2]])))
	}
	if name == "throughput" && strings.HasSuffix(value, "B/s") {
		metric = Metric{"throughput.mib", MiBPerSecond}
	}
	v, err := metric.Unit.parse(value)
	if err != nil {
		return Threshold{}, err.at(len([]rune(s[:m[6]])))
	}
	return Threshold{Metric: metric.Name, Op: op, Value: v, Text: strings.TrimSpace(s)}, nil
}

func metricNamed(name string) (Metric, *mistake) {
	metrics := Metrics()
	for _, name := range []string{name, "ack." + name} { // p99 alone is that of the acknowledgements
		if at := slices.IndexFunc(metrics, func(known Metric) bool { return known.Name == name }); at >= 0 {
			return metrics[at], nil
		}
	}
	var names []string
	for _, known := range metrics {
		names = append(names, known.Name)
	}
	hint := didYouMean(name, names)
	if hint == "" {
		hint = "known: ack|e2e[.response|.service].p50|p90|p95|p99|p999|p9999|max, throughput[.offered|.read], unavailable, recovered, sent, acked, failed, indeterminate, read, lost, duplicated"
	}
	return Metric{}, wrong(hint, "%q is no metric", name)
}

// parse turns a value with its unit into the metric's base unit.
func (u Unit) parse(s string) (float64, *mistake) {
	switch u {
	case Microseconds, Milliseconds:
		d, err := time.ParseDuration(s)
		if bareNumber.MatchString(s) {
			return 0, wrong("write "+s+"ms", "expected a duration such as 50ms, %q has no unit", s)
		}
		if err != nil || d < 0 {
			return 0, wrong("", "expected a duration such as 50ms, found %q", s)
		}
		if u == Milliseconds {
			return float64(d) / float64(time.Millisecond), nil
		}
		return float64(d) / float64(time.Microsecond), nil
	case MiBPerSecond:
		size, err := parseSize(strings.TrimSuffix(s, "/s"))
		if err != nil || !strings.HasSuffix(s, "/s") {
			return 0, wrong("", "expected a throughput such as 4900/s or 10MiB/s, found %q", s)
		}
		return float64(size) / (1 << 20), nil
	case PerSecond:
		if bareNumber.MatchString(s) {
			return 0, wrong("write "+s+"/s", "expected a throughput such as 4900/s or 10MiB/s, %q has no unit", s)
		}
		return parseFinite(strings.TrimSuffix(s, "/s"), "a throughput such as 4900/s or 10MiB/s", s)
	}
	return parseFinite(s, "a number", s)
}

func parseFinite(s, want, found string) (float64, *mistake) {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || n < 0 || math.IsInf(n, 0) || math.IsNaN(n) {
		return 0, wrong("", "expected %s, found %q", want, found)
	}
	return n, nil
}

// String is the threshold as written.
func (t Threshold) String() string { return t.Text }
