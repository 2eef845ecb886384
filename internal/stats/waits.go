package stats

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/kbench/kbench/internal/rundir"
)

// Stage is one part of a record's way from its intended time to its acknowledgement. Times are µs, nil where not known.
// What a library tells of requests counts once for each record that they carried.
type Stage struct {
	Name           string
	Records        uint64
	Mean, P50, P99 *float64
}

// Names of stages, in the order of the way.
const (
	StageSchedule  = "schedule"        // from the intended start to the call: the load was behind
	StageRoom      = "room"            // within the call: until the client's buffer had room
	StageQueue     = "queue"           // in the client: lingering, in a batch, until a request was allowed
	StageOutgoing  = "outgoing"        // in a request that waited for the socket
	StageRoundTrip = "round_trip"      // the network and the broker
	StageRest      = "rest"            // what is left of service: the way back through the library to kbench
	StageService   = "service"         // from the call to the acknowledgement
	StageResponse  = "response"        // from the intended start to it
	toBroker       = "%s to broker %d" // a subject of columns
)

// waits gathers what the producers' libraries told.
type waits struct {
	room                       spreads
	queue, outgoing, roundTrip spreads // weighted by records
	batchRecords, batchBytes   spreads
	throttledMs                float64
	told                       bool
	inFlight                   map[int32]*meter // requests unanswered at a time, by broker, of all producers
	allowed                    map[int32]int    // that may be, of one producer
	producers                  map[string]bool
}

// inStep is what was told of one step.
type inStep struct {
	room, queue, outgoing, roundTrip, throttle, batchRecords, batchBytes spreads
	byBroker                                                             map[int32]*inStep
	span                                                                 int64 // of the windows, each producer's counted
}

// clientWaits takes what the libraries told within a window, for the stages until the load had ended: records that were
// intended in the measured part have their answers until then.
func clientWaits(samples []rundir.Sample, within Window, ended int64, g *grid) *waits {
	w := &waits{inFlight: map[int32]*meter{}, allowed: map[int32]int{}, producers: map[string]bool{}}
	steps := map[int]*inStep{}
	queued := map[int]map[string][2]*int64{}
	for _, s := range samples {
		for i := range s.Clients {
			c := &s.Clients[i]
			middle := c.From + (c.To-c.From)/2
			if within.From <= middle && middle <= ended {
				w.add(c, within)
			}
			step, ok := g.at(middle)
			if !ok {
				continue
			}
			if steps[step] == nil {
				steps[step], queued[step] = &inStep{byBroker: map[int32]*inStep{}}, map[string][2]*int64{}
			}
			steps[step].add(c)
			queued[step][c.Client] = [2]*int64{c.QueuedRecords, c.QueuedBytes}
		}
	}
	for step, told := range steps {
		at := g.from + int64(step)*g.step
		// Requests unanswered at a time are the time that they took together, of that which passed for each producer.
		spanOfEach := float64(told.span) / float64(len(queued[step]))
		told.fill(g, ofClient, at, spanOfEach)
		for broker, to := range told.byBroker {
			to.fill(g, fmt.Sprintf(toBroker, ofClient, broker), at, spanOfEach)
		}
		fillQueued(g, at, queued[step])
	}
	return w
}

// add counts a window. What limited the load is told by those within the measured part.
func (w *waits) add(c *rundir.ClientWindow, within Window) {
	w.told = true
	w.producers[c.Client] = true
	w.room.add(c.Room)
	w.batchRecords.add(c.BatchRecords)
	w.batchBytes.add(c.BatchBytes)
	for _, b := range c.Brokers {
		w.queue.add(b.Queue)
		w.outgoing.add(byRecords(b.Outgoing, b.Queue))
		w.roundTrip.add(byRecords(b.RoundTrip, b.Queue))
		if b.Throttle != nil && within.Has(c.From) {
			w.throttledMs += b.Throttle.Sum / 1000
		}
		w.allowed[b.Broker] = max(w.allowed[b.Broker], b.Allowed)
		if b.RoundTrip != nil {
			m := w.inFlight[b.Broker]
			if m == nil {
				m = &meter{within: within}
				w.inFlight[b.Broker] = m
			}
			m.add(b.RoundTrip.Sum*1000, c.From, c.To)
		}
	}
}

// byRecords has a spread of requests count each record that went out in the same window.
func byRecords(requests, records *rundir.Spread) *rundir.Spread {
	if requests == nil || records == nil || requests.Count == 0 {
		return nil
	}
	weighted := *requests
	weighted.Count = records.Count
	weighted.Sum = requests.Sum / float64(requests.Count) * float64(records.Count)
	return &weighted
}

