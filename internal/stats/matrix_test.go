package stats

import (
	"math"
	"math/rand"
	"slices"
	"testing"
)

// trialsOf a matrix of these axes, each repeat in an order of its own.
func trialsOf(seed int64, axes [][]string, repeats int, figure func(rng *rand.Rand, values []int, repeat, run int) float64) []Trial {
	rng := rand.New(rand.NewSource(seed))
	cells := [][]int{{}}
	for _, values := range axes {
		var longer [][]int
		for _, c := range cells {
			for v := range values {
				longer = append(longer, append(slices.Clone(c), v))
			}
		}
		cells = longer
	}
	var trials []Trial
	for repeat := 1; repeat <= repeats; repeat++ {
		rng.Shuffle(len(cells), func(i, j int) { cells[i], cells[j] = cells[j], cells[i] })
		for _, c := range cells {
			t := Trial{Repeat: repeat, Figure: figure(rng, c, repeat, len(trials))}
			for a, v := range c {
				t.Values = append(t.Values, axes[a][v])
			}
			trials = append(trials, t)
		}
	}
	return trials
}

func axes333() [][]string {
	return [][]string{{"a", "b", "c"}, {"d", "e", "f"}, {"g", "h", "i"}}
}

func TestWhichAxisMatters(t *testing.T) {
	trials := trialsOf(1, axes333(), 4, func(rng *rand.Rand, v []int, repeat, _ int) float64 {
		return 1000 * math.Pow(2, float64(v[0])) * (1 + 0.1*float64(v[1])) * math.Exp(0.02*rng.NormFloat64()+0.1*float64(repeat%2))
	})
	e := MainEffects(trials, axes333())
	first, second, third := e.Axes[0], e.Axes[1], e.Axes[2]
	if first.P > 0.001 || second.P > 0.001 || third.P <= Alpha {
		t.Errorf("p = %v, %v, %v; the third axis does nothing", first.P, second.P, third.P)
	}
	for v, want := range []float64{1, 2, 4} {
		if got := first.Values[v].Ratio; math.Abs(got.Median/want-1) > 0.03 || got.Low > want || got.High < want && v > 0 {
			t.Errorf("%s is %v times the first, want %v", first.Values[v].Value, got, want)
		}
	}
	if r := second.Values[2].Ratio.Median; math.Abs(r-1.2) > 0.03 || first.Blocks != 36 {
		t.Errorf("the second axis: %v in %d blocks", r, first.Blocks)
	}
	sum := e.Interplay + e.Repeats + e.Rest
	for _, a := range e.Axes {
		sum += a.Share
	}
	if math.Abs(sum-1) > 1e-9 || first.Share < 0.9 || third.Share > 0.01 || e.Interplay > 0.02 || e.Repeats > 0.02 || e.Repeats <= 0 {
		t.Errorf("shares %v %v %v, interplay %v, repeats %v, rest %v", first.Share, second.Share, third.Share, e.Interplay, e.Repeats, e.Rest)
	}
}

// TestSharesOfAMatrixByHand: 2 × 2, nothing but what is planted. Logarithms: axis 1 ±1, interplay ±2, repeats ±3.
func TestSharesOfAMatrixByHand(t *testing.T) {
	sign := func(i int) float64 { return float64(2*i - 1) }
	two := [][]string{{"a", "b"}, {"c", "d"}}
	trials := trialsOf(1, two, 2, func(_ *rand.Rand, v []int, repeat, _ int) float64 {
		return math.Exp(sign(v[0]) + 2*sign(v[0])*sign(v[1]) + 3*sign(repeat-1))
	})
	e := MainEffects(trials, two)
	for name, got := range map[string][2]float64{
		"the first axis": {e.Axes[0].Share, 1.0 / 14}, "the second": {e.Axes[1].Share, 0},
		"interplay": {e.Interplay, 4.0 / 14}, "repeats": {e.Repeats, 9.0 / 14}, "rest": {e.Rest, 0},
	} {
		if math.Abs(got[0]-got[1]) > 1e-9 {
			t.Errorf("%s has a share of %v, want %v", name, got[0], got[1])
		}
	}
}

