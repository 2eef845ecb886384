package scenarios

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// everyLoad has one scenario for each way to say what records look like and who reads them.
var everyLoad = []string{
	`load: {rate: 1/s, duration: 1s, record: {size: 'uniform(100, 1KiB)', keys: 'hot(0.9, 10)', null-keys: 0.1, headers: {count: 3, size: 32}, payload: ratio(4)}}`,
	`load: {rate: 1/s, duration: 1s, record: {size: 'normal(1KiB, 300, 64, 4KiB)', keys: sequential, payload: compressible}}`,
	`load: {rate: 1/s, duration: 1s, record: {size: 'lognormal(1KiB, 0.8, 64, 64KiB)', keys: 'zipf(500, 0.99)'}}`,
	`load: {rate: 1/s, duration: 1s, record: {size: 'histogram(100:70, 1KiB:25, 64KiB:5)', keys: none, payload: random}}`,
	`load: {rate: 1/s, duration: 1s, record: {size: 'zipf(100, 10KiB)', keys: 'hot(0.5, 1, 7)', headers: {count: 1}}}`,
	`load: {rate: 1/s, duration: 1s, record: {size: 'zipf(100, 10KiB, 1.5)', keys: uniform, tombstones: 0.05}}
topics: [{name: table, config: {cleanup.policy: compact}}, {name: log, weight: 0}]`,
	`load: {rate: 1/s, duration: 1s}
topics: [{name: a, weight: 3, partitions: 2}, {name: b}, {name: c, weight: 0, config: {retention.ms: 1h}}]
consumer: {group: readers, groups: 3, instances: 2, commit: none}`,
	`load: {rate: 1/s, duration: 1s}
consumer:
  - {group: fast, commit: before-processing}
  - {group: slow, handling: 1ms, instances: 2, fetch.min.bytes: 7}
  - {group: many, groups: 2, commit: none}
faults: [{at: 500ms, kill: consumer(2), for: 100ms}]`,
	`load: {rate: 1/s, duration: 1s}
consumer: [{group: alone}]`,
	`load: {backlog: 1_000_000}
consumer: {group: readers}`,
	`load: {backlog: 1000, rate: 'ramp(1/s, 5/s)', duration: 10s, warmup: 1s}
processor: {from: orders, to: bills}`,
}

func TestEveryLoadComesBackAsItWasWritten(t *testing.T) {
	schema := compiled(t)
	for _, text := range everyLoad {
		s, err := Parse("load.yaml", []byte(text))
		if err != nil {
			t.Errorf("%s\n%v", text, err)
			continue
		}
		again, err := Parse("load.yaml", Marshal(s))
		if err != nil {
			t.Errorf("%s\nis written as\n%s\n%v", text, Marshal(s), err)
			continue
		}
		if !reflect.DeepEqual(bare(s), bare(again)) {
			t.Errorf("written as\n%s\nreads as\n%+v\nwant\n%+v", Marshal(s), bare(again), bare(s))
		}
		for _, src := range [][]byte{[]byte(text), Marshal(s)} {
			root, problems := readTree(newSource("load.yaml", src), src)
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			if err := schema.Validate(plain(root)); err != nil {
				t.Errorf("%s\n%v", src, err)
			}
		}
	}
}

func TestGroupsAreNamedAndNumbered(t *testing.T) {
	s, err := Parse("load.yaml", []byte(everyLoad[7]))
	if err != nil {
		t.Fatal(err)
	}
	if got := s.groups(); !slices.Equal(got, []string{"fast", "slow", "many-0", "many-1"}) {
		t.Errorf("groups are %v", got)
	}
	if n := s.instances(ConsumerWorker); n != 5 {
		t.Errorf("%d consumers, want 5", n)
	}
	if !s.Consumers[1].Process {
		t.Error("a consumer that is killed is no process of its own")
	}
	one, err := Parse("load.yaml", []byte(everyLoad[8]))
	if err != nil || len(one.Consumers) != 1 || one.Consumers[0].Group != "alone" {
		t.Errorf("a list of one group reads as %+v, %v", one.Consumers, err)
	}
}

// TestGroupsStandAgainstAPromiseWhereTheyAreWritten: the reason points at the group that gives it.
func TestGroupsStandAgainstAPromiseWhereTheyAreWritten(t *testing.T) {
	_, err := Parse("load.yaml", []byte(`guarantee: at-least-once
cluster: {config: {min.insync.replicas: 2}}
load: {rate: 1/s, duration: 1s}
consumer:
  - {group: careful}
  - {group: hasty, commit: before-processing}`))
	if err == nil || !strings.Contains(err.Error(), "load.yaml:6:28: consumer[1].commit") {
		t.Errorf("says %v", err)
	}
	_, err = Parse("load.yaml", []byte(`guarantee: at-least-once
cluster: {config: {min.insync.replicas: 2}}
load: {rate: 1/s, duration: 1s}
consumer: {group: hasty, groups: 2, commit: before-processing}`))
	if err == nil || !strings.Contains(err.Error(), "load.yaml:4:45: consumer[0].commit") {
		t.Errorf("says %v", err)
	}
}

func TestTopicsTakeTurnsByTheirWeights(t *testing.T) {
	for _, c := range []struct {
		weights, want []int
	}{
		{[]int{1}, []int{0}},
		{[]int{1, 1}, []int{0, 1}},
		{[]int{3, 1}, []int{0, 0, 1, 0}},
		{[]int{10, 0, 5}, []int{0, 2, 0}},
		{[]int{0, 0}, nil},
	} {
		if got := Turns(c.weights); !slices.Equal(got, c.want) {
			t.Errorf("weights %v: turns %v, want %v", c.weights, got, c.want)
		}
	}
}

func TestMeanSizes(t *testing.T) {
	for text, want := range map[string]float64{
		"uniform(100, 300)":                         200,
		"normal(1000, 100, 48, 2000)":               1000,
		"histogram(100:0.5, 300:0.5)":               200,
		"zipf(100, 100)":                            100,
		"zipf(101, 102, 0)":                         101.5,
		"normal(1000, 0, 100, 2000)":                1000,
		"lognormal(1000, 0, 100, 2000)":             1000,
		"lognormal(1000, 0.5, 48, 1MiB)":            1133.1, // 1000·e^(0.25/2)
		"normal(100, 1000, 100, 101)":               100.5,
		"histogram(100:1, 200:2, 300:1, 1000:0.01)": 201.99,
	} {
		sizes, err := parseSizes(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := (RecordSpec{Sizes: sizes}).Mean(); math.Abs(got-want) > 0.6 {
			t.Errorf("%s: %.2f bytes in the mean, want %.2f", text, got, want)
		}
	}
}
