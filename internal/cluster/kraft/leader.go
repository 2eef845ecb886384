package kraft

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// LeaderBy asks the broker at an address who leads a partition, and at which epoch. What others say does not count.
func LeaderBy(ctx context.Context, addr, topic string, partition int32) (leader, epoch int32, err error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.DialTimeout(askTimeout))
	if err != nil {
		return -1, -1, err
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	about := kmsg.NewMetadataRequestTopic()
	about.Topic = &topic
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = append(req.Topics, about)
	resp, err := cl.SeedBrokers()[0].Request(ctx, req)
	if err != nil {
		return -1, -1, fmt.Errorf("leader of %s/%d by %s: %w", topic, partition, addr, err)
	}
	for _, t := range resp.(*kmsg.MetadataResponse).Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			return -1, -1, fmt.Errorf("leader of %s/%d by %s: %w", topic, partition, addr, err)
		}
		for _, p := range t.Partitions {
			if p.Partition == partition {
				return p.Leader, p.LeaderEpoch, nil
			}
		}
	}
	return -1, -1, fmt.Errorf("leader of %s/%d by %s: it tells of no such partition", topic, partition, addr)
}
