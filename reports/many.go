package reports

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
)

// faultKind is what faults of one name and one kind of target did.
type faultKind struct {
	name                       string
	times, bit, risky, opposed int    // how often it came, bit, had records at risk, met a defence
	atRisk                     uint64 // records, in all
	unavailable, recovered     *int64 // the longest
}

// kindOf is a fault's name and whom it hit without the number: kill broker, pause processor.
func kindOf(f Fault) string {
	role, _, _ := strings.Cut(f.Target, " ")
	return strings.TrimSpace(f.Name + " " + role)
}

func byKind(faults []Fault) []*faultKind {
	var kinds []*faultKind
	for _, f := range faults {
		at := slices.IndexFunc(kinds, func(k *faultKind) bool { return k.name == kindOf(f) })
		if at < 0 {
			at, kinds = len(kinds), append(kinds, &faultKind{name: kindOf(f)})
		}
		kinds[at].add(f)
	}
	slices.SortStableFunc(kinds, func(a, b *faultKind) int { return strings.Compare(a.name, b.name) })
	return kinds
}

func (k *faultKind) add(f Fault) {
	k.times++
	if f.Bit {
		k.bit++
	}
	if len(f.Protection) > 0 {
		k.opposed++
	}
	if n := deref(f.AtRisk); n > 0 {
		k.risky++
		k.atRisk += n
	}
	k.unavailable = longer(k.unavailable, f.UnavailableMs)
	k.recovered = longer(k.recovered, f.RecoveredMs)
}

func longer(a, b *int64) *int64 {
	if a == nil || b != nil && *b > *a {
		return b
	}
	return a
}

// manyFaults are told by kind, and those by themselves of which there is something to say.
func (p *page) manyFaults(faults []Fault) {
	rows := [][]string{{"fault", "times", "bit", "at risk", "defended", "records at risk", "no ok send for", "steady after"}}
	for _, k := range byKind(faults) {
		rows = append(rows, []string{k.name, fmt.Sprint(k.times), fmt.Sprint(k.bit), fmt.Sprint(k.risky), fmt.Sprint(k.opposed),
			humanize.Comma(int64(k.atRisk)), millis(k.unavailable), millis(k.recovered)})
	}
	p.table(rows)
	const shown = 5
	odd := 0
	for i, f := range faults {
		why := oddity(f)
		if why == "" {
			continue
		}
		if odd++; odd <= shown {
			p.line("  ", fmt.Sprintf("%d  %s: %s", i+1, when(f.Name, f.Target, f.AtMs, f.HealedMs), why))
		}
	}
	if odd > shown {
		p.line("  ", fmt.Sprintf("… and %d more of which there is something to say", odd-shown))
	}
	p.line("  ", "Each by itself, with its evidence: the result document (--json).")
}

// oddity is what one fault among many is mentioned for, "" for nothing.
func oddity(f Fault) string {
	switch {
	case f.Problem != "":
		return f.Problem
	case !f.Bit:
		return "nothing shows that it bit"
	case f.Outage.NeverRecovered:
		return "sends NEVER RECOVERED"
	}
	return ""
}

// fromJudged takes what a judgement alone knows. Whether a fault bit that nobody could tell of is no matter here.
func fromJudged(faults []JudgedFault) []Fault {
	var out []Fault
	for _, f := range faults {
		out = append(out, Fault{
			Name: f.Name, Target: f.Target, AtMs: f.AtMs, HealedMs: f.HealedMs, Bit: f.Bit == nil || *f.Bit,
			Evidence: f.Evidence, Protection: f.Protection, AtRisk: f.AtRisk, LossRateSeen95: f.LossRateSeen95,
		})
	}
	return out
}

// manyPhases are the rows before the first fault, during the worst, and after the last.
func (s Summary) manyPhases(of func(Phase) Quantiles) [][]string {
	var rows [][]string
	var worst *Phase
	for i := range s.Document.Latency.Phases {
		phase := &s.Document.Latency.Phases[i]
		q := of(*phase)
		switch {
		case q.Count == 0:
		case phase.Phase != "during":
			rows = append(rows, latencyRow("  "+phase.Phase, q))
		case worst == nil || deref(q.P99) > deref(of(*worst).P99):
			worst = phase
		}
	}
	if worst == nil {
		return rows
	}
	f := s.Document.Faults[worst.Fault]
	row := latencyRow(fmt.Sprintf("  during the worst: %s %s at %s", f.Name, f.Target, clock(f.AtMs)), of(*worst))
	at := slices.IndexFunc(rows, func(r []string) bool { return strings.TrimSpace(r[0]) == "after" })
	if at < 0 {
		at = len(rows)
	}
	return slices.Insert(rows, at, row)
}
