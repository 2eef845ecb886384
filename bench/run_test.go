package bench_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/kbench/kbench/bench"
	"github.com/kbench/kbench/internal/check"
	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/cluster/embedded"
	"github.com/kbench/kbench/internal/driver/confluent"
	"github.com/kbench/kbench/internal/driver/franz"
	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
	"github.com/kbench/kbench/internal/worker"
	"github.com/kbench/kbench/scenarios"
)

// TestMain lets the test binary be a session of a run, and a whole run whose files may not grow.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "worker":
			if err := worker.Serve(context.Background(), bench.Sessions(drivers()), os.Stdin, os.Stdout); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		case "full-disk":
			runWithFullDisk(os.Args[2], os.Args[3])
		}
	}
	os.Exit(m.Run())
}

func drivers() map[string]client.Driver {
	return map[string]client.Driver{"confluent": confluent.New(nil), "franz": franz.New(nil)}
}

// judgesReader reads for the judge, as kbench's own does.
type judgesReader struct{ bootstrap []string }

func (judgesReader) Name() string    { return "franz" }
func (judgesReader) Version() string { return franz.Version() }
func (r judgesReader) ReadPartition(ctx context.Context, topic string, partition int32, start, end int64, isolation client.Isolation,
	got func([]client.Fetched) error) (int64, error) {
	return franz.ReadPartition(ctx, r.bootstrap, nil, client.Partition{Topic: topic, Partition: partition}, start, end, isolation, got)
}

// trial is a run on its way: a scenario on a cluster of its own inside the test.
type trial struct {
	bench.Config
	cluster *embedded.Cluster
	mu      sync.Mutex
	notes   []string
}

// head is what every scenario here begins with.
const head = `name: trial
about: a test
cluster: {config: {min.insync.replicas: 2, group.min.session.timeout.ms: 100}}
`

// prepared makes everything that a run needs.
func prepared(driver, dir, source string) (*trial, func(), error) {
	src := []byte(head + source)
	s, err := scenarios.Parse("trial.yaml", src)
	if err != nil {
		return nil, nil, err
	}
	c, err := embedded.Start(embedded.Options{Brokers: s.Cluster.Brokers, Config: s.NodeConfig()})
	if err != nil {
		return nil, nil, err
	}
	admin, err := franz.NewAdmin(c.Bootstrap(), nil)
	if err != nil {
		return nil, nil, errors.Join(err, c.Close())
	}
	t := &trial{cluster: c}
	t.Config = bench.Config{
		Scenario: s, Source: src, Repeat: 1, Seed: 7, Dir: dir, Cluster: c, Why: "it is a test", Admin: admin, Reader: judgesReader{c.Bootstrap()},
		Driver: driver, Drivers: drivers(), Worker: []string{os.Args[0], "worker"}, Version: "test", Progress: t.progress,
	}
	return t, func() { admin.Close(); c.Close() }, nil
}

func (r *trial) progress(p bench.Progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.Note != "" {
		r.notes = append(r.notes, p.Note)
	}
}

