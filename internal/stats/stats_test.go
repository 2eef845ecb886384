package stats

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
)

const (
	ms  = int64(time.Millisecond)
	sec = int64(time.Second)
)

// ops is a history in memory, which hands out one reused operation like a file does.
type ops []history.Op

func (o ops) Each(visit func(*history.Op) error) error {
	slices.SortStableFunc(o, func(a, b history.Op) int { return cmp.Compare(a.Return, b.Return) })
	var reused history.Op
	for i := range o {
		reused = o[i]
		if err := visit(&reused); err != nil {
			return err
		}
	}
	return nil
}

func header(partitions ...string) history.Header {
	return history.Header{Version: 1, Partitions: partitions, Producers: []string{"p0", "w0"}}
}

// send is the seq-th record of p0, in milliseconds.
func send(seq int, partition int32, intended, call, end float64, outcome history.Outcome) history.Op {
	return history.Op{
		Kind: history.Send, Outcome: outcome, Partition: partition, Value: history.Value{Session: 1, Seq: int64(seq)}, Attempt: 1,
		Intended: int64(intended * float64(ms)), Call: int64(call * float64(ms)), Return: int64(end * float64(ms)),
	}
}

func poll(end float64, records ...history.Record) history.Op {
	return history.Op{Kind: history.Poll, Outcome: history.OK, Records: records, Return: int64(end * float64(ms))}
}

func record(seq int, intended float64) history.Record {
	return history.Record{Value: history.Value{Session: 1, Seq: int64(seq)}, Intended: int64(intended * float64(ms))}
}

func measuring(from, to float64) rundir.Meta {
	m := rundir.Meta{}
	m.Clock.MeasureStart, m.Clock.MeasureEnd = int64(from*float64(ms)), int64(to*float64(ms))
	return m
}

func faultAt(at, healed float64) rundir.Fault {
	f := rundir.Fault{Name: "kill", Target: "broker 1", At: int64(at * float64(ms))}
	if healed >= 0 {
		h := int64(healed * float64(ms))
		f.Healed = &h
	}
	return f
}

