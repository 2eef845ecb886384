package scenarios

import (
	"bytes"
	"reflect"
	"slices"
	"testing"
	"time"
)

const hurtAtRandom = `name: hurt-at-random
guarantee: at-least-once
cluster: {brokers: 3, controllers: 3, config: {min.insync.replicas: 2}}
topics: [{name: orders, partitions: 3}, {name: bills, partitions: 3}]
load: {rate: 100/s, duration: 5m}
producers: {count: 2}
consumer: {group: readers, instances: 2}
processor: {from: orders, to: bills, group: billing, instances: 3, transactional.id: 'b-{instance}'}
faults:
  - {at: 7s, kill: 'coordinator(readers)', for: 1s}
  - {random: [kill, pause, stop, restart], of: [broker, producer, processor, 'leader(orders/1)', controller], every: 10s..20s, for: 1s..8s, from: 10s, until: 4m}
  - {random: [kill, pause], of: [consumer, 'coordinator(billing)'], every: 9s, for: 500ms..2s}
seed: 11
`

func drawnFrom(t *testing.T, src string, set ...string) []Fault {
	t.Helper()
	plan, err := NewPlan(parsed(t, src, set...))
	if err != nil {
		t.Fatal(err)
	}
	return plan[0].Scenario.Faults
}

// TestARandomSeriesIsWrittenOut holds what a seed means: people write seeds down.
func TestARandomSeriesIsWrittenOut(t *testing.T) {
	plan, err := NewPlan(parsed(t, hurtAtRandom))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/random.resolved.yaml", string(Marshal(plan[0].Scenario)))
}

func TestARunWithARandomSeriesRunsAgainFromItsFile(t *testing.T) {
	plan, err := NewPlan(parsed(t, hurtAtRandom, "repeat=2"))
	if err != nil {
		t.Fatal(err)
	}
	for _, run := range plan {
		text := Marshal(run.Scenario)
		again, err := Parse("scenario.yaml", text)
		if err != nil {
			t.Fatalf("%v\nin\n%s", err, text)
		}
		second, err := NewPlan(again)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(Marshal(second[0].Scenario), text) {
			t.Errorf("runs again as\n%s\nand was\n%s", Marshal(second[0].Scenario), text)
		}
	}
	if reflect.DeepEqual(plan[0].Scenario.Faults, plan[1].Scenario.Faults) {
		t.Error("the second repeat has the faults of the first")
	}
}

func TestFaultsAreDrawnByTheSeedAlone(t *testing.T) {
	one, two := drawnFrom(t, hurtAtRandom), drawnFrom(t, hurtAtRandom, "load.rate=900/s")
	if !reflect.DeepEqual(one, two) {
		t.Error("the load's rate changes the faults")
	}
	if reflect.DeepEqual(one, drawnFrom(t, hurtAtRandom, "seed=12")) {
		t.Error("another seed draws the same faults")
	}
}

