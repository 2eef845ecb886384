package check

import (
	"math"
	"slices"
	"strings"
	"testing"

	log "github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
)

func TestAFaultLastsUntilItIsHealedOrTheLoadIsOver(t *testing.T) {
	healed := int64(30)
	for _, c := range []struct {
		name    string
		healed  *int64
		loadEnd int64
		to      int64
	}{
		{"healed", &healed, 50, 30},
		{"healed after the load", &healed, 20, 30},
		{"never healed", nil, 50, 50},
		{"never healed, begun at the end of the load", nil, 10, math.MaxInt64},
		{"never healed, and the end of the load is not known", nil, 0, math.MaxInt64},
	} {
		w := faultWindow(rundir.Fault{Name: "kill", Target: "broker 1", At: 10, Healed: c.healed}, rundir.Clock{LoadEnd: c.loadEnd})
		if w.from != 10 || w.to != c.to || w.label != "kill broker 1" {
			t.Errorf("%s: %+v", c.name, w)
		}
	}
}

// faultScene is a watch over faults from 100 to 200 ns, in a run with the producers p0 and p1, the consumers c0 and c1 of the
// group readers and the processors w0 and w1 of the group billing, on orders/0 to orders/2.
func faultScene(guarantee string, faults ...rundir.Fault) *watch {
	healed := int64(200)
	for i := range faults {
		if faults[i].At == 0 {
			faults[i].At = 100
		}
		faults[i].Healed = &healed
	}
	meta := rundir.Meta{Guarantee: guarantee, Faults: faults, Judged: rundir.Judged{Group: "readers", Processors: "billing", Processed: true, Commit: "after-processing"}}
	header := log.Header{Partitions: []string{"orders/0", "orders/1", "orders/2"}}
	for _, name := range []string{"p0", "p1", "c0", "c1", "w0", "w1"} {
		role := map[byte]string{'p': "producer", 'c': "consumer", 'w': "processor"}[name[0]]
		meta.Workers = append(meta.Workers, rundir.Worker{Name: name, Session: 1, Role: role})
		header.Clients = append(header.Clients, log.Client{Name: name, Session: 1})
	}
	h := &log.History{Header: header, Sessions: make([]log.Session, len(header.Clients))}
	r := run{recorded: true, guarantee: guarantee, meta: meta, group: "readers", groups: readers(false)}
	for _, f := range faults {
		r.windows = append(r.windows, faultWindow(f, meta.Clock))
	}
	return newWatch(&court{ledger: newLedger(h, r), windows: r.windows})
}

// did has a client do something from a time to another; edit says what.
func (c *watch) did(client string, kind log.Kind, call, ret int64, edit func(*log.Op)) {
	o := op(kind)
	o.Call, o.Return, o.Client = call, ret, int32(slices.IndexFunc(c.h.Header.Clients, func(l log.Client) bool { return l.Name == client }))
	if edit != nil {
		edit(&o)
	}
	c.add(&view{Op: &o})
}

