package export

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kbench/kbench/internal/rundir"
	"github.com/kbench/kbench/internal/stats"
	"github.com/kbench/kbench/reports"
)

// Run is what is exported of one run.
type Run struct {
	Name string // of its folder: see Names
	reports.Summary
	Figures stats.Figures // with stats.OverTime
}

// summary is what is kept of a run once its own files are written.
type summary struct {
	name      string
	meta      rundir.Meta
	doc       reports.Document
	latencies []latency
}

// summaryTables are the tables with rows of all runs.
func summaryTables(runs []*summary) []Table {
	return []Table{
		table("runs", "One row a run: what ran, its verdict and its key figures.", append(runFields(), cellFields(runs)...), slices.Values(runs)),
		table("latencies", "One row a distribution of a run: whole, and before, during and after each fault.", latencyFields(), each(runs,
			func(s *summary) []latency { return s.latencies })),
		table("faults", "One row a fault of a run: when it struck, what showed it, what it cost.", faultFields(), each(runs, (*summary).faults)),
		table("findings", "One row an anomaly that was found in a run.", findingFields(), each(runs, (*summary).findings)),
		table("settings", "One row a setting of a run.", settingFields(), each(runs, (*summary).settings)),
	}
}

// each is what several runs have, one run after the other.
func each[R any](runs []*summary, of func(*summary) []R) func(func(R) bool) {
	return func(yield func(R) bool) {
		for _, s := range runs {
			for _, row := range of(s) {
				if !yield(row) {
					return
				}
			}
		}
	}
}

// runFields are the columns of the table of runs. Their names are a promise.
func runFields() []field[*summary] {
	return slices.Concat([]field[*summary]{
		texts("run", "the run's name: that of its folder", func(s *summary) string { return s.name }),
		texts("run_id", "its identity, 16 hex digits", func(s *summary) string { return s.meta.RunID }),
		texts("scenario", "", func(s *summary) string { return s.doc.Scenario }),
		integers("repeat", "counted from 1", func(s *summary) *int { return &s.doc.Repeat }),
		integers("seed", "", func(s *summary) *int64 { return &s.doc.Seed }),
		instants("started", "when it was begun, UTC", (*summary).started),
		texts("stage", "how far it came: complete, interrupted, failed, …", func(s *summary) string { return string(s.meta.Stage) }),
		texts("verdict", "holds, violated, inconclusive or unjudged", func(s *summary) string { return s.doc.Verdict }),
		texts("guarantee", "what it was judged by; empty: it was only measured", func(s *summary) string { return deref(s.doc.Guarantee.Name) }),
		texts("expected", "holds or violated", func(s *summary) string { return deref(s.doc.Guarantee.Expected) }),
		flags("as_expected", "whether the verdict is the expected one", func(s *summary) *bool { return &s.doc.AsExpected }),
		integers("exit_code", "kbench's exit code for it", func(s *summary) *int { return &s.doc.ExitCode }),
		integers("thresholds_missed", "", (*summary).missed),

		texts("cluster", "local, docker, embedded or external", func(s *summary) string { return s.doc.Cluster.Kind }),
		flags("simulated", "whether the cluster was a simulation: its latencies are its own", func(s *summary) *bool { return &s.doc.Cluster.Simulated }),
		texts("software", "", func(s *summary) string { return deref(s.doc.Cluster.Software) }),
		texts("version", "", func(s *summary) string { return deref(s.doc.Cluster.Version) }),
		texts("mode", "kraft or zookeeper", func(s *summary) string { return deref(s.doc.Cluster.Mode) }),
		integers("brokers", "", func(s *summary) *int { return s.doc.Cluster.Brokers }),
		texts("driver", "client library under test: confluent or franz", func(s *summary) string { return s.doc.Client.Driver }),
		texts("client_version", "", func(s *summary) string { return deref(s.doc.Client.Version) }),
		integers("cpus", "of the machine that the load ran on", func(s *summary) *int { return s.doc.Machine.CPUs }),
		integers("memory_mib", "likewise", func(s *summary) *int64 { return s.doc.Machine.MemoryMiB }),
		reals("planned_per_s", "planned rate of records; unknown: as fast as possible, or by steps", func(s *summary) *float64 { return s.meta.Load.RatePerS }),
		reals("planned_s", "planned length of the measured part", func(s *summary) *float64 { return positive(float64(s.meta.Load.DurationMs) / 1000) }),
		integers("record_size_bytes", "of a record's value; where sizes vary, of the largest", func(s *summary) *int { return positive(s.meta.Load.RecordSize) }),

		integers("sent", "records, warm-up included, like the counts below", func(s *summary) *uint64 { return s.doc.Counts.Sent }),
		integers("acked", "", func(s *summary) *uint64 { return s.doc.Counts.Acked }),
		integers("indeterminate", "", func(s *summary) *uint64 { return s.doc.Counts.Indeterminate }),
		integers("failed", "", func(s *summary) *uint64 { return s.doc.Counts.Failed }),
		integers("read", "", func(s *summary) *uint64 { return s.doc.Counts.Read }),
		integers("lost", "", func(s *summary) *uint64 { return s.doc.Counts.Lost }),
		integers("duplicated", "", func(s *summary) *uint64 { return s.doc.Counts.Duplicated }),

		reals("offered_per_s", "rate at which records were due in the measured part", func(s *summary) *float64 { return s.doc.Throughput.OfferedPerS }),
		reals("acked_per_s", "", func(s *summary) *float64 { return s.doc.Throughput.AckedPerS }),
		reals("acked_mib_per_s", "", func(s *summary) *float64 { return s.doc.Throughput.AckedMiBPerS }),
		reals("read_per_s", "", func(s *summary) *float64 { return s.doc.Throughput.ReadPerS }),
		texts("limited_by", "rate, broker or client; unknown where the evidence does not tell", func(s *summary) string { return deref(s.doc.Throughput.LimitedBy) }),
	},
		summaryQuantiles("ack_response", "acknowledgement, from when each record was due", func(d reports.Document) reports.Quantiles { return d.Latency.Ack.Response }),
		summaryQuantiles("ack_service", "acknowledgement, from when each record was sent", func(d reports.Document) reports.Quantiles { return d.Latency.Ack.Service }),
		summaryQuantiles("end_to_end_response", "first delivery, from when each record was due", func(d reports.Document) reports.Quantiles { return d.Latency.EndToEnd.Response }),
		summaryQuantiles("end_to_end_service", "first delivery, from when each record was sent", func(d reports.Document) reports.Quantiles { return d.Latency.EndToEnd.Service }),
		[]field[*summary]{
			integers("faults", "how many were injected", func(s *summary) *int { return ptrTo(len(s.doc.Faults)) }),
			integers("unavailable_ms", "longest time without an ok send on one partition, over all faults; unknown where it is of one of them",
				func(s *summary) *int64 {
					return worst(s.doc.Faults, func(f reports.Fault) *int64 { return f.UnavailableMs })
				}),
			integers("recovered_ms", "longest time from a fault until sends went on steadily; likewise",
				func(s *summary) *int64 {
					return worst(s.doc.Faults, func(f reports.Fault) *int64 { return f.RecoveredMs })
				}),
			integers("at_risk", "records that some fault could have hurt", func(s *summary) *uint64 { return s.doc.Sensitivity.AtRisk }),
			reals("loss_rate_seen_95", "the least rate of loss that would have been seen, with 95% confidence", func(s *summary) *float64 { return s.doc.Sensitivity.LossRateSeen95 }),
			integers("warnings", "how many the report has", func(s *summary) *int { return ptrTo(len(s.doc.Warnings)) }),
		})
}

