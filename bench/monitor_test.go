package bench_test

import (
	"testing"
	"time"

	"github.com/kbench/kbench/internal/rundir"
)

// A run tells what was used and where records waited, from before its first send until after its last answer.
func TestARunIsLookedAtWhileItsLoadLasts(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		r := newTrial(t, driver, `
topics: [{name: orders, partitions: 3, replication: 3}]
load: {rate: 500/s, warmup: 500ms, duration: 2s, record: {size: 200}}
producers: {count: 2}
`)
		o := r.complete(t)
		samples, err := rundir.Samples(r.Dir)
		if err != nil || len(samples) < 3 {
			t.Fatalf("%d samples, %v", len(samples), err)
		}
		if first, last := samples[0].At, samples[len(samples)-1].At; first >= o.meta.Clock.MeasureStart || last < o.meta.Clock.MeasureEnd {
			t.Errorf("looked at from %v to %v, measured from %v to %v", time.Duration(first), time.Duration(last),
				time.Duration(o.meta.Clock.MeasureStart), time.Duration(o.meta.Clock.MeasureEnd))
		}
		processes, answers, carried := map[string]int64{}, map[string]uint64{}, int64(0)
		replicas := 0
		for _, s := range samples {
			for _, p := range s.Processes {
				processes[p.Of+" "+p.Name] = p.CPUUs
				if p.Out != nil {
					carried = max(carried, *p.Out)
				}
			}
			for _, c := range s.Clients {
				for _, b := range c.Brokers {
					if b.RoundTrip != nil {
						answers[c.Client] += b.RoundTrip.Count
					}
				}
			}
			if s.Replicas != nil && s.Replicas.Partitions == 3 {
				replicas++
			}
		}
		if processes["kbench kbench"] == 0 {
			t.Errorf("kbench used nothing: %v", processes)
		}
		if answers["p0"] == 0 || answers["p1"] == 0 || replicas == 0 {
			t.Errorf("answers %v, replicas known %d times", answers, replicas)
		}
		if carried == 0 {
			t.Log("the system does not tell what sockets carry")
		}
	})
}
