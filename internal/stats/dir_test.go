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

// What the run does not know of a client is no reason to pass over what it did.
func TestDirReadsTheLogsOfClientsThatTheRunDoesNotKnow(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(rundir.History(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	m := measuring(0, 1000)
	m.Faults = []rundir.Fault{faultAt(100, 200)}
	m.Workers = []rundir.Worker{{Name: "c0", Session: 1, Role: "consumer"}, {Name: "final", Session: 1, Role: "producer"}}
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
	writeLog(t, dir, history.Client{Name: "p0", Session: 1}, send(0, 0, 100, 101, 105, history.OK))
	writeLog(t, dir, history.Client{Name: "final", Session: 1}, send(1, 0, 150, 151, 450, history.OK)) // a producer of that name
	writeLog(t, dir, history.Client{Name: "c0", Session: 1}, poll(106, record(0, 100)))
	writeLog(t, dir, history.Client{Name: "c0", Session: 2}, poll(460, record(1, 150))) // started meanwhile
	f, err := Dir(dir)
	if err != nil || f.Throughput.Acked != 2 || f.Throughput.Read != 2 {
		t.Errorf("%+v, %v, want 2 acknowledged and 2 read", f.Throughput, err)
	}
	if u := f.Faults[0].Unavailable; u == nil || *u < 300*time.Millisecond {
		t.Errorf("unavailable %v, want the 300 ms of a producer whose name is the reader's", u)
	}
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

// BenchmarkDir measures a recorded run of a million operations and one fault, from its logs: the usual figures, and with
// those over time.
func BenchmarkDir(b *testing.B) {
	const records = 500_000
	dir := b.TempDir()
	if err := os.Mkdir(rundir.History(dir), 0o755); err != nil {
		b.Fatal(err)
	}
	m := measuring(0, records*0.01)
	m.Faults = []rundir.Fault{faultAt(1000, 2000)}
	m.Workers = []rundir.Worker{{Name: "p0", Session: 1, Role: "producer"}, {Name: "c0", Session: 1, Role: "consumer"}}
	if err := m.Save(dir); err != nil {
		b.Fatal(err)
	}
	sends, polls := make([]history.Op, records), make([]history.Op, records)
	for n := range records {
		at := float64(n) * 0.01
		took := 3 + float64(n%1000)/100
		sends[n], polls[n] = send(n, 0, at, at, at+took, history.OK), poll(at+took+1, record(n, at))
	}
	writeLog(b, dir, history.Client{Name: "p0", Session: 1}, sends...)
	writeLog(b, dir, history.Client{Name: "c0", Session: 1}, polls...)
	for i := range polls {
		polls[i].Kind, polls[i].Partition = history.FinalRead, 0
	}
	writeLog(b, dir, history.Client{Name: rundir.FinalReader, Session: 1}, polls...)
	for name, options := range map[string][]Option{"figures": nil, "over time": {OverTime}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Dir(dir, options...); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/records, "ns/record")
		})
	}
}
