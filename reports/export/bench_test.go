package export

import (
	"io"
	"testing"

	"github.com/kbench/kbench/internal/history"
)

// hours is a run with as many steps as a series can have, some hundred records in each.
func hours(b *testing.B) *Run {
	m := meta()
	m.Faults, m.Clock.MeasureEnd, m.Clock.LoadEnd = nil, 1799*sec, 1799*sec
	var o ops
	for n := range int64(180_000) {
		due := sec + n*10*ms
		took := 2*ms + n*n%9973*10_000
		op := history.Op{Kind: history.Send, Outcome: history.OK, Value: history.Value{Session: 1, Seq: n}, Attempt: 1, Intended: due, Call: due + 20_000, Return: due + took}
		o = append(o, op, history.Op{Kind: history.Poll, Outcome: history.OK, Return: op.Return + ms, Records: []history.Record{{Value: op.Value, Intended: due}}})
	}
	return runOf(b, "hours", m, o)
}

func BenchmarkWrite(b *testing.B) {
	r := hours(b)
	series := runTables(r)[0]
	for name, write := range map[string]func(io.Writer) error{
		"csv":     func(w io.Writer) error { return WriteCSV(w, series) },
		"parquet": func(w io.Writer) error { return WriteParquet(w, series, "") },
		"hlog":    func(w io.Writer) error { return writeLog(w, r, distributions(&r.Figures), "") },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var written counter
			for b.Loop() {
				written = 0
				if err := write(&written); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(r.Figures.Series.Points)), "ns/step")
			b.ReportMetric(float64(written), "bytes")
		})
	}
}

type counter int

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
