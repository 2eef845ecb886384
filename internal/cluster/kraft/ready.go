package kraft

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	askEvery   = 25 * time.Millisecond
	askTimeout = time.Second
)

// Healthy waits until allRun has no complaint, each broker knows every broker as registered and unfenced, and the quorum
// has a leader; when ctx ends first, the error says what is missing. It asks each broker itself, at its address.
func Healthy(ctx context.Context, addrs []string, brokers []int32, allRun func() error) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(addrs...), kgo.DialTimeout(askTimeout))
	if err != nil {
		return err
	}
	defer cl.Close()
	return Retry(ctx, func(ctx context.Context) error {
		if err := allRun(); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, askTimeout)
		defer cancel()
		problems := make([]error, len(addrs)+1)
		var wg sync.WaitGroup
		for i, seed := range cl.SeedBrokers() {
			wg.Go(func() { problems[i] = knowsAll(ctx, seed, brokers[i], brokers) })
		}
		wg.Wait()
		if errors.Join(problems...) == nil {
			problems[len(addrs)] = quorumHasLeader(ctx, cl)
		}
		return errors.Join(problems...)
	})
}

// knowsAll asks one broker for the brokers it knows. Metadata lists those that are registered and unfenced.
func knowsAll(ctx context.Context, at *kgo.Broker, id int32, want []int32) error {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{}
	resp, err := at.Request(ctx, req)
	if err != nil {
		return fmt.Errorf("%s does not answer: %w", Name(id), err)
	}
	known := resp.(*kmsg.MetadataResponse).Brokers
	for _, other := range want {
		if !slices.ContainsFunc(known, func(b kmsg.MetadataResponseBroker) bool { return b.NodeID == other }) {
			return fmt.Errorf("%s is not registered, as %s knows", Name(other), Name(id))
		}
	}
	return nil
}

// quorumHasLeader asks the active controller, by way of a broker, for the quorum's leader.
func quorumHasLeader(ctx context.Context, cl *kgo.Client) error {
	part := kmsg.NewDescribeQuorumRequestTopicPartition()
	topic := kmsg.NewDescribeQuorumRequestTopic()
	topic.Topic, topic.Partitions = "__cluster_metadata", append(topic.Partitions, part)
	req := kmsg.NewPtrDescribeQuorumRequest()
	req.Topics = append(req.Topics, topic)
	resp, err := cl.SeedBrokers()[0].Request(ctx, req)
	if err != nil {
		return fmt.Errorf("no answer about the quorum: %w", err)
	}
	for _, t := range resp.(*kmsg.DescribeQuorumResponse).Topics {
		for _, p := range t.Partitions {
			if IsController(p.LeaderID) {
				return nil
			}
		}
	}
	return errors.New("the quorum has no leader")
}

// Retry calls f until it succeeds or ctx ends, and then says why ctx ended and what f said last.
func Retry(ctx context.Context, f func(context.Context) error) error {
	var last error
	for {
		err := f(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil || last == nil {
			last = err // what it says once ctx has ended is only that
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; last: %w", context.Cause(ctx), last)
		case <-time.After(askEvery):
		}
	}
}
