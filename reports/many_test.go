package reports

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/kbench/kbench/internal/check"
)

// soaked is a run with twenty drawn faults, of which one did not bite.
func soaked(t *testing.T) Summary {
	s := newSynthetic(t, "soak")
	j := check.Judgement{Guarantee: "at-least-once", Expected: "holds", Verdict: check.Holds, AsExpected: true, Scope: scope,
		Counts: check.Counts{Sent: 11_000, Acked: 11_000, Read: 11_000}}
	for i := range 20 {
		name, target := "kill", fmt.Sprintf("broker %d", i%3+1)
		if i%4 == 3 {
			name, target = "pause", "producer 0"
		}
		evidence := []string{"process 4711 is dead"}
		if i == 8 {
			evidence = nil
		}
		at := 1 + float64(i)*0.4
		s.fault(name, target, at, at+0.2, evidence, []string{"a send was retried"})
		risk := uint64(i * 10)
		j.Faults = append(j.Faults, check.FaultJudgement{AtRisk: &risk})
	}
	s.load(3, 5)
	return summarized(t, s, j)
}

func TestManyFaultsAreToldByKind(t *testing.T) {
	var text bytes.Buffer
	s := soaked(t)
	if err := Text(&text, s, Style{}); err != nil {
		t.Fatal(err)
	}
	fits(t, text.String())
	golden(t, "soaked.txt", text.Bytes())
	var judged bytes.Buffer
	var faults []JudgedFault
	for _, f := range s.Document.Faults {
		faults = append(faults, JudgedFault{Name: f.Name, Target: f.Target, AtMs: f.AtMs, HealedMs: f.HealedMs, Bit: &f.Bit, Protection: f.Protection, AtRisk: f.AtRisk})
	}
	if err := JudgedText(&judged, Judged{Verdict: Holds, Faults: faults}, "soak", Style{}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(judged.String(), "kill broker        15   14") || strings.Count(judged.String(), "\n") > 25 {
		t.Errorf("judged alone:\n%s", judged.String())
	}
}

// TestOfManyFaultsEachHasItsPhase: the document has every fault, each with what happened during it.
func TestOfManyFaultsEachHasItsPhase(t *testing.T) {
	d := soaked(t).Document
	phases := map[string]int{}
	for _, p := range d.Latency.Phases {
		phases[p.Phase]++
	}
	if len(d.Faults) != 20 || phases["during"] != 20 || phases["before"] != 1 || phases["after"] != 1 {
		t.Errorf("%d faults, phases %v", len(d.Faults), phases)
	}
}
