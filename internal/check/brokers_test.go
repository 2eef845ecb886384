package check

import (
	"cmp"
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

	problem  string // that the look met
	bare     bool   // the broker has no replica
	absent   bool   // nobody looked into this broker
	unlisted bool   // run.json does not tell of the look
	torn     bool   // its log ends too early, and did so when it was written
	run      uint64 // whose log it is, 0: this one's
	shifted  int64  // its records stand so much behind their places
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
			if k.absent {
				continue
			}
			l := rundir.Look{
				Broker: k.broker, Number: numbers[k.broker], At: meta.Clock.MeasureStart + k.at*ms, State: k.state, AfterAll: k.end || k.silent, ToldAll: k.end,
				Partitions: map[string]rundir.Extent{"orders/0": {From: k.from, End: k.from}},
			}
			if k.problem != "" {
				l.Problems = []string{k.problem}
			}
			if k.bare {
				l.Partitions = nil
			} else {
				l.Log = writeLook(t, brokers, k, l.Number, l.Partitions["orders/0"])
			}
			if !k.unlisted {
				meta.Looks = append(meta.Looks, l)
			}
		}
		meta.Cluster.Brokers = len(numbers)
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
	w, err := log.Create(filepath.Join(dir, name), log.Header{Run: cmp.Or(k.run, 7), Partitions: []string{"orders/0"}, Producers: []string{"p0", "p1"}, Self: self})
	if err != nil {
		t.Fatal(err)
	}
	o := op(log.FinalRead)
	o.Pass, o.Reached = 1, e.End
	for _, seq := range k.seqs {
		if seq >= k.from {
			o.Records = append(o.Records, log.Record{Offset: seq + k.shifted, Epoch: 4, Value: log.Value{Session: 1, Seq: seq}})
		}
	}
	o.Records = append(o.Records, log.Record{Offset: 9999, Flags: log.Foreign, Value: log.NoValue})
	if err := w.Append(&o); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if k.torn {
		shorten(t, filepath.Join(dir, name))
	}
	size, sum, err := log.Digest(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return rundir.LogFile{File: name, Bytes: size, Sum: sum}
}

// shorten takes a file's last byte.
func shorten(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, info.Size()-1); err != nil {
		t.Fatal(err)
	}
}

