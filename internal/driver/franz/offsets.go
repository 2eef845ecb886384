package franz

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kbench/kbench/internal/client"
)

// Commit commits synchronously: as a member after Subscribe, else as anyone.
func (c *consumer) Commit(ctx context.Context, offsets []client.PartitionOffset) error {
	if len(offsets) == 0 {
		return nil
	}
	if c.group == "" {
		return fmt.Errorf("commit: no group.id")
	}
	err := c.commit(ctx, offsets)
	if err == nil {
		return nil
	}
	c.count.Add("error."+name(err), 1)
	if ctx.Err() != nil {
		return fmt.Errorf("commit: outcome unknown: %w (last: %w)", ctx.Err(), err)
	}
	return explain("commit", err)
}

func (c *consumer) commit(ctx context.Context, offsets []client.PartitionOffset) error {
	if !c.member {
		var ask kadm.Offsets
		for _, o := range offsets {
			ask.AddOffset(o.Topic, o.Partition.Partition, o.Offset, -1)
		}
		answer, err := kadm.NewClient(c.asker).CommitOffsets(ctx, c.group, ask)
		if err != nil {
			return err
		}
		return answer.Error()
	}
	ask := make(map[string]map[int32]kgo.EpochOffset)
	for _, o := range offsets {
		if ask[o.Topic] == nil {
			ask[o.Topic] = make(map[int32]kgo.EpochOffset)
		}
		ask[o.Topic][o.Partition.Partition] = kgo.EpochOffset{Epoch: -1, Offset: o.Offset}
	}
	var outcome error
	c.cl.CommitOffsetsSync(ctx, ask, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, answer *kmsg.OffsetCommitResponse, err error) {
		outcome = refused(answer, err)
	})
	return outcome
}

// refused is the first error of an answer.
func refused(answer *kmsg.OffsetCommitResponse, err error) error {
	if err != nil {
		return err
	}
	for _, t := range answer.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return err
			}
		}
	}
	return nil
}

// Committed asks for stable offsets: those of a transaction that is still open are waited for.
func (c *consumer) Committed(ctx context.Context, parts []client.Partition) ([]client.PartitionOffset, error) {
	if c.group == "" {
		return nil, fmt.Errorf("committed offsets: no group.id")
	}
	ctx, cancel := context.WithTimeout(ctx, millis(c.full, "default.api.timeout.ms"))
	defer cancel()
	offsets, err := stableOffsets(ctx, c.asker, c.group, parts)
	if err != nil {
		return nil, explain("committed offsets", err)
	}
	known := make(map[client.Partition]int64)
	for _, o := range offsets {
		known[o.Partition] = o.Offset
	}
	answer := make([]client.PartitionOffset, len(parts))
	for i, p := range parts {
		answer[i] = client.PartitionOffset{Partition: p, Offset: client.UnknownOffset}
		if o, ok := known[p]; ok {
			answer[i].Offset = o
		}
	}
	return answer, nil
}

// stableOffsets are a group's committed offsets, of these partitions or (nil) of all that have one, once no transaction
// that is open holds some of them back.
func stableOffsets(ctx context.Context, cl *kgo.Client, group string, parts []client.Partition) ([]client.PartitionOffset, error) {
	for {
		offsets, err := fetchOffsets(ctx, cl, group, parts)
		if among(err, kerr.GroupIDNotFound) {
			return nil, nil // nobody has committed yet
		}
		if !among(err, kerr.UnstableOffsetCommit) {
			return offsets, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func fetchOffsets(ctx context.Context, cl *kgo.Client, group string, parts []client.Partition) ([]client.PartitionOffset, error) {
	ask := kmsg.NewPtrOffsetFetchRequest()
	ask.Group, ask.RequireStable = group, true
	byTopic := make(map[string][]int32)
	for _, p := range parts {
		byTopic[p.Topic] = append(byTopic[p.Topic], p.Partition)
	}
	for name, numbers := range byTopic {
		t := kmsg.NewOffsetFetchRequestTopic()
		t.Topic, t.Partitions = name, numbers
		ask.Topics = append(ask.Topics, t)
	}
	answer, err := ask.RequestWith(ctx, cl)
	if err != nil {
		return nil, err
	}
	if err := kerr.ErrorForCode(answer.ErrorCode); err != nil {
		return nil, err
	}
	var offsets []client.PartitionOffset
	for _, g := range answer.Groups {
		if err := kerr.ErrorForCode(g.ErrorCode); err != nil {
			return nil, err
		}
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return nil, err
				}
				if p.Offset >= 0 {
					offsets = append(offsets, client.PartitionOffset{Partition: client.Partition{Topic: t.Topic, Partition: p.Partition}, Offset: p.Offset})
				}
			}
		}
	}
	return offsets, nil
}

// GroupMetadata is the membership as a transaction needs it; Native is the static member's instance, if any.
func (c *consumer) GroupMetadata() (client.GroupMetadata, error) {
	if !c.member {
		return client.GroupMetadata{}, fmt.Errorf("group metadata: not a member of a group")
	}
	member, generation := c.cl.GroupMetadata()
	metadata := client.GroupMetadata{Group: c.group, Generation: generation, Member: member}
	if id := c.full["group.instance.id"]; id != "" {
		metadata.Native = &id
	}
	return metadata, nil
}
