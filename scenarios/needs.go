package scenarios

import (
	"slices"
	"strconv"
	"strings"
)

// topic by its name, nil where there is none.
func (s *Scenario) topic(name string) *Topic {
	for i := range s.Topics {
		if s.Topics[i].Name == name {
			return &s.Topics[i]
		}
	}
	return nil
}

// groups that the scenario names.
func (s *Scenario) groups() []string {
	var names []string
	for _, c := range s.Consumers {
		names = append(names, c.Group)
	}
	if s.Processor != nil {
		names = append(names, s.Processor.Group)
	}
	return names
}

// transactionalIDs of all producers and processors, logical, with {instance} filled in. Producers in transactions
// without an id of their own are p0, p1, …
func (s *Scenario) transactionalIDs() []string {
	var ids []string
	id := s.Client["transactional.id"]
	if id == "" && s.Load.Txn.Size > 0 {
		id = "p{instance}"
	}
	ids = append(ids, expand(id, s.Producers.Count)...)
	if s.Processor != nil {
		ids = append(ids, expand(s.Processor.Transactional, s.Processor.Instances)...)
	}
	return ids
}

func expand(id string, instances int) []string {
	if id == "" {
		return nil
	}
	if !strings.Contains(id, "{instance}") {
		return []string{id}
	}
	ids := make([]string, instances)
	for i := range ids {
		ids[i] = strings.ReplaceAll(id, "{instance}", strconv.Itoa(i))
	}
	return ids
}

// instances of a role of workers.
func (s *Scenario) instances(role string) int {
	switch {
	case role == ProducerWorker:
		return s.Producers.Count
	case role == ConsumerWorker:
		n := 0
		for _, c := range s.Consumers {
			n += c.Instances
		}
		return n
	case role == ProcessorWorker && s.Processor != nil:
		return s.Processor.Instances
	}
	return 0
}

// targets of faults and steps, by their paths, with the verb that is done to them.
func (s *Scenario) targets(visit func(path, verb string, t *Target)) {
	for i := range s.Faults {
		f := &s.Faults[i]
		if f.Series != nil {
			s.seriesTargets(faultPath(i), f.Series, visit)
			continue
		}
		visit(faultPath(i)+"."+f.Action, f.Action, &f.Target)
	}
	for i := range s.Steps {
		visit(stepPath(i)+"."+s.Steps[i].Do, s.Steps[i].Do, &s.Steps[i].Target)
	}
}

// conditions of faults and steps, by their paths.
func (s *Scenario) conditions(visit func(path string, c *Condition)) {
	for i := range s.Faults {
		if c := s.Faults[i].At.When; c != nil {
			visit(faultPath(i)+".at", c)
		}
	}
	for i := range s.Steps {
		if c := s.Steps[i].When; c != nil {
			visit(stepPath(i)+"."+s.Steps[i].Do, c)
		}
	}
}

func faultPath(i int) string { return "faults[" + strconv.Itoa(i) + "]" }
func stepPath(i int) string  { return "steps[" + strconv.Itoa(i) + "]" }

// nameTargets finds out whose coordinator a coordinator(name) is, and whether restore names a topic or a transactional
// id. A name that is nobody's, or both a group's and a transactional id, stays open and is reported by the checks.
func (s *Scenario) nameTargets() {
	groups, ids := s.groups(), s.transactionalIDs()
	s.targets(func(_, verb string, t *Target) {
		if verb == "restore" && s.topic(t.Topic) == nil && slices.Contains(ids, t.Topic) {
			*t = Target{Kind: TransactionalID, Name: t.Topic}
		}
		if t.Kind != anyCoordinator {
			return
		}
		group, transaction := slices.Contains(groups, t.Name), slices.Contains(ids, t.Name)
		switch {
		case group && !transaction:
			t.Kind = GroupCoordinator
		case transaction && !group:
			t.Kind = TransactionCoordinator
		}
	})
}

