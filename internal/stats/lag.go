package stats

import (
	"fmt"
	"strings"
	"time"

	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
)

// LateAfter is the lag from which a record counts as late.
const LateAfter = time.Millisecond

// Lag of the load behind its schedule: from the intended start to the call of a send. It has two parts. A record that was due
// while the sender was held up (the client's buffer was full, no place in flight was free, a transaction was being ended) was
// Held until the sender was let go; nobody could have sent it sooner. What lies between then, or the intended start, and
// the call is the load's Own: the machine that makes the load was busy. Empty where there was no schedule.
type Lag struct {
	All, Held, Own Histogram
	// Records whose lag, or that part of it, was longer than LateAfter.
	Late, LateHeld, LateOwn uint64
	// Response of ok sends less the load's own part of their lag: what they would have shown had the load kept its time.
	WithoutOwn Histogram
	// Shifts are the quantiles of response that the load's own lateness moved: see Shift. None: it was on time.
	Shifts []Shift

	calm Histogram // WithoutOwn of what was intended before the first fault
	sum  int64     // ns, all lags together
}

// Shift is a quantile of response, of all ok sends or of those before the first fault, which the load's own lateness made
// longer by more than 5% and more than LateAfter.
type Shift struct {
	Quantile      float64
	BeforeFaults  bool
	With, Without time.Duration // as published, and had the load kept its time
}

func (l *Lag) add(op *history.Op, calm bool) {
	if op.Intended < 0 {
		return
	}
	lag, own := op.Call-op.Intended, ownLag(op)
	l.All.Add(lag)
	l.Own.Add(own)
	l.Held.Add(lag - own)
	l.sum += lag
	for _, c := range []struct {
		n *uint64
		d int64
	}{{&l.Late, lag}, {&l.LateHeld, lag - own}, {&l.LateOwn, own}} {
		if c.d > LateAfter.Nanoseconds() {
			*c.n++
		}
	}
	if op.Outcome != history.OK {
		return
	}
	l.WithoutOwn.Add(op.Return - op.Intended - own)
	if calm {
		l.calm.Add(op.Return - op.Intended - own)
	}
}

// ownLag is the part of a send's lag that nobody but the load itself is to blame for.
func ownLag(op *history.Op) int64 {
	return op.Call - max(op.Intended, min(op.Held, op.Call))
}

// shift finds what the load's own lateness did to a published distribution.
func (l *Lag) shift(with, without *Histogram, beforeFaults bool) {
	for _, q := range []float64{0.5, 0.9, 0.95, 0.99, 0.999} {
		a, ok := with.Quantile(q)
		b, both := without.Quantile(q)
		if ok && both && a-b > LateAfter && float64(a) > 1.05*float64(b) {
			l.Shifts = append(l.Shifts, Shift{q, beforeFaults, a, b})
		}
	}
}

// finishLag tells whether the load kept its time, where it had a schedule.
func (c *computation) finishLag(m rundir.Meta) {
	if m.Load.RatePerS == nil {
		return
	}
	l := &c.f.Lag
	l.shift(&c.f.Ack.Response, &l.WithoutOwn, false)
	if first := c.firstFault(); first != nil {
		l.shift(&first.Phases[Before].Ack.Response, &l.calm, true)
	}
}

// lateWarning is the sentence on a load that was late by itself, "" where it was not.
func (l *Lag) lateWarning() string {
	if len(l.Shifts) == 0 {
		return ""
	}
	var shifts []string
	for _, s := range l.Shifts {
		text := fmt.Sprintf("p%g would have been %v instead of %v", 100*s.Quantile, round(s.Without), round(s.With))
		if s.BeforeFaults {
			text += " before the first fault"
		}
		shifts = append(shifts, text)
	}
	return fmt.Sprintf("the load itself was late: %d of %d records by more than %v, with nothing holding them up; had it kept its time, of "+
		"response %s; service times do not contain this", l.LateOwn, l.All.Count(), LateAfter, strings.Join(shifts, ", "))
}
