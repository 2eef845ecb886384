package bench

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/clock"
	"github.com/kbench/kbench/internal/cluster"
	"github.com/kbench/kbench/internal/cluster/clustertest"
	"github.com/kbench/kbench/internal/cluster/local"
	"github.com/kbench/kbench/internal/driver/confluent"
	"github.com/kbench/kbench/internal/driver/franz"
	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/settings"
	"github.com/kbench/kbench/internal/worker"
)

// BenchmarkProduceRecordedBesideRaw produces the same records with the same settings to the same cluster twice, turn by
// turn: through kbench with everything recorded, and through a bare loop around confluent-kafka-go that records nothing.
// The figure to read is recorded/raw, the median of the pairs; -benchtime 5x makes five pairs.
func BenchmarkProduceRecordedBesideRaw(b *testing.B) {
	c := clustertest.Start(b, local.Options{Steady: true, Heap: "1g"})
	for _, size := range []int{100, 1024} {
		for _, acks := range []string{"1", "all"} {
			b.Run(fmt.Sprintf("%dB/acks=%s", size, acks), func(b *testing.B) {
				pairs(b, c, size, map[string]string{"acks": acks, "enable.idempotence": "false", "batch.size": "262144", "linger.ms": "5"})
			})
		}
	}
}

func pairs(b *testing.B, c cluster.Cluster, size int, asked map[string]string) {
	records := 100_000_000 / max(size, 250) // some seconds' worth
	topic := benchmarkTopic(b, c)
	rawRate(b, c, topic, size, records/4, asked) // warms the brokers up
	var ratios, rates []float64
	for b.Loop() {
		raw := rawRate(b, c, topic, size, records, asked)
		recorded := recordedRate(b, c, topic, size, records, asked)
		ratios, rates = append(ratios, recorded/raw), append(rates, recorded)
	}
	b.ReportMetric(median(ratios), "recorded/raw")
	b.ReportMetric(median(rates), "records/s")
	b.ReportMetric(0, "ns/op")
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

func benchmarkTopic(b *testing.B, c cluster.Cluster) string {
	b.Helper()
	admin, err := franz.NewAdmin(c.Bootstrap(), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer admin.Close()
	topic := client.Topic{Name: fmt.Sprintf("bench-%d", time.Now().UnixNano()), Partitions: 6, Replication: 3}
	if err := admin.CreateTopic(b.Context(), topic); err != nil {
		b.Fatal(err)
	}
	return topic.Name
}

// rawRate is the bare loop's records a second, from the first Produce to the last report.
func rawRate(b *testing.B, c cluster.Cluster, topic string, size, records int, asked map[string]string) float64 {
	b.Helper()
	translated, _, err := settings.ForLibrdkafka(settings.Producer, asked)
	if err != nil {
		b.Fatal(err)
	}
	conf := kafka.ConfigMap{"bootstrap.servers": c.Bootstrap()[0], "go.delivery.report.fields": "none"}
	for name, value := range translated {
		conf[name] = value
	}
	p, err := kafka.NewProducer(&conf)
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	reported := make(chan int)
	go func() {
		n := 0
		for e := range p.Events() {
			m, ok := e.(*kafka.Message)
			if !ok {
				continue
			}
			if m.TopicPartition.Error != nil {
				b.Error(m.TopicPartition.Error)
			}
			if n++; n == records {
				break
			}
		}
		reported <- n
	}()
	value := make([]byte, size)
	start := time.Now()
	for range records {
		m := kafka.Message{TopicPartition: kafka.TopicPartition{Topic: &topic, Partition: kafka.PartitionAny}, Value: value}
		for {
			err := p.Produce(&m, nil)
			if err == nil {
				break
			}
			if e, ok := err.(kafka.Error); !ok || e.Code() != kafka.ErrQueueFull {
				b.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
	}
	<-reported
	return float64(records) / time.Since(start).Seconds()
}

// recordedRate is a session's, from the first record to the last acknowledgement, history and all.
func recordedRate(b *testing.B, c cluster.Cluster, topic string, size, records int, asked map[string]string) float64 {
	b.Helper()
	now, err := clock.New()
	if err != nil {
		b.Fatal(err)
	}
	spec := sessionSpec{
		Log: filepath.Join(b.TempDir(), "p0.1.log"), Clock: now.Base(), Bootstrap: c.Bootstrap(),
		Header:   history.Header{Version: 1, Run: 7, Producers: []string{"p0"}, Self: history.Client{Name: "p0", Session: 1}},
		Topics:   []topicRef{{Name: "bench", Physical: topic, Partitions: 6}},
		Producer: &producerSpec{Settings: asked, Topics: []string{topic}, recordSpec: recordSpec{Size: size}, Producers: 1, InFlight: places(asked, size, size)},
	}
	for p := range 6 {
		spec.Header.Partitions = append(spec.Header.Partitions, fmt.Sprintf("bench/%d", p))
	}
	s, err := newSession(spec, func(worker.Event) {}, func(err error) { b.Error(err) })
	if err != nil {
		b.Fatal(err)
	}
	p, err := newProducer(b.Context(), s, spec.Producer, confluent.New(func(line string) { fmt.Fprintln(io.Discard, line) }))
	if err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	for range records {
		now := p.clock.Now()
		if err := p.one(b.Context(), now, now); err != nil {
			b.Fatal(err)
		}
	}
	if err := p.client.Flush(context.Background()); err != nil {
		b.Fatal(err)
	}
	rate := float64(records) / time.Since(start).Seconds()
	if acked := s.counts.acked.Load(); acked != uint64(records) {
		b.Fatalf("%d of %d records acknowledged", acked, records)
	}
	if err := p.finish(b.Context()); err != nil {
		b.Fatal(err)
	}
	if err := s.log.Close(); err != nil {
		b.Fatal(err)
	}
	return rate
}
