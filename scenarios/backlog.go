package scenarios

// Alone tells whether a backlog is worked off without a load beside it.
func (l Load) Alone() bool { return l.Backlog > 0 && l.Rate == 0 && !l.Max }

const mostBacklog = 1_000_000_000

// backlogFits finds what cannot be said of a backlog.
func (c *checker) backlogFits() {
	s, l := c.s, c.s.Load
	const path = "load.backlog"
	switch {
	case l.Backlog == 0:
	case l.Backlog > mostBacklog:
		c.say(path, "", "expected at most %d records, found %d", mostBacklog, l.Backlog)
	case len(s.Consumers) == 0 && s.Processor == nil:
		c.say(path, "add consumer: {group: readers}", "nobody works the backlog off")
	case len(s.Steps) > 0:
		c.say(path, "build it by steps: send: N, flush: true, start: consumer(0)", "a backlog has no place beside strict steps")
	case l.Alone() && len(s.Faults) > 0 && l.Duration == 0:
		c.say(path, "add load: {duration: 60s}", "how long may it take? faults need to know when the backlog is worked off at the latest")
	case l.Alone() && l.Records > 0:
		c.say("load.records", "leave it out, or add a rate", "without a rate nothing is sent but the backlog")
	case l.Alone() && l.Warmup > 0:
		c.say("load.warmup", "leave it out, or add a rate", "without a rate there is nothing to warm up with")
	}
}
