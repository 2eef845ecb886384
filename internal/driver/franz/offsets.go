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
		answer, err := c.asker.CommitOffsets(ctx, c.group, ask)
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
	ctx, cancel := context.WithTimeout(ctx, millis(c.full, "default.api.timeout.ms"))
	defer cancel()
	all, err := stableOffsets(ctx, c.asker, c.group)
	if err != nil {
		return nil, explain("committed offsets", err)
	}
	offsets := make([]client.PartitionOffset, len(parts))
	for i, p := range parts {
		offsets[i] = client.PartitionOffset{Partition: p, Offset: client.UnknownOffset}
		if o, ok := all.Lookup(p.Topic, p.Partition); ok && o.At >= 0 {
			offsets[i].Offset = o.At
		}
	}
	return offsets, nil
}

// stableOffsets are a group's committed offsets, once no transaction that is open holds some of them back.
func stableOffsets(ctx context.Context, adm *kadm.Client, group string) (kadm.OffsetResponses, error) {
	for {
		answer, err := adm.FetchOffsets(kadm.RequireStable(ctx), group)
		if err == nil {
			err = answer.Error()
		}
		if among(err, kerr.GroupIDNotFound) {
			return nil, nil // nobody has committed yet
		}
		if !among(err, kerr.UnstableOffsetCommit) {
			return answer, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(50 * time.Millisecond):
		}
	}
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
