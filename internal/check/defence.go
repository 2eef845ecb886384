package check

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kbench/kbench/internal/rundir"
)

// signs in the history that the promise was defended against a fault.
func (c *watch) signs(f *watched) []string {
	var list []string
	say := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	usual := c.before.p99()
	if least := max(3*usual, int64(50*time.Millisecond)); f.heldBack >= least {
		say("an acknowledgement was held back for %v (p99 before the first fault: %v)", round(f.heldBack), round(usual))
	}
	if f.refused > 0 {
		say("%d sends were refused", f.refused)
	}
	if n := c.open(f); n > 0 {
		say("%d sends were left open rather than acknowledged", n)
	}
	if f.again > 0 {
		say("%d records were delivered again", f.again)
	}
	if len(f.heirs) > 0 {
		names := make([]string, 0, len(f.heirs))
		for name := range f.heirs {
			names = append(names, name)
		}
		slices.Sort(names)
		say("its partitions went to %s", strings.Join(names, ", "))
	}
	return list
}

func round(ns int64) time.Duration { return time.Duration(ns).Round(100 * time.Microsecond) }

// counted are the clients' own counters that show a defence, as far as they grew after the fault had begun.
func counted(f rundir.Fault) []string {
	var list []string
	for name, n := range f.Counters {
		own := strings.TrimPrefix(name, "client.") // the client library's own
		// Names that begin with an underscore are librdkafka's local errors: a connection broke, nobody defended anything.
		answered := strings.HasPrefix(own, "error.") && !strings.HasPrefix(own, "error._")
		if n > 0 && (own == "retries" || own == "fenced" || answered) {
			list = append(list, fmt.Sprintf("%s: %d", name, n))
		}
	}
	return list
}

// defended tells whether anything shows that the promise was defended against a fault: the history, what the run saw, or
// the clients' counters.
func defended(judged FaultJudgement, f rundir.Fault) bool {
	return len(slices.Concat(judged.Protection, f.Protection, counted(f))) > 0
}

// faultReasons list what faults did not show. A fault that did not bite or had nothing to hurt proves nothing, and
// neither does one against which the promise never had to be defended: 'holds' says that it held under each of them.
func (t *trial) faultReasons() []string {
	if t.watch == nil {
		return nil
	}
	list := t.unknownFaults()
	for i, judged := range t.watch.judgements() {
		f := t.run.meta.Faults[i]
		name := faultLabel(f.Name, f.Target)
		say := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
		switch {
		case f.Error != "":
			say("%s: %s", name, f.Error)
		case f.Healed == nil:
			say("%s was never healed", name)
		case f.At <= 0 || *f.Healed < f.At:
			say("%s began at %d and was healed at %d ns: that cannot be", name, f.At, *f.Healed)
		}
		if f.Drawn {
			continue // the rest is asked of all that are drawn together
		}
		switch {
		case !f.Bit:
			say("%s did not bite: nothing in the cluster or the system shows it", name)
		case len(f.Evidence) == 0:
			say("%s is said to have bitten, and no evidence is given", name)
		}
		if *judged.AtRisk == 0 {
			say("nothing was at risk while %s lasted", name)
		}
		if !defended(judged, f) {
			say("nothing shows that the promise was defended against %s: no acknowledgement was held back, refused, retried or left open, no record delivered again, nobody fenced, nothing taken over", name)
		}
	}
	return append(list, t.drawn().reasons()...)
}

// unknownFaults are where run.json and the history tell of other faults.
func (t *trial) unknownFaults() []string {
	var list, told, seen []string
	label := func(w window) string { return fmt.Sprintf("%s at %d ns", w.label, w.from) }
	for _, w := range t.run.windows {
		told = append(told, label(w))
	}
	for _, w := range t.ledger.sawFaults {
		seen = append(seen, label(w))
	}
	if t.run.meta.FinalRead.Done && !slices.Equal(told, seen) {
		list = append(list, fmt.Sprintf("run.json tells of the faults [%s], the history of [%s]", strings.Join(told, ", "), strings.Join(seen, ", ")))
	}
	return list
}
