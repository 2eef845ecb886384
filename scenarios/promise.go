package scenarios

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kbench/kbench/internal/settings"
)

// Promise is what the settings of client, consumer, processor, topics and cluster together say about one guarantee.
type Promise struct {
	Guarantee Guarantee
	Against   []Reason // why it is not promised; none: it is
	Rests     []string // what a promise that is given rests on
}

// Given tells whether the settings promise the guarantee.
func (p Promise) Given() bool { return len(p.Against) == 0 }

// Reason is one setting that stands against a guarantee.
type Reason struct {
	Path    string // of the setting: client.acks
	Setting string // as it is: acks=1
	Why     string // what can happen
	Fix     string // what to change
}

func (r Reason) String() string { return r.Setting + ": " + r.Why }

// Promises derives what the settings promise, for each guarantee. The definitions are those of docs/guarantees.md: loss of
// a disk or of power is outside of them, and so is what a scenario's faults do; only settings count.
func Promises(s Scenario) []Promise {
	promises := []Promise{{Guarantee: AtMostOnce}, {Guarantee: AtLeastOnce}, {Guarantee: ExactlyOnce}, {Guarantee: ExactlyOnceTransactions}}
	for _, r := range rules() {
		reason := r.broken(&s)
		for i := range promises {
			p := &promises[i]
			if reason != nil && slices.Contains(r.against, p.Guarantee) {
				p.Against = append(p.Against, *reason)
			}
		}
	}
	for i := range promises {
		if promises[i].Given() {
			promises[i].Rests = rests(&s, promises[i].Guarantee)
		}
	}
	return promises
}

// PromiseOf derives what the settings say about one guarantee.
func PromiseOf(s Scenario, g Guarantee) Promise {
	for _, p := range Promises(s) {
		if p.Guarantee == g {
			return p
		}
	}
	return Promise{Guarantee: g}
}

// Strongest is the strongest guarantee that the settings promise, Unjudged where they promise none. At-most-once and
// at-least-once are no stronger than each other; where both hold without exactly-once, it is at-least-once.
func Strongest(s Scenario) Guarantee {
	strongest := Unjudged
	for _, p := range Promises(s) {
		if p.Given() {
			strongest = p.Guarantee
		}
	}
	return strongest
}

// rule is one way in which settings break a promise.
type rule struct {
	name    string
	against []Guarantee
	broken  func(*Scenario) *Reason // nil: it is kept
}

func rules() []rule {
	all := []Guarantee{AtMostOnce, AtLeastOnce, ExactlyOnce, ExactlyOnceTransactions}
	losing := []Guarantee{AtLeastOnce, ExactlyOnce, ExactlyOnceTransactions}
	repeating := []Guarantee{AtMostOnce, ExactlyOnce, ExactlyOnceTransactions}
	exact := []Guarantee{ExactlyOnce, ExactlyOnceTransactions}
	transactional := []Guarantee{ExactlyOnceTransactions}
	return []rule{
		{"acks", losing, weakAcks},
		{"min.insync.replicas", losing, fewInSync},
		{"unclean election", losing, uncleanElection},
		{"retention", losing, forgetfulTopic},
		{"retries without idempotence", repeating, blindRetries},
		{"order without idempotence", exact, overtaking},
		{"idempotence", exact, noIdempotence},
		{"after-crash", repeating, resending},
		{"commit before", losing, commitBefore},
		{"commit after", repeating, commitAfter},
		{"automatic commit", all, commitAuto},
		{"auto.offset.reset", losing, lateReader},
		{"isolation", repeating, dirtyReader},
		{"transactions", transactional, noTransactions},
		{"processor without transactions", repeating, plainProcessor},
		{"processor's acks", losing, weakProcessor},
		{"generation", transactional, noGeneration},
		{"assignment", transactional, everyoneReads},
		{"transaction log", transactional, weakTransactionLog},
	}
}

func (s *Scenario) client(name string) string { return setting(s.Client, settings.Producer, name) }

