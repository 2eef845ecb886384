package export

import (
	"iter"
	"math"
	"strings"

	"github.com/kbench/kbench/internal/stats"
)

// Kinds of subject in stats.Glossary.
const (
	ofMachine = "machine"
	ofProcess = "process"
	ofClient  = "producers"
	ofCluster = "cluster"
	ofGroup   = "group"
)

// sampledOnce are the columns of what there is one of in a run: its machine, its cluster.
func sampledOnce(kind string) []field[step] {
	return sampled(kind, kind+"_", func(s step) (step, string) { return s, kind })
}

// seen is a row of what was sampled of one of several subjects in a step.
type seen struct {
	step
	subject string
}

// sampledTable has a row for each step and subject of a kind.
func sampledTable(r *Run, kind, name, about, subject, says string) Table {
	fields := append(stepFields(func(s seen) step { return s.step }), texts(subject, says, func(s seen) string { return s.subject }))
	return table(name, about, append(fields, sampled(kind, "", func(s seen) (step, string) { return s.step, s.subject })...), subjects(r, kind))
}

// subjects are all of a kind, in each step.
func subjects(r *Run, kind string) iter.Seq[seen] {
	var names []string
	for _, c := range r.Figures.Series.Sampled {
		if c.Of == kind && (len(names) == 0 || names[len(names)-1] != c.Subject) { // those of one subject stand together
			names = append(names, c.Subject)
		}
	}
	return func(yield func(seen) bool) {
		for s := range steps(r) {
			for _, name := range names {
				if !yield(seen{s, name}) {
					return
				}
			}
		}
	}
}

// sampled are the columns of a kind's figures; of says whose a row's are.
func sampled[R any](kind, prefix string, of func(R) (step, string)) []field[R] {
	var fields []field[R]
	for _, w := range stats.Glossary() {
		if w.Of != kind {
			continue
		}
		fields = append(fields, reals(withUnit(prefix+w.Figure, w.Unit), strings.TrimPrefix(w.Says, "+ "), func(row R) *float64 {
			s, subject := of(row)
			return s.sampled(subject, w.Figure)
		}))
	}
	return fields
}

// withUnit ends a name with its unit, once.
func withUnit(name, unit string) string {
	unit = strings.ReplaceAll(unit, "/s", "_per_s")
	if strings.HasSuffix(name, "_"+unit) {
		return name
	}
	return name + "_" + unit
}

// sampled is what a figure was in the step; nil where nobody saw it.
func (s step) sampled(subject, figure string) *float64 {
	for _, c := range s.Figures.Series.Sampled {
		if c.Subject == subject && c.Figure == figure && s.n < len(c.Values) && !math.IsNaN(c.Values[s.n]) {
			return &c.Values[s.n]
		}
	}
	return nil
}
