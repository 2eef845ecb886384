package reports

import (
	"strings"
	"testing"

	"github.com/kbench/kbench/internal/rundir"
)

func TestAdviceNamesTheSettingThatWasNotSet(t *testing.T) {
	for name, c := range map[string]struct {
		anomaly string
		judged  rundir.Judged
		minISR  string
		want    string // "": no setting to blame
	}{
		"lost with acks=1":                     {anomaly: "lost-write", judged: rundir.Judged{Acks: "1"}, minISR: "2", want: "set acks=all"},
		"lost with acks=0":                     {anomaly: "unseen", judged: rundir.Judged{Acks: "0"}, want: "set acks=all"},
		"lost with acks=all on a lone leader":  {anomaly: "lost-write", judged: rundir.Judged{Acks: "all"}, minISR: "1", want: "set min.insync.replicas=2"},
		"the same, spelled -1":                 {anomaly: "lost-write", judged: rundir.Judged{Acks: "-1"}, minISR: "1", want: "set min.insync.replicas=2"},
		"lost though all was set":              {anomaly: "lost-write", judged: rundir.Judged{Acks: "all"}, minISR: "2"},
		"duplicate without idempotence":        {anomaly: "duplicate", want: "set enable.idempotence=true"},
		"out of order without idempotence":     {anomaly: "nonmonotonic-send", want: "set enable.idempotence=true"},
		"duplicate in spite of idempotence":    {anomaly: "duplicate", judged: rundir.Judged{Idempotent: true}},
		"aborted read, uncommitted":            {anomaly: "aborted-read", judged: rundir.Judged{Isolation: "read_uncommitted"}, want: "set isolation.level=read_committed"},
		"aborted read in spite of committed":   {anomaly: "aborted-read", judged: rundir.Judged{Isolation: "read_committed"}},
		"unprocessed with automatic commits":   {anomaly: "unprocessed", judged: rundir.Judged{Commit: "auto"}, want: "set commit: after-processing"},
		"unprocessed in spite of commit after": {anomaly: "unprocessed", judged: rundir.Judged{Commit: "after-processing"}},
		"reprocessed with commit after":        {anomaly: "reprocessed", judged: rundir.Judged{Commit: "after-processing"}, want: "set commit: before-processing"},
	} {
		t.Run(name, func(t *testing.T) {
			s := Summary{Document: empty(), Meta: rundir.Meta{Judged: c.judged}}
			s.Document.Cluster.Effective["min.insync.replicas"] = c.minISR
			s.Document.Findings = []Finding{{Anomaly: c.anomaly, Decides: true, Count: 1}, {Anomaly: c.anomaly, Decides: true, Count: 2}}
			got := remedies(s)
			if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || got[0].do != c.want) {
				t.Errorf("advice %v, want %q", got, c.want)
			}
			s.Document.Findings = []Finding{{Anomaly: c.anomaly, Count: 1}}
			if got := remedies(s); len(got) > 0 {
				t.Errorf("advice against what the promise allows: %v", got)
			}
		})
	}
}

func TestAdviceAlwaysHasSomethingToDo(t *testing.T) {
	for _, stage := range []rundir.Stage{rundir.Complete, rundir.Interrupted, rundir.Broken, rundir.Measuring} {
		for _, verdict := range []string{Holds, Violated, Inconclusive, Unjudged} {
			for _, asExpected := range []bool{true, false} {
				s := Summary{Document: empty(), Meta: rundir.Meta{Stage: stage, Twin: "its-twin"}, Dir: "runs/1"}
				s.Document.Verdict, s.Document.AsExpected, s.Document.Cluster.Simulated = verdict, asExpected, true
				text := ""
				for _, step := range advice(s) {
					text += step.do + "\n"
				}
				if !strings.Contains(text, "kbench check runs/1") || !strings.Contains(text, "--cluster local") {
					t.Errorf("%s, %s: %q", stage, verdict, text)
				}
				twin := stage == rundir.Complete && asExpected && (verdict == Holds || verdict == Violated)
				if strings.Contains(text, "its-twin") != twin {
					t.Errorf("%s, %s, as expected %v: the twin is advised %v, want %v", stage, verdict, asExpected, !twin, twin)
				}
			}
		}
	}
}
