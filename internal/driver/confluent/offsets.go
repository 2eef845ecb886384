package confluent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/kbench/kbench/internal/client"
)

// Commit commits synchronously. Where ctx ends first, the offsets may or may not be committed.
func (c *consumer) Commit(ctx context.Context, offsets []client.PartitionOffset) error {
	if len(offsets) == 0 {
		return nil
	}
	if c.group == "" {
		return fmt.Errorf("commit: no group.id")
	}
	return c.within(ctx, "commit", func() error {
		done, err := c.c.CommitOffsets(partitions(offsets))
		for _, part := range done {
			err = errors.Join(err, part.Error)
		}
		return err
	})
}

// Committed asks for stable offsets: those of a transaction that is still open are waited for.
func (c *consumer) Committed(ctx context.Context, parts []client.Partition) ([]client.PartitionOffset, error) {
	if c.group == "" {
		return nil, fmt.Errorf("committed offsets: no group.id")
	}
	offsets := make([]client.PartitionOffset, len(parts))
	for i, p := range parts {
		offsets[i] = client.PartitionOffset{Partition: p, Offset: client.UnknownOffset}
	}
	ctx, cancel := context.WithTimeout(ctx, c.patience)
	defer cancel()
	for {
		err := c.within(ctx, "committed offsets", func() error { return c.stable(ctx, offsets) })
		if err == nil {
			return offsets, nil
		}
		switch code(err) {
		case kafka.ErrGroupIDNotFound: // nobody has committed to it yet; some brokers answer with no offsets instead
			return offsets, nil
		case kafka.ErrUnstableOffsetCommit:
		default:
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// stable fills in the committed offsets, -1 where there is none.
func (c *consumer) stable(ctx context.Context, offsets []client.PartitionOffset) error {
	admin, err := kafka.NewAdminClientFromConsumer(c.c)
	if err != nil {
		return err
	}
	defer admin.Close()
	answer, err := admin.ListConsumerGroupOffsets(ctx,
		[]kafka.ConsumerGroupTopicPartitions{{Group: c.group, Partitions: partitions(offsets)}},
		kafka.SetAdminRequireStableOffsets(true))
	if err != nil {
		return err
	}
	for _, group := range answer.ConsumerGroupsTopicPartitions {
		for _, part := range group.Partitions {
			if part.Error != nil {
				return part.Error
			}
			for i := range offsets {
				if offsets[i].Topic == *part.Topic && offsets[i].Partition.Partition == part.Partition && part.Offset >= 0 {
					offsets[i].Offset = int64(part.Offset)
				}
			}
		}
	}
	return nil
}

// within makes a call that cannot be cancelled, and leaves it behind when ctx ends. Close waits for it.
func (c *consumer) within(ctx context.Context, doing string, call func() error) error {
	answer := make(chan error, 1)
	go func() {
		c.alive.RLock()
		defer c.alive.RUnlock()
		if c.c.IsClosed() {
			answer <- errClosed
			return
		}
		answer <- call()
	}()
	select {
	case err := <-answer:
		if err == nil {
			return nil
		}
		if many, ok := err.(interface{ Unwrap() []error }); ok {
			err = many.Unwrap()[0]
		}
		c.count.Add("error."+name(code(err)), 1)
		return explain(doing, err)
	case <-ctx.Done():
		return fmt.Errorf("%s: outcome unknown: %w", doing, ctx.Err())
	}
}

// GroupMetadata carries the membership in the library's own form; generation and member are not told apart from it.
func (c *consumer) GroupMetadata() (client.GroupMetadata, error) {
	own, err := c.c.GetConsumerGroupMetadata()
	if err != nil {
		return client.GroupMetadata{}, explain("group metadata", err)
	}
	return client.GroupMetadata{Group: c.group, Generation: -1, Native: own}, nil
}

func partitions(offsets []client.PartitionOffset) []kafka.TopicPartition {
	parts := make([]kafka.TopicPartition, len(offsets))
	for i := range offsets {
		parts[i] = kafka.TopicPartition{Topic: &offsets[i].Topic, Partition: offsets[i].Partition.Partition, Offset: kafka.Offset(offsets[i].Offset)}
	}
	return parts
}

func positions(parts []kafka.TopicPartition) []client.PartitionOffset {
	offsets := make([]client.PartitionOffset, len(parts))
	for i, p := range parts {
		offsets[i] = client.PartitionOffset{Partition: client.Partition{Topic: *p.Topic, Partition: p.Partition}, Offset: max(client.UnknownOffset, int64(p.Offset))}
	}
	return offsets
}
