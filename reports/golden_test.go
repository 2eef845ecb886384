package reports

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kbench/kbench/internal/check"
	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
	"github.com/kbench/kbench/internal/stats"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with a file in testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; -update writes it anew. Now:\n%s", path, got)
	}
}

// summarized measures a synthetic run directory and puts a judgement beside its figures.
func summarized(t *testing.T, s *synthetic, j check.Judgement) Summary {
	t.Helper()
	f, err := stats.Dir(s.write())
	if err != nil {
		t.Fatal(err)
	}
	return Summary{Document: Build(s.meta, j, f), Meta: s.meta, Dir: "kbench-runs/" + s.meta.Scenario}
}

const scope = "confluent-kafka-go 2.15.0 against Apache Kafka 4.3.1, read back by franz-go 1.22.2. Not excluded: loss of power, " +
	"which nothing here can show."

func leaderKill(t *testing.T) *synthetic {
	s := newSynthetic(t, "at-least-once-leader-kill")
	s.meta.Twin = "at-least-once-leader-kill-acks-1"
	s.fault("kill", "broker 1", 3, 7, []string{"leader of orders/0 moved 1→2, epoch 0→1"}, []string{"12 sends were answered with NOT_LEADER_OR_FOLLOWER and retried"})
	s.load(3, 5)
	return s
}

func holds(t *testing.T) Summary {
	s := leaderKill(t)
	s.meta.Thresholds = []string{"ack.p99 < 2s", "throughput > 990/s"}
	return summarized(t, s, check.Judgement{
		Guarantee: "at-least-once", Expected: "holds", Verdict: check.Holds, AsExpected: true, Scope: scope,
		Counts: check.Counts{Sent: 11_000, Acked: 11_000, Read: 11_000},
		Faults: []check.FaultJudgement{{AtRisk: ptr(uint64(1000)), LossRate95: ptr(0.003)}}, AtRisk: ptr(uint64(1000)),
	})
}

func followersPaused(t *testing.T) (*synthetic, check.Judgement) {
	s := newSynthetic(t, "at-least-once-followers-paused-acks-1")
	s.meta.Twin, s.meta.Judged.Acks, s.meta.Load.RatePerS = "at-least-once-followers-paused", "1", nil
	s.meta.Expect = rundir.Expect{Violated: true, Anomalies: []string{"lost-write"}}
	s.fault("pause", "brokers 2 and 3", 0, 3, []string{"processes of brokers 2 and 3 were stopped"}, nil)
	s.fault("kill", "broker 1", 2, 6, []string{"process 17 of broker 1 is dead", "leader of orders/0 moved 1→2, epoch 0→1",
		"ISR of orders/0 shrank 1,2,3→2,3", "broker 1 is fenced: the cluster lists it no more", "broker 1 is running again, process 18",
		"broker 1 is registered again"}, nil)
	for n := range 1010 {
		s.send(0, 2500+float64(n)/10, 2501+float64(n)/10, history.OK, n < 10)
	}
	lost := check.Witness{Partition: "orders/0", Offset: ptr(int64(10)), Value: "p0/1/10", At: ptr(2502 * ms), During: "pause brokers 2 and 3",
		Detail: "acknowledged at offset 10, which the log ends before",
		Operations: []check.Operation{
			{Op: "fault", Call: ptr(2 * sec), At: ptr(2 * sec), Fault: ptr(0), Text: "pause brokers 2 and 3"},
			{Op: "send", Client: "p0", Call: ptr(2500 * ms), At: ptr(2502 * ms), Text: "p0 sends p0/1/10 to orders/0", Result: "ok after 2ms, offset 10"},
			{Op: "final-read", Text: "final read, pass 1", Result: "p0/1/10 is not there, the log ends at 10"},
		},
		Brokers: []string{"broker 1 had it at offset 10 (epoch 0) when it was down, at 2.000s, until it truncated orders/0 to offset 10 at 6.200s",
			"brokers 2 and 3 never had it"}}
	return s, check.Judgement{
		Guarantee: "at-least-once", Expected: "violated", Verdict: check.Violated, AsExpected: true, Scope: scope,
		Reasons: []string{"lost-write decides against at-least-once"},
		Counts:  check.Counts{Sent: 1010, Acked: 1010, Read: 10, Lost: 1000},
		Findings: []check.Finding{
			{Anomaly: "lost-write", Decides: true, Count: 1000, Checked: 1010, Witnesses: []check.Witness{lost, lost, lost, lost, lost},
				Brokers: []string{"broker 1 had 1000 of the lost records when it was down, at 2.000s, and 0 at the end", "brokers 2 and 3 had none of them whenever looked into"}},
			{Anomaly: "nonmonotonic-poll", Count: 2, Checked: 10, Witnesses: []check.Witness{{Value: "p0/1/3"}}},
		},
		Faults: []check.FaultJudgement{
			{Name: "pause", Target: "brokers 2 and 3", From: 2 * sec, To: 5 * sec, Healed: true, AtRisk: ptr(uint64(1010)), LossRate95: check.LossRate95(1010)},
			{Name: "kill", Target: "broker 1", From: 4 * sec, To: 8 * sec, Bit: ptr(false)},
		},
		AtRisk: ptr(uint64(1010)),
	}
}

func violatedAsExpected(t *testing.T) Summary {
	s, j := followersPaused(t)
	return summarized(t, s, j)
}

func violated(t *testing.T) Summary {
	s, j := followersPaused(t)
	s.meta.Expect, s.meta.Scenario = rundir.Expect{}, "my-cluster"
	j.Expected, j.AsExpected = "holds", false
	return summarized(t, s, j)
}

