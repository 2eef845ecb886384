package reports

import (
	"fmt"
	"testing"

	"github.com/kbench/kbench/internal/check"
	"github.com/kbench/kbench/internal/rundir"
)

// Every combination of how a run ended, what was judged, whether that was expected, and whether thresholds were met.
func TestExitCode(t *testing.T) {
	yes, no := true, false
	rows := []struct {
		stage              rundir.Stage
		verdict            string
		asExpected, metAll bool
		want               int
	}{
		{rundir.Complete, Holds, yes, yes, 0},
		{rundir.Complete, Holds, yes, no, 5},
		{rundir.Complete, Holds, no, yes, 1},
		{rundir.Complete, Holds, no, no, 1},
		{rundir.Complete, Violated, yes, yes, 0},
		{rundir.Complete, Violated, yes, no, 5},
		{rundir.Complete, Violated, no, yes, 1},
		{rundir.Complete, Violated, no, no, 1},
		{rundir.Complete, Unjudged, yes, yes, 0},
		{rundir.Complete, Unjudged, yes, no, 5},
		{rundir.Complete, Unjudged, no, yes, 1},
		{rundir.Complete, Unjudged, no, no, 1},
		{rundir.Complete, Inconclusive, yes, yes, 3}, // whatever is claimed, inconclusive is never success
		{rundir.Complete, Inconclusive, yes, no, 3},
		{rundir.Complete, Inconclusive, no, yes, 3},
		{rundir.Complete, Inconclusive, no, no, 3},
		{rundir.Complete, "", yes, yes, 3},

		{rundir.Interrupted, Holds, yes, yes, 130},
		{rundir.Interrupted, Violated, no, no, 130},
		{rundir.Interrupted, Inconclusive, no, yes, 130},
		{rundir.Interrupted, Unjudged, yes, yes, 130},

		{rundir.Broken, Holds, yes, yes, 4},
		{rundir.Broken, Violated, yes, yes, 4},
		{rundir.Broken, Violated, no, yes, 1}, // a broken run may still have shown a broken promise
		{rundir.Broken, Inconclusive, no, yes, 4},
		{rundir.Broken, Inconclusive, no, no, 4},
		{rundir.Broken, Unjudged, yes, no, 4},
	}
	for _, cutOff := range []rundir.Stage{"", rundir.Starting, rundir.Warming, rundir.Measuring, rundir.Draining, rundir.Reading} {
		rows = append(rows, []struct {
			stage              rundir.Stage
			verdict            string
			asExpected, metAll bool
			want               int
		}{
			{cutOff, Holds, yes, yes, 3},
			{cutOff, Violated, yes, yes, 3},
			{cutOff, Violated, no, yes, 1},
			{cutOff, Inconclusive, no, no, 3},
			{cutOff, Unjudged, yes, yes, 3},
		}...)
	}
	for _, r := range rows {
		t.Run(fmt.Sprintf("%s %s expected=%v met=%v", r.stage, r.verdict, r.asExpected, r.metAll), func(t *testing.T) {
			if got := ExitCode(r.stage, r.verdict, r.asExpected, r.metAll); got != r.want {
				t.Errorf("exit %d, want %d", got, r.want)
			}
		})
	}
}

func TestCombinedExit(t *testing.T) {
	for _, r := range []struct {
		codes []int
		want  int
	}{
		{nil, 0},
		{[]int{0, 0}, 0},
		{[]int{0, 5}, 5},
		{[]int{5, 3}, 3},
		{[]int{3, 5, 0}, 3},
		{[]int{3, 4}, 4},
		{[]int{5, 3, 4, 1}, 1},
		{[]int{1, 130}, 130},
		{[]int{4, 3, 5, 0, 1, 130}, 130},
		{[]int{0, 2, 0}, 2},
		{[]int{0, 77}, 77}, // no run ends so, and yet it is no success
	} {
		if got := CombinedExit(r.codes); got != r.want {
			t.Errorf("%v: exit %d, want %d", r.codes, got, r.want)
		}
	}
}

func TestJudgedExit(t *testing.T) {
	for _, r := range []struct {
		j    check.Judgement
		want int
	}{
		{check.Judgement{}, 3},
		{check.Judgement{AsExpected: true}, 3},
		{check.Judgement{Guarantee: "exactly-once", Verdict: check.Holds, AsExpected: true}, 0},
		{check.Judgement{Guarantee: "exactly-once", Verdict: check.Holds}, 1},
		{check.Judgement{Guarantee: "exactly-once", Verdict: check.Violated, AsExpected: true}, 0},
		{check.Judgement{Guarantee: "exactly-once", Verdict: check.Violated}, 1},
		{check.Judgement{Verdict: check.Unjudged, AsExpected: true}, 0},
		{check.Judgement{Verdict: check.Violated, AsExpected: true}, 1}, // nothing was claimed, so nothing was expected
	} {
		if got := JudgedExit(rundir.Complete, r.j); got != r.want {
			t.Errorf("%q %v as expected %v: exit %d, want %d", r.j.Guarantee, r.j.Verdict, r.j.AsExpected, got, r.want)
		}
		if got := JudgedExit(rundir.Interrupted, r.j); got != ExitInterrupted {
			t.Errorf("%q %v as expected %v of a run that was interrupted: exit %d", r.j.Guarantee, r.j.Verdict, r.j.AsExpected, got)
		}
		if got := JudgedExit(rundir.Draining, r.j); got == ExitAsExpected {
			t.Errorf("%q %v as expected %v of a run that was cut off: exit %d", r.j.Guarantee, r.j.Verdict, r.j.AsExpected, got)
		}
	}
}
