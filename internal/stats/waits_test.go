package stats

import (
	"math"
	"math/rand"
	"slices"
	"testing"
	"time"

	"github.com/kbench/kbench/internal/rundir"
)

// spreadOf sums values up as a library does.
func spreadOf(values ...float64) *rundir.Spread {
	values = slices.Sorted(slices.Values(values))
	s := &rundir.Spread{Count: uint64(len(values))}
	for _, v := range values {
		s.Sum += v
	}
	for i, q := range rundir.SpreadQuantiles() {
		s.At[i] = values[max(0, int(math.Ceil(q*float64(len(values))))-1)]
	}
	return s
}

func even(v float64, n int) *rundir.Spread {
	return &rundir.Spread{Count: uint64(n), Sum: v * float64(n), At: [8]float64{v, v, v, v, v, v, v, v}}
}

func TestQuantilesOfWindowsAreThoseOfTheValues(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	var all []float64
	var windows spreads
	for w := range 20 { // each slower than the one before, like a broker that falls behind
		var values []float64
		for range 1000 + 100*w {
			values = append(values, math.Exp(rng.NormFloat64())*1000*float64(w+1))
		}
		all = append(all, values...)
		windows.add(spreadOf(values...))
	}
	truth := spreadOf(all...)
	for q, want := range map[float64]float64{0.5: truth.At[1], 0.9: truth.At[3], 0.99: truth.At[5]} {
		if got := windows.quantile(q); math.Abs(got/want-1) > 0.1 {
			t.Errorf("p%g: %.0f, of all values it is %.0f", q*100, got, want)
		}
	}
	if got, want := windows.quantile(1), truth.At[7]; math.Abs(got-want) > 1 {
		t.Errorf("most: %v, want %v", got, want)
	}
	if !math.IsNaN(spreads{}.quantile(0.5)) || !math.IsNaN(spreads{}.mean()) {
		t.Error("nothing has a median")
	}
}

func TestAQuantileFallsBetweenWindowsThatHaveNothingInCommon(t *testing.T) {
	s := spreads{*even(10, 98), *even(5000, 2)}
	if p50, p99 := s.quantile(0.5), s.quantile(0.99); math.Abs(p50-10) > 1 || math.Abs(p99-5000) > 1 {
		t.Errorf("p50 %v, p99 %v, want 10 and 5000", p50, p99)
	}
}

func windowOf(from, to int, client string, brokers ...rundir.BrokerWindow) rundir.ClientWindow {
	return rundir.ClientWindow{Client: client, Session: 1, From: int64(from) * ms, To: int64(to) * ms, Room: even(0, 100), Brokers: brokers}
}

func told(at int, clients ...rundir.ClientWindow) rundir.Sample {
	return rundir.Sample{At: int64(at) * ms, Clients: clients}
}

func TestStagesSayWhereARecordWaited(t *testing.T) {
	small := rundir.BrokerWindow{Broker: 1, Queue: even(300, 10), Outgoing: even(10, 10), RoundTrip: even(90, 10)}
	large := rundir.BrokerWindow{Broker: 2, Queue: even(300, 90), Outgoing: even(10, 1), RoundTrip: even(190, 1)}
	f := figuresWith(t, told(1000, windowOf(0, 1000, "p0", small, large)))
	want := map[string]float64{StageSchedule: 0, StageRoom: 0, StageQueue: 300, StageOutgoing: 10, StageRoundTrip: 180, StageRest: 510, StageService: 1000, StageResponse: 1000}
	for _, s := range f.Stages {
		// The histograms of kbench's own times begin at 1 µs.
		if s.Mean == nil || math.Abs(*s.Mean-want[s.Name]) > 2 {
			t.Errorf("%s: %v µs on average, want %v", s.Name, deref(s.Mean), want[s.Name])
		}
	}
	if len(f.Stages) != len(want) {
		t.Errorf("%d stages, want %d", len(f.Stages), len(want))
	}
	wantValues(t, "in flight at broker 1", columnOf(t, f.Series, "producers to broker 1", "in_flight"), 900e-6, math.NaN(), math.NaN(), math.NaN())
	wantValues(t, "round trip", columnOf(t, f.Series, "producers", "round_trip_p99"), 190, math.NaN(), math.NaN(), math.NaN())
}

func TestTheRestIsNotKnownWhereAStageIsNot(t *testing.T) {
	f := figuresWith(t, told(1000, windowOf(0, 1000, "p0", rundir.BrokerWindow{Broker: 1, Queue: even(300, 10)})))
	for _, s := range f.Stages {
		if (s.Name == StageRest || s.Name == StageRoundTrip) && s.Mean != nil {
			t.Errorf("%s is %v", s.Name, *s.Mean)
		}
	}
}

func TestRequestsInFlightAddUpOverProducers(t *testing.T) {
	busy := rundir.BrokerWindow{Broker: 1, RoundTrip: even(1e6, 3)}
	f := figuresWith(t, told(1000, windowOf(0, 1000, "p0", busy), windowOf(0, 1000, "p1", busy)))
	wantValues(t, "in flight", columnOf(t, f.Series, "producers", "in_flight"), 6, math.NaN(), math.NaN(), math.NaN())
	w := clientWaits([]rundir.Sample{told(1000, windowOf(0, 1000, "p0", busy), windowOf(0, 1000, "p1", busy))}, Window{0, 4000 * ms}, 4000*ms, newGrid(Series{Step: time.Second, Points: make([]Point, 4)}))
	if broker, n, known := w.busiestBroker(); !known || broker != 1 || math.Abs(n-3) > 1e-9 {
		t.Errorf("broker %d with %v for each producer, want broker 1 with 3", broker, n)
	}
}
