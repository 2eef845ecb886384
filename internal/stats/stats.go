// Package stats takes a run's figures from its history: latencies whole and around each fault, throughput, what each
// fault cost in availability, and how well the load itself kept to its schedule. It is computed after the run, so that any
// recorded run can be measured again. docs/methodology.md says what each figure means. It is a leaf over history and rundir.
package stats

import (
	"fmt"
	"math"
	"time"

	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
)

// Figures of one run. All but Faults' outages are about the records of the load's producers that were intended in the
// measured part, Measured; what a processor writes is not among them.
type Figures struct {
	Measured Window

	Ack      Latency // ok sends: to the acknowledgement
	EndToEnd Latency // delivered records: to the first delivery by any poll
	// Response of the sends that got no acknowledgement, to the moment when that was known.
	Indeterminate, Failed Histogram
	Lag                   Lag

	Faults     []Fault  // as Meta.Faults
	Polled     bool     // somebody tried to read what was sent
	Groups     []Group  // of consumers and processors, in the order of the scenario
	Topics     []Topic  // of the load
	Backlog    *Backlog // nil: there was none
	Throughput Throughput
	Series     Series     // with OverTime; without it there is none
	Stages     []Stage    // where a record waited; nil where the client's library did not tell
	Resources  *Resources // nil where nobody looked
	Growth     Growth
	Warnings   []string
}

// Window is a span of the run's clock in ns, both ends included.
type Window struct{ From, To int64 }

// Has tells whether t lies in the window.
func (w Window) Has(t int64) bool { return w.From <= t && t <= w.To }

// Fault is what one fault cost.
type Fault struct {
	Outage
	// During is from the injection to the heal or the recovery, whichever is later; to the end where one of them never came.
	During Window
	Phases [3]Phase // Before, During, After
}

// Indices of a fault's phases. A record belongs to the one in which it was intended.
const (
	Before = iota
	During
	After
)

// Phase is the latency of the records that were intended in one part of a run.
type Phase struct{ Ack, EndToEnd Latency }

// Source gives the operations of a history in order of their return, each time from the start. The operation may be
// reused between calls.
type Source interface {
	Each(func(*history.Op) error) error
}

// Option asks for figures that cost more than the usual ones.
type Option func(*computation)

// OverTime asks for the Series.
func OverTime(c *computation) { c.series = newSeries(c.f.Measured) }

// Compute takes the figures of a history: in one streaming pass, and one before it where faults were injected, since the
// end of a fault's phase is known only once its recovery is.
func Compute(src Source, h history.Header, m rundir.Meta, options ...Option) (Figures, error) {
	return take(whole{src, src}, h, m, nil, options...)
}

// whole is what the passes read: one is about sends alone, the other about sends and polls.
type whole struct{ sends, load Source }

// take has figures of the samples too, which lie beside the history.
func take(src whole, h history.Header, m rundir.Meta, samples []rundir.Sample, options ...Option) (Figures, error) {
	outages, err := findOutages(src.sends, h, m)
	if err != nil {
		return Figures{}, fmt.Errorf("outages: %w", err)
	}
	c := newComputation(h, m, outages)
	for _, o := range options {
		o(c)
	}
	if err := src.load.Each(c.add); err != nil {
		return Figures{}, fmt.Errorf("figures: %w", err)
	}
	return c.figures(m, samples), nil
}

