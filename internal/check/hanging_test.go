package check

import (
	"strings"
	"testing"

	"github.com/kbench/kbench/internal/rundir"
)

// In a recorded run the cluster was asked how long a transaction held a partition.
func TestATransactionHangsOnceItIsOverdue(t *testing.T) {
	for _, c := range []struct {
		name string
		held rundir.Held
		want uint64
	}{
		{"overdue", rundir.Held{Partition: "orders/0", LastStable: 290, HighWatermark: 300, StoodMs: 85_001, LimitMs: 85_000}, 1},
		{"it may still be aborted", rundir.Held{Partition: "orders/0", LastStable: 290, HighWatermark: 300, StoodMs: 84_999, LimitMs: 85_000}, 0},
		{"nobody knows how long it may last", rundir.Held{Partition: "orders/0", LastStable: 290, HighWatermark: 300, StoodMs: 85_001}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := goodRun()
			r.meta.Guarantee = ExactlyOnceTransactions
			r.meta.FinalRead.Held = []rundir.Held{c.held}
			r.meta.FinalRead.Problems = []string{"before the final read: the last stable offset is behind"}
			j, err := Dir(r.write(t))
			if err != nil {
				t.Fatal(err)
			}
			if got := uint64(found(j)[hangingTransaction]); got != c.want {
				t.Fatalf("found %d, want %d: %+v", got, c.want, j.Findings)
			}
			if c.want == 0 {
				if j.Verdict != Inconclusive {
					t.Errorf("the verdict is %v", j.Verdict)
				}
				return
			}
			w := witnessOf(t, j, hangingTransaction)
			if j.Verdict != Violated || w.Partition != "orders/0" || *w.Offset != 290 || !strings.Contains(w.Detail, "85001 ms") {
				t.Errorf("%v, %+v", j.Verdict, w)
			}
		})
	}
}

// In a recorded run the cluster told how long the last stable offset stood, and the log shows what stands there.
func TestTheClusterToldWhatHoldsAPartition(t *testing.T) {
	for _, c := range []struct {
		name         string
		held         rundir.Held
		want         int
		value, place string
	}{
		{"as long as a transaction may last", rundir.Held{Partition: "orders/0", LastStable: 5, HighWatermark: 300, StoodMs: 100, LimitMs: 100}, 1, "p0/1/5", "orders/0"},
		{"not so long", rundir.Held{Partition: "orders/0", LastStable: 5, HighWatermark: 300, StoodMs: 99, LimitMs: 100}, 0, "", ""},
		{"nobody knows how long one may last", rundir.Held{Partition: "orders/0", LastStable: 5, HighWatermark: 300, StoodMs: 99}, 0, "", ""},
		{"at the first record", rundir.Held{Partition: "orders/0", LastStable: 0, HighWatermark: 300, StoodMs: 101, LimitMs: 100}, 1, "p0/1/0", "orders/0"},
		{"at a record that nobody got", rundir.Held{Partition: "orders/0", LastStable: 301, HighWatermark: 305, StoodMs: 101, LimitMs: 100}, 1, "", "orders/0"},
		{"nobody knows where", rundir.Held{Partition: "orders/0", LastStable: -1, HighWatermark: 305, StoodMs: 101, LimitMs: 100}, 1, "", "orders/0"},
		{"a partition that is not the run's", rundir.Held{Partition: "orders/9", LastStable: 5, HighWatermark: 305, StoodMs: 101, LimitMs: 100}, 1, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := goodRun()
			r.meta.FinalRead.Held = []rundir.Held{c.held}
			j := r.judge(t)
			if found(j)[hangingTransaction] != c.want || strings.Contains(strings.Join(j.Reasons, "; "), "crashed") {
				t.Fatalf("%v, because %q", found(j), j.Reasons)
			}
			if c.want == 0 {
				return
			}
			if w := j.Findings[0].Witnesses[0]; w.Value != c.value || w.Partition != c.place || w.At != nil {
				t.Errorf("%q in %q at %v", w.Value, w.Partition, w.At)
			}
		})
	}
}
