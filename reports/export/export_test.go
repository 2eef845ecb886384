package export

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/kbench/kbench/internal/check"
	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
	"github.com/kbench/kbench/internal/stats"
	"github.com/kbench/kbench/reports"
)

var update = flag.Bool("update", false, "write golden files and docs anew")

const (
	ms  = int64(time.Millisecond)
	sec = int64(time.Second)
)

// ops is a history in memory.
type ops []history.Op

func (o ops) Each(visit func(*history.Op) error) error {
	slices.SortStableFunc(o, func(a, b history.Op) int { return cmp.Compare(a.Return, b.Return) })
	for i := range o {
		op := o[i]
		if err := visit(&op); err != nil {
			return err
		}
	}
	return nil
}

func meta() rundir.Meta {
	rate := 1000.0
	healed := 7 * sec
	return rundir.Meta{
		Version: rundir.Version, Kbench: "0.1.0", RunID: "00000000000000aa", Scenario: "outage", Repeat: 1, Seed: 42,
		Cell: map[string]string{"client.acks": "all"}, Guarantee: "at-least-once", Started: "2026-01-02T03:04:05Z", Stage: rundir.Complete,
		Cluster: rundir.ClusterInfo{Kind: "local", Software: "Apache Kafka", Version: "4.3.1", Mode: "kraft", Brokers: 3,
			Effective: map[string]string{"min.insync.replicas": "2"}},
		Client: rundir.ClientInfo{Driver: "confluent", Version: "confluent-kafka-go 2.15.0", Asked: map[string]string{"acks": "all"},
			Effective: map[string]string{"request.required.acks": "-1"}, Reader: "franz"},
		Machine: rundir.Machine{CPUs: 8, MemoryMiB: 16000, Kernel: "6.1.0"},
		Load:    rundir.LoadInfo{RatePerS: &rate, DurationMs: 8000, WarmupMs: 1000, RecordSize: 100, Measured: true},
		Clock:   rundir.Clock{Wall: 1_767_323_045_123_000_000, MeasureStart: sec, MeasureEnd: 9 * sec, LoadEnd: 9*sec + 50*ms},
		Faults: []rundir.Fault{{Name: "pause", Target: "broker 1", Asked: "leader(orders/0)", At: 5 * sec, Healed: &healed, Bit: true,
			Evidence: []string{"process 17 of broker 1 is paused", `it said "no", twice`}}},
		Workers:  []rundir.Worker{{Name: "p0", Session: 1, Role: "producer"}, {Name: "c0", Session: 1, Role: "consumer"}},
		Counters: map[string]uint64{"sent": 9000},
	}
}

// load is 1,000 records a second for nine seconds, of which those that are due in an outage wait for its end, one in 500
// fails, and one in 700 is never heard of again.
func load(m rundir.Meta, readers bool) ops {
	var o ops
	for n := range 9000 {
		due := int64(n) * ms
		op := history.Op{Kind: history.Send, Outcome: history.OK, Partition: 0, Value: history.Value{Session: 1, Seq: int64(n)}, Attempt: 1, Size: int64(80 + n%21),
			Intended: due, Call: due + 20_000 + int64(n%5)*10_000, Return: due + 2*ms + int64(n%7)*100_000}
		for _, f := range m.Faults {
			if f.At <= due && due < *f.Healed {
				op.Return = *f.Healed + ms
			}
		}
		switch {
		case n%500 == 499:
			op.Outcome = history.Failed
		case n%700 == 699:
			op.Outcome = history.Indeterminate
		}
		o = append(o, op)
		if readers && op.Outcome == history.OK {
			o = append(o, history.Op{Kind: history.Poll, Outcome: history.OK, Return: op.Return + ms,
				Records: []history.Record{{Value: op.Value, Intended: due}}})
		}
	}
	return o
}