func inconclusive(t *testing.T) Summary {
	s := newSynthetic(t, "at-least-once-leader-kill")
	s.fault("kill", "broker 1", 3, 7, nil, nil)
	s.meta.Faults[0].Error = "the leader did not move within 30s"
	s.load(0, 0)
	s.meta.FinalRead = rundir.FinalRead{Problems: []string{"orders/1 was read to 5,000 of 5,500"}}
	return summarized(t, s, check.Judgement{
		Guarantee: "at-least-once", Expected: "holds", Scope: scope,
		Reasons: []string{"kill broker 1: no evidence that it bit", "the final read did not reach the end of orders/1"},
		Counts:  check.Counts{Sent: 11_000, Acked: 11_000, Read: 10_500},
		Faults:  []check.FaultJudgement{{}},
	})
}

func simulated(t *testing.T) Summary {
	s := newSynthetic(t, "latency-only")
	s.meta.Guarantee, s.meta.Thresholds = "", []string{"ack.p99 < 2ms", "unavailable < 1s"}
	s.meta.Cluster = rundir.ClusterInfo{Kind: "embedded", Simulated: true, Software: "kfake", Brokers: 3}
	s.meta.Cell = map[string]string{"client.linger.ms": "5", "client.acks": "1"}
	s.load(0, 0)
	return summarized(t, s, check.Judgement{
		Verdict: check.Unjudged, AsExpected: true, Counts: check.Counts{Sent: 11_000, Acked: 11_000, Read: 11_000},
	})
}

func interrupted(t *testing.T) Summary {
	s := leaderKill(t)
	s.meta.Stage, s.meta.Error = rundir.Interrupted, "interrupt signal"
	for p := range s.log { // nothing is answered after 4 s
		s.log[p] = nil
	}
	s.sends, s.polls = s.sends[:3000], s.polls[:3000]
	s.meta.Faults[0].Healed = nil
	for n := range 500 {
		s.send(0, 5000+float64(n), 6000, history.Indeterminate, false)
	}
	s.meta.Clock.LoadEnd = 6 * sec
	return summarized(t, s, check.Judgement{
		Guarantee: "at-least-once", Expected: "holds", Scope: scope, Reasons: []string{"the run was interrupted", "there was no final read"},
		Counts: check.Counts{Sent: 3500, Acked: 3000, Indeterminate: 500, Read: 3000},
		Faults: []check.FaultJudgement{{AtRisk: ptr(uint64(500))}}, AtRisk: ptr(uint64(500)),
	})
}

// runs are the cases of the golden files, and how each ends.
func runs() map[string]struct {
	of   func(*testing.T) Summary
	exit int
} {
	return map[string]struct {
		of   func(*testing.T) Summary
		exit int
	}{
		"holds":                {holds, 0},
		"violated-as-expected": {violatedAsExpected, 0},
		"violated":             {violated, 1},
		"inconclusive":         {inconclusive, 3},
		"simulated":            {simulated, 5},
		"interrupted":          {interrupted, 130},
		"limited":              {limited, 0},
	}
}

func TestText(t *testing.T) {
	for name, run := range runs() {
		t.Run(name, func(t *testing.T) {
			var plain, coloured bytes.Buffer
			s := run.of(t)
			if err := Text(&plain, s, Style{}); err != nil {
				t.Fatal(err)
			}
			if err := Text(&coloured, s, Style{Color: true}); err != nil {
				t.Fatal(err)
			}
			if s.Document.ExitCode != run.exit {
				t.Errorf("exit %d, want %d", s.Document.ExitCode, run.exit)
			}
			fits(t, plain.String())
			if strings.Contains(plain.String(), "\x1b") || !strings.HasPrefix(coloured.String(), "\x1b[1;3") {
				t.Error("colours where none were asked for, or none where they were")
			}
			golden(t, name+".txt", plain.Bytes())
		})
	}
}

func TestJSON(t *testing.T) {
	for name, run := range runs() {
		t.Run(name, func(t *testing.T) {
			d := run.of(t).Document
			if err := valid(t, d); err != nil {
				t.Error(err)
			}
			var b bytes.Buffer
			if err := WriteJSON(&b, d); err != nil {
				t.Fatal(err)
			}
			golden(t, name+".json", b.Bytes())
		})
	}
}

func TestSeveralRuns(t *testing.T) {
	var docs []Document
	for _, name := range []string{"holds", "violated-as-expected", "violated", "inconclusive", "simulated"} {
		docs = append(docs, runs()[name].of(t).Document)
	}
	docs = append(docs, docs[0])
	all := Several(docs)
	if all.ExitCode != 1 || len(all.Results) != 6 {
		t.Errorf("exit %d of %d results, want 1 of 6", all.ExitCode, len(all.Results))
	}
	if err := valid(t, all); err != nil {
		t.Error(err)
	}
	if err := valid(t, Several(nil)); err != nil {
		t.Error(err)
	}
	var b bytes.Buffer
	if err := Table(&b, docs, Style{}); err != nil {
		t.Fatal(err)
	}
	fits(t, b.String())
	golden(t, "several.txt", b.Bytes())
}

func TestJudgedText(t *testing.T) {
	_, j := followersPaused(t)
	var b bytes.Buffer
	if err := JudgedText(&b, Judge(j, 2*sec), "history.jsonl", Style{}); err != nil {
		t.Fatal(err)
	}
	fits(t, b.String())
	golden(t, "judged.txt", b.Bytes())
}

// fits holds a text to the width of a page.
func fits(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		if n := width(strings.TrimSuffix(line, "\n")); n > pageWidth {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}
