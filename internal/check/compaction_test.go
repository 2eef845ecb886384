package check

import (
	"fmt"
	"strings"
	"testing"
)

// TestCompactionIsNoLoss judges histories of a compacted topic by hand: what a later record of the key replaces may be gone, the newest
// one may not.
func TestCompactionIsNoLoss(t *testing.T) {
	head := `{"kbench_history":1,"partitions":["table/0","plain/0"],"guarantee":"at-least-once","starts":{"table/0":0},"compacted":["table"]}`
	send := func(topic, value string, offset int, more string) string {
		return fmt.Sprintf(`{"op":"send","client":"p0","call":1,"return":2,"outcome":"ok","partition":"%s/0","value":"%s","offset":%d%s}`, topic, value, offset, more)
	}
	lost := func(topic, value string, more string) string { // acknowledged without an offset
		return fmt.Sprintf(`{"op":"send","client":"p0","call":1,"return":2,"outcome":"ok","partition":"%s/0","value":"%s"%s}`, topic, value, more)
	}
	open := func(value, more string) string { // without an answer; without a partition it may have gone to any
		return fmt.Sprintf(`{"op":"send","client":"p0","call":1,"return":2,"outcome":"indeterminate","value":"%s","key":7%s}`, value, more)
	}
	final := func(topic string, reached int, records string) string {
		return fmt.Sprintf(`{"op":"final-read","partition":"%s/0","reached":%d,"records":[%s]}`, topic, reached, records)
	}
	ends := func(txn string) string {
		return fmt.Sprintf(`{"op":"txn","client":"p0","txn":"%s","call":2,"return":3,"outcome":"ok"}`, txn)
	}
	const b1, c2 = `{"offset":1,"value":"b"}`, `{"offset":2,"value":"c"}`
	polled := `{"op":"poll","client":"c0","call":3,"return":4,"outcome":"ok","partition":"table/0","records":[%s]}`
	handled := func(value string, offset int) string {
		return fmt.Sprintf(`{"op":"process","client":"c0","group":"g","call":5,"return":6,"outcome":"ok","partition":"table/0","offset":%d,"value":"%s"}`, offset, value)
	}
	for _, c := range []struct {
		name  string
		lines []string
		want  string // finding, "" for none
		gone  int    // records of which the scope says that nobody can tell
	}{
		{"replaced, and gone", []string{send("table", "a", 0, `,"key":7`), send("table", "b", 1, `,"key":7`), final("table", 2, b1)}, "", 1},
		{"replaced by an earlier acknowledgement", []string{send("table", "b", 1, `,"key":7`), send("table", "a", 0, `,"key":7`), final("table", 2, b1)}, "", 1},
		{"replaced, and still there", []string{send("table", "a", 0, `,"key":7`), send("table", "b", 1, `,"key":7`), final("table", 2, `{"offset":0,"value":"a"},`+b1)}, "", 0},
		{"the newest of its key", []string{send("table", "b", 1, `,"key":7`), send("table", "z", 2, `,"key":8`), final("table", 3, b1)}, lostWrite, 0},
		{"the newest of its key, behind a replaced one", []string{send("table", "a", 0, `,"key":7`), send("table", "z", 2, `,"key":7`), send("table", "b", 1, `,"key":8`), final("table", 3, b1)}, lostWrite, 1},
		{"the newest of its key, a tombstone that may have been cleaned", []string{send("table", "b", 1, `,"key":7`), send("table", "z", 2, `,"key":7,"tombstone":true`), final("table", 3, "")}, "", 2},
		{"it may stand anywhere", []string{send("table", "a", 0, `,"key":7`), lost("table", "b", `,"key":7`), final("table", 2, "")}, "", 2},
		{"one without an answer may have gone to any topic", []string{send("table", "a", 0, `,"key":7`), open("y", ""), final("table", 1, "")}, "", 1},
		{"one without an answer may stand behind the next", []string{open("y", `,"partition":"table/0"`), send("table", "a", 3, `,"key":7`), final("table", 4, "")}, "", 1},
		{"of three one may stand anywhere", []string{lost("table", "b", `,"key":7`), send("table", "a", 3, `,"key":7`), send("table", "c", 4, `,"key":7`), final("table", 5, "")}, "", 3},
		{"one in the middle may stand anywhere", []string{send("table", "a", 0, `,"key":7`), lost("table", "b", `,"key":7`), send("table", "c", 4, `,"key":7`), final("table", 5, "")}, "", 3},
		{"the last of its key, sent again", []string{send("table", "a", 0, `,"key":7`), send("table", "a", 5, `,"key":7,"attempt":2`), final("table", 6, "")}, lostWrite + " " + duplicate, 0},
		{"behind one that was sent again", []string{send("table", "a", 0, `,"key":7`), send("table", "a", 5, `,"key":7,"attempt":2`), send("table", "c", 3, `,"key":7`), final("table", 6, "")}, duplicate, 2},
		{"the newest of its key, acknowledged before the first in the log", []string{send("table", "b", 1, `,"key":7`), send("table", "a", 0, `,"key":7`), final("table", 2, "")}, lostWrite, 1},
		{"the newest of its key, behind two", []string{send("table", "a", 0, `,"key":7`), send("table", "b", 1, `,"key":7`), send("table", "z", 2, `,"key":7`), final("table", 3, b1)}, lostWrite, 1},
		{"the only one of its key, without an offset", []string{lost("table", "z", `,"key":7`), send("table", "b", 1, `,"key":8`), final("table", 2, b1)}, lostWrite, 0},
		{"one that was refused replaces nothing", []string{send("table", "a", 0, `,"key":7`), strings.Replace(lost("table", "z", `,"key":7`), `"ok"`, `"failed"`, 1), final("table", 1, "")}, lostWrite, 0},
		{"one without an answer may stand behind, whatever offset it names", []string{send("table", "a", 3, `,"key":7`), open("y", `,"partition":"table/0","offset":1`), final("table", 4, "")}, "", 1},
		{"of two at one offset the earlier one", []string{send("table", "a", 0, `,"key":7`), send("table", "b", 0, `,"key":7`), final("table", 1, `{"offset":0,"value":"b"}`)}, inconsistentOffset + " " + lostWrite, 0},
		{"replaced, read by somebody, and gone", []string{send("table", "a", 0, `,"key":7`), send("table", "b", 1, `,"key":7`), fmt.Sprintf(polled, `{"offset":0,"value":"a"}`), final("table", 2, b1)}, "", 0},
		{"one of a transaction's records was replaced", []string{send("table", "a", 0, `,"key":7,"txn":"t1"`), send("table", "b", 1, `,"key":8,"txn":"t1"`), ends("t1"), send("table", "d", 3, `,"key":7`),
			final("table", 4, b1+`,{"offset":3,"value":"d"}`), final("plain", 0, "")}, "", 1},
		{"one of a transaction's records was replaced and is there, and the other one is not", []string{send("table", "a", 0, `,"key":7,"txn":"t1"`), send("table", "b", 1, `,"key":8,"txn":"t1"`), ends("t1"),
			send("table", "d", 3, `,"key":7`), final("table", 4, `{"offset":0,"value":"a"},{"offset":3,"value":"d"}`), final("plain", 0, "")}, lostWrite + " " + tornTransaction, 0},
		{"never handled, since it was gone", []string{send("table", "a", 0, `,"key":7`), send("table", "b", 1, `,"key":7`), fmt.Sprintf(polled, b1), handled("b", 1)}, "", 1},
		{"never handled, the newest of its key", []string{send("table", "a", 0, `,"key":8`), send("table", "b", 1, `,"key":7`), fmt.Sprintf(polled, `{"offset":0,"value":"a"},`+b1), handled("b", 1)}, unprocessed, 0},
		{"written by hand without a key", []string{send("table", "a", 0, ""), send("table", "b", 1, `,"key":7`), final("table", 2, b1)}, lostWrite, 0},
		{"of another topic", []string{send("plain", "a", 0, `,"key":7`), send("plain", "b", 1, `,"key":7`), final("plain", 2, b1)}, lostWrite, 0},
		{"skipped by a reader, since it was gone", []string{send("table", "a", 0, `,"key":7`), send("table", "b", 1, `,"key":8`), send("table", "c", 2, `,"key":8`),
			fmt.Sprintf(polled, `{"offset":0,"value":"a"}`), fmt.Sprintf(polled, c2), final("table", 3, `{"offset":0,"value":"a"},`+c2)}, "", 1},
		{"skipped by a reader, and nobody knows the end", []string{send("table", "a", 0, `,"key":7`), send("table", "b", 1, `,"key":8`), send("table", "c", 2, `,"key":8`),
			fmt.Sprintf(polled, `{"offset":0,"value":"a"}`), fmt.Sprintf(polled, c2)}, "", 1},
		{"skipped by a reader, behind one that was gone", []string{send("table", "a", 0, `,"key":7`), send("table", "b", 1, `,"key":8`), send("table", "c", 2, `,"key":9`), send("table", "d", 3, `,"key":8`),
			fmt.Sprintf(polled, `{"offset":0,"value":"a"}`), fmt.Sprintf(polled, `{"offset":3,"value":"d"}`), final("table", 4, `{"offset":0,"value":"a"},`+c2+`,{"offset":3,"value":"d"}`)}, pollSkip, 1},
		{"skipped by a reader, behind one that was gone, and nobody knows the end", []string{send("table", "a", 0, `,"key":7`), send("table", "b", 1, `,"key":8`), send("table", "c", 2, `,"key":9`), send("table", "d", 3, `,"key":8`),
			fmt.Sprintf(polled, `{"offset":0,"value":"a"}`), fmt.Sprintf(polled, `{"offset":3,"value":"d"}`)}, lostWrite + " " + pollSkip, 1},
		{"skipped by a reader, though it was there", []string{send("table", "a", 0, `,"key":7`), send("table", "b", 1, `,"key":8`), send("table", "c", 2, `,"key":8`),
			fmt.Sprintf(polled, `{"offset":0,"value":"a"}`), fmt.Sprintf(polled, c2), final("table", 3, `{"offset":0,"value":"a"},`+b1+","+c2)}, pollSkip, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := judgeText(t, append([]string{head}, c.lines...)...)
			var found []string
			for _, f := range j.Findings {
				found = append(found, f.Anomaly)
			}
			if got := strings.Join(found, " "); got != c.want {
				t.Errorf("found %q, want %q", got, c.want)
			}
			if says := fmt.Sprintf("%d such records were read by nobody", c.gone); !strings.Contains(j.Scope, says) {
				t.Errorf("the scope does not say %q: %s", says, j.Scope)
			}
		})
	}
}

