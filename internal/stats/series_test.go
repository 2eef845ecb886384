package stats

import (
	"testing"
	"time"

	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
)

func overTime(t *testing.T, o ops, m rundir.Meta) (Figures, Series) {
	t.Helper()
	f, err := Compute(o, header("orders/0"), m, OverTime)
	if err != nil {
		t.Fatal(err)
	}
	return f, f.Series
}

func TestSeriesPutsLatencyWhereItWasIntendedAndEventsWhereTheyCame(t *testing.T) {
	o := ops{
		send(0, 0, 900, 900, 1400, history.OK), // the warm-up's, still on its way
		send(1, 0, 1000, 1001, 1001.5, history.OK),
		send(2, 0, 1500, 1500, 3500, history.OK),
		send(3, 0, 1600, 2100, 2200, history.OK), // the sender was held up
		send(4, 0, 2500, 2500, 2600, history.Failed),
		send(5, 0, 2700, 2700, 3600, history.Indeterminate),
		poll(1300, record(0, 900), record(1, 1000)),
		poll(3700, record(2, 1500)),
		poll(3800, record(2, 1500)), // once more
	}
	_, s := overTime(t, o, measuring(1000, 3000))
	if s.Step != time.Second || s.From != 1000*ms || len(s.Points) != 3 {
		t.Fatalf("from %d in steps of %v, %d points, want from 1 s, 1s and 3", s.From, s.Step, len(s.Points))
	}
	type row struct {
		offered, failed, indeterminate, sent, acked, read uint64
		flying                                            int64
		acks, deliveries, lags                            uint64
	}
	for i, want := range []row{
		{offered: 3, sent: 2, acked: 1, read: 1, flying: 1, acks: 3, deliveries: 2, lags: 3},
		{offered: 2, failed: 1, indeterminate: 1, sent: 3, acked: 1, flying: 2, lags: 2},
		{acked: 1, read: 1},
	} {
		p := &s.Points[i]
		got := row{p.Offered, p.Failed, p.Indeterminate, p.Sent, p.Acked, p.Read, p.InFlight,
			p.Ack.Service.Count(), p.EndToEnd.Service.Count(), p.Lag.Count()}
		if got != want {
			t.Errorf("second %d: %+v, want %+v", i+1, got, want)
		}
	}
	first := &s.Points[0]
	for what, i := range map[string]struct {
		of   *Interval
		want time.Duration
	}{
		"ack response": {&first.Ack.Response, 2 * time.Second}, "ack service": {&first.Ack.Service, 2 * time.Second},
		"end to end response": {&first.EndToEnd.Response, 2200 * time.Millisecond}, "lag": {&first.Lag, 500 * time.Millisecond},
	} {
		if most, ok := i.of.Quantile(1); !ok || most != i.want {
			t.Errorf("longest %s %v, want exactly %v", what, most, i.want)
		}
	}
	if _, ok := s.Points[2].Ack.Response.Quantile(0.5); ok {
		t.Error("a step in which nothing was intended has a median")
	}
}

func TestSeriesAddsUpToTheRun(t *testing.T) {
	var o ops
	for n := range 20_000 { // 100 s, with an outage of 3 s
		at := float64(n) * 5
		end := at + float64(n%7) + 0.25
		if 40_000 <= at && at < 43_000 {
			end = 43_000 + float64(n%5)
		}
		o = append(o, send(n, 0, at, at+float64(n%3), end, history.OK), poll(end+1, record(n, at)))
	}
	for name, m := range map[string]rundir.Meta{"all": measuring(0, 100_000), "behind a warm-up": measuring(10_000, 90_000)} {
		t.Run(name, func(t *testing.T) {
			f, s := overTime(t, o, m)
			var sum Point
			for i := range s.Points {
				p := s.Points[i]
				p.InFlight = 0
				sum.merge(&p)
			}
			tp := f.Throughput
			if got, want := [4]uint64{sum.Offered, sum.Sent, sum.Acked, sum.Read}, [4]uint64{tp.Sent, tp.Sent, tp.Acked, tp.Read}; got != want {
				t.Errorf("offered, sent, acked, read = %v, of the run %v", got, want)
			}
			for what, pair := range map[string]struct {
				of    *Interval
				whole *Histogram
			}{
				"ack response": {&sum.Ack.Response, &f.Ack.Response}, "ack service": {&sum.Ack.Service, &f.Ack.Service},
				"end to end response": {&sum.EndToEnd.Response, &f.EndToEnd.Response},
				"end to end service":  {&sum.EndToEnd.Service, &f.EndToEnd.Service}, "lag": {&sum.Lag, &f.Lag.All},
			} {
				if pair.of.Count() != pair.whole.Count() {
					t.Errorf("%s: %d, of the run %d", what, pair.of.Count(), pair.whole.Count())
				}
				for _, q := range []float64{0, 0.5, 0.97, 0.999, 1} {
					got, _ := pair.of.Quantile(q)
					if want, _ := pair.whole.Quantile(q); got != want {
						t.Errorf("%s p%g: %v, of the run %v", what, q*100, got, want)
					}
				}
			}
		})
	}
}

func TestASeriesGrowsWiderNotLonger(t *testing.T) {
	s := newSeries(Window{0, never})
	for hour := range int64(9) { // nine hours, a record every ten seconds
		for n := range int64(360) {
			at := (hour*360 + n) * 10 * sec
			op := history.Op{Kind: history.Send, Outcome: history.OK, Intended: at, Call: at, Return: at + 3*ms}
			s.flight(&op)
			s.sent(&op)
		}
	}
	out := s.finish()
	if out.Step != 32*time.Second || len(out.Points) > longestSeries {
		t.Fatalf("%d steps of %v, want at most %d of 32s", len(out.Points), out.Step, longestSeries)
	}
	var offered uint64
	for i := range out.Points {
		p := &out.Points[i]
		offered += p.Offered
		if p.Offered < 3 || p.Offered > 4 || p.Ack.Response.Count() != p.Offered || p.InFlight != 0 {
			if i < len(out.Points)-1 {
				t.Errorf("step %d: %d offered, %d acknowledged, %d in flight", i, p.Offered, p.Ack.Response.Count(), p.InFlight)
			}
		}
	}
	if offered != 9*360 {
		t.Errorf("%d records in all, want %d", offered, 9*360)
	}
}

func TestThereIsNoSeriesUnlessAskedFor(t *testing.T) {
	o := ops{send(0, 0, 100, 100, 101, history.OK)}
	if f := compute(t, o, header("orders/0"), measuring(0, 1000)); f.Series.Points != nil {
		t.Errorf("%+v", f.Series)
	}
	m := measuring(0, 0)
	m.Load.WarmupMs = 500 // cut off before it was measured
	if _, s := overTime(t, o, m); s.Points != nil {
		t.Errorf("of a run that was never measured: %+v", s)
	}
}
