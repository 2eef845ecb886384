package scenarios

import (
	"slices"
	"strings"
)

// Points at which a worker can be held.
const (
	Polled        = "polled"         // records in hand, nothing done with them
	Handled       = "handled"        // between effect and commit, whichever comes first
	BeforeOffsets = "before-offsets" // outputs sent, the transaction's offsets not
)

// What a verb is done to.
type object uint8

const (
	toAnyone       object = iota // brokers, controllers, coordinators, workers, names
	toNodes                      // brokers, controllers, coordinators, names
	toWorkers                    // workers, names
	toTopics                     // the topic whose produce requests are treated
	toTransactions               // the transactional id whose transactions end late
	toTreated                    // one of the two
	toAll                        // every broker in turn
	toNothing                    // the verb's value is no target
)

// verb is what a fault or a step does, with the keys that may stand beside it.
type verb struct {
	name   string
	object object
	fault  bool // may stand among faults; every verb may stand among steps
	beside []string
}

func verbs() []verb {
	return []verb{
		{"kill", toAnyone, true, []string{"as"}}, {"stop", toAnyone, true, []string{"as"}}, {"pause", toAnyone, true, []string{"as"}},
		{"isolate", toNodes, true, []string{"as"}}, {"restart", toAnyone, true, []string{"as"}}, {"rolling-restart", toAll, true, nil},
		{"cut-acks", toTopics, true, []string{"count"}}, {"refuse-produce", toTopics, true, []string{"count"}},
		{"delay-end-txn", toTransactions, true, []string{"after", "count"}},
		{"rejoin", toNodes, false, nil}, {"resume", toAnyone, false, nil}, {"start", toAnyone, false, nil}, {"restore", toTreated, false, nil},
		{"hold", toWorkers, false, []string{"at"}}, {"release", toWorkers, false, nil},
		{"send", toNothing, false, []string{"open"}}, {"flush", toNothing, false, nil}, {"wait", toNothing, false, nil},
		{"await", toNothing, false, []string{"within"}}, {"check", toNothing, false, nil},
	}
}

// verbsFor lists the verbs of faults or of steps by name.
func verbsFor(faults bool) map[string]verb {
	known := map[string]verb{}
	for _, v := range verbs() {
		if v.fault || !faults {
			known[v.name] = v
		}
	}
	return known
}

// verbIn finds the one verb of a fault or step.
func (d *decoder) verbIn(n *node, path string, known map[string]verb) (verb, bool) {
	var names, given []string
	for _, v := range verbs() {
		if _, ok := known[v.name]; ok {
			names = append(names, v.name)
		}
	}
	if _, steps := known["wait"]; !steps {
		names = append(names, randomKey)
	}
	for _, e := range n.entries {
		if _, ok := known[e.key]; ok && !slices.Contains(given, e.key) {
			if given = append(given, e.key); len(given) == 2 {
				d.complain(e.at, path, "write it as an entry of its own", "%s stands beside %s; each entry does one thing", e.key, given[0])
			}
		}
	}
	switch {
	case n.shape != aMapping:
		d.complain(n.place, path, "", "expected a mapping such as {kill: leader(orders/0)}, found %s", n.found())
		return verb{}, false
	case len(given) == 0:
		d.complain(n.place, path, d.verbHint(n, names), "nothing to do: expected one of %s", strings.Join(names, ", "))
		return verb{}, false
	}
	return known[given[0]], len(given) == 1
}

func (d *decoder) verbHint(n *node, names []string) string {
	for _, e := range n.entries {
		if near := nearest(e.key, names); near != "" && !slices.Contains([]string{"at", "for", "as", "count", "after", "within"}, e.key) {
			return e.key + ": did you mean " + near + "?"
		}
	}
	return ""
}

func (d *decoder) faults(to *[]Fault) reader {
	return func(n *node, path string) {
		d.list(n, path, func(n *node, path string) { *to = append(*to, d.fault(n, path)) })
	}
}

func (d *decoder) fault(n *node, path string) Fault {
	f := Fault{Pos: n.Pos}
	if n.shape == aMapping && n.get(randomKey) != nil {
		f.Series = d.series(n, path)
		return f
	}
	v, ok := d.verbIn(n, path, verbsFor(true))
	if !ok {
		return f
	}
	f.Action = v.name
	known := fields{
		v.name: d.target(v, &f.Target),
		"at":   grammar(d, &f.At, "a time such as 10s, or a condition such as acked(5000)", ParseTrigger),
		"for":  d.duration(&f.For),
	}
	if slices.Contains(v.beside, "count") {
		known["count"] = d.integer(&f.Count, 1)
	}
	if v.object == toAnyone {
		known["drawn"] = d.truth(&f.Drawn)
	}
	if slices.Contains(v.beside, "after") {
		f.After = 1
		known["after"] = d.integer(&f.After, 1)
	}
	if v.object == toAll {
		delete(known, "for")
	}
	d.object(n, path, known, nil)
	if n.get("at") == nil {
		d.complain(n.place, path, "such as at: 10s, from the start of measuring, or at: acked(5000)", "when? a fault needs at")
	}
	return f
}

