package scenarios

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kbench/kbench/internal/settings"
)

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
		return &Reason{
			Path:    "client.acks",
			Setting: "acks=0",
			Why:     "a record counts as acknowledged when it is sent; nobody needs to have received it",
			Fix:     "acks: all",
		}
	case "1":
		return &Reason{
			Path:    "client.acks",
			Setting: "acks=1",
			Why:     "a record counts as acknowledged before any follower has it, and vanishes with its leader",
			Fix:     "acks: all",
		}
	}
	return nil
}

func fewInSync(s *Scenario) *Reason {
	for _, t := range s.Topics {
		if t.Replication < 2 || s.minISR(t) >= 2 {
			continue // with one replica there is nobody who could take over without the record
		}
		return &Reason{
			Path:    s.configPath(t, "min.insync.replicas"),
			Setting: "min.insync.replicas=" + strconv.Itoa(s.minISR(t)),
			Why:     "acks=all is answered with the leader alone in the ISR of " + t.Name + ", whose replicas are " + strconv.Itoa(t.Replication),
			Fix:     "min.insync.replicas: 2 for the cluster or for " + t.Name,
		}
	}
	return nil
}

// uncleanElection counts where a replica that was left behind can win against every one that has the record: with fewer
// than two in-sync replicas that is one death away, which fewInSync says already; with one replica it is impossible.
// With two or more it takes the death of all of them at once, which the promise rests on and says.
func uncleanElection(s *Scenario) *Reason {
	for _, t := range s.Topics {
		if s.unclean(t) && t.Replication > 1 && s.minISR(t) < 2 {
			return &Reason{
				Path:    s.configPath(t, "unclean.leader.election.enable"),
				Setting: "unclean.leader.election.enable=true",
				Why:     "a replica that fell behind may lead " + t.Name + " and cut what it lacks from the others",
				Fix:     "unclean.leader.election.enable: false, or min.insync.replicas: 2",
			}
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
		if strings.Contains(config["cleanup.policy"], "compact") && s.needsEachRecord(t) {
			return &Reason{
				Path:    s.configPath(t, "cleanup.policy"),
				Setting: "cleanup.policy=" + config["cleanup.policy"],
				Why:     "compaction takes records out of " + t.Name + " that a later one with the same key replaces",
				Fix:     "cleanup.policy: delete",
			}
		}
		length := s.Load.Warmup + s.Load.Duration + s.Load.Drain
		if v := config["retention.ms"]; v != "" && atoi(v) >= 0 && time.Duration(atoi(v))*time.Millisecond < length {
			return &Reason{
				Path:    s.configPath(t, "retention.ms"),
				Setting: "retention.ms=" + v,
				Why:     "records of " + t.Name + " may be deleted before the run has read them",
				Fix:     fmt.Sprintf("retention.ms: %d or more", length.Milliseconds()),
			}
		}
	}
	return nil
}

// needsEachRecord tells whether a compacted topic cannot keep what is promised of it. What producers send it can: of each key the newest
// record stays, and the judge takes none for lost that a later one replaces. A processor owes each input an output, and transactions all
// of their records.
func (s *Scenario) needsEachRecord(t Topic) bool {
	p := s.Processor
	return s.Load.Txn.Size > 0 || p != nil && (t.Name == p.From || t.Name == p.To)
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
	return &Reason{
		Path:    s.idempotencePath(),
		Setting: "enable.idempotence=false with retries=" + s.client("retries"),
		Why:     "a record that was stored, but whose answer was late or lost, is sent and stored again",
		Fix:     "enable.idempotence: true (or retries: 0 for at-most-once)",
	}
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
	return &Reason{
		Path:    "client.max.in.flight.requests.per.connection",
		Setting: "max.in.flight.requests.per.connection=" + flight + " without idempotence",
		Why:     "a batch that is sent again comes after the ones sent behind it",
		Fix:     "enable.idempotence: true",
	}
}

func noIdempotence(s *Scenario) *Reason {
	if s.idempotent() || s.retries() { // with retries, the rule about them says it
		return nil
	}
	return &Reason{
		Path:    s.idempotencePath(),
		Setting: "enable.idempotence=false",
		Why:     "exactly-once is the promise of the idempotent producer, whose records the brokers number",
		Fix:     "enable.idempotence: true",
	}
}

func resending(s *Scenario) *Reason {
	if s.Producers.AfterCrash != Resend {
		return nil
	}
	return &Reason{
		Path:    "producers.after-crash",
		Setting: "after-crash: resend",
		Why:     "a new session sends again what the old one may have stored; brokers tell duplicates within one session only",
		Fix:     "after-crash: skip",
	}
}

// commits is where the first group stands that commits so.
func (s *Scenario) commits(when Commit) (path string, found bool) {
	i := slices.IndexFunc(s.Consumers, func(c Consumer) bool { return c.Commit == when })
	return s.consumerPath(i) + ".commit", i >= 0
}

func commitBefore(s *Scenario) *Reason {
	path, found := s.commits(CommitBefore)
	if !found {
		return nil
	}
	return &Reason{
		Path:    path,
		Setting: "commit: before-processing",
		Why:     "a crash between commit and effect leaves the record unprocessed",
		Fix:     "commit: after-processing",
	}
}

func commitAfter(s *Scenario) *Reason {
	path, found := s.commits(CommitAfter)
	if !found {
		return nil
	}
	return &Reason{
		Path:    path,
		Setting: "commit: after-processing",
		Why:     "a crash between effect and commit processes the record twice",
		Fix:     "commit: before-processing for at-most-once; commit: none where nothing is processed; a processor for exactly-once processing",
	}
}

func commitAuto(s *Scenario) *Reason {
	path, found := s.commits(CommitAuto)
	if !found {
		return nil
	}
	return &Reason{
		Path:    path,
		Setting: "commit: auto",
		Why:     "offsets are committed by the clock, before or after the effect",
		Fix:     "commit: after-processing, or before-processing",
	}
}

func lateReader(s *Scenario) *Reason {
	for i, c := range s.Consumers {
		if c.Commit != CommitNone && c.Settings["auto.offset.reset"] != "earliest" {
			return lateReason(s.consumerPath(i), c.Settings)
		}
	}
	if p := s.Processor; p != nil && p.Consumer["auto.offset.reset"] != "earliest" {
		return lateReason("processor.consumer", p.Consumer)
	}
	return nil
}

func lateReason(path string, of map[string]string) *Reason {
	return &Reason{
		Path:    path + ".auto.offset.reset",
		Setting: "auto.offset.reset=" + setting(of, settings.Consumer, "auto.offset.reset"),
		Why:     "records sent before the group's first commit may never be handed out",
		Fix:     "auto.offset.reset: earliest",
	}
}

// dirtyReader: aborted records are only there where the load is sent in transactions or a processor writes in them.
func dirtyReader(s *Scenario) *Reason {
	outputs := s.Processor != nil && s.Processor.Transactional != ""
	for i, c := range s.Consumers {
		if (outputs || s.Processor == nil && s.Load.Txn.Size > 0) && setting(c.Settings, settings.Consumer, "isolation.level") != "read_committed" {
			return dirtyReason(s.consumerPath(i))
		}
	}
	if p := s.Processor; p != nil && s.Load.Txn.Size > 0 && p.Consumer["isolation.level"] == "read_uncommitted" {
		return dirtyReason("processor.consumer")
	}
	return nil
}

func dirtyReason(path string) *Reason {
	return &Reason{
		Path:    path + ".isolation.level",
		Setting: "isolation.level=read_uncommitted",
		Why:     "records of aborted transactions are read",
		Fix:     "isolation.level: read_committed",
	}
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
	return &Reason{
		Path:    "processor.transactional.id",
		Setting: "no transactional.id",
		Why:     "outputs and offsets are written apart: a crash between them writes the outputs twice",
		Fix:     "transactional.id: " + s.Processor.Group + "-{instance}",
	}
}

// weakProcessor: a processor's outputs need what its producers need.
func weakProcessor(s *Scenario) *Reason {
	if s.Processor == nil || s.Processor.Transactional != "" {
		return nil
	}
	if acks := setting(s.Processor.Client, settings.Producer, "acks"); acks != "all" {
		return &Reason{
			Path:    "processor.client.acks",
			Setting: "the processor's acks=" + acks,
			Why:     "the offset is committed though the output may vanish",
			Fix:     "acks: all",
		}
	}
	return nil
}

// noGeneration: with a transactional id of its own, only the group's generation tells brokers that a member was replaced.
func noGeneration(s *Scenario) *Reason {
	p := s.Processor
	if p == nil || p.Transactional == "" || p.Generation || p.Assignment == "manual" || p.Instances < 2 || !strings.Contains(p.Transactional, "{instance}") {
		return nil
	}
	return &Reason{
		Path:    "processor.generation",
		Setting: "generation: false",
		Why:     "a member that the group has replaced can still commit its transaction: nothing fences it",
		Fix:     "generation: true, or one transactional.id for all",
	}
}

// everyoneReads: instances that read every partition are kept apart only by fencing each other.
func everyoneReads(s *Scenario) *Reason {
	p := s.Processor
	if p == nil || p.Transactional == "" || p.Assignment != "manual" || p.Instances < 2 || !strings.Contains(p.Transactional, "{instance}") {
		return nil
	}
	return &Reason{
		Path:    "processor.transactional.id",
		Setting: "transactional.id=" + p.Transactional + " with assignment: manual",
		Why:     "each instance reads every partition under an id of its own: nothing fences the one that was replaced",
		Fix:     "one transactional.id for all, such as " + strings.Trim(strings.ReplaceAll(p.Transactional, "{instance}", ""), "-") + "; or assignment: group",
	}
}

// weakTransactionLog: the coordinator's own log decides about transactions.
func weakTransactionLog(s *Scenario) *Reason {
	for _, name := range []string{"transaction.state.log.min.isr", "transaction.state.log.replication.factor", "offsets.topic.replication.factor"} {
		if v, ok := s.Cluster.Config[name]; ok && atoi(v) < 2 && s.Cluster.Brokers > 1 {
			return &Reason{
				Path:    "cluster.config." + name,
				Setting: name + "=" + v,
				Why:     "the outcome of a transaction, or its offsets, can vanish with one broker",
				Fix:     name + ": 2 or more",
			}
		}
	}
	return nil
}
