package check

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	log "github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
)

const ms = int64(1_000_000)

// recorded is a run on its way to a run directory. As made by goodRun it holds.
type recorded struct {
	meta rundir.Meta
	logs map[log.Client][]log.Op
	open []log.Client   // sessions that do not close their logs
	told []rundir.Fault // that the history has, nil: those of run.json
	run  uint64         // that the logs tell of, 0: 7

	flushEach int // operations in a chunk, 0: as many as fit
	then      func(dir string)
}

const sends = 300

// goodRun sends 300 records, 10 ms apart, to a leader that is killed in the middle; its acknowledgements wait for the
// next one. A group of one member handles everything.
func goodRun() *recorded {
	healed := 2000 * ms
	r := &recorded{logs: map[log.Client][]log.Op{}, meta: rundir.Meta{
		Guarantee: AtLeastOnce, Stage: rundir.Complete, RunID: "0000000000000007",
		Cluster: rundir.ClusterInfo{Kind: "local", Software: "Apache Kafka", Version: "4.3.1", Brokers: 3},
		Client:  rundir.ClientInfo{Driver: "confluent", Version: "confluent-kafka-go 2.15.0", Reader: "franz", ReaderVer: "franz-go 1.22.2"},
		Topics:  []rundir.Topic{{Name: "orders", Partitions: 1, Role: "load"}},
		Clock:   rundir.Clock{MeasureStart: 100 * ms, MeasureEnd: 3000 * ms, LoadEnd: 3100 * ms},
		Faults:  []rundir.Fault{{Name: "kill", Target: "broker 1", Asked: "leader(orders/0)", At: 1000 * ms, Healed: &healed, Bit: true, Evidence: []string{"leader of orders/0 moved 1→2"}}},
		Workers: []rundir.Worker{
			{Name: "p0", Session: 1, Role: "producer", Counters: map[string]uint64{"sent": sends}},
			{Name: "c0", Session: 1, Role: "consumer", Counters: map[string]uint64{"read": sends}},
		},
		Judged: rundir.Judged{Processed: true, Group: "readers", Commit: "after-processing", SameSession: true, Drained: true, Driver: "confluent", Acks: "all"},
		FinalRead: rundir.FinalRead{
			Done: true, Passes: 1,
		},
	}}
	final := op(log.FinalRead)
	final.Pass, final.Isolation, final.Reached = 1, log.ReadUncommitted, sends
	poll, process := op(log.Poll), op(log.Process)
	poll.Group, process.Group = "readers", "readers"
	for i := range int64(sends) {
		s := op(log.Send)
		s.Call, s.Intended = i*10*ms, i*10*ms
		s.Return = s.Call + 2*ms
		if s.Call >= 1000*ms && s.Call < 1500*ms {
			s.Return = 1500 * ms
		}
		s.Offset, s.Value, s.Attempt = i, log.Value{Producer: 0, Session: 1, Seq: i}, 1
		r.add("p0", s)
		record := log.Record{Offset: i, Value: s.Value, Intended: s.Intended}
		final.Records = append(final.Records, record)
		poll.Records, process.Records = []log.Record{record}, []log.Record{record}
		poll.Call, poll.Return = s.Return, s.Return+ms
		process.Call, process.Return = poll.Return, poll.Return+ms
		r.add("c0", poll)
		r.add("c0", process)
	}
	ends := op(log.Ends)
	ends.Offsets = []log.PartitionOffset{{Partition: 0, Offset: sends}}
	ends.Call, ends.Return = 4000*ms, 4000*ms
	final.Call, final.Return = 4100*ms, 4100*ms
	r.add("final", ends)
	r.add("final", final)
	return r
}

func op(k log.Kind) log.Op {
	return log.Op{Kind: k, Outcome: log.OK, Offset: log.Unknown, FromPartition: log.Unknown, FromOffset: log.Unknown, Generation: log.Unknown, Intended: log.Unknown, Value: log.NoValue}
}

func (r *recorded) add(name string, o log.Op) {
	c := log.Client{Name: name, Session: 1}
	r.logs[c] = append(r.logs[c], o)
}

// of gives hold of one session's operations.
func (r *recorded) of(name string) *[]log.Op {
	c := log.Client{Name: name, Session: 1}
	ops := r.logs[c]
	return &ops
}

func (r *recorded) set(name string, ops []log.Op) { r.logs[log.Client{Name: name, Session: 1}] = ops }

// without leaves out the operations of a session that match.
func (r *recorded) without(name string, drop func(log.Op) bool) {
	r.set(name, slices.DeleteFunc(slices.Clone(*r.of(name)), drop))
}

func seq(n int64) func(log.Op) bool {
	return func(o log.Op) bool {
		return o.Value.Seq == n && o.Kind == log.Send || o.Kind != log.FinalRead && slices.ContainsFunc(o.Records, func(r log.Record) bool { return r.Value.Seq == n })
	}
}

// lose removes a record from the final read, whose later offsets move up.
func (r *recorded) lose(n int64) {
	ops := *r.of("final")
	final := &ops[len(ops)-1]
	final.Records = slices.DeleteFunc(slices.Clone(final.Records), func(r log.Record) bool { return r.Value.Seq == n })
}

