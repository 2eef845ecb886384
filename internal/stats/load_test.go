package stats

import (
	"strings"
	"testing"

	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
)

func TestLimitedByTellsOnlyWhatTheEvidenceCarries(t *testing.T) {
	rate := 100.0
	for name, c := range map[string]struct {
		rate     *float64
		max      bool
		every    float64 // ms between sends
		lag      float64 // ms
		cluster  string
		counters map[string]uint64
		want     LimitedBy
	}{
		"rate kept":                               {rate: &rate, every: 10, cluster: "local", want: ByRate},
		"rate kept in the end, after waiting":     {rate: &rate, every: 10, cluster: "external", counters: map[string]uint64{counterSent: 9, counterWaits: 9, counterUs: 500_000}, want: ByRate},
		"rate missed, no counters":                {rate: &rate, every: 20, cluster: "external", want: ""},
		"rate missed, the sender late":            {rate: &rate, every: 20, lag: 50, cluster: "external", counters: map[string]uint64{counterSent: 9}, want: ByClient},
		"rate missed, the buffer full":            {rate: &rate, every: 20, cluster: "external", counters: map[string]uint64{counterSent: 9, counterWaits: 9, counterUs: 500_000}, want: ByBroker},
		"the same, sharing a machine":             {rate: &rate, every: 20, cluster: "local", counters: map[string]uint64{counterSent: 9, counterWaits: 9, counterUs: 500_000}, want: ""},
		"flat out, never waited":                  {max: true, every: 1, cluster: "local", counters: map[string]uint64{counterSent: 9}, want: ByClient},
		"flat out, waited most of the time":       {max: true, every: 1, cluster: "external", counters: map[string]uint64{counterSent: 9, counterWaits: 9, counterUs: 900_000}, want: ByBroker},
		"flat out, waited for a place in flight":  {max: true, every: 1, lag: 0.5, cluster: "local", counters: map[string]uint64{counterSent: 9}, want: ""},
		"flat out, waited a thousandth":           {max: true, every: 1, cluster: "external", counters: map[string]uint64{counterSent: 9, counterWaits: 1, counterUs: 1_000}, want: ""},
		"steps alone: nobody asked for any speed": {every: 1, cluster: "local", want: ""},
	} {
		t.Run(name, func(t *testing.T) {
			var o ops
			for at := 0.0; at < 1000; at += c.every {
				o = append(o, send(len(o), 0, at, at+c.lag, at+c.lag+1, history.OK))
			}
			m := measuring(0, 1000)
			m.Load.RatePerS, m.Load.Max, m.Load.RecordSize = c.rate, c.max, 1<<20
			m.Cluster.Kind, m.Counters = c.cluster, c.counters
			m.Workers = []rundir.Worker{{Name: "p0", Session: 1, Role: "producer"}}
			tp := compute(t, o, header("orders/0"), m).Throughput
			if tp.LimitedBy != c.want {
				t.Errorf("limited by %q, want %q (acked %v/s)", tp.LimitedBy, c.want, deref(tp.AckedPerS))
			}
			wantRate(t, "MiB/s of records of 1 MiB", tp.AckedMiBPerS, *tp.AckedPerS)
			if tp.ReadPerS != nil {
				t.Errorf("nobody polled, read %v/s; want unknown", *tp.ReadPerS)
			}
		})
	}
}

func TestALateLoadIsToldUnlessItWasHeldUp(t *testing.T) {
	rate := 1000.0
	for name, c := range map[string]struct {
		lag      float64 // ms
		end      float64 // ms, when each has its answer; 0: 15.5 ms after it was due
		held     bool
		counters map[string]uint64
		want     string
	}{
		"in time":                        {lag: 0.5},
		"late, by less than counts":      {lag: 0.9},
		"late":                           {lag: 15, want: "the load itself was late: 1000 of 1000 records by more than 1ms, with nothing holding them up; had it kept its time, of response p50 would have been 500µs instead of 15.5ms, p90"},
		"slower than planned":            {lag: 0.5, end: 2000, want: "acknowledgements did not keep up with the load: 500/s of 1000/s"},
		"held up by the client's buffer": {lag: 15, held: true, counters: map[string]uint64{counterSent: 9, counterWaits: 3, counterUs: 1_500_000}, want: "held the senders up 3 times, 1.5s in all"},
	} {
		t.Run(name, func(t *testing.T) {
			var o ops
			for at := 0.0; at < 1000; at++ {
				end := c.end
				if end == 0 {
					end = at + 15.5
				}
				o = append(o, send(len(o), 0, at, at+c.lag, end, history.OK))
				if c.held {
					o[len(o)-1].Held = o[len(o)-1].Call
				}
			}
			m := measuring(0, 1000)
			m.Load.RatePerS, m.Counters = &rate, c.counters
			got := strings.Join(compute(t, o, header("orders/0"), m).Warnings, "\n")
			if c.want == "" && got != "" || !strings.Contains(got, c.want) || c.held && strings.Contains(got, "itself") {
				t.Errorf("warnings %q, want %q", got, c.want)
			}
		})
	}
}

// BenchmarkCompute reports the cost of an operation of a run with one fault, each record sent and delivered.
func BenchmarkCompute(b *testing.B) {
	const records = 500_000
	o := make(ops, 0, 2*records)
	batch := make([]history.Record, records)
	for n := range records {
		at := float64(n) * 0.01
		o = append(o, send(n, int32(n%6), at, at, at+3, history.OK))
		batch[n] = record(n, at)
		o = append(o, poll(at+4, batch[n:n+1]...))
	}
	m := measuring(0, records*0.01)
	m.Faults = []rundir.Fault{faultAt(1000, 2000)}
	h := header("o/0", "o/1", "o/2", "o/3", "o/4", "o/5")
	if err := o.Each(func(*history.Op) error { return nil }); err != nil { // sorts them
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		outages, err := findOutages(sorted(o), h, m)
		if err != nil {
			b.Fatal(err)
		}
		c := newComputation(h, m, outages)
		if err := sorted(o).Each(c.add); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(o)), "ns/op-of-history")
}

// sorted is a history that is in order already.
type sorted []history.Op

func (o sorted) Each(visit func(*history.Op) error) error {
	for i := range o {
		if err := visit(&o[i]); err != nil {
			return err
		}
	}
	return nil
}

// TestTheWarmUpsBacklogIsThroughputOfALoadThatGoesFlatOut: a cluster that answers one record each ms, all the time, does
// 1,000/s, however much the warm-up had left in the client's buffer.
func TestTheWarmUpsBacklogIsThroughputOfALoadThatGoesFlatOut(t *testing.T) {
	rate := 1000.0
	for max, want := range map[bool]float64{true: 1000, false: 1000 / 1.5} {
		var o ops
		for n := range 500 { // in the buffer when measuring begins
			o = append(o, send(len(o), 0, 500+float64(n), 500+float64(n), 1001+float64(n), history.OK))
		}
		for n := range 1000 {
			o = append(o, send(len(o), 0, 1000+float64(n), 1000+float64(n), 1501+float64(n), history.OK))
		}
		m := measuring(1000, 2000)
		if m.Load.Max = max; !max {
			m.Load.RatePerS = &rate
		}
		wantRate(t, "acknowledged", compute(t, o, header("orders/0"), m).Throughput.AckedPerS, want)
	}
}
