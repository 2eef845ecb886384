package stats

import (
	"math"
	"testing"

	"github.com/kbench/kbench/internal/history"
)

// Growth looks at the later two thirds: what waits at their start is no matter, what comes to wait in them is.
func TestGrowthIsTheSlopeOfWhatWaits(t *testing.T) {
	for name, c := range map[string]struct {
		answered func(n int) float64 // ms, of the record that is due at 10n
		want     float64
	}{
		"at once":                             {func(n int) float64 { return float64(10 * n) }, 0},
		"all 300 ms late":                     {func(n int) float64 { return float64(10*n) + 300 }, 0},
		"later and later, by 5%":              {func(n int) float64 { return float64(10*n) * 1.05 }, 0.05},
		"not any more":                        {func(n int) float64 { return float64(10*n) + 3000*float64(n/150) }, 0.84}, // flat for a quarter, then all of the load: the fit is steeper than its ends
		"every other 100 ms behind by 200 ms": {func(n int) float64 { return float64(10*n) + 200*float64(n/10%2) }, 0},
		"behind by 200 ms at the very end":    {func(n int) float64 { return float64(10*n) + 200*float64(n/280) }, 0.028}, // its ends would tell of 10%
	} {
		t.Run(name, func(t *testing.T) {
			var o ops
			for n := range 300 {
				due, at := float64(10*n), c.answered(n)
				o = append(o, send(n, 0, due, due, at, history.OK), poll(at+1, record(n, due)))
			}
			f := compute(t, o, header("orders/0"), measuring(0, 2990))
			for what, got := range map[string]*float64{"unacked": f.Growth.Unacked, "unread": f.Growth.Unread} {
				if got == nil || math.Abs(*got-c.want) > 0.01 {
					t.Errorf("%s grew by %v, want %v", what, deref(got), c.want)
				}
			}
		})
	}
}

func TestGrowthIsUnknownWhereNothingCanTellIt(t *testing.T) {
	one := ops{send(0, 0, 900, 900, 901, history.OK)}
	if g := compute(t, one, header("orders/0"), measuring(0, 1000)).Growth; g.Unread != nil || g.Unacked == nil {
		t.Errorf("nobody polled: %+v", g)
	}
	if g := compute(t, nil, header("orders/0"), measuring(0, 1000)).Growth; g.Unacked != nil || g.Unread != nil {
		t.Errorf("nothing was sent: %+v", g)
	}
	if g := compute(t, one, header("orders/0"), measuring(0, 0)).Growth; g.Unacked != nil {
		t.Errorf("the end is not known: %+v", g)
	}
}
