package check

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// The table in docs/guarantees.md is the one that decides.
func TestTheDecisionTableIsTheDocumentedOne(t *testing.T) {
	doc, err := os.ReadFile("../../docs/guarantees.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(doc), "## The decision table\n")
	if !ok {
		t.Fatal("no decision table")
	}
	variants := map[string]variant{
		"(between reads)": byReads, "(with an acknowledgement)": byAck,
		"(nobody of the group got the record)": unhandled, "(another member got it)": handled,
		"(by what was read)": readOnly, "(only with the order of the log)": interleaved, "": plainly,
	}
	var guarantees, seen []string
	for _, line := range strings.Split(table, "\n") {
		if !strings.HasPrefix(line, "|") {
			break
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if strings.HasPrefix(cells[0], "---") {
			continue
		}
		if cells[0] == "anomaly" {
			guarantees = cells[1:]
			continue
		}
		name, note, _ := strings.Cut(cells[0], " ")
		v, known := variants[note]
		if !known {
			t.Fatalf("unknown note %q", note)
		}
		seen = append(seen, name)
		var breaks []string
		for i, cell := range cells[1:] {
			if cell == "breaks" {
				breaks = append(breaks, guarantees[i])
			}
		}
		if got := decidesAgainst(name, v); !slices.Equal(got, breaks) {
			t.Errorf("%s breaks %v, the table says %v", cells[0], got, breaks)
		}
		for _, g := range guarantees {
			if decides(name, v, g) != slices.Contains(breaks, g) {
				t.Errorf("%s against %s", cells[0], g)
			}
		}
		if decides(name, v, "") != (len(breaks) > 0) {
			t.Errorf("%s without a guarantee", cells[0])
		}
	}
	if !slices.Equal(guarantees, []string{AtMostOnce, AtLeastOnce, ExactlyOnce, ExactlyOnceTransactions}) {
		t.Errorf("columns %v", guarantees)
	}
	for _, s := range stories() {
		for anomaly := range want(s.want) {
			if !slices.Contains(seen, anomaly) {
				t.Errorf("%s is found by a test and stands in no row", anomaly)
			}
			if !strings.Contains(string(doc), anomaly) {
				t.Errorf("%s is not documented", anomaly)
			}
		}
	}
	found := map[string]bool{}
	for _, s := range stories() {
		for anomaly := range want(s.want) {
			found[anomaly] = true
		}
	}
	for _, anomaly := range seen {
		if !found[anomaly] {
			t.Errorf("no test finds %s", anomaly)
		}
	}
}

func TestVerdictsAreCombinedByTheTable(t *testing.T) {
	for _, c := range []struct {
		parts []Verdict
		want  Verdict
	}{
		{nil, Inconclusive},
		{[]Verdict{Holds}, Holds},
		{[]Verdict{Holds, Holds}, Holds},
		{[]Verdict{Holds, Inconclusive}, Inconclusive},
		{[]Verdict{Inconclusive, Holds}, Inconclusive},
		{[]Verdict{Holds, Violated}, Violated},
		{[]Verdict{Inconclusive, Violated}, Violated},
		{[]Verdict{Violated, Inconclusive, Holds}, Violated},
		{[]Verdict{Unjudged}, Inconclusive},
		{[]Verdict{Holds, 17}, Inconclusive},
	} {
		if got := combine(c.parts...); got != c.want {
			t.Errorf("%v combine to %v, want %v", c.parts, got, c.want)
		}
	}
	if Verdict(0) != Inconclusive || Verdict(0).String() != "inconclusive" || Verdict(99).String() != "inconclusive" {
		t.Error("the zero verdict is not inconclusive")
	}
}