// TestDrawnFaultsKeepWithinBounds: whatever the seed, each fault is one that could have been written by hand, within the
// series' time, and none of a series begins before the one before it is over.
func TestDrawnFaultsKeepWithinBounds(t *testing.T) {
	base := parsed(t, hurtAtRandom)
	seen := map[string]int{}
	for seed := int64(1); seed <= 300; seed++ {
		s := base.expanded(seed)
		if seed%30 == 0 { // the whole check takes longer than all the drawing
			if err := Validate(s); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		for i, f := range base.Faults {
			if f.Series == nil {
				continue
			}
			list := slices.DeleteFunc(slices.Clone(s.Faults), func(drawn Fault) bool { return !drawn.Drawn || drawn.Pos != f.Pos })
			if len(list) < 5 {
				t.Fatalf("seed %d: %d faults of series %d", seed, len(list), i)
			}
			checkSeries(t, *f.Series, base.seriesEnd(*f.Series), list)
			for _, drawn := range list {
				seen[drawn.Action+" "+drawn.Target.String()]++
			}
		}
	}
	for _, want := range []string{"kill broker(1)", "pause broker(2)", "stop broker(3)", "restart leader(orders/1)", "restart controller", "kill controller",
		"kill producer(0)", "pause producer(1)", "kill processor(2)", "pause consumer(1)", "pause coordinator(group:billing)"} {
		if seen[want] == 0 {
			t.Errorf("never drawn: %s", want)
		}
	}
	for _, never := range []string{"stop producer(0)", "restart processor(1)", "kill broker(0)", "kill processor(3)"} {
		if seen[never] > 0 {
			t.Errorf("drawn %d times: %s", seen[never], never)
		}
	}
}

func checkSeries(t *testing.T, s Series, until time.Duration, list []Fault) {
	t.Helper()
	before := s.From
	for i, f := range list {
		gap := f.At.After - before
		if gap < s.Every.Least || gap > s.Every.Most || f.For < s.For.Least || f.For > s.For.Most {
			t.Errorf("fault %d comes %s after the one before and lasts %s", i, gap, f.For)
		}
		if i > 0 && list[i-1].At.After+list[i-1].For >= f.At.After {
			t.Errorf("fault %d begins at %s, the one before is over at %s", i, f.At.After, list[i-1].At.After+list[i-1].For)
		}
		if f.At.After+f.For > until {
			t.Errorf("fault %d is over at %s, the series at %s", i, f.At.After+f.For, until)
		}
		if f.Series != nil || f.Target.Random || f.Count != 0 || f.At.When != nil {
			t.Errorf("fault %d is not written out: %+v", i, f)
		}
		before = f.At.After
	}
}

func TestASeriesGoesWithTheLoad(t *testing.T) {
	const src = `load: {rate: 1/s, duration: 2m}
faults: [{random: [kill], of: [broker], every: 10s..20s, for: 1s..5s}]
seed: 3`
	short, long := drawnFrom(t, src), drawnFrom(t, src, "load.duration=20m")
	last := long[len(long)-1]
	if len(long) < 8*len(short) || !reflect.DeepEqual(long[:len(short)], short) || last.At.After+last.For > 20*time.Minute-20*time.Second {
		t.Errorf("%d faults in 2 minutes, %d in 20, the last at %s for %s", len(short), len(long), last.At.After, last.For)
	}
}

// TestSeriesShapeTheRun: whoever may be hurt is a process of its own, and a cluster without processes cannot show it.
func TestSeriesShapeTheRun(t *testing.T) {
	s := parsed(t, hurtAtRandom)
	if !s.Producers.Process || !s.Consumers[0].Process || !s.Processor.Process {
		t.Errorf("processes: producers %v, consumers %v, processors %v", s.Producers.Process, s.Consumers[0].Process, s.Processor.Process)
	}
	if !slices.Equal(s.Clusters, []string{"local", "docker"}) {
		t.Errorf("clusters %v", s.Clusters)
	}
	clients := parsed(t, "load: {rate: 1/s, duration: 1m}\nfaults: [{random: [kill, pause], of: [producer], every: 5s, for: 1s}]")
	if !slices.Contains(clients.Clusters, "embedded") || !slices.Contains(clients.Clusters, "external") {
		t.Errorf("clusters %v for faults of clients alone", clients.Clusters)
	}
}

func TestAnInstanceThatNeverStartsIsNotDrawn(t *testing.T) {
	for _, f := range drawnFrom(t, hurtAtRandom, "processor.start=[0, 2]") {
		if f.Target.Kind == ProcessorWorker && f.Target.N == 1 {
			t.Errorf("%s at %s", f.Target, f.At.After)
		}
	}
}

func TestSpans(t *testing.T) {
	for text, want := range map[string]Span{"15s..30s": {15 * time.Second, 30 * time.Second}, "2s": {2 * time.Second, 2 * time.Second}, "500ms .. 1m": {500 * time.Millisecond, time.Minute}} {
		got, err := parseSpan(text)
		if err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
		if again, err := parseSpan(got.String()); err != nil || again != got {
			t.Errorf("%s is written %s and reads as %v, %v", text, got, again, err)
		}
	}
	rng := Split(1, "spans")
	narrow := Span{time.Second, time.Second + 40*time.Millisecond}
	for range 1000 {
		if d := narrow.draw(rng); d < narrow.Least || d > narrow.Most {
			t.Fatalf("%s is not within %s", d, narrow)
		}
	}
}