// isolate makes clients processes of their own where they are killed, paused or held.
func (s *Scenario) isolate() {
	roles := map[string]bool{}
	s.targets(func(_, verb string, t *Target) {
		switch verb {
		case "kill", "stop", "pause", "restart", "hold":
			roles[t.Kind] = true
		}
	})
	s.Producers.Process = roles[ProducerWorker]
	for i := range s.Consumers {
		s.Consumers[i].Process = roles[ConsumerWorker]
	}
	if s.Processor != nil {
		s.Processor.Process = roles[ProcessorWorker]
	}
}

// shownBy are the kinds of cluster that can show the scenario. Real brokers can show everything. The embedded cluster
// does not replicate, so that it has no ISR and truncates nothing; its brokers can be cut off, which stands for a kill or
// a stop, and its coordinators and controller stay where they are. A leader can stand still, which shows how long clients
// wait, and nothing that a promise rests on. A cluster that kbench did not start
// has no processes to hurt. Neither of the two has a proxy in front of it. Only containers have networks of their own, from
// which a broker can be cut.
func (s *Scenario) shownBy() []string {
	local, embedded, external := true, true, true
	for verb, t := range s.done() {
		node := !t.worker() && t.Kind != TopicTarget && t.Kind != TransactionalID
		switch verb {
		case "cut-acks", "refuse-produce", "delay-end-txn":
			embedded, external = false, false
		case "isolate":
			local, embedded, external = false, false, false
		case "pause":
			embedded, external = embedded && (!node || s.Guarantee == Unjudged && t.Kind == Leader), external && !node
		case "kill", "stop", "restart", "rolling-restart":
			external = external && !node
			embedded = embedded && (!node || s.detachable(t))
		}
	}
	s.conditions(func(_ string, c *Condition) {
		embedded = embedded && c.Func != "isr"
		external = external && c.Func != "filtered"
	})
	external = external && !s.needsShortSessions()
	var kinds []string
	if local {
		kinds = append(kinds, "local")
	}
	kinds = append(kinds, "docker")
	if embedded {
		kinds = append(kinds, "embedded")
	}
	if external {
		kinds = append(kinds, "external")
	}
	return kinds
}

// needsShortSessions tells whether members ask for sessions that a broker refuses unless it was configured for them.
func (s *Scenario) needsShortSessions() bool {
	short := func(of map[string]string) bool {
		v, ok := of["session.timeout.ms"]
		return ok && atoi(v) < 6000
	}
	return slices.ContainsFunc(s.Consumers, func(c Consumer) bool { return short(c.Settings) }) || s.Processor != nil && short(s.Processor.Consumer)
}

// detachable tells whether the embedded cluster can cut the target off and show what the scenario is about.
func (s *Scenario) detachable(t Target) bool {
	switch t.Kind {
	case Controller, GroupCoordinator, TransactionCoordinator, anyCoordinator:
		return false
	case Broker: // the embedded ones are counted from 0
		return !s.truncates() && (t.Random || t.N < s.Cluster.Brokers)
	}
	return !s.truncates()
}

// done yields what is done to whom, names resolved.
func (s *Scenario) done() func(yield func(string, Target) bool) {
	return func(yield func(string, Target) bool) {
		going, named := true, s.named()
		s.targets(func(_, verb string, t *Target) {
			who := *t
			if t.Kind == Named {
				who = named[t.Name]
			}
			going = going && yield(verb, who)
		})
	}
}

// named are the targets that steps gave a name.
func (s *Scenario) named() map[string]Target {
	names := map[string]Target{}
	for _, step := range s.Steps {
		if step.As == "" {
			continue
		}
		t := step.Target
		if t.Kind == Named {
			t = names[t.Name]
		}
		names[step.As] = t
	}
	return names
}

// truncates tells whether the scenario means to show records vanish from a log.
func (s *Scenario) truncates() bool {
	if !s.Expect.Violated {
		return false
	}
	return len(s.Expect.Anomalies) == 0 || slices.Contains(s.Expect.Anomalies, "lost-write") ||
		slices.Contains(s.Expect.Anomalies, "inconsistent-offset") || slices.Contains(s.Expect.Anomalies, "unseen")
}
