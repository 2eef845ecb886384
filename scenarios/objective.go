package scenarios

import (
	"regexp"
	"strings"
)

// Objective is what the cells of a matrix are ranked by: the highest or the lowest of a metric among the cells that keep
// the limits. The zero value is no objective.
type Objective struct {
	Metric string
	Max    bool
	Limits []Threshold // as thresholds, but a cell that misses one is out of the ranking, and nothing else follows
	Text   string      // as written
}

// Given tells whether there is one.
func (o Objective) Given() bool { return o.Metric != "" }

// Better tells whether figure a is better than b.
func (o Objective) Better(a, b float64) bool {
	if o.Max {
		return a > b
	}
	return a < b
}

// String is the objective as written.
func (o Objective) String() string { return o.Text }

// Objective of the scenario: its own, else the throughput where the load goes flat out, else the 99th percentile of the
// time to the acknowledgement.
func (s Scenario) RankedBy() Objective {
	switch {
	case s.Objective.Given():
		return s.Objective
	case s.Load.Max:
		return Objective{Metric: "throughput", Max: true, Text: "max throughput"}
	}
	return Objective{Metric: "ack.p99", Text: "min ack.p99"}
}

var (
	objectiveForm = regexp.MustCompile(`^\s*(\S+)\s+(\S+)(\s+where\s+(.*?))?\s*$`)
	conjunction   = regexp.MustCompile(`\s+and\s+`)
)

const objectiveExample = "an objective such as 'max throughput', 'min ack.p99' or 'max throughput where ack.p99 < 50ms'"

// ParseObjective reads max throughput, min ack.p99, max throughput where ack.p99 < 50ms and lost <= 0.
func ParseObjective(s string) (Objective, error) {
	m := objectiveForm.FindStringSubmatchIndex(s)
	if m == nil {
		return Objective{}, wrong("", "expected %s, found %q", objectiveExample, s)
	}
	goal, name := s[m[2]:m[3]], s[m[4]:m[5]]
	if goal != "max" && goal != "min" {
		return Objective{}, wrong(didYouMean(goal, []string{"max", "min"}), "expected %s, found %q", objectiveExample, s).at(len([]rune(s[:m[2]])))
	}
	if _, err := metricNamed(name); err != nil {
		return Objective{}, err.at(len([]rune(s[:m[4]])))
	}
	o := Objective{Metric: name, Max: goal == "max", Text: strings.Join(strings.Fields(s), " ")}
	if m[8] < 0 {
		return o, nil
	}
	from := m[8]
	for _, limit := range conjunction.Split(s[m[8]:m[9]], -1) {
		at := from + strings.Index(s[from:], limit)
		t, err := ParseThreshold(limit)
		if err != nil {
			return Objective{}, further(err, len([]rune(s[:at])))
		}
		o.Limits, from = append(o.Limits, t), at+len(limit)
	}
	return o, nil
}

// further moves where a mistake points, for one within a part of a value.
func further(err error, by int) error {
	if m, ok := err.(*mistake); ok {
		return m.at(m.offset + by)
	}
	return err
}
