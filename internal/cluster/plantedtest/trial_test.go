package plantedtest_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/kbench/kbench/bench"
	"github.com/kbench/kbench/internal/check"
	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/cluster/embedded"
	"github.com/kbench/kbench/internal/cluster/plantedtest"
	"github.com/kbench/kbench/internal/driver/confluent"
	"github.com/kbench/kbench/internal/driver/franz"
	"github.com/kbench/kbench/internal/rundir"
	"github.com/kbench/kbench/scenarios"
)

// judgesReader reads for the judge, as kbench's own does.
type judgesReader struct{ bootstrap []string }

func (judgesReader) Name() string    { return "franz" }
func (judgesReader) Version() string { return franz.Version() }
func (r judgesReader) ReadPartition(ctx context.Context, topic string, partition int32, start, end int64, isolation client.Isolation,
	got func([]client.Fetched) error) (int64, error) {
	return franz.ReadPartition(ctx, r.bootstrap, nil, client.Partition{Topic: topic, Partition: partition}, start, end, isolation, got)
}

// audience is who hears the lie. All others reach the brokers themselves.
type audience uint8

const (
	toClients audience = 1 << iota // the load, the group, the processor
	toJudge                        // the final read
	toAdmin                        // ends, committed offsets, and what else kbench asks
	toAll     = toClients | toJudge | toAdmin
)

// outcome is a run before a lying broker, and what the judge says of its directory.
type outcome struct {
	check.Judgement
	dir  string
	meta rundir.Meta
	told uint64
}

// onLyingBroker runs a scenario to its end on one simulated broker that lies. The run itself claims nothing, so that it can
// be judged by any guarantee afterwards; it is by the scenario's own.
func onLyingBroker(t *testing.T, driver, source string, lie *plantedtest.Lie, to audience) (o outcome, err error) {
	src := []byte("name: trial\nabout: a test\ncluster: {brokers: 1, config: {group.min.session.timeout.ms: 100}}\n" + source)
	s, err := scenarios.Parse("trial.yaml", src)
	if err != nil {
		return o, err
	}
	truth, err := embedded.Start(embedded.Options{Brokers: s.Cluster.Brokers, Config: s.NodeConfig()})
	if err != nil {
		return o, err
	}
	brokers := map[int32]string{}
	for id, addr := range truth.Bootstrap() {
		brokers[int32(id)] = addr
	}
	liar, err := plantedtest.Before(truth, brokers, lie)
	if err != nil {
		return o, err
	}
	defer liar.Close()
	reach := func(who audience) []string {
		if to&who != 0 {
			return liar.Bootstrap()
		}
		return truth.Bootstrap()
	}
	admin, err := franz.NewAdmin(reach(toAdmin), nil)
	if err != nil {
		return o, err
	}
	defer admin.Close()
	cfg := bench.Config{
		Scenario: s, Source: src, Repeat: 1, Seed: 7, Dir: filepath.Join(t.TempDir(), "run"), Cluster: truth, Why: "it is a test",
		Admin: admin, Reader: judgesReader{reach(toJudge)}, Driver: driver, Version: "test",
		Drivers: map[string]client.Driver{"confluent": confluent.New(nil), "franz": franz.New(nil)},
		Progress: func(p bench.Progress) {
			if p.Note != "" {
				t.Log(p.Note)
			}
		},
	}
	cfg.Scenario.Guarantee = scenarios.Unjudged
	if to&toClients != 0 {
		cfg.Cluster = liar
	}
	meta, err := bench.Run(t.Context(), cfg)
	if err != nil || meta.Stage != rundir.Complete {
		return o, fmt.Errorf("stage %q: %w", meta.Stage, err)
	}
	if err := liar.Problems(); err != nil {
		return o, fmt.Errorf("the lie: %w", err)
	}
	o = outcome{dir: cfg.Dir, meta: meta, told: liar.Told()}
	o.Judgement, err = o.by(string(s.Guarantee))
	return o, err
}

// by has the run judged by a guarantee.
func (o outcome) by(guarantee string) (check.Judgement, error) {
	meta := o.meta
	meta.Guarantee = guarantee
	if err := meta.Save(o.dir); err != nil {
		return check.Judgement{}, err
	}
	return check.Dir(o.dir)
}

// found is how often the judge saw an anomaly.
func (o outcome) found(anomaly string) uint64 {
	for _, f := range o.Findings {
		if f.Anomaly == anomaly {
			return f.Count
		}
	}
	return 0
}

func (o outcome) String() string {
	s := fmt.Sprintf("verdict %v, told %d, reasons %q", o.Verdict, o.told, o.Reasons)
	for _, f := range o.Findings {
		s += fmt.Sprintf("\n  %s: %d of %d, decides %v", f.Anomaly, f.Count, f.Checked, f.Decides)
		for _, w := range f.Witnesses[:min(3, len(f.Witnesses))] {
			offset := int64(-1)
			if w.Offset != nil {
				offset = *w.Offset
			}
			s += fmt.Sprintf("\n    %s@%d %s: %s", w.Partition, offset, w.Value, w.Detail)
		}
	}
	return s
}
