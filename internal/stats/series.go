package stats

import (
	"time"

	"github.com/kbench/kbench/internal/history"
)

// longestSeries bounds the points of a series; a longer run gets wider ones.
const longestSeries = 1800

// Series is the run over time from the start of the measured part, in equal steps of at least a second. Columns has all of
// it as one table.
type Series struct {
	Step    time.Duration
	Points  []Point
	Sampled []Column // of processes, machine, clients and cluster, a value for each point
}

// Point is one step of a series. Latency, like Sent, Failed and Indeterminate, is of the sends that were intended in it,
// Acked of the acknowledgements that came in it.
type Point struct {
	Sent, Acked, Failed, Indeterminate uint64
	P50, P99, Max                      *time.Duration // response of ok sends
}

// series gathers a Series. It keeps one coarse histogram a step, about 27 KB.
type series struct {
	from, step int64
	points     []Point
	response   []Histogram
}

func newSeries(measured Window, loadEnd int64) series {
	step := int64(time.Second)
	for span := max(loadEnd, 0) - measured.From; span/step >= longestSeries; {
		step *= 2
	}
	return series{from: measured.From, step: step}
}

// at is the point of a time; nil before the measured part.
func (s *series) at(t int64) int {
	if t < s.from {
		return -1
	}
	i := int((t - s.from) / s.step)
	for i >= len(s.points) {
		s.points = append(s.points, Point{})
		s.response = append(s.response, Histogram{coarse: true})
	}
	return i
}

func (s *series) acked(at int64) {
	if i := s.at(at); i >= 0 {
		s.points[i].Acked++
	}
}

func (s *series) sent(intended, returned int64, outcome history.Outcome) {
	i := s.at(intended)
	if i < 0 {
		return
	}
	s.points[i].Sent++
	switch outcome {
	case history.OK:
		s.response[i].Add(returned - intended)
	case history.Failed:
		s.points[i].Failed++
	default:
		s.points[i].Indeterminate++
	}
}

func (s *series) finish() Series {
	for i := range s.points {
		h, p := &s.response[i], &s.points[i]
		p.P50, p.P99, p.Max = quantile(h, 0.5), quantile(h, 0.99), quantile(h, 1)
	}
	return Series{Step: time.Duration(s.step), Points: s.points}
}

func quantile(h *Histogram, q float64) *time.Duration {
	d, ok := h.Quantile(q)
	if !ok {
		return nil
	}
	return &d
}
