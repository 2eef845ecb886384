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
