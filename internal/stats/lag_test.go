package stats

import (
	"testing"
	"time"

	"github.com/kbench/kbench/internal/history"
)

// Of 1,000 records, one each millisecond, 400 fall due while the client holds the sender up from 100 to 500 ms, and then the
// machine stands still for 30 ms before it goes on. Both make records late, and each is told for itself.
func TestLagIsSplitBetweenWhoHeldTheSenderUpAndTheLoadItself(t *testing.T) {
	var o ops
	for n := range 1000 {
		at := float64(n)
		op := send(n, 0, at, at, at+2, history.OK)
		switch {
		case at >= 100 && at < 500:
			op.Call, op.Held = 530*ms, 500*ms
		case at >= 500 && at < 530:
			op.Call = 530 * ms
		}
		op.Return = op.Call + 2*ms
		o = append(o, op)
	}
	m := measuring(0, 1000)
	rate := 1000.0
	m.Load.RatePerS = &rate
	l := compute(t, o, header("orders/0"), m).Lag
	wantQuantile(t, "lag", &l.All, 1, 430*time.Millisecond, time.Millisecond)
	wantQuantile(t, "held", &l.Held, 1, 400*time.Millisecond, time.Millisecond)
	wantQuantile(t, "own", &l.Own, 1, 30*time.Millisecond, time.Millisecond)
	if got, want := [3]uint64{l.Late, l.LateHeld, l.LateOwn}, [3]uint64{429, 399, 429}; got != want {
		t.Errorf("late, held, own: %v, want %v", got, want)
	}
	wantQuantile(t, "response without own", &l.WithoutOwn, 1, 402*time.Millisecond, time.Millisecond)
	if len(l.Shifts) == 0 || l.Shifts[len(l.Shifts)-1].Quantile != 0.999 || l.Shifts[len(l.Shifts)-1].BeforeFaults {
		t.Errorf("shifts %+v, want p99.9 among them", l.Shifts)
	}
}

func TestALoadThatWasLateBeforeTheFirstFaultIsTold(t *testing.T) {
	var o ops
	for n := range 1000 {
		at := float64(n)
		lag, end := 0.0, 2.0
		if n < 100 {
			lag, end = 5, 7
		}
		if n >= 100 {
			end = 100 // which hides the lag from the run's own quantiles
		}
		o = append(o, send(n, 0, at, at+lag, at+end, history.OK))
	}
	m := measuring(0, 1000)
	rate := 1000.0
	m.Load.RatePerS, m.Faults = &rate, append(m.Faults, faultAt(100, 900))
	shifts := compute(t, o, header("orders/0"), m).Lag.Shifts
	if len(shifts) == 0 {
		t.Fatal("the load was 5 ms late before the fault, and nothing is told")
	}
	for _, s := range shifts {
		if !s.BeforeFaults {
			t.Errorf("%+v: only before the fault did it show", s)
		}
	}
}