func summaryQuantiles(name, about string, of func(reports.Document) reports.Quantiles) []field[*summary] {
	var fields []field[*summary]
	for _, q := range documentQuantiles {
		fields = append(fields, integers(name+"_"+q.name+"_us", q.text+", µs: "+about, func(s *summary) *int64 { return q.of(of(s.doc)) }))
	}
	return fields
}

var documentQuantiles = []struct {
	name, text string
	of         func(reports.Quantiles) *int64
}{
	{"p50", "median", func(q reports.Quantiles) *int64 { return q.P50 }},
	{"p90", "90th percentile", func(q reports.Quantiles) *int64 { return q.P90 }},
	{"p95", "95th percentile", func(q reports.Quantiles) *int64 { return q.P95 }},
	{"p99", "99th percentile", func(q reports.Quantiles) *int64 { return q.P99 }},
	{"p999", "99.9th percentile", func(q reports.Quantiles) *int64 { return q.P999 }},
	{"p9999", "99.99th percentile", func(q reports.Quantiles) *int64 { return q.P9999 }},
	{"max", "longest", func(q reports.Quantiles) *int64 { return q.Max }},
}

// cellFields are a column an axis of the matrices that the runs are cells of.
func cellFields(runs []*summary) []field[*summary] {
	axes := map[string]bool{}
	for _, s := range runs {
		for axis := range s.doc.Cell {
			axes[axis] = true
		}
	}
	var fields []field[*summary]
	for _, axis := range slices.Sorted(maps.Keys(axes)) {
		fields = append(fields, texts("cell."+axis, "the run's value on this axis of its matrix", func(s *summary) string { return s.doc.Cell[axis] }))
	}
	return fields
}

