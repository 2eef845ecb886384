package check

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	log "github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
)

// kept is a look into a broker's logs: the sequences of p0's first session that it shows, from the offset that equals the
// first of them on.
type kept struct {
	broker int32
	at     int64 // ms of the measured part
	state  string
	from   int64
	seqs   []int64
	end    bool // after the final read, and all that the broker said was read
	silent bool // at the end, but what it said was not read
}

// seqsTo are the sequences below n.
func seqsTo(n int64, but ...int64) []int64 {
	var list []int64
	for i := range n {
		if !slices.Contains(but, i) {
			list = append(list, i)
		}
	}
	return list
}

// withLooks writes looks into a run directory.
func withLooks(t *testing.T, looks []kept, truncated ...rundir.Truncation) func(dir string) {
	return func(dir string) {
		meta, err := rundir.Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		brokers := filepath.Join(dir, rundir.BrokersDir)
		if err := os.MkdirAll(brokers, 0o755); err != nil {
			t.Fatal(err)
		}
		numbers := map[int32]int{}
		for _, k := range looks {
			numbers[k.broker]++
			l := rundir.Look{
				Broker: k.broker, Number: numbers[k.broker], At: meta.Clock.MeasureStart + k.at*ms, State: k.state, AfterAll: k.end || k.silent, ToldAll: k.end,
				Partitions: map[string]rundir.Extent{"orders/0": {From: k.from, End: k.from}},
			}
			l.Log = writeLook(t, brokers, k, l.Number, l.Partitions["orders/0"])
			meta.Looks = append(meta.Looks, l)
		}
		meta.Truncated = truncated
		if err := meta.Save(dir); err != nil {
			t.Fatal(err)
		}
	}
}