func runOf(t testing.TB, name string, m rundir.Meta, o stats.Source) *Run {
	t.Helper()
	f, err := stats.Compute(o, history.Header{Version: 1, Partitions: []string{"orders/0"}, Producers: []string{"p0"}}, m, stats.OverTime)
	if err != nil {
		t.Fatal(err)
	}
	j := check.Judgement{Verdict: check.Holds, AsExpected: true, Guarantee: m.Guarantee, Expected: "holds",
		Findings: []check.Finding{{Anomaly: "lost-write", Decides: true, Checked: 9000}},
		Counts:   check.Counts{Sent: 9000, Acked: 8970, Failed: 18, Indeterminate: 12, Read: 8970}}
	return &Run{Name: name, Summary: reports.Summary{Document: reports.Build(m, j, f), Meta: m}, Figures: f}
}

func outage(t testing.TB) *Run {
	m := meta()
	return runOf(t, "001-outage", m, load(m, true))
}

// export writes runs in every form to one folder.
func export(t testing.TB, runs ...*Run) string {
	t.Helper()
	dir := t.TempDir()
	e, err := New(Folders{HDR: dir, CSV: dir, Parquet: dir}, "0.1.0")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range runs {
		if err := e.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; -update writes it anew. Now:\n%s", path, got)
	}
}

func TestTablesOfARun(t *testing.T) {
	dir := export(t, outage(t))
	for _, name := range []string{"runs", "latencies", "faults", "findings", "settings", "001-outage/series"} {
		b, err := os.ReadFile(filepath.Join(dir, name+".csv"))
		if err != nil {
			t.Fatal(err)
		}
		golden(t, filepath.Base(name)+".csv", b)
	}
	b, err := os.ReadFile(filepath.Join(dir, "001-outage", "ack.response.fault-1.during.hgrm"))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "ack.response.fault-1.during.hgrm", b)
}

func TestParquetSaysTheSameAsCSV(t *testing.T) {
	quiet := meta()
	quiet.Faults, quiet.Clock.Wall, quiet.Workers, quiet.Cell = nil, 0, quiet.Workers[:1], map[string]string{"client.linger.ms": "5"}
	dir := export(t, outage(t), runOf(t, "002-quiet", quiet, load(quiet, false)))
	for _, name := range []string{"runs", "latencies", "faults", "findings", "settings", "001-outage/series", "002-quiet/series"} {
		t.Run(name, func(t *testing.T) {
			names, want := readCSV(t, filepath.Join(dir, name+".csv"))
			gotNames, got := readParquet(t, filepath.Join(dir, name+".parquet"))
			if !slices.Equal(gotNames, names) {
				t.Fatalf("columns %v, want %v", gotNames, names)
			}
			if len(got) != len(want) || len(got) == 0 {
				t.Fatalf("%d rows, want %d", len(got), len(want))
			}
			for i := range want {
				for c := range names {
					if got[i][c] != want[i][c] {
						t.Errorf("row %d, %s: %q, in the CSV file %q", i+1, names[c], got[i][c], want[i][c])
					}
				}
			}
		})
	}
}

func readCSV(t *testing.T, path string) ([]string, [][]string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows[0], rows[1:]
}

