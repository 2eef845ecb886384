package stats

import (
	"strings"
	"testing"

	"github.com/kbench/kbench/internal/rundir"
)

// busyProcess has its busiest thread at work or ready for a share of the time.
func busyProcess(name string, share float64) *Process {
	return &Process{Name: name, Thread: "worker", Busiest: Level{Mean: &share}}
}

// busyMachine has so many of its processors at work.
func busyMachine(cpus, busy float64) *Machine { return &Machine{CPUs: &cpus, CPU: Level{Mean: &busy}} }

func TestWhoLimitedTheLoad(t *testing.T) {
	acked, rate := 900.0, 1000.0
	flatOut := evidence{max: true, acked: &acked, counted: true, most: 5, broker: 2}
	full := flatOut
	full.waits, full.waited, full.inFlight = 9, 0.9, ptr(4.6)
	few := full
	few.inFlight = ptr(1.0)
	with := func(e evidence, edit func(*evidence)) evidence {
		edit(&e)
		return e
	}
	for name, c := range map[string]struct {
		of   evidence
		want LimitedBy
		says string
	}{
		"the rate was kept":                    {evidence{planned: ptr(910.0), acked: &acked}, ByRate, "900 records a second were acknowledged of 910"},
		"nothing was acknowledged":             {evidence{planned: &rate}, "", ""},
		"steps alone":                          {evidence{acked: &acked}, "", ""},
		"nobody counted":                       {evidence{max: true, acked: &acked}, "", "was not counted"},
		"all requests under way":               {full, ByBroker, "4.6 requests were unanswered at a time at broker 2, where 5 may be: the client waited"},
		"all, of the only one that is allowed": {with(full, func(e *evidence) { e.most, e.inFlight = 1, ptr(0.95) }), ByBroker, "where 1 may be"},
		"of a thousand allowed five":           {with(full, func(e *evidence) { e.most = 1000 }), ByBroker, "where 5 may be"},
		"all, not yet felt in a large buffer":  {with(full, func(e *evidence) { e.waits, e.waited = 0, 0 }), ByBroker, "never waited for room"},
		"all, and the client's thread is busy": {with(full, func(e *evidence) { e.client = busyProcess("kbench", 0.99) }), "", "may have read the answers late"},
		"all, and both are busy": {with(full, func(e *evidence) {
			e.client, e.busiestBroker = busyProcess("kbench", 0.99), busyProcess("broker 2", 0.97)
		}), ByBroker, "broker 2 (worker) ran or was ready to for 97%"},
		"few requests, the buffer full":     {few, ByClient, "1.0 requests were unanswered at a time at broker 2, where 5 may be while records waited for room"},
		"few, the broker's thread busy":     {with(few, func(e *evidence) { e.busiestBroker = busyProcess("broker 2", 0.95) }), "", "a thread of the broker was busy all the time"},
		"few, nobody waited":                {with(few, func(e *evidence) { e.waits, e.waited = 0, 0 }), ByClient, "nobody asked for it"},
		"few, and the buffer holds no more": {with(few, func(e *evidence) { e.backlog = ptr(0.2) }), ByClient, "records spent 80% of their time in the client in them: its buffer holds no more"},
		"all, and the buffer holds no more": {with(full, func(e *evidence) { e.backlog = ptr(0.2) }), ByBroker, "the client waited"},
		"all that librdkafka has for 2 partitions, of 5": {with(full, func(e *evidence) {
			e.inFlight, e.most, e.limit, e.spins, e.client, e.backlog = ptr(2.0), 2, 5, true, busyProcess("kbench", 1), ptr(0.99)
		}), ByBroker, "larger batches carry more"},
		"all, in full batches":                     {with(full, func(e *evidence) { e.batch = ptr(0.95) }), ByBroker, "batches were filled to 95% of batch.size: a larger one carries more"},
		"all, in batches of one record more":       {with(full, func(e *evidence) { e.batch = ptr(1.2) }), ByBroker, "filled to 100%"},
		"the same, in a buffer that holds no more": {with(full, func(e *evidence) { e.inFlight, e.most, e.limit, e.spins, e.backlog = ptr(2.9), 2, 5, true, ptr(0.3) }), ByClient, "its buffer holds no more"},
		"half of them, no thread busy":             {with(full, func(e *evidence) { e.inFlight = ptr(3.2) }), "", "neither few nor all"},
		"half of them, the client's busy":          {with(full, func(e *evidence) { e.inFlight, e.client = ptr(3.2), busyProcess("kbench", 0.95) }), ByClient, "let no more through"},
		"quota":                                    {with(few, func(e *evidence) { e.throttled = ptr(0.6) }), ByBroker, "by quota for 60% of the time"},
		"a trace of quota":                         {with(few, func(e *evidence) { e.throttled = ptr(0.01) }), ByClient, ""},
		"a schedule not kept, the sender late":     {evidence{planned: &rate, acked: &acked, counted: true, most: 5, inFlight: ptr(0.2), late: true}, ByClient, "nobody asked for it"},
		"a schedule not kept, nobody to blame":     {evidence{planned: &rate, acked: &acked, counted: true, most: 5, inFlight: ptr(0.2)}, "", "queued up in the client"},
		"a schedule not kept, all under way":       {evidence{planned: &rate, acked: &acked, counted: true, most: 5, inFlight: ptr(4.9)}, ByBroker, ""},
		"others had the processors":                {with(full, func(e *evidence) { e.machine, e.kbench, e.brokers = busyMachine(4, 4), ptr(1.0), ptr(1.5) }), "", "other processes took 1.5 processors"},
		"others had a little":                      {with(full, func(e *evidence) { e.machine, e.kbench, e.brokers = busyMachine(4, 4), ptr(1.5), ptr(2.2) }), ByBroker, "none was left"},
		"others had much, and some was left":       {with(full, func(e *evidence) { e.machine, e.kbench, e.brokers = busyMachine(8, 4), ptr(1.0), ptr(0.5) }), ByBroker, "4.0 of 8 processors were busy: 1.0 by kbench, 0.5 by the brokers"},
		"a library that tells nothing":             {with(full, func(e *evidence) { e.inFlight = nil }), "", "is not known"},
		"the same, on machines of their own":       {with(full, func(e *evidence) { e.inFlight, e.external = nil, true }), ByBroker, "machines of their own"},
		"the same, and no record ever waited":      {with(full, func(e *evidence) { e.inFlight, e.waits, e.waited = nil, 0, 0 }), ByClient, "no record ever waited"},
		"the same, simulated, with its own cpu":    {with(few, func(e *evidence) { e.simulated, e.machine, e.kbench = true, busyMachine(2, 1.5), ptr(1.4) }), ByClient, "with the simulated brokers"},
	} {
		t.Run(name, func(t *testing.T) {
			by, seen := c.of.answer()
			if text := strings.Join(seen, "\n"); by != c.want || !strings.Contains(text, c.says) {
				t.Errorf("%q, want %q, because %q:\n%s", by, c.want, c.says, text)
			}
		})
	}
}

