package check

import (
	"strings"
	"testing"
	"time"
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
