package scenarios

import (
	"slices"
	"strings"
	"testing"
)

// Scenarios that promise as much as they can; each case below takes one thing away.
const (
	produces = `
name: produces
cluster: {config: {min.insync.replicas: 2}}
load: {rate: 100/s, duration: 5s}
client: {acks: all, enable.idempotence: true}
`
	reads = produces + `
consumer: {group: readers, commit: none}
`
	transacts = `
name: transacts
cluster: {config: {min.insync.replicas: 2}}
load: {rate: 100/s, duration: 5s, transactions: {size: 10, abort: 0.1}}
client: {acks: all}
consumer: {group: readers, commit: none, isolation.level: read_committed}
`
	processes = `
name: processes
cluster: {config: {min.insync.replicas: 2}}
load: {rate: 100/s, duration: 5s}
processor: {from: orders, to: bills, group: billing, instances: 2, transactional.id: 'bills-{instance}'}
`
)

func all(g ...Guarantee) []Guarantee { return g }

func TestPromises(t *testing.T) {
	losing := all(AtLeastOnce, ExactlyOnce)
	repeating := all(AtMostOnce, ExactlyOnce)
	kept, broken := map[string]bool{}, map[string]bool{}
	for _, c := range []struct {
		name, base string
		set        []string
		taken      []Guarantee // of those that the base promises
		because    string      // path of the reason
	}{
		{"acks=1", produces, []string{"client.acks=1", "client.enable.idempotence=false", "client.retries=0"}, losing, "client.acks"},
		{"acks=0", produces, []string{"client.acks=0", "client.enable.idempotence=false", "client.retries=0"}, losing, "client.acks"},
		{"acks=1 without a word about idempotence", produces, []string{"client={acks: 1}"}, all(AtMostOnce, AtLeastOnce, ExactlyOnce), "client.acks"},
		{"min.insync.replicas=1", produces, []string{"cluster.config.min.insync.replicas=1"}, losing, "cluster.config.min.insync.replicas"},
		{"min.insync.replicas=1 of one topic", produces, []string{"topics=[{name: orders, config: {min.insync.replicas: 1}}]"}, losing, "topics[0].config.min.insync.replicas"},
		{"min.insync.replicas not set", produces, []string{"cluster.config={}"}, losing, "cluster.config.min.insync.replicas"},
		{"one replica has nobody to take over", produces, []string{"cluster.config={}", "topics=[{name: orders, replication: 1}]"}, nil, ""},
		{"unclean election with one in-sync replica", produces, []string{"cluster.config.min.insync.replicas=1", "cluster.config.unclean.leader.election.enable=true"}, losing, "cluster.config.unclean.leader.election.enable"},
		{"unclean election with two in-sync replicas", produces, []string{"cluster.config.unclean.leader.election.enable=true"}, nil, ""},
		{"compaction, which keeps the newest of each key", produces, []string{"topics=[{name: orders, config: {cleanup.policy: 'compact,delete'}}]"}, nil, ""},
		{"compaction of a processor's topic", processes, []string{"topics=[{name: orders}, {name: bills, config: {cleanup.policy: compact}}]"}, all(AtLeastOnce, ExactlyOnce, ExactlyOnceTransactions), "topics[1].config.cleanup.policy"},
		{"retention shorter than the run", produces, []string{"topics=[{name: orders, config: {retention.ms: 10s}}]"}, losing, "topics[0].config.retention.ms"},
		{"retention without end", produces, []string{"topics=[{name: orders, config: {retention.ms: -1}}]"}, nil, ""},
		{"retries without idempotence", produces, []string{"client.enable.idempotence=false"}, repeating, "client.enable.idempotence"},
		{"order without idempotence", produces, []string{"client.enable.idempotence=false"}, repeating, "client.max.in.flight.requests.per.connection"},
		{"no retries, no idempotence", produces, []string{"client.enable.idempotence=false", "client.retries=0"}, all(ExactlyOnce), "client.enable.idempotence"},
		{"a new session that sends again", produces, []string{"producers.after-crash=resend"}, repeating, "producers.after-crash"},
		{"commit before processing", reads, []string{"consumer.commit=before-processing"}, losing, "consumer.commit"},
		{"commit after processing", reads, []string{"consumer.commit=after-processing"}, repeating, "consumer.commit"},
		{"automatic commit", reads, []string{"consumer.commit=auto"}, all(AtMostOnce, AtLeastOnce, ExactlyOnce), "consumer.commit"},
		{"a group that begins at the end", reads, []string{"consumer.commit=after-processing", "consumer.auto.offset.reset=latest"}, all(AtMostOnce, AtLeastOnce, ExactlyOnce), "consumer.auto.offset.reset"},
		{"a reader that only looks may begin at the end", reads, []string{"consumer.auto.offset.reset=latest"}, nil, ""},
		{"no transactions", transacts, []string{"load.transactions.size=0", "load.transactions.abort=0"}, all(ExactlyOnceTransactions), "guarantee"},
		{"aborted records are read", transacts, []string{"consumer.isolation.level=read_uncommitted"}, all(AtMostOnce, ExactlyOnce, ExactlyOnceTransactions), "consumer.isolation.level"},
		{"aborted records are read by default", transacts, []string{"consumer={group: readers, commit: none}"}, all(AtMostOnce, ExactlyOnce, ExactlyOnceTransactions), "consumer.isolation.level"},
		{"aborted inputs are processed", transacts, []string{"consumer={group: readers, commit: none, isolation.level: read_committed}",
			"processor={from: orders, to: bills, transactional.id: b, consumer: {isolation.level: read_uncommitted}}"}, all(AtMostOnce, ExactlyOnce, ExactlyOnceTransactions), "processor.consumer.isolation.level"},
		{"nothing is aborted, so nothing aborted is read", reads, []string{"consumer.isolation.level=read_uncommitted"}, nil, ""},
		{"a processor without transactions", processes, []string{"processor={from: orders, to: bills}"}, all(AtMostOnce, ExactlyOnce, ExactlyOnceTransactions), "processor.transactional.id"},
		{"a plain processor with acks=1", processes, []string{"processor={from: orders, to: bills, client: {acks: 1}}"}, all(AtMostOnce, AtLeastOnce, ExactlyOnce, ExactlyOnceTransactions), "processor.client.acks"},
		{"a processor that begins at the end", processes, []string{"processor.consumer.auto.offset.reset=latest"}, all(AtLeastOnce, ExactlyOnce, ExactlyOnceTransactions), "processor.consumer.auto.offset.reset"},
		{"no generation", processes, []string{"processor.generation=false"}, all(ExactlyOnceTransactions), "processor.generation"},
		{"no generation, but one id for all", processes, []string{"processor.generation=false", "processor.transactional.id=bills", "processor.start=[0]"}, nil, ""},
		{"no generation, but one instance", processes, []string{"processor.generation=false", "processor.instances=1"}, nil, ""},
		{"everyone reads everything under an own id", processes, []string{"processor.assignment=manual"}, all(ExactlyOnceTransactions), "processor.transactional.id"},
		{"everyone reads everything under one id", processes, []string{"processor.assignment=manual", "processor.transactional.id=bills", "processor.start=[0]"}, nil, ""},
		{"a transaction log on one broker", processes, []string{"cluster.config.transaction.state.log.replication.factor=1"}, all(ExactlyOnceTransactions), "cluster.config.transaction.state.log.replication.factor"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := parsed(t, c.base)
			after := parsed(t, c.base, c.set...)
			for _, r := range rules() {
				kept[r.name] = kept[r.name] || r.broken(&before) == nil
				broken[r.name] = broken[r.name] || r.broken(&after) != nil
			}
			var reasons []string
			for _, p := range Promises(after) {
				was, want := PromiseOf(before, p.Guarantee).Given(), !slices.Contains(c.taken, p.Guarantee)
				if was && p.Given() != want {
					t.Errorf("%s: promised %v, want %v: %v", p.Guarantee, p.Given(), want, p.Against)
				}
				if p.Given() && len(p.Against) > 0 || !p.Given() && len(p.Rests) > 0 {
					t.Errorf("%s says both: %+v", p.Guarantee, p)
				}
				for _, r := range p.Against {
					if r.Setting == "" || r.Why == "" || r.Fix == "" {
						t.Errorf("a reason says less than setting, why and fix: %+v", r)
					}
					reasons = append(reasons, r.Path)
				}
			}
			if c.because != "" && !slices.Contains(reasons, c.because) {
				t.Errorf("reasons at %v, want one at %s", reasons, c.because)
			}
		})
	}
	for _, r := range rules() {
		if !kept[r.name] || !broken[r.name] {
			t.Errorf("rule %q: shown kept %v, shown broken %v", r.name, kept[r.name], broken[r.name])
		}
	}
}

