package check

import (
	"strings"
	"testing"
)

// The scope says what was exercised and what is not excluded, and nothing that was not the case.
func TestTheScopeSaysWhatWasTheCase(t *testing.T) {
	const (
		written   = "A history in JSON Lines"
		simulated = "The cluster is a simulation"
		sessions  = "across producer sessions only at-least-once holds"
		delayed   = "KAFKA-17754"
		epochs    = "issue 4953"
		calm      = "no faults"
		hidden    = "records stored and then aborted"
	)
	said := []string{written, simulated, sessions, delayed, epochs, calm, hidden, "of unknown version", "kill broker 1", "2 drawn of kill broker"}
	for _, c := range []struct {
		name  string
		spoil func(*recorded)
		want  []string
	}{
		{"a good run", func(*recorded) {}, []string{"kill broker 1"}},
		{"a simulation", func(r *recorded) { r.meta.Cluster.Simulated = true }, []string{"kill broker 1", simulated}},
		{"no known versions", func(r *recorded) { r.meta.Cluster.Version = "" }, []string{"kill broker 1", "of unknown version"}},
		{"no fault", func(r *recorded) { r.meta.Faults = nil }, []string{calm}},
		{"drawn faults", func(r *recorded) { r.again("broker 2", true) }, []string{"2 drawn of kill broker"}},
		{"exactly once", func(r *recorded) { r.meta.Guarantee = ExactlyOnce }, []string{"kill broker 1", sessions}},
		{"exactly once, one pass of no transactions", func(r *recorded) { r.meta.Guarantee = ExactlyOnceTransactions }, []string{"kill broker 1", sessions}},
		{"exactly once, with transactions", func(r *recorded) {
			r.meta.Guarantee, r.meta.Judged.Driver, r.meta.Judged.Transactions = ExactlyOnceTransactions, "franz", true
		}, []string{"kill broker 1"}},
		{"librdkafka, with transactions", func(r *recorded) { r.meta.Judged.Driver, r.meta.Judged.Transactions = "confluent", true }, []string{"kill broker 1", delayed}},
		{"librdkafka, idempotent", func(r *recorded) { r.meta.Judged.Driver, r.meta.Judged.Idempotent = "confluent", true }, []string{"kill broker 1", epochs}},
		{"franz-go, idempotent, with transactions", func(r *recorded) {
			r.meta.Judged.Driver, r.meta.Judged.Idempotent, r.meta.Judged.Transactions = "franz", true, true
		}, []string{"kill broker 1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := goodRun()
			c.spoil(r)
			scopeSays(t, r.judge(t).Scope, said, c.want)
		})
	}
	const unread, read = "Without a final read", "With a final read."
	sent := send("ok", "a", 0)
	scopeSays(t, judgeText(t, sent, poll("0a")).Scope, append(said, unread, read), []string{written, unread})
	scopeSays(t, judgeText(t, sent, final(0, 1, "0a")).Scope, append(said, unread, read), []string{written, read})
}

// scopeSays checks which of some phrases a scope has.
func scopeSays(t *testing.T, scope string, phrases, want []string) {
	t.Helper()
	for _, phrase := range phrases {
		wanted := false
		for _, w := range want {
			wanted = wanted || w == phrase
		}
		if strings.Contains(scope, phrase) != wanted {
			t.Errorf("%q in %q", phrase, scope)
		}
	}
}
