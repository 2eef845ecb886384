package stats

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Trial is one run of a cell of a matrix: the values of its axes, the repeat it belongs to, and what was measured.
type Trial struct {
	Values []string // one an axis
	Repeat int
	Figure float64
}

// Effect is what one axis does with the others held fixed.
type Effect struct {
	Values []EffectOf
	P      float64 // of no effect at all, corrected for the number of axes; NaN where it cannot be told
	Share  float64 // of the variance of the figures' logarithms; NaN where the matrix is not complete
	Blocks int     // in which all values of the axis stand side by side
}

// EffectOf is the figure at one value of an axis over that at the axis's first value, within each block.
type EffectOf struct {
	Value string
	Ratio Estimate
}

// Effects are those of all axes, and what of the variance is due to their interplay, to the repeats (drift, and what else
// was different from one to the next), and to nothing that is known. Shares are of the figures' logarithms, so that it is
// ratios that count; they add up to 1.
type Effects struct {
	Axes                     []Effect
	Interplay, Repeats, Rest float64
}

// MainEffects compares the values of each axis within blocks: all that differs within one is the axis's value; the other
// axes and the repeat are the same. axes are the values of each axis in order. The test is Friedman's, corrected for the
// number of axes by Holm. Only figures above 0 have a logarithm; others make the result not known.
func MainEffects(trials []Trial, axes [][]string) Effects {
	e := Effects{Axes: make([]Effect, len(axes))}
	ps := make([]float64, 0, len(axes))
	for a, values := range axes {
		blocks := blocksOf(trials, a, values)
		e.Axes[a] = effect(blocks, values)
		ps = append(ps, friedmanOf(blocks))
	}
	for a, p := range holmOfKnown(ps) {
		e.Axes[a].P = p
	}
	e.shares(trials, axes)
	return e
}

// blocksOf are the trials that differ in one axis alone, in order of its values; those that lack one are left out.
func blocksOf(trials []Trial, axis int, values []string) [][]float64 {
	type key struct {
		others string
		repeat int
	}
	at := map[key]int{}
	var blocks [][]float64
	for _, t := range trials {
		others := slices.Clone(t.Values)
		others[axis] = ""
		k := key{strings.Join(others, "\x00"), t.Repeat}
		i, known := at[k]
		if !known {
			i = len(blocks)
			at[k] = i
			block := make([]float64, len(values))
			for v := range block {
				block[v] = math.NaN()
			}
			blocks = append(blocks, block)
		}
		if v := slices.Index(values, t.Values[axis]); v >= 0 {
			blocks[i][v] = t.Figure
		}
	}
	return slices.DeleteFunc(blocks, func(block []float64) bool {
		return slices.ContainsFunc(block, func(f float64) bool { return math.IsNaN(f) || f <= 0 })
	})
}

func effect(blocks [][]float64, values []string) Effect {
	e := Effect{Blocks: len(blocks), P: math.NaN(), Share: math.NaN()}
	for v, value := range values {
		var ratios []float64
		for _, block := range blocks {
			ratios = append(ratios, block[v]/block[0])
		}
		ratio, _ := MedianInterval(ratios, 1-Alpha)
		e.Values = append(e.Values, EffectOf{value, ratio})
	}
	return e
}

func friedmanOf(blocks [][]float64) float64 {
	if len(blocks) < LeastRuns {
		return math.NaN()
	}
	return Friedman(blocks)
}

// holmOfKnown corrects what is known; what is not counts for nothing.
func holmOfKnown(ps []float64) []float64 {
	var known []float64
	var at []int
	corrected := slices.Clone(ps)
	for i, p := range ps {
		if !math.IsNaN(p) {
			known, at = append(known, p), append(at, i)
		}
	}
	for n, p := range Holm(known) {
		corrected[at[n]] = p
	}
	return corrected
}

