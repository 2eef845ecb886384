package check

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	log "github.com/kbench/kbench/internal/history"
)

// told is a witness's story, a line for each operation.
func told(w Witness) string {
	var b strings.Builder
	for _, o := range w.Operations {
		fmt.Fprintf(&b, "%s | %s | %s\n", o.Op, o.Text, o.Result)
	}
	return b.String()
}

func witnessOf(t *testing.T, j Judgement, anomaly string) Witness {
	t.Helper()
	at := slices.IndexFunc(j.Findings, func(f Finding) bool { return f.Anomaly == anomaly })
	if at < 0 {
		t.Fatalf("no %s among %v", anomaly, found(j))
	}
	return j.Findings[at].Witnesses[0]
}

// Each anomaly is explained by the operations that make it one, and by nothing that has no part in it.
func TestAWitnessTellsTheOperationsThatContradictEachOther(t *testing.T) {
	three := lines(send("ok", "a", 0), send("ok", "b", 1), send("ok", "c", 2))
	for _, c := range []struct {
		name, anomaly string
		lines         []string
		want          []string // in this order
		not           string
	}{
		{"lost and overwritten", lostWrite, append(slices.Clone(three), send("ok", "d", 1), poll("0a 1b"), final(0, 3, "0a 1d 2c")),
			[]string{"p0 sends b", "offset 1", "p0 sends d", "c0 polls orders/0, offsets 0 to 1 | b at 1", "final read, pass 1 | b is not there, offset 1 holds d"}, "sends c"},
		{"lost with its transaction", lostWrite, lines(send("ok", "a", 0, in("t1")), closing("t1", "ok"), final(0, 2, "")),
			[]string{"p0 sends a to orders/0 in transaction t1", "p0 ends transaction t1 | committed", "a is not there"}, ""},
		{"lost, and nobody read to the end", lostWrite, append(slices.Clone(three), poll("0a"), poll("2c")),
			[]string{"p0 sends b", "c0 polls orders/0, offset 2"}, "offset 0 |"},
		{"twice in the log", duplicate, append(slices.Clone(three), final(0, 4, "0a 1b 2c 3a")), []string{"p0 sends a", "a at 0, 3"}, "sends b"},
		{"two values at one offset", inconsistentOffset, append(slices.Clone(three), send("ok", "d", -1), poll("0a 1b 2c"), poll("0a 1d 2c", by("c1"))),
			[]string{"p0 sends b", "p0 sends d", "c0 polls orders/0, offsets 0 to 2 | b at 1", "c1 polls orders/0, offsets 0 to 2 | d at 1"}, "sends c"},
		{"skipped, and another got it", pollSkip, append(slices.Clone(three), poll("0a", ofGroup("g")), poll("2c", ofGroup("g")), poll("1b", ofGroup("g"), by("c1"))),
			[]string{"p0 sends b", "c0 polls orders/0, offset 0", "c0 polls orders/0, offset 2", "c1 polls orders/0, offset 1 | b at 1"}, "sends a"},
		{"went back", nonmonotonicPoll, append(slices.Clone(three), poll("0a 1b"), poll("1b 2c")),
			[]string{"p0 sends b", "c0 polls orders/0, offsets 0 to 1", "c0 polls orders/0, offsets 1 to 2"}, "sends c"},
		{"torn", tornTransaction, lines(send("ok", "a", 0, in("t1")), send("ok", "b", 1, in("t1")), closing("t1", "ok"), final(0, 3, "0a"), final(1, 0, ""), final(2, 0, "")),
			[]string{"p0 sends a", "p0 sends b", "p0 ends transaction t1 | committed", "b is not there, a at 0"}, ""},
		{"read though aborted", abortedRead, lines(send("ok", "b", 1, in("t1")), closing("t1", "failed"), poll("1b")),
			[]string{"p0 sends b", "p0 ends transaction t1 | aborted", "c0 polls orders/0, offset 1 | b at 1"}, ""},
		{"handled twice", reprocessed, lines(send("ok", "a", 0), assign(0), poll("0a", ofGroup("g")), process("0a"),
			strings.Replace(assign(0), "c0", "c1", 1), process("0a", by("c1")), final(0, 1, "0a")),
			[]string{"p0 sends a", "c0 is assigned | orders/0", "c0 handles", "c1 is assigned | orders/0", "c1 handles"}, ""},
		{"never handled", unprocessed, append(slices.Clone(three), poll("0a 1b 2c", ofGroup("g")), process("0a"), process("2c"),
			fmt.Sprintf(`{"op":"commit","client":"c0","group":"g",%s,"outcome":"ok","offsets":{"orders/0":3}}`, times())),
			[]string{"p0 sends b", "c0 polls", "b at 1", "c0 commits orders/0 to 3"}, "handles"},
		{"out of order", nonmonotonicSend, lines(send("ok", "b", 1), send("ok", "a", 0), final(0, 2, "0a 1b")),
			[]string{"p0 sends b", "offset 1", "p0 sends a", "offset 0", "b at 1, a at 0"}, ""},
		{"a hole", offsetHole, append(slices.Clone(three), final(0, 4, "0a 1b 3c")), []string{"offset 2 holds nothing", "offset 1 holds b", "offset 3 holds c"}, ""},
		{"nobody's", foreignRecord, append(slices.Clone(three), final(0, 4, "0a 1b 2c 3z")), []string{"z at 3"}, "sends"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := witnessOf(t, judgeText(t, c.lines...), c.anomaly)
			rest := told(w)
			for _, part := range c.want {
				at := strings.Index(rest, part)
				if at < 0 {
					t.Fatalf("%q is not told, or not in its place:\n%s", part, told(w))
				}
				rest = rest[at+len(part):]
			}
			if c.not != "" && strings.Contains(told(w), c.not) {
				t.Errorf("%q has no part in it:\n%s", c.not, told(w))
			}
		})
	}
}

