package scenarios

import (
	"errors"
	"strings"
	"testing"
)

func TestObjectives(t *testing.T) {
	for _, c := range []struct {
		text, metric string
		max          bool
		limits       int
	}{
		{"max throughput", "throughput", true, 0},
		{"min ack.p99", "ack.p99", false, 0},
		{"  min   e2e.service.p999 ", "e2e.service.p999", false, 0},
		{"max throughput where ack.p99 < 50ms", "throughput", true, 1},
		{"max throughput where ack.p99 < 50ms and lost <= 0", "throughput", true, 2},
	} {
		o, err := ParseObjective(c.text)
		if err != nil || o.Metric != c.metric || o.Max != c.max || len(o.Limits) != c.limits {
			t.Errorf("%q reads as %+v, %v", c.text, o, err)
		}
		if again, err := ParseObjective(o.String()); err != nil || again.Text != o.Text {
			t.Errorf("%q is written %q, which reads as %+v, %v", c.text, o, again, err)
		}
	}
	if o := (Objective{Metric: "ack.p99"}); !o.Better(1, 2) || o.Better(2, 1) || o.Better(1, 1) {
		t.Error("the lowest is not the best")
	}
}

func TestWrongObjectives(t *testing.T) {
	for _, c := range []struct {
		text, says string
		offset     int
	}{
		{"throughput", "expected an objective such as", 0},
		{"maxx throughput", "did you mean max?", 0},
		{"max thruput", `"thruput" is no metric`, 4},
		{"min ack.p98", "did you mean ack.p9", 4},
		{"max throughput if lost <= 0", "expected an objective", 0},
		{"max throughput where ack.p99 < 50", "write 50ms", 31},
		{"max throughput where lost <= 0 and ack.p99 << 50ms", "expected a threshold", 35},
		{"max throughput where ", "expected a threshold", 21},
	} {
		_, err := ParseObjective(c.text)
		var m *mistake
		if !errors.As(err, &m) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q answers %v, want %q", c.text, err, c.says)
			continue
		}
		if m.offset != c.offset {
			t.Errorf("%q points at %d, want %d: %v", c.text, m.offset, c.offset, err)
		}
	}
}

func TestWhatCellsAreRankedByWithoutAnObjective(t *testing.T) {
	for _, c := range []struct{ set, want string }{
		{"load.rate=1000/s", "min ack.p99"},
		{"load.rate=max", "max throughput"},
		{"objective=min e2e.p50", "min e2e.p50"},
	} {
		if got := parsed(t, contractsExample, c.set).RankedBy(); got.Text != c.want {
			t.Errorf("%s: %q", c.set, got.Text)
		}
	}
}

// TestABufferThatFollowsFromTheBatchAndThePartitions: the rule stays visible, and true in each cell.
func TestABufferThatFollowsFromTheBatchAndThePartitions(t *testing.T) {
	for _, c := range []struct{ sets, want string }{
		{"client.buffer.memory=batch.size x partitions x 2", "196608"},
		{"client.buffer.memory=0.25 x batch.size * partitions x 2", "49152"},
		{"client.buffer.memory=batch.size", "16384"},
		{"client.buffer.memory=partitions x 1MiB", "6291456"},
		{"client.buffer.memory=batch.size x partitions x 2;topics.partitions=1;client.batch.size=1KiB", "2048"},
		{"client.buffer.memory=batch.size x partitions x 2;topics=[{name: a, partitions: 2}, {name: b, partitions: 3}]", "163840"},
	} {
		s := parsed(t, strings.ReplaceAll(produces, "acks: all", "acks: all, batch.size: 16KiB"), strings.Split(c.sets, ";")...)
		if s.Client["buffer.memory"] != c.want {
			t.Errorf("%s gives %s, want %s", c.sets, s.Client["buffer.memory"], c.want)
		}
	}
	s := parsed(t, produces, "client.batch.size=16KiB", "matrix={client.buffer.memory: [batch.size x partitions, batch.size x partitions x 2], topics.partitions: [1, 3]}", "seed=1")
	plan, err := NewPlan(s)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, r := range plan {
		got[r.Cell["client.buffer.memory"]+" of "+r.Cell["topics.partitions"]] = r.Scenario.Client["buffer.memory"]
	}
	for cell, want := range map[string]string{
		"batch.size x partitions of 1": "16384", "batch.size x partitions x 2 of 1": "32768",
		"batch.size x partitions of 3": "49152", "batch.size x partitions x 2 of 3": "98304",
	} {
		if got[cell] != want {
			t.Errorf("%s is %s, want %s", cell, got[cell], want)
		}
	}
}

func TestWrongProducts(t *testing.T) {
	for _, c := range []struct {
		set, says string
		column    int
	}{
		{"client.buffer.memory=batch.sizes x 2", "did you mean batch.size?", 22},
		{"client.buffer.memory=batch.size x partitons", "did you mean partitions?", 35},
		{"client.buffer.memory=batch.size x -2", "expected a product", 35},
		{"client.buffer.memory=batch.size x partitions x 0", "expected a product", 48},
		{"client.linger.ms=batch.size x 2", "", 18},
	} {
		change, err := Set(c.set)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Parse("p.yaml", []byte(produces), change)
		var problems Problems
		if !errors.As(err, &problems) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s answers %v", c.set, err)
			continue
		}
		if problems[0].Column != c.column {
			t.Errorf("%s points at column %d, want %d: %v", c.set, problems[0].Column, c.column, err)
		}
	}
}

// TestEachPathThatAMatrixMayChange takes every axis of the documentation through a plan.
func TestEachPathThatAMatrixMayChange(t *testing.T) {
	for path, values := range map[string]string{
		"client.buffer.memory": "[1MiB, 64MiB]", "client.batch.size": "[16KiB, 1MiB]", "client.linger.ms": "[0, 5]",
		"client.compression.type": "[none, gzip, snappy, lz4, zstd]", "client.max.in.flight.requests.per.connection": "[1, 5]",
		"topics.partitions": "[1, 6]", "topics[0].partitions": "[1, 6]", "topics[0].replication": "[2, 3]", "topics.replication": "[2, 3]",
		"topics.config.min.insync.replicas": "[1, 2]", "load.record.size": "[100, 1KiB]", "load.rate": "[1000/s, max]", "load.record.payload": "[random, compressible(0.5)]",
		"cluster.brokers": "[3, 4]", "cluster.config.num.io.threads": "[2, 8]", "producers.count": "[1, 2]", "load.record.keys": "[none, zipf(1000)]",
	} {
		s := parsed(t, produces, "matrix={'"+path+"': "+values+"}", "seed=1")
		plan, err := NewPlan(s)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		texts := map[string]bool{}
		for _, r := range plan {
			texts[string(Marshal(r.Scenario))] = true
		}
		if len(texts) != len(plan) || len(plan) < 2 {
			t.Errorf("%s: %d of %d cells differ", path, len(texts), len(plan))
		}
	}
}