// retries tells whether the producers send again by themselves what was not answered.
func (s *Scenario) retries() bool { return s.client("retries") != "0" }

func (s *Scenario) idempotent() bool { return s.Load.Txn.Size > 0 || Idempotent(s.Client) }

func weakAcks(s *Scenario) *Reason {
	switch acks := s.client("acks"); acks {
	case "0":
		return &Reason{"client.acks", "acks=0", "a record counts as acknowledged when it is sent; nobody needs to have received it", "acks: all"}
	case "1":
		return &Reason{"client.acks", "acks=1", "a record counts as acknowledged before any follower has it, and vanishes with its leader", "acks: all"}
	}
	return nil
}

func fewInSync(s *Scenario) *Reason {
	for i, t := range s.Topics {
		if t.Replication < 2 || s.minISR(t) >= 2 {
			continue // with one replica there is nobody who could take over without the record
		}
		path := "cluster.config.min.insync.replicas"
		if _, own := t.Config["min.insync.replicas"]; own {
			path = "topics[" + strconv.Itoa(i) + "].config.min.insync.replicas"
		}
		return &Reason{path, "min.insync.replicas=" + strconv.Itoa(s.minISR(t)), "acks=all is answered with the leader alone in the ISR of " + t.Name +
			", whose replicas are " + strconv.Itoa(t.Replication), "min.insync.replicas: 2 for the cluster or for " + t.Name}
	}
	return nil
}

// uncleanElection counts where a replica that was left behind can win against every one that has the record: with fewer
// than two in-sync replicas that is one death away, which fewInSync says already; with one replica it is impossible.
// With two or more it takes the death of all of them at once, which the promise rests on and says.
func uncleanElection(s *Scenario) *Reason {
	for _, t := range s.Topics {
		if s.unclean(t) && t.Replication > 1 && s.minISR(t) < 2 {
			return &Reason{"cluster.config.unclean.leader.election.enable", "unclean.leader.election.enable=true",
				"a replica that fell behind may lead " + t.Name + " and cut what it lacks from the others", "unclean.leader.election.enable: false, or min.insync.replicas: 2"}
		}
	}
	return nil
}

func (s *Scenario) unclean(t Topic) bool {
	return s.TopicConfig(t)["unclean.leader.election.enable"] == "true"
}

// forgetfulTopic: what compaction and retention take away is lost to a reader, by design.
func forgetfulTopic(s *Scenario) *Reason {
	for _, t := range s.Topics {
		config := s.TopicConfig(t)
		if strings.Contains(config["cleanup.policy"], "compact") {
			return &Reason{s.configPath(t, "cleanup.policy"), "cleanup.policy=" + config["cleanup.policy"], "compaction takes records out of " + t.Name + " that a later one with the same key replaces", "cleanup.policy: delete"}
		}
		length := s.Load.Warmup + s.Load.Duration + s.Load.Drain
		if v := config["retention.ms"]; v != "" && atoi(v) >= 0 && time.Duration(atoi(v))*time.Millisecond < length {
			return &Reason{s.configPath(t, "retention.ms"), "retention.ms=" + v, "records of " + t.Name + " may be deleted before the run has read them", fmt.Sprintf("retention.ms: %d or more", length.Milliseconds())}
		}
	}
	return nil
}

// configPath is where a topic's setting is written down.
func (s *Scenario) configPath(t Topic, name string) string {
	if _, own := t.Config[name]; own {
		for i := range s.Topics {
			if s.Topics[i].Name == t.Name {
				return "topics[" + strconv.Itoa(i) + "].config." + name
			}
		}
	}
	return "cluster.config." + name
}

func blindRetries(s *Scenario) *Reason {
	if s.idempotent() || !s.retries() {
		return nil
	}
	return &Reason{s.idempotencePath(), "enable.idempotence=false with retries=" + s.client("retries"),
		"a record that was stored, but whose answer was late or lost, is sent and stored again", "enable.idempotence: true (or retries: 0 for at-most-once)"}
}

