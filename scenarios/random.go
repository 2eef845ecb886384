package scenarios

import (
	"fmt"
	"math/rand"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Series stands among the faults for a random sequence of them. A plan writes it out, by its seed, as faults at times,
// so that whoever injects them needs to know nothing about chance: see expanded.
type Series struct {
	Actions []string // kill, stop, pause, restart
	Of      []Target // whom; a random one is a kind, of which one is drawn each time
	Every   Span     // from the start of one fault to the start of the next; longer than For
	For     Span
	From    time.Duration // the first fault comes one Every after it
	Until   time.Duration // the last one is over by then; 0: one Every before the load ends
}

// Span is a length of time to be drawn, both ends included.
type Span struct{ Least, Most time.Duration }

// drawnTo is how finely times are drawn: finer ones would only be harder to read.
const drawnTo = 100 * time.Millisecond

func (s Span) draw(rng *rand.Rand) time.Duration {
	least, most := s.Least, s.Most
	d := least + time.Duration(rng.Int63n(int64(most-least)+1))
	return min(max(least, d.Round(min(drawnTo, most-least))), most)
}

// String writes the span as parseSpan reads it.
func (s Span) String() string {
	if s.Least == s.Most {
		return brief(s.Least)
	}
	return brief(s.Least) + ".." + brief(s.Most)
}

// parseSpan reads 15s..30s, or one duration.
func parseSpan(text string) (Span, error) {
	from, to, several := strings.Cut(text, "..")
	least, err := parseDuration(strings.TrimSpace(from))
	if err != nil {
		return Span{}, err
	}
	most := least
	if several {
		if most, err = parseDuration(strings.TrimSpace(to)); err != nil {
			return Span{}, err
		}
	}
	switch {
	case most < least:
		return Span{}, wrong("write "+brief(most)+".."+brief(least), "the longer time comes first in %q", text)
	case least == 0:
		return Span{}, wrong("", "expected a time above 0, found %q", text)
	}
	return Span{least, most}, nil
}

// Keys of a series.
const (
	randomKey = "random"
	ofKey     = "of"
)

// drawable are the verbs that a series can draw from: those that are done to one victim, on any real cluster.
func drawable() []string {
	var names []string
	for _, v := range verbs() {
		if v.fault && v.object == toAnyone {
			names = append(names, v.name)
		}
	}
	return names
}

// drawableKinds are the targets of a series of which one is drawn each time.
func drawableKinds() []string {
	return []string{Broker, ProducerWorker, ConsumerWorker, ProcessorWorker}
}

// fits tells whether a verb can be done to a target: workers have no clean shutdown of their own.
func fits(action string, t Target) bool { return !t.worker() || action == "kill" || action == "pause" }

// series reads a random series of faults.
func (d *decoder) series(n *node, path string) *Series {
	s := &Series{}
	d.object(n, path, fields{
		randomKey: func(n *node, path string) {
			d.list(n, path, func(n *node, path string) {
				var action string
				choice(d, &action, drawable()...)(n, path)
				s.Actions = append(s.Actions, action)
			})
		},
		ofKey: func(n *node, path string) {
			d.list(n, path, func(n *node, path string) { s.Of = append(s.Of, d.drawnFrom(n, path)) })
		},
		"every": grammar(d, &s.Every, "a time or a span of times such as 15s..30s", parseSpan),
		"for":   grammar(d, &s.For, "a time or a span of times such as 1s..8s", parseSpan),
		"from":  d.duration(&s.From),
		"until": d.duration(&s.Until),
	}, nil)
	for _, needed := range [][2]string{{ofKey, "[broker, processor]"}, {"every", "15s..30s"}, {"for", "1s..8s"}} {
		if n.get(needed[0]) == nil {
			d.complain(n.place, path, "such as "+needed[0]+": "+needed[1], "a random series needs %s", needed[0])
		}
	}
	if len(s.Actions) == 0 && !d.broken(path+"."+randomKey) {
		d.complain(n.get(randomKey).place, path+"."+randomKey, "such as random: [kill, pause]", "what is to be drawn from?")
	}
	if len(s.Of) == 0 && n.get(ofKey) != nil && !d.broken(path+"."+ofKey) {
		d.complain(n.get(ofKey).place, path+"."+ofKey, "such as of: [broker, processor]", "who is to be drawn from?")
	}
	return s
}

// drawnFrom reads whom a series hurts: a kind, or a target.
func (d *decoder) drawnFrom(n *node, path string) Target {
	var t Target
	grammar(d, &t, "broker, producer, consumer, processor, or a target such as leader(orders/0)", func(s string) (Target, error) {
		if s = strings.TrimSpace(s); slices.Contains(drawableKinds(), s) {
			return Target{Kind: s, Random: true}, nil
		}
		t, err := parseTarget(s)
		switch {
		case err != nil:
			return Target{}, err
		case t.Kind == Followers, t.Kind == Brokers:
			return Target{}, wrong("such as broker, or leader(orders/0)", "%s are several; a random series hurts one at a time", s)
		case t.Kind == Killed, t.Kind == Paused, t.Kind == Named:
			hint := didYouMean(s, append(drawableKinds(), Controller))
			return Target{}, wrong(hint, "expected %s, or a target such as leader(orders/0), found %q", strings.Join(drawableKinds(), ", "), s)
		}
		return t, nil
	})(n, path)
	return t
}

// targets that a series may hurt, each with a verb that may be done to it. A visitor may name what is meant by a
// target that is written down; those that are drawn are copies.
func (s *Scenario) seriesTargets(path string, series *Series, visit func(path, verb string, t *Target)) {
	for i := range series.Of {
		for _, action := range series.Actions {
			if !fits(action, series.Of[i]) {
				continue
			}
			at := path + "." + ofKey + "[" + strconv.Itoa(i) + "]"
			if !series.Of[i].Random {
				visit(at, action, &series.Of[i])
				continue
			}
			for _, t := range s.all(series.Of[i].Kind) {
				visit(at, action, &t)
			}
		}
	}
}

// all of a kind that a series can draw; without any there is one that does not exist, for the checks to find.
func (s *Scenario) all(kind string) []Target {
	first, n := 0, s.instances(kind)
	if kind == Broker {
		first, n = 1, s.Cluster.Brokers
	}
	list := []Target{}
	for i := range max(n, 1) {
		if p := s.Processor; kind == ProcessorWorker && p != nil && p.Start != nil && !slices.Contains(p.Start, i) {
			continue // it waits for a step, which a scenario with faults does not have
		}
		list = append(list, Target{Kind: kind, N: first + i})
	}
	return list
}

// expanded is the scenario with each random series written out as faults at times.
//
// The faults of a series follow one another; none begins before the one before it is over. Each is marked as drawn, so
// that whoever injects it also waits until what was hurt before has recovered, and so that a verdict asks of the series
// what it would ask of a single fault. How they are drawn is part of the format: a seed means the same in every version.
func (s Scenario) expanded(seed int64) Scenario {
	if !slices.ContainsFunc(s.Faults, func(f Fault) bool { return f.Series != nil }) {
		return s
	}
	var list []Fault
	for i, f := range s.Faults {
		if f.Series == nil {
			list = append(list, f)
			continue
		}
		rng := Split(seed, "random faults "+strconv.Itoa(i))
		list = append(list, s.drawn(*f.Series, f.Pos, rng)...)
	}
	slices.SortStableFunc(list, func(a, b Fault) int { return int(a.At.After - b.At.After) })
	s.Faults, s.tree = list, nil
	return s
}

// drawn are the faults that a series turns out to be.
func (s *Scenario) drawn(series Series, pos Pos, rng *rand.Rand) []Fault {
	var list []Fault
	until := s.seriesEnd(series)
	for at := series.From; ; {
		at += series.Every.draw(rng)
		target := series.Of[rng.Intn(len(series.Of))]
		if target.Random {
			all := s.all(target.Kind)
			target = all[rng.Intn(len(all))]
		}
		var actions []string
		for _, action := range series.Actions {
			if fits(action, target) {
				actions = append(actions, action)
			}
		}
		action := actions[rng.Intn(len(actions))]
		last := series.For.draw(rng)
		if at+last > until {
			return list
		}
		list = append(list, Fault{At: Trigger{After: at}, Action: action, Target: target, For: last, Drawn: true, Pos: pos})
	}
}

// seriesEnd is when the last fault of a series is over.
func (s *Scenario) seriesEnd(series Series) time.Duration {
	if series.Until > 0 {
		return series.Until
	}
	return s.Load.Duration - series.Every.Most
}

// seriesFit finds random series that cannot be drawn.
func (c *checker) seriesFit() {
	for i := range c.s.Faults {
		if s := c.s.Faults[i].Series; s != nil && !c.broken(faultPath(i)) {
			c.seriesFits(*s, faultPath(i))
		}
	}
}

func (c *checker) seriesFits(s Series, path string) {
	for i, action := range s.Actions {
		if !slices.ContainsFunc(s.Of, func(t Target) bool { return fits(action, t) }) {
			c.say(fmt.Sprintf("%s.%s[%d]", path, randomKey, i), "clients can be killed or paused", "%s is for brokers and controllers, of which there are none among 'of'", action)
		}
	}
	for i, t := range s.Of {
		if !slices.ContainsFunc(s.Actions, func(action string) bool { return fits(action, t) }) {
			c.say(fmt.Sprintf("%s.%s[%d]", path, ofKey, i), "add kill or pause", "clients can be killed or paused, nothing else")
		}
	}
	if s.For.Most >= s.Every.Least {
		c.say(path+".every", "such as every: "+Span{2 * s.For.Most, 4 * s.For.Most}.String(),
			"a fault may last %s, and the next may come after %s: one must be over before the next begins", brief(s.For.Most), brief(s.Every.Least))
		return
	}
	c.seriesHasTime(s, path)
}

// seriesHasTime checks that a series has time for a fault within the load.
func (c *checker) seriesHasTime(s Series, path string) {
	length, until := c.s.Load.Duration, c.s.seriesEnd(s)
	room := until - s.Every.Most // for From and For
	switch {
	case c.broken("load"):
	case length == 0:
		c.say(path, "such as load: {duration: 10m}", "until when? a random series needs a load with a duration")
	case s.Until > length:
		c.say(path+".until", "at most "+brief(length)+", or a longer load.duration", "the load ends at %s", brief(length))
	case room < s.For.Most || room-s.For.Most < s.From:
		c.say(path, "a longer load.duration, or a shorter every", "no time for a fault: with %s before it and %s of it, the series must be over by %s",
			brief(s.Every.Most), brief(s.For.Most), brief(max(until, 0)))
	case (until-s.From)/s.Every.Least > mostRuns:
		c.say(path+".every", "", "more than %d faults", mostRuns)
	}
}

func (s Series) yaml() document {
	m := document{{Key: randomKey, Value: s.Actions}}
	var of []string
	for _, t := range s.Of {
		if t.Random {
			of = append(of, t.Kind)
		} else {
			of = append(of, t.String())
		}
	}
	m.add(ofKey, of)
	m.text("every", s.Every.String())
	m.text("for", s.For.String())
	m.duration("from", s.From)
	m.duration("until", s.Until)
	return m
}

func seriesSchema() schema {
	span := func(about string) schema {
		one := strings.TrimSuffix(strings.TrimPrefix(durationPattern, "^"), "$")
		return pattern(about, `^\s*`+one+`(\s*\.\.\s*`+one+`)?\s*$`)
	}
	return objectOf("a random series: drawn by the seed, one at a time", map[string]schema{
		randomKey: listOf("what is drawn from", oneOf("", drawable()...)),
		ofKey:     listOf("whom: broker, producer, consumer, processor (one of them is drawn each time), or a target", pattern("", targetPattern)),
		"every":   span("from the start of one to the start of the next: 15s..30s"),
		"for":     span("until it is healed: 1s..8s"),
		"from":    duration("the first comes one 'every' after it; default 0s"),
		"until":   duration("the last is over by then; default: one 'every' before the load ends"),
	}, randomKey, ofKey, "every", "for")
}
