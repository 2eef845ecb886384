package bench_test

import (
	"math"
	"testing"

	"github.com/kbench/kbench/internal/check"
	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/stats"
)

func figures(t *testing.T, o outcome) stats.Figures {
	t.Helper()
	f, err := stats.Dir(o.dir)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestLoadsOfEverySortAreJudgedAndMeasured sends records that vary in all that they can, in every codec, to several topics and groups.
func TestLoadsOfEverySortAreJudgedAndMeasured(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
			o := newTrial(t, driver, `
guarantee: at-least-once
topics: [{name: orders, partitions: 3, weight: 3}, {name: audit, partitions: 2}]
load: {rate: 800/s, duration: 500ms, record: {size: 'uniform(100, 2000)', keys: 'hot(0.6, 1, 50)', null-keys: 0.1, headers: {count: 2, size: 20}, payload: ratio(3)}}
producers: {count: 2}
client: {compression.type: `+codec+`}
consumer: [{group: fast}, {group: slow, instances: 2, commit: before-processing}]
expect: violated
`).complete(t)
			if c := o.verdict.Counts; c.Sent != 400 || c.Acked != 400 || c.Read != 400 || c.Lost+c.Duplicated != 0 || len(o.verdict.Findings) > 0 {
				t.Errorf("%s: %+v, findings %+v", codec, c, o.verdict.Findings)
			}
			f := figures(t, o)
			if len(f.Groups) != 2 || f.Groups[0].Read != 400 || f.Groups[1].Read != 400 || f.Groups[1].EndToEnd.Service.Count() != 400 {
				t.Errorf("%s: groups %+v", codec, f.Groups)
			}
			if len(f.Topics) != 2 || f.Topics[0].Acked != 300 || f.Topics[1].Acked != 100 || f.Topics[0].Share < 0.5 {
				t.Errorf("%s: topics %+v", codec, f.Topics)
			}
			if mean := float64(f.Topics[0].Bytes) / 300; math.Abs(mean-1050) > 150 {
				t.Errorf("%s: values of %.0f bytes in the mean, want about 1050", codec, mean)
			}
		}
	})
}

// TestABacklogIsBuiltAndWorkedOff under load and alone: nobody reads before it is built, and all of it is judged.
func TestABacklogIsBuiltAndWorkedOff(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		for _, c := range []struct {
			name, load string
			records    uint64
			measured   uint64
		}{
			{"under load", "{backlog: 3000, rate: 500/s, duration: 1s, record: {size: 100}}", 3500, 500},
			{"alone", "{backlog: 3000, record: {size: 100}}", 3000, 0},
			{"in transactions", "{backlog: 3000, record: {size: 100}, transactions: {size: 50, abort: every(3)}}", 3000, 0},
		} {
			o := newTrial(t, driver, `
topics: [{name: orders, partitions: 3}]
load: `+c.load+`
consumer: [{group: fast, isolation.level: read_committed}, {group: slow, instances: 2, commit: none, isolation.level: read_committed}]
`).complete(t)
			if n := o.verdict.Counts; n.Sent != c.records || n.Lost != 0 || len(o.verdict.Findings) > 0 {
				t.Errorf("%s: %+v, findings %+v", c.name, n, o.verdict.Findings)
			}
			b := o.meta.Load.Backlog
			early := count(t, o.dir, func(op *history.Op) bool { return op.Kind == history.Poll && op.Return < b.Built })
			if b == nil || b.Built <= b.Start || b.Read < b.Built || early > 0 {
				t.Errorf("%s: backlog %+v, %d polls before it was built", c.name, b, early)
			}
			f := figures(t, o)
			if f.Backlog == nil || f.Backlog.Acked != 3000 || f.Throughput.Sent != c.measured {
				t.Errorf("%s: built %+v, measured %+v", c.name, f.Backlog, f.Throughput)
			}
			for _, g := range f.Groups {
				if d := g.Drain; d == nil || d.First == nil || d.Drained == nil || d.CaughtUp == nil || *g.Behind.End != 0 || *g.Behind.Most < 2000-900 {
					t.Errorf("%s: group %s: %+v, behind %+v", c.name, g.Name, d, g.Behind)
				}
				if n := g.Drain.During.Response.Count() + g.Drain.After.Response.Count(); n != c.measured {
					t.Errorf("%s: group %s has end-to-end latencies of %d records, want %d", c.name, g.Name, n, c.measured)
				}
			}
		}
	})
}

// TestTombstonesCarryTheirIdentity and are judged like every other record, by clients of both libraries.
func TestTombstonesCarryTheirIdentity(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		o := newTrial(t, driver, `
guarantee: at-least-once
topics: [{name: table, partitions: 3, config: {cleanup.policy: compact}}]
load: {rate: 800/s, duration: 500ms, record: {size: 200, keys: zipf(20), tombstones: 0.25, headers: {count: 1}}}
client: {acks: all}
consumer: {group: readers}
`).complete(t)
		o.want(t, check.Holds)
		stones := count(t, o.dir, func(op *history.Op) bool {
			return op.Kind == history.Send && op.Tombstone && op.Size == 0 && op.Key > 0
		})
		if stones < 60 || stones > 140 {
			t.Errorf("%d tombstones of 400 records, want about 100", stones)
		}
		if c := o.verdict.Counts; c.Read != 400 || c.Lost != 0 {
			t.Errorf("%+v", c)
		}
	})
}