func writeLook(t *testing.T, dir string, k kept, number int, e rundir.Extent) rundir.LogFile {
	t.Helper()
	self := log.Client{Name: "broker-" + string(rune('0'+k.broker)), Session: int32(number)}
	name := self.Name + "." + string(rune('0'+number)) + ".log"
	w, err := log.Create(filepath.Join(dir, name), log.Header{Run: 7, Partitions: []string{"orders/0"}, Producers: []string{"p0", "p1"}, Self: self})
	if err != nil {
		t.Fatal(err)
	}
	o := op(log.FinalRead)
	o.Pass, o.Reached = 1, e.End
	for _, seq := range k.seqs {
		if seq >= k.from {
			o.Records = append(o.Records, log.Record{Offset: seq, Epoch: 4, Value: log.Value{Session: 1, Seq: seq}})
		}
	}
	o.Records = append(o.Records, log.Record{Offset: 9999, Flags: log.Foreign, Value: log.NoValue})
	if err := w.Append(&o); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	size, sum, err := log.Digest(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return rundir.LogFile{File: name, Bytes: size, Sum: sum}
}

// The record with sequence 100, sent to offset 100, is lost.
func TestBrokersLogsTellHowARecordWasLost(t *testing.T) {
	cut := func(broker int32, offset, at int64) rundir.Truncation {
		return rundir.Truncation{Broker: broker, Partition: "orders/0", Offset: offset, At: 100*ms + at*ms}
	}
	whole, without := seqsTo(sends), seqsTo(sends, 100)
	for _, c := range []struct {
		name  string
		looks []kept
		cuts  []rundir.Truncation
		blind bool // the offset was not told
		want  []string
	}{
		{"nobody looked", nil, nil, false, nil},
		{"the old leader had it, and truncated", []kept{{broker: 2, at: 800, state: "paused", seqs: seqsTo(90)}, {broker: 1, at: 1000, state: "dead", seqs: seqsTo(110)},
			{broker: 1, at: 3900, end: true, seqs: without}, {broker: 2, at: 3900, end: true, seqs: without}, {broker: 3, at: 3900, end: true, seqs: without}},
			[]rundir.Truncation{cut(1, 95, 2100), cut(1, 90, 2200), cut(1, 50, 300)}, false,
			[]string{"broker 1 had it at offset 100 (epoch 4) when it was down, at 1.000s, until it truncated orders/0 to offset 95 at 2.100s", "brokers 2 and 3 never had it"}},
		{"it reached no log", []kept{{broker: 1, at: 1000, state: "dead", seqs: seqsTo(90)}, {broker: 1, at: 3900, end: true, seqs: without}, {broker: 2, at: 3900, end: true, seqs: without}},
			[]rundir.Truncation{cut(2, 101, 2100)}, false, []string{"brokers 1 and 2 never had it: it reached no log"}},
		{"the same, and its offset was not told", []kept{{broker: 1, at: 1000, state: "dead", seqs: seqsTo(90)}, {broker: 1, at: 3900, end: true, seqs: without}}, nil, true,
			[]string{"broker 1 never had it: it reached no log"}},
		{"a truncation may have taken it unseen", []kept{{broker: 2, at: 800, state: "paused", seqs: seqsTo(90)}, {broker: 2, at: 3900, end: true, seqs: without}}, []rundir.Truncation{cut(2, 100, 2100)}, false,
			[]string{"broker 2 did not have it when it was paused, at 0.800s, nor at the end"}},
		{"what the broker said was not read", []kept{{broker: 2, at: 3900, silent: true, seqs: without}}, nil, false, []string{"broker 2 did not have it at the end"}},
		{"somebody has it still", []kept{{broker: 3, at: 3900, end: true, seqs: whole}, {broker: 1, at: 3900, end: true, seqs: without}}, nil, false,
			[]string{"broker 3 still has it, at offset 100 (epoch 4)", "broker 1 never had it"}},
		{"gone, and nobody knows how", []kept{{broker: 1, at: 1000, state: "dead", seqs: seqsTo(110)}, {broker: 1, at: 3900, silent: true, seqs: without}}, nil, false,
			[]string{"broker 1 had it at offset 100 (epoch 4) when it was down, at 1.000s, and no more at the end"}},
		{"nobody looked later", []kept{{broker: 1, at: 1000, state: "paused", seqs: seqsTo(110)}}, nil, false,
			[]string{"broker 1 had it at offset 100 (epoch 4) when it was paused, at 1.000s"}},
		{"only the newest part was looked at", []kept{{broker: 1, at: 3900, end: true, from: 200, seqs: without}}, nil, false, []string{"broker 1: only offsets from 200 on were looked at"}},
		{"of unknown offset, and only the newest part was looked at", []kept{{broker: 1, at: 3900, end: true, from: 50, seqs: without}}, nil, true, []string{"broker 1: only offsets from 50 on were looked at"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := goodRun()
			r.lose(100)
			if ops := *r.of("p0"); c.blind {
				ops[100].Offset = log.Unknown
			}
			r.then = withLooks(t, c.looks, c.cuts...)
			j := r.judge(t)
			w := witnessOf(t, j, lostWrite)
			if !slices.Equal(w.Brokers, c.want) || j.Verdict != Violated || len(j.Warnings) > 0 {
				t.Errorf("%v, brokers\n%s\nwant\n%s\nwarnings %q", j.Verdict, strings.Join(w.Brokers, "\n"), strings.Join(c.want, "\n"), j.Warnings)
			}
		})
	}
}

func TestBrokersLogsTellOfAllLostRecordsTogether(t *testing.T) {
	r := goodRun()
	for n := int64(100); n < 110; n++ {
		r.lose(n)
	}
	r.then = withLooks(t, []kept{{broker: 1, at: 1000, state: "dead", seqs: seqsTo(106)}, {broker: 1, at: 3900, end: true, seqs: seqsTo(100)},
		{broker: 2, at: 3900, end: true, seqs: seqsTo(102)}, {broker: 3, at: 3900, end: true, seqs: seqsTo(100)}},
		rundir.Truncation{Broker: 1, Partition: "orders/0", Offset: 100, At: 2100 * ms})
	j := r.judge(t)
	want := []string{"broker 1 had 6 of the lost records when it was down, at 1.000s, and 0 at the end; it truncated orders/0 to offset 100 at 2.000s",
		"broker 2 has 2 of the lost records at the end", "broker 3 had none of them whenever looked into", "4 of the lost records were in no log that was looked into"}
	for _, f := range j.Findings {
		if f.Anomaly == lostWrite && (f.Count != 10 || !slices.Equal(f.Brokers, want)) {
			t.Errorf("%d lost, brokers\n%s\nwant\n%s", f.Count, strings.Join(f.Brokers, "\n"), strings.Join(want, "\n"))
		}
		if f.Anomaly != lostWrite && len(f.Brokers) > 0 {
			t.Errorf("%s: %q", f.Anomaly, f.Brokers)
		}
	}
}

// What was kept of the brokers' logs decides nothing, whatever became of it.
func TestDamagedBrokersLogsTakeNothingAway(t *testing.T) {
	for name, spoil := range map[string]func(dir string) error{
		"the folder is gone": os.RemoveAll,
		"a log is gone":      func(dir string) error { return os.Remove(filepath.Join(dir, "broker-1.1.log")) },
		"a log was changed": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "broker-1.1.log"), []byte("something else"), 0o644)
		},
		"a log was cut": func(dir string) error {
			info, err := os.Stat(filepath.Join(dir, "broker-1.1.log"))
			if err != nil {
				return err
			}
			return os.Truncate(filepath.Join(dir, "broker-1.1.log"), info.Size()-1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := goodRun()
			r.lose(100)
			looks := withLooks(t, []kept{{broker: 1, at: 1000, state: "dead", seqs: seqsTo(110)}, {broker: 2, at: 1000, state: "dead", seqs: seqsTo(90)}})
			r.then = func(dir string) {
				looks(dir)
				if err := spoil(filepath.Join(dir, rundir.BrokersDir)); err != nil {
					t.Fatal(err)
				}
			}
			j := r.judge(t)
			w := witnessOf(t, j, lostWrite)
			if j.Verdict != Violated || len(w.Brokers) > 0 || len(w.Operations) == 0 || !slices.ContainsFunc(j.Warnings, func(s string) bool { return strings.Contains(s, "could not be searched") }) {
				t.Errorf("%v, brokers %q, warnings %q", j.Verdict, w.Brokers, j.Warnings)
			}
		})
	}
}

func TestNoLogHadAnyOfThem(t *testing.T) {
	r := goodRun()
	r.lose(100)
	r.lose(101)
	r.then = withLooks(t, []kept{{broker: 1, at: 1000, state: "paused", seqs: seqsTo(90)}, {broker: 2, at: 3900, end: true, seqs: seqsTo(sends, 100, 101)}})
	for _, f := range r.judge(t).Findings {
		if f.Anomaly == lostWrite && !slices.Equal(f.Brokers, []string{"no broker's log had any of the lost records, whenever it was looked into"}) {
			t.Errorf("%q", f.Brokers)
		}
	}
}

func TestARunThatHoldsSearchesNoLogs(t *testing.T) {
	r := goodRun()
	looks := withLooks(t, []kept{{broker: 1, at: 1000, state: "dead", seqs: seqsTo(110)}})
	r.then = func(dir string) {
		looks(dir)
		if err := os.RemoveAll(filepath.Join(dir, rundir.BrokersDir)); err != nil {
			t.Fatal(err)
		}
	}
	if j := r.judge(t); j.Verdict != Holds || len(j.Warnings) > 0 {
		t.Errorf("%v, %q, warnings %q", j.Verdict, j.Reasons, j.Warnings)
	}
}
