package reports

import (
	"cmp"
	"os"
	"slices"
	"testing"

	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
)

const (
	ms  = int64(1_000_000)
	sec = 1000 * ms
)

// synthetic writes a real run directory of a run that never took place, so that every figure in a report can be told
// beforehand: two partitions, one producer, one consumer, a final read.
type synthetic struct {
	t    *testing.T
	meta rundir.Meta

	sends, polls, final []history.Op
	samples             []rundir.Sample
	log                 [2][]history.Record // what ends up in each partition
}

// newSynthetic is a run of 1,000 records a second: a second of warm-up, then ten seconds measured from 2 s on.
func newSynthetic(t *testing.T, name string) *synthetic {
	rate := 1000.0
	m := rundir.Meta{
		Version: rundir.Version, Kbench: "0.1.0", RunID: "00000000000000aa", Scenario: name, Repeat: 1, Seed: 42,
		Guarantee: "at-least-once", Started: "2026-01-02T03:04:05Z", Stage: rundir.Complete,
		Cluster: rundir.ClusterInfo{Kind: "local", Software: "Apache Kafka", Version: "4.3.1", Mode: "kraft", Brokers: 3,
			Effective: map[string]string{"min.insync.replicas": "2"}},
		Client: rundir.ClientInfo{Driver: "confluent", Version: "confluent-kafka-go 2.15.0, librdkafka 2.15.0",
			Asked: map[string]string{"acks": "all"}, Effective: map[string]string{"request.required.acks": "-1"},
			Reader: "franz", ReaderVer: "franz-go 1.22.2"},
		Machine:   rundir.Machine{CPUs: 8, MemoryMiB: 16000, Kernel: "6.1.0"},
		Topics:    []rundir.Topic{{Name: "orders", Physical: "orders-aa", Partitions: 2, Role: "load"}},
		Load:      rundir.LoadInfo{RatePerS: &rate, DurationMs: 10_000, WarmupMs: 1000, RecordSize: 1024},
		Clock:     rundir.Clock{MeasureStart: 2 * sec, MeasureEnd: 12 * sec, LoadEnd: 12*sec + 50*ms},
		Judged:    rundir.Judged{SameSession: true, Isolation: "read_committed", Idempotent: true, Acks: "all", Driver: "confluent"},
		FinalRead: rundir.FinalRead{Done: true, Passes: 1},
		Workers: []rundir.Worker{{Name: "p0", Session: 1, Role: "producer"}, {Name: "c0", Session: 1, Role: "consumer"},
			{Name: "final", Session: 1, Role: "reader"}},
		Counters: map[string]uint64{"sent": 11_000},
	}
	return &synthetic{t: t, meta: m}
}

// fault adds a fault that bit, with its time and heal in seconds of the measured part.
func (s *synthetic) fault(name, target string, at, healed float64, evidence, protection []string) {
	end := s.meta.Clock.MeasureStart + int64(healed*float64(sec))
	s.meta.Faults = append(s.meta.Faults, rundir.Fault{
		Name: name, Target: target, Asked: "leader(orders/0)", At: s.meta.Clock.MeasureStart + int64(at*float64(sec)), Healed: &end,
		Bit: len(evidence) > 0, Evidence: evidence, Protection: protection, Partitions: []string{"orders/0"},
	})
}

// send adds the next record, due at a time in ms of the run's clock and answered at another.
func (s *synthetic) send(partition int, due, answered float64, outcome history.Outcome, kept bool) {
	seq := int64(len(s.sends))
	op := history.Op{
		Kind: history.Send, Outcome: outcome, Partition: int32(partition), Offset: history.Unknown, Attempt: 1,
		Value: history.Value{Session: 1, Seq: seq}, FromPartition: history.Unknown, FromOffset: history.Unknown, Generation: history.Unknown,
		Intended: int64(due * float64(ms)), Call: int64(due*float64(ms)) + 20_000, Return: int64(answered * float64(ms)),
	}
	if outcome == history.OK {
		op.Offset = int64(len(s.log[partition]))
	}
	if kept {
		s.log[partition] = append(s.log[partition], history.Record{Offset: int64(len(s.log[partition])), Value: op.Value, Intended: op.Intended})
		s.polls = append(s.polls, history.Op{
			Kind: history.Poll, Outcome: history.OK, Partition: int32(partition), Generation: history.Unknown, Isolation: history.ReadCommitted,
			Group: "readers", Call: op.Return, Return: op.Return + ms, Records: s.log[partition][len(s.log[partition])-1:],
		})
	}
	s.sends = append(s.sends, op)
}