func (d *decoder) steps(to *[]Step) reader {
	return func(n *node, path string) {
		d.list(n, path, func(n *node, path string) { *to = append(*to, d.step(n, path)) })
	}
}

func (d *decoder) step(n *node, path string) Step {
	s := Step{Pos: n.Pos}
	v, ok := d.verbIn(n, path, verbsFor(false))
	if !ok {
		return s
	}
	s.Do = v.name
	beside := fields{
		"as":     d.alias(&s.As),
		"count":  d.integer(&s.N, 1),
		"after":  d.integer(&s.After, 1),
		"open":   d.truth(&s.Open),
		"at":     choice(d, &s.Point, Polled, Handled, BeforeOffsets),
		"within": d.duration(&s.Within),
	}
	known := fields{v.name: d.argument(v, &s)}
	for _, key := range v.beside {
		known[key] = beside[key]
	}
	if v.name == "await" {
		s.Within = defaultAwait
	}
	if slices.Contains(v.beside, "after") {
		s.After = 1
	}
	d.object(n, path, known, nil)
	if v.name == "hold" && n.get("at") == nil {
		d.complain(n.place, path, "such as at: before-offsets", "where? hold needs at: polled, handled or before-offsets")
	}
	return s
}

// argument reads what stands behind a step's verb.
func (d *decoder) argument(v verb, s *Step) reader {
	switch v.name {
	case "send":
		return d.integer(&s.N, 1)
	case "wait":
		return d.duration(&s.For)
	case "await", "check":
		return func(n *node, path string) {
			var c Condition
			if grammar(d, &c, "a condition such as isr(orders/0) = 3", ParseCondition)(n, path); !d.spoiled[path] {
				s.When = &c
			}
		}
	case "flush":
		return func(n *node, path string) {
			s.Within = defaultAwait
			if n.shape != aTruth || n.text != "true" {
				d.duration(&s.Within)(n, path)
			}
		}
	}
	return d.target(v, &s.Target)
}

func (d *decoder) alias(to *string) reader {
	return func(n *node, path string) {
		d.named(to, "a name in small letters", asName)(n, path)
		if t, err := parseTarget(*to); *to != "" && (err != nil || t.Kind != Named) {
			d.complain(n.place, path, "choose another name", "%q already means something", *to)
		}
	}
}

// target reads what a verb is done to, and whether it can be.
func (d *decoder) target(v verb, to *Target) reader {
	return func(n *node, path string) {
		if v.object == toAll && n.shape == aTruth && strings.EqualFold(n.text, "true") {
			*to = Target{Kind: Brokers}
			return
		}
		var t Target
		grammar(d, &t, "a target such as leader(orders/0)", v.object.parse)(n, path)
		if d.spoiled[path] {
			return
		}
		if why := v.object.refuses(t); why != "" {
			d.complain(n.place, path, "", "%s %s, found %q", v.name, why, n.text)
			return
		}
		*to = t
	}
}

// parse reads a target; topics and transactional ids go by their bare names. What restore names is taken for a topic
// until the whole scenario is known.
func (o object) parse(s string) (Target, error) {
	switch o {
	case toTopics, toTreated:
		if !topicName.MatchString(s) {
			return Target{}, wrong("", "expected a topic's name, found %q", s)
		}
		return Target{Kind: TopicTarget, Topic: s}, nil
	case toTransactions:
		if !groupName.MatchString(s) {
			return Target{}, wrong("", "expected a transactional id, found %q", s)
		}
		return Target{Kind: TransactionalID, Name: s}, nil
	}
	return parseTarget(s)
}

// refuses says what was expected where the target is not of a kind that the verb can be done to.
func (o object) refuses(t Target) string {
	switch {
	case o == toNodes && t.worker():
		return "takes brokers and controllers"
	case o == toWorkers && !t.worker() && t.Kind != Named:
		return "takes producer(N), consumer(N) or processor(N)"
	case o == toAll && t.Kind != Brokers:
		return "takes brokers"
	case (o == toAnyone || o == toNodes) && t.Kind == Brokers:
		return "takes one target at a time, such as broker(1) or followers(orders/0)"
	}
	return ""
}
