package stats

import (
	"time"

	"github.com/kbench/kbench/internal/history"
)

// A series begins with steps of firstStep; one that comes to longestSeries of them goes on with steps twice as wide.
const (
	firstStep     = time.Second
	longestSeries = 1800
)

// Series is the run over time from the start of the measured part, in equal steps. Like all figures it is about the records
// of the load that were intended in the measured part, so that the counts of its points add up to those of the run.
type Series struct {
	From    int64 // where the first step begins, ns on the run's clock
	Step    time.Duration
	Points  []Point
	Sampled []Column // of processes, machine, clients and cluster, a value for each point
}

// Point is one step of a series, from its start to just before its end.
type Point struct {
	// What was intended in the step, whenever the rest of it happened.
	Offered, Failed, Indeterminate uint64
	Ack, EndToEnd                  LatencyInterval // of ok sends, and of delivered records
	Lag                            Interval

	// What happened in the step, whenever it was intended.
	Sent, Acked, Read uint64
	AckedBytes        int64 // of the acknowledged records' values, where the history has their sizes
	// Records that had been handed to the client library and had no outcome at the end of the step, the warm-up's included.
	InFlight int64
}

// LatencyInterval is a Latency in one step.
type LatencyInterval struct{ Response, Service Interval }

// The distributions of a Point.
const (
	ackResponse = iota
	ackService
	endToEndResponse
	endToEndService
	lag
	distributions
)

func (p *Point) distribution(which int) *Interval {
	return [distributions]*Interval{&p.Ack.Response, &p.Ack.Service, &p.EndToEnd.Response, &p.EndToEnd.Service, &p.Lag}[which]
}

// series gathers a Series. nil gathers nothing.
type series struct {
	from, step int64
	points     []Point
	newest     [distributions]wide // of the last step, to which nearly everything belongs that comes in
}

// newSeries is nil for a run that never came to its measured part.
func newSeries(measured Window) *series {
	if measured.From == never {
		return nil
	}
	s := &series{from: measured.From, step: int64(firstStep)}
	for i := range s.newest {
		s.newest[i].of = -1
	}
	return s
}

// at is the point of a time. What was before the measured part counts as of its start.
func (s *series) at(t int64) *Point { return &s.points[s.index(t)] }

func (s *series) index(t int64) int {
	t = max(t-s.from, 0)
	for t/s.step >= longestSeries {
		s.widen()
	}
	i := int(t / s.step)
	for i >= len(s.points) {
		s.points = append(s.points, Point{})
	}
	return i
}

// count adds a duration to a distribution of the step in which the record was due.
func (s *series) count(which int, due, ns int64) {
	i, w := s.index(due), &s.newest[which]
	if i > w.of {
		s.empty(which)
		w.of = i
	}
	if i == w.of {
		w.all.Add(ns)
		return
	}
	s.points[i].distribution(which).add(ns)
}

// empty leaves nothing in a newest step's wide histogram.
func (s *series) empty(which int) {
	if w := &s.newest[which]; w.of >= 0 {
		w.empty(s.points[w.of].distribution(which))
		w.of = -1
	}
}

// widen makes one step of two.
func (s *series) widen() {
	for which := range distributions {
		s.empty(which)
	}
	s.step *= 2
	half := (len(s.points) + 1) / 2
	for i := range half {
		if i > 0 {
			s.points[i] = s.points[2*i]
		}
		if 2*i+1 < len(s.points) {
			s.points[i].merge(&s.points[2*i+1])
		}
	}
	clear(s.points[half:])
	s.points = s.points[:half]
}

func (p *Point) merge(next *Point) {
	p.Offered += next.Offered
	p.Failed += next.Failed
	p.Indeterminate += next.Indeterminate
	p.Sent += next.Sent
	p.Acked += next.Acked
	p.Read += next.Read
	p.AckedBytes += next.AckedBytes
	p.InFlight += next.InFlight
	p.Ack.merge(&next.Ack)
	p.EndToEnd.merge(&next.EndToEnd)
	p.Lag.merge(&next.Lag)
}

func (l *LatencyInterval) merge(next *LatencyInterval) {
	l.Response.merge(&next.Response)
	l.Service.merge(&next.Service)
}

// flight takes any send of the load. While the series is gathered, InFlight is by how much it changed in a step.
func (s *series) flight(op *history.Op) {
	if s == nil {
		return
	}
	s.at(op.Call).InFlight++
	s.at(op.Return).InFlight--
}

// sent takes a send that was intended in the measured part.
func (s *series) sent(op *history.Op) {
	if s == nil {
		return
	}
	intended := start(op)
	s.at(op.Call).Sent++
	if op.Outcome == history.OK {
		p := s.at(op.Return)
		p.Acked++
		p.AckedBytes += op.Size
	}
	p := s.at(intended)
	p.Offered++
	if op.Intended >= 0 {
		s.count(lag, intended, op.Call-op.Intended)
	}
	switch op.Outcome {
	case history.OK:
		s.count(ackResponse, intended, op.Return-intended)
		s.count(ackService, intended, op.Return-op.Call)
	case history.Failed:
		p.Failed++
	default:
		p.Indeterminate++
	}
}

// delivered takes the first delivery of a record that was intended in the measured part.
func (s *series) delivered(intended, at int64) {
	if s == nil {
		return
	}
	s.at(at).Read++
	s.count(endToEndResponse, intended, at-intended)
}

// joined takes the delivery of a record together with the call of its send.
func (s *series) joined(intended, call, at int64) {
	if s != nil {
		s.count(endToEndService, intended, at-call)
	}
}

func (s *series) finish() Series {
	if s == nil {
		return Series{}
	}
	for which := range distributions {
		s.empty(which)
	}
	var flying int64
	for i := range s.points {
		flying += s.points[i].InFlight
		s.points[i].InFlight = flying
	}
	return Series{From: s.from, Step: time.Duration(s.step), Points: s.points}
}