// TestCompactionOfARecordedRun: a producer tells the key of what it sends, and where none is told, as by a processor, nobody
// knows what compaction may have removed.
func TestCompactionOfARecordedRun(t *testing.T) {
	for _, c := range []struct {
		name      string
		compacted bool
		key       func(seq int64) int64
		tombstone bool
		keeps     bool
		want      Verdict
	}{
		{"another key each", true, func(seq int64) int64 { return seq + 1 }, false, false, Violated},
		{"one key", true, func(int64) int64 { return 1 }, false, false, Holds},
		{"no key is told", true, func(int64) int64 { return 0 }, false, false, Holds},
		{"a tombstone that may have been cleaned", true, func(seq int64) int64 { return seq + 1 }, true, false, Holds},
		{"a tombstone that is kept for longer than the run", true, func(seq int64) int64 { return seq + 1 }, true, true, Violated},
		{"nothing is compacted", false, func(int64) int64 { return 1 }, true, false, Violated},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := goodRun()
			r.meta.Topics[0].Compacted, r.meta.Topics[0].KeepsTombstones = c.compacted, c.keeps
			ops := *r.of("p0")
			for i := range ops {
				ops[i].Key, ops[i].Tombstone = c.key(ops[i].Value.Seq), c.tombstone && ops[i].Value.Seq == 7
			}
			r.lose(7)
			if j := r.judge(t); j.Verdict != c.want {
				t.Errorf("%v, want %v: %+v %q", j.Verdict, c.want, j.Findings, j.Reasons)
			}
		})
	}
}

