package scenarios

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kbench/kbench/internal/settings"
)

// checker finds contradictions between values that are each well formed.
type checker struct {
	*decoder
	s *Scenario
}

// say reports a contradiction at the path, unless something about that path is wrong already.
func (c *checker) say(path, hint, format string, args ...any) {
	p := c.locate(path).problem(path, hint, fmt.Sprintf(format, args...))
	if !c.broken(path) && !slices.Contains(c.problems, p) {
		c.problems = append(c.problems, p)
	}
}

// contradictions looks through the whole scenario.
func (c *checker) contradictions() {
	c.expectation()
	c.sending()
	c.topicsFit()
	c.recordFits()
	c.backlogFits()
	c.producersFit()
	c.transactionsFit()
	c.consumersFit()
	c.processorFits()
	c.faultTimes()
	c.seriesFit()
	c.targetsExist()
	c.conditionsFit()
	c.stepOrder()
	c.clustersCan()
}

func (c *checker) expectation() {
	s := c.s
	if s.Twin != "" && s.Twin == s.Name {
		c.say("twin", "", "a scenario cannot be its own twin")
	}
	if !s.Expect.Violated {
		return
	}
	if s.Guarantee == Unjudged {
		c.say("expect", "add guarantee: "+string(AtLeastOnce)+", or another", "what should be violated? the scenario names no guarantee")
		return
	}
	decides := func(a string) bool { return slices.Contains(decidedBy(a), s.Guarantee) }
	if len(s.Expect.Anomalies) > 0 && !slices.ContainsFunc(s.Expect.Anomalies, decides) {
		c.say("expect", "", "%s does not decide against %s, so that the run would never show a violation", orList(s.Expect.Anomalies), s.Guarantee)
	}
}

// decidedBy are the guarantees that an anomaly decides against.
func decidedBy(anomaly string) []Guarantee {
	switch anomaly {
	case "corrupt-record", "foreign-record", "offset-hole", "leader-epoch-regression":
		return []Guarantee{AtMostOnce, AtLeastOnce, ExactlyOnce, ExactlyOnceTransactions}
	case "inconsistent-offset": // between reads against all, between an acknowledgement and a read as a lost write
		return []Guarantee{AtMostOnce, AtLeastOnce, ExactlyOnce, ExactlyOnceTransactions}
	case "duplicate", "reprocessed", "aborted-read":
		return []Guarantee{AtMostOnce, ExactlyOnce, ExactlyOnceTransactions}
	case "lost-write", "unseen", "unprocessed":
		return []Guarantee{AtLeastOnce, ExactlyOnce, ExactlyOnceTransactions}
	case "poll-skip":
		return []Guarantee{AtLeastOnce, ExactlyOnceTransactions}
	case "nonmonotonic-send":
		return []Guarantee{ExactlyOnce, ExactlyOnceTransactions}
	case "torn-transaction", "precommitted-read", "internal-poll-skip", "internal-nonmonotonic-poll", "g1c", "hanging-transaction":
		return []Guarantee{ExactlyOnceTransactions}
	}
	return nil
}

func (c *checker) sending() {
	l, steps := c.s.Load, len(c.s.Steps) > 0
	shaped := l.Shape.Kind != ""
	paced := l.Rate > 0 || l.Max || shaped
	switch {
	case c.broken("load") || c.broken("steps"):
	case l.Alone():
	case !paced && !steps && l.Duration == 0 && l.Records == 0:
		c.say("load", "such as load: {rate: 1000/s, duration: 10s}", "nothing is sent: there is neither a load nor a step")
	case !paced && (!steps || l.Duration > 0 || l.Records > 0):
		c.say("load", "such as rate: 1000/s, or rate: max", "how fast? the load has no rate")
	case paced && l.Duration == 0 && l.Records == 0:
		c.say("load", "such as duration: 10s", "how long? the load has a rate, but neither a duration nor a number of records")
	case shaped && l.Duration == 0:
		c.say("load", "such as duration: 60s", "how long? a rate that moves needs a duration")
	case l.periods() > mostPeriods:
		c.say("load.rate", "a longer period, or a shorter load", "the load would have %d periods, more than %d", l.periods(), mostPeriods)
	case l.Max && l.Duration == 0:
		c.say("load", "such as duration: 60s", "at the highest rate, records need a duration as their limit")
	}
	if len(c.s.loaded()) == 0 && len(c.s.Topics) > 0 && !c.broken("topics") && !c.broken("processor") {
		c.say("topics", "give one of them a weight", "no topic has a part of the load")
	}
	if len(c.s.Faults) > 0 && steps {
		c.say("steps", "move the faults into the steps, or take the steps out", "a scenario has faults at times or strict steps, not both")
	}
	if (l.Txn.Abort > 0 || l.Txn.Every > 0) && l.Txn.Size == 0 {
		c.say("load.transactions.abort", "add size: 10, the records of a transaction", "there are no transactions to abort")
	}
	for i, s := range c.s.Steps {
		if s.Open && l.Txn.Size == 0 {
			c.say(stepPath(i)+".open", "add load: {transactions: {size: 10}}", "there are no transactions to leave open")
		}
	}
}