func newTrial(t *testing.T, driver, source string) *trial {
	t.Helper()
	r, done, err := prepared(driver, filepath.Join(t.TempDir(), "run"), source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(done)
	return r
}

// eachDriver runs a test with both client libraries, side by side.
func eachDriver(t *testing.T, test func(t *testing.T, driver string)) {
	t.Helper()
	t.Parallel()
	for _, driver := range []string{"confluent", "franz"} {
		t.Run(driver, func(t *testing.T) {
			t.Parallel()
			test(t, driver)
		})
	}
}

// outcome is a run that came to its end, and what the judge says of its directory.
type outcome struct {
	meta    rundir.Meta
	verdict check.Judgement
	dir     string
}

// complete runs to the end, which must be a good one, and has the directory judged.
func (r *trial) complete(t *testing.T) outcome {
	t.Helper()
	meta, err := bench.Run(t.Context(), r.Config)
	if err != nil || meta.Stage != rundir.Complete {
		t.Fatalf("stage %q: %v", meta.Stage, err)
	}
	if len(meta.FinalRead.Problems)+len(meta.Warnings) > 0 || !meta.FinalRead.Done || !meta.Judged.Drained {
		t.Errorf("problems %q, warnings %q, drained: %v", meta.FinalRead.Problems, meta.Warnings, meta.Judged.Drained)
	}
	return outcome{meta, judged(t, r.Dir), r.Dir}
}

func judged(t *testing.T, dir string) check.Judgement {
	t.Helper()
	j, err := check.Dir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func (o outcome) want(t *testing.T, v check.Verdict) {
	t.Helper()
	if o.verdict.Verdict != v {
		t.Errorf("the verdict is %v, not %v: %q; findings %+v", o.verdict.Verdict, v, o.verdict.Reasons, o.verdict.Findings)
	}
}

// found is how often the judge saw an anomaly.
func (o outcome) found(anomaly string) uint64 {
	for _, f := range o.verdict.Findings {
		if f.Anomaly == anomaly {
			return f.Count
		}
	}
	return 0
}

// count goes through a run's history.
func count(t *testing.T, dir string, is func(*history.Op) bool) int {
	t.Helper()
	h, err := history.Open(rundir.History(dir))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := h.Each(func(op *history.Op) error {
		if is(op) {
			n++
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

func kind(k history.Kind, o history.Outcome) func(*history.Op) bool {
	return func(op *history.Op) bool { return op.Kind == k && op.Outcome == o }
}

const steadyLoad = `
topics: [{name: orders, partitions: 3, replication: 3}]
load: {rate: 500/s, duration: 800ms, record: {size: 200, keys: zipf(100)}}
`

const transactionalLoad = `
topics: [{name: orders, partitions: 3, replication: 3}]
load: {rate: 500/s, duration: 800ms, record: {size: 200}, transactions: {size: 10, abort: 0.3}}
`

func TestEveryRecordOfALoadIsSentReadAndJudged(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		r := newTrial(t, driver, steadyLoad+`
guarantee: at-least-once
producers: {count: 2}
client: {acks: all, enable.idempotence: true}
`)
		o := r.complete(t)
		o.want(t, check.Holds)
		if c := o.verdict.Counts; c.Sent != 400 || c.Acked != 400 || c.Read != 400 || c.Lost+c.Duplicated+c.Failed+c.Indeterminate != 0 {
			t.Errorf("500/s for 0.8 s are 400 records: %+v", c)
		}
		m := o.meta
		if !m.Cluster.Simulated || m.Client.Driver != driver || len(m.Client.Effective) == 0 || m.Client.Reader != "franz" || m.Seed != 7 {
			t.Errorf("run.json says %+v %+v", m.Cluster, m.Client)
		}
		if m.Counters["sent"] != 400 || m.Counters["acked"] != 400 || len(m.Workers) != 2 {
			t.Errorf("counters %v of workers %+v", m.Counters, m.Workers)
		}
		if saved, err := rundir.Load(r.Dir); err != nil || saved.Stage != rundir.Complete || saved.RunID != m.RunID {
			t.Errorf("run.json on the disk: %+v, %v", saved, err)
		}
		again, err := scenarios.Open(filepath.Join(r.Dir, rundir.ScenarioFile))
		if err != nil || again.Load.Rate != 500 {
			t.Errorf("the scenario does not run again: %v", err)
		}
	})
}

func TestAGroupReadsHandlesAndCommits(t *testing.T) {
	for _, c := range []struct {
		commit, guarantee string
		verdict           check.Verdict
		processed         bool
	}{
		{"after-processing", "at-least-once", check.Holds, true},
		{"before-processing", "at-most-once", check.Holds, true},
		{"auto", "", check.Unjudged, true},
		{"none", "at-least-once", check.Holds, false},
	} {
		t.Run(c.commit, func(t *testing.T) {
			eachDriver(t, func(t *testing.T, driver string) {
				client := "client: {acks: all, enable.idempotence: true}"
				if c.guarantee != "" {
					client = "guarantee: " + c.guarantee + "\n" + client
				}
				r := newTrial(t, driver, steadyLoad+client+`
consumer: {group: readers, instances: 2, commit: `+c.commit+`, auto.commit.interval.ms: 100ms, heartbeat.interval.ms: 200ms}
`)
				o := r.complete(t)
				o.want(t, c.verdict)
				if n := o.verdict.Counts.Lost + o.verdict.Counts.Duplicated; n > 0 || o.verdict.Counts.Acked != 400 {
					t.Errorf("%+v", o.verdict.Counts)
				}
				effects, commits := 0, count(t, r.Dir, kind(history.Commit, history.OK))
				count(t, r.Dir, func(op *history.Op) bool {
					if op.Kind == history.Process {
						effects += len(op.Records)
					}
					return false
				})
				if want := map[bool]int{true: 400}[c.processed]; effects != want {
					t.Errorf("%d effects, not %d", effects, want)
				}
				if own := strings.HasSuffix(c.commit, "processing"); own != (commits > 0) {
					t.Errorf("%d commits of its own with commit: %s", commits, c.commit)
				}
			})
		})
	}
}

// TestABatchIsCommittedOnItsOwn: with batch 10, a commit covers ten records at most.
func TestABatchIsCommittedOnItsOwn(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		o := newTrial(t, driver, `
topics: [{name: orders, partitions: 1, replication: 3}]
load: {record: {size: 200}}
consumer: {group: readers, commit: after-processing, batch: 10}
steps: [{send: 200}, {flush: true}]
`).complete(t)
		if n := count(t, o.dir, kind(history.Commit, history.OK)); n < 20 {
			t.Errorf("%d commits of 200 records in batches of 10", n)
		}
	})
}

func TestTransactionsAreCommittedAndAborted(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		o := newTrial(t, driver, transactionalLoad+`
guarantee: exactly-once-transactions
client: {acks: all}
consumer: {group: readers, commit: none, isolation.level: read_committed}
`).complete(t)
		o.want(t, check.Holds)
		committed, aborted := count(t, o.dir, kind(history.Txn, history.OK)), count(t, o.dir, kind(history.Txn, history.Failed))
		if committed == 0 || aborted == 0 || committed+aborted != 40 {
			t.Errorf("%d committed and %d aborted of 40", committed, aborted)
		}
		if c := o.verdict.Counts; c.Read != uint64(10*committed) || o.meta.FinalRead.Passes != 2 {
			t.Errorf("%d read of %d committed records, in %d passes", c.Read, 10*committed, o.meta.FinalRead.Passes)
		}
	})
}

