package bench

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/clock"
	"github.com/kbench/kbench/internal/cluster/clustertest"
	"github.com/kbench/kbench/internal/cluster/local"
	"github.com/kbench/kbench/internal/driver/confluent"
	"github.com/kbench/kbench/internal/driver/franz"
	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/payload"
	"github.com/kbench/kbench/internal/settings"
	"github.com/kbench/kbench/internal/worker"
)

// How fast kbench is, beside a peer that does the same work and records nothing, turn by turn in one run: the figure to read is
// the ratio, the median of the pairs. -benchtime 5x makes five pairs; -bench /franz/ or /mock/ narrows it. Brokers' data are best
// in memory (TMPDIR=/dev/shm).
//
//	go test -run - -bench Produce -benchtime 5x ./bench
//	KBENCH_KAFKA_TOOLS=DIR go test -run - -bench 'Produce|Consume' -benchtime 5x ./bench
//
// With a folder that has the jars of org.apache.kafka:kafka-tools, Kafka's own performance tools take part as well; with
// KBENCH_RDKAFKA_PERFORMANCE librdkafka's, with KBENCH_FRANZ_BENCH franz-go's.

const benchPartitions = 6

// peer is one way to move records to a topic or from it, and returns records a second.
type peer struct {
	name string
	run  func(b *testing.B, on target, size, records int, asked map[string]string) float64
}

// target is where records go.
type target struct {
	bootstrap []string
	topic     string
}

// BenchmarkProduce sends the same records with the same settings by each way: through kbench with everything recorded, through a
// bare loop around the same client library, and by Kafka's own tool.
func BenchmarkProduce(b *testing.B) {
	b.Run("mock/confluent", func(b *testing.B) {
		on := mockCluster(b)
		eachLoad(b, func(b *testing.B, size int, asked map[string]string) {
			pairs(b, sameTopic(on), size, asked, recordedBy(confluent.New(nil)), []peer{{"raw", rawConfluent}, {"raw-matching", matchingConfluent}})
		})
	})
	cluster := sync.OnceValue(func() []string { return warmCluster(b) })
	b.Run("cluster/confluent", func(b *testing.B) {
		eachLoad(b, func(b *testing.B, size int, asked map[string]string) {
			pairs(b, freshTopics(b, cluster()), size, asked, recordedBy(confluent.New(nil)), []peer{{"raw", rawConfluent}, {"raw-matching", matchingConfluent}, {"java", javaProducer}, {"c", cProducer}})
		})
	})
	b.Run("cluster/franz", func(b *testing.B) {
		eachLoad(b, func(b *testing.B, size int, asked map[string]string) {
			pairs(b, freshTopics(b, cluster()), size, asked, recordedBy(franz.New(nil)), []peer{{"raw", rawFranz}, {"own", franzProducer}, {"java", javaProducer}, {"c", cProducer}})
		})
	})
}

// BenchmarkConsume reads the same records by each way: with every checksum verified and every record's reading and handling
// recorded, by a bare loop around the same client library, and by Kafka's own tool.
func BenchmarkConsume(b *testing.B) {
	bootstrap := steadyCluster(b)
	for _, size := range []int{100, 1024} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			on := benchmarkTopic(b, bootstrap)
			records := 1_000_000_000 / size // 10 million of 100 B
			recordedBy(franz.New(nil)).run(b, on, size, records, produceSettings("1"))
			b.Run("confluent", func(b *testing.B) {
				pairs(b, sameTopic(on), size, consumeSettings(), readBy(confluent.New(nil), records), []peer{{"raw", rawConfluentReaders(records)}, {"java", javaConsumer(records)}})
			})
			b.Run("franz", func(b *testing.B) {
				pairs(b, sameTopic(on), size, consumeSettings(), readBy(franz.New(nil), records), []peer{{"raw", rawFranzReaders(records)}, {"java", javaConsumer(records)}})
			})
		})
	}
}

