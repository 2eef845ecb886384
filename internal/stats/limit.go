package stats

import (
	"fmt"
	"math"
	"strconv"

	"github.com/kbench/kbench/internal/rundir"
)

// LimitedBy is what held the load back: whom the others waited for. "" where that cannot be told.
type LimitedBy string

const (
	ByRate   LimitedBy = "rate"   // the schedule: the cluster kept up with it
	ByBroker LimitedBy = "broker" // the brokers, or the way to them: the client had as many requests under way as it may
	ByClient LimitedBy = "client" // the sender, its library or its buffer: the brokers could have been asked for more
)

// The limits of what counts as evidence. docs/methodology.md gives the reasons.
const (
	keptUp      = 0.98 // share of the planned rate from which the schedule counts as kept
	heldUp      = 0.10 // share of the senders' time from which waiting for room, or being held back, counts as what limits
	allUnderWay = 0.80 // share of the allowed requests, unanswered on average, from which the client waits for the broker
	fewUnderWay = 0.50 // share below which the broker could have been asked for more
	alwaysBusy  = 0.90 // share of the time from which a thread that runs or is ready to counts as busy all the time
	underWay    = 0.50 // share of a record's time in the client below which the buffer holds little but what is under way
	usualMost   = 5    // requests in flight: what more are allowed than Kafka's default says nothing about who waits
	spent       = 0.95 // share of the machine's processors from which there are none to spare
	filled      = 0.80 // share of batch.size from which batches count as full, on average: the last of a row seldom are
	othersShare = 0.25 // share that is other processes' from which the load was limited by neither of the two
)

// evidence is what bears on the question. What is not known is nil.
type evidence struct {
	planned   *float64 // records a second; nil: as many as can be
	max       bool
	acked     *float64
	counted   bool    // what the senders counted is known
	waits     uint64  // for room in the client's buffer, or for a place in flight
	waited    float64 // share of the senders' time in it
	late      bool    // a schedule was not kept
	external  bool    // the brokers run on machines of their own
	simulated bool    // they run within kbench

	broker    int32    // with the most requests unanswered
	inFlight  *float64 // at it, at a time, of each producer on average
	most      int      // that a producer may have at it, as its library lets it
	limit     int      // likewise, as its settings do; 0: not known
	backlog   *float64 // share of their time in the client that records spent before they were in a request
	spins     bool     // the library's threads do not sleep while they wait for answers
	batch     *float64 // share of batch.size that batches had, on average; nil too where they were compressed
	throttled *float64 // share of the time for which brokers held the client back by quota

	machine         *Machine
	kbench, brokers *float64 // cores
	controllers     float64  // likewise
	client          *Process // its processes
	busiestBroker   *Process
}

// answer is who limited, and the sentences that say why.
func (e evidence) answer() (LimitedBy, []string) {
	if e.acked == nil || e.planned == nil && !e.max {
		return "", nil
	}
	if !e.max && *e.acked >= keptUp**e.planned {
		return ByRate, []string{fmt.Sprintf("%.0f records a second were acknowledged of %.0f planned", *e.acked, *e.planned)}
	}
	if !e.counted {
		return "", []string{"what the senders waited for was not counted"}
	}
	by, why := e.whoWaits()
	seen := []string{e.senders(), why}
	if hint := e.largerBatches(by); hint != "" {
		seen = append(seen, hint)
	}
	seen = append(seen, e.processors()...)
	if others, short := e.others(); by != "" && short {
		by = ""
		seen = append(seen, fmt.Sprintf("other processes took %.1f processors, and none was left: what they took was missing here", others))
	}
	return by, seen
}

// largerBatches says why larger ones would carry more in as many requests, where they would.
func (e evidence) largerBatches(by LimitedBy) string {
	switch {
	case by != ByBroker || e.inFlight == nil || e.byQuota():
		return ""
	case e.spins && e.most < bounded(e.limit):
		return "an idempotent librdkafka has one request of five records or more in flight for each partition: larger batches carry more"
	case e.batch != nil && *e.batch >= filled:
		return fmt.Sprintf("batches were filled to %s of batch.size: a larger one carries more in as many requests", percent(min(1, *e.batch)))
	}
	return ""
}

