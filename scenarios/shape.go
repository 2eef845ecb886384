package scenarios

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Shape is how the rate moves over the measured part. The zero value is a rate that stays.
type Shape struct {
	Kind  string        // "", or one of the kinds below
	Rates []float64     // records a second, as written
	Every time.Duration // sine: its period; bursts: from the start of one to the start of the next
	Width time.Duration // bursts: how long one lasts
	File  string        // replay: where the rates stand

	recorded []Stage // replay: what the file says
}

// Kinds of Shape.
const (
	Ramp   = "ramp"   // ramp(FROM, TO): in a straight line
	Stairs = "steps"  // steps(A, B, …): each for the same time
	Sine   = "sine"   // sine(MEAN, AMPLITUDE, PERIOD): from the mean upwards first
	Bursts = "bursts" // bursts(BASE, PEAK, EVERY, WIDTH): the base first, the peak at the end of each EVERY
	Replay = "replay" // replay(FILE): lines of "seconds,rate", each rate until the next line's time
)

// Stage is a part of a load in which the rate moves in a straight line.
type Stage struct {
	For      time.Duration
	From, To float64 // records a second
}

func shapeForms() []string {
	return []string{"5000/s", "max", "ramp(FROM, TO)", "steps(A, B, ...)", "sine(MEAN, AMPLITUDE, PERIOD)", "bursts(BASE, PEAK, EVERY, WIDTH)", "replay(FILE)"}
}

// shapes are the arguments that each kind takes: r a rate, d a duration, f a file; a last + repeats.
func shapes() map[string]string {
	return map[string]string{Ramp: "rr", Stairs: "r+", Sine: "rrd", Bursts: "rrdd", Replay: "f"}
}

// parseShape reads a rate that moves. ok is false where s is not written as one.
func parseShape(s string) (shape Shape, ok bool, err error) {
	c, bad := parseCall(s)
	if bad != nil || !c.brackets {
		return Shape{}, false, nil
	}
	want, known := shapes()[c.name]
	if !known {
		return Shape{}, true, wrong(didYouMean(c.name, []string{Ramp, Stairs, Sine, Bursts, Replay}), "expected %s, found %q", orList(shapeForms()), s)
	}
	if c.rest != "" {
		return Shape{}, true, wrong("", "nothing can follow the rate, found %q", c.rest).at(c.restAt)
	}
	shape = Shape{Kind: c.name}
	if err := shape.take(c, want); err != nil {
		return Shape{}, true, err
	}
	return shape, true, shape.possible(c)
}

func (s *Shape) take(c call, want string) error {
	if many := strings.TrimSuffix(want, "+"); many != want && len(c.args) > 1 {
		want = strings.Repeat(many, len(c.args))
	}
	if len(c.args) != len(want) {
		return wrong("", "expected %s", formOf(c.name)).at(c.argsAt - 1)
	}
	var lengths []time.Duration
	for i, arg := range c.args {
		switch want[i] {
		case 'r':
			rate, err := parseLevel(arg)
			if err != nil {
				return err
			}
			s.Rates = append(s.Rates, rate)
		case 'd':
			length, err := parseDuration(arg)
			if err != nil {
				return err
			}
			lengths = append(lengths, length)
		case 'f':
			s.File = arg
		}
	}
	if len(lengths) > 0 {
		s.Every = lengths[0]
	}
	if len(lengths) > 1 {
		s.Width = lengths[1]
	}
	return nil
}

func formOf(kind string) string {
	i := slices.IndexFunc(shapeForms(), func(form string) bool { return strings.HasPrefix(form, kind+"(") })
	return shapeForms()[i]
}

// parseLevel reads a rate within a shape, where 0/s has a meaning.
func parseLevel(s string) (float64, error) {
	if strings.TrimSpace(s) == "0/s" {
		return 0, nil
	}
	rate, most, err := parseRate(s)
	if err == nil && most {
		err = wrong("", "max has no place within a shape")
	}
	return rate, err
}

// possible tells what is wrong with a shape whose parts are well written.
func (s *Shape) possible(c call) error {
	highest := 0.0
	for _, r := range s.Rates {
		highest = max(highest, r)
	}
	switch {
	case s.Kind != Replay && highest == 0:
		return wrong("", "a rate must be above 0 somewhere").at(c.argsAt)
	case s.Kind == Sine && s.Rates[1] > s.Rates[0]:
		return wrong("at most the mean, "+formatRate(s.Rates[0]), "with an amplitude of %s the rate would fall below 0", formatRate(s.Rates[1])).at(c.argsAt)
	case (s.Kind == Sine || s.Kind == Bursts) && s.Every < leastPeriod:
		return wrong("", "a period is at least %v, found %v", leastPeriod, s.Every).at(c.argsAt)
	case s.Kind == Bursts && (s.Width <= 0 || s.Width >= s.Every):
		return wrong("", "a burst lasts longer than 0s and less than the %v from one to the next, found %v", s.Every, s.Width).at(c.argsAt)
	case s.Kind == Replay:
		return s.load()
	}
	return nil
}

const (
	leastPeriod  = 10 * time.Millisecond
	mostPeriods  = 2000
	mostRateFile = 4 << 20
)

// periods that a load of this shape has.
func (l Load) periods() int64 {
	every := l.Shape.Every
	if l.Shape.Kind == Replay {
		every = length(l.Shape.recorded)
	}
	if every <= 0 {
		return 0
	}
	return int64(l.Duration / every)
}