func (c *checker) topicsFit() {
	seen := map[string]bool{}
	for i, t := range c.s.Topics {
		path := "topics[" + strconv.Itoa(i) + "]"
		if seen[t.Name] && t.Name != "" {
			c.say(path+".name", "", "topic %s is there twice", t.Name)
		}
		seen[t.Name] = true
		if t.Weight > mostWeight {
			c.say(path+".weight", "", "expected at most %d, found %d", mostWeight, t.Weight)
		}
		if t.Replication > c.s.Cluster.Brokers && !c.broken("cluster.brokers") {
			c.say(path+".replication", fmt.Sprintf("at most replication: %d, or cluster: {brokers: %d}", c.s.Cluster.Brokers, t.Replication),
				"%s wants %d replicas of %d brokers", t.Name, t.Replication, c.s.Cluster.Brokers)
		}
		if in := c.s.minISR(t); in > t.Replication && t.Replication <= c.s.Cluster.Brokers {
			at := "cluster.config.min.insync.replicas"
			if _, own := t.Config["min.insync.replicas"]; own {
				at = path + ".config.min.insync.replicas"
			}
			c.say(at, fmt.Sprintf("at most %d, or a higher replication", t.Replication),
				"%s has replication %d, less than min.insync.replicas=%d: every acks=all send would be refused", t.Name, t.Replication, in)
		}
		if most := c.s.TopicConfig(t)["max.message.bytes"]; most != "" && atoi(most) < int64(c.s.Load.Record.Bytes()) {
			c.say("load.record.size", "", "topic %s takes records of at most %s bytes (max.message.bytes)", t.Name, most)
		}
	}
}

// minISR is the topic's min.insync.replicas as it will be set: its own, the cluster's, or Kafka's default.
func (s *Scenario) minISR(t Topic) int {
	if v := s.TopicConfig(t)["min.insync.replicas"]; v != "" {
		return int(atoi(v))
	}
	return 1
}

// atoi reads a number that has been checked before.
func atoi(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}

// setting is a client's setting as asked, else Kafka's default.
func setting(of map[string]string, role settings.Role, name string) string {
	if v, ok := of[name]; ok {
		return v
	}
	known, _ := settings.Lookup(role, name)
	return known.Default
}

// Idempotent tells whether a producer with these settings is: as with Kafka's own client, it is by default, and stops
// being so where acks or retries contradict it and it was not asked for by name.
func Idempotent(client map[string]string) bool {
	full, err := settings.Resolve(settings.Producer, client)
	return err == nil && full["enable.idempotence"] == "true"
}

func (c *checker) producersFit() {
	c.producerFits("client", c.s.Client, c.s.Load.Txn.Size > 0)
	if most := setting(c.s.Client, settings.Producer, "max.request.size"); atoi(most) < int64(c.s.Load.Record.Bytes()) {
		c.say("load.record.size", "", "the producer takes records of at most %s bytes (max.request.size)", most)
	}
	if c.s.Processor != nil {
		c.producerFits("processor.client", c.s.Processor.Client, c.s.Processor.Transactional != "")
	}
}

// producerFits finds settings that Kafka's own producer refuses beside each other.
func (c *checker) producerFits(path string, client map[string]string, transactional bool) {
	before := len(c.problems)
	get := func(name string) string { return setting(client, settings.Producer, name) }
	asked := client["enable.idempotence"]
	if transactional && asked == "false" {
		c.say(path+".enable.idempotence", "leave it out", "transactions need an idempotent producer")
	}
	if asked == "true" || transactional {
		why := "enable.idempotence=true"
		if asked != "true" {
			why = "a transactional producer"
		}
		if get("acks") != "all" {
			c.say(path+".acks", "acks: all, or enable.idempotence: false", "%s needs acks=all", why)
		}
		if get("retries") == "0" {
			c.say(path+".retries", "leave it out, or enable.idempotence: false", "%s needs retries", why)
		}
	}
	if n := get("max.in.flight.requests.per.connection"); asked != "false" && get("acks") == "all" && get("retries") != "0" && atoi(n) > settings.IdempotenceInFlight {
		c.say(path+".max.in.flight.requests.per.connection", "at most 5, or enable.idempotence: false",
			"an idempotent producer keeps at most %d requests in flight, found %s", settings.IdempotenceInFlight, n)
	}
	if total := atoi(get("linger.ms")) + atoi(get("request.timeout.ms")); client["delivery.timeout.ms"] != "" && atoi(get("delivery.timeout.ms")) < total {
		c.say(path+".delivery.timeout.ms", fmt.Sprintf("delivery.timeout.ms: %d or more", total),
			"delivery.timeout.ms=%s is less than linger.ms + request.timeout.ms", get("delivery.timeout.ms"))
	}
	if _, err := settings.Resolve(settings.Producer, client); err != nil && len(c.problems) == before {
		c.say(path, "", "%v", err)
	}
}

