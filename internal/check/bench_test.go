package check

import (
	"os"
	"runtime"
	"testing"

	log "github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
)

// writeLong records a run of n records over 6 partitions, each sent, polled, handled and finally read.
func writeLong(b *testing.B, n int64) string {
	dir := b.TempDir()
	if err := os.Mkdir(rundir.History(dir), 0o755); err != nil {
		b.Fatal(err)
	}
	meta := goodRun().meta
	meta.Faults = nil
	if err := meta.Save(dir); err != nil {
		b.Fatal(err)
	}
	head := log.Header{Run: 7, Partitions: []string{"o/0", "o/1", "o/2", "o/3", "o/4", "o/5"}, Producers: []string{"p0"}}
	create := func(name string) *log.Writer {
		head.Self = log.Client{Name: name, Session: 1}
		w, err := log.Create(rundir.Log(dir, name, 1), head)
		if err != nil {
			b.Fatal(err)
		}
		return w
	}
	writers := map[string]*log.Writer{"p0": create("p0"), "c0": create("c0"), "final": create("final")}
	put := func(name string, o log.Op) {
		if err := writers[name].Append(&o); err != nil {
			b.Fatal(err)
		}
	}
	var batches [6][]log.Record
	flush := func(p int32, at int64) {
		for _, k := range []log.Kind{log.Poll, log.Process, log.FinalRead} {
			o := op(k)
			o.Partition, o.Records, o.Call, o.Return = p, batches[p], at, at
			name := "c0"
			if k == log.FinalRead {
				name, o.Pass, o.Reached = "final", 1, batches[p][len(batches[p])-1].Offset+1
				o.Call, o.Return = n*1000+at, n*1000+at
			} else {
				o.Group = "readers"
			}
			put(name, o)
		}
		batches[p] = batches[p][:0]
	}
	ends := op(log.Ends)
	for p := range int32(6) {
		ends.Offsets = append(ends.Offsets, log.PartitionOffset{Partition: p, Offset: (n + 5 - int64(p)) / 6})
	}
	put("final", ends)
	for i := range n {
		s := op(log.Send)
		p := int32(i % 6)
		s.Call, s.Return, s.Intended, s.Partition, s.Offset, s.Attempt = i*1000, i*1000+2_000_000, i*1000, p, i/6, 1
		s.Value = log.Value{Producer: 0, Session: 1, Seq: i}
		put("p0", s)
		batches[p] = append(batches[p], log.Record{Offset: i / 6, Value: s.Value, Intended: s.Intended})
		if len(batches[p]) == 500 {
			flush(p, s.Return)
		}
	}
	for p := range int32(6) {
		if len(batches[p]) > 0 {
			flush(p, n*1000)
		}
	}
	for _, w := range writers {
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
	return dir
}

// BenchmarkJudge judges a million records, each sent, polled, handled and finally read.
func BenchmarkJudge(b *testing.B) {
	const n = 1_000_000
	dir := writeLong(b, n)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	b.ResetTimer()
	for b.Loop() {
		if j, err := Dir(dir); err != nil || j.Verdict != Holds || j.Counts.Read != n {
			b.Fatalf("%v, %v, %q, %+v", err, j.Verdict, j.Reasons, j.Counts)
		}
	}
	b.StopTimer()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/record")
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/float64(b.N)/n, "B/record")
}