// Of a broker's fault the sends are at risk that it overlapped on its partitions; the run counts each once.
func TestWhichSendsAFaultPutAtRisk(t *testing.T) {
	at := func(partition int32, outcome log.Outcome) func(*log.Op) {
		return func(o *log.Op) { o.Partition, o.Outcome = partition, outcome }
	}
	whole := rundir.Fault{Name: "kill", Target: "broker 1"}
	first := rundir.Fault{Name: "kill", Target: "broker 1", Partitions: []string{"orders/0"}}
	last := rundir.Fault{Name: "kill", Target: "broker 2", Partitions: []string{"orders/2", "orders/9"}}
	producer := rundir.Fault{Name: "kill", Target: "producer 0"}
	for _, c := range []struct {
		name      string
		faults    []rundir.Fault
		call, ret int64
		send      func(*log.Op)
		lossy     uint64 // at risk under at-least-once,
		exact     uint64 // and under exactly-once
	}{
		{"acknowledged", []rundir.Fault{whole}, 150, 160, at(0, log.OK), 1, 1},
		{"unanswered", []rundir.Fault{whole}, 150, 160, at(0, log.Indeterminate), 0, 1},
		{"refused", []rundir.Fault{whole}, 150, 160, at(0, log.Failed), 0, 0},
		{"before", []rundir.Fault{whole}, 50, 99, at(0, log.OK), 0, 0},
		{"after", []rundir.Fault{whole}, 201, 250, at(0, log.OK), 0, 0},
		{"answered just then", []rundir.Fault{whole}, 50, 100, at(0, log.OK), 1, 1},
		{"sent just then", []rundir.Fault{whole}, 200, 250, at(0, log.OK), 1, 1},
		{"under two faults", []rundir.Fault{whole, whole}, 150, 160, at(0, log.OK), 1, 1},
		{"on its partition", []rundir.Fault{first}, 150, 160, at(0, log.OK), 1, 1},
		{"on another partition", []rundir.Fault{first}, 150, 160, at(1, log.OK), 0, 0},
		{"on the first, and not on the last", []rundir.Fault{last}, 150, 160, at(0, log.OK), 0, 0},
		{"on the last", []rundir.Fault{last}, 150, 160, at(2, log.OK), 1, 1},
		{"nobody knows where", []rundir.Fault{first}, 150, 160, at(log.Unknown, log.OK), 1, 1},
		{"of the producer that was killed", []rundir.Fault{producer}, 150, 160, at(0, log.OK), 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			for guarantee, want := range map[string]uint64{AtLeastOnce: c.lossy, ExactlyOnce: c.exact} {
				w := faultScene(guarantee, slices.Clone(c.faults)...)
				w.did("p0", log.Send, c.call, c.ret, c.send)
				if got := w.exposed(); *got != want {
					t.Errorf("%s: %d of the run at risk, not %d", guarantee, *got, want)
				}
				for _, f := range w.judgements() {
					if *f.AtRisk != want {
						t.Errorf("%s: %d at risk, not %d", guarantee, *f.AtRisk, want)
					}
				}
			}
		})
	}
	// Of faults on two partitions each put its own send at risk, and the run both.
	for _, c := range []struct {
		outcome      log.Outcome
		lossy, exact uint64
	}{{log.OK, 2, 2}, {log.Indeterminate, 0, 2}, {log.Failed, 0, 0}} {
		for guarantee, want := range map[string]uint64{AtLeastOnce: c.lossy, ExactlyOnce: c.exact} {
			w := faultScene(guarantee, first, last)
			for _, p := range []int32{0, 1, 2} {
				w.did("p0", log.Send, 150, 160, at(p, c.outcome))
				w.did("p0", log.Send, 250, 260, at(p, log.OK)) // when all is over
			}
			if got := w.exposed(); *got != want {
				t.Errorf("%s, %v: %d at risk, not %d", guarantee, c.outcome, *got, want)
			}
		}
	}
	both := faultScene(ExactlyOnce, rundir.Fault{Name: "kill", Target: "producer 0, consumer 0"})
	both.did("p1", log.Send, 150, 160, at(0, log.OK))
	if got := both.exposed(); *got != 0 {
		t.Errorf("%d of a producer that was not killed with a consumer at risk", *got)
	}
	if n := faultScene(ExactlyOnce).exposed(); n != nil {
		t.Errorf("%d at risk without a fault", *n)
	}
	w := faultScene(ExactlyOnce, producer)
	w.did("p1", log.Send, 150, 160, at(0, log.OK))
	if got := w.exposed(); *got != 0 {
		t.Errorf("%d of a producer that was not killed at risk", *got)
	}
	w.did("p0", log.Send, 50, 60, func(o *log.Op) { o.Open, o.Outcome = true, log.Indeterminate })
	if got := w.exposed(); *got != 1 {
		t.Errorf("%d at risk, where the killed producer left 1 open", *got)
	}
}

