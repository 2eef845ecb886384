package check

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	log "github.com/kbench/kbench/internal/history"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// What the judge says in full, to be read by people: each story's findings with their witnesses and operations, and
// each recorded run's judgement.
func TestWhatTheJudgeSaysIsInTheGoldenFiles(t *testing.T) {
	golden(t, "stories.golden", func(b *strings.Builder) {
		clockReading = 1000
		for _, s := range append(stories(), crowds()...) {
			fmt.Fprintf(b, "== %s\n", s.name)
			retold(t, b, strings.Join(s.lines, "\n"))
		}
	})
	golden(t, "runs.golden", func(b *strings.Builder) {
		for _, r := range recordedRuns() {
			j, err := Dir(runDir(r.name))
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(b, "== %s\n", r.name)
			tell(b, j, 0)
		}
	})
}

func golden(t *testing.T, name string, write func(*strings.Builder)) {
	var b strings.Builder
	write(&b)
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, want := strings.Split(b.String(), "\n"), strings.Split(string(file), "\n")
	story := ""
	for i := range min(len(got), len(want)) {
		if strings.HasPrefix(got[i], "== ") {
			story = got[i]
		}
		if got[i] != want[i] {
			t.Fatalf("%s:%d (%s)\n got %s\nwant %s\n(-update rewrites the file)", path, i+1, story, got[i], want[i])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: %d lines, want %d (-update rewrites the file)", path, len(got), len(want))
	}
}

// retold judges lines, with a fault in the middle of their time. Times are told from the first call on.
func retold(t *testing.T, b *strings.Builder, text string) {
	if !strings.HasPrefix(text, `{"kbench_history"`) {
		text = head() + "\n" + text
	}
	h, err := log.OpenJSONL(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	first, last := int64(math.MaxInt64), int64(0)
	if err := h.Each(func(op *log.Op) error {
		if op.Call > 1000 { // some lines are written with times of their own
			first, last = min(first, op.Call), max(last, op.Return)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	middle := first + (last-first)/2
	text += fmt.Sprintf("\n"+`{"op":"fault","name":"pause","target":"broker 2","call":%d,"return":%d}`, middle, middle+12)
	j, err := JSONL(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	tell(b, j, first)
}

func tell(b *strings.Builder, j Judgement, start int64) {
	at := func(t *int64) string {
		if t == nil {
			return "-"
		}
		return fmt.Sprint(*t - start)
	}
	fmt.Fprintf(b, "%v %q %+v\n", j.Verdict, j.Reasons, j.Counts)
	for _, w := range j.Warnings {
		fmt.Fprintf(b, "warning: %s\n", w)
	}
	if j.Guarantee != "" {
		fmt.Fprintf(b, "%s\n", j.Scope)
	}
	for _, f := range j.Faults {
		fmt.Fprintf(b, "fault %s %s, %s to %s, healed %v, at risk %s, %s, protected %q\n", f.Name, f.Target, at(&f.From), at(&f.To), f.Healed, number(f.AtRisk), rate(f.LossRate95), f.Protection)
	}
	for _, f := range j.Findings {
		fmt.Fprintf(b, "%s %d of %d, decides %v\n", f.Anomaly, f.Count, f.Checked, f.Decides)
		for i, w := range f.Witnesses {
			offset := "-"
			if w.Offset != nil {
				offset = fmt.Sprint(*w.Offset)
			}
			fmt.Fprintf(b, "  %s@%s %s at %s during %q: %s\n", w.Partition, offset, w.Value, at(w.At), w.During, w.Detail)
			for _, o := range w.Operations {
				if i < 3 { // enough to show how they are told
					fmt.Fprintf(b, "    %s..%s %s %s: %s: %s\n", at(o.Call), at(o.At), o.Op, o.Client, o.Text, o.Result)
				}
			}
		}
	}
}

func number(n *uint64) string {
	if n == nil {
		return "unknown"
	}
	return fmt.Sprint(*n)
}

func rate(r *float64) string {
	if r == nil {
		return "no rate"
	}
	return fmt.Sprintf("rate %.4f", *r)
}

// crowds are stories in which an anomaly has more instances than are shown.
func crowds() []story {
	letters := "abcdefghijklmnop"
	var sent []string
	twice, once, gaps := "", "", ""
	for i, l := range letters {
		sent = append(sent, send("ok", string(l), i))
		once += fmt.Sprintf(" %d%c", i, l)
		twice += fmt.Sprintf(" %d%c", i+len(letters), l)
		if i%2 == 0 {
			gaps += fmt.Sprintf(" %d%c", i, l)
		}
	}
	n := len(letters)
	return []story{
		{"sixteen values twice", "", lines(strings.Join(sent, "\n"), final(0, 2*n, once+twice)), Violated},
		{"one value at seven offsets", "", lines(send("ok", "a", 0), final(0, 7, "0a 1a 2a 3a 4a 5a 6a")), Violated},
		{"one value at six offsets", "", lines(send("ok", "a", 0), final(0, 6, "0a 1a 2a 3a 4a 5a")), Violated},
		{"one value at seven offsets, told one by one", "", lines(send("ok", "a", 0), poll("0a"), poll("1a", by("c1")), poll("2a", by("c2")), poll("3a", by("c3")),
			poll("4a", by("c4")), poll("5a", by("c5")), poll("6a", by("c6"))), Violated},
		{"one value at five offsets, told by consumers", "", lines(send("ok", "a", 0), poll("0a 1a 2a"), poll("3a 4a")), Violated},
		{"sixteen values lost", "", lines(strings.Join(sent, "\n"), send("ok", "q", n), final(0, n+1, fmt.Sprintf("%dq", n))), Violated},
		{"eight values skipped, one by one", "", lines(strings.Join(sent, "\n"), poll(gaps), poll(once, by("c1"))), Violated},
		{"sixteen offsets with two values", "", lines(strings.Join(sent, "\n"), poll(once), poll(strings.NewReplacer("a", "zzzz", "b", "zzzzz", "c", "zzz", "d", "zz").Replace(once), by("c1"))), Violated},
		{"sixteen values handled three times", "", lines(strings.Join(sent, "\n"), poll(once), process(once), process(once), process(once)), Violated},
	}
}
