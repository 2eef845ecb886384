package check

import (
	"runtime"
	"testing"
)

// BenchmarkJudge judges a million records, each sent, polled, handled and finally read.
func BenchmarkJudge(b *testing.B) {
	const n = 1_000_000
	dir := b.TempDir()
	want := longRun{records: n, partitions: 6, producers: 4, consumers: 2, passes: 1}.write(b, dir)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	b.ResetTimer()
	for b.Loop() {
		if j, err := Dir(dir); err != nil || j.Verdict != Holds || j.Counts != want {
			b.Fatalf("%v, %v, %q, %+v", err, j.Verdict, j.Reasons, j.Counts)
		}
	}
	b.StopTimer()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/record")
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/float64(b.N)/n, "B/record")
}
