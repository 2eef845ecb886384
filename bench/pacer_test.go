package bench

import (
	"math"
	"testing"
	"time"

	"github.com/kbench/kbench/scenarios"
)

func steady(rate float64, d time.Duration) []scenarios.Stage {
	return []scenarios.Stage{{For: d, From: rate, To: rate}}
}

func TestPacerGivesEachProducerItsShareInTurn(t *testing.T) {
	for name, c := range map[string]struct {
		producers, producer int
		n                   uint64
		want                time.Duration
	}{
		"first of one":           {1, 0, 0, 0},
		"second of one":          {1, 0, 1, time.Millisecond},
		"first of second of two": {2, 1, 0, time.Millisecond},
		"second of first of two": {2, 0, 1, 2 * time.Millisecond},
		"an hour later":          {2, 1, 1_800_000, time.Hour + time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			pace := newCourse(0, steady(1000, 2*time.Hour), c.producers, c.producer)
			if got := pace.At(c.n); got != c.want {
				t.Fatalf("operation %d is intended at %v, not %v", c.n, got, c.want)
			}
		})
	}
}

func TestPacerFollowsTheRate(t *testing.T) {
	sec := time.Second
	for name, c := range map[string]struct {
		warmup time.Duration
		stages []scenarios.Stage
		want   map[uint64]time.Duration
	}{
		"a ramp from rest: n = 50t²": {0, []scenarios.Stage{{For: 10 * sec, From: 0, To: 1000}}, map[uint64]time.Duration{0: 0, 50: sec, 200: 2 * sec, 5000: 10 * sec, 6000: 11 * sec}},
		"a ramp down to rest":        {0, []scenarios.Stage{{For: 10 * sec, From: 1000, To: 0}}, map[uint64]time.Duration{0: 0, 950: sec, 4950: 9 * sec, 5000: never}},
		"steps":                      {0, []scenarios.Stage{{For: sec, From: 10, To: 10}, {For: sec, From: 100, To: 100}}, map[uint64]time.Duration{9: 900 * time.Millisecond, 10: sec, 20: 1100 * time.Millisecond, 110: 2 * sec, 120: 2100 * time.Millisecond}},
		"a pause between":            {0, []scenarios.Stage{{For: sec, From: 10, To: 10}, {For: sec}, {For: sec, From: 10, To: 10}}, map[uint64]time.Duration{9: 900 * time.Millisecond, 10: 2 * sec, 11: 2100 * time.Millisecond}},
		"the warm-up has the first":  {2 * sec, []scenarios.Stage{{For: sec, From: 10, To: 30}}, map[uint64]time.Duration{10: sec, 20: 2 * sec, 40: 3 * sec}},
		"nothing":                    {sec, nil, map[uint64]time.Duration{0: never}},
	} {
		t.Run(name, func(t *testing.T) {
			pace := newCourse(c.warmup, c.stages, 1, 0)
			for n, want := range c.want {
				if got := pace.At(n); (got - want).Abs() > time.Microsecond {
					t.Errorf("operation %d is intended at %v, not %v", n, got, want)
				}
			}
		})
	}
}

// The operations of all producers before any time are as many as the rate's integral says, and none comes before the one
// that precedes it.
func TestPacersSumUpToTheRate(t *testing.T) {
	load := scenarios.Load{Duration: 20 * time.Second, Shape: scenarios.Shape{Kind: scenarios.Sine, Rates: []float64{300, 250}, Every: 7 * time.Second}}
	const producers = 3
	all := make([]int, 21)
	for producer := range producers {
		pace, last := newCourse(time.Second, load.Stages(), producers, producer), time.Duration(-1)
		for n := uint64(0); ; n++ {
			at := pace.At(n)
			if at < last {
				t.Fatalf("operation %d of %d at %v, after one at %v", n, producer, at, last)
			}
			if last = at; at >= 21*time.Second {
				break
			}
			all[at/time.Second]++
		}
	}
	sum := 0.0
	for s := 1; s <= 20; s++ {
		sum += float64(all[s])
		t1 := float64(s)
		w := 2 * math.Pi / 7
		want := 300*t1 + 250/w*(1-math.Cos(w*t1)) // the integral of the sine
		if math.Abs(sum-want) > 3 {
			t.Errorf("%v operations in the first %d s, want %.1f", sum, s, want)
		}
	}
}

func TestAPacerGoesOnWhereTheTimeIs(t *testing.T) {
	pace := newCourse(time.Second, []scenarios.Stage{{For: 5 * time.Second, From: 100, To: 1000}, {For: time.Second}, {For: 5 * time.Second, From: 500, To: 0}}, 2, 1)
	for d := time.Duration(0); d < 13*time.Second; d += 37 * time.Millisecond {
		n := pace.after(d)
		if pace.At(n) < d || n > 0 && pace.At(n-1) >= d {
			t.Fatalf("after %v: operation %d at %v, the one before at %v", d, n, pace.At(n), pace.At(n-1))
		}
	}
}

func BenchmarkPacer(b *testing.B) {
	load := scenarios.Load{Duration: time.Hour, Shape: scenarios.Shape{Kind: scenarios.Sine, Rates: []float64{3000, 2000}, Every: 10 * time.Second}}
	pace := newCourse(0, load.Stages(), 1, 0)
	n := uint64(0)
	for b.Loop() {
		n += 1
		if pace.At(n%10_000_000) < 0 {
			b.Fatal("before the start")
		}
	}
}