// What a member had polled and not yet done with is at risk when a fault hits it, and what its group polls meanwhile.
func TestWhatWasInAReadersHand(t *testing.T) {
	polls := func(group string, offsets ...int64) func(*log.Op) {
		return func(o *log.Op) {
			o.Group, o.Partition = group, 0
			for _, offset := range offsets {
				o.Records = append(o.Records, log.Record{Offset: offset})
			}
		}
	}
	commits := func(outcome log.Outcome, position int64) func(*log.Op) {
		return func(o *log.Op) {
			o.Outcome, o.Offsets = outcome, []log.PartitionOffset{{Partition: 0, Offset: position}}
		}
	}
	consumer, processor := rundir.Fault{Name: "kill", Target: "consumer 0"}, rundir.Fault{Name: "kill", Target: "processor 0"}
	for _, c := range []struct {
		name  string
		fault rundir.Fault
		play  func(*watch)
		want  uint64
	}{
		{"nothing", consumer, func(*watch) {}, 0},
		{"polled before", consumer, func(w *watch) { w.did("c0", log.Poll, 10, 20, polls("readers", 0, 1)) }, 2},
		{"polled just before", consumer, func(w *watch) { w.did("c0", log.Poll, 10, 100, polls("readers", 0)) }, 1},
		{"polled by another, before", consumer, func(w *watch) { w.did("c1", log.Poll, 10, 20, polls("readers", 0)) }, 0},
		{"polled by another, meanwhile", consumer, func(w *watch) { w.did("c1", log.Poll, 110, 120, polls("readers", 0)) }, 1},
		{"polled by another, while it came", consumer, func(w *watch) { w.did("c1", log.Poll, 90, 100, polls("readers", 0)) }, 0},
		{"polled by another, afterwards", consumer, func(w *watch) { w.did("c1", log.Poll, 210, 220, polls("readers", 0)) }, 0},
		{"polled meanwhile, no group is told", consumer, func(w *watch) { w.did("c1", log.Poll, 110, 120, polls("", 0)) }, 1},
		{"polled meanwhile, by another group", consumer, func(w *watch) { w.did("w1", log.Poll, 110, 120, polls("billing", 0)) }, 0},
		{"handled and committed", consumer, func(w *watch) {
			w.did("c0", log.Poll, 10, 20, polls("readers", 0, 1))
			w.did("c0", log.Process, 20, 30, polls("readers", 0, 1))
			w.did("c0", log.Commit, 30, 40, commits(log.OK, 2))
		}, 0},
		{"handled, the commit failed", consumer, func(w *watch) {
			w.did("c0", log.Poll, 10, 20, polls("readers", 0, 1))
			w.did("c0", log.Process, 20, 30, polls("readers", 0, 1))
			w.did("c0", log.Commit, 30, 40, commits(log.Failed, 2))
		}, 2},
		{"committed, and not handled", consumer, func(w *watch) {
			w.did("c0", log.Poll, 10, 20, polls("readers", 0, 1))
			w.did("c0", log.Commit, 30, 40, commits(log.OK, 2))
		}, 2},
		{"a processor commits, and that is all it does", processor, func(w *watch) {
			w.did("w0", log.Poll, 10, 20, polls("billing", 0, 1))
			w.did("w0", log.Commit, 30, 40, commits(log.OK, 2))
		}, 0},
		{"a processor that did not commit", processor, func(w *watch) { w.did("w0", log.Poll, 10, 20, polls("billing", 0, 1)) }, 2},
		{"a processor that committed a part", processor, func(w *watch) {
			w.did("w0", log.Poll, 10, 20, polls("billing", 0, 1))
			w.did("w0", log.Commit, 30, 40, commits(log.OK, 1))
		}, 1},
		{"a processor that wrote its outputs, and did not commit", processor, func(w *watch) {
			w.did("w0", log.Poll, 10, 20, polls("billing", 0, 1))
			w.did("w0", log.Process, 20, 30, polls("billing", 0, 1))
		}, 2},
		{"polled meanwhile, in another group than the session's", consumer, func(w *watch) { w.did("c1", log.Poll, 110, 120, polls("billing", 0)) }, 0},
		{"polled meanwhile, by the processors' group", processor, func(w *watch) { w.did("w1", log.Poll, 110, 120, polls("billing", 0)) }, 1},
		{"it came to work as the fault came", consumer, func(w *watch) { w.did("c0", log.Poll, 100, 100, polls("readers", 0)) }, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := faultScene(AtLeastOnce, c.fault)
			c.play(w)
			if got := w.judgements()[0].AtRisk; *got != c.want {
				t.Errorf("%d at risk, not %d", *got, c.want)
			}
			if got := w.exposed(); *got != c.want {
				t.Errorf("%d of the run at risk, not %d", *got, c.want)
			}
		})
	}
}

