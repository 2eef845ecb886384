package check

import (
	"flag"
	"slices"
	"strings"
	"testing"
)

var histories = flag.Int("histories", 800, "how many histories to generate; a twentieth of them is what each anomaly is planted in")

// alive is a history in which nothing is wrong.
func alive(seed uint64, recorded bool) *chronicle {
	w := birth(seed, recorded)
	return w.live(10 + w.rng.IntN(90))
}

var promises = []string{"", AtMostOnce, AtLeastOnce, ExactlyOnce, ExactlyOnceTransactions}

// interleaving is what may be said, as information, of transactions that are open at the same time.
var interleaving = []string{"g0", "g1c", "internal-send-skip"}

// blameless tells whether nothing was found that should not be.
func (c *chronicle) blameless(j Judgement) bool {
	strange := func(w string) bool {
		return !strings.Contains(w, "is torn at byte") && !strings.HasPrefix(w, "no fault was injected")
	}
	return !slices.ContainsFunc(j.Warnings, strange) && !slices.ContainsFunc(j.Findings, func(f Finding) bool {
		return f.Decides || c.apart || !slices.Contains(interleaving, f.Anomaly)
	})
}

func TestValidHistoriesHaveNoFindings(t *testing.T) {
	n := *histories
	if testing.Short() {
		n /= 10
	}
	for seed := range uint64(n) {
		c := alive(seed, false)
		text := c.jsonl(promises[seed%5])
		j, err := JSONL(strings.NewReader(text))
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, text)
		}
		want := Holds
		if promises[seed%5] == "" {
			want = Unjudged
		}
		if !c.blameless(j) || j.Verdict != want {
			t.Fatalf("seed %d: %v, %+v, reasons %q, warnings %q\n%s", seed, j.Verdict, j.Findings, j.Reasons, j.Warnings, text)
		}
	}
}

// The same of run directories, where sessions die with their last words unsaid.
func TestValidRunsHold(t *testing.T) {
	n := *histories / 10
	if testing.Short() {
		n /= 10
	}
	torn := 0
	for seed := range uint64(n) {
		c := alive(seed, true)
		dir := t.TempDir()
		if err := c.write(dir); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		j, err := Dir(dir)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if !c.blameless(j) || j.Verdict != Holds || !j.AsExpected {
			t.Fatalf("seed %d: %v against %s, %+v, reasons %q, warnings %q\n%s", seed, j.Verdict, j.Guarantee, j.Findings, j.Reasons, j.Warnings, c.jsonl(""))
		}
		torn += len(c.open)
	}
	t.Logf("%d runs, %d sessions of them killed", n, torn)
}
