package scenarios

// walk follows the steps in their order and knows what they have done so far.
type walk struct {
	*checker
	names                              map[string]Target
	order                              []string // of names
	killed, paused, filtered, isolated bool
	held                               map[Target]bool
}

// stepOrder checks that steps undo only what was done, and use only names that were given.
func (c *checker) stepOrder() {
	w := walk{checker: c, names: map[string]Target{}, held: map[Target]bool{}}
	for i := range c.s.Faults {
		f := &c.s.Faults[i]
		switch f.Target.Kind {
		case Killed, Paused, Named:
			c.say(faultPath(i)+"."+f.Action, "such as leader(orders/0), or use steps", "%s has a meaning in steps only", f.Target)
		}
	}
	for i := range c.s.Steps {
		w.step(&c.s.Steps[i], stepPath(i))
	}
}

func (w *walk) step(s *Step, path string) {
	at := path + "." + s.Do
	who := s.Target
	if who.Kind == Named {
		who = w.known(at, who.Name)
	}
	switch s.Do {
	case "kill", "stop":
		w.killed = true
	case "pause":
		w.paused = true
	case "cut-acks", "refuse-produce", "delay-end-txn":
		w.filtered = true
	case "isolate":
		w.isolated = true
	case "rejoin":
		if !w.isolated {
			w.say(at, "", "nothing was isolated before")
		}
	case "restore":
		if !w.filtered {
			w.say(at, "", "nothing was cut, refused or delayed before")
		}
	case "hold":
		w.hold(who, s.Point, path)
	case "release":
		if who.worker() && !w.held[who] {
			w.say(at, "", "%s was not held before", who)
		}
		delete(w.held, who)
	}
	w.special(at, s.Target.Kind)
	w.compared(at, s.When)
	w.name(path, s.As, who)
}

// special checks killed and paused, which name whatever was.
func (w *walk) special(at, kind string) {
	if kind == Killed && !w.killed {
		w.say(at, "", "nothing was killed or stopped before")
	}
	if kind == Paused && !w.paused {
		w.say(at, "", "nothing was paused before")
	}
}

// hold checks that a worker comes by the point.
func (w *walk) hold(who Target, point, path string) {
	w.held[who] = true
	switch {
	case who.Kind == ProducerWorker:
		w.say(path+".hold", "", "a producer cannot be held; consumers and processors can")
	case who.Kind == ConsumerWorker && point == BeforeOffsets:
		w.say(path+".at", "at: polled or at: handled", "a consumer does not come by %s", point)
	case who.Kind == ProcessorWorker && point == Handled:
		w.say(path+".at", "at: polled or at: before-offsets", "a processor does not come by %s", point)
	}
}

// compared checks the name that a condition compares with.
func (w *walk) compared(at string, c *Condition) {
	if c == nil || c.Name == "" {
		return
	}
	switch t := w.known(at, c.Name); t.Kind {
	case Followers, Brokers, ProducerWorker, ConsumerWorker, ProcessorWorker, Killed, Paused:
		w.say(at, "", "%s is %s, not one broker", c.Name, t)
	}
}

// known is what a name stands for.
func (w *walk) known(at, name string) Target {
	t, ok := w.names[name]
	if !ok {
		hint := didYouMean(name, w.order)
		if hint == "" {
			hint = nearestForm(name)
		}
		if hint == "" {
			hint = "give the name first, such as {pause: followers(orders/0), as: " + name + "}"
		}
		w.say(at, hint, "no step before this one gave anything the name %s", name)
	}
	return t
}

func (w *walk) name(path, as string, who Target) {
	if as == "" {
		return
	}
	if _, twice := w.names[as]; twice {
		w.say(path+".as", "", "the name %s is taken", as)
	}
	w.names[as] = who
	w.order = append(w.order, as)
}