func (e evidence) byQuota() bool { return e.throttled != nil && *e.throttled >= heldUp }

// others is how many processors were used by what is neither kbench nor its cluster, and whether that was much while none
// was left. It is known only where both are on this machine.
func (e evidence) others() (used float64, short bool) {
	m := e.machine
	if m == nil || m.CPU.Mean == nil || m.CPUs == nil || e.kbench == nil || e.brokers == nil {
		return 0, false
	}
	used = *m.CPU.Mean - *e.kbench - *e.brokers - e.controllers
	return used, *m.CPU.Mean >= spent**m.CPUs && used >= othersShare**m.CPUs
}

// whoWaits tells by the queues, and by the processors where they leave it open. It needs both where they could mislead.
func (e evidence) whoWaits() (LimitedBy, string) {
	waiting := e.waited >= heldUp
	switch {
	case e.byQuota():
		return ByBroker, fmt.Sprintf("brokers held the client back by quota for %s of the time", percent(*e.throttled))
	case e.inFlight == nil:
		return e.withoutQueues(waiting)
	}
	most := bounded(e.most)
	share := *e.inFlight / float64(most)
	under := fmt.Sprintf("%.1f requests were unanswered at a time at broker %d, where %d may be", *e.inFlight, e.broker, most)
	clientBusy, brokerBusy := busyAllTheTime(e.client) && !e.spins, busyAllTheTime(e.busiestBroker)
	switch {
	case waiting && e.backlog != nil && *e.backlog < underWay && *e.inFlight < allUnderWay*float64(bounded(e.limit)) && !brokerBusy:
		return ByClient, under + ", and records spent " + percent(1-*e.backlog) + " of their time in the client in them: its buffer holds no more"
	case share >= allUnderWay && clientBusy && !brokerBusy:
		return "", under + ", but a thread of the client was busy all the time, and may have read the answers late"
	case share >= allUnderWay:
		return ByBroker, under + ": the client waited for answers"
	case !waiting && (e.max || e.late && e.waits == 0):
		return ByClient, under + ": there was room for more, and nobody asked for it"
	case !waiting:
		return "", under + ", and the senders did not wait: what they sent queued up in the client"
	case brokerBusy && !clientBusy:
		return "", under + ", but a thread of the broker was busy all the time"
	case share < fewUnderWay, clientBusy:
		return ByClient, under + " while records waited for room: the client's library or its buffer let no more through"
	}
	return "", under + ": neither few nor all"
}

// bounded is how many requests in flight are all: what is allowed beyond Kafka's default, or not known, says nothing.
func bounded(allowed int) int {
	if allowed <= 0 {
		return usualMost
	}
	return min(allowed, usualMost)
}

// withoutQueues tells what can be told where the library says nothing of its requests.
func (e evidence) withoutQueues(waiting bool) (LimitedBy, string) {
	const unknown = "how many requests were unanswered is not known"
	switch {
	case e.waits == 0 && (e.max && !waiting || e.late):
		return ByClient, unknown + ", but no record ever waited for room"
	case waiting && e.external:
		return ByBroker, unknown + "; the brokers have machines of their own"
	}
	return "", unknown
}

// busyAllTheTime tells whether one thread of a process never had nothing to do.
func busyAllTheTime(p *Process) bool {
	return p != nil && p.Busiest.Mean != nil && *p.Busiest.Mean >= alwaysBusy
}

func (e evidence) senders() string {
	if e.waits == 0 && e.waited < 0.005 {
		return "the senders never waited for room in the client's buffer"
	}
	return fmt.Sprintf("the senders waited for room in the client's buffer for %s of their time", percent(e.waited))
}

