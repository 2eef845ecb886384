package bench_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/kbench/kbench/internal/check"
	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
)

const onePartition = `
topics: [{name: orders, partitions: 1, replication: 3}]
load: {record: {size: 200}, drain: 20s}
`

// sessions of a worker, in order.
func (o outcome) sessions(name string) []rundir.Worker {
	var list []rundir.Worker
	for _, w := range o.meta.Workers {
		if w.Name == name {
			list = append(list, w)
		}
	}
	return list
}

// fault that bit, by what it was asked to hurt.
func (o outcome) fault(t *testing.T, name, asked string) rundir.Fault {
	t.Helper()
	for _, f := range o.meta.Faults {
		if f.Name == name && f.Asked == asked {
			if !f.Bit || len(f.Evidence) == 0 || f.Error != "" {
				t.Errorf("%s %s did not bite: %+v", name, asked, f)
			}
			return f
		}
	}
	t.Fatalf("no fault %s %s in %+v", name, asked, o.meta.Faults)
	return rundir.Fault{}
}

// TestAKilledConsumerIsReplaced kills one with records in hand, and a new session handles them.
func TestAKilledConsumerIsReplaced(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		o := newTrial(t, driver, onePartition+`
guarantee: at-least-once
client: {acks: all, enable.idempotence: true}
consumer: {group: readers, commit: after-processing, session.timeout.ms: 1s, heartbeat.interval.ms: 200ms}
steps:
  - {hold: consumer(0), at: polled}
  - {send: 50}
  - {flush: true}
  - {await: held(consumer(0)), within: 20s}
  - {kill: consumer(0)}
  - {start: consumer(0)}
  - {send: 10}
  - {flush: true}
  - {await: 'committed(readers, orders/0) >= 60', within: 20s}
`).complete(t)
		o.want(t, check.Holds)
		o.fault(t, "kill", "consumer(0)")
		two := o.sessions("c0")
		if len(two) != 2 || !two[0].Killed || !two[0].Process || two[1].Killed || two[1].Error != "" {
			t.Errorf("the sessions of c0: %+v", two)
		}
		if two[0].Counters["processed"] != 0 || two[1].Counters["processed"] != 60 {
			t.Errorf("the first session handled %d, the second %d of 60", two[0].Counters["processed"], two[1].Counters["processed"])
		}
	})
}

// TestAConsumerHeldBetweenEffectAndCommitRepeatsTheEffect is the promise's twin at the other point.
func TestAConsumerHeldBetweenEffectAndCommitRepeatsTheEffect(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		o := newTrial(t, driver, onePartition+`
guarantee: at-most-once
expect: {violated: [reprocessed]}
client: {acks: all}
consumer: {group: readers, commit: after-processing, session.timeout.ms: 1s, heartbeat.interval.ms: 200ms}
steps:
  - {hold: consumer(0), at: handled}
  - {send: 20}
  - {flush: true}
  - {await: held(consumer(0)), within: 20s}
  - {kill: consumer(0)}
  - {start: consumer(0)}
`).complete(t)
		o.want(t, check.Violated)
		if n := o.found("reprocessed"); n == 0 || !o.verdict.AsExpected {
			t.Errorf("%d reprocessed: %q", n, o.verdict.Reasons)
		}
	})
}

func TestAPausedConsumerGoesOn(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		o := newTrial(t, driver, onePartition+`
client: {acks: all}
consumer: {group: readers, commit: after-processing}
steps:
  - {send: 20}
  - {flush: true}
  - {await: 'committed(readers, orders/0) >= 20', within: 20s}
  - {pause: consumer(0)}
  - {send: 20}
  - {flush: true}
  - {check: 'committed(readers, orders/0) < 40'}
  - {resume: paused}
  - {await: 'committed(readers, orders/0) >= 40', within: 20s}
`).complete(t)
		o.want(t, check.Unjudged)
		if f := o.fault(t, "pause", "consumer(0)"); f.Healed == nil || *f.Healed < f.At {
			t.Errorf("%+v", f)
		}
	})
}

