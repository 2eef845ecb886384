package segments_test

import (
	"context"
	"fmt"
	"math/rand"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kbench/kbench/internal/cluster"
	"github.com/kbench/kbench/internal/cluster/clustertest"
	"github.com/kbench/kbench/internal/cluster/local"
	"github.com/kbench/kbench/internal/segments"
)

// TestRealBrokersSegments writes with every codec, commits and aborts, rolls segments, and compares what each broker has on disk
// with what a consumer is given.
func TestRealBrokersSegments(t *testing.T) {
	c := clustertest.Start(t, local.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	const topic = "segments"
	admin := connect(t, c)
	small := "1048576" // the least that a broker takes
	if _, err := kadm.NewClient(admin).CreateTopic(ctx, 1, 3, map[string]*string{"segment.bytes": &small}, topic); err != nil {
		t.Fatal(err)
	}
	for name, codec := range map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	} {
		transactions(t, ctx, connect(t, c, kgo.ProducerBatchCompression(codec), kgo.TransactionalID(name), kgo.DefaultProduceTopic(topic)), name)
	}
	want := consume(t, ctx, connect(t, c, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())))
	for _, id := range c.Brokers() {
		dir, err := c.(cluster.Logs).LogDir(id)
		if err != nil {
			t.Fatal(err)
		}
		got, e := onDisk(t, filepath.Join(dir, topic+"-0"), len(want))
		if !slices.Equal(got, want) || len(e.Problems) > 0 || !e.Whole || e.From != 0 {
			t.Errorf("broker %d has %d records, a consumer got %d; %+v", id, len(got), len(want), e)
		}
		files, err := filepath.Glob(filepath.Join(dir, topic+"-0", "*.log"))
		if err != nil || len(files) < 3 {
			t.Errorf("%d segments: too few to say that rolled ones are read, %v", len(files), err)
		}
	}
}

func connect(t *testing.T, c cluster.Cluster, o ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append(o, kgo.SeedBrokers(c.Bootstrap()...))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

const perTransaction = 200

// transactions sends a committed and an aborted one.
func transactions(t *testing.T, ctx context.Context, p *kgo.Client, name string) {
	t.Helper()
	rng := rand.New(rand.NewSource(1))
	for _, end := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort} {
		if err := p.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		for i := range perTransaction {
			noise := make([]byte, 1500)
			rng.Read(noise)
			r := &kgo.Record{Key: []byte(name), Value: fmt.Appendf(nil, "%s %v %d %x", name, end, i, noise)}
			if i%50 == 0 {
				r.Value = nil
			}
			p.Produce(ctx, r, nil)
		}
		if err := p.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		if err := p.EndTransaction(ctx, end); err != nil {
			t.Fatal(err)
		}
	}
}

func consume(t *testing.T, ctx context.Context, c *kgo.Client) []string {
	t.Helper()
	var list []string
	for len(list) < 2*5*perTransaction {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("after %d: %v", len(list), err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			list = append(list, fmt.Sprintf("%d %d %v %s", r.Offset, r.LeaderEpoch, r.Value == nil, r.Value))
		})
	}
	return list
}

// onDisk waits until a follower has everything.
func onDisk(t *testing.T, dir string, count int) (list []string, e segments.Extent) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		list = list[:0]
		var err error
		e, err = segments.Read(dir, 1<<30, func(r *segments.Record) error {
			list = append(list, fmt.Sprintf("%d %d %v %s", r.Offset, r.Epoch, r.Value == nil, r.Value))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(list) >= count && len(e.Problems) == 0 {
			break
		}
	}
	return list, e
}