// processors say who used them.
func (e evidence) processors() []string {
	var list []string
	if m := e.machine; m != nil && m.CPU.Mean != nil && m.CPUs != nil {
		text := fmt.Sprintf("%.1f of %.4g processors were busy", *m.CPU.Mean, *m.CPUs)
		switch {
		case e.kbench != nil && e.brokers != nil:
			text += fmt.Sprintf(": %.1f by kbench, %.1f by the brokers", *e.kbench, *e.brokers)
		case e.kbench != nil && e.simulated:
			text += fmt.Sprintf(": %.1f by kbench with the simulated brokers", *e.kbench)
		case e.kbench != nil:
			text += fmt.Sprintf(": %.1f by kbench", *e.kbench)
		}
		if e.brokers != nil && *m.CPU.Mean >= spent**m.CPUs {
			text += "; none was left, so that with machines of their own both may be faster"
		}
		list = append(list, text)
	}
	for _, p := range []*Process{e.client, e.busiestBroker} {
		if p != nil && p.Busiest.Mean != nil {
			list = append(list, fmt.Sprintf("the busiest thread of %s (%s) ran or was ready to for %s of the time", p.Name, p.Thread, percent(*p.Busiest.Mean)))
		}
	}
	return list
}

func percent(share float64) string { return fmt.Sprintf("%.0f%%", 100*share) }

// evidence gathers what bears on who limited the load.
func (c *computation) evidence(m rundir.Meta, w *waits) evidence {
	e := evidence{
		planned: m.Load.RatePerS, max: m.Load.Max, acked: c.ackedPerS(), counted: m.Counters[counterSent] > 0,
		waits: m.Counters[counterWaits], waited: min(1, c.waitedShare(m)), late: len(c.f.Lag.Shifts) > 0,
		external: m.Cluster.Kind == "external", simulated: m.Cluster.Simulated, most: mostInFlight(m), limit: mostInFlight(m),
	}
	if broker, n, known := w.busiestBroker(); known && m.Judged.Acks != "0" {
		e.broker, e.inFlight = broker, &n
		if allowed := w.allowed[broker]; allowed > 0 {
			e.most = allowed
		}
	}
	if share, known := w.backlog(); known {
		e.backlog = &share
	}
	if size, bytes := number(m, "batch.size"), w.batchBytes.mean(); size > 0 && !math.IsNaN(bytes) && setting(m, "compression.type") == "none" {
		e.batch = ptr(bytes / float64(size))
	}
	e.spins = m.Client.Driver == "confluent" && m.Judged.Idempotent
	if span := c.f.Measured.To - c.f.Measured.From; w.told && span > 0 {
		share := w.throttledMs * 1e6 / float64(span) / float64(len(w.producers))
		e.throttled = &share
	}
	r := c.f.Resources
	if r == nil {
		return e
	}
	e.machine = &r.Machine
	for i := range r.Processes {
		p := &r.Processes[i]
		switch p.Of {
		case rundir.OfKbench:
			e.kbench = p.CPU.Mean
			if !e.simulated {
				e.client = p
			}
		case rundir.OfController:
			if p.CPU.Mean != nil {
				e.controllers += *p.CPU.Mean
			}
		case rundir.OfBroker:
			e.brokers = added(e.brokers, p.CPU.Mean)
			if e.busiestBroker == nil || busier(p, e.busiestBroker) {
				e.busiestBroker = p
			}
		}
	}
	return e
}

func busier(a, b *Process) bool {
	return a.Busiest.Mean != nil && (b.Busiest.Mean == nil || *a.Busiest.Mean > *b.Busiest.Mean)
}

func added(sum, more *float64) *float64 {
	if sum == nil || more == nil {
		return more
	}
	return ptr(*sum + *more)
}

// mostInFlight is how many requests a producer may have unanswered at a broker; 0 where the library did not say.
func mostInFlight(m rundir.Meta) int {
	n := number(m, "max.in.flight.requests.per.connection")
	if m.Judged.Idempotent {
		return min(n, usualMost)
	}
	return n
}

// setting is the producers' value as their library had it, or else as it was asked for; "" where neither is known.
func setting(m rundir.Meta, name string) string {
	if value, known := m.Client.Effective[name]; known {
		return value
	}
	return m.Client.Asked[name]
}

// number is a setting that is one; 0 where it is not known.
func number(m rundir.Meta, name string) int {
	n, err := strconv.Atoi(setting(m, name))
	if err != nil {
		return 0
	}
	return n
}