func TestLargerBatchesAreNoAdviceWhereTheyDoNotHelp(t *testing.T) {
	full := evidence{max: true, acked: ptr(900.0), counted: true, most: 5, broker: 2, waits: 9, waited: 0.9, inFlight: ptr(4.6), batch: ptr(0.95)}
	for name, edit := range map[string]func(*evidence){
		"half full":         func(e *evidence) { e.batch = ptr(0.5) },
		"fill is not known": func(e *evidence) { e.batch = nil },
		"by quota":          func(e *evidence) { e.throttled = ptr(0.5) },
		"few requests":      func(e *evidence) { e.inFlight = ptr(1.0) },
		"the rate was kept": func(e *evidence) { e.max, e.planned = false, ptr(900.0) },
	} {
		e := full
		edit(&e)
		if _, seen := e.answer(); strings.Contains(strings.Join(seen, "\n"), "batch.size") {
			t.Errorf("%s: %q", name, seen)
		}
	}
}

// flatOutWith is a run as fast as the client takes records, of which the sender waited for most, with what was sampled.
func flatOutWith(t *testing.T, inFlight string, samples ...rundir.Sample) Throughput {
	t.Helper()
	var o ops
	for n := range 400 {
		o = append(o, send(n, 0, float64(n*10), float64(n*10), float64(n*10+500), 1))
	}
	m := measuring(0, 4000)
	m.Load.Max, m.Judged.Acks = true, "all"
	m.Counters = map[string]uint64{counterSent: 400, counterWaits: 300, counterUs: 3_500_000}
	m.Workers = []rundir.Worker{{Name: "p0", Session: 1, Role: "producer"}}
	m.Client.Effective = map[string]string{"max.in.flight.requests.per.connection": inFlight}
	f, err := take(whole{o, o}, header("orders/0"), m, samples)
	if err != nil {
		t.Fatal(err)
	}
	return f.Throughput
}

func TestWindowsOfTheMeasuredPartTellWhoLimited(t *testing.T) {
	with := func(requests int, broker int32) rundir.BrokerWindow {
		return rundir.BrokerWindow{Broker: broker, RoundTrip: even(100_000, requests)}
	}
	for name, c := range map[string]struct {
		samples []rundir.Sample
		most    string
		want    LimitedBy
	}{
		"one broker had all the time as many as may be": {[]rundir.Sample{told(2000, windowOf(0, 2000, "p0", with(10, 1), with(95, 2))), told(4000, windowOf(2000, 4000, "p0", with(10, 1), with(95, 2)))}, "5", ByBroker},
		"the same requests, and twice as many allowed":  {[]rundir.Sample{told(4000, windowOf(0, 4000, "p0", with(190, 2)))}, "10", ByBroker},
		"few requests":                     {[]rundir.Sample{told(4000, windowOf(0, 4000, "p0", with(20, 1)))}, "5", ByClient},
		"many, but before it was measured": {[]rundir.Sample{told(0, windowOf(-4000, -1, "p0", with(200, 1))), told(4000, windowOf(0, 4000, "p0", with(20, 1)))}, "5", ByClient},
		"nothing told":                     {nil, "5", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := flatOutWith(t, c.most, c.samples...); got.LimitedBy != c.want {
				t.Errorf("%q, want %q: %v", got.LimitedBy, c.want, got.Evidence)
			}
		})
	}
}