func (c *checker) transactionsFit() {
	s := c.s
	id := s.Client["transactional.id"]
	const path = "client.transactional.id"
	switch {
	case id == "":
	case s.Load.Txn.Size == 0:
		c.say(path, "add load: {transactions: {size: 10}}, or leave it out", "the load is not sent in transactions")
	case s.Producers.Count > 1 && !strings.Contains(id, "{instance}"):
		c.say(path, "write '"+id+"-{instance}'", "%d producers with one transactional id fence each other", s.Producers.Count)
	}
}

// sessionFits compares a member's time-outs with each other and with what the brokers will take.
func (c *checker) sessionFits(path string, consumer map[string]string) {
	session := atoi(setting(consumer, settings.Consumer, "session.timeout.ms"))
	least := int64(6000)
	if v, ok := c.s.Cluster.Config["group.min.session.timeout.ms"]; ok {
		least = atoi(v)
	}
	at := path + ".session.timeout.ms"
	if consumer["group.protocol"] == "consumer" {
		return // the brokers rule the time-outs of these groups (KIP-848)
	}
	if session < least && !c.broken("cluster.config") {
		c.say(at, fmt.Sprintf("cluster: {config: {group.min.session.timeout.ms: %d}}", session),
			"the brokers refuse sessions below group.min.session.timeout.ms=%d", least)
	}
	if _, set := consumer["heartbeat.interval.ms"]; set {
		at = path + ".heartbeat.interval.ms"
	}
	if beat := atoi(setting(consumer, settings.Consumer, "heartbeat.interval.ms")); beat >= session {
		c.say(at, fmt.Sprintf("heartbeat.interval.ms: %d", max(1, session/3)), "heartbeat.interval.ms=%d must be less than session.timeout.ms=%d", beat, session)
	} else if _, err := settings.Resolve(settings.Consumer, consumer); err != nil {
		c.say(path, "", "%v", err)
	}
}

func (c *checker) processorFits() {
	p := c.s.Processor
	if p == nil {
		return
	}
	for _, end := range []struct{ path, topic string }{{"processor.from", p.From}, {"processor.to", p.To}} {
		if end.topic != "" && c.s.topic(end.topic) == nil && !c.broken("topics") {
			c.say(end.path, didYouMean(end.topic, c.topicNames()), "there is no topic %s", end.topic)
		}
	}
	if p.From == p.To && p.From != "" {
		c.say("processor.to", "", "reading from and writing to one topic never ends")
	}
	c.sessionFits("processor", p.Consumer)
	for i, n := range p.Start {
		at := "processor.start[" + strconv.Itoa(i) + "]"
		if n >= p.Instances {
			c.say(at, "", "there is no processor(%d): instances are 0 to %d", n, p.Instances-1)
		}
		if slices.Contains(p.Start[:i], n) {
			c.say(at, "", "processor(%d) is there twice", n)
		}
	}
	together := p.Instances
	if p.Start != nil {
		together = len(p.Start)
	}
	if p.Transactional != "" && !strings.Contains(p.Transactional, "{instance}") && together > 1 {
		c.say("processor.transactional.id", "write '"+p.Transactional+"-{instance}', or start: [0]", "%d processors that start together with one transactional id fence each other", together)
	}
	if p.Assignment == "manual" && p.Generation {
		c.say("processor.generation", "generation: false", "with assignment: manual there is no group membership that could have a generation")
	}
}

func (c *checker) topicNames() []string {
	var names []string
	for _, t := range c.s.Topics {
		names = append(names, t.Name)
	}
	return names
}

func (c *checker) faultTimes() {
	length := c.s.Load.Duration
	if c.broken("load.duration") || length == 0 {
		return
	}
	for i, f := range c.s.Faults {
		path := faultPath(i)
		switch {
		case f.At.When != nil && f.For > length:
			c.say(path+".for", "at most "+brief(length), "the fault lasts longer than the load (%s)", brief(length))
		case f.At.When != nil:
		case f.At.After >= length:
			c.say(path+".at", "before "+brief(length)+", or a longer load.duration", "the load is over after %s, before the fault", brief(length))
		case f.At.After+f.For > length:
			c.say(path+".for", "at most "+brief(length-f.At.After)+", or a longer load.duration",
				"the fault lasts from %s to %s, but the load ends at %s", brief(f.At.After), brief(f.At.After+f.For), brief(length))
		}
	}
}