// idempotencePath is the setting that decides about idempotence.
func (s *Scenario) idempotencePath() string {
	if _, ok := s.Client["enable.idempotence"]; !ok && s.client("acks") != "all" {
		return "client.acks"
	}
	return "client.enable.idempotence"
}

func overtaking(s *Scenario) *Reason {
	flight := s.client("max.in.flight.requests.per.connection")
	if s.idempotent() || !s.retries() || flight == "1" {
		return nil
	}
	return &Reason{"client.max.in.flight.requests.per.connection", "max.in.flight.requests.per.connection=" + flight + " without idempotence",
		"a batch that is sent again comes after the ones sent behind it", "enable.idempotence: true"}
}

func noIdempotence(s *Scenario) *Reason {
	if s.idempotent() || s.retries() { // with retries, the rule about them says it
		return nil
	}
	return &Reason{s.idempotencePath(), "enable.idempotence=false", "exactly-once is the promise of the idempotent producer, whose records the brokers number", "enable.idempotence: true"}
}

func resending(s *Scenario) *Reason {
	if s.Producers.AfterCrash != Resend {
		return nil
	}
	return &Reason{"producers.after-crash", "after-crash: resend", "a new session sends again what the old one may have stored; brokers tell duplicates within one session only", "after-crash: skip"}
}

func commitBefore(s *Scenario) *Reason {
	if s.Consumer == nil || s.Consumer.Commit != CommitBefore {
		return nil
	}
	return &Reason{"consumer.commit", "commit: before-processing", "a crash between commit and effect leaves the record unprocessed", "commit: after-processing"}
}

func commitAfter(s *Scenario) *Reason {
	if s.Consumer == nil || s.Consumer.Commit != CommitAfter {
		return nil
	}
	return &Reason{"consumer.commit", "commit: after-processing", "a crash between effect and commit processes the record twice",
		"commit: before-processing for at-most-once; commit: none where nothing is processed; a processor for exactly-once processing"}
}

func commitAuto(s *Scenario) *Reason {
	if s.Consumer == nil || s.Consumer.Commit != CommitAuto {
		return nil
	}
	return &Reason{"consumer.commit", "commit: auto", "offsets are committed by the clock, before or after the effect", "commit: after-processing, or before-processing"}
}

func lateReader(s *Scenario) *Reason {
	if c := s.Consumer; c != nil && c.Commit != CommitNone && c.Settings["auto.offset.reset"] != "earliest" {
		return lateReason("consumer", c.Settings)
	}
	if p := s.Processor; p != nil && p.Consumer["auto.offset.reset"] != "earliest" {
		return lateReason("processor.consumer", p.Consumer)
	}
	return nil
}

func lateReason(path string, of map[string]string) *Reason {
	return &Reason{path + ".auto.offset.reset", "auto.offset.reset=" + setting(of, settings.Consumer, "auto.offset.reset"),
		"records sent before the group's first commit may never be handed out", "auto.offset.reset: earliest"}
}

// dirtyReader: aborted records are only there where the load is sent in transactions or a processor writes in them.
func dirtyReader(s *Scenario) *Reason {
	outputs := s.Processor != nil && s.Processor.Transactional != ""
	if c := s.Consumer; c != nil && (outputs || s.Processor == nil && s.Load.Txn.Size > 0) &&
		setting(c.Settings, settings.Consumer, "isolation.level") != "read_committed" {
		return dirtyReason("consumer")
	}
	if p := s.Processor; p != nil && s.Load.Txn.Size > 0 && p.Consumer["isolation.level"] == "read_uncommitted" {
		return dirtyReason("processor.consumer")
	}
	return nil
}

func dirtyReason(path string) *Reason {
	return &Reason{path + ".isolation.level", "isolation.level=read_uncommitted", "records of aborted transactions are read", "isolation.level: read_committed"}
}

func noTransactions(s *Scenario) *Reason {
	if s.Load.Txn.Size > 0 || s.Processor != nil && s.Processor.Transactional != "" {
		return nil
	}
	return &Reason{"guarantee", "no transactions", "nothing is sent in a transaction", "add load: {transactions: {size: 10}}, or a processor with a transactional.id"}
}

