package reports

import (
	"fmt"
	"path/filepath"

	"github.com/kbench/kbench/internal/rundir"
)

// step is something to do next: a command, or a setting to change, and what for.
type step struct{ do, why string }

// advice is what to do next, the most useful first.
func advice(s Summary) []step {
	d := s.Document
	again := fmt.Sprintf("kbench run %s --seed %d", filepath.Join(s.Dir, rundir.ScenarioFile), d.Seed)
	var steps []step
	if s.Meta.Stage != rundir.Complete {
		steps = append(steps, step{again, "the same run once more, to its end"})
	} else {
		steps = append(steps, afterVerdict(s, again)...)
	}
	if d.Cluster.Simulated {
		steps = append(steps, step{again + " --cluster local", "the same on real brokers"})
	}
	return append(steps, step{"kbench check " + s.Dir, "judge the same record again"})
}

func afterVerdict(s Summary, again string) []step {
	d := s.Document
	switch {
	case d.Verdict == Violated && d.AsExpected:
		return append(twin(s, "its twin: the same faults with the safe setting, which must hold"), remedies(s)...)
	case d.Verdict == Violated:
		return append(remedies(s), step{again, "the same run once more"})
	case d.Verdict == Holds && d.AsExpected:
		return twin(s, "its twin: the same faults with one unsafe setting, which must break")
	case d.Verdict == Holds:
		return []step{{again, "what should have broken held: look at the faults' evidence, and run it again"}}
	case d.Verdict == Unjudged:
		return nil
	}
	for i, f := range d.Faults {
		if !f.Bit {
			return []step{{again, fmt.Sprintf("fault %d (%s %s) showed no effect: run it again, or let it last longer", i+1, f.Name, f.Target)}}
		}
	}
	return []step{{again, "the same run once more"}}
}

func twin(s Summary, why string) []step {
	if s.Meta.Twin == "" {
		return nil
	}
	return []step{{"kbench run " + s.Meta.Twin, why}}
}

// remedies are the settings that keep from what was found, where the run shows that they were not set.
func remedies(s Summary) []step {
	j, settings := s.Meta.Judged, s.Document.Cluster.Effective
	var steps []step
	for _, f := range s.Document.Findings {
		if f.Count == 0 || !f.Decides {
			continue
		}
		switch f.Anomaly {
		case "lost-write", "unseen", "inconsistent-offset":
			switch {
			case j.Acks != "all" && j.Acks != "-1" && j.Acks != "":
				steps = append(steps, step{"set acks=all", "acks=" + j.Acks + " acknowledges before the followers have the record"})
			case settings["min.insync.replicas"] == "1":
				steps = append(steps, step{"set min.insync.replicas=2", "with 1, a leader alone may acknowledge"})
			}
		case "duplicate", "nonmonotonic-send":
			if !j.Idempotent {
				steps = append(steps, step{"set enable.idempotence=true", "without it a retry may store a batch twice, or out of order"})
			}
		case "aborted-read":
			if j.Isolation == "read_uncommitted" {
				steps = append(steps, step{"set isolation.level=read_committed", "read_uncommitted delivers what is aborted later"})
			}
		case "unprocessed":
			if j.Commit != "after-processing" && j.Commit != "" {
				steps = append(steps, step{"set commit: after-processing", "commit: " + j.Commit + " may commit what is not handled yet"})
			}
		case "reprocessed":
			if j.Commit == "after-processing" || j.Commit == "auto" {
				steps = append(steps, step{"set commit: before-processing", "or make handling idempotent, or process in transactions"})
			}
		}
	}
	return distinct(steps)
}

func distinct(steps []step) []step {
	seen := map[step]bool{}
	var out []step
	for _, s := range steps {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}
