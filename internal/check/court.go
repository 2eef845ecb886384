package check

import (
	"fmt"
	"math"

	"github.com/kbench/kbench/internal/history"
)

// A checker looks for one family of anomalies in the second pass, with the ledger of the first at hand.
type checker interface {
	kinds() []history.Kind
	add(*view)
	found() []tally // called once, after the pass
}

// view is one operation of the second pass, its values numbered.
type view struct {
	*history.Op
	value  index   // sends
	values []index // of Records
}

// court is what all checkers share.
type court struct {
	*ledger
	windows []window
	writers *writers // nil without transactions
}

// window is the time of a fault.
type window struct {
	label        string
	name, target string
	from, to     int64
}

func (w window) overlaps(from, to int64) bool { return from <= w.to && w.from <= to }

func newWindow(name, target string, from, to int64) window {
	return window{faultLabel(name, target), name, target, from, to}
}

func faultLabel(name, target string) string {
	if target == "" {
		return name
	}
	return name + " " + target
}

// during names the fault in whose window something falls, the latest begun of several.
func (c *court) during(from, to int64) string {
	label, begun := "", int64(math.MinInt64)
	for _, w := range c.windows {
		if w.overlaps(from, to) && w.from >= begun {
			label, begun = w.label, w.from
		}
	}
	return label
}

// tally counts the instances of one anomaly and keeps the first few to show.
type tally struct {
	anomaly   string
	variant   variant
	count     uint64
	checked   uint64
	witnesses []Witness
}

const maxWitnesses = 10

// hit counts an instance; w is asked for it only while witnesses are wanted.
func (t *tally) hit(w func() Witness) {
	t.count++
	if len(t.witnesses) < maxWitnesses {
		t.witnesses = append(t.witnesses, w())
	}
}

// witness of something about a value at a place, seen by an operation from call until its return.
func (c *court) witness(p int32, offset int64, i index, call, at int64, format string, args ...any) Witness {
	w := Witness{Partition: c.h.Header.PartitionName(p), Value: c.name(i), Detail: fmt.Sprintf(format, args...)}
	w.about.values = []history.Value{c.values.value(i)}
	if offset >= 0 {
		w.Offset = &offset
		w.about.places = []place{{p, offset}}
	}
	if at != history.Unknown {
		w.At, w.During = &at, c.during(call, at)
	}
	return w
}

func (c *court) name(i index) string { return c.h.Header.ValueName(c.values.value(i)) }

func (c *court) client(n int32) string {
	if name := c.h.Header.ClientName(n); name != "" {
		return name
	}
	return "the final reader"
}

// checkers by name, each with its own family.
func checkers(c *court) []namedChecker {
	c.writers = newWriters(c.ledger)
	cycles := newCycles(c)
	return []namedChecker{
		{"reads", newReads(c)}, // first: it tells foreign records from those whose sender's log ends early
		{lostWrite, &losses{court: c}},
		{duplicate, newDuplicates(c)},
		{inconsistentOffset, newOffsets(c)},
		{abortedRead, &aborted{court: c}},
		{pollSkip, newPolls(c)},
		{nonmonotonicSend, newSendOrder(c, cycles)},
		{unprocessed, &effects{court: c}},
		{offsetHole, newHoles(c)},
		{tornTransaction, newTorn(c)},
		{hangingTransaction, newHanging(c)},
		{g1c, cycles},
		{"outputs", newOutputs(c)},
	}
}

type namedChecker struct {
	name string
	checker
}

func sendsOnly() []history.Kind { return []history.Kind{history.Send} }
func readsOnly() []history.Kind { return []history.Kind{history.Poll, history.FinalRead} }