// brief writes a duration without its zero parts: 1m instead of 1m0s.
func brief(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func (c *checker) targetsExist() {
	c.s.targets(func(path, verb string, t *Target) { c.exists(path, *t) })
}

// exists checks that the scenario has what a target names.
func (c *checker) exists(path string, t Target) {
	switch t.Kind {
	case Leader, Follower, Followers:
		c.partitionExists(path, t)
		if topic := c.s.topic(t.Topic); t.Kind != Leader && topic != nil && topic.Replication == 1 {
			c.say(path, "give "+t.Topic+" a replication of 3", "%s has no followers: its replication is 1", t.Topic)
		}
	case TopicTarget:
		c.topicExists(path, t.Topic)
	case Broker:
		if n := c.s.Cluster.Brokers; !t.Random && (t.N < 1 || t.N > n) {
			c.say(path, "", "there is no broker %d: brokers are 1 to %d", t.N, n)
		}
	case ProducerWorker, ConsumerWorker, ProcessorWorker:
		c.workerExists(path, t)
	case anyCoordinator:
		c.coordinatorIsClear(path, t)
	case GroupCoordinator:
		if groups := c.s.groups(); !slices.Contains(groups, t.Name) {
			c.say(path, didYouMean(t.Name, groups), "there is no group %s", t.Name)
		}
	case TransactionCoordinator, TransactionalID:
		if ids := c.s.transactionalIDs(); !slices.Contains(ids, t.Name) {
			hint := didYouMean(t.Name, ids)
			if len(ids) == 0 {
				hint = "add load: {transactions: {size: 10}}, whose producers are p0, p1, …"
			}
			c.say(path, hint, "there is no transactional id %s", t.Name)
		}
	}
}

func (c *checker) coordinatorIsClear(path string, t Target) {
	groups, ids := c.s.groups(), c.s.transactionalIDs()
	if slices.Contains(groups, t.Name) && slices.Contains(ids, t.Name) {
		c.say(path, "write coordinator(group:"+t.Name+") or coordinator(transaction:"+t.Name+")", "%s is a group and a transactional id", t.Name)
		return
	}
	c.say(path, didYouMean(t.Name, append(groups, ids...)), "%s is neither a group nor a transactional id", t.Name)
}

func (c *checker) topicExists(path, name string) bool {
	if c.broken("topics") || c.s.topic(name) != nil {
		return true
	}
	c.say(path, didYouMean(name, c.topicNames()), "there is no topic %s", name)
	return false
}

func (c *checker) partitionExists(path string, t Target) {
	if !c.topicExists(path, t.Topic) || c.broken("topics") {
		return
	}
	if n := c.s.topic(t.Topic).Partitions; t.Partition >= n {
		c.say(path, "", "there is no partition %s/%d: partitions are 0 to %d", t.Topic, t.Partition, n-1)
	}
}

func (c *checker) workerExists(path string, t Target) {
	n := c.s.instances(t.Kind)
	switch {
	case c.broken(t.Kind) || t.Kind == ProducerWorker && c.broken("producers"):
	case n == 0:
		c.say(path, "add "+t.Kind+": {...}", "the scenario has no %s", t.Kind)
	case t.N >= n:
		c.say(path, "", "there is no %s: instances are 0 to %d", t, n-1)
	}
}

func (c *checker) conditionsFit() {
	c.s.conditions(func(path string, cond *Condition) {
		switch {
		case cond.Target.worker():
			c.workerExists(path, cond.Target)
		case cond.Target.Topic != "":
			c.partitionExists(path, cond.Target)
		}
		if groups := c.s.groups(); cond.Group != "" && !slices.Contains(groups, cond.Group) {
			c.say(path, didYouMean(cond.Group, groups), "there is no group %s", cond.Group)
		}
		if cond.Name != "" && strings.HasPrefix(path, "faults") {
			c.say(path, "use steps", "names are given by as, which only steps have; found %s", cond.Name)
		}
	})
}

func (c *checker) clustersCan() {
	can := c.s.shownBy()
	for i, kind := range c.s.Clusters {
		if !slices.Contains(can, kind) {
			c.say("clusters["+strconv.Itoa(i)+"]", "one of "+strings.Join(can, ", "), "a cluster of this kind cannot show the scenario: %s", kind)
		}
	}
}
