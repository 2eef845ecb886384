package franz

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kbench/kbench/internal/settings"
)

// grace is what a broker is given to answer what is no Produce request, and to answer that one beyond its own time:
// request.timeout.ms as far as it is reasonable for that.
func grace(full map[string]string) time.Duration {
	return min(10*time.Second, max(time.Second, millis(full, "request.timeout.ms")))
}

// resolve reads settings for a client of this library. What was asked for and has no counterpart is refused.
func resolve(role settings.Role, asked map[string]string) (map[string]string, error) {
	full, err := settings.ResolveFor("franz", role, asked)
	if err := errors.Join(err, lacking(role, asked)); err != nil {
		return nil, err
	}
	if inFlight := full["max.in.flight.requests.per.connection"]; full["enable.idempotence"] == "true" && inFlight != "5" {
		return nil, fmt.Errorf("max.in.flight.requests.per.connection=%s: an idempotent producer of franz-go always allows 5", inFlight)
	}
	return full, nil
}

// lacking are the settings that the library has nothing for.
func lacking(role settings.Role, asked map[string]string) error {
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		if s, known := settings.Lookup(role, name); known && s.Library == "" && s.Franz == "" {
			problems = append(problems, fmt.Errorf("%s has no counterpart in franz-go", name))
		}
	}
	return errors.Join(problems...)
}

func (driver) RefusedOfProducer(asked map[string]string) error {
	_, err := resolve(settings.Producer, asked)
	return err
}

func (driver) RefusedOfConsumer(asked map[string]string) error {
	member := map[string]string{"group.id": "any"} // the group's name is the run's
	maps.Copy(member, asked)
	_, err := resolve(settings.Consumer, member)
	return err
}

func millis(full map[string]string, name string) time.Duration {
	return time.Duration(settings.Number(full, name)) * time.Millisecond
}

// common options of producers and consumers.
func common(bootstrap []string, full map[string]string) ([]kgo.Opt, error) {
	if len(bootstrap) == 0 {
		return nil, fmt.Errorf("no bootstrap servers")
	}
	opts, err := secured(full)
	if err != nil {
		return nil, err
	}
	opts = append(opts,
		seeds(bootstrap),
		kgo.ClientID(full["client.id"]),
		kgo.RetryBackoffFn(backoff(millis(full, "retry.backoff.ms"), millis(full, "retry.backoff.max.ms"))),
		kgo.MetadataMaxAge(millis(full, "metadata.max.age.ms")),
		kgo.MetadataMinAge(min(100*time.Millisecond, millis(full, "metadata.max.age.ms"))),
		kgo.ConnIdleTimeout(millis(full, "connections.max.idle.ms")),
	)
	if full["enable.metrics.push"] == "false" {
		opts = append(opts, kgo.DisableClientMetrics())
	}
	return opts, nil
}

// backoff grows from least to most by doubling, with Kafka's jitter of a fifth.
func backoff(least, most time.Duration) func(int) time.Duration {
	return func(fails int) time.Duration {
		d := min(most, least<<min(max(fails-1, 0), 20))
		return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
	}
}

func producerOptions(bootstrap []string, full map[string]string) ([]kgo.Opt, error) {
	opts, err := common(bootstrap, full)
	if err != nil {
		return nil, err
	}
	codec, err := compression(full)
	if err != nil {
		return nil, err
	}
	opts = append(opts,
		kgo.RequiredAcks(map[string]kgo.Acks{"0": kgo.NoAck(), "1": kgo.LeaderAck(), "all": kgo.AllISRAcks()}[full["acks"]]),
		kgo.ProducerBatchMaxBytes(int32(settings.Number(full, "batch.size"))),
		kgo.ProducerBatchCompression(codec),
		kgo.ProducerLinger(millis(full, "linger.ms")),
		kgo.RecordDeliveryTimeout(millis(full, "delivery.timeout.ms")),
		kgo.ProduceRequestTimeout(millis(full, "request.timeout.ms")),
		kgo.RequestTimeoutOverhead(grace(full)),
		kgo.RecordRetries(int(settings.Number(full, "retries"))),
		kgo.UnknownTopicRetries(-1), // delivery.timeout.ms alone ends it, as in Java
		kgo.RecordPartitioner(partitioner{kgo.UniformBytesPartitioner(int(settings.Number(full, "batch.size")), true, true, nil)}),
		kgo.MaxBufferedRecords(math.MaxInt), // the driver counts bytes itself, before the library sees the record
	)
	if full["enable.idempotence"] == "false" {
		opts = append(opts, kgo.DisableIdempotentWrite(),
			kgo.MaxProduceRequestsInflightPerBroker(int(settings.Number(full, "max.in.flight.requests.per.connection"))))
	}
	if id := full["transactional.id"]; id != "" {
		opts = append(opts, kgo.TransactionalID(id), kgo.TransactionTimeout(millis(full, "transaction.timeout.ms")),
			kgo.RequestRetries(math.MaxInt32), kgo.RetryTimeoutFn(untilCancelled))
	}
	return opts, nil
}

