package check

import (
	"strings"
	"testing"

	"github.com/kbench/kbench/internal/rundir"
)

// again draws the good run's fault once more, at a time when the load is over, so that nothing was at risk.
func (r *recorded) again(target string, bit bool) {
	healed := 3600 * ms
	r.meta.Faults[0].Drawn = true
	r.meta.Faults = append(r.meta.Faults, rundir.Fault{
		Name: "kill", Target: target, At: 3500 * ms, Healed: &healed, Bit: bit, Evidence: []string{"it is dead"}, Drawn: true,
	})
}

// TestOfDrawnFaultsEachKindHasToShowSomething: chance may choose a moment in which nothing is at risk, but not each time.
func TestOfDrawnFaultsEachKindHasToShowSomething(t *testing.T) {
	for _, c := range []struct {
		name     string
		draw     func(*recorded)
		verdict  Verdict
		reason   string
		warnings []string
	}{
		{"one of two had nothing at risk", func(r *recorded) { r.again("broker 2", true) }, Holds, "",
			[]string{"kill broker, drawn 2 times: 1 had records at risk", "kill broker, drawn 2 times: 1 met a defence"}},
		{"one of two did not bite", func(r *recorded) { r.again("broker 2", false) }, Holds, "", []string{"kill broker, drawn 2 times: 1 bit", "kill broker, drawn 2 times: 1 had records at risk", "kill broker, drawn 2 times: 1 met a defence"}},
		{"another kind had nothing at risk", func(r *recorded) { r.again("producer 0", true) }, Inconclusive, "nothing was at risk while kill producer lasted", nil},
		{"another kind did not bite", func(r *recorded) { r.again("controller 1001", false) }, Inconclusive, "kill controller, drawn 1 times, did not bite", nil},
		{"one could not be done", func(r *recorded) {
			r.again("broker 2", true)
			r.meta.Faults[1].Error = "never injected"
		}, Inconclusive, "kill broker 2: never injected", nil},
		{"one that was asked for had nothing at risk", func(r *recorded) {
			r.again("broker 2", true)
			r.meta.Faults[1].Drawn = false
		}, Inconclusive, "nothing was at risk while kill broker 2 lasted", nil},
		{"the promise was never defended", func(r *recorded) {
			fast(r)
			r.again("broker 2", true)
		}, Inconclusive, "nothing shows that the promise was defended against kill broker", []string{"kill broker, drawn 2 times: 1 had records at risk"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := goodRun()
			c.draw(r)
			j := r.judge(t)
			reasons, warnings := strings.Join(j.Reasons, "\n"), strings.Join(j.Warnings, "\n")
			if j.Verdict != c.verdict || !strings.Contains(reasons, c.reason) || c.verdict == Holds && reasons != "" {
				t.Errorf("%v because %q, want %v because %q", j.Verdict, reasons, c.verdict, c.reason)
			}
			for _, w := range c.warnings {
				if !strings.Contains(warnings, w) {
					t.Errorf("warnings %q lack %q", warnings, w)
				}
			}
			// What no fault of a kind showed is a reason, and what all showed is none.
			if told := strings.Count(warnings, " times: "); told != len(c.warnings) {
				t.Errorf("%d warnings of drawn faults, not %d: %q", told, len(c.warnings), warnings)
			}
		})
	}
}

func TestTheScopeCountsDrawnFaults(t *testing.T) {
	r := goodRun()
	r.again("broker 2", true)
	if j := r.judge(t); !strings.Contains(j.Scope, "2 drawn of kill broker") {
		t.Errorf("scope %q", j.Scope)
	}
}

// A drawn fault counts as one that had something at risk from one record on, and as opposed only if it had.
func TestWhatADrawnFaultCountsAs(t *testing.T) {
	for _, c := range []struct {
		bit     bool
		atRisk  uint64
		opposed bool
		want    drawnKind
	}{
		{false, 1, true, drawnKind{times: 1}},
		{true, 0, false, drawnKind{times: 1, bitten: 1}},
		{true, 0, true, drawnKind{times: 1, bitten: 1}},
		{true, 1, false, drawnKind{times: 1, bitten: 1, hadRisk: 1}},
		{true, 1, true, drawnKind{times: 1, bitten: 1, hadRisk: 1, wasOpposed: 1}},
	} {
		d := &drawn{}
		d.add(rundir.Fault{Name: "kill", Target: "broker 3", Bit: c.bit}, c.atRisk, c.opposed)
		c.want.name = "kill broker"
		if len(d.kinds) != 1 || *d.kinds[0] != c.want {
			t.Errorf("%+v: %+v", c, *d.kinds[0])
		}
	}
}
