package scenarios

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPlanIsEveryCellForEachRepeat(t *testing.T) {
	s := parsed(t, contractsExample, "repeat=2", "seed=7")
	plan, err := NewPlan(s)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range plan {
		got = append(got, fmt.Sprintf("%d %s %s %s", r.Repeat, r.Cell["client.acks"], r.Cell["client.batch.size"], r.Scenario.Guarantee))
		if r.Scenario.Client["acks"] != r.Cell["client.acks"] || r.Scenario.Matrix != nil || r.Scenario.Repeat != 1 || r.Scenario.Seed != r.Seed {
			t.Errorf("the run's scenario is not its cell's: %+v", r)
		}
		if judged := r.Cell["client.acks"] == "all"; judged != (len(r.Notes) == 0) {
			t.Errorf("acks=%s: notes %v", r.Cell["client.acks"], r.Notes)
		}
	}
	want := []string{ // the order belongs to the seed, for ever
		"1 1 64KiB ", "1 all 64KiB at-least-once", "1 1 16KiB ", "1 0 16KiB ", "1 all 16KiB at-least-once", "1 0 64KiB ",
		"2 0 16KiB ", "2 all 16KiB at-least-once", "2 1 64KiB ", "2 1 16KiB ", "2 0 64KiB ", "2 all 64KiB at-least-once",
	}
	if !slices.Equal(got, want) {
		t.Errorf("plan\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if plan[0].Seed != 7 || plan[5].Seed != 7 || plan[6].Seed == 7 || plan[6].Seed != plan[11].Seed {
		t.Errorf("seeds %d %d | %d %d: the first repeat has the plan's, all cells of a repeat one", plan[0].Seed, plan[5].Seed, plan[6].Seed, plan[11].Seed)
	}
}

// TestEachRepeatHasTheCellsInAnOrderOfItsOwn: over many repeats each cell comes equally often at each place, so that no
// cell is always the one that the machine's state favours.
func TestEachRepeatHasTheCellsInAnOrderOfItsOwn(t *testing.T) {
	const repeats, cells = 600, 6
	plan, err := NewPlan(parsed(t, contractsExample, "repeat=600", "seed=3"))
	if err != nil {
		t.Fatal(err)
	}
	places := map[string]*[cells]int{}
	for i, r := range plan {
		if r.Repeat != i/cells+1 {
			t.Fatalf("run %d is of repeat %d: a repeat is not complete before the next", i, r.Repeat)
		}
		key := r.Cell["client.acks"] + r.Cell["client.batch.size"]
		if places[key] == nil {
			places[key] = new([cells]int)
		}
		places[key][i%cells]++
	}
	for key, counts := range places {
		for place, n := range counts {
			if n < 65 || n > 135 { // 100 expected, sd 9
				t.Errorf("%s is %d times at place %d of %d repeats", key, n, place, repeats)
			}
		}
	}
	if len(places) != cells {
		t.Errorf("%d cells", len(places))
	}
}

// TestCellsThatShareAClusterStayTogether: each change of the cluster is a start of it.
func TestCellsThatShareAClusterStayTogether(t *testing.T) {
	s := parsed(t, contractsExample, "repeat=20", "seed=3", "matrix={cluster.brokers: [3, 4], client.linger.ms: [0, 5], cluster.heap: [512m, 1g]}")
	plan, err := NewPlan(s)
	if err != nil {
		t.Fatal(err)
	}
	firsts := map[string]int{}
	for i := 0; i < len(plan); i += 8 {
		changes := 0
		for j := i + 1; j < i+8; j++ {
			if plan[j].Cell["cluster.brokers"] != plan[j-1].Cell["cluster.brokers"] || plan[j].Cell["cluster.heap"] != plan[j-1].Cell["cluster.heap"] {
				changes++
			}
		}
		if changes != 3 {
			t.Errorf("repeat %d changes its cluster %d times, not 3", plan[i].Repeat, changes)
		}
		firsts[plan[i].Cell["cluster.brokers"]+plan[i].Cell["cluster.heap"]]++
	}
	if len(firsts) != 4 {
		t.Errorf("only %v come first", firsts)
	}
}

func TestARunOfAPlanRunsAgainFromItsFile(t *testing.T) {
	plan, err := NewPlan(parsed(t, contractsExample, "seed=7"))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range plan {
		again, err := Parse("scenario.yaml", Marshal(r.Scenario))
		if err != nil {
			t.Fatalf("%v: %v", r.Cell, err)
		}
		second, err := NewPlan(again)
		if err != nil || len(second) != 1 {
			t.Fatalf("%v: %d runs, %v", r.Cell, len(second), err)
		}
		if second[0].Seed != r.Seed || !maps.Equal(second[0].Scenario.Client, r.Scenario.Client) {
			t.Errorf("%v runs again as %+v", r.Cell, second[0].Scenario)
		}
	}
}

func TestASeedIsDrawnWhereThereIsNone(t *testing.T) {
	s := parsed(t, produces)
	one, err := NewPlan(s)
	if err != nil {
		t.Fatal(err)
	}
	two, err := NewPlan(s)
	if err != nil {
		t.Fatal(err)
	}
	if one[0].Seed <= 0 || one[0].Seed == two[0].Seed {
		t.Errorf("seeds %d and %d", one[0].Seed, two[0].Seed)
	}
}

// TestSplitIsStable pins the construction: a seed that someone has written down must mean the same for ever.
func TestSplitIsStable(t *testing.T) {
	for _, c := range []struct {
		seed      int64
		component string
		want      [3]int64
	}{
		{1, "faults", [3]int64{7644891027621469078, 8283552211804179227, 5696393780402363753}},
		{1, "keys", [3]int64{8931092895172318033, 4146883430498886975, 4658159499965532749}},
		{-42, "faults", [3]int64{5365459153284507723, 6243328771908224432, 6796025734714217054}},
	} {
		r := Split(c.seed, c.component)
		if got := [3]int64{r.Int63(), r.Int63(), r.Int63()}; got != c.want {
			t.Errorf("Split(%d, %q) draws %v, want %v", c.seed, c.component, got, c.want)
		}
	}
}

func TestSets(t *testing.T) {
	for _, c := range []struct {
		set  string
		good func(Scenario) bool
	}{
		{"load.rate=100/s", func(s Scenario) bool { return s.Load.Rate == 100 }},
		{"load.record.size=2KiB", func(s Scenario) bool { return s.Load.Record.Size == 2048 }},
		{"client.buffer.memory=1MiB", func(s Scenario) bool { return s.Client["buffer.memory"] == "1048576" }},
		{"consumer.isolation.level=read_committed", func(s Scenario) bool { return s.Consumers[0].Settings["isolation.level"] == "read_committed" }},
		{"consumer.instances=3", func(s Scenario) bool { return s.Consumers[0].Instances == 3 }},
		{"cluster.config.min.insync.replicas=3", func(s Scenario) bool { return s.Cluster.Config["min.insync.replicas"] == "3" }},
		{"topics[0].partitions=2", func(s Scenario) bool { return s.Topics[0].Partitions == 2 }},
		{"topics[orders].config.retention.ms=1h", func(s Scenario) bool { return s.Topics[0].Config["retention.ms"] == "3600000" }},
		{"faults[0].for=1s", func(s Scenario) bool { return s.Faults[0].For.Seconds() == 1 }},
		{"faults=[]", func(s Scenario) bool { return len(s.Faults) == 0 }},
		{"processor.transactional.id=x", func(s Scenario) bool { return s.Processor.Transactional == "x" }},
		{"processor.consumer.fetch.min.bytes=2", func(s Scenario) bool { return s.Processor.Consumer["fetch.min.bytes"] == "2" }},
		{"matrix.client.acks=[all]", func(s Scenario) bool { return len(s.Matrix) == 2 && slices.Equal(s.Matrix[0].Values, []string{"all"}) }},
		{"thresholds=['lost <= 0']", func(s Scenario) bool { return len(s.Thresholds) == 1 && s.Thresholds[0].Metric == "lost" }},
		{"about=a = b, c: d", func(s Scenario) bool { return s.About == "a = b, c: d" }},
		{"expect={violated: [lost-write]}", func(s Scenario) bool { return s.Expect.Violated }},
	} {
		t.Run(c.set, func(t *testing.T) {
			if s := parsed(t, contractsExample, c.set); !c.good(s) {
				t.Errorf("%s gives %+v", c.set, s)
			}
		})
	}
}

func TestWrongSetsPointIntoTheSet(t *testing.T) {
	for _, c := range []struct {
		set    string
		column int
		says   string
	}{
		{"lod.rate=100/s", 1, "did you mean load?"},
		{"load.rat=100/s", 1, "did you mean rate?"},
		{"client.ack=1", 1, "did you mean acks?"},
		{"load.rate=100", 11, "write 100/s"},
		{"topics[7].partitions=1", 1, "topics has no entry 7"},
		{"topics[bills].partitions=1", 1, "topics has no entry bills"},
		{"steps[0].send=1", 1, "no entry 0"},
		{"faults[0].kill=leader(oders/0)", 16, "did you mean orders?"},
		{"client.acks=", 13, "expected one of 0, 1, all"},
		{"client.acks=1", 13, "or expect: violated"},
	} {
		t.Run(c.set, func(t *testing.T) {
			change, err := Set(c.set)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Parse("contract.yaml", []byte(strings.Replace(contractsExample, "client.acks: [0, 1, all], ", "", 1)), change)
			var problems Problems
			if !errors.As(err, &problems) || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("answers %v, want %q", err, c.says)
			}
			if p := problems[0]; p.File != "--set" || p.Column != c.column {
				t.Errorf("points at %s:%d, want --set:%d", p.File, p.Column, c.column)
			}
		})
	}
	if _, err := Set("load.rate"); err == nil {
		t.Error("a set without a value is taken")
	}
}