// untilCancelled leaves it to the caller how long a transaction's requests are repeated.
func untilCancelled(key int16) time.Duration {
	switch kmsg.Key(key) {
	case kmsg.InitProducerID, kmsg.AddPartitionsToTxn, kmsg.AddOffsetsToTxn, kmsg.EndTxn, kmsg.TxnOffsetCommit:
		return 0
	}
	return 30 * time.Second
}

func compression(full map[string]string) (kgo.CompressionCodec, error) {
	name := full["compression.type"]
	codec, ok := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}[name]
	if !ok {
		return codec, fmt.Errorf("compression.type: unknown codec %q", name)
	}
	if level, set := full["compression."+name+".level"]; set {
		n, err := strconv.Atoi(level)
		if err != nil {
			return codec, fmt.Errorf("compression.%s.level: %w", name, err)
		}
		codec = codec.WithLevel(n)
	}
	return codec, nil
}

func consumerOptions(bootstrap []string, full map[string]string) ([]kgo.Opt, error) {
	opts, err := common(bootstrap, full)
	if err != nil {
		return nil, err
	}
	start, reset := kgo.NewOffset().AtEnd(), kgo.NewOffset().AtEnd()
	switch full["auto.offset.reset"] {
	case "earliest":
		start, reset = kgo.NewOffset().AtStart(), kgo.NewOffset().AtStart()
	case "none":
		start, reset = kgo.NewOffset().AtCommitted(), kgo.NoResetOffset()
	}
	isolation := kgo.ReadUncommitted()
	if full["isolation.level"] == "read_committed" {
		isolation = kgo.ReadCommitted()
	}
	opts = append(opts,
		kgo.ConsumeStartOffset(start), kgo.ConsumeResetOffset(reset),
		kgo.FetchIsolationLevel(isolation),
		kgo.FetchMinBytes(int32(settings.Number(full, "fetch.min.bytes"))),
		kgo.FetchMaxBytes(int32(settings.Number(full, "fetch.max.bytes"))),
		kgo.FetchMaxPartitionBytes(int32(settings.Number(full, "max.partition.fetch.bytes"))),
		kgo.FetchMaxWait(millis(full, "fetch.max.wait.ms")),
		kgo.RequestTimeoutOverhead(millis(full, "request.timeout.ms")),
	)
	if rack := full["client.rack"]; rack != "" {
		opts = append(opts, kgo.Rack(rack))
	}
	if full["check.crcs"] == "false" {
		opts = append(opts, kgo.DisableFetchCRCValidation())
	}
	if full["allow.auto.create.topics"] == "true" {
		opts = append(opts, kgo.AllowAutoTopicCreation())
	}
	return opts, nil
}

// groupOptions make a consumer a member of its group.
func groupOptions(full map[string]string) ([]kgo.Opt, error) {
	opts := []kgo.Opt{
		kgo.ConsumerGroup(full["group.id"]),
		kgo.RebalanceTimeout(millis(full, "max.poll.interval.ms")),
		kgo.BlockRebalanceOnPoll(),
	}
	if id := full["group.instance.id"]; id != "" {
		opts = append(opts, kgo.InstanceID(id))
	}
	if full["enable.auto.commit"] == "true" {
		opts = append(opts, kgo.AutoCommitInterval(millis(full, "auto.commit.interval.ms")))
	} else {
		opts = append(opts, kgo.DisableAutoCommit())
	}
	if full["group.protocol"] == "consumer" {
		return append(opts, kgo.ServerSideBalancer()), nil
	}
	names, err := settings.Assignors(full["partition.assignment.strategy"])
	if err != nil {
		return nil, err
	}
	var balancers []kgo.GroupBalancer
	for _, name := range names {
		balancers = append(balancers, map[string]kgo.GroupBalancer{
			"range": kgo.RangeBalancer(), "roundrobin": kgo.RoundRobinBalancer(),
			"sticky": kgo.StickyBalancer(), "cooperative-sticky": kgo.CooperativeStickyBalancer(),
		}[name])
	}
	return append(opts, kgo.Balancers(balancers...),
		kgo.SessionTimeout(millis(full, "session.timeout.ms")), kgo.HeartbeatInterval(millis(full, "heartbeat.interval.ms"))), nil
}