func findOutages(src Source, h history.Header, m rundir.Meta) ([]Outage, error) {
	if len(m.Faults) == 0 {
		return nil, nil
	}
	o := newOutages(h.Partitions, m)
	err := src.Each(func(op *history.Op) error {
		if op.Kind == history.Send {
			o.add(op)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return o.finish(m.Clock.LoadEnd), nil
}

// measured is the part of the run that counts. A run that was cut off before it ended is measured as far as it came;
// one that never left the warm-up is not measured at all.
func measured(m rundir.Meta) Window {
	w := Window{From: m.Clock.MeasureStart, To: m.Clock.MeasureEnd}
	if w.From == 0 && m.Load.WarmupMs > 0 {
		return Window{From: never, To: -1}
	}
	if w.To == 0 {
		w.To = never
	}
	return w
}

// computation is the state of the streaming pass.
type computation struct {
	f          Figures
	processors []bool // by producer: what it sends is no load
	deliveries *deliveries
	readers    *readers
	topics     *topics
	backlog    builder

	sent, acked, read       uint64
	flatOut                 bool   // the load has no schedule
	answered                uint64 // ok sends whose answer came since the measured part began, the warm-up's among them
	bytes                   int64  // of acknowledged values
	firstSent, lastSent     int64  // intended starts
	lastCall                int64  // of a send
	firstHurt               int64  // injection of the first fault, never
	lastAcked, lastDelivery int64
	many                    bool // faults: see FewFaults
	firstAt, lastAt         int  // of them
	series                  *series
	later                   later
}

func newComputation(h history.Header, m rundir.Meta, outages []Outage) *computation {
	c := &computation{processors: processors(h, m), firstSent: never, firstHurt: never}
	c.f.Measured = measured(m)
	c.f.Faults = make([]Fault, len(m.Faults))
	for i, f := range m.Faults {
		c.f.Faults[i] = Fault{Outage: outages[i], During: during(f, outages[i])}
	}
	if first := c.firstFault(); first != nil {
		c.firstHurt = first.During.From
	}
	c.flatOut = m.Load.Max
	c.thin()
	if hasReaders(m) {
		c.deliveries = newDeliveries()
	}
	c.later = newLater(c.f.Measured)
	c.readers, c.topics, c.backlog.of = newReaders(h, m, c.f.Measured), newTopics(h, m), m.Load.Backlog
	return c
}

// FewFaults have three phases each. Of more, as a random series brings them, only the first has what was before it and the
// last what came after: the rest would be much the same time, again and again. Theirs are counted to two digits.
const FewFaults = 16

// thin makes the phases of many faults small.
func (c *computation) thin() {
	fs := c.f.Faults
	if c.many = len(fs) > FewFaults; !c.many {
		return
	}
	for i := range fs {
		for p := range fs[i].Phases {
			fs[i].Phases[p].coarse()
		}
		if fs[i].During.From < fs[c.firstAt].During.From {
			c.firstAt = i
		}
		if fs[i].During.From > fs[c.lastAt].During.From {
			c.lastAt = i
		}
	}
}

func (p *Phase) coarse() {
	for _, h := range []*Histogram{&p.Ack.Response, &p.Ack.Service, &p.EndToEnd.Response, &p.EndToEnd.Service} {
		h.coarse = true
	}
}

func during(f rundir.Fault, o Outage) Window {
	w := Window{From: f.At, To: healedAt(f)}
	switch {
	case o.NeverRecovered:
		w.To = never
	case o.Recovered != nil:
		w.To = max(w.To, f.At+int64(*o.Recovered))
	}
	return w
}

func processors(h history.Header, m rundir.Meta) []bool {
	is := make([]bool, len(h.Producers))
	for _, w := range m.Workers {
		for i, name := range h.Producers {
			is[i] = is[i] || name == w.Name && w.Role == "processor"
		}
	}
	return is
}

// hasReaders tells whether anybody may have polled. A run that was cut off may not know its workers.
func hasReaders(m rundir.Meta) bool {
	for _, w := range m.Workers {
		if w.Role != "producer" && w.Role != "reader" {
			return true
		}
	}
	return len(m.Workers) == 0
}

func (c *computation) add(op *history.Op) error {
	switch op.Kind {
	case history.Send:
		c.readers.stored(op)
		if c.isLoad(op.Value) {
			c.addSend(op)
		}
	case history.Txn:
		c.readers.ended(op)
	case history.Poll:
		c.f.Polled = true
		group := c.readers.given(op)
		for i := range op.Records {
			c.addDelivery(&op.Records[i], op.Return, group)
		}
	}
	return nil
}

func (c *computation) isLoad(v history.Value) bool {
	return v.Producer >= 0 && int(v.Producer) < len(c.processors) && !c.processors[v.Producer] && v.Session >= 0 && v.Seq >= 0
}

func (c *computation) addSend(op *history.Op) {
	intended := start(op)
	c.series.flight(op)
	c.backlog.sent(op, intended)
	if op.Outcome == history.OK {
		c.later.acked(op.Return)
		if op.Return >= c.f.Measured.From {
			c.answered++
		}
	}
	if !c.f.Measured.Has(intended) {
		return
	}
	c.series.sent(op)
	c.topics.sent(op, intended)
	c.sent++
	c.firstSent, c.lastSent = min(c.firstSent, intended), max(c.lastSent, intended)
	c.lastCall = max(c.lastCall, op.Call)
	c.later.sent(intended)
	c.f.Lag.add(op, intended < c.firstHurt)
	switch op.Outcome {
	case history.OK:
		c.acked++
		c.bytes += op.Size
		c.lastAcked = max(c.lastAcked, op.Return)
		c.each(intended, func(p *Phase) { p.Ack.add(intended, op.Call, op.Return) })
		c.f.Ack.add(intended, op.Call, op.Return)
	case history.Failed:
		c.f.Failed.Add(op.Return - intended)
	default:
		c.f.Indeterminate.Add(op.Return - intended)
	}
	if c.deliveries == nil {
		return
	}
	c.readers.sent(op, intended)
	if at, known := c.deliveries.sent(op.Value, op.Call); known {
		c.series.joined(intended, op.Call, at)
		c.readers.joinedAlone(intended, op.Call, at)
		c.f.EndToEnd.Service.Add(at - op.Call)
		c.each(intended, func(p *Phase) { p.EndToEnd.Service.Add(at - op.Call) })
	}
}

func (c *computation) addDelivery(r *history.Record, at int64, group *reader) {
	if r.Flags != 0 || !c.isLoad(r.Value) || !c.f.Measured.Has(r.Intended) || c.deliveries == nil {
		return
	}
	group.delivered(r.Value, r.Intended, at)
	call, known, first := c.deliveries.delivered(r.Value, at)
	if !first {
		return
	}
	group.alone(r.Intended, call, at, known)
	c.read++
	c.lastDelivery = max(c.lastDelivery, at)
	c.series.delivered(r.Intended, at)
	c.later.read(at)
	c.f.EndToEnd.Response.Add(at - r.Intended)
	c.each(r.Intended, func(p *Phase) { p.EndToEnd.Response.Add(at - r.Intended) })
	if known {
		c.series.joined(r.Intended, call, at)
		c.f.EndToEnd.Service.Add(at - call)
		c.each(r.Intended, func(p *Phase) { p.EndToEnd.Service.Add(at - call) })
	}
}

// each visits, for each fault, the phase in which a time lies, if it is kept.
func (c *computation) each(intended int64, visit func(*Phase)) {
	for i := range c.f.Faults {
		f := &c.f.Faults[i]
		switch {
		case intended >= f.During.From && intended <= f.During.To:
			visit(&f.Phases[During])
		case intended < f.During.From && (!c.many || i == c.firstAt):
			visit(&f.Phases[Before])
		case intended > f.During.To && (!c.many || i == c.lastAt):
			visit(&f.Phases[After])
		}
	}
}

func (c *computation) figures(m rundir.Meta, samples []rundir.Sample) Figures {
	f := &c.f
	if f.Measured.To == never {
		f.Measured.To = max(c.lastSent, f.Measured.From)
	}
	c.finishLag(m)
	f.Series = c.series.finish()
	g := newGrid(f.Series)
	f.Resources = resources(samples, f.Measured, g)
	waits := clientWaits(samples, f.Measured, max(f.Measured.To, m.Clock.LoadEnd), g)
	f.Stages = c.stages(waits)
	f.Series.Sampled = g.finish()
	groups, columns := c.readers.finish(&f.Series, c.lastSent)
	f.Groups, f.Series.Sampled = groups, append(f.Series.Sampled, columns...)
	f.Topics, f.Backlog = c.topics.finish(m, f.Measured.From, max(c.lastAcked, c.lastSent)), c.backlog.finish()
	f.Throughput = c.throughput(m)
	e := c.evidence(m, waits)
	f.Throughput.LimitedBy, f.Throughput.Evidence = e.answer()
	f.Throughput.LargerBatches = e.largerBatches(f.Throughput.LimitedBy)
	f.Growth = c.later.growth(f.Polled)
	f.Warnings = c.warnings(m)
	return *f
}

// perSecond is a rate over a span of ns; nil where the span is empty.
func perSecond(n uint64, from, to int64) *float64 {
	if to <= from {
		return nil
	}
	rate := float64(n) / time.Duration(to-from).Seconds()
	if math.IsInf(rate, 0) {
		return nil
	}
	return &rate
}