// TestWhatAKilledProducerHadInItsBuffer is known from its journal: it is sent again, or not, as the scenario says.
func TestWhatAKilledProducerHadInItsBuffer(t *testing.T) {
	for _, c := range []struct {
		afterCrash string
		resent     int
	}{{"skip", 0}, {"resend", 20}} {
		t.Run(c.afterCrash, func(t *testing.T) {
			eachDriver(t, func(t *testing.T, driver string) {
				o := newTrial(t, driver, onePartition+`
guarantee: at-least-once
client: {acks: all, linger.ms: 60s, delivery.timeout.ms: 120s}
producers: {after-crash: `+c.afterCrash+`}
steps:
  - {send: 30}
  - {flush: true}
  - {wait: 300ms}           # librdkafka's broker thread may not have seen yet that the flush is over
  - {send: 20}              # they linger in the client's buffer
  - {kill: producer(0)}
  - {start: producer(0)}
  - {send: 10}
  - {flush: true}
`).complete(t)
				again := count(t, o.dir, func(op *history.Op) bool {
					return op.Kind == history.Send && op.Attempt == 2 && op.Value.Session == 1 && op.Outcome == history.OK
				})
				if again != c.resent || o.meta.Counters["resent"] != uint64(c.resent) {
					t.Errorf("%d sent again (%d counted), not %d", again, o.meta.Counters["resent"], c.resent)
				}
				n := o.verdict.Counts
				if n.Sent != 60 || n.Acked != uint64(40+c.resent) || n.Indeterminate != uint64(20-c.resent) || n.Read != n.Acked || n.Lost+n.Duplicated != 0 {
					t.Errorf("%+v", n)
				}
				if o.verdict.Verdict == check.Violated {
					t.Errorf("it is violated: %q", o.verdict.Reasons)
				}
			})
		})
	}
}

// TestAFencedSessionIsNoFailure: it did what it should, and the run that shows it is whole.
func TestAFencedSessionIsNoFailure(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		o := newTrial(t, driver, `
guarantee: exactly-once-transactions
topics: [{name: orders, partitions: 1, replication: 3}, {name: bills, partitions: 1, replication: 3}]
load: {record: {size: 200}, drain: 20s}
client: {acks: all, enable.idempotence: true}
processor:
  {from: orders, to: bills, group: billing, instances: 2, start: [0], assignment: manual, generation: false, transactional.id: bills}
steps:
  - {hold: processor(0), at: before-offsets}
  - {send: 20}
  - {flush: true}
  - {await: held(processor(0)), within: 20s}
  - {pause: processor(0), as: zombie}
  - {start: processor(1)}
  - {await: processed(processor(1)) >= 20, within: 20s}
  - {resume: zombie}
  - {release: processor(0)}
  - {send: 10}
  - {flush: true}
  - {await: processed(processor(1)) >= 30, within: 20s}
`).complete(t)
		o.want(t, check.Holds)
		zombie := o.sessions("w0")
		if len(zombie) != 1 || !strings.HasPrefix(zombie[0].Error, "fenced") || zombie[0].Killed {
			t.Errorf("w0 is %+v", zombie)
		}
		if heir := o.sessions("w1"); len(heir) != 1 || heir[0].Error != "" || heir[0].Counters["processed"] != 30 {
			t.Errorf("w1 is %+v", heir)
		}
	})
}

// TestASimulatedKillOfALeaderIsCalledSo: on the embedded cluster a broker is cut off, and the run says that this was all.
func TestASimulatedKillOfALeaderIsCalledSo(t *testing.T) {
	t.Parallel()
	r := newTrial(t, "franz", `
guarantee: at-least-once
topics: [{name: orders, partitions: 3, replication: 3}]
load: {rate: 300/s, duration: 1500ms, record: {size: 200}, drain: 20s}
client: {acks: all, enable.idempotence: true}
faults: [{at: 300ms, kill: leader(orders/0), for: 500ms}]
`)
	o := r.complete(t)
	o.want(t, check.Holds)
	f := o.fault(t, "kill", "leader(orders/0)")
	if !slices.ContainsFunc(f.Evidence, func(line string) bool { return strings.Contains(line, "leader of orders/0 moved") }) {
		t.Errorf("the evidence is %q", f.Evidence)
	}
	if err := r.cluster.Healthy(t.Context()); err != nil || f.Healed == nil {
		t.Errorf("it was not healed: %v", err)
	}
}

// TestAStepThatDoesNotComeTrueIsNoVerdict: the sequence is cut off there, and what is left proves nothing.
func TestAStepThatDoesNotComeTrueIsNoVerdict(t *testing.T) {
	t.Parallel()
	r := newTrial(t, "franz", onePartition+`
guarantee: at-least-once
client: {acks: all, enable.idempotence: true}
steps:
  - {send: 10}
  - {flush: true}
  - {await: end(orders/0) >= 1000, within: 200ms}
  - {send: 1}
`)
	meta, err := runOf(t, r)
	if err != nil || meta.Stage != rundir.Complete {
		t.Fatalf("stage %q: %v", meta.Stage, err)
	}
	if !slices.ContainsFunc(meta.FinalRead.Problems, func(p string) bool { return strings.Contains(p, "step 3") }) {
		t.Errorf("the problems are %q", meta.FinalRead.Problems)
	}
	if j := judged(t, r.Dir); j.Verdict != check.Inconclusive || j.Counts.Sent != 10 {
		t.Errorf("%v of %+v", j.Verdict, j.Counts)
	}
}