// load reads the file of a replay.
func (s *Shape) load() error {
	info, err := os.Stat(s.File)
	switch {
	case err != nil:
		return wrong("", "cannot read the rates: %v", err)
	case !info.Mode().IsRegular() || info.Size() > mostRateFile:
		return wrong("", "%s is no file of at most %d MiB", s.File, mostRateFile>>20)
	}
	f, err := os.Open(s.File)
	if err != nil {
		return wrong("", "cannot read the rates: %v", err)
	}
	defer f.Close()
	s.recorded, err = readRates(f)
	if err != nil {
		return wrong("", "%s: %v", s.File, err)
	}
	return nil
}

// readRates reads lines of "seconds,rate", times ascending from 0. The last line ends the last rate's time; its own
// rate does not count. A first line of names, empty lines and lines that begin with # are skipped.
func readRates(r io.Reader) ([]Stage, error) {
	var stages []Stage
	var from, rate float64
	begun := false
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		seconds, level, err := readRate(text)
		switch {
		case err != nil && n == 1:
			continue // names of the columns
		case err != nil:
			return nil, fmt.Errorf("line %d: %w", n, err)
		case !begun && seconds != 0:
			return nil, fmt.Errorf("line %d: the first time is 0, found %v", n, seconds)
		case begun && seconds <= from:
			return nil, fmt.Errorf("line %d: times ascend, found %v after %v", n, seconds, from)
		case begun:
			stages = append(stages, Stage{For: time.Duration((seconds - from) * float64(time.Second)), From: rate, To: rate})
		}
		from, rate, begun = seconds, level, true
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if mean(stages) == 0 {
		return nil, fmt.Errorf("no rate above 0: lines of seconds,rate are wanted, and one more with the end's time")
	}
	return stages, nil
}

func readRate(line string) (seconds, rate float64, err error) {
	a, b, ok := strings.Cut(line, ",")
	seconds, bad := strconv.ParseFloat(strings.TrimSpace(a), 64)
	rate, worse := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(b), "/s"), 64)
	if !ok || bad != nil || worse != nil || !(seconds >= 0 && seconds < 1e7) || !(rate >= 0 && rate < 1e9) {
		return 0, 0, fmt.Errorf("expected seconds,rate such as 12.5,3000, found %q", line)
	}
	return seconds, rate, nil
}

// A sine is drawn by so many straight lines a period, which differ from it by less than 0.1% of the amplitude.
const sineLines = 96

// Stages are the load's rate over its duration, without the warm-up. A replay that is shorter than the load starts again.
// There are none where the rate does not follow a schedule.
func (l Load) Stages() []Stage {
	var once []Stage
	s := l.Shape
	if l.periods() > mostPeriods {
		return nil // a problem, which check.go reports
	}
	switch s.Kind {
	case "":
		if l.Rate > 0 {
			once = []Stage{{l.Duration, l.Rate, l.Rate}}
		}
	case Ramp:
		once = []Stage{{l.Duration, s.Rates[0], s.Rates[1]}}
	case Stairs:
		for i, r := range s.Rates {
			n := time.Duration(len(s.Rates))
			once = append(once, Stage{l.Duration*time.Duration(i+1)/n - l.Duration*time.Duration(i)/n, r, r})
		}
	case Sine:
		at := func(i int) float64 { return s.Rates[0] + s.Rates[1]*math.Sin(2*math.Pi*float64(i)/sineLines) }
		for i := range sineLines {
			length := s.Every*time.Duration(i+1)/sineLines - s.Every*time.Duration(i)/sineLines
			once = append(once, Stage{length, max(0, at(i)), max(0, at(i+1))})
		}
	case Bursts:
		once = []Stage{{s.Every - s.Width, s.Rates[0], s.Rates[0]}, {s.Width, s.Rates[1], s.Rates[1]}}
	case Replay:
		once = s.recorded
	}
	return fill(once, l.Duration)
}

// fill repeats stages until they last for d, and cuts the last one.
func fill(once []Stage, d time.Duration) []Stage {
	if length(once) <= 0 {
		return nil
	}
	var all []Stage
	for left := d; left > 0; {
		for _, s := range once {
			if left <= 0 {
				break
			}
			if s.For > left {
				s.To = s.From + (s.To-s.From)*float64(left)/float64(s.For)
				s.For = left
			}
			all = append(all, s)
			left -= s.For
		}
	}
	return all
}

func length(stages []Stage) (d time.Duration) {
	for _, s := range stages {
		d += s.For
	}
	return d
}

// mean rate of stages, records a second.
func mean(stages []Stage) float64 {
	records := 0.0
	for _, s := range stages {
		records += (s.From + s.To) / 2 * s.For.Seconds()
	}
	if d := length(stages); d > 0 {
		return records / d.Seconds()
	}
	return 0
}

// text writes the shape as parseShape reads it.
func (s Shape) text() string {
	var args []string
	for _, r := range s.Rates {
		args = append(args, formatRate(r))
	}
	for _, d := range []time.Duration{s.Every, s.Width} {
		if d > 0 {
			args = append(args, brief(d))
		}
	}
	if s.File != "" {
		args = append(args, s.File)
	}
	return s.Kind + "(" + strings.Join(args, ", ") + ")"
}