func (s *summary) started() *int64 {
	if s.meta.Clock.Wall != 0 {
		return &s.meta.Clock.Wall
	}
	t, err := time.Parse(time.RFC3339, s.meta.Started)
	if err != nil {
		return nil
	}
	return ptrTo(t.UnixNano())
}

func (s *summary) missed() *int {
	n := 0
	for _, t := range s.doc.Thresholds {
		if !t.OK {
			n++
		}
	}
	return &n
}

// fault is a row of the table of faults.
type fault struct {
	run string
	n   int // counted from 1
	of  reports.Fault
}

func (s *summary) faults() []fault {
	var rows []fault
	for i, f := range s.doc.Faults {
		rows = append(rows, fault{s.name, i + 1, f})
	}
	return rows
}

func faultFields() []field[fault] {
	return []field[fault]{
		texts("run", "", func(f fault) string { return f.run }),
		integers("fault", "its number in the run, counted from 1", func(f fault) *int { return &f.n }),
		texts("name", "kill, pause, …", func(f fault) string { return f.of.Name }),
		texts("target", "", func(f fault) string { return f.of.Target }),
		integers("at_ms", "injection, from the start of the measured part", func(f fault) *int64 { return &f.of.AtMs }),
		integers("healed_ms", "likewise; unknown where it never was", func(f fault) *int64 { return f.of.HealedMs }),
		flags("bit", "whether anything shows that it took effect", func(f fault) *bool { return &f.of.Bit }),
		integers("unavailable_ms", "longest time without an ok send on one partition", func(f fault) *int64 { return f.of.UnavailableMs }),
		integers("recovered_ms", "from the injection until sends went on steadily; unknown where that cannot be told, or never came", func(f fault) *int64 { return f.of.RecoveredMs }),
		integers("at_risk", "records that it could have hurt", func(f fault) *uint64 { return f.of.AtRisk }),
		reals("loss_rate_seen_95", "the least rate of loss that would have been seen, with 95% confidence", func(f fault) *float64 { return f.of.LossRateSeen95 }),
		texts("evidence", "what showed it, with '; ' between", func(f fault) string { return strings.Join(f.of.Evidence, "; ") }),
		texts("protection", "signs that the promise was defended, likewise", func(f fault) string { return strings.Join(f.of.Protection, "; ") }),
	}
}

// finding is a row of the table of findings.
type finding struct {
	run string
	of  reports.Finding
}

func (s *summary) findings() []finding {
	var rows []finding
	for _, f := range s.doc.Findings {
		rows = append(rows, finding{s.name, f})
	}
	return rows
}

func findingFields() []field[finding] {
	return []field[finding]{
		texts("run", "", func(f finding) string { return f.run }),
		texts("anomaly", "", func(f finding) string { return f.of.Anomaly }),
		flags("decides", "whether it decides against the guarantee", func(f finding) *bool { return &f.of.Decides }),
		counts("count", "how often it was found", func(f finding) uint64 { return f.of.Count }),
		counts("checked", "in how many cases it was looked for", func(f finding) uint64 { return f.of.Checked }),
	}
}

// setting is a row of the table of settings.
type setting struct{ run, scope, name, value string }

func (s *summary) settings() []setting {
	var rows []setting
	for _, of := range []struct {
		scope  string
		values map[string]string
	}{
		{"cell", s.doc.Cell}, {"client", s.doc.Client.Asked}, {"client-effective", s.doc.Client.Effective}, {"cluster", s.doc.Cluster.Effective},
	} {
		for _, name := range slices.Sorted(maps.Keys(of.values)) {
			rows = append(rows, setting{s.name, of.scope, name, of.values[name]})
		}
	}
	return rows
}

func settingFields() []field[setting] {
	return []field[setting]{
		texts("run", "", func(s setting) string { return s.run }),
		texts("scope", "cell: its place in the matrix; client: the producers', in Kafka's names; client-effective: in the library's; cluster: as read back from the cluster",
			func(s setting) string { return s.scope }),
		texts("name", "", func(s setting) string { return s.name }),
		texts("value", "", func(s setting) string { return s.value }),
	}
}

// worst is the largest figure of all faults; nil where there is no fault, or one whose figure is not known.
func worst(faults []reports.Fault, of func(reports.Fault) *int64) *int64 {
	var most *int64
	for _, f := range faults {
		v := of(f)
		if v == nil {
			return nil
		}
		if most == nil || *v > *most {
			most = v
		}
	}
	return most
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// positive is nil for 0, which stands for what is not known.
func positive[N int | int64 | float64](n N) *N {
	if n == 0 {
		return nil
	}
	return &n
}