func (s *inStep) add(c *rundir.ClientWindow) {
	s.span += c.To - c.From
	s.room.add(c.Room)
	s.batchRecords.add(c.BatchRecords)
	s.batchBytes.add(c.BatchBytes)
	for _, b := range c.Brokers {
		to := s.byBroker[b.Broker]
		if to == nil {
			to = &inStep{}
			s.byBroker[b.Broker] = to
		}
		for _, of := range []*inStep{s, to} {
			of.queue.add(b.Queue)
			of.outgoing.add(b.Outgoing)
			of.roundTrip.add(b.RoundTrip)
			of.throttle.add(b.Throttle)
		}
	}
}

// fill puts what was told of a step into the grid.
func (s *inStep) fill(g *grid, subject string, at int64, span float64) {
	for _, of := range []struct {
		figure string
		told   spreads
	}{{"room", s.room}, {"queue", s.queue}, {"outgoing", s.outgoing}, {"round_trip", s.roundTrip}} {
		if len(of.told) > 0 {
			g.set(ofClient, subject, of.figure+"_p50", at, of.told.quantile(0.5))
			g.set(ofClient, subject, of.figure+"_p99", at, of.told.quantile(0.99))
		}
	}
	for _, of := range []struct {
		figure string
		told   spreads
	}{{"throttled", s.throttle}, {"batch_records", s.batchRecords}, {"batch_bytes", s.batchBytes}} {
		if len(of.told) > 0 {
			g.set(ofClient, subject, of.figure, at, of.told.mean())
		}
	}
	if len(s.roundTrip) > 0 {
		g.set(ofClient, subject, "in_flight", at, s.roundTrip.sum()*1000/span)
	}
}

// fillQueued adds up what the producers had in hand at the end of a step.
func fillQueued(g *grid, at int64, producers map[string][2]*int64) {
	for i, figure := range []string{"queued", "queued_bytes"} {
		sum, known := int64(0), len(producers) > 0
		for _, n := range producers {
			if known = known && n[i] != nil; known {
				sum += *n[i]
			}
		}
		if known {
			g.set(ofClient, ofClient, figure, at, float64(sum))
		}
	}
}

// stages are the parts of a record's way; nil where the library told nothing.
func (c *computation) stages(w *waits) []Stage {
	if !w.told {
		return nil
	}
	stages := []Stage{
		ofHistogram(StageSchedule, &c.f.Lag.All), ofSpreads(StageRoom, w.room), ofSpreads(StageQueue, w.queue),
		ofSpreads(StageOutgoing, w.outgoing), ofSpreads(StageRoundTrip, w.roundTrip),
	}
	service := ofHistogram(StageService, &c.f.Ack.Service)
	return append(stages, rest(service, stages[1:]), service, ofHistogram(StageResponse, &c.f.Ack.Response))
}

// rest is what the stages leave of service, on average; nothing where one is not known, or where they say more than there was.
func rest(service Stage, stages []Stage) Stage {
	r := Stage{Name: StageRest}
	if service.Mean == nil {
		return r
	}
	left := *service.Mean
	for _, s := range stages {
		if s.Mean == nil {
			return r
		}
		left -= *s.Mean
	}
	if left >= 0 {
		r.Mean, r.Records = &left, service.Records
	}
	return r
}

func ofSpreads(name string, s spreads) Stage {
	return Stage{Name: name, Records: s.count(), Mean: orNil(s.mean()), P50: orNil(s.quantile(0.5)), P99: orNil(s.quantile(0.99))}
}

func ofHistogram(name string, h *Histogram) Stage {
	s := Stage{Name: name, Records: h.Count()}
	if mean, ok := h.Mean(); ok {
		p50, _ := h.Quantile(0.5)
		p99, _ := h.Quantile(0.99)
		s.Mean, s.P50, s.P99 = ptr(float64(mean)/1000), ptr(float64(p50)/1000), ptr(float64(p99)/1000)
	}
	return s
}

func orNil(v float64) *float64 {
	if math.IsNaN(v) {
		return nil
	}
	return &v
}

func ptr[T any](v T) *T { return &v }

// busiestBroker is the one with the most requests unanswered at a time of those that may be, on average of the producers.
func (w *waits) busiestBroker() (broker int32, inFlight float64, known bool) {
	most := 0.0
	for _, id := range slices.Sorted(maps.Keys(w.inFlight)) {
		m := w.inFlight[id]
		if m.span == 0 {
			continue
		}
		// Each producer's windows add their span: what is taken is a mean of the producers already.
		mean := m.amount / float64(m.span)
		if share := mean / float64(max(1, w.allowed[id])); !known || share > most {
			broker, inFlight, most, known = id, mean, share, true
		}
	}
	return broker, inFlight, known
}

// backlog is the share of their time in the client that records spent before they were in a request; false where not known.
func (w *waits) backlog() (float64, bool) {
	queue, way := w.queue.mean(), w.outgoing.mean()+w.roundTrip.mean()
	if math.IsNaN(queue+way) || queue+way == 0 {
		return 0, false
	}
	return queue / (queue + way), true
}