// Another goes on with the partitions that the victim had last: those, from then on, and by the last fault before.
func TestWhoTookOver(t *testing.T) {
	given := func(partitions ...int32) func(*log.Op) {
		return func(o *log.Op) { o.Group, o.Partitions = "readers", partitions }
	}
	for _, c := range []struct {
		name string
		play func(*watch)
		want []string // by fault
	}{
		{"what it had", func(w *watch) {
			w.did("c0", log.Assign, 10, 10, given(0))
			w.did("c1", log.Assign, 150, 150, given(0))
		}, []string{"its partitions went to c1"}},
		{"what it had before, and not at last", func(w *watch) {
			w.did("c0", log.Assign, 10, 10, given(0))
			w.did("c0", log.Assign, 20, 20, given(1))
			w.did("c1", log.Assign, 150, 150, given(0))
		}, []string{""}},
		{"before the fault", func(w *watch) {
			w.did("c0", log.Assign, 10, 10, given(0))
			w.did("c1", log.Assign, 100, 100, given(0))
		}, []string{""}},
		{"a record again, after the fault", func(w *watch) {
			read := func(o *log.Op) { o.Group, o.Partition, o.Records = "readers", 0, []log.Record{{Offset: 7}} }
			w.did("c0", log.Assign, 10, 10, given(0))
			w.did("c0", log.Poll, 20, 20, read)
			w.did("c1", log.Poll, 150, 150, read)
		}, []string{"1 records were delivered again"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := faultScene(AtLeastOnce, rundir.Fault{Name: "kill", Target: "consumer 0"})
			c.play(w)
			for i, f := range w.judgements() {
				if got := strings.Join(f.Protection, "; "); got != c.want[i] {
					t.Errorf("fault %d: %q, not %q", i, got, c.want[i])
				}
			}
		})
	}
	// Of two that came at once the one that is told later had it.
	w := faultScene(AtLeastOnce, rundir.Fault{Name: "pause", Target: "consumer 0"}, rundir.Fault{Name: "kill", Target: "consumer 0"})
	w.did("c0", log.Assign, 10, 10, given(0))
	w.did("c1", log.Assign, 150, 150, given(0))
	if j := w.judgements(); len(j[0].Protection) != 0 || len(j[1].Protection) != 1 {
		t.Errorf("%q, %q", j[0].Protection, j[1].Protection)
	}
}

// A killed session may have left no log at all; that is told, and takes no checker with it.
func TestAVictimWithoutALog(t *testing.T) {
	r := goodRun()
	r.killConsumer()
	r.meta.Workers = append(r.meta.Workers, rundir.Worker{Name: "c0", Session: 2, Role: "consumer", Killed: true})
	j := r.judge(t)
	if reasons := strings.Join(j.Reasons, "\n"); j.Verdict != Inconclusive || !strings.Contains(reasons, "there is no log of c0's session 2") || strings.Contains(reasons, "crashed") {
		t.Errorf("%v, because %q", j.Verdict, j.Reasons)
	}
}

// What is usual is what acknowledgements took before the first fault and after the warm-up.
func TestWhatIsUsual(t *testing.T) {
	for _, c := range []struct {
		name      string
		call, ret int64 // of the one slow acknowledgement, ms
		verdict   Verdict
	}{
		{"a slow one in the warm-up", 90, 490, Holds},
		{"a slow one as measuring begins", 100, 600, Inconclusive},
		{"a slow one under the fault", 500, 1000, Holds},
		{"a slow one right before it", 500, 999, Inconclusive},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := goodRun()
			slow := &(*r.of("p0"))[c.call/10]
			if slow.Call != c.call*ms {
				t.Fatalf("it was called at %d", slow.Call)
			}
			slow.Return = c.ret * ms
			if j := r.judge(t); j.Verdict != c.verdict {
				t.Errorf("%v, because %q", j.Verdict, j.Reasons)
			}
		})
	}
}

// The estimate lies above the 99th percentile, and by half at most.
func TestTheUsualLatencyIsHardlyOverestimated(t *testing.T) {
	var none latencies
	if none.p99() != 0 {
		t.Errorf("%d of none", none.p99())
	}
	for _, c := range []struct{ high, low int }{{1, 0}, {1, 1}, {1, 98}, {1, 99}, {1, 100}, {2, 198}, {2, 197}, {10, 990}, {11, 989}} {
		for ns := int64(0); ns < 1<<61; ns += ns/7 + 1 {
			var l latencies
			for range c.low {
				l.add(0)
			}
			for range c.high {
				l.add(ns)
			}
			want := ns
			if n := c.high + c.low; c.high <= n/100 {
				want = 0
			}
			if got := l.p99(); got <= want || got > max(2, want+want/2+1) {
				t.Fatalf("%d of %d took %d ns: %d", c.high, c.high+c.low, ns, got)
			}
		}
	}
	var steps latencies // of 200 two, and of the rest one, are slower
	for ns, n := range map[int64]int{1000: 197, 50_000: 1, 9_000_000: 2} {
		for range n {
			steps.add(ns)
		}
	}
	if got := steps.p99(); got <= 50_000 || got > 75_001 {
		t.Errorf("%d", got)
	}
}