// The record with sequence 100, sent to offset 100, is lost.
func TestBrokersLogsTellHowARecordWasLost(t *testing.T) {
	cut := func(broker int32, offset, at int64) rundir.Truncation {
		return rundir.Truncation{Broker: broker, Partition: "orders/0", Offset: offset, At: 100*ms + at*ms}
	}
	early := func(t rundir.Truncation) rundir.Truncation { t.At--; return t }
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
		{"it would stand at the first offset that was looked at", []kept{{broker: 1, at: 3900, end: true, from: 100, seqs: without}}, nil, false, []string{"broker 1 never had it: it reached no log"}},
		{"it would stand right before the first offset that was looked at", []kept{{broker: 1, at: 1000, state: "dead", from: 200, seqs: without}, {broker: 1, at: 3900, end: true, from: 101, seqs: without}}, nil, false,
			[]string{"broker 1: only offsets from 101 on were looked at"}},
		{"looked at closely while the broker was down, and not at the end", []kept{{broker: 1, at: 1000, state: "dead", seqs: without}, {broker: 1, at: 3900, end: true, from: 101, seqs: without}}, nil, false,
			[]string{"broker 1 did not have it when it was down, at 1.000s"}},
		{"a broker that was never looked into", []kept{{broker: 1, at: 3900, end: true, seqs: without}, {broker: 2, at: 3900, end: true, seqs: without}, {broker: 3, absent: true}}, nil, false,
			[]string{"brokers 1 and 2 never had it"}},
		{"a broker without a replica", []kept{{broker: 1, at: 3900, end: true, bare: true}, {broker: 2, at: 3900, end: true, seqs: without}, {broker: 3, at: 3900, end: true, seqs: whole}}, nil, false,
			[]string{"broker 3 still has it, at offset 100 (epoch 4)", "broker 2 never had it"}},
		{"in no log, and one broker has no replica", []kept{{broker: 1, at: 3900, end: true, bare: true}, {broker: 2, at: 3900, end: true, seqs: without}}, nil, false,
			[]string{"broker 2 never had it: it reached no log"}},
		{"one had it not, one has it, and one never had it", []kept{{broker: 1, at: 3900, silent: true, seqs: without}, {broker: 2, at: 3900, end: true, seqs: whole}, {broker: 3, at: 3900, end: true, seqs: without}}, nil, false,
			[]string{"broker 2 still has it, at offset 100 (epoch 4)", "broker 1 did not have it at the end", "broker 3 never had it"}},
		{"one had it not, one had it once, and one never had it", []kept{{broker: 1, at: 3900, silent: true, seqs: without}, {broker: 2, at: 900, state: "dead", seqs: whole}, {broker: 3, at: 3900, end: true, seqs: without}}, nil, false,
			[]string{"broker 2 had it at offset 100 (epoch 4) when it was down, at 0.900s", "broker 1 did not have it at the end", "broker 3 never had it"}},
		{"one may have had it, and another never had it", []kept{{broker: 1, at: 3900, silent: true, seqs: without}, {broker: 2, at: 3900, end: true, seqs: without}}, nil, false,
			[]string{"broker 1 did not have it at the end", "broker 2 never had it"}},
		{"came late, and went", []kept{{broker: 1, at: 800, state: "running", seqs: seqsTo(90)}, {broker: 1, at: 1000, state: "dead", seqs: seqsTo(110)}, {broker: 1, at: 2000, state: "dead", seqs: without},
			{broker: 1, at: 3900, end: true, seqs: without}}, nil, false, []string{"broker 1 had it at offset 100 (epoch 4) when it was down, at 1.000s, and no more when it was down, at 2.000s"}},
		{"looks are told by time, in whatever order they were entered", []kept{{broker: 1, at: 1000, state: "dead", seqs: seqsTo(110)}, {broker: 1, at: 3900, silent: true, seqs: without}, {broker: 1, at: 800, state: "dead", seqs: seqsTo(110)},
			{broker: 2, at: 3900, silent: true, seqs: without}, {broker: 2, at: 700, state: "running", seqs: seqsTo(90)}}, nil, false,
			[]string{"broker 1 had it at offset 100 (epoch 4) when it was down, at 1.000s, and no more at the end", "broker 2 did not have it while it ran, at 0.700s, nor at the end"}},
		{"found at an offset that the acknowledgement did not tell", []kept{{broker: 1, at: 1000, state: "dead", seqs: seqsTo(110), shifted: 2}, {broker: 1, at: 3900, silent: true, from: 50, seqs: without}},
			[]rundir.Truncation{cut(1, 103, 1500), cut(1, 102, 1600)}, true,
			[]string{"broker 1 had it at offset 102 (epoch 4) when it was down, at 1.000s, until it truncated orders/0 to offset 102 at 1.600s"}},
		{"the same, and gone nobody knows how", []kept{{broker: 1, at: 1000, state: "dead", seqs: seqsTo(110)}, {broker: 1, at: 3900, silent: true, from: 50, seqs: without}}, nil, true,
			[]string{"broker 1 had it at offset 100 (epoch 4) when it was down, at 1.000s, and no more at the end"}},
		{"of unknown offset, and any truncation may have taken it", []kept{{broker: 1, at: 3900, end: true, seqs: without}}, []rundir.Truncation{cut(1, 95, 2100)}, true, []string{"broker 1 did not have it at the end"}},
		{"the first offset of all was cut off", []kept{{broker: 1, at: 1000, state: "dead", seqs: seqsTo(110)}, {broker: 1, at: 3900, end: true, seqs: without}}, []rundir.Truncation{cut(1, 0, 1500)}, false,
			[]string{"broker 1 had it at offset 100 (epoch 4) when it was down, at 1.000s, until it truncated orders/0 to offset 0 at 1.500s"}},
		{"the broker's clock is 5 ms behind", []kept{{broker: 1, at: 1000, state: "dead", seqs: seqsTo(110)}}, []rundir.Truncation{early(cut(1, 90, 995)), cut(1, 91, 995)}, false,
			[]string{"broker 1 had it at offset 100 (epoch 4) when it was down, at 1.000s, until it truncated orders/0 to offset 91 at 0.995s"}},
		{"two truncations in one millisecond", []kept{{broker: 1, at: 1000, state: "dead", seqs: seqsTo(110)}}, []rundir.Truncation{cut(1, 95, 2100), cut(1, 91, 2100)}, false,
			[]string{"broker 1 had it at offset 100 (epoch 4) when it was down, at 1.000s, until it truncated orders/0 to offset 95 at 2.100s"}},
		{"a log that run.json does not tell of", []kept{{broker: 1, at: 1000, state: "dead", seqs: seqsTo(110), unlisted: true}, {broker: 1, at: 3900, end: true, seqs: without}}, nil, false,
			[]string{"broker 1 never had it: it reached no log"}},
		{"of unknown offset, and the first record was not looked at", []kept{{broker: 1, at: 3900, end: true, from: 1, seqs: without}}, nil, true, []string{"broker 1: only offsets from 1 on were looked at"}},
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

// The records with the sequences from 100 to 109 are lost.
func TestBrokersLogsTellOfAllLostRecordsTogether(t *testing.T) {
	cut := func(broker int32, offset, at int64) rundir.Truncation {
		return rundir.Truncation{Broker: broker, Partition: "orders/0", Offset: offset, At: 100*ms + at*ms}
	}
	early := func(t rundir.Truncation) rundir.Truncation { t.At--; return t }
	dead := func(broker int32, at, to int64) kept {
		return kept{broker: broker, at: at, state: "dead", seqs: seqsTo(to)}
	}
	end := func(broker int32, to int64) kept { return kept{broker: broker, at: 3900, end: true, seqs: seqsTo(to)} }
	for _, c := range []struct {
		name  string
		looks []kept
		cuts  []rundir.Truncation
		want  []string
	}{
		{"cut off, or never there", []kept{dead(1, 1000, 106), end(1, 100), end(2, 102), end(3, 100)}, []rundir.Truncation{cut(1, 100, 2000)},
			[]string{"broker 1 had 6 of the lost records when it was down, at 1.000s, and 0 at the end; it truncated orders/0 to offset 100 at 2.000s",
				"broker 2 has 2 of the lost records at the end", "broker 3 had none of them whenever looked into", "4 of the lost records were in no log that was looked into"}},
		{"all were seen somewhere", []kept{dead(1, 1000, 110), end(1, 100), end(2, 101)}, nil,
			[]string{"broker 1 had 10 of the lost records when it was down, at 1.000s, and 0 at the end", "broker 2 has 1 of the lost records at the end"}},
		{"all but one", []kept{dead(1, 1000, 109), end(1, 100)}, nil,
			[]string{"broker 1 had 9 of the lost records when it was down, at 1.000s, and 0 at the end", "1 of the lost records were in no log that was looked into"}},
		{"not looked into at the end", []kept{dead(1, 1000, 110), dead(2, 1000, 103), dead(2, 1100, 102)}, nil,
			[]string{"broker 1 had 10 of the lost records when it was down, at 1.000s", "broker 2 had 3 of the lost records when it was down, at 1.000s"}},
		{"they are all still there", []kept{dead(1, 1000, 110), end(1, 110)}, nil, []string{"broker 1 has 10 of the lost records at the end"}},
		{"in none", []kept{dead(1, 1000, 90), end(1, 100), end(2, 100)}, nil, []string{"no broker's log had any of the lost records, whenever it was looked into"}},
		{"only its own truncations, and those that came later", []kept{dead(1, 1000, 110), end(1, 100), dead(2, 1000, 110), end(2, 100)},
			[]rundir.Truncation{early(cut(1, 80, 995)), cut(1, 100, 995), cut(2, 101, 2000), cut(1, 99, 2100)},
			[]string{"broker 1 had 10 of the lost records when it was down, at 1.000s, and 0 at the end; it truncated orders/0 to offset 100 at 0.995s, orders/0 to offset 99 at 2.100s",
				"broker 2 had 10 of the lost records when it was down, at 1.000s, and 0 at the end; it truncated orders/0 to offset 101 at 2.000s"}},
		{"three truncations", []kept{dead(1, 1000, 110), end(1, 100)}, []rundir.Truncation{cut(1, 103, 1100), cut(1, 102, 1200), cut(1, 101, 1300)},
			[]string{"broker 1 had 10 of the lost records when it was down, at 1.000s, and 0 at the end; it truncated orders/0 to offset 103 at 1.100s, orders/0 to offset 102 at 1.200s, 1 more"}},
		{"many truncations", []kept{dead(1, 1000, 110), end(1, 100)}, []rundir.Truncation{cut(1, 103, 1100), cut(1, 102, 1200), cut(1, 101, 1300), cut(1, 100, 1400), cut(1, 99, 1500)},
			[]string{"broker 1 had 10 of the lost records when it was down, at 1.000s, and 0 at the end; it truncated orders/0 to offset 103 at 1.100s, orders/0 to offset 102 at 1.200s, 3 more"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := goodRun()
			for n := int64(100); n < 110; n++ {
				r.lose(n)
			}
			final := &(*r.of("final"))[1]
			final.Records = append(final.Records, log.Record{Offset: sends - 1, Value: log.Value{Session: 1, Seq: 5}}) // and one is a duplicate
			r.then = withLooks(t, c.looks, c.cuts...)
			j := r.judge(t)
			if n := found(j); n[lostWrite] != 10 || n[duplicate] != 1 || len(j.Warnings) > 0 {
				t.Errorf("%v, warnings %q", n, j.Warnings)
			}
			for _, f := range j.Findings {
				if f.Anomaly == lostWrite && !slices.Equal(f.Brokers, c.want) {
					t.Errorf("brokers\n%s\nwant\n%s", strings.Join(f.Brokers, "\n"), strings.Join(c.want, "\n"))
				}
				if f.Anomaly != lostWrite && (len(f.Brokers) > 0 || slices.ContainsFunc(f.Witnesses, func(w Witness) bool { return len(w.Brokers) > 0 })) {
					t.Errorf("%s is no loss: %+v", f.Anomaly, f)
				}
			}
		})
	}
}

// What was kept of the brokers' logs decides nothing, whatever became of it.
func TestDamagedBrokersLogsTakeNothingAway(t *testing.T) {
	first := func(dir string) string { return filepath.Join(dir, "broker-1.1.log") }
	for _, c := range []struct {
		name, why string
		run       uint64 // that the logs are of
		spoil     func(dir string) error
	}{
		{"the folder is gone", "no logs in", 0, os.RemoveAll},
		{"a log is gone", "broker-1.1.log: no such file", 0, func(dir string) error { return os.Remove(first(dir)) }},
		{"a log was changed", "not a history log", 0, func(dir string) error { return os.WriteFile(first(dir), []byte("something else"), 0o644) }},
		{"a log was cut", "broker-1.1.log is not as it was written", 0, func(dir string) error { shorten(t, first(dir)); return nil }},
		{"another log stands in its place", "broker-1.1.log is not as it was written", 0, func(dir string) error { copyFile(filepath.Join(dir, "broker-2.1.log"), first(dir)); return nil }},
		{"they are of another run", "they are of run 0000000000000008", 8, func(string) error { return nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := goodRun()
			r.lose(100)
			looks := withLooks(t, []kept{{broker: 1, at: 1000, state: "dead", seqs: seqsTo(110), run: c.run}, {broker: 2, at: 1000, state: "dead", seqs: seqsTo(90), run: c.run}})
			r.then = func(dir string) {
				looks(dir)
				if err := c.spoil(filepath.Join(dir, rundir.BrokersDir)); err != nil {
					t.Fatal(err)
				}
			}
			j := r.judge(t)
			w := witnessOf(t, j, lostWrite)
			if j.Verdict != Violated || len(w.Brokers) > 0 || len(w.Operations) == 0 {
				t.Errorf("%v, brokers %q, told\n%s", j.Verdict, w.Brokers, told(w))
			}
			if len(j.Warnings) != 1 || !strings.HasPrefix(j.Warnings[0], "the brokers' logs could not be searched: ") || !strings.Contains(j.Warnings[0], c.why) {
				t.Errorf("warnings %q do not say %q", j.Warnings, c.why)
			}
		})
	}
}

// A search that crashes takes nothing away.
func TestASearchThatCrashesIsAWarning(t *testing.T) {
	tr := &trial{run: run{meta: rundir.Meta{Looks: []rundir.Look{{Broker: 1}}}}} // it has no history
	j := Judgement{Verdict: Violated, Findings: []Finding{{Anomaly: lostWrite, Count: 1}}}
	tr.crossCheck(&j)
	if len(j.Findings) != 1 || len(j.Warnings) != 1 || !strings.Contains(j.Warnings[0], "could not be searched") || !strings.Contains(j.Warnings[0], "brokers.go:") {
		t.Errorf("%+v", j)
	}
}

// What a look did not see it does not deny, and the judgement says what it met.
func TestALookThatMetAProblemSaysNeverOfNothing(t *testing.T) {
	without := seqsTo(sends, 100)
	damaged := "orders/0: 00000000000000000000.log at byte 900: the checksum of the batch at offset 98 is wrong"
	for _, c := range []struct {
		name  string
		looks []kept
		want  []string
		warns []string
	}{
		{"a batch is damaged at the end", []kept{{broker: 1, at: 3900, end: true, seqs: without, problem: damaged}, {broker: 2, at: 3900, end: true, seqs: without}},
			[]string{"broker 1 did not have it at the end", "broker 2 never had it"}, []string{"look 1 into broker 1's logs: " + damaged}},
		{"a batch was damaged when the broker was down", []kept{{broker: 1, at: 1000, state: "dead", seqs: seqsTo(90), problem: damaged}, {broker: 1, at: 3900, end: true, seqs: without}},
			[]string{"broker 1 never had it: it reached no log"}, []string{"look 1 into broker 1's logs: " + damaged}},
		{"one broker's folder cannot be read", []kept{{broker: 1, at: 3900, end: true, seqs: without}, {broker: 2, at: 3900, end: true, bare: true, problem: "permission denied"}},
			[]string{"broker 1 never had it"}, []string{"look 1 into broker 2's logs: permission denied"}},
		{"what was kept of it ended early already then", []kept{{broker: 1, at: 3900, end: true, seqs: without, torn: true}, {broker: 2, at: 3900, end: true, seqs: seqsTo(110)}},
			[]string{"broker 2 still has it, at offset 100 (epoch 4)", "broker 1 never had it"}, []string{"broker-1.1.log of the brokers' logs is torn at byte"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := goodRun()
			r.lose(100)
			r.then = withLooks(t, c.looks)
			j := r.judge(t)
			if w := witnessOf(t, j, lostWrite); !slices.Equal(w.Brokers, c.want) {
				t.Errorf("brokers\n%s\nwant\n%s", strings.Join(w.Brokers, "\n"), strings.Join(c.want, "\n"))
			}
			if !slices.EqualFunc(j.Warnings, c.warns, strings.HasPrefix) {
				t.Errorf("warnings %q, want %q", j.Warnings, c.warns)
			}
		})
	}
}

// What no reader got, and no final read covers, is searched for as well.
func TestBrokersLogsTellOfWhatIsUnseen(t *testing.T) {
	r := goodRun()
	r.set("final", nil)
	r.meta.FinalRead = rundir.FinalRead{}
	r.without("c0", func(o log.Op) bool { return o.Records[0].Offset >= sends-1 })
	r.then = withLooks(t, []kept{{broker: 1, at: 3500, state: "dead", seqs: seqsTo(sends)}})
	want := []string{"broker 1 had it at offset 299 (epoch 4) when it was down, at 3.500s"}
	if w := witnessOf(t, r.judge(t), unseen); !slices.Equal(w.Brokers, want) {
		t.Errorf("%q, want %q", w.Brokers, want)
	}
}

func TestOnlySeveralLostRecordsAreToldTogether(t *testing.T) {
	for lost, want := range map[int64][]string{1: nil, 2: {"broker 1 has 2 of the lost records at the end"}} {
		r := goodRun()
		for n := range lost {
			r.lose(100 + n)
		}
		r.then = withLooks(t, []kept{{broker: 1, at: 3900, end: true, seqs: seqsTo(sends)}})
		for _, f := range r.judge(t).Findings {
			if f.Anomaly == lostWrite && !slices.Equal(f.Brokers, want) {
				t.Errorf("%d lost: %q, want %q", lost, f.Brokers, want)
			}
		}
	}
}

// A truncation takes what stands at its offset and behind it, at the log's beginning too.
func TestATruncationBehindTheFirstRecordDoesNotTakeIt(t *testing.T) {
	for offset, want := range map[int64]string{0: "broker 1 did not have it at the end", 1: "broker 1 never had it: it reached no log"} {
		r := goodRun()
		r.lose(0)
		r.then = withLooks(t, []kept{{broker: 1, at: 3900, end: true, seqs: seqsTo(sends, 0)}}, rundir.Truncation{Broker: 1, Partition: "orders/0", Offset: offset, At: 2000 * ms})
		if w := witnessOf(t, r.judge(t), lostWrite); !slices.Equal(w.Brokers, []string{want}) {
			t.Errorf("truncated to %d: %q, want %q", offset, w.Brokers, want)
		}
	}
}

func TestARunThatLosesNothingSearchesNoLogs(t *testing.T) {
	for anomaly, spoil := range map[string]func(*recorded){
		"": func(*recorded) {},
		duplicate: func(r *recorded) {
			final := &(*r.of("final"))[1]
			final.Records[sends-1].Value.Seq = 5
			r.without("p0", seq(sends-1))
			r.without("c0", seq(sends-1))
			r.meta.Workers[0].Counters["sent"]--
			r.meta.Workers[1].Counters["read"]--
		},
	} {
		r := goodRun()
		spoil(r)
		looks := withLooks(t, []kept{{broker: 1, at: 1000, state: "dead", seqs: seqsTo(110)}})
		r.then = func(dir string) {
			looks(dir)
			if err := os.RemoveAll(filepath.Join(dir, rundir.BrokersDir)); err != nil {
				t.Fatal(err)
			}
		}
		if j := r.judge(t); j.Verdict != Holds || len(j.Warnings) > 0 || anomaly != "" && found(j)[anomaly] != 1 {
			t.Errorf("%v, %v, %q, warnings %q", j.Verdict, found(j), j.Reasons, j.Warnings)
		}
	}
}