func TestAWitnessTellsTheFaultsThatLastedMeanwhile(t *testing.T) {
	fault := func(name string, from, to int) string {
		return fmt.Sprintf(`{"op":"fault","name":"%s","call":%d,"return":%d}`, name, from, to)
	}
	story := lines(fault("early", 10, 20), fault("kill", 90, 150), fault("pause", 120, 180),
		`{"op":"send","client":"p0","call":100,"return":130,"outcome":"ok","partition":"orders/0","value":"a","offset":0}`,
		fault("late", 900, 950), final(0, 0, "", `"call":200`, `"return":210`))
	got := told(witnessOf(t, judgeText(t, story...), lostWrite))
	want := "fault | kill | \nsend | p0 sends a to orders/0 | ok after 30ns, offset 0\nfault | pause | \nhealed | healed: kill | \nhealed | healed: pause | \n" +
		"final-read | final read, pass 1 | a is not there, the log ends at 0\n"
	if got != want {
		t.Errorf("told\n%swant\n%s", got, want)
	}
}

func TestAStoryStaysShort(t *testing.T) {
	var story []string
	for n := range 40 {
		clockReading += 10
		story = append(story, fmt.Sprintf(`{"op":"fault","name":"kill","call":%d,"return":%d}`, clockReading, clockReading+1))
		story = append(story, send("ok", "a", 0, attempt(n+1)), poll("0a", by(fmt.Sprintf("c%d", n))))
	}
	w := witnessOf(t, judgeText(t, append(story, final(0, 0, "", times()))...), lostWrite)
	if n := len(w.Operations); n > 30 || !strings.Contains(told(w), "more faults meanwhile") {
		t.Errorf("%d operations:\n%s", n, told(w))
	}
}

// What cannot be explained stays found, and the verdict stands.
func TestAnExplanationThatFailsTakesNothingAway(t *testing.T) {
	text := strings.Join(lines(head(), send("ok", "a", 0), send("ok", "b", 1), final(0, 1, "0a")), "\n")
	h, err := log.OpenJSONL(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	whole := judge(h, run{})
	for name, spoil := range map[string]func(*trial){
		"a crash":      func(t *trial) { t.ledger = nil },
		"a lost table": func(t *trial) { t.ledger.parts = nil },
	} {
		tr := &trial{h: h, ledger: newLedger(h, run{})}
		spoil(tr)
		j := judge(h, run{})
		for i := range j.Findings {
			j.Findings[i].Witnesses[0].Operations = nil
		}
		tr.explain(&j)
		if j.Verdict != whole.Verdict || len(j.Findings) != len(whole.Findings) || j.Findings[0].Count != 1 {
			t.Errorf("%s: %v, %+v", name, j.Verdict, j.Findings)
		}
		if name == "a crash" && (len(j.Warnings) != 1 || !strings.Contains(j.Warnings[0], "could not be explained")) {
			t.Errorf("%s: warnings %q", name, j.Warnings)
		}
	}
}

// Of any history: each witness tells something, it mentions the record or the offset that it is about, and every operation
// that it tells is one of the history's.
func TestEveryFindingIsExplainedByOperationsOfTheHistory(t *testing.T) {
	n := 1500
	if testing.Short() {
		n = 300
	}
	explained := map[string]int{}
	for seed := range n {
		text := admitted(wild(rand.New(rand.NewPCG(uint64(seed), 7))))
		j, err := JSONL(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		real := realOperations(t, text)
		for _, f := range j.Findings {
			for _, w := range f.Witnesses {
				if err := wellTold(w, real); err != nil {
					t.Fatalf("seed %d: %s, %+v: %v\n%s\n%s", seed, f.Anomaly, w, err, told(w), text)
				}
				explained[f.Anomaly]++
			}
		}
	}
	for anomaly, n := range explained {
		t.Logf("%6d %s", n, anomaly)
	}
	if len(explained) < 15 {
		t.Errorf("only %d anomalies came up", len(explained))
	}
}

type realOperation struct {
	op, client string
	call, at   int64
}

func realOperations(t *testing.T, text string) map[realOperation]bool {
	t.Helper()
	h, err := log.OpenJSONL(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	all := map[realOperation]bool{}
	err = h.Each(func(op *log.Op) error {
		all[realOperation{opWord(op.Kind), h.Header.ClientName(op.Client), op.Call, op.Return}] = true
		if op.Kind == log.Fault {
			all[realOperation{"fault", "", op.Call, op.Call}] = true
			all[realOperation{"healed", "", op.Return, op.Return}] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func wellTold(w Witness, real map[realOperation]bool) error {
	if len(w.Operations) == 0 {
		return errors.New("it tells nothing")
	}
	about := w.Value
	if about == "" && w.Offset != nil {
		about = fmt.Sprint(*w.Offset)
	}
	words := func(o Operation) []string {
		return strings.FieldsFunc(o.Text+" "+o.Result, func(r rune) bool { return strings.ContainsRune(" ,@", r) })
	}
	mentioned, last := about == "", int64(-1)
	for _, o := range w.Operations {
		mentioned = mentioned || o.Op != "fault" && slices.Contains(words(o), about)
		if o.When() != nil && *o.When() < last {
			return fmt.Errorf("%s stands too late", o.Text)
		}
		if o.When() == nil || o.Op == "final-read" {
			continue
		}
		last = *o.When()
		if !real[realOperation{o.Op, o.Client, *o.Call, *o.At}] {
			return fmt.Errorf("%q is no operation of the history", o.Text)
		}
	}
	if !mentioned {
		return fmt.Errorf("%q is not mentioned", about)
	}
	return nil
}
