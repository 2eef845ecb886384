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

// What incomplete and contradictory histories mean. kept is what it says of a promise that no acknowledged record is lost,
// once of one that no record stands twice.
func TestIncompleteHistoriesAreJudgedByWhatTheySay(t *testing.T) {
	open := strings.SplitN(final(0, 2, "0a 1b"), "\n", 2)
	for _, c := range []struct {
		name       string
		lines      []string
		kept, once Verdict
		reason     string
	}{
		{"a transaction that never ends, and is not in the log", lines(with(send("ok", "a", 0), in("t1")), send("ok", "b", 1), final(0, 2, "1b")), Holds, Holds, ""},
		{"one that ends before its send is answered", lines(closing("t1", "ok", `"return":1000000000`), with(send("ok", "a", 0), in("t1")), send("ok", "b", 1), final(0, 2, "1b")), Violated, Holds, "lost-write: 1"},
		{"the end of another client's transaction", lines(with(send("ok", "a", 0), in("t1")), send("ok", "b", 1), closing("t1", "ok", by("p1")), final(0, 2, "1b")), Holds, Holds, ""},
		{"an end without members", lines(closing("t1", "ok"), send("ok", "a", 0), final(0, 1, "0a")), Holds, Holds, ""},
		{"an acknowledgement without a place, in the log", lines(`{"op":"send","client":"p0","call":1,"return":2,"outcome":"ok","value":"a"}`, final(0, 1, "0a")), Holds, Holds, ""},
		{"an acknowledgement without a place, not in the log", lines(`{"op":"send","client":"p0","call":1,"return":2,"outcome":"ok","value":"z"}`, send("ok", "a", 0), poll("0a")), Violated, Holds, "unseen: 1"},
		{"the same value again, without an attempt", lines(send("ok", "a", 0), send("ok", "a", 0), final(0, 1, "0a")), Holds, Holds, ""},
		{"ok once and failed once", lines(send("ok", "a", 0), send("failed", "a", -1), final(0, 1, "0a")), Holds, Holds, ""},
		{"failed twice, and in the log", lines(send("failed", "a", -1), send("failed", "a", -1), final(0, 1, "0a")), Holds, Violated, "aborted-read: 1"},
		{"nothing but open sends, none in the log", lines(send("indeterminate", "a", -1), final(0, 0, "")), Holds, Holds, ""},
		{"two ends of one partition, the final read came to the first", lines(send("ok", "a", 0), send("ok", "b", 1), `{"op":"ends","ends":{"orders/0":5}}`, final(0, 2, "0a 1b")), Inconclusive, Inconclusive, "reached 2 of 5"},
		{"a final read beyond its end", lines(send("ok", "a", 0), send("ok", "b", 1), `{"op":"ends","ends":{"orders/0":1}}`, open[1]), Holds, Holds, ""},
		{"a final read in pieces, the last of them behind", lines(send("ok", "a", 0), send("ok", "b", 1), final(0, 2, "0a 1b"), `{"op":"final-read","partition":"orders/0","reached":1,"records":[]}`), Holds, Holds, ""},
		{"a second pass alone", lines(send("ok", "a", 0), `{"op":"final-read","partition":"orders/0","pass":2,"reached":1,"records":[{"offset":0,"value":"a"}]}`), Holds, Holds, ""},
		{"passes that differ", lines(send("indeterminate", "a", -1), send("ok", "b", 1), final(0, 2, "0a 1b"), `{"op":"final-read","partition":"orders/0","pass":2,"reached":2,"records":[{"offset":1,"value":"b"}]}`), Violated, Inconclusive, "passes differ"},
		{"a partition that nobody read, and nobody sent to", lines(send("ok", "a", 0), final(0, 1, "0a")), Holds, Holds, ""},
		{"a partition that nobody read", lines(send("ok", "a", 0), with(send("ok", "b", 0), to(1)), final(0, 1, "0a")), Violated, Holds, "unseen: 1"},
		{"a final read before the sends", lines(final(0, 1, "0a"), send("ok", "a", 0)), Holds, Holds, ""},
		{"an effect on a value that nobody sent", lines(send("ok", "a", 0), poll("0a"), `{"op":"process","client":"c0","group":"g","call":5,"return":6,"outcome":"ok","partition":"orders/0","offset":0,"value":"a"}`, `{"op":"process","client":"c0","group":"g","call":5,"return":6,"outcome":"ok","partition":"orders/0","value":"zz"}`), Holds, Holds, ""},
		{"an effect that failed", lines(send("ok", "a", 0), poll("0a"), `{"op":"process","client":"c0","group":"g","call":5,"return":6,"outcome":"failed","partition":"orders/0","offset":0,"value":"a"}`), Violated, Holds, "unprocessed: 1"},
		{"a commit beyond everything", lines(send("ok", "a", 0), poll("0a"), `{"op":"commit","client":"c0","group":"g","call":5,"return":6,"outcome":"ok","offsets":{"orders/0":500}}`), Holds, Holds, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			for guarantee, want := range map[string]Verdict{AtLeastOnce: c.kept, AtMostOnce: c.once} {
				j := judgeText(t, append([]string{head(promised(guarantee))}, c.lines...)...)
				reasons := strings.Join(j.Reasons, "; ")
				if j.Verdict != want || want != Holds && !strings.Contains(reasons, c.reason) || want == Holds && reasons != "" {
					t.Errorf("%s: %v, want %v; reasons %q", guarantee, j.Verdict, want, reasons)
				}
			}
		})
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
