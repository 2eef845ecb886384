package bench

import (
	"math"
	"sort"
	"time"

	"github.com/kbench/kbench/scenarios"
)

// Pacer gives each operation its intended start. It is pure: what happens to earlier operations does not move later
// ones, so that an outage cannot hide in a clock that stopped with it (coordinated omission).
type Pacer interface {
	// At is the intended start of operation n, counted from 0, after the start of the load; never where there is none.
	At(n uint64) time.Duration
}

// never is later than any load lasts.
const never = time.Duration(math.MaxInt64)

// course is one producer's share of a rate that moves in straight lines: its operations fall between those of the others.
type course struct {
	lines     []line
	producers float64
	producer  float64
}

// line is a part of a course.
type line struct {
	from  time.Duration // after the start of the load
	done  float64       // operations of all producers before it
	rate  float64       // operations a second of all producers at its start
	slope float64       // by which the rate grows, a second
}

// newCourse lays stages one after the other. The warm-up has the rate with which they begin; the last one's final rate
// goes on for as long as it is asked for.
func newCourse(warmup time.Duration, stages []scenarios.Stage, producers, producer int) course {
	c := course{producers: float64(producers), producer: float64(producer)}
	if len(stages) == 0 {
		return c
	}
	at, done := time.Duration(0), 0.0
	add := func(s scenarios.Stage) {
		l := line{from: at, done: done, rate: s.From}
		if s.For > 0 {
			l.slope = (s.To - s.From) / s.For.Seconds()
		}
		c.lines = append(c.lines, l)
		at += s.For
		done += (s.From + s.To) / 2 * s.For.Seconds()
	}
	if warmup > 0 {
		add(scenarios.Stage{For: warmup, From: stages[0].From, To: stages[0].From})
	}
	for _, s := range stages {
		add(s)
	}
	last := stages[len(stages)-1].To
	add(scenarios.Stage{From: last, To: last})
	return c
}

func (c course) At(n uint64) time.Duration {
	k := float64(n)*c.producers + c.producer
	i := sort.Search(len(c.lines), func(i int) bool { return c.lines[i].done > k }) - 1
	if i < 0 {
		return never
	}
	l := c.lines[i]
	left := k - l.done
	if left == 0 && (l.rate > 0 || l.slope > 0) {
		return l.from
	}
	// left = rate·t + slope/2·t², solved for t without taking a difference of nearly equal numbers.
	t := 2 * left / (l.rate + math.Sqrt(max(0, l.rate*l.rate+2*l.slope*left)))
	if !(t*float64(time.Second) < float64(never-l.from)) {
		return never
	}
	return l.from + time.Duration(t*float64(time.Second))
}

// after is the first operation that is due at d or later.
func (c course) after(d time.Duration) uint64 {
	if d <= 0 || len(c.lines) == 0 {
		return 0
	}
	i := sort.Search(len(c.lines), func(i int) bool { return c.lines[i].from > d }) - 1
	l, t := c.lines[i], 0.0
	t = (d - l.from).Seconds()
	n := uint64(max(0, (l.done+l.rate*t+l.slope/2*t*t-c.producer)/c.producers))
	for n > 0 && c.At(n-1) >= d { // the sums above are rounded
		n--
	}
	for c.At(n) < d {
		n++
	}
	return n
}