// load sends by the schedule. Sends to partition 0 that are due in an outage wait for its end. Times in seconds of the
// measured part.
func (s *synthetic) load(outageFrom, outageTo float64) {
	for n := range 11_000 {
		due := 1000 + float64(n)
		answered := due + 2 + float64(n%7)/10
		if from, to := 2000+outageFrom*1000, 2000+outageTo*1000; n%2 == 0 && from <= due && due < to {
			answered = to + 1
		}
		s.send(n%2, due, answered, history.OK, true)
	}
}

// write makes the run directory.
func (s *synthetic) write() string {
	s.t.Helper()
	dir := s.t.TempDir()
	s.must(os.Mkdir(rundir.History(dir), 0o755))
	s.must(s.meta.Save(dir))
	s.finalRead()
	s.writeLog(dir, "p0", s.sends)
	assign := history.Op{Kind: history.Assign, Outcome: history.OK, Call: 1, Return: 2, Partitions: []int32{0, 1}, Group: "readers", Generation: history.Unknown, Partition: history.Unknown}
	s.writeLog(dir, "c0", append([]history.Op{assign}, s.polls...))
	s.writeLog(dir, "final", s.final)
	s.writeSamples(dir)
	return dir
}

func (s *synthetic) writeSamples(dir string) {
	s.t.Helper()
	w, err := rundir.CreateSamples(dir)
	s.must(err)
	for _, one := range s.samples {
		s.must(w.Add(one))
	}
	s.must(w.Close())
}

func (s *synthetic) finalRead() {
	at := s.meta.Clock.LoadEnd + sec
	ends := history.Op{Kind: history.Ends, Outcome: history.OK, Call: at, Return: at, Partition: history.Unknown, Generation: history.Unknown}
	for p := range s.log {
		ends.Offsets = append(ends.Offsets, history.PartitionOffset{Partition: int32(p), Offset: int64(len(s.log[p]))})
	}
	s.final = append(s.final, ends)
	for _, f := range s.meta.Faults {
		over := at
		if f.Healed != nil {
			over = *f.Healed
		}
		s.final = append(s.final, history.Op{Kind: history.Fault, Outcome: history.OK, Name: f.Name, Target: f.Target, Call: f.At, Return: over,
			Partition: history.Unknown, Generation: history.Unknown})
	}
	for p, records := range s.log {
		s.final = append(s.final, history.Op{
			Kind: history.FinalRead, Outcome: history.OK, Call: at, Return: at + sec, Partition: int32(p), Records: records, Pass: 1,
			Isolation: history.ReadCommitted, Reached: int64(len(records)), Generation: history.Unknown,
		})
	}
}

func (s *synthetic) writeLog(dir, name string, ops []history.Op) {
	s.t.Helper()
	w, err := history.Create(rundir.Log(dir, name, 1), history.Header{
		Version: 1, Run: 0xaa, Partitions: []string{"orders/0", "orders/1"}, Producers: []string{"p0"},
		Self: history.Client{Name: name, Session: 1}, Guarantee: s.meta.Guarantee, Starts: map[int32]int64{0: 0, 1: 0},
	})
	s.must(err)
	slices.SortStableFunc(ops, func(a, b history.Op) int { return cmp.Compare(a.Return, b.Return) })
	for i := range ops {
		s.must(w.Append(&ops[i]))
	}
	s.must(w.Close())
}

func (s *synthetic) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}
