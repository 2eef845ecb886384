package franz

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kbench/kbench/internal/client"
)

// ReadPartition reads one partition from start until its position reaches end, and hands the records below end to
// each, in order of offset and valid during the call. It returns the position that it reached, which counts what is no
// record for readers as well: control records, records of aborted transactions, offsets that compaction took away. So
// a position of at least end says that everything below it was seen. With an error the position may be less.
//
// It sends Fetch requests itself, without a session and to the partition's leader, and asks again whatever passes,
// until ctx ends. Each batch's checksum is verified; a wrong one is an error.
func ReadPartition(ctx context.Context, bootstrap []string, security client.Security, partition client.Partition, start, end int64,
	isolation client.Isolation, each func([]client.Fetched) error) (position int64, err error) {
	if start >= end {
		return start, nil
	}
	opts, err := reach(bootstrap, security)
	if err != nil {
		return start, fmt.Errorf("read %s/%d: %w", partition.Topic, partition.Partition, err)
	}
	cl, err := kgo.NewClient(append(opts, kgo.RequestTimeoutOverhead(fetchPatience), kgo.DialTimeout(fetchPatience), kgo.RetryTimeout(fetchPatience))...)
	if err != nil {
		return start, fmt.Errorf("read %s/%d: %w", partition.Topic, partition.Partition, err)
	}
	defer cl.Close()
	r := reader{cl: cl, at: partition, isolation: isolation, position: start, end: end, each: each, decompress: kgo.DefaultDecompressor()}
	if err := r.run(ctx); err != nil {
		return r.position, fmt.Errorf("read %s/%d at %d: %w", partition.Topic, partition.Partition, r.position, err)
	}
	return r.position, nil
}

const (
	fetchPatience = 5 * time.Second
	fetchBytes    = 8 << 20
	fetchWait     = 250 * time.Millisecond
)

type reader struct {
	cl         *kgo.Client
	at         client.Partition
	isolation  client.Isolation
	position   int64
	end        int64
	each       func([]client.Fetched) error
	decompress kgo.Decompressor
	batch      []client.Fetched
	headers    headers

	leader  int32 // -1: to be asked
	topicID [16]byte
}

func (r *reader) run(ctx context.Context) error {
	r.leader = -1
	for r.position < r.end {
		err := r.step(ctx)
		if err == nil {
			continue
		}
		if ctx.Err() != nil || !transient(err) {
			return err
		}
		r.leader = -1
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (last: %w)", ctx.Err(), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
	return nil
}

// broken marks an error that asking again does not mend.
type broken struct{ error }

func (b broken) Unwrap() error { return b.error }

// step finds the leader where it is not known, and fetches once.
func (r *reader) step(ctx context.Context) error {
	if r.leader < 0 {
		if err := r.locate(ctx); err != nil {
			return err
		}
	}
	answer, err := r.fetch(ctx)
	if err != nil {
		return err
	}
	if err := kerr.ErrorForCode(answer.ErrorCode); err != nil {
		return err
	}
	for _, t := range answer.Topics {
		for i := range t.Partitions {
			if t.Partitions[i].Partition == r.at.Partition {
				return r.take(&t.Partitions[i])
			}
		}
	}
	return fmt.Errorf("the leader's answer leaves the partition out")
}

func (r *reader) locate(ctx context.Context) error {
	ask := kmsg.NewPtrMetadataRequest()
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = &r.at.Topic
	ask.Topics = append(ask.Topics, topic)
	answer, err := ask.RequestWith(ctx, r.cl)
	if err != nil {
		return err
	}
	for _, t := range answer.Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			return err
		}
		r.topicID = t.TopicID
		for _, p := range t.Partitions {
			if p.Partition == r.at.Partition && p.Leader >= 0 {
				r.leader = p.Leader
				return nil
			}
		}
	}
	return kerr.LeaderNotAvailable
}

func (r *reader) fetch(ctx context.Context) (*kmsg.FetchResponse, error) {
	ask := kmsg.NewPtrFetchRequest()
	ask.MaxWaitMillis, ask.MinBytes, ask.MaxBytes = int32(fetchWait.Milliseconds()), 1, fetchBytes
	ask.IsolationLevel = int8(r.isolation)
	ask.SessionEpoch = -1
	topic, partition := kmsg.NewFetchRequestTopic(), kmsg.NewFetchRequestTopicPartition()
	topic.Topic, topic.TopicID = r.at.Topic, r.topicID
	partition.Partition, partition.FetchOffset, partition.PartitionMaxBytes = r.at.Partition, r.position, fetchBytes
	topic.Partitions = append(topic.Partitions, partition)
	ask.Topics = append(ask.Topics, topic)
	answer, err := r.cl.Broker(int(r.leader)).Request(ctx, ask)
	if err != nil {
		return nil, err
	}
	return answer.(*kmsg.FetchResponse), nil
}

// take hands out the records of an answer and moves the position.
func (r *reader) take(p *kmsg.FetchResponseTopicPartition) error {
	if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
		return err
	}
	isolation := kgo.ReadUncommitted()
	if r.isolation == client.ReadCommitted {
		isolation = kgo.ReadCommitted()
	}
	read, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{
		Offset: r.position, IsolationLevel: isolation, Topic: r.at.Topic, Partition: r.at.Partition,
	}, p, r.decompress, nil)
	r.batch, r.headers = r.batch[:0], r.headers[:0]
	for _, record := range read.Records {
		if record.Offset < r.end {
			r.batch = append(r.batch, client.Fetched{Topic: record.Topic, Partition: record.Partition, Offset: record.Offset,
				Epoch: record.LeaderEpoch, Key: record.Key, Value: record.Value, Headers: r.headers.of(record)})
		}
	}
	if len(r.batch) > 0 {
		if err := r.each(r.batch); err != nil {
			return broken{err}
		}
	}
	r.position = max(r.position, next)
	if read.Err != nil {
		return broken{read.Err}
	}
	return nil
}
