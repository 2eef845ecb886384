package stats

import (
	"testing"
	"time"

	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
)

// steady adds sends to a partition, one each 10 ms, answered after 1 ms.
func steady(o ops, partition int32, from, to float64) ops {
	for at := from; at < to; at += 10 {
		o = append(o, send(len(o), partition, at, at, at+1, history.OK))
	}
	return o
}

// blocked adds sends of the time between, which are all answered at end.
func blocked(o ops, partition int32, from, to, end float64, outcome history.Outcome) ops {
	for at := from; at < to; at += 10 {
		o = append(o, send(len(o), partition, at, at, end, outcome))
	}
	return o
}

func TestOutages(t *testing.T) {
	two := []string{"orders/0", "orders/1"}
	unknown := -1.0
	for name, c := range map[string]struct {
		ops            ops
		faults         []rundir.Fault
		loadEnd        float64
		stage          rundir.Stage
		unavailable    float64 // ms
		partition      string
		recovered      float64 // ms after the injection
		neverRecovered bool
	}{
		"the worst partition counts, the other goes on": {
			ops:    steady(blocked(steady(steady(nil, 0, 0, 20000), 1, 0, 10000), 1, 10000, 16000, 16010, history.OK), 1, 16010, 20000),
			faults: []rundir.Fault{faultAt(10000, 18000)}, loadEnd: 20000,
			unavailable: 6010, partition: "orders/1", recovered: 6010,
		},
		"a fault that nobody noticed": {
			ops:    steady(steady(nil, 0, 0, 5000), 1, 0, 5000),
			faults: []rundir.Fault{faultAt(2000, 3000)}, loadEnd: 5000,
			unavailable: 1, partition: "orders/0", recovered: 0,
		},
		"nobody sends for a while: no outage": {
			ops:    steady(steady(nil, 0, 0, 2000), 0, 9000, 9100),
			faults: []rundir.Fault{faultAt(1500, 8000)}, loadEnd: 9100,
			unavailable: 1, partition: "orders/0", recovered: 0,
		},
		"nobody sends after the injection: unknown": {
			ops:    steady(nil, 0, 0, 2000),
			faults: []rundir.Fault{faultAt(5000, 6000)}, loadEnd: 7000,
			unavailable: unknown, recovered: unknown,
		},
		"nobody sends while the fault lasts, and slowly after it: unknown": {
			ops:    blocked(steady(nil, 0, 0, 2000), 0, 7000, 7010, 7162, history.OK),
			faults: []rundir.Fault{faultAt(5000, 6000)}, loadEnd: 8000,
			unavailable: unknown, recovered: unknown,
		},
		"only sends from before the injection wait": {
			ops:    blocked(steady(nil, 0, 0, 1990), 0, 1990, 2000, 4000, history.OK),
			faults: []rundir.Fault{faultAt(2000, 3000)}, loadEnd: 5000,
			unavailable: 2010, partition: "orders/0", recovered: 2000,
		},
		"failures in the gap do not shorten it": {
			ops:    steady(blocked(steady(nil, 0, 0, 1000), 0, 1000, 4000, 4005, history.Failed), 0, 4010, 8000),
			faults: []rundir.Fault{faultAt(1000, 2000)}, loadEnd: 8000,
			unavailable: 3011, partition: "orders/0", recovered: 3011,
		},
		"failures of unknown partition count for each": {
			ops:    steady(blocked(steady(nil, 0, 0, 1000), history.Unknown, 1000, 4000, 4005, history.Failed), 0, 4010, 8000),
			faults: []rundir.Fault{faultAt(1000, 2000)}, loadEnd: 8000,
			unavailable: 7000, partition: "orders/1", recovered: unknown, neverRecovered: true,
		},
		"flapping: steady only after the last gap that follows within a second": {
			ops: steady(blocked(steady(blocked(steady(nil, 0, 0, 1000), 0, 1000, 4000, 4010, history.OK), 0, 4010, 4500),
				0, 4500, 6000, 6010, history.OK), 0, 6010, 9000),
			faults: []rundir.Fault{faultAt(1000, 2000)}, loadEnd: 9000,
			unavailable: 3010, partition: "orders/0", recovered: 5010,
		},
		"a shorter gap long after does not undo the recovery": {
			ops: steady(blocked(steady(blocked(steady(nil, 0, 0, 1000), 0, 1000, 4000, 4010, history.OK), 0, 4010, 7000),
				0, 7000, 8000, 8010, history.OK), 0, 8010, 9000),
			faults: []rundir.Fault{faultAt(1000, 2000)}, loadEnd: 9000,
			unavailable: 3010, partition: "orders/0", recovered: 3010,
		},
		"never recovered: sends after the heal have no answer": {
			ops:    blocked(steady(nil, 0, 0, 1000), 0, 1000, 5000, 5000, history.Indeterminate),
			faults: []rundir.Fault{faultAt(1000, 2000)}, loadEnd: 6000,
			unavailable: 5000, partition: "orders/0", recovered: unknown, neverRecovered: true,
		},
		"no answer, but nobody tried after the heal: unknown": {
			ops:    blocked(steady(nil, 0, 0, 1000), 0, 1000, 1500, 5000, history.Indeterminate),
			faults: []rundir.Fault{faultAt(1000, 2000)}, loadEnd: 5000,
			unavailable: 4000, partition: "orders/0", recovered: unknown,
		},
		"interrupted while nothing was answered: unknown": {
			ops:    blocked(steady(nil, 0, 0, 1000), 0, 1000, 5000, 5000, history.Indeterminate),
			faults: []rundir.Fault{faultAt(1000, 2000)}, loadEnd: 6000, stage: rundir.Interrupted,
			unavailable: 5000, partition: "orders/0", recovered: unknown,
		},
		"acknowledged without a partition: unknown": {
			ops:    steady(nil, history.Unknown, 0, 3000),
			faults: []rundir.Fault{faultAt(1000, 2000)}, loadEnd: 3000,
			unavailable: unknown, recovered: unknown,
		},
		"rough before the fault: as rough after it is steady": {
			ops: blocked(blocked(blocked(blocked(blocked(nil, 0, 0, 400, 400, history.OK), 0, 400, 800, 800, history.OK),
				0, 800, 1200, 1200, history.OK), 0, 1200, 1800, 1800, history.OK), 0, 1800, 2200, 2200, history.OK),
			faults: []rundir.Fault{faultAt(1210, 1500)}, loadEnd: 2200,
			unavailable: 600, partition: "orders/0", recovered: 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := measuring(0, c.loadEnd)
			m.Clock.LoadEnd = int64(c.loadEnd * float64(ms))
			m.Faults, m.Stage = c.faults, c.stage
			got := compute(t, c.ops, header(two...), m).Faults[0].Outage
			wantMs(t, "unavailable", got.Unavailable, c.unavailable)
			wantMs(t, "recovered", got.Recovered, c.recovered)
			if got.Partition != c.partition || got.NeverRecovered != c.neverRecovered {
				t.Errorf("partition %q, never recovered %v; want %q, %v", got.Partition, got.NeverRecovered, c.partition, c.neverRecovered)
			}
		})
	}
}

func wantMs(t *testing.T, what string, got *time.Duration, want float64) {
	t.Helper()
	switch {
	case want < 0 && got != nil:
		t.Errorf("%s = %v, want unknown", what, *got)
	case want >= 0 && (got == nil || *got != time.Duration(want*float64(ms))):
		t.Errorf("%s = %v, want %v", what, deref(got), time.Duration(want*float64(ms)))
	}
}

func TestAnOutageIsChargedToTheFaultInWhoseWindowItFalls(t *testing.T) {
	o := steady(nil, 0, 0, 1000)
	o = steady(blocked(o, 0, 1000, 3000, 3010, history.OK), 0, 3010, 10000)
	o = steady(blocked(o, 0, 10000, 14000, 14010, history.OK), 0, 14010, 20000)
	m := measuring(0, 20000)
	m.Clock.LoadEnd = 20000 * ms
	m.Faults = []rundir.Fault{faultAt(1000, 2000), faultAt(10000, 12000)}
	f := compute(t, o, header("orders/0"), m)
	wantMs(t, "first", f.Faults[0].Unavailable, 2010)
	wantMs(t, "second", f.Faults[1].Unavailable, 4010)
	wantMs(t, "second", f.Faults[1].Recovered, 4010)
}