func TestEveryFourthTransactionIsAborted(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		o := newTrial(t, driver, `
load: {rate: 500/s, duration: 800ms, record: {size: 200}, transactions: {size: 10, abort: every(4)}}
client: {acks: all}
`).complete(t)
		if committed, aborted := count(t, o.dir, kind(history.Txn, history.OK)), count(t, o.dir, kind(history.Txn, history.Failed)); committed != 30 || aborted != 10 {
			t.Errorf("%d committed and %d aborted, want 30 and 10", committed, aborted)
		}
	})
}

func TestASendMayLeaveItsTransactionOpen(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		for send, want := range map[string]int{"{send: 2, open: true}": 2, "{send: 2}": 3} {
			o := newTrial(t, driver, `
load: {record: {size: 200}, transactions: {size: 4}}
client: {acks: all}
steps: [{send: 4}, `+send+`, {flush: true}, {send: 2}]
`).complete(t)
			if n := count(t, o.dir, kind(history.Txn, history.OK)); n != want {
				t.Errorf("4 records, then %s, then 2: %d transactions of at most 4, want %d", send, n, want)
			}
		}
	})
}

// TestAReaderOfUncommittedRecordsIsFoundOut is the twin of the test above.
func TestAReaderOfUncommittedRecordsIsFoundOut(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		o := newTrial(t, driver, transactionalLoad+`
guarantee: exactly-once-transactions
expect: {violated: [aborted-read]}
client: {acks: all}
consumer: {group: readers, commit: none, isolation.level: read_uncommitted}
`).complete(t)
		o.want(t, check.Violated)
		if n := o.found("aborted-read"); n == 0 || !o.verdict.AsExpected {
			t.Errorf("%d aborted reads: %q", n, o.verdict.Reasons)
		}
	})
}

func TestAProcessorAnswersEveryInputOnce(t *testing.T) {
	for name, processor := range map[string]string{
		"as members of a group": "{from: orders, to: bills, group: billing, instances: 2, transactional.id: 'bills-{instance}', batch: 20, heartbeat.interval.ms: 200ms}",
		"by assignment":         "{from: orders, to: bills, group: billing, transactional.id: bills, batch: 20, assignment: manual, generation: false}",
	} {
		t.Run(name, func(t *testing.T) {
			eachDriver(t, func(t *testing.T, driver string) {
				o := newTrial(t, driver, `
guarantee: exactly-once-transactions
topics: [{name: orders, partitions: 2, replication: 3}, {name: bills, partitions: 2, replication: 3}]
load: {rate: 300/s, duration: 600ms, record: {size: 200}}
client: {acks: all, enable.idempotence: true}
processor: `+processor).complete(t)
				o.want(t, check.Holds)
				outputs := count(t, o.dir, func(op *history.Op) bool { return op.Kind == history.Send && op.FromPartition >= 0 })
				if outputs != 180 || o.meta.Counters["processed"] != 180 {
					t.Errorf("%d outputs, %d processed of 180 inputs", outputs, o.meta.Counters["processed"])
				}
				if n := count(t, o.dir, kind(history.Txn, history.OK)); n < 180/20 {
					t.Errorf("%d transactions of at most 20 for 180 inputs", n)
				}
			})
		})
	}
}

