package reports

import (
	"github.com/kbench/kbench/internal/check"
	"github.com/kbench/kbench/internal/rundir"
)

// Exit codes, as docs and scripts know them.
const (
	ExitAsExpected   = 0
	ExitViolated     = 1 // a guarantee violated, or an expected violation not seen
	ExitUsage        = 2 // found before anything starts
	ExitInconclusive = 3
	ExitBroken       = 4 // the cluster or the machine failed
	ExitThreshold    = 5
	ExitInterrupted  = 130
)

// precedence of the codes where several apply: the first that occurs.
func precedence() []int {
	return []int{ExitInterrupted, ExitViolated, ExitBroken, ExitInconclusive, ExitThreshold}
}

// ExitCode of one run. Only a complete run whose verdict is known and as expected can be 0.
func ExitCode(stage rundir.Stage, verdict string, asExpected, thresholdsMet bool) int {
	var codes []int
	switch stage {
	case rundir.Complete:
	case rundir.Interrupted:
		codes = append(codes, ExitInterrupted)
	case rundir.Broken:
		codes = append(codes, ExitBroken)
	default: // cut off: nobody knows how it would have ended
		codes = append(codes, ExitInconclusive)
	}
	codes = append(codes, verdictExit(verdict, asExpected))
	if !thresholdsMet {
		codes = append(codes, ExitThreshold)
	}
	return CombinedExit(codes)
}

// JudgedExit is the exit code of a judgement: what made the run end and its thresholds are left aside, but one that did not
// come to its end is no success whatever was seen of it, and one that was interrupted says so as the run itself did. The stage
// of a hand-written history is Complete.
func JudgedExit(stage rundir.Stage, j check.Judgement) int {
	code := verdictExit(j.Verdict.String(), j.AsExpected && (j.Guarantee != "" || j.Verdict != check.Violated))
	switch {
	case stage == rundir.Interrupted:
		return ExitInterrupted
	case code == ExitAsExpected && stage != rundir.Complete:
		return ExitInconclusive
	}
	return code
}

func verdictExit(verdict string, asExpected bool) int {
	switch verdict {
	case Holds, Violated, Unjudged:
		if asExpected {
			return ExitAsExpected
		}
		return ExitViolated
	default:
		return ExitInconclusive
	}
}

// CombinedExit of several runs: the first of 130, 1, 4, 3, 5 that occurs. A code that no run has is never taken for success.
func CombinedExit(codes []int) int {
	for _, worst := range precedence() {
		for _, code := range codes {
			if code == worst {
				return code
			}
		}
	}
	for _, code := range codes {
		if code != ExitAsExpected {
			return code
		}
	}
	return ExitAsExpected
}