// readParquet gives each value as CSV would have it, and null as nothing.
func readParquet(t *testing.T, path string) (names []string, rows [][]string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := parquet.NewReader(f)
	fields := r.Schema().Fields()
	for _, field := range fields {
		names = append(names, field.Name())
	}
	buffer := make([]parquet.Row, 1)
	for {
		n, err := r.ReadRows(buffer)
		if n == 1 {
			row := make([]string, len(names))
			for _, v := range buffer[0] {
				row[v.Column()] = parquetText(v, fields[v.Column()])
			}
			rows = append(rows, row)
		}
		if errors.Is(err, io.EOF) {
			return names, rows
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func parquetText(v parquet.Value, f parquet.Field) string {
	switch {
	case v.IsNull():
		return ""
	case f.Type().String() == parquet.Timestamp(parquet.Microsecond).Type().String():
		return time.UnixMicro(v.Int64()).UTC().Format(csvTime)
	case v.Kind() == parquet.Int64:
		return strconv.FormatInt(v.Int64(), 10)
	case v.Kind() == parquet.Double:
		return strconv.FormatFloat(v.Double(), 'f', -1, 64)
	case v.Kind() == parquet.Boolean:
		return strconv.FormatBool(v.Boolean())
	}
	return string(v.ByteArray())
}

// What nobody saw is empty, not 0.
func TestWhatIsNotKnownIsEmpty(t *testing.T) {
	m := meta()
	m.Clock.Wall, m.Workers, m.Load.RecordSize, m.Load.Measured, m.Faults = 0, m.Workers[:1], 0, false, nil
	r := runOf(t, "unread", m, load(m, false))
	r.Document.Counts = reports.Counts{}
	dir := export(t, r)
	unknown := map[string][]string{
		"unread/series": {"wall_time", "read", "acked_bytes", "end_to_end_response_p50_us", "end_to_end_service_max_us", "faults"},
		"runs":          {"sent", "acked", "lost", "read_per_s", "end_to_end_response_p99_us", "unavailable_ms", "recovered_ms", "record_size_bytes"},
	}
	for table, columns := range unknown {
		names, rows := readCSV(t, filepath.Join(dir, table+".csv"))
		for _, c := range columns {
			at := slices.Index(names, c)
			for i, row := range rows {
				if at < 0 || row[at] != "" {
					t.Errorf("%s row %d: %s is %q, want nothing", table, i+1, c, row[max(at, 0)])
				}
			}
		}
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "unread", "end_to_end*")); len(files) > 0 {
		t.Errorf("distributions of what was never counted: %v", files)
	}
}

func TestARunOfWhichNothingWasMeasured(t *testing.T) {
	m := meta()
	m.Stage, m.Clock, m.Faults = rundir.Interrupted, rundir.Clock{}, nil
	dir := export(t, runOf(t, "cut-off", m, ops{}))
	if _, rows := readCSV(t, filepath.Join(dir, "cut-off", "series.csv")); len(rows) != 0 {
		t.Errorf("%d steps", len(rows))
	}
	if _, rows := readCSV(t, filepath.Join(dir, "runs.csv")); len(rows) != 1 {
		t.Errorf("%d runs, want 1", len(rows))
	}
	if _, rows := readParquet(t, filepath.Join(dir, "cut-off", "series.parquet")); len(rows) != 0 {
		t.Errorf("%d steps in the Parquet file", len(rows))
	}
}

func TestNames(t *testing.T) {
	for name, c := range map[string]struct {
		dirs []string
		want string // joined, or the start of an error
	}{
		"one":                       {[]string{"runs/a"}, "a"},
		"with a slash":              {[]string{"runs/a/"}, "a"},
		"two of one name":           {[]string{"x/a", "y/a", "y/b"}, "x_a y_a b"},
		"twice the same":            {[]string{"x/a", "x/../x/a"}, "x/a and x/../x/a would both be exported as x_a"},
		"two whose parents do, too": {[]string{"1/x/a", "2/x/a"}, "1/x/a and 2/x/a would both be exported as x_a"},
	} {
		t.Run(name, func(t *testing.T) {
			names, err := Names(c.dirs)
			got := strings.Join(names, " ")
			if err != nil {
				got = err.Error()
			}
			if !strings.HasPrefix(got, c.want) {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestAFolderThatIsTheRunDirectoryIsRefused(t *testing.T) {
	runs := t.TempDir()
	dir := filepath.Join(runs, "a")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := (Folders{CSV: runs}).Apart([]string{dir}, []string{"a"}); err == nil {
		t.Error("the run directory would have been written to")
	}
	if err := (Folders{CSV: filepath.Join(runs, "out")}).Apart([]string{dir}, []string{"a"}); err != nil {
		t.Error(err)
	}
}

func TestOnlyOwnFilesAreReplaced(t *testing.T) {
	dir := t.TempDir()
	kept, replaced := filepath.Join(dir, "notes.txt"), filepath.Join(dir, "runs.csv")
	for _, path := range []string{kept, replaced} {
		if err := os.WriteFile(path, []byte("mine"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	e, err := New(Folders{CSV: dir}, "0.1.0")
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(kept); string(b) != "mine" {
		t.Errorf("another's file now says %q", b)
	}
	if b, _ := os.ReadFile(replaced); !strings.HasPrefix(string(b), "run,run_id,") {
		t.Errorf("%s says %q", replaced, b)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.tmp")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestAnErrorNamesTheFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "runs.csv"), 0o755); err != nil { // nothing can be renamed to it
		t.Fatal(err)
	}
	e, err := New(Folders{CSV: dir}, "0.1.0")
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "runs.csv")) {
		t.Errorf("%v, want an error that names the file", err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Folders{Parquet: file}, "0.1.0"); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("%v, want an error that names the file", err)
	}
}

func TestEveryValueIsOfItsColumnsKind(t *testing.T) {
	r := outage(t)
	all := []*summary{{name: r.Name, meta: r.Meta, doc: r.Document, latencies: latencies(r)}}
	kinds := map[string]Kind{"int64": Integer, "float64": Real, "string": Text, "bool": Flag, "time.Time": Instant}
	for _, table := range slices.Concat(summaryTables(all), runTables(r)) {
		for row := range table.Rows {
			for i, v := range row {
				if v != nil && kinds[fmt.Sprintf("%T", v)] != table.Columns[i].Kind {
					t.Fatalf("%s.%s is %s and has a value of type %T", table.Name, table.Columns[i].Name, table.Columns[i].Kind, v)
				}
			}
		}
	}
}

func TestWhatWasSampledStandsBesideTheLoad(t *testing.T) {
	r := outage(t)
	value := func(first float64) []float64 {
		v := make([]float64, len(r.Figures.Series.Points))
		for i := range v {
			v[i] = math.NaN()
		}
		v[0] = first
		return v
	}
	r.Figures.Series.Sampled = []stats.Column{
		{Of: ofMachine, Subject: "machine", Figure: "cpu", Values: value(1.5)},
		{Of: ofProcess, Subject: "kbench", Figure: "cpu", Values: value(0.25)},
		{Of: ofProcess, Subject: "kbench", Figure: "memory", Values: value(4096)},
		{Of: ofProcess, Subject: "broker 1", Figure: "cpu", Values: value(0.75)},
		{Of: ofClient, Subject: "producers to broker 1", Figure: "round_trip_p99", Values: value(1234)},
		{Of: ofCluster, Subject: "cluster", Figure: "under_replicated", Values: value(2)},
	}
	dir := filepath.Join(export(t, r), r.Name)
	for _, c := range []struct {
		table, column string
		of            string // a subject, where there are several
		first         string
	}{
		{"series", "machine_cpu_cores", "", "1.5"}, {"series", "cluster_under_replicated_partitions", "", "2"}, {"series", "machine_steal_cores", "", ""},
		{"processes", "cpu_cores", "kbench", "0.25"}, {"processes", "memory_bytes", "kbench", "4096"}, {"processes", "cpu_cores", "broker 1", "0.75"},
		{"processes", "memory_bytes", "broker 1", ""}, {"clients", "round_trip_p99_us", "producers to broker 1", "1234"},
	} {
		names, rows := readCSV(t, filepath.Join(dir, c.table+".csv"))
		at := slices.Index(names, c.column)
		if at < 0 {
			t.Errorf("%s has no column %s", c.table, c.column)
			continue
		}
		rows = slices.DeleteFunc(rows, func(row []string) bool { return c.of != "" && !slices.Contains(row, c.of) })
		if len(rows) != len(r.Figures.Series.Points) || rows[0][at] != c.first || rows[1][at] != "" {
			t.Errorf("%s.%s of %q: %d rows, %v, then %q", c.table, c.column, c.of, len(rows), rows[0][at], rows[1][at])
		}
	}
}