// TestConsumersReadWhatProcessorsWrite: each group is judged by what is its own.
func TestConsumersReadWhatProcessorsWrite(t *testing.T) {
	const flow = `
topics: [{name: orders, partitions: 2, replication: 3}, {name: bills, partitions: 2, replication: 3}]
load: {record: {size: 200}, drain: 20s}
client: {acks: all, enable.idempotence: true}
processor: {from: orders, to: bills, group: billing, transactional.id: bills-1, batch: 20, heartbeat.interval.ms: 200ms}
`
	for name, c := range map[string]struct {
		scenario  string
		processed bool
	}{
		"a consumer that dies with records in hand": {`
guarantee: at-least-once
consumer: {group: readers, isolation.level: read_committed, commit: after-processing, heartbeat.interval.ms: 200ms, session.timeout.ms: 1s}
steps:
  - {send: 30}
  - {flush: true}
  - {hold: consumer(0), at: polled}
  - {send: 30}
  - {flush: true}
  - {await: held(consumer(0)), within: 20s}
  - {kill: consumer(0)}
  - {start: consumer(0)}
  - {send: 30}
  - {flush: true}
  - {await: processed(consumer(0)) >= 60, within: 20s}
`, true},
		"a consumer that only reads": {`
guarantee: exactly-once-transactions
consumer: {group: readers, isolation.level: read_committed, commit: none}
steps: [{send: 90}, {flush: true}]
`, false},
	} {
		t.Run(name, func(t *testing.T) {
			eachDriver(t, func(t *testing.T, driver string) {
				o := newTrial(t, driver, flow+c.scenario).complete(t)
				o.want(t, check.Holds)
				if j := o.meta.Judged; j.Group != "readers" || j.Processors != "billing" || j.Processed != c.processed {
					t.Errorf("judged by %+v", j)
				}
				effects := count(t, o.dir, func(op *history.Op) bool { return op.Kind == history.Process && op.Group == "readers" })
				outputs := count(t, o.dir, func(op *history.Op) bool { return op.Kind == history.Send && op.FromPartition >= 0 })
				if (effects > 0) != c.processed || outputs != 90 {
					t.Errorf("%d effects, %d outputs of 90 inputs", effects, outputs)
				}
			})
		})
	}
}

// TestAFullBufferBlocksAndIsCounted: a record takes about as much as the buffer has.
func TestAFullBufferBlocksAndIsCounted(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		o := newTrial(t, driver, `
topics: [{name: orders, partitions: 1, replication: 3}]
load: {rate: max, records: 150, duration: 1s, record: {size: 10KiB}}
client: {acks: all, buffer.memory: 32KiB, batch.size: 16KiB, linger.ms: 5}
`).complete(t)
		if o.verdict.Counts.Acked != 150 || o.verdict.Counts.Failed > 0 {
			t.Errorf("%+v", o.verdict.Counts)
		}
		if n := o.meta.Counters["client.buffer_waits"]; n == 0 {
			t.Errorf("no wait was counted: %v", o.meta.Counters)
		}
	})
}

func TestTheSameSeedSendsTheSameKeys(t *testing.T) {
	t.Parallel()
	partitions := func(seed int64) []int {
		r := newTrial(t, "franz", steadyLoad+"client: {acks: all}")
		r.Seed = seed
		r.complete(t)
		placed := make([]int, 400)
		count(t, r.Dir, func(op *history.Op) bool {
			if op.Kind == history.Send {
				placed[op.Value.Seq] = int(op.Partition)
			}
			return false
		})
		return placed
	}
	first := partitions(11)
	if !slices.Equal(first, partitions(11)) {
		t.Error("the same seed sent other keys")
	}
	if slices.Equal(first, partitions(12)) {
		t.Error("another seed sent the same keys")
	}
}