func TestAMatrixThatIsNotCompleteHasNoShares(t *testing.T) {
	trials := trialsOf(1, axes333(), 4, func(rng *rand.Rand, v []int, _, _ int) float64 { return 10 + float64(v[0]) + rng.Float64() })
	e := MainEffects(trials[:len(trials)-1], axes333())
	if !math.IsNaN(e.Axes[0].Share) || !math.IsNaN(e.Rest) {
		t.Errorf("shares %v and %v", e.Axes[0].Share, e.Rest)
	}
	if e.Axes[0].Blocks != 35 || e.Axes[0].P > Alpha {
		t.Errorf("%d blocks are whole, p = %v", e.Axes[0].Blocks, e.Axes[0].P)
	}
	trials[0].Figure = 0
	if e := MainEffects(trials, axes333()); !math.IsNaN(e.Rest) || e.Axes[0].Blocks != 35 {
		t.Errorf("a figure of 0 has a logarithm: %+v", e)
	}
	if e := MainEffects(trials[:3], axes333()); !math.IsNaN(e.Axes[0].P) {
		t.Errorf("three runs tell p = %v", e.Axes[0].P)
	}
}

// TestAxesOfNoiseDoNotMatter in more than Alpha of all matrices, although there are three axes.
func TestAxesOfNoiseDoNotMatter(t *testing.T) {
	const tries = 25
	found := 0
	for seed := range int64(tries) {
		trials := trialsOf(seed, axes333(), 2, func(rng *rand.Rand, _ []int, repeat, _ int) float64 {
			return math.Exp(rng.NormFloat64() + float64(repeat))
		})
		if slices.ContainsFunc(MainEffects(trials, axes333()).Axes, func(e Effect) bool { return e.P <= Alpha }) {
			found++
		}
	}
	if got := float64(found) / tries; got > Alpha+3*math.Sqrt(Alpha*(1-Alpha)/tries) {
		t.Errorf("an axis matters in %.3f of all", got)
	}
}

func TestDrift(t *testing.T) {
	slower := trialsOf(1, axes333(), 3, func(rng *rand.Rand, v []int, _, run int) float64 {
		return 1000 * float64(1+v[0]) * math.Exp(0.02*rng.NormFloat64()-0.003*float64(run))
	})
	if d := DriftOf(slower); d.P > 0.001 || d.Tau > -0.3 || math.Abs(d.Ratio-math.Exp(-0.003*54)) > 0.03 {
		t.Errorf("runs that get slower: %+v", d)
	}
	const tries = 200
	found := 0
	for seed := range int64(tries) {
		still := trialsOf(seed, axes333(), 3, func(rng *rand.Rand, v []int, _, _ int) float64 {
			return float64(1+v[0]*v[1]) * math.Exp(0.1*rng.NormFloat64())
		})
		if DriftOf(still).P <= Alpha {
			found++
		}
	}
	if got := float64(found) / tries; got > Alpha+3*math.Sqrt(Alpha*(1-Alpha)/tries) {
		t.Errorf("runs that stay drift in %.3f of all", got)
	}
	if d := DriftOf(slower[:27]); !math.IsNaN(d.P) || !math.IsNaN(d.Ratio) {
		t.Errorf("one repeat shows a drift: %+v", d)
	}
}

func TestParetoFront(t *testing.T) {
	x := []float64{10, 20, 30, 30, 25, 5}
	y := []float64{1, 2, 5, 4, 4.5, 1}
	if got := ParetoFront(x, y); !slices.Equal(got, []int{0, 1, 3}) {
		t.Errorf("the front is %v", got)
	}
	if got := ParetoFront([]float64{1, 1}, []float64{2, 2}); len(got) != 2 {
		t.Errorf("of two that are alike %v are on the front", got)
	}
}

func TestGain(t *testing.T) {
	g, ok := Gain(map[int]float64{1: 20, 2: 44, 3: 60, 5: 1}, map[int]float64{1: 10, 2: 20, 3: 30, 4: 7})
	if !ok || g.N != 3 || g.Median != 2 || g.Low != 2 || g.High != 2.2 {
		t.Errorf("gain %+v", g)
	}
	if _, ok := Gain(map[int]float64{1: 1}, map[int]float64{2: 1}); ok {
		t.Error("cells without a repeat in common have a gain")
	}
}