// parsed is a scenario that claims nothing, with fields set.
func parsed(t *testing.T, src string, set ...string) Scenario {
	t.Helper()
	var changes []Change
	for _, assignment := range set {
		c, err := Set(assignment)
		if err != nil {
			t.Fatal(err)
		}
		changes = append(changes, c)
	}
	s, err := Parse("test.yaml", []byte(src), changes...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAPromiseSaysWhatItRestsOn(t *testing.T) {
	p := PromiseOf(parsed(t, produces, "cluster.config.unclean.leader.election.enable=true"), AtLeastOnce)
	if !p.Given() || !strings.Contains(strings.Join(p.Rests, "\n"), "unclean.leader.election.enable=true") {
		t.Errorf("%+v", p)
	}
}

func TestAClaimBeyondTheSettingsMustExpectAViolation(t *testing.T) {
	weak := strings.Replace(produces, "acks: all, enable.idempotence: true", "acks: 1", 1)
	_, err := Parse("weak.yaml", []byte(weak+"guarantee: at-least-once\n"))
	if err == nil || !strings.Contains(err.Error(), "acks=1") || !strings.Contains(err.Error(), "acks: all; or expect: violated") {
		t.Errorf("claims too much, answers %v", err)
	}
	if _, err := Parse("weak.yaml", []byte(weak+"guarantee: at-least-once\nexpect: violated\n")); err != nil {
		t.Errorf("expects the violation, answers %v", err)
	}
	if _, err := Parse("weak.yaml", []byte(weak)); err != nil {
		t.Errorf("claims nothing, answers %v", err)
	}
}