// shares splits the sum of squares of a complete matrix in which each repeat has each cell once; of any other it cannot be
// split, and no share is known. The axes are at right angles then, so that the order of the parts does not matter.
func (e *Effects) shares(trials []Trial, axes [][]string) {
	e.Interplay, e.Repeats, e.Rest = math.NaN(), math.NaN(), math.NaN()
	cell := func(t Trial) string { return strings.Join(t.Values, "\x00") }
	repeat := func(t Trial) string { return strconv.Itoa(t.Repeat) }
	once := map[string]bool{}
	for _, t := range trials {
		once[repeat(t)+"\x00"+cell(t)] = true
	}
	size := 1
	for _, values := range axes {
		size *= len(values)
	}
	repeats := len(grouped(trials, repeat))
	total := between(grouped(trials, func(t Trial) string { return repeat(t) + "\x00" + cell(t) }))
	if len(once) != size*repeats || len(trials) != len(once) || !(total > 0) || math.IsInf(total, 0) {
		return
	}
	known := between(grouped(trials, cell)) / total
	e.Interplay = known
	for a := range axes {
		e.Axes[a].Share = between(grouped(trials, func(t Trial) string { return t.Values[a] })) / total
		e.Interplay -= e.Axes[a].Share
	}
	e.Repeats = between(grouped(trials, repeat)) / total
	e.Interplay, e.Rest = max(0, e.Interplay), max(0, 1-known-e.Repeats)
}

// grouped are the logarithms of the figures by what key says of their trials.
func grouped(trials []Trial, key func(Trial) string) map[string][]float64 {
	groups := map[string][]float64{}
	for _, t := range trials {
		groups[key(t)] = append(groups[key(t)], math.Log(t.Figure))
	}
	return groups
}

// between is the sum of squares of the groups' means around the mean of all, each as often as it has values.
func between(groups map[string][]float64) float64 {
	sum, n := 0.0, 0.0
	names := slices.Sorted(maps.Keys(groups)) // sums of floats depend on their order
	for _, name := range names {
		for _, x := range groups[name] {
			sum, n = sum+x, n+1
		}
	}
	squares := 0.0
	for _, name := range names {
		own := 0.0
		for _, x := range groups[name] {
			own += x
		}
		size := float64(len(groups[name]))
		d := own/size - sum/n
		squares += size * d * d
	}
	return squares
}

// Drift is whether the runs got faster or slower while they were made.
type Drift struct {
	P   float64 // of none, by Trend; NaN where it cannot be told
	Tau float64
	// Ratio of the last third of the runs to the first, cells set aside.
	Ratio float64
}

// DriftOf looks at what is left of each run, in the order in which they were made, when its cell's own mean is taken away:
// the logarithm of the ratio to the geometric mean of the cell's runs. A cell that ran once says nothing.
func DriftOf(trials []Trial) Drift {
	cell := func(t Trial) string { return strings.Join(t.Values, "\x00") }
	means := grouped(trials, cell)
	var left []float64
	for _, t := range trials {
		logs := means[cell(t)]
		if len(logs) < 2 || !(t.Figure > 0) {
			continue
		}
		sum := 0.0
		for _, x := range logs {
			sum += x
		}
		left = append(left, math.Log(t.Figure)-sum/float64(len(logs)))
	}
	d := Drift{Ratio: math.NaN()}
	d.P, d.Tau = Trend(left)
	if third := len(left) / 3; third > 0 {
		d.Ratio = math.Exp(MedianOf(left[len(left)-third:]) - MedianOf(left[:third]))
	}
	return d
}

// ParetoFront are the places of the points than which none is better in one figure and no worse in the other: the highest x
// for each y, the lowest y for each x.
func ParetoFront(x, y []float64) []int {
	var front []int
	for i := range x {
		beaten := false
		for j := range x {
			beaten = beaten || x[j] >= x[i] && y[j] <= y[i] && (x[j] > x[i] || y[j] < y[i])
		}
		if !beaten {
			front = append(front, i)
		}
	}
	return front
}

// Gain is the ratio of the figures of one cell to those of another, repeat by repeat, so that what a repeat has in common
// does not count. Not ok: they share no repeat.
func Gain(of, to map[int]float64) (Estimate, bool) {
	var ratios []float64
	for _, repeat := range slices.Sorted(maps.Keys(of)) {
		if base, both := to[repeat]; both && base > 0 {
			ratios = append(ratios, of[repeat]/base)
		}
	}
	return MedianInterval(ratios, 1-Alpha)
}
