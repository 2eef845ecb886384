package bench

import (
	"math"
	"sort"

	"github.com/kbench/kbench/scenarios"
)

// sizes draws how large values are.
type sizes struct {
	spec  scenarios.Sizes
	fixed int
	ranks zipf
	bins  []float64 // histogram: parts up to and with each bin, of 1
}

func newSizes(spec scenarios.Sizes, fixed int) sizes {
	s := sizes{spec: spec, fixed: fixed}
	switch spec.Kind {
	case scenarios.ZipfSizes:
		s.ranks = newZipf(spec.Max-spec.Min+1, spec.A)
	case scenarios.HistogramSizes:
		sum := 0.0
		for _, b := range spec.Bins {
			sum += b.Part
			s.bins = append(s.bins, sum)
		}
		for i := range s.bins {
			s.bins[i] /= sum
		}
	}
	return s
}

// of is a record's size in bytes.
func (s *sizes) of(d draw) int {
	v := &s.spec
	switch v.Kind {
	case scenarios.UniformSizes:
		return v.Min + int(d.below(uint64(v.Max-v.Min+1)))
	case scenarios.NormalSizes:
		return s.inside(&d, func(z float64) float64 { return v.A + v.B*z })
	case scenarios.LognormalSizes:
		return s.inside(&d, func(z float64) float64 { return v.A * math.Exp(v.B*z) })
	case scenarios.ZipfSizes:
		return v.Min + int(s.ranks.of(&d)) - 1
	case scenarios.HistogramSizes:
		i := sort.SearchFloat64s(s.bins, d.share())
		return v.Bins[min(i, len(v.Bins)-1)].Size
	}
	return s.fixed
}

// inside draws again what falls outside of the bounds, as long as that is likely to help.
func (s *sizes) inside(d *draw, from func(float64) float64) int {
	x := 0.0
	for range 32 {
		x = math.Round(from(d.normal()))
		if x >= float64(s.spec.Min) && x <= float64(s.spec.Max) {
			return int(x)
		}
	}
	return int(min(max(x, float64(s.spec.Min)), float64(s.spec.Max)))
}
