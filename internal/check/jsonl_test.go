package check

import (
	"slices"
	"strings"
	"testing"
)

func TestHandWrittenHistoriesAreJudgedByTheirGuarantee(t *testing.T) {
	good := lines(send("ok", "a", 0), send("ok", "b", 1), final(0, 2, "0a 1b"))
	twice := lines(send("ok", "a", 0), final(0, 2, "0a 1a"))
	lost := lines(send("ok", "a", 0), send("ok", "b", 1), final(0, 1, "0a"))
	disordered := lines(send("ok", "b", 1), send("ok", "a", 0), final(0, 2, "0a 1b"))
	all := []string{AtMostOnce, AtLeastOnce, ExactlyOnce, ExactlyOnceTransactions}
	for _, c := range []struct {
		name   string
		lines  []string
		breaks []string
	}{
		{"nothing wrong", good, nil},
		{"a duplicate", twice, []string{AtMostOnce, ExactlyOnce, ExactlyOnceTransactions}},
		{"a loss", lost, []string{AtLeastOnce, ExactlyOnce, ExactlyOnceTransactions}},
		{"disorder", disordered, []string{ExactlyOnce, ExactlyOnceTransactions}},
		{"a stranger", append(slices.Clone(good), poll("2z")), all},
	} {
		for _, g := range all {
			j := judgeText(t, append([]string{head(promised(g))}, c.lines...)...)
			want := Holds
			if slices.Contains(c.breaks, g) {
				want = Violated
			}
			if j.Verdict != want || j.Guarantee != g || j.Expected != "holds" || j.AsExpected != (want == Holds) {
				t.Errorf("%s, %s: %v, as expected %v, reasons %q", c.name, g, j.Verdict, j.AsExpected, j.Reasons)
			}
		}
	}
}

func TestHandWrittenHistoriesThatProveNothing(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		lines        []string
	}{
		{"nothing at all", "nothing was sent", nil},
		{"nothing sent", "nothing was sent", lines(poll("0a 1b"))},
		{"nothing sent, and strangers in the log", "nothing was sent", lines(final(0, 2, "0a 1b"))},
		{"nothing read", "nothing was read", lines(send("ok", "a", 0))},
		{"only empty polls", "nothing was read", lines(send("ok", "a", 0), poll(""))},
		{"only ends", "nothing was read", lines(send("ok", "a", 0), strings.SplitN(final(0, 1, "0a"), "\n", 2)[0])},
		{"the final read is short", "reached 1 of 2", lines(send("ok", "a", 0), strings.Replace(final(0, 1, "0a"), `:1}}`, `:2}}`, 1))},
		{"the second pass is short", "reached 0 of 1", lines(send("ok", "a", 0), final(0, 1, "0a"), `{"op":"final-read","partition":"orders/0","pass":2,"reached":0,"records":[]}`)},
		{"a partition with an end was not read", "did not read orders/1", lines(send("ok", "a", 0), final(0, 1, "0a"), `{"op":"ends","ends":{"orders/1":1}}`)},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, h := range []string{head(), head(promised(AtLeastOnce)), head(promised(AtMostOnce))} {
				j := judgeText(t, append([]string{h}, c.lines...)...)
				if j.Verdict != Inconclusive || j.AsExpected || !strings.Contains(strings.Join(j.Reasons, "; "), c.reason) {
					t.Errorf("%v, reasons %q, findings %+v", j.Verdict, j.Reasons, j.Findings)
				}
			}
		})
	}
}

func TestALineThatContradictsTheFormatIsAnError(t *testing.T) {
	_, err := JSONL(strings.NewReader(head() + "\n" + `{"op":"send"}`))
	if err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("err = %v", err)
	}
}

func TestAWitnessNamesTheFaultThatItFellInto(t *testing.T) {
	j := judgeText(t, send("ok", "a", 0), `{"op":"send","client":"p0","call":5000,"return":5100,"outcome":"ok","partition":"orders/0","value":"b","offset":1}`,
		`{"op":"fault","name":"pause","target":"broker 2","call":4000,"return":6000}`,
		`{"op":"fault","name":"kill","target":"broker 1","call":5050,"return":5060}`, final(0, 1, "0a"))
	if len(j.Findings) != 1 || len(j.Findings[0].Witnesses) != 1 {
		t.Fatalf("findings %+v", j.Findings)
	}
	if w := j.Findings[0].Witnesses[0]; w.During != "kill broker 1" || *w.At != 5100 || w.Value != "b" || *w.Offset != 1 || w.Partition != "orders/0" {
		t.Errorf("witness %+v", w)
	}
	if len(j.Faults) != 2 || *j.Faults[0].AtRisk != 1 || *j.Faults[0].LossRate95 != 0.95 {
		t.Errorf("faults %+v", j.Faults)
	}
}

// Absurd histories are judged, and do not take the machine with them.
func TestAbsurdHistoriesAreJudged(t *testing.T) {
	far := `{"op":"final-read","partition":"orders/0","pass":1,"reached":9223372036854775800,"records":[{"offset":9223372036854775799,"value":"p0/2147483647/9223372036854775807"}]}`
	j := judgeText(t, `{"op":"send","client":"p0","call":1,"return":2,"outcome":"ok","partition":"orders/0","value":"p0/2147483647/9223372036854775807","offset":9223372036854775799}`,
		`{"op":"poll","client":"c0","call":1,"return":2,"outcome":"ok","partition":"orders/0","records":[{"offset":0,"value":"x"},{"offset":9223372036854775799,"value":"p0/2147483647/9223372036854775807"}]}`, far)
	if found(j)[foreignRecord] != 1 {
		t.Errorf("%v", found(j))
	}
}
