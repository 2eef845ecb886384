package reports

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kbench/kbench/internal/check"
	"github.com/kbench/kbench/internal/history"
)

// Histories written by hand, and what kbench says of them.
func TestHandWrittenHistoriesAreExplained(t *testing.T) {
	files, err := filepath.Glob("testdata/explained/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, path := range files {
		name := strings.TrimSuffix(filepath.Base(path), ".jsonl")
		t.Run(name, func(t *testing.T) {
			file, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			j, err := check.JSONL(file)
			if err != nil {
				t.Fatal(err)
			}
			judged := Judge(j, 0)
			if err := validAs(t, "judged", judged); err != nil {
				t.Error(err)
			}
			var b bytes.Buffer
			if err := JudgedText(&b, judged, filepath.Base(path), Style{}); err != nil {
				t.Fatal(err)
			}
			fits(t, b.String())
			golden(t, "explained/"+name+".txt", b.Bytes())
		})
	}
}

// A recorded run, from its directory to what is said of it.
func TestARecordedRunIsExplained(t *testing.T) {
	s := newSynthetic(t, "at-least-once-leader-kill-acks-1")
	s.fault("kill", "broker 1", 3, 7, []string{"process 17 of broker 1 is dead", "leader of orders/0 moved 1→2, epoch 0→1", "leader of orders/1 moved 1→2, epoch 0→1"}, nil)
	s.meta.Faults[0].EvidenceAt = []int64{s.meta.Clock.MeasureStart + 3*sec + 2*ms, s.meta.Clock.MeasureStart + 3*sec + 900*ms}
	for n := range 20 {
		s.send(0, 2500+float64(n), 2503+float64(n), history.OK, true)
	}
	s.send(0, 4990, 5004, history.OK, false) // the leader dies before its followers have it
	s.send(0, 5200, 6100, history.OK, true)
	summary := reported(t, s.write())
	summary.Dir = "kbench-runs/at-least-once-leader-kill-acks-1"
	var b bytes.Buffer
	if err := Text(&b, summary, Style{}); err != nil {
		t.Fatal(err)
	}
	fits(t, b.String())
	golden(t, "explained/recorded.txt", b.Bytes())
}

func TestATimelineDrawsEachFaultInItsColumn(t *testing.T) {
	at := func(op string, ms float64, fault int, text, result string) Operation {
		o := Operation{AtMs: &ms, CallMs: &ms, Op: op, Text: text, Result: result}
		if fault >= 0 {
			o.Fault = &fault
		}
		return o
	}
	for _, c := range []struct {
		name string
		ops  []Operation
		want string
	}{
		{"none", nil, ""},
		{"one after another share a column", []Operation{at("fault", 1000, 0, "kill", ""), at("healed", 2000, 0, "healed: kill", ""),
			at("fault", 3000, 1, "pause", ""), at("send", 3500, -1, "p0 sends a", "ok"), at("healed", 4000, 1, "healed: pause", "")},
			"  1.000s  ┬  kill\n  2.000s  ┴  healed: kill\n  3.000s  ┬  pause\n  3.500s  │  p0 sends a ... ok\n  4.000s  ┴  healed: pause\n"},
		{"two at once, one never healed", []Operation{at("fault", 1000, 3, "kill", ""), at("fault", 1500, 7, "pause", ""), at("healed", 2000, 3, "healed: kill", ""),
			at("poll", 12000, -1, "c0 polls", "")},
			"   1.000s  ┬   kill\n   1.500s  │┬  pause\n   2.000s  ┴│  healed: kill\n  12.000s   │  c0 polls\n"},
		{"milliseconds", []Operation{at("send", 0.25, -1, "p0 sends a", "")}, "  0.250ms  p0 sends a\n"},
		{"nanoseconds", []Operation{at("send", 0.000025, -1, "p0 sends a", "")}, "  25ns  p0 sends a\n"},
		{"before the measured part", []Operation{at("send", -1250, -1, "p0 sends a", "")}, "  -1.250s  p0 sends a\n"},
		{"an unknown time", []Operation{at("send", 1000, -1, "p0 sends a", ""), {Op: "final-read", Text: "final read"}}, "  1.000s  p0 sends a\n          final read\n"},
		{"beside a fault what is too long goes on below", []Operation{at("fault", 1000, 0, "kill", ""), at("evidence", 1100, 0, strings.Repeat("word ", 20), "")},
			"  1.000s  ┬  kill\n  1.100s  │  " + strings.TrimSpace(strings.Repeat("word ", 17)) + "\n          │  word word word\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &page{}
			p.timeline("  ", c.ops)
			if p.String() != c.want {
				t.Errorf("drawn\n%swant\n%s", p.String(), c.want)
			}
		})
	}
}

func TestATimelineNeverLeavesThePage(t *testing.T) {
	long := strings.Repeat("a/1/2345 ", 30)
	for n := range 130 {
		ms := 1234.5
		p := &page{}
		p.timeline("        ", []Operation{{AtMs: &ms, CallMs: &ms, Op: "send", Text: long[:n], Result: long[:130-n]}, {AtMs: &ms, Op: "poll", Text: "x", Result: "y"}})
		fits(t, p.String())
	}
}