func compute(t *testing.T, o ops, h history.Header, m rundir.Meta) Figures {
	t.Helper()
	f, err := Compute(o, h, m)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func wantQuantile(t *testing.T, what string, h *Histogram, q float64, want, tolerance time.Duration) {
	t.Helper()
	got, ok := h.Quantile(q)
	if !ok || got < want-tolerance || got > want+tolerance {
		t.Errorf("%s p%g = %v (any: %v), want %v ± %v", what, q*100, got, ok, want, tolerance)
	}
}

// A leader stands still for 2 s in a 20 s run at 5,000 records a second: a tenth of the records waits for 0 to 2 s.
func TestAPausedLeaderShowsInResponseTimesEvenWhereTheSenderWasHeldUp(t *testing.T) {
	for name, heldUp := range map[string]bool{"large buffer: sends go on": false, "small buffer: the sender stands still": true} {
		t.Run(name, func(t *testing.T) {
			var o ops
			for n := range 100_000 {
				intended := float64(n) * 0.2
				call, end := intended, intended+2
				if 10_000 <= intended && intended < 12_000 {
					end = 12_002
					if heldUp {
						call = 12_000
					}
				}
				o = append(o, send(n, 0, intended, call, end, history.OK))
			}
			f := compute(t, o, header("orders/0"), measuring(0, 20_000))
			wantQuantile(t, "response", &f.Ack.Response, 0.5, 2*time.Millisecond, 10*time.Microsecond)
			wantQuantile(t, "response", &f.Ack.Response, 0.95, 1002*time.Millisecond, 5*time.Millisecond)
			if most, _ := f.Ack.Response.Max(); most != 2002*time.Millisecond {
				t.Errorf("longest response %v, want exactly 2.002s", most)
			}
			if heldUp {
				wantQuantile(t, "service", &f.Ack.Service, 0.999, 2*time.Millisecond, 10*time.Microsecond)
				wantQuantile(t, "lag", &f.Lag.All, 0.95, time.Second, 5*time.Millisecond)
			}
		})
	}
}

func TestOnlyRecordsIntendedInTheMeasuredPartCount(t *testing.T) {
	o := ops{
		send(0, 0, 99, 99, 150, history.OK), // warm-up, answered later
		send(1, 0, 100, 101, 103, history.OK),
		send(2, 0, 150, 150, 190, history.Failed),
		send(3, 0, 160, 160, 260, history.Indeterminate),
		send(4, 0, 200, 200, 900, history.OK), // the last one intended
		send(5, 0, 201, 201, 202, history.OK), // too late
		{Kind: history.Send, Outcome: history.OK, Value: history.Value{Producer: 1, Session: 1}, Intended: 150 * ms, Call: 150 * ms, Return: 151 * ms},
		poll(300, record(0, 99), record(1, 100), record(4, 200), record(5, 201)),
	}
	m := measuring(100, 200)
	m.Workers = []rundir.Worker{{Name: "p0", Role: "producer"}, {Name: "w0", Role: "processor"}, {Name: "c0", Role: "consumer"}}
	f := compute(t, o, header("orders/0"), m)
	tp := f.Throughput
	if got, want := [5]uint64{tp.Sent, tp.Acked, tp.Failed, tp.Indeterminate, tp.Read}, [5]uint64{4, 2, 1, 1, 2}; got != want {
		t.Errorf("sent, acked, failed, indeterminate, read = %v, want %v", got, want)
	}
	wantQuantile(t, "ack response", &f.Ack.Response, 0, 3*time.Millisecond, 10*time.Microsecond)
	wantQuantile(t, "ack service", &f.Ack.Service, 0, 2*time.Millisecond, 10*time.Microsecond)
	wantQuantile(t, "failed", &f.Failed, 1, 40*time.Millisecond, 0)
	wantQuantile(t, "indeterminate", &f.Indeterminate, 1, 100*time.Millisecond, 0)
	wantQuantile(t, "end to end response", &f.EndToEnd.Response, 1, 200*time.Millisecond, 0)
	wantQuantile(t, "end to end service", &f.EndToEnd.Service, 1, 199*time.Millisecond, 0)
	wantRate(t, "acked a second", tp.AckedPerS, 2/0.8)
	wantRate(t, "read a second", tp.ReadPerS, 2/0.2)
	wantRate(t, "offered a second", tp.OfferedPerS, 3/0.1)
}

func wantRate(t *testing.T, what string, got *float64, want float64) {
	t.Helper()
	if got == nil || *got < want*0.999 || *got > want*1.001 {
		t.Errorf("%s = %v, want %g", what, deref(got), want)
	}
}

func deref[T any](p *T) any {
	if p == nil {
		return nil
	}
	return *p
}

func TestARunCutOffIsMeasuredAsFarAsItCame(t *testing.T) {
	o := ops{send(0, 0, 50, 50, 51, history.OK), send(1, 0, 100, 100, 101, history.OK), send(2, 0, 150, 150, 151, history.OK)}
	m := measuring(100, 0)
	m.Load.WarmupMs = 100
	if f := compute(t, o, header("orders/0"), m); f.Throughput.Sent != 2 || f.Measured != (Window{100 * ms, 150 * ms}) {
		t.Errorf("cut off while measuring: %d sent in %v, want 2 from 100 to 150 ms", f.Throughput.Sent, f.Measured)
	}
	m.Clock.MeasureStart = 0
	if f := compute(t, o, header("orders/0"), m); f.Throughput.Sent != 0 || f.Throughput.AckedPerS != nil || len(f.Series.Points) != 0 {
		t.Errorf("cut off in the warm-up: %+v, want nothing measured", f.Throughput)
	}
}

func TestEndToEndIsToTheFirstDelivery(t *testing.T) {
	corrupt := record(3, 10)
	corrupt.Flags = history.Corrupt
	o := ops{
		send(0, 0, 10, 11, 20, history.OK),
		poll(30, record(0, 10)), // after the acknowledgement
		send(1, 0, 10, 12, 50, history.OK),
		poll(40, record(1, 10)), // before it
		poll(60, record(0, 10), record(1, 10)),
		send(2, 0, 10, 10, 20, history.Indeterminate), // delivered without ever being acknowledged
		poll(70, record(2, 10)),
		poll(80, corrupt, history.Record{Value: history.NoValue, Intended: history.Unknown}),
	}
	f := compute(t, o, header("orders/0"), measuring(0, 100))
	if n := f.EndToEnd.Response.Count(); n != 3 {
		t.Errorf("%d responses, want 3", n)
	}
	for q, want := range map[float64][2]time.Duration{0: {20, 19}, 0.5: {30, 28}, 1: {60, 60}} {
		wantQuantile(t, "response", &f.EndToEnd.Response, q, want[0]*time.Millisecond, 50*time.Microsecond)
		wantQuantile(t, "service", &f.EndToEnd.Service, q, want[1]*time.Millisecond, 50*time.Microsecond)
	}
}

func TestDeliveriesGivesPagesBackAndStillKnowsThem(t *testing.T) {
	d := newDeliveries()
	for seq := range int64(3 * pageSize) {
		v := history.Value{Session: 1, Seq: seq}
		d.sent(v, seq)
		if call, known, first := d.delivered(v, seq+5); call != seq || !known || !first {
			t.Fatalf("record %d: call %d known %v first %v", seq, call, known, first)
		}
	}
	if len(d.free) != 1 {
		t.Errorf("%d pages to reuse, want the one that all three took turns in", len(d.free))
	}
	if _, _, first := d.delivered(history.Value{Session: 1, Seq: 7}, 9); first {
		t.Error("a second delivery from a complete page counts as the first")
	}
	if _, _, first := d.delivered(history.Value{Session: 2, Seq: 7}, 9); !first {
		t.Error("another session's record was taken for one delivered before")
	}
}

func TestARecordBelongsToThePhaseInWhichItWasIntended(t *testing.T) {
	var o ops
	for n := range 100 { // 10 ms apart; those of 300 to 500 ms wait until 520
		intended := float64(n * 10)
		end := intended + 1
		if 300 <= intended && intended <= 500 {
			end = 520
		}
		o = append(o, send(n, 0, intended, intended, end, history.OK), poll(end+1, record(n, intended)))
	}
	m := measuring(0, 1000)
	m.Faults = []rundir.Fault{faultAt(300, 400), faultAt(700, -1)}
	m.Clock.LoadEnd = 1000 * ms
	f := compute(t, o, header("orders/0"), m)
	counts := func(f Fault) (n [3]uint64) {
		for i := range f.Phases {
			n[i] = f.Phases[i].Ack.Response.Count()
			if e := f.Phases[i].EndToEnd.Service.Count(); e != n[i] {
				t.Errorf("phase %d: %d acknowledged, %d delivered", i, n[i], e)
			}
		}
		return n
	}
	if got, want := counts(f.Faults[0]), [3]uint64{30, 11, 59}; got != want {
		t.Errorf("healed at 400 ms, an interruption too short to count: %v, want %v", got, want)
	}
	if got, want := counts(f.Faults[1]), [3]uint64{70, 30, 0}; got != want {
		t.Errorf("never healed: %v, want %v", got, want)
	}
	m.Faults[0].Healed = duration64(310)
	for i := range o { // now they wait for 600 ms and more, until 920
		if o[i].Kind == history.Send && o[i].Return == 520*ms {
			o[i].Return = 920 * ms
		}
	}
	o = slices.DeleteFunc(o, func(op history.Op) bool {
		return op.Kind == history.Poll || op.Kind == history.Send && op.Intended > 500*ms && op.Intended < 920*ms
	})
	f = compute(t, o, header("orders/0"), m)
	if got := f.Faults[0].During; got.To != 920*ms {
		t.Errorf("healed at 310 ms, recovered at 920: the phase ends at %v", time.Duration(got.To))
	}
}

func TestOfManyFaultsOnlyTheFirstHasABeforeAndTheLastAnAfter(t *testing.T) {
	var o ops
	for n := range 1000 { // a millisecond apart
		o = append(o, send(n, 0, float64(n), float64(n), float64(n)+0.5, history.OK))
	}
	m := measuring(0, 1000)
	for i := range FewFaults + 1 {
		m.Faults = append(m.Faults, faultAt(float64(100+i*50), float64(100+i*50+9)))
	}
	m.Faults[0], m.Faults[1] = m.Faults[1], m.Faults[0] // in no order
	f := compute(t, o, header("orders/0"), m)
	for i, fault := range f.Faults {
		want := [3]uint64{0, 10, 0}
		switch i {
		case 1:
			want[Before] = 100
		case FewFaults:
			want[After] = 90
		}
		for p := range fault.Phases {
			if got := fault.Phases[p].Ack.Response.Count(); got != want[p] {
				t.Errorf("fault %d, phase %d: %d records, want %d", i, p, got, want[p])
			}
		}
	}
}

func duration64(millis int64) *int64 {
	n := millis * ms
	return &n
}

func TestHistogramClampsAndCounts(t *testing.T) {
	var h Histogram
	if _, ok := h.Quantile(0.5); ok || h.Count() != 0 {
		t.Error("an empty histogram has a median")
	}
	for _, ns := range []int64{-5, 0, 1, 1001, int64(2 * time.Hour)} {
		h.Add(ns)
	}
	if h.Count() != 5 {
		t.Errorf("%d counted, want 5: nothing is dropped", h.Count())
	}
	if negative, long := h.OutOfRange(); negative != 1 || long != 1 {
		t.Errorf("%d negative and %d too long, want 1 and 1", negative, long)
	}
	wantQuantile(t, "clamped", &h, 0.6, time.Microsecond, 0)
	wantQuantile(t, "rounded up", &h, 0.8, 2*time.Microsecond, 0)
	if most, _ := h.Max(); most != time.Hour {
		t.Errorf("longest %v, want 1h", most)
	}
	o := ops{send(0, 0, 10, 10, 5, history.OK), send(1, 0, 10, 10, 2*3600*1000, history.OK)}
	w := strings.Join(compute(t, o, header("orders/0"), measuring(0, 100)).Warnings, "\n")
	if !strings.Contains(w, "2 durations were negative") || !strings.Contains(w, "2 durations were longer than 1h") {
		t.Errorf("warnings: %s", w)
	}
}

// Of n values the share q is no larger than the quantile, and no smaller value has as many below it: HdrHistogram's own
// nearest rank would publish a smaller one for about half of all n.
func TestQuantileIsOfTheRankThatIsPromised(t *testing.T) {
	for _, n := range []int{1, 2, 3, 10, 99, 100, 101, 149, 199, 1001, 9_999, 10_000, 10_001, 19_540} {
		for _, share := range []struct{ q, of float64 }{{0.5, 2}, {0.9, 10}, {0.99, 100}, {0.999, 1000}, {0.9999, 10_000}} {
			above := n / int(share.of) // how many may exceed it
			var h Histogram
			var i Interval
			for k := range n { // one microsecond each up to the one that is the quantile, then two, then three
				micros := int64(1)
				if k >= n-above-1 {
					micros = 2
				}
				if k >= n-above {
					micros = 3
				}
				h.Add(micros * 1000)
				i.add(micros * 1000)
			}
			want := 2 * time.Microsecond
			if got, _ := h.Quantile(share.q); got != want {
				t.Errorf("p%g of %d values: %v, want %v", share.q*100, n, got, want)
			}
			if got, _ := i.Quantile(share.q); got != want {
				t.Errorf("p%g of %d values in a step: %v, want %v", share.q*100, n, got, want)
			}
		}
	}
}