func TestOverridesReachEveryClientThatKnowsThem(t *testing.T) {
	base := parsed(t, everything)
	s, err := base.With(
		Override(EveryProducer, "linger.ms", "7"), Override(EveryConsumer, "fetch.min.bytes", "7"),
		Override(EveryClient, "retry.backoff.ms", "70ms"), Override(EveryClient, "batch.size", "1KiB"))
	if err != nil {
		t.Fatal(err)
	}
	p := s.Processor
	for name, got := range map[string][2]string{
		"linger.ms":        {s.Client["linger.ms"], p.Client["linger.ms"]},
		"fetch.min.bytes":  {s.Consumers[0].Settings["fetch.min.bytes"], p.Consumer["fetch.min.bytes"]},
		"retry.backoff.ms": {s.Client["retry.backoff.ms"] + s.Consumers[0].Settings["retry.backoff.ms"], p.Client["retry.backoff.ms"] + p.Consumer["retry.backoff.ms"]},
		"batch.size":       {s.Client["batch.size"], p.Client["batch.size"]},
	} {
		want := map[string]string{"retry.backoff.ms": "7070", "batch.size": "1024"}[name]
		if want == "" {
			want = "7"
		}
		if got != [2]string{want, want} {
			t.Errorf("%s is %v", name, got)
		}
	}
	if _, err := parsed(t, produces).With(Override(EveryConsumer, "fetch.min.bytes", "7")); err != nil {
		t.Errorf("an override for clients that the scenario has not: %v", err)
	}
	_, err = parsed(t, produces).With(Override(EveryClient, "linger", "7"))
	if err == nil || !strings.Contains(err.Error(), "did you mean linger.ms?") {
		t.Errorf("an unknown property answers %v", err)
	}
}

