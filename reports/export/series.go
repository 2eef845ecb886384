package export

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/kbench/kbench/internal/rundir"
	"github.com/kbench/kbench/internal/stats"
)

// step is a row of the time series.
type step struct {
	*Run
	n int
	*stats.Point
}

func steps(r *Run) iter.Seq[step] {
	return func(yield func(step) bool) {
		for n := range r.Figures.Series.Points {
			if !yield(step{r, n, &r.Figures.Series.Points[n]}) {
				return
			}
		}
	}
}

// runTables are the tables of one run, in its folder.
func runTables(r *Run) []Table {
	return []Table{
		table("series", "One row a step of a run, from the start of the measured part to the last acknowledgement or read.", seriesFields(), steps(r)),
		sampledTable(r, ofProcess, "processes", "One row a step and process: what each used, as far as it was sampled.",
			"process", "kbench, which is all its processes together; its workers; broker 1, …; controller 100, …"),
		sampledTable(r, ofClient, "clients", "One row a step and place in the producers' client library: where a record waited, where the library tells.",
			"client", "producers: all together; producers to broker 1, …: their connections to one broker"),
		sampledTable(r, ofGroup, "groups", "One row a step and group: how far each was behind the log.", "group", "of consumers or processors"),
	}
}

// stepFields are the columns that tell which step a row is about.
func stepFields[R any](of func(R) step) []field[R] {
	return []field[R]{
		texts("run", "the run's name: that of its folder", func(r R) string { return of(r).Name }),
		reals("t_s", "start of the step, from the start of the measured part", func(r R) *float64 { s := of(r); return ptrTo(seconds(s.start() - s.Figures.Series.From)) }),
		instants("wall_time", "start of the step on the wall clock, UTC; unknown in runs recorded before kbench noted it", func(r R) *int64 { return of(r).wallTime() }),
		reals("step_s", "length of a step, the same throughout a run: 1 s, or more in runs longer than half an hour",
			func(r R) *float64 { return ptrTo(of(r).Figures.Series.Step.Seconds()) }),
	}
}

// seriesFields are the columns of the time series. Their names are a promise.
func seriesFields() []field[step] {
	return slices.Concat(stepFields(func(s step) step { return s }), []field[step]{
		reals("measured_s", "how much of the step lies in the measured part; 0 while only what is left is acknowledged and read", step.measured),
		texts("faults", "faults that lasted at any time in the step, from their injection to their heal, with '; ' between them", step.faults),

		counts("offered", "records due in the step", func(s step) uint64 { return s.Offered }),
		counts("failed", "of the records due in the step: those that certainly did not get into the log", func(s step) uint64 { return s.Failed }),
		counts("indeterminate", "of the records due in the step: those that nobody can tell of", func(s step) uint64 { return s.Indeterminate }),
		counts("sent", "records handed to the client library in the step", func(s step) uint64 { return s.Sent }),
		counts("acked", "acknowledgements that came in the step", func(s step) uint64 { return s.Acked }),
		integers("acked_bytes", "their records' values, without keys, headers and protocol", step.ackedBytes),
		integers("read", "first deliveries to any consumer or processor in the step; unknown where nobody read", step.read),
		integers("in_flight", "records without an outcome in the client library at the end of the step, the warm-up's included",
			func(s step) *int64 { return &s.InFlight }),
	},
		quantileFields("ack_response", "acknowledgement of records due in the step, from when each was due", func(s step) *stats.Interval { return &s.Ack.Response }),
		quantileFields("ack_service", "the same, from when each was sent", func(s step) *stats.Interval { return &s.Ack.Service }),
		quantileFields("end_to_end_response", "first delivery of records due in the step, from when each was due", func(s step) *stats.Interval { return &s.EndToEnd.Response }),
		quantileFields("end_to_end_service", "the same, from when each was sent", func(s step) *stats.Interval { return &s.EndToEnd.Service }),
		quantileFields("lag", "how late records due in the step were sent", func(s step) *stats.Interval { return &s.Lag }),
		sampledOnce(ofMachine), sampledOnce(ofCluster),
	)
}

// quantileFields are the quantiles of one latency in a step.
func quantileFields(name, about string, of func(step) *stats.Interval) []field[step] {
	var fields []field[step]
	for _, q := range []struct {
		name, text string
		share      float64
	}{{"p50", "median", 0.5}, {"p90", "90th percentile", 0.9}, {"p99", "99th percentile", 0.99}, {"p999", "99.9th percentile", 0.999}, {"max", "longest", 1}} {
		fields = append(fields, integers(name+"_"+q.name+"_us", fmt.Sprintf("%s, µs: %s", q.text, about), func(s step) *int64 {
			d, ok := of(s).Quantile(q.share)
			if !ok {
				return nil
			}
			return ptrTo(d.Microseconds())
		}))
	}
	return fields
}

// start of the step, ns on the run's clock.
func (s step) start() int64 { return s.Figures.Series.From + int64(s.n)*int64(s.Figures.Series.Step) }

func (s step) end() int64 { return s.start() + int64(s.Figures.Series.Step) }

func (s step) wallTime() *int64 { return s.wall(s.start()) }

func (s step) measured() *float64 {
	m := s.Figures.Measured
	return ptrTo(seconds(max(0, min(s.end(), m.To)-max(s.start(), m.From))))
}

func (s step) faults() string {
	var names []string
	for _, f := range s.Meta.Faults {
		if f.At < s.end() && (f.Healed == nil || *f.Healed >= s.start()) {
			names = append(names, strings.TrimSpace(f.Name+" "+f.Target))
		}
	}
	return strings.Join(names, "; ")
}

func (s step) ackedBytes() *int64 {
	switch l := s.Meta.Load; {
	case l.Measured:
		return &s.AckedBytes
	case l.RecordSize > 0: // an early run: all records have one size
		return ptrTo(int64(s.Acked) * int64(l.RecordSize))
	}
	return nil
}

func (s step) read() *uint64 {
	if !s.Figures.Polled {
		return nil
	}
	return &s.Read
}

// wall is the wall clock at a time on the run's; nil where that is not known.
func (r *Run) wall(ns int64) *int64 {
	if r.Meta.Clock.Wall == 0 {
		return nil
	}
	return ptrTo(r.Meta.Clock.Wall + ns)
}

func seconds(ns int64) float64 { return time.Duration(ns).Seconds() }

// sinceMeasured is a time on the run's clock in seconds from the start of the measured part.
func sinceMeasured(m rundir.Meta, ns int64) *float64 {
	return ptrTo(seconds(ns - m.Clock.MeasureStart))
}
