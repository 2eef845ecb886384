package check

import (
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"
)

// recordedRuns lie in testdata/runs: each a run of one of the built-in scenarios against three brokers of Apache Kafka 4.3.1,
// with what has to be found in it.
func recordedRuns() []struct {
	name    string
	verdict Verdict
	found   map[string]int
} {
	type row = struct {
		name    string
		verdict Verdict
		found   map[string]int
	}
	return []row{
		{"aborted-transactions", Holds, nil},
		{"ack-after-processing", Holds, nil},
		{"ack-automatic", Violated, map[string]int{unprocessed: 50}},
		{"group-member-loss", Holds, nil},
		{"keyed-order-overtaken", Violated, map[string]int{nonmonotonicSend: 1}},
		{"leader-loss", Holds, map[string]int{duplicate: 10}},
		{"lone-leader", Holds, nil},
		{"lone-leader-min-isr-1", Violated, map[string]int{lostWrite: 100}},
		{"producer-crash", Holds, nil},
		{"producer-crash-resent", Violated, map[string]int{duplicate: 50}},
		{"send-once", Holds, nil},
		{"slow-follower", Holds, nil},
		{"zombie-instance", Holds, nil},
		{"zombie-member", Holds, nil},
		{"zombie-member-unfenced", Violated, map[string]int{duplicate: 20}},
	}
}

func runDir(name string) string { return filepath.Join("testdata", "runs", name) }

func TestRecordedRunsAreJudged(t *testing.T) {
	for _, r := range recordedRuns() {
		j, err := Dir(runDir(r.name))
		if err != nil {
			t.Fatal(err)
		}
		if got := found(j); j.Verdict != r.verdict || !maps.Equal(got, r.found) {
			t.Errorf("%s: %v, %v, reasons %q", r.name, j.Verdict, got, j.Reasons)
		}
		if !j.AsExpected {
			t.Errorf("%s: not as expected: %q", r.name, j.Reasons)
		}
	}
}

// What is planted in the records of real brokers is found as well, by either door.
func TestPlantedInRecordedRuns(t *testing.T) {
	n := *histories / 200
	if testing.Short() {
		n = 1
	}
	count := map[string]int{}
	for _, r := range recordedRuns() {
		if r.verdict == Violated {
			continue
		}
		t.Run(r.name, func(t *testing.T) {
			c, err := loadChronicle(runDir(r.name))
			if err != nil {
				t.Fatal(err)
			}
			if testing.Short() && len(c.ops) > 500 {
				t.Skip("many operations")
			}
			for k, plant := range plants() {
				for seed := range uint64(2 * n) {
					planted, err := plantInRun(t, c, plant, uint64(k)<<32+seed, r.found)
					if err != nil {
						t.Fatalf("%s: %v", plant.name, err)
					}
					if planted {
						count[plant.name]++
					}
				}
			}
		})
	}
	for _, plant := range plants() {
		t.Logf("%-45s planted %5d in recorded runs, all found", plant.name, count[plant.name])
	}
}

// plantInRun plants in a copy of a recorded run, and judges it as lines or as a directory.
func plantInRun(t *testing.T, c *chronicle, plant plant, seed uint64, before map[string]int) (bool, error) {
	g := newGarden(c, seed%2 == 0, seed)
	g.apart = true
	p, ok := plant.do(g)
	if !ok {
		return false, nil
	}
	j, err := g.judge(t, c.meta.Guarantee)
	if err == nil {
		err = p.accept(j, &g.head, before)
	}
	if err != nil {
		text := strings.Split(g.jsonl(""), "\n")
		err = fmt.Errorf("seed %#x: %w\n%+v %+v\n%s", seed, err, p, j.Findings, strings.Join(text[:min(len(text), 200)], "\n"))
	}
	return true, err
}

// The two doors lead to one judge: a recorded run is the same in lines.
func TestARecordedRunIsTheSameInLines(t *testing.T) {
	for _, r := range recordedRuns() {
		c, err := loadChronicle(runDir(r.name))
		if err != nil {
			t.Fatal(err)
		}
		j, err := JSONL(strings.NewReader(c.jsonl(c.meta.Guarantee)))
		if err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(found(j), r.found) && !(len(found(j)) == 0 && r.found == nil) {
			t.Errorf("%s: %v, want %v", r.name, found(j), r.found)
		}
		if r.verdict == Violated && j.Verdict != Violated || r.verdict == Holds && j.Verdict != Holds {
			t.Errorf("%s: %v in lines, %v as a run: %q", r.name, j.Verdict, r.verdict, j.Reasons)
		}
	}
}