func plainProcessor(s *Scenario) *Reason {
	if s.Processor == nil || s.Processor.Transactional != "" {
		return nil
	}
	return &Reason{"processor.transactional.id", "no transactional.id", "outputs and offsets are written apart: a crash between them writes the outputs twice", "transactional.id: " + s.Processor.Group + "-{instance}"}
}

// weakProcessor: a processor's outputs need what its producers need.
func weakProcessor(s *Scenario) *Reason {
	if s.Processor == nil || s.Processor.Transactional != "" {
		return nil
	}
	if acks := setting(s.Processor.Client, settings.Producer, "acks"); acks != "all" {
		return &Reason{"processor.client.acks", "the processor's acks=" + acks, "the offset is committed though the output may vanish", "acks: all"}
	}
	return nil
}

// noGeneration: with a transactional id of its own, only the group's generation tells brokers that a member was replaced.
func noGeneration(s *Scenario) *Reason {
	p := s.Processor
	if p == nil || p.Transactional == "" || p.Generation || p.Assignment == "manual" || p.Instances < 2 || !strings.Contains(p.Transactional, "{instance}") {
		return nil
	}
	return &Reason{"processor.generation", "generation: false", "a member that the group has replaced can still commit its transaction: nothing fences it", "generation: true, or one transactional.id for all"}
}

// everyoneReads: instances that read every partition are kept apart only by fencing each other.
func everyoneReads(s *Scenario) *Reason {
	p := s.Processor
	if p == nil || p.Transactional == "" || p.Assignment != "manual" || p.Instances < 2 || !strings.Contains(p.Transactional, "{instance}") {
		return nil
	}
	return &Reason{"processor.transactional.id", "transactional.id=" + p.Transactional + " with assignment: manual", "each instance reads every partition under an id of its own: nothing fences the one that was replaced",
		"one transactional.id for all, such as " + strings.Trim(strings.ReplaceAll(p.Transactional, "{instance}", ""), "-") + "; or assignment: group"}
}

// weakTransactionLog: the coordinator's own log decides about transactions.
func weakTransactionLog(s *Scenario) *Reason {
	for _, name := range []string{"transaction.state.log.min.isr", "transaction.state.log.replication.factor", "offsets.topic.replication.factor"} {
		if v, ok := s.Cluster.Config[name]; ok && atoi(v) < 2 && s.Cluster.Brokers > 1 {
			return &Reason{"cluster.config." + name, name + "=" + v, "the outcome of a transaction, or its offsets, can vanish with one broker", name + ": 2 or more"}
		}
	}
	return nil
}

// rests says what a promise that is given rests on, beyond the settings that give it.
func rests(s *Scenario, g Guarantee) []string {
	var on []string
	for _, t := range s.Topics {
		switch in := s.minISR(t); {
		case g == AtMostOnce:
		case t.Replication == 1:
			on = append(on, "the disk of the one broker that has "+t.Name)
		case s.unclean(t):
			on = append(on, fmt.Sprintf("one of the %d in-sync replicas of %s staying alive: unclean.leader.election.enable=true lets another one win", in, t.Name))
		}
	}
	if g == ExactlyOnce {
		on = append(on, "each producer's one session: a new one may repeat what the old one sent")
	}
	return on
}

// promised checks the guarantee that the scenario claims.
func (c *checker) promised() {
	s := c.s
	if s.Guarantee == Unjudged || s.Expect.Violated || c.broken("guarantee") || c.broken("expect") {
		return
	}
	for _, r := range PromiseOf(*s, s.Guarantee).Against {
		if c.broken(r.Path) {
			continue
		}
		at := c.locate("guarantee")
		if _, written := c.places[r.Path]; written {
			at = c.locate(r.Path)
		}
		c.problems = append(c.problems, at.problem(r.Path, r.Fix+"; or expect: violated", fmt.Sprintf("%s is more than the settings promise: %s: %s", s.Guarantee, r.Setting, r.Why)))
	}
}
