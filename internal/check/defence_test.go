package check

import (
	"strings"
	"testing"
	"time"

	log "github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
)

// A promise held against a fault only if something shows that it had to be defended.
func TestWhatCountsAsADefence(t *testing.T) {
	counter := func(name string, n uint64) func(*recorded) {
		return func(r *recorded) { r.meta.Faults[0].Counters = map[string]uint64{name: n} }
	}
	// held makes one acknowledgement in the fault's window wait so long, where all before it took usual.
	held := func(usual, wait time.Duration) func(*recorded) {
		return func(r *recorded) {
			ops := *r.of("p0")
			for i := range ops {
				ops[i].Return = ops[i].Call + usual.Nanoseconds()
			}
			ops[120].Return = ops[120].Call + wait.Nanoseconds()
		}
	}
	for _, c := range []struct {
		name     string
		show     func(*recorded)
		defended bool
	}{
		{"nothing", func(*recorded) {}, false},
		{"a client's retries", counter("retries", 1), true},
		{"the library's retries", counter("client.retries", 3), true},
		{"retries, but none", counter("retries", 0), false},
		{"somebody fenced", counter("fenced", 1), true},
		{"an error that a broker answered", counter("error.NOT_ENOUGH_REPLICAS", 1), true},
		{"an error of the library alone", counter("error._TRANSPORT", 9), false},
		{"a count of something else", counter("sent", 9), false},
		{"what the run saw of it", func(r *recorded) {
			r.meta.Faults[0].Protection = []string{"the brokers recognised the retry of 1 cut batches"}
		}, true},
		{"an acknowledgement that waited 50 ms", held(2*time.Millisecond, 50*time.Millisecond), true},
		{"an acknowledgement that waited a little less", held(2*time.Millisecond, 49*time.Millisecond), false},
		{"more than three times the usual", held(30*time.Millisecond, 110*time.Millisecond), true},
		{"less than three times the usual", held(30*time.Millisecond, 88*time.Millisecond), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := goodRun()
			fast(r)
			c.show(r)
			j := r.judge(t)
			missing := strings.Contains(strings.Join(j.Reasons, "\n"), "nothing shows that the promise was defended")
			if missing == c.defended || (j.Verdict == Holds) != c.defended {
				t.Errorf("%v, because %q", j.Verdict, j.Reasons)
			}
		})
	}
}

// Two of them at once do not cancel each other out.
func TestSignsOfADefenceAddUp(t *testing.T) {
	for own := range 2 {
		for seen := range 2 {
			for counters := range 2 {
				f := rundir.Fault{Counters: map[string]uint64{"retries": uint64(counters)}, Protection: make([]string, seen)}
				if got := defended(FaultJudgement{Protection: make([]string, own)}, f); got != (own+seen+counters > 0) {
					t.Errorf("%d, %d, %d: %v", own, seen, counters, got)
				}
			}
		}
	}
}

// A fault has a moment: 0 is what a run writes that never came to it.
func TestAFaultsWindowMustBeOne(t *testing.T) {
	for _, c := range []struct {
		name       string
		at, healed int64
		bad        bool
	}{
		{"it has no beginning", 0, 2000 * ms, true},
		{"it begins before the run", -1, 2000 * ms, true},
		{"it begins with the run", 1, 2000 * ms, false},
		{"it was healed before it began", 1000 * ms, 1000*ms - 1, true},
		{"it was healed at once", 1000 * ms, 1000 * ms, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := goodRun()
			r.meta.Faults[0].At, *r.meta.Faults[0].Healed = c.at, c.healed
			if told := strings.Contains(strings.Join(r.judge(t).Reasons, "\n"), "that cannot be"); told != c.bad {
				t.Errorf("%v", told)
			}
		})
	}
}

func TestAFaultThatTheHistoryHasElsewhereIsAnother(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*rundir.Fault)
	}{
		{"at another moment", func(f *rundir.Fault) { f.At++ }},
		{"of another target", func(f *rundir.Fault) { f.Target = "broker 2" }},
		{"by another name", func(f *rundir.Fault) { f.Name = "pause" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := goodRun()
			r.told = []rundir.Fault{r.meta.Faults[0]}
			c.change(&r.told[0])
			if j := r.judge(t); j.Verdict != Inconclusive || !strings.Contains(strings.Join(j.Reasons, "\n"), "run.json tells of the faults [kill broker 1 at 1000000000 ns], the history of [") {
				t.Errorf("%v, because %q", j.Verdict, j.Reasons)
			}
		})
	}
}

// Who took over is told in one order.
func TestHeirsAreToldInOrder(t *testing.T) {
	for range 20 {
		c := &watch{court: &court{ledger: newLedger(&log.History{}, run{})}}
		f := &watched{heirs: map[string]bool{"c2": true, "c1": true, "c3": true, "c0": true}}
		if got := c.signs(f); len(got) != 1 || got[0] != "its partitions went to c0, c1, c2, c3" {
			t.Fatalf("%q", got)
		}
	}
}