// TestGroupsAreJudgedEachByItself: one group leaves out what another handles, and handles twice what it handles once.
func TestGroupsAreJudgedEachByItself(t *testing.T) {
	process := func(group, value string, offset int) string {
		return fmt.Sprintf(`{"op":"process","client":"c-%s","group":"%s","call":5,"return":6,"outcome":"ok","partition":"orders/0","offset":%d,"value":"%s"}`, group, group, offset, value)
	}
	j := judgeText(t,
		`{"kbench_history":1,"partitions":["orders/0"],"guarantee":"exactly-once"}`,
		`{"op":"send","client":"p0","call":1,"return":2,"outcome":"ok","partition":"orders/0","value":"a","offset":0}`,
		`{"op":"send","client":"p0","call":2,"return":3,"outcome":"ok","partition":"orders/0","value":"b","offset":1}`,
		process("g", "a", 0), process("g", "b", 1),
		process("h", "b", 1), process("h", "b", 1),
		process("i", "b", 1),
		`{"op":"final-read","partition":"orders/0","reached":2,"records":[{"offset":0,"value":"a"},{"offset":1,"value":"b"}]}`)
	counts, details := map[string]uint64{}, ""
	for _, f := range j.Findings {
		counts[f.Anomaly] = f.Count
		for _, w := range f.Witnesses {
			details += w.Detail + "\n"
		}
	}
	if counts[unprocessed] != 2 || counts[reprocessed] != 1 || len(counts) != 2 {
		t.Errorf("found %v, want unprocessed by h and by i, and reprocessed by h", counts)
	}
	for _, want := range []string{"never handled by h", "never handled by i"} {
		if !strings.Contains(details, want) {
			t.Errorf("no witness says %q:\n%s", want, details)
		}
	}
}