func (r *recorded) write(t testing.TB) string {
	dir := t.TempDir()
	if err := os.Mkdir(rundir.History(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	r.meta.Logs = nil
	for c, ops := range r.logs {
		r.writeLog(t, dir, c, ops)
	}
	if err := r.meta.Save(dir); err != nil {
		t.Fatal(err)
	}
	if r.then != nil {
		r.then(dir)
	}
	return dir
}

func (r *recorded) writeLog(t testing.TB, dir string, c log.Client, ops []log.Op) {
	path := rundir.Log(dir, c.Name, int(c.Session))
	w, err := log.Create(path, log.Header{Run: cmp.Or(r.run, 7), Partitions: []string{"orders/0"}, Producers: []string{"p0", "p1"}, Self: c})
	if err != nil {
		t.Fatal(err)
	}
	if c.Name == finalReader && ops != nil {
		ops = slices.Concat(ops, r.faultOps())
	}
	for i := range ops {
		err := w.Append(&ops[i])
		if err == nil && r.flushEach > 0 && i%r.flushEach == 0 {
			err = w.Flush()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	end := w.Close
	if slices.Contains(r.open, c) {
		end = w.Flush
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
	size, sum, err := log.Digest(path)
	if err != nil {
		t.Fatal(err)
	}
	r.meta.Logs = append(r.meta.Logs, rundir.LogFile{File: filepath.Base(path), Bytes: size, Sum: sum})
}

// faultOps are the faults as a run writes them behind its final read.
func (r *recorded) faultOps() (ops []log.Op) {
	faults := r.told
	if faults == nil {
		faults = r.meta.Faults
	}
	for _, f := range faults {
		o := op(log.Fault)
		o.Name, o.Target, o.Call, o.Return = f.Name, f.Target, f.At, max(f.At, 5000*ms)
		if f.Healed != nil {
			o.Return = max(f.At, *f.Healed)
		}
		ops = append(ops, o)
	}
	return ops
}

func (r *recorded) judge(t *testing.T) Judgement {
	t.Helper()
	j, err := Dir(r.write(t))
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestAGoodRunHolds(t *testing.T) {
	for _, g := range []string{AtMostOnce, AtLeastOnce, ExactlyOnce} {
		r := goodRun()
		r.meta.Guarantee = g
		j := r.judge(t)
		if j.Verdict != Holds || !j.AsExpected || len(j.Findings) != 0 || len(j.Reasons) != 0 {
			t.Errorf("%s: %v, reasons %q, findings %+v", g, j.Verdict, j.Reasons, j.Findings)
		}
		if want := (Counts{Sent: sends, Acked: sends, Read: sends}); j.Counts != want {
			t.Errorf("counts %+v, want %+v", j.Counts, want)
		}
	}
}

func TestSensitivityIsStated(t *testing.T) {
	j := goodRun().judge(t)
	f := j.Faults[0]
	// In flight from 1000 to 2000 ms: those called at 1000…2000, and the one that ends at 1002 is among them; 990–992 is not.
	if *f.AtRisk != 101 || *f.LossRate95 < 0.0292 || *f.LossRate95 > 0.0293 {
		t.Errorf("at risk %d, loss rate %v", *f.AtRisk, *f.LossRate95)
	}
	if len(f.Protection) != 1 || !strings.Contains(f.Protection[0], "held back for 500ms") {
		t.Errorf("protection %q", f.Protection)
	}
	for _, want := range []string{"confluent-kafka-go 2.15.0", "franz-go 1.22.2", "Apache Kafka 4.3.1", "300 records", "kill broker 1", "loss of power"} {
		if !strings.Contains(j.Scope, want) {
			t.Errorf("scope %q does not name %s", j.Scope, want)
		}
	}
}

// fast makes every acknowledgement come at once, as if nothing had happened.
func fast(r *recorded) {
	ops := *r.of("p0")
	for i := range ops {
		ops[i].Return = ops[i].Call + 2*ms
	}
}

// worthless are all the ways in which a run without an anomaly can prove nothing, and what the judge says of each.
func worthless() []struct {
	name, reason string
	spoil        func(*recorded)
} {
	type row = struct {
		name, reason string
		spoil        func(*recorded)
	}
	cut := func(file string, keep func(size int64) int64) func(string) {
		return func(dir string) {
			path := filepath.Join(rundir.History(dir), file)
			info, err := os.Stat(path)
			if err != nil {
				panic(err)
			}
			if err := os.Truncate(path, keep(info.Size())); err != nil {
				panic(err)
			}
		}
	}
	flip := func(file string) func(string) {
		return func(dir string) {
			path := filepath.Join(rundir.History(dir), file)
			b, err := os.ReadFile(path)
			if err != nil {
				panic(err)
			}
			b[len(b)*2/3] ^= 1
			if err := os.WriteFile(path, b, 0o644); err != nil {
				panic(err)
			}
		}
	}
	tail := func(size int64) int64 { return size - 3 }
	return []row{
		{"nothing was sent", "nothing was sent", func(r *recorded) {
			r.logs = map[log.Client][]log.Op{{Name: "p0", Session: 1}: nil, {Name: "c0", Session: 1}: nil}
		}},
		{"nothing was read", "nothing was read", func(r *recorded) {
			r.set("c0", nil)
			r.set("final", nil)
		}},
		{"nothing was acknowledged", "no record was acknowledged", func(r *recorded) {
			ops := *r.of("p0")
			for i := range ops {
				ops[i].Outcome = log.Indeterminate
			}
		}},
		{"the run failed at its end", "the run failed: no space left", func(r *recorded) { r.meta.Error = "no space left" }},
		{"run.json was changed", "its seal is broken", func(r *recorded) {
			r.then = func(dir string) {
				replace(filepath.Join(dir, rundir.MetaFile), `"at_ns": 1000000000`, `"at_ns": 1100000000`)
			}
		}},
		{"run.json says what nobody understands", `unknown field "forgiven"`, func(r *recorded) {
			r.then = func(dir string) { replace(filepath.Join(dir, rundir.MetaFile), `"repeat"`, `"forgiven": 3, "repeat"`) }
		}},
		{"run.json of another run", "run.json tells of run 0000000000000008, the history of run 0000000000000007", func(r *recorded) { r.meta.RunID = "0000000000000008" }},
		{"run.json with other partitions", "run.json has the partitions [orders/0 orders/1], the history [orders/0]", func(r *recorded) { r.meta.Topics[0].Partitions = 2 }},
		{"two runs mixed", "it belongs to run 0000000000000009, the other logs to 0000000000000007", func(r *recorded) {
			r.then = func(dir string) {
				w, err := log.Create(rundir.Log(dir, "c1", 1), log.Header{Run: 9, Partitions: []string{"orders/0"}, Self: log.Client{Name: "c1", Session: 1}})
				if err != nil {
					panic(err)
				}
				if err := w.Close(); err != nil {
					panic(err)
				}
			}
		}},
		{"a log of nobody", "c1.1.log is of no session that the run had", func(r *recorded) {
			r.logs[log.Client{Name: "c1", Session: 1}] = nil
		}},
		{"a log that came later", "c0.2.log came after the run's end", func(r *recorded) {
			r.then = func(dir string) { copyFile(rundir.Log(dir, "c0", 1), rundir.Log(dir, "c0", 2)) }
		}},
		{"a log under another name", "c0.2.log is a log of c0's session 1", func(r *recorded) {
			r.then = func(dir string) { copyFile(rundir.Log(dir, "c0", 1), rundir.Log(dir, "c0", 2)) }
		}},
		{"a log that is gone", "c0.1.log is not there any more", func(r *recorded) {
			r.then = func(dir string) { remove(rundir.Log(dir, "c0", 1)) }
		}},
		{"the final reader's log is gone", "final.1.log is not there any more", func(r *recorded) {
			r.then = func(dir string) { remove(rundir.Log(dir, finalReader, 1)) }
		}},
		{"less of a killed session's log than it left", "c0.1.log is not what the run left", func(r *recorded) {
			r.killConsumer()
			r.then = cut("c0.1.log", func(size int64) int64 { return size - 40 })
		}},
		{"sends were dropped", "p0's session 1 counted 301 sends, and its log has 300", func(r *recorded) { r.meta.Workers[0].Counters["sent"]++ }},
		{"reads were dropped", "c0's session 1 counted 301 records that it read, and its log has 300", func(r *recorded) { r.meta.Workers[1].Counters["read"]++ }},
		{"events were dropped", "c0's session 1 dropped 2 events", func(r *recorded) { r.meta.Workers[1].Counters["dropped"] = 2 }},
		{"the client library dropped events", "p0's session 1 dropped 1 events", func(r *recorded) { r.meta.Workers[0].Counters["client.dropped"] = 1 }},
		{"operations on partitions that are not the run's", "1 operations are on partitions that the run does not have", func(r *recorded) {
			stray := op(log.Commit)
			stray.Call, stray.Return, stray.Offsets = 10, 20, []log.PartitionOffset{{Partition: log.Unknown, Offset: 3}}
			r.add("c0", stray)
		}},
		{"records on partitions that are not the run's", "2 operations are on partitions that the run does not have", func(r *recorded) {
			for _, kind := range []log.Kind{log.Poll, log.Process} {
				stray := op(kind)
				stray.Group, stray.Partition, stray.Call, stray.Return = "readers", log.Unknown, 3500*ms, 3501*ms
				stray.Records = []log.Record{{Offset: 3, Value: log.Value{Producer: 0, Session: 1, Seq: 3}}}
				r.add("c0", stray)
			}
			r.meta.Workers[1].Counters["read"]++
		}},
		{"the clock went backwards", "2 operations, the first of c0, returned before they were called", func(r *recorded) {
			ops := *r.of("c0")
			ops[20].Return, ops[31].Return = ops[20].Call-1, ops[31].Call-ms
		}},
		{"the clock went backwards first for one client, then for another", "2 operations, the first of c0, returned before they were called", func(r *recorded) {
			early, late := &(*r.of("c0"))[20], &(*r.of("p0"))[200]
			early.Return, late.Return = early.Call-1, late.Call-1
		}},
		{"the clock went backwards in an assignment", "1 operations, the first of c0, returned before they were called", func(r *recorded) {
			given := op(log.Assign)
			given.Group, given.Partitions, given.Call, given.Return = "readers", []int32{0}, 20, 10
			r.add("c0", given)
		}},
		{"the run was interrupted", `stopped at "interrupted"`, func(r *recorded) { r.meta.Stage = rundir.Interrupted }},
		{"the run was cut off", `stopped at "measuring"`, func(r *recorded) { r.meta.Stage = rundir.Measuring }},
		{"the cluster failed", "no space left", func(r *recorded) { r.meta.Stage, r.meta.Error = rundir.Broken, "no space left" }},
		{"an unknown stage", "did not come to its end", func(r *recorded) { r.meta.Stage = "" }},
		{"no final read", "the final read was not done", func(r *recorded) { r.meta.FinalRead.Done = false }},
		{"a problem of the final read", "the ISR of orders/0 is not full", func(r *recorded) { r.meta.FinalRead.Problems = []string{"the ISR of orders/0 is not full"} }},
		{"the final read is short", "reached 299 of 300", func(r *recorded) {
			ops := *r.of("final")
			ops[1].Reached, ops[1].Records = sends-1, ops[1].Records[:sends-1]
		}},
		{"the final read left a partition out", "did not read orders/0", func(r *recorded) { r.set("final", (*r.of("final"))[:1]) }},
		{"no ends were recorded", "no end is recorded for orders/0", func(r *recorded) { r.set("final", (*r.of("final"))[1:]) }},
		{"the passes differ", "passes differ in 1 records, the first at orders/0@17", func(r *recorded) {
			second := (*r.of("final"))[1]
			second.Pass, second.Outcome = 2, log.OK
			r.add("final", second)
			ops := *r.of("final")
			ops[1].Records = slices.DeleteFunc(slices.Clone(ops[1].Records), func(rec log.Record) bool { return rec.Offset == 17 })
			ops[1].Reached = sends
			r.meta.Guarantee = ExactlyOnce
			r.meta.Judged.Transactions = true // or the hole would be a finding
			r.meta.FinalRead.Passes = 2
		}},
		{"the second pass left a partition out", "the second pass of the final read left orders/0 out", func(r *recorded) { r.meta.FinalRead.Passes = 2 }},
		{"a record was read beyond the end", "offset 299 of orders/0 was read, and its recorded end is 299", func(r *recorded) {
			r.set("final", slices.Clone(*r.of("final")))
			ops := *r.of("final")
			ops[0].Offsets = []log.PartitionOffset{{Partition: 0, Offset: sends - 1}}
		}},
		{"the final reader died", "final.1.log is not whole", func(r *recorded) {
			r.meta.Stage, r.meta.Error, r.meta.FinalRead.Done = rundir.Broken, "final read: the reader died", false
			r.open = []log.Client{{Name: finalReader, Session: 1}}
		}},
		{"one pass over transactions", "two that agree", func(r *recorded) {
			r.meta.Guarantee, r.meta.Judged.Transactions = ExactlyOnceTransactions, true
		}},
		{"a fault that did not bite", "kill broker 1 did not bite", func(r *recorded) { r.meta.Faults[0].Bit = false }},
		{"a fault without evidence", "kill broker 1 is said to have bitten, and no evidence is given", func(r *recorded) { r.meta.Faults[0].Evidence = nil }},
		{"a fault that was never reached", "never injected: the load is over", func(r *recorded) {
			r.meta.Faults[0] = rundir.Fault{Name: "kill", Asked: "leader(orders/0)", Error: "never injected: the load is over"}
		}},
		{"a fault that was not healed", "kill broker 1 was never healed", func(r *recorded) { r.meta.Faults[0].Healed = nil }},
		{"a fault healed before it began", "that cannot be", func(r *recorded) { *r.meta.Faults[0].Healed = 999 * ms }},
		{"faults that the history does not tell of", "the history of []", func(r *recorded) { r.told = []rundir.Fault{} }},
		{"faults that run.json does not tell of", "run.json tells of the faults []", func(r *recorded) { r.told, r.meta.Faults = r.meta.Faults, nil }},
		{"a fault that failed", "no such broker", func(r *recorded) { r.meta.Faults[0].Error = "no such broker" }},
		{"a fault with nothing at risk", "nothing was at risk while kill broker 1", func(r *recorded) {
			r.meta.Faults[0].At, *r.meta.Faults[0].Healed = 3500*ms, 3600*ms
			r.meta.Faults[0].Protection = []string{"retried"}
		}},
		{"a fault on other partitions", "nothing was at risk", func(r *recorded) {
			r.meta.Faults[0].Partitions = []string{"orders/0"}
			ops := *r.of("p0")
			for i := range ops {
				if ops[i].Return >= 1000*ms && ops[i].Call <= 2000*ms {
					ops[i].Outcome = log.Failed
					ops[i].Offset = log.Unknown
				}
			}
			r.meta.Guarantee = "at-least-once"
			final := &(*r.of("final"))[1]
			final.Records = slices.DeleteFunc(slices.Clone(final.Records), func(rec log.Record) bool { return rec.Offset >= 100 && rec.Offset <= 200 })
			r.without("c0", func(o log.Op) bool { return o.Records[0].Offset >= 100 && o.Records[0].Offset <= 200 })
			r.meta.Judged.Transactions = true // holes are not the point here
			r.meta.FinalRead.Passes = 2
		}},
		{"no acknowledgement while a fault lasted", "nothing was at risk while kill broker 1", func(r *recorded) {
			ops := *r.of("p0")
			for i := range ops {
				if ops[i].Return >= 1000*ms && ops[i].Call <= 2000*ms {
					ops[i].Outcome = log.Indeterminate
				}
			}
		}},
		{"no sign of a defence", "nothing shows that the promise was defended against kill broker 1", fast},
		{"a second fault with nothing at risk", "nothing was at risk while pause broker 2 lasted", func(r *recorded) { r.second(3500*ms, 3600*ms) }},
		{"a second fault against which nothing was defended", "nothing shows that the promise was defended against pause broker 2", func(r *recorded) { r.second(2300*ms, 2600*ms) }},
		{"the first fault's defence lasts into the second", "nothing shows that the promise was defended against pause broker 2", func(r *recorded) { r.second(1490*ms, 1600*ms) }},
		{"the wall clock went back", "moved by -5000 ms", func(r *recorded) { r.meta.Clock.WallStepMs = -5000 }},
		{"the wall clock jumped", "moved by 201 ms", func(r *recorded) { r.meta.Clock.WallStepMs = 201 }},
		{"a producer's log is torn, and it was not killed", "p0.1.log is not whole", func(r *recorded) { r.then = cut("p0.1.log", tail) }},
		{"a consumer's log is torn, and it was not killed", "c0.1.log is not whole", func(r *recorded) { r.then = cut("c0.1.log", tail) }},
		{"the final reader's log is torn", "final.1.log is not whole", func(r *recorded) { r.then = cut("final.1.log", tail) }},
		{"most of the final reader's log is gone", "final.1.log is not whole", func(r *recorded) {
			r.then = cut("final.1.log", func(size int64) int64 { return size / 2 })
		}},
		{"a producer's log is damaged within", "p0.1.log is not whole", func(r *recorded) { r.then = flip("p0.1.log") }},
		{"a consumer's log is damaged within", "c0.1.log is not whole", func(r *recorded) { r.then = flip("c0.1.log") }},
		{"a killed session's log is damaged within", "c0.1.log is not whole", func(r *recorded) {
			r.meta.Workers[1].Killed = true
			r.then = flip("c0.1.log")
		}},
		{"the final reader's log is damaged within", "final.1.log is not whole", func(r *recorded) { r.then = flip("final.1.log") }},
		{"a session did not close its log", "p0.1.log is not whole", func(r *recorded) { r.open = []log.Client{{Name: "p0", Session: 1}} }},
		{"a session's log is missing", "there is no log of c1's session 1", func(r *recorded) {
			r.meta.Workers = append(r.meta.Workers, rundir.Worker{Name: "c1", Session: 1, Role: "consumer"})
		}},
		{"no logs at all", "no logs", func(r *recorded) { r.logs = nil }},
		{"a log that is none", "not a history log", func(r *recorded) {
			r.then = func(dir string) {
				if err := os.WriteFile(filepath.Join(rundir.History(dir), "x.1.log"), []byte("hello, world"), 0o644); err != nil {
					panic(err)
				}
			}
		}},
		{"the group handled nothing", "the group handled nothing", func(r *recorded) {
			r.without("c0", func(o log.Op) bool { return o.Kind == log.Process })
		}},
		{"the group did not arrive", "has not handled 1 acknowledged records", func(r *recorded) {
			r.meta.Judged.Drained = false
			r.without("c0", seq(sends-1))
		}},
		{"the processors wrote nothing", "the processors wrote nothing", func(r *recorded) {
			r.meta.Judged.Processors, r.meta.Judged.InputTopic, r.meta.Judged.Drained = "billing", "orders", false
		}},
		{"the processors did not arrive", "the processors did not cover their input to its end: orders/0", func(r *recorded) {
			r.meta.Judged.Processors, r.meta.Judged.InputTopic, r.meta.Judged.Drained = "billing", "orders", false
		}},
		{"the group is not known to have arrived", "did not arrive at the end", func(r *recorded) { r.meta.Judged.Drained = false }},
	}
}

func replace(path, old, new string) {
	b, err := os.ReadFile(path)
	if err != nil || !bytes.Contains(b, []byte(old)) {
		panic(fmt.Sprintf("%s has no %s: %v", path, old, err))
	}
	if err := os.WriteFile(path, bytes.Replace(b, []byte(old), []byte(new), 1), 0o644); err != nil {
		panic(err)
	}
}

func copyFile(from, to string) {
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o644)
	}
	if err != nil {
		panic(err)
	}
}

func remove(path string) {
	if err := os.Remove(path); err != nil {
		panic(err)
	}
}

// second adds a fault after the first.
func (r *recorded) second(at, healed int64) {
	r.meta.Faults = append(r.meta.Faults, rundir.Fault{Name: "pause", Target: "broker 2", At: at, Healed: &healed, Bit: true, Evidence: []string{"process 5 of broker 2 is paused"}})
}

func TestAWorthlessRunNeverHolds(t *testing.T) {
	for _, c := range worthless() {
		t.Run(c.name, func(t *testing.T) {
			r := goodRun()
			c.spoil(r)
			j := r.judge(t)
			if j.Verdict != Inconclusive || j.AsExpected {
				t.Errorf("%v, as expected %v; findings %+v", j.Verdict, j.AsExpected, j.Findings)
			}
			if crashed := slices.IndexFunc(j.Reasons, func(reason string) bool { return strings.Contains(reason, " crashed: ") }); crashed >= 0 {
				t.Errorf("the judge itself failed: %s", j.Reasons[crashed])
			}
			if !slices.ContainsFunc(j.Reasons, func(reason string) bool { return strings.Contains(reason, c.reason) }) {
				t.Errorf("reasons %q do not say %q", j.Reasons, c.reason)
			}
		})
	}
}

func TestAWorthlessRunIsNotTheViolationThatWasExpected(t *testing.T) {
	for _, c := range worthless() {
		r := goodRun()
		c.spoil(r)
		r.meta.Expect = rundir.Expect{Violated: true}
		if j := r.judge(t); j.Verdict == Violated || j.AsExpected {
			t.Errorf("%s: %v, as expected %v, findings %+v", c.name, j.Verdict, j.AsExpected, j.Findings)
		}
	}
}

func TestAViolationNeedsNoProofOfDefence(t *testing.T) {
	r := goodRun()
	fast(r)
	r.meta.Faults[0].Bit = false
	r.lose(120)
	j := r.judge(t)
	if j.Verdict != Violated || j.AsExpected {
		t.Errorf("%v, reasons %q", j.Verdict, j.Reasons)
	}
	f := j.Findings[0]
	if f.Anomaly != lostWrite || !f.Decides || f.Count != 1 || f.Checked != sends || j.Counts.Lost != 1 {
		t.Errorf("finding %+v, counts %+v", f, j.Counts)
	}
	w := f.Witnesses[0]
	if w.Partition != "orders/0" || *w.Offset != 120 || w.Value != "p0/1/120" || *w.At != 1202*ms || w.During != "kill broker 1" {
		t.Errorf("witness %+v", w)
	}
}

func TestExpectations(t *testing.T) {
	lost := func(r *recorded) { r.lose(120) }
	for _, c := range []struct {
		name       string
		expect     rundir.Expect
		spoil      func(*recorded)
		verdict    Verdict
		asExpected bool
		reason     string
	}{
		{"holds, as it should", rundir.Expect{}, func(*recorded) {}, Holds, true, ""},
		{"violated, and should hold", rundir.Expect{}, lost, Violated, false, "lost-write: 1"},
		{"violated, as it should be", rundir.Expect{Violated: true}, lost, Violated, true, ""},
		{"violated in the way named", rundir.Expect{Violated: true, Anomalies: []string{lostWrite}}, lost, Violated, true, ""},
		{"violated in another way", rundir.Expect{Violated: true, Anomalies: []string{duplicate}}, lost, Violated, false, "expected and not seen: duplicate"},
		{"holds, and should be violated", rundir.Expect{Violated: true}, func(*recorded) {}, Holds, false, "expected to be violated"},
		{"holds, and an anomaly was named", rundir.Expect{Violated: true, Anomalies: []string{lostWrite}}, func(*recorded) {}, Holds, false, "expected and not seen: lost-write"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := goodRun()
			r.meta.Expect = c.expect
			c.spoil(r)
			j := r.judge(t)
			if j.Verdict != c.verdict || j.AsExpected != c.asExpected || !strings.Contains(strings.Join(j.Reasons, "\n"), c.reason) {
				t.Errorf("%v, as expected %v, reasons %q", j.Verdict, j.AsExpected, j.Reasons)
			}
		})
	}
}

func TestWithoutAGuaranteeARunIsOnlyMeasured(t *testing.T) {
	r := goodRun()
	r.meta.Guarantee = ""
	fast(r) // nobody claims that anything was defended
	r.lose(120)
	j := r.judge(t)
	if j.Verdict != Unjudged || !j.AsExpected || j.Expected != "" || found(j)[lostWrite] != 1 {
		t.Errorf("%v, as expected %v, expected %q, findings %+v", j.Verdict, j.AsExpected, j.Expected, j.Findings)
	}
	r.meta.Stage = rundir.Interrupted
	if j := r.judge(t); j.Verdict != Inconclusive || j.AsExpected {
		t.Errorf("interrupted: %v, as expected %v", j.Verdict, j.AsExpected)
	}
}

// A session that was killed may have sent what its log does not tell; one that was not may not.
func TestWhatAKilledSessionMayHaveSentIsNotForeign(t *testing.T) {
	extra := func(r *recorded) {
		ops := *r.of("final")
		ops[0].Offsets = []log.PartitionOffset{{Partition: 0, Offset: sends + 1}}
		ops[1].Records = append(slices.Clone(ops[1].Records), log.Record{Offset: sends, Value: log.Value{Producer: 0, Session: 1, Seq: sends}})
		ops[1].Reached = sends + 1
	}
	r := goodRun()
	extra(r)
	if j := r.judge(t); j.Verdict != Violated || found(j)[foreignRecord] != 1 {
		t.Errorf("closed: %v %v", j.Verdict, found(j))
	}
	r = goodRun()
	extra(r)
	r.open = []log.Client{{Name: "p0", Session: 1}}
	r.meta.Workers[0].Killed = true
	killed := rundir.Fault{Name: "kill", Target: "producer 0", At: 2500 * ms, Healed: new(int64), Bit: true, Evidence: []string{"process gone"}, Protection: []string{"fenced"}}
	*killed.Healed = 2600 * ms
	r.meta.Faults = append(r.meta.Faults, killed)
	j := r.judge(t)
	if j.Verdict != Holds || len(j.Findings) != 0 || j.Counts.Sent != sends+1 || j.Counts.Indeterminate != 1 {
		t.Errorf("killed: %v %v %q, counts %+v", j.Verdict, found(j), j.Reasons, j.Counts)
	}
	r.without("p0", seq(100)) // below what it logged, and not in its log
	if j := r.judge(t); found(j)[foreignRecord] != 1 {
		t.Errorf("a hole in what was sent: %v", found(j))
	}
}

// killConsumer kills the only consumer, whose log ends there, and has another go on.
func (r *recorded) killConsumer() {
	healed := 2500 * ms
	r.meta.Faults = []rundir.Fault{{Name: "kill", Target: "consumer 0", At: 2000 * ms, Healed: &healed, Bit: true, Evidence: []string{"process gone"}}}
	r.meta.Workers[1].Killed = true
	r.open = []log.Client{{Name: "c0", Session: 1}}
	r.meta.Workers = append(r.meta.Workers, rundir.Worker{Name: "c1", Session: 1, Role: "consumer"})
	taken := op(log.Assign)
	taken.Call, taken.Return, taken.Partitions = 2200*ms, 2200*ms, []int32{0}
	first := taken
	first.Call, first.Return = 0, 0
	ops := *r.of("c0")
	dead := slices.IndexFunc(ops, func(o log.Op) bool { return o.Return > 2000*ms })
	r.set("c0", append([]log.Op{first}, ops[:dead]...))
	r.add("c1", taken)
	for _, o := range ops[dead-2:] { // it begins with the record that the first did not commit
		o.Call, o.Return = o.Call+300*ms, o.Return+300*ms
		r.add("c1", o)
	}
}

// A torn log of a session that was killed is as it should be.
func TestAKilledConsumerIsNoProblem(t *testing.T) {
	r := goodRun()
	r.killConsumer()
	j := r.judge(t)
	if j.Verdict != Holds {
		t.Fatalf("%v, reasons %q", j.Verdict, j.Reasons)
	}
	if n := found(j); n[reprocessed] != 1 || len(n) != 1 {
		t.Errorf("findings %v", n)
	}
	signs := strings.Join(j.Faults[0].Protection, "; ")
	if *j.Faults[0].AtRisk == 0 || !strings.Contains(signs, "delivered again") || !strings.Contains(signs, "went to c1") {
		t.Errorf("at risk %d, %s", *j.Faults[0].AtRisk, signs)
	}
}

// What a consumer had in hand when it was killed was at risk, also before its first commit.
func TestWhatAConsumerHadInHandWasAtRisk(t *testing.T) {
	for _, c := range []struct {
		commit           string
		processed, moved int64 // of 50 polled records: handled, committed (-1: never)
		want             uint64
	}{
		{"after-processing", 50, -1, 50},
		{"after-processing", 20, -1, 50},
		{"after-processing", 50, 30, 20},
		{"after-processing", 50, 50, 0},
		{"before-processing", 0, 50, 50},
		{"before-processing", 10, 50, 40},
		{"auto", 10, -1, 40},
		{"auto", 50, -1, 0},
	} {
		r := goodRun()
		r.meta.Judged.Commit = c.commit
		r.meta.Faults = []rundir.Fault{{Name: "kill", Target: "consumer 0", At: 3200 * ms, Healed: new(int64), Bit: true}}
		*r.meta.Faults[0].Healed = 3300 * ms
		poll, process, commit := op(log.Poll), op(log.Process), op(log.Commit)
		for i := range int64(50) {
			record := log.Record{Offset: i, Value: log.Value{Producer: 0, Session: 1, Seq: i}}
			poll.Records = append(poll.Records, record)
			if i < c.processed {
				process.Records = append(process.Records, record)
			}
		}
		poll.Return, process.Return, commit.Return = 3000*ms, 3001*ms, 3002*ms
		r.set("c0", []log.Op{poll, process})
		if c.moved >= 0 {
			commit.Offsets = []log.PartitionOffset{{Partition: 0, Offset: c.moved}}
			r.add("c0", commit)
		}
		if j := r.judge(t); *j.Faults[0].AtRisk != c.want {
			t.Errorf("%+v: %d at risk", c, *j.Faults[0].AtRisk)
		}
	}
}

// Killing a producer that has nothing under way puts nothing to the test, however much the others send.
func TestOnlyTheSendsOfAKilledProducerWereAtRisk(t *testing.T) {
	r := goodRun()
	healed := 1500 * ms
	r.meta.Faults = []rundir.Fault{{Name: "kill", Target: "producer 1", At: 1000 * ms, Healed: &healed, Bit: true}}
	r.meta.Workers = append(r.meta.Workers, rundir.Worker{Name: "p1", Session: 1, Role: "producer", Killed: true})
	idle := op(log.Send)
	idle.Value, idle.Attempt, idle.Outcome = log.Value{Producer: 1, Session: 1}, 1, log.Failed
	idle.Call, idle.Return = 100*ms, 101*ms
	r.add("p1", idle)
	j := r.judge(t)
	if *j.Faults[0].AtRisk != 0 || len(j.Faults[0].Protection) != 0 || j.Verdict != Inconclusive {
		t.Errorf("%v, at risk %d, signs %q", j.Verdict, *j.Faults[0].AtRisk, j.Faults[0].Protection)
	}
}

// What a producer left open when it died was at risk then, and not when its next session died.
func TestOpenSendsBelongToTheDeathThatLeftThemOpen(t *testing.T) {
	r := goodRun()
	kill := func(at int64) rundir.Fault {
		healed := at + 100*ms
		return rundir.Fault{Name: "kill", Target: "producer 1", At: at, Healed: &healed, Bit: true, Evidence: []string{"process gone"}}
	}
	r.meta.Guarantee = ExactlyOnce
	r.meta.Faults = []rundir.Fault{kill(1000 * ms), kill(2000 * ms)}
	for session, open := range []int64{5, 2} {
		who := log.Client{Name: "p1", Session: int32(session) + 1}
		r.meta.Workers = append(r.meta.Workers, rundir.Worker{Name: "p1", Session: session + 1, Role: "producer", Killed: true})
		r.open = append(r.open, who)
		for seq := range open {
			journalled := op(log.Send)
			journalled.Call, journalled.Return = int64(session+1)*900*ms+seq, log.Unknown
			journalled.Value, journalled.Attempt = log.Value{Producer: 1, Session: who.Session, Seq: seq}, 1
			r.logs[who] = append(r.logs[who], journalled)
		}
	}
	j := r.judge(t)
	for i, want := range []uint64{5, 2} {
		if f := j.Faults[i]; *f.AtRisk != want || !strings.Contains(strings.Join(f.Protection, "; "), fmt.Sprintf("%d sends were left open", want)) {
			t.Errorf("fault %d: at risk %d, signs %q, want %d", i, *f.AtRisk, f.Protection, want)
		}
	}
	if j.Verdict != Holds {
		t.Errorf("%v %q", j.Verdict, j.Reasons)
	}
}

// Records that come again, and partitions that go to another, are signs of the fault that hit their reader last.
func TestWhatFollowsAReadersFaultIsASignOfTheLast(t *testing.T) {
	for _, c := range []struct {
		name  string
		kills []string // the later faults' targets
		signs []int    // faults that have them
	}{
		{"one fault", nil, []int{0}},
		{"the same reader again", []string{"consumer 0"}, []int{1}},
		{"another reader, which had nothing", []string{"consumer 2"}, []int{0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := goodRun()
			r.killConsumer()
			r.meta.Workers = append(r.meta.Workers, rundir.Worker{Name: "c2", Session: 1, Role: "consumer"})
			idle := op(log.Assign)
			r.add("c2", idle)
			for _, target := range c.kills {
				healed := 2190 * ms
				r.meta.Faults = append(r.meta.Faults, rundir.Fault{Name: "pause", Target: target, At: 2100 * ms, Healed: &healed, Bit: true, Evidence: []string{"paused"}})
			}
			j := r.judge(t)
			for i, f := range j.Faults {
				signs := strings.Join(f.Protection, "; ")
				if has := strings.Contains(signs, "delivered again") && strings.Contains(signs, "went to c1"); has != slices.Contains(c.signs, i) {
					t.Errorf("fault %d has the signs %q", i, signs)
				}
			}
		})
	}
}

// A killed member that comes back to its partitions is not another that took them over.
func TestAMembersOwnReturnIsNoSignOfADefence(t *testing.T) {
	r := goodRun()
	healed := 2500 * ms
	r.meta.Faults = []rundir.Fault{{Name: "pause", Target: "consumer 0", At: 2000 * ms, Healed: &healed, Bit: true}}
	had, again := op(log.Assign), op(log.Assign)
	had.Partitions, again.Partitions = []int32{0}, []int32{0}
	again.Call, again.Return = 2600*ms, 2600*ms
	ops := *r.of("c0")
	at := slices.IndexFunc(ops, func(o log.Op) bool { return o.Return > 2600*ms })
	r.set("c0", slices.Concat([]log.Op{had}, ops[:at], []log.Op{again}, ops[at:]))
	j := r.judge(t)
	if signs := strings.Join(j.Faults[0].Protection, "; "); strings.Contains(signs, "went to") {
		t.Errorf("signs %q", signs)
	}
}

func TestWhatAGroupHasPassedOverIsUnprocessed(t *testing.T) {
	r := goodRun()
	r.meta.Judged.Drained = false // it did not arrive, but it came past the record
	r.without("c0", func(o log.Op) bool { return o.Kind == log.Process && seq(120)(o) })
	j := r.judge(t)
	if j.Verdict != Violated || found(j)[unprocessed] != 1 {
		t.Errorf("%v %v", j.Verdict, found(j))
	}
}

func TestCheckersThatCrashMakeTheVerdictInconclusive(t *testing.T) {
	dir := goodRun().write(t)
	meta, err := rundir.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	var named []string
	for i, checker := range checkers(&court{ledger: newLedger(&log.History{}, run{})}) {
		named = append(named, checker.name)
		if len(checker.kinds()) == 0 {
			continue
		}
		h, err := log.Open(rundir.History(dir))
		if err != nil {
			t.Fatal(err)
		}
		tr := &trial{h: h, run: recordedRun(meta, h)}
		tr.ledger = newLedger(h, tr.run)
		if err := h.Each(func(op *log.Op) error { tr.ledger.learn(op); return nil }); err != nil {
			t.Fatal(err)
		}
		tr.ledger.settle()
		c := &court{ledger: tr.ledger, windows: tr.run.windows}
		d := &docket{trial: tr}
		d.open(c)
		d.list[i].checker = bomb{d.list[i].checker}
		if err := h.Each(func(op *log.Op) error { d.hear(c, op); return nil }); err != nil {
			t.Fatal(err)
		}
		j := tr.sum()
		want := "the checker " + checker.name + " crashed: boom"
		if j.Verdict != Inconclusive || j.AsExpected || !strings.HasPrefix(j.Reasons[0], want) || len(tr.crashes) != 1 {
			t.Errorf("%s: %v, reasons %q", checker.name, j.Verdict, j.Reasons)
		}
		if !strings.Contains(j.Reasons[0], "run_test.go:") {
			t.Errorf("%q does not say where", j.Reasons[0])
		}
	}
	for _, name := range []string{lostWrite, duplicate, inconsistentOffset, abortedRead, pollSkip, nonmonotonicSend, unprocessed, offsetHole, tornTransaction, hangingTransaction, g1c} {
		if !slices.Contains(named, name) {
			t.Errorf("the checkers are %q: none is named %s", named, name)
		}
	}
}

type bomb struct{ checker }

func (bomb) add(*view) { panic("boom") }

func TestWhatIsNoRunIsAnError(t *testing.T) {
	if j, err := Dir(t.TempDir()); err == nil || j.Verdict != Inconclusive {
		t.Errorf("%v, %v", j.Verdict, err)
	}
}

// A run that was cut off lists no workers; a record whose send is not in the torn log of its producer is not foreign.
func TestARunThatWasCutOffFindsNobodyGuilty(t *testing.T) {
	r := goodRun()
	r.meta.Stage, r.meta.Workers = rundir.Measuring, nil
	r.open = []log.Client{{Name: "p0", Session: 1}}
	r.without("p0", seq(100))
	if j := r.judge(t); j.Verdict != Inconclusive {
		t.Errorf("%v %v %q", j.Verdict, found(j), j.Reasons)
	}
}
