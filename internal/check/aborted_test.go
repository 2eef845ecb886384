package check

import (
	"slices"
	"testing"

	log "github.com/kbench/kbench/internal/history"
)

// A run with transactions reads to its end what is committed, and where a transaction holds a partition, what else is there.
func TestAbortedRecordsAreWhereTheyBelong(t *testing.T) {
	aborted := log.Value{Producer: 0, Session: 1, Seq: sends}
	end := func(r *recorded, isolation log.Isolation) {
		ops := *r.of("final")
		final := op(log.FinalRead)
		final.Pass, final.Isolation, final.Reached, final.Call, final.Return = 1, isolation, sends+2, 4200*ms, 4200*ms
		final.Records = []log.Record{{Offset: sends, Value: aborted}}
		ops[0].Offsets = []log.PartitionOffset{{Partition: 0, Offset: sends + 2}}
		r.set("final", append(ops, final))
	}
	for _, c := range []struct {
		name         string
		transactions bool
		read         func(*recorded)
		found        bool
	}{
		{"behind what is held, in a run of transactions", true, func(r *recorded) { end(r, log.ReadUncommitted) }, false},
		{"behind what is held, in a run of none", false, func(r *recorded) { end(r, log.ReadUncommitted) }, true},
		{"among what is committed", true, func(r *recorded) { end(r, log.ReadCommitted) }, true},
		{"in a poll of all records", true, func(r *recorded) {
			poll := op(log.Poll)
			poll.Group, poll.Isolation, poll.Call, poll.Return = "readers", log.ReadUncommitted, 4200*ms, 4200*ms
			poll.Records = []log.Record{{Offset: sends, Value: aborted}}
			r.add("c0", poll)
			r.meta.Workers[1].Counters["read"]++
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := goodRun()
			r.meta.Judged.Transactions = c.transactions
			s, closing := op(log.Send), op(log.Txn)
			s.Txn, s.Value, s.Offset, s.Attempt, s.Call, s.Return = 9, aborted, sends, 1, 3020*ms, 3030*ms
			closing.Txn, closing.Outcome, closing.Call, closing.Return = 9, log.Failed, 3020*ms, 3040*ms
			r.add("p0", s)
			r.add("p0", closing)
			r.meta.Workers[0].Counters["sent"]++
			c.read(r)
			found := slices.ContainsFunc(r.judge(t).Findings, func(f Finding) bool { return f.Anomaly == abortedRead })
			if found != c.found {
				t.Errorf("found %v, want %v", found, c.found)
			}
		})
	}
}