func TestOpen(t *testing.T) {
	if s, err := Open("quickstart"); err != nil || s.Name != "quickstart" {
		t.Errorf("quickstart: %v", err)
	}
	if _, err := Open("testdata/broken/units.yaml"); err == nil || !strings.Contains(err.Error(), "units.yaml:3:9") {
		t.Errorf("a file: %v", err)
	}
	if _, err := Open("quikstart"); err == nil || !strings.Contains(err.Error(), "did you mean quickstart?") {
		t.Errorf("a wrong name: %v", err)
	}
	if _, err := Open("./quickstart"); err == nil || strings.Contains(err.Error(), "did you mean") {
		t.Errorf("a path that is not there: %v", err)
	}
}

func TestTopicAndNodeConfiguration(t *testing.T) {
	s := parsed(t, everything)
	if got := s.TopicConfig(s.Topics[0]); !maps.Equal(got, map[string]string{"min.insync.replicas": "2", "unclean.leader.election.enable": "true", "retention.ms": "3600000"}) {
		t.Errorf("orders gets %v", got)
	}
	if got := s.TopicConfig(s.Topics[1])["min.insync.replicas"]; got != "1" {
		t.Errorf("bills' own min.insync.replicas is %s", got)
	}
	if got := s.NodeConfig(); got["log.segment.bytes"] != "1048576" || got["min.insync.replicas"] != "2" || len(got) != 4 {
		t.Errorf("nodes get %v", got)
	}
}

func TestAWarmUpIsTheLoadAlone(t *testing.T) {
	s, can := parsed(t, contractsExample, "thresholds=['lost <= 0']").WarmUp(12 * time.Second)
	if !can || s.Load.Duration != 12*time.Second || s.Load.Warmup != 0 || s.Guarantee != Unjudged || len(s.Faults)+len(s.Thresholds) > 0 || s.Client["acks"] == "" {
		t.Errorf("%+v", s)
	}
	if err := Validate(s); err != nil {
		t.Error(err)
	}
	if _, can := parsed(t, produces, "steps=[{send: 5}]", "load={}").WarmUp(time.Second); can {
		t.Error("steps warm up")
	}
}