func produceSettings(acks string) map[string]string {
	return map[string]string{"acks": acks, "enable.idempotence": "false", "batch.size": "262144", "linger.ms": "5"}
}

func eachLoad(b *testing.B, run func(*testing.B, int, map[string]string)) {
	for _, size := range []int{100, 1024} {
		for _, acks := range []string{"1", "all"} {
			b.Run(fmt.Sprintf("%dB/acks=%s", size, acks), func(b *testing.B) { run(b, size, produceSettings(acks)) })
		}
	}
}

// pairs runs kbench's way between those of its peers, each on the topic that it is given, and reports the ratios' medians.
func pairs(b *testing.B, topic func(use func(target)), size int, asked map[string]string, own peer, others []peer) {
	records := 800_000_000 / max(size, 250) // some seconds' worth
	others = slices.DeleteFunc(slices.Clone(others), func(p peer) bool {
		return p.name == "java" && !javaTools(b) || p.name == "c" && cTool() == "" || p.name == "own" && franzTool() == ""
	})
	rateOf := func(p peer, records int) (rate float64) {
		topic(func(on target) { rate = p.run(b, on, size, records, asked) })
		return rate
	}
	rateOf(others[0], records/4) // the brokers' code for these settings
	ratios, rates := make([][]float64, len(others)), []float64{}
	for b.Loop() {
		theirs := make([]float64, len(others))
		for i, p := range others {
			theirs[i] = rateOf(p, records)
		}
		rate := rateOf(own, records)
		rates = append(rates, rate)
		for i := range others {
			ratios[i] = append(ratios[i], rate/theirs[i])
		}
	}
	for i, p := range others {
		b.ReportMetric(median(ratios[i]), own.name+"/"+p.name)
	}
	b.ReportMetric(median(rates), "records/s")
	b.ReportMetric(0, "ns/op")
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

func steadyCluster(b *testing.B) []string {
	return clustertest.Start(b, local.Options{Steady: true, Heap: "1g", Config: map[string]string{"log.segment.delete.delay.ms": "100"}}).Bootstrap()
}

// warmCluster has compiled what it does most. Until it has, in the first half minute of load, a record costs its brokers several times
// what it does later, and a ratio of two ways to send is that of how much of the two processors each leaves to the compilers.
func warmCluster(b *testing.B) []string {
	bootstrap := steadyCluster(b)
	topic := freshTopics(b, bootstrap)
	for until := time.Now().Add(30 * time.Second); time.Now().Before(until); {
		topic(func(on target) { rawFranz(b, on, 100, 2_000_000, produceSettings("1")) })
	}
	return bootstrap
}

func sameTopic(on target) func(use func(target)) { return func(use func(target)) { use(on) } }

// freshTopics are topics that are used once and removed, so that the brokers go round the memory which holds their data: memory that
// the machine has not used lately, and that it is given by a host, can take longer to come by than the records to be sent.
func freshTopics(b *testing.B, bootstrap []string) func(use func(target)) {
	return func(use func(target)) {
		on := benchmarkTopic(b, bootstrap)
		use(on)
		admin, err := franz.NewAdmin(bootstrap, nil)
		if err != nil {
			b.Fatal(err)
		}
		defer admin.Close()
		if err := admin.DeleteTopic(b.Context(), on.topic); err != nil {
			b.Fatal(err)
		}
		time.Sleep(500 * time.Millisecond) // its files go
	}
}

// mockCluster is librdkafka's brokers in this process, which keep next to nothing.
func mockCluster(b *testing.B) target {
	b.Helper()
	m, err := kafka.NewMockCluster(1)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(m.Close)
	if err := m.CreateTopic("bench", benchPartitions, 1); err != nil {
		b.Fatal(err)
	}
	return target{[]string{m.BootstrapServers()}, "bench"}
}

func benchmarkTopic(b *testing.B, bootstrap []string) target {
	b.Helper()
	admin, err := franz.NewAdmin(bootstrap, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer admin.Close()
	topic := client.Topic{Name: fmt.Sprintf("bench-%d", time.Now().UnixNano()), Partitions: benchPartitions, Replication: 3}
	if err := admin.CreateTopic(b.Context(), topic); err != nil {
		b.Fatal(err)
	}
	return target{bootstrap, topic.Name}
}

// benchSession is a session with a log, as a run has them.
func benchSession(b *testing.B, on target, name string) *session {
	b.Helper()
	now, err := clock.New()
	if err != nil {
		b.Fatal(err)
	}
	spec := sessionSpec{
		Log: filepath.Join(b.TempDir(), name+".1.log"), Clock: now.Base(), Bootstrap: on.bootstrap,
		Header: history.Header{Version: 1, Run: 7, Producers: []string{"p0"}, Self: history.Client{Name: name, Session: 1}},
		Topics: []topicRef{{Name: "bench", Physical: on.topic, Partitions: benchPartitions}},
	}
	for p := range benchPartitions {
		spec.Header.Partitions = append(spec.Header.Partitions, fmt.Sprintf("bench/%d", p))
	}
	s, err := newSession(spec, func(worker.Event) {}, func(err error) { b.Error(err) })
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// recordedBy is a producer's session through a driver, from the first record to the last acknowledgement, history and all.
func recordedBy(driver client.Driver) peer {
	return peer{"recorded", func(b *testing.B, on target, size, records int, asked map[string]string) float64 {
		b.Helper()
		s := benchSession(b, on, "p0")
		spec := &producerSpec{
			Settings: asked, Topics: []string{on.topic}, recordSpec: recordSpec{Size: size}, Producers: 1, Records: int64(records), InFlight: places(asked, size, size),
		}
		p, err := newProducer(b.Context(), s, spec, driver)
		if err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		if err := p.flatOut(b.Context(), p.clock.Now(), math.MaxInt64); err != nil {
			b.Fatal(err)
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
	}}
}

// rawConfluent is the bare loop around confluent-kafka-go, from the first Produce to the last report. It counts reports, and could
// not tell which record one is about.
func rawConfluent(b *testing.B, on target, size, records int, asked map[string]string) float64 {
	b.Helper()
	return bareConfluent(b, on, size, records, asked, func(int) any { return nil }, func(*kafka.Message) bool { return true })
}

// matchingConfluent is the bare loop that tells which record a report is about in the library's own way, by what it carries for it.
func matchingConfluent(b *testing.B, on target, size, records int, asked map[string]string) float64 {
	b.Helper()
	open := make([]int, records)
	for i := range open {
		open[i] = i + 1
	}
	return bareConfluent(b, on, size, records, asked, func(n int) any { return &open[n] }, func(m *kafka.Message) bool {
		n := m.Opaque.(*int)
		once := *n > 0
		*n = 0
		return once
	})
}

// bareConfluent sends records with what the library is to carry for each, and takes their reports.
func bareConfluent(b *testing.B, on target, size, records int, asked map[string]string, carried func(n int) any, take func(*kafka.Message) bool) float64 {
	b.Helper()
	conf := librdkafkas(b, settings.Producer, on, asked)
	conf["go.delivery.report.fields"] = "none"
	p, err := kafka.NewProducer(&conf)
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	reported := make(chan struct{})
	go func() {
		defer close(reported)
		n := 0
		for e := range p.Events() {
			m, ok := e.(*kafka.Message)
			if !ok {
				continue
			}
			if m.TopicPartition.Error != nil || !take(m) {
				b.Errorf("a report of no record, or with an error: %v", m.TopicPartition)
			}
			if n++; n == records {
				return
			}
		}
	}()
	value := make([]byte, size)
	start := time.Now()
	for n := range records {
		m := kafka.Message{TopicPartition: kafka.TopicPartition{Topic: &on.topic, Partition: kafka.PartitionAny}, Value: value, Opaque: carried(n)}
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

func librdkafkas(b *testing.B, role settings.Role, on target, asked map[string]string) kafka.ConfigMap {
	b.Helper()
	translated, _, err := settings.ForLibrdkafka(role, asked)
	if err != nil {
		b.Fatal(err)
	}
	conf := kafka.ConfigMap{"bootstrap.servers": on.bootstrap[0]}
	for name, value := range translated {
		conf[name] = value
	}
	return conf
}

// rawFranz is the barest loop around franz-go: records come from a pool, their values stay as they are, and what becomes of them is
// counted. franz-go's own benchmark does so with -static-record, and at a greater cost with -pool, where each value is another, or
// without either, where each is made anew.
func rawFranz(b *testing.B, on target, size, records int, asked map[string]string) float64 {
	b.Helper()
	acks := kgo.AllISRAcks()
	if asked["acks"] == "1" {
		acks = kgo.LeaderAck()
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(on.bootstrap...), kgo.DefaultProduceTopic(on.topic), kgo.RequiredAcks(acks), kgo.DisableIdempotentWrite(),
		kgo.MaxProduceRequestsInflightPerBroker(5), kgo.ProducerBatchMaxBytes(262144), kgo.ProducerLinger(5*time.Millisecond),
		kgo.MaxBufferedRecords(32<<20/size), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		b.Fatal(err)
	}
	defer cl.Close()
	pool := sync.Pool{New: func() any { return kgo.SliceRecord(make([]byte, size)) }}
	var acked atomic.Int64
	done := func(r *kgo.Record, err error) {
		pool.Put(r)
		if err != nil {
			b.Error(err)
		}
		acked.Add(1)
	}
	start := time.Now()
	for range records {
		cl.Produce(context.Background(), pool.Get().(*kgo.Record), done)
	}
	if err := cl.Flush(context.Background()); err != nil {
		b.Fatal(err)
	}
	rate := float64(records) / time.Since(start).Seconds()
	if n := acked.Load(); n != int64(records) {
		b.Fatalf("%d of %d records acknowledged", n, records)
	}
	return rate
}

// consumeSettings of a reader that is well set: librdkafka looks for room in its queue each 10 ms in place of each second.
func consumeSettings() map[string]string {
	return map[string]string{"auto.offset.reset": "earliest", "fetch.max.bytes": "52428800", "max.partition.fetch.bytes": "1048576", "max.poll.records": "500"}
}

// readers is how many consumers share the partitions.
const readers = 2

// share is the part of the partitions of one of the readers, from their beginnings.
func share(on target, reader int) []client.PartitionOffset {
	var part []client.PartitionOffset
	for p := reader; p < benchPartitions; p += readers {
		part = append(part, client.PartitionOffset{Partition: client.Partition{Topic: on.topic, Partition: int32(p)}})
	}
	return part
}

// together runs the readers until they have all records, which each counts as it goes, or one of them fails.
func together(records int, read func(reader int, n *atomic.Int64) error) (rate float64, err error) {
	var n atomic.Int64
	var all sync.WaitGroup
	errs := make([]error, readers)
	start := time.Now()
	for i := range readers {
		all.Go(func() {
			if errs[i] = read(i, &n); errs[i] != nil {
				n.Add(int64(records)) // the others end
			}
		})
	}
	all.Wait()
	for _, e := range errs {
		if e != nil {
			err = e
		}
	}
	return float64(records) / time.Since(start).Seconds(), err
}

// readBy are sessions of consumers through a driver, each of which verifies and records what it reads and handles.
func readBy(driver client.Driver, records int) peer {
	return peer{"recorded", func(b *testing.B, on target, _, _ int, asked map[string]string) float64 {
		b.Helper()
		with := map[string]string{}
		for name, value := range asked {
			with[name] = value
		}
		if driver.Name() == "confluent" {
			with["fetch.queue.backoff.ms"] = "10"
		}
		own := make([]*consumer, readers)
		for i := range own {
			s := benchSession(b, on, fmt.Sprintf("c%d", i))
			cl, err := driver.NewConsumer(on.bootstrap, with)
			if err != nil {
				b.Fatal(err)
			}
			if err := cl.Assign(share(on, i)); err != nil {
				b.Fatal(err)
			}
			own[i] = &consumer{
				readerLog: readerLog{session: s, run: 7, held: map[client.Partition]bool{}}, spec: &consumerSpec{Group: "g", Commit: commitAuto},
				client: cl, next: map[client.Partition]int64{},
			}
		}
		rate, err := together(records, func(i int, n *atomic.Int64) error {
			c := own[i]
			for before := uint64(0); n.Load() < int64(records); {
				if err := c.turn(b.Context()); err != nil {
					return err
				}
				read := c.counts.read.Load()
				n.Add(int64(read - before))
				before = read
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		for _, c := range own {
			if read, handled := c.counts.read.Load(), c.counts.processed.Load(); read != handled {
				b.Fatalf("%d read, %d handled", read, handled)
			}
			if err := c.client.Close(); err != nil {
				b.Fatal(err)
			}
			if err := c.log.Close(); err != nil {
				b.Fatal(err)
			}
		}
		return rate
	}}
}

// rawConfluentReaders are bare loops around confluent-kafka-go's Poll.
func rawConfluentReaders(records int) func(*testing.B, target, int, int, map[string]string) float64 {
	return func(b *testing.B, on target, _, _ int, asked map[string]string) float64 {
		b.Helper()
		own := make([]*kafka.Consumer, readers)
		for i := range own {
			conf := librdkafkas(b, settings.Consumer, on, asked)
			conf["group.id"], conf["fetch.queue.backoff.ms"] = "raw", "10"
			c, err := kafka.NewConsumer(&conf)
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			var parts []kafka.TopicPartition
			for _, p := range share(on, i) {
				parts = append(parts, kafka.TopicPartition{Topic: &on.topic, Partition: p.Partition.Partition, Offset: 0})
			}
			if err := c.Assign(parts); err != nil {
				b.Fatal(err)
			}
			own[i] = c
		}
		rate, err := together(records, func(i int, n *atomic.Int64) error {
			unsaid := int64(0)
			defer func() { n.Add(unsaid) }()
			for n.Load()+unsaid < int64(records) {
				switch e := own[i].Poll(50).(type) {
				case *kafka.Message:
					if unsaid++; unsaid == 1000 {
						n.Add(unsaid)
						unsaid = 0
					}
				case kafka.Error:
					return e
				case nil:
					n.Add(unsaid)
					unsaid = 0
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		return rate
	}
}

// rawFranzReaders are bare loops as that of franz-go's own benchmark.
func rawFranzReaders(records int) func(*testing.B, target, int, int, map[string]string) float64 {
	return func(b *testing.B, on target, _, _ int, asked map[string]string) float64 {
		b.Helper()
		own := make([]*kgo.Client, readers)
		for i := range own {
			parts := map[int32]kgo.Offset{}
			for _, p := range share(on, i) {
				parts[p.Partition.Partition] = kgo.NewOffset().AtStart()
			}
			cl, err := kgo.NewClient(kgo.SeedBrokers(on.bootstrap...), kgo.MaxConcurrentFetches(3), kgo.FetchMaxBytes(5<<20),
				kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{on.topic: parts}))
			if err != nil {
				b.Fatal(err)
			}
			defer cl.Close()
			own[i] = cl
		}
		ctx, cancel := context.WithCancel(b.Context())
		defer cancel()
		rate, err := together(records, func(i int, n *atomic.Int64) error {
			for n.Load() < int64(records) {
				fetches := own[i].PollFetches(ctx)
				if ctx.Err() != nil {
					return nil
				}
				if errs := fetches.Errors(); len(errs) > 0 {
					return errs[0].Err
				}
				var got int64
				fetches.EachRecord(func(r *kgo.Record) {
					if len(r.Value) >= payload.Size {
						got++
					}
				})
				if n.Add(got) >= int64(records) {
					cancel()
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		return rate
	}
}
