package stats

import (
	"os"
	"testing"
	"time"

	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
)

func TestDirMeasuresARunDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(rundir.History(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	m := measuring(0, 1000)
	m.Version, m.Stage = 1, rundir.Complete
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
	f, err := Dir(dir)
	if err != nil || f.Throughput.Sent != 0 || f.Throughput.AckedPerS != nil || len(f.Warnings) != 1 {
		t.Fatalf("before anything is recorded: %+v, %v; want figures of nothing and a warning", f, err)
	}
	writeLog(t, dir, history.Client{Name: "p0", Session: 1}, send(0, 0, 100, 101, 105, history.OK), send(1, 0, 200, 200, 210, history.OK))
	writeLog(t, dir, history.Client{Name: "c0", Session: 1}, poll(106, record(0, 100)), poll(208, record(1, 200)))
	if f, err = Dir(dir); err != nil {
		t.Fatal(err)
	}
	if f.Throughput.Acked != 2 || f.Throughput.Read != 2 {
		t.Errorf("%+v, want 2 acknowledged and 2 read", f.Throughput)
	}
	wantQuantile(t, "end to end", &f.EndToEnd.Response, 1, 8*time.Millisecond, 0)
	wantQuantile(t, "end to end service", &f.EndToEnd.Service, 0, 5*time.Millisecond, 10*time.Microsecond)
}

func TestDirWithoutARunIsAnError(t *testing.T) {
	if _, err := Dir(t.TempDir()); err == nil {
		t.Error("an empty folder has figures")
	}
}

func writeLog(t testing.TB, dir string, self history.Client, all ...history.Op) {
	t.Helper()
	h := header("orders/0")
	h.Self = self
	w, err := history.Create(rundir.Log(dir, self.Name, int(self.Session)), h)
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		if err := w.Append(&all[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkDir measures a recorded run of a million operations and one fault, from its logs.
func BenchmarkDir(b *testing.B) {
	const records = 500_000
	dir := b.TempDir()
	if err := os.Mkdir(rundir.History(dir), 0o755); err != nil {
		b.Fatal(err)
	}
	m := measuring(0, records*0.01)
	m.Faults = []rundir.Fault{faultAt(1000, 2000)}
	if err := m.Save(dir); err != nil {
		b.Fatal(err)
	}
	sends, polls := make([]history.Op, records), make([]history.Op, records)
	for n := range records {
		at := float64(n) * 0.01
		sends[n], polls[n] = send(n, 0, at, at, at+3, history.OK), poll(at+4, record(n, at))
	}
	writeLog(b, dir, history.Client{Name: "p0", Session: 1}, sends...)
	writeLog(b, dir, history.Client{Name: "c0", Session: 1}, polls...)
	for b.Loop() {
		if _, err := Dir(dir); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(2*records), "ns/op-of-history")
}
