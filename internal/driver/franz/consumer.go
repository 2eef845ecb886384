package franz

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/driver/count"
	"github.com/kbench/kbench/internal/settings"
)

// consumer reads through franz-go. Its client is made by Subscribe or Assign, since the library has to know from the
// start whether it joins a group.
//
// The library tells of a rebalance by a callback in a goroutine of its own, and goes on with it once that returns. It
// is held there until Poll has handed the event out and has been called again, so that a member can finish and commit
// what it holds. BlockRebalanceOnPoll keeps a rebalance away while records are in the caller's hands.
type consumer struct {
	cl     *kgo.Client // nil before Subscribe or Assign
	asker  *kgo.Client // asks about the group as anyone
	common []kgo.Opt
	full   map[string]string
	group  string
	member bool // of the group, by Subscribe
	auto   bool
	most   int
	count  count.Counts

	events  chan change
	held    chan struct{} // closed to let the callback return whose event was handed out last
	holding bool          // records are in the caller's hands: rebalances are blocked
	polled  chan kgo.Fetches
	polling context.CancelFunc // of the library's poll under way; nil: none
	pending []client.Event
	failure error
	batch   []client.Fetched
	headers headers
	mine    map[client.Partition]bool // assigned by Assign

	closing chan struct{}
	once    sync.Once
}

// change is an event of the group that waits to be handed out.
type change struct {
	event client.Event
	done  chan struct{}
}

func (d driver) NewConsumer(bootstrap []string, asked map[string]string) (client.Consumer, error) {
	full, err := resolve(settings.Consumer, asked)
	if err != nil {
		return nil, fmt.Errorf("franz consumer: %w", err)
	}
	opts, err := consumerOptions(bootstrap, full)
	if err != nil {
		return nil, fmt.Errorf("franz consumer: %w", err)
	}
	opts = append(opts, kgo.WithLogger(logger{log: d.log, level: kgo.LogLevelInfo}), kgo.WithPools(new(recordPool)))
	asker, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("franz consumer: %w", err)
	}
	return &consumer{
		asker:   asker,
		common:  opts,
		full:    full,
		group:   full["group.id"],
		auto:    full["enable.auto.commit"] == "true",
		most:    int(settings.Number(full, "max.poll.records")),
		events:  make(chan change),
		polled:  make(chan kgo.Fetches, 1),
		closing: make(chan struct{}),
		mine:    make(map[client.Partition]bool),
	}, nil
}

// EffectiveSettings are Kafka's names, as the driver gives them to the library's options.
func (c *consumer) EffectiveSettings() map[string]string { return settings.Redact(maps.Clone(c.full)) }

func (c *consumer) Counters() map[string]uint64 { return c.count.All() }

func (c *consumer) Subscribe(topics []string) error {
	if c.group == "" {
		return fmt.Errorf("subscribe: no group.id")
	}
	if c.cl != nil {
		return fmt.Errorf("subscribe: already reading")
	}
	opts, err := groupOptions(c.full)
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	opts = append(opts, kgo.ConsumeTopics(topics...),
		kgo.OnPartitionsAssigned(c.told(client.Assigned)),
		kgo.OnPartitionsRevoked(c.told(client.Revoked)),
		kgo.OnPartitionsLost(c.told(client.Lost)))
	if c.cl, err = kgo.NewClient(append(c.common, opts...)...); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	c.member = true
	return nil
}

// Assign replaces what is read by these partitions.
func (c *consumer) Assign(offsets []client.PartitionOffset) error {
	if c.member {
		return fmt.Errorf("assign: already a member of group %s", c.group)
	}
	if c.cl == nil {
		cl, err := kgo.NewClient(c.common...)
		if err != nil {
			return fmt.Errorf("assign: %w", err)
		}
		c.cl = cl
	}
	from, err := c.starts(offsets)
	if err != nil {
		return err
	}
	drop := make(map[string][]int32)
	for p := range c.mine {
		drop[p.Topic] = append(drop[p.Topic], p.Partition)
	}
	c.cl.RemoveConsumePartitions(drop)
	clear(c.mine)
	for _, o := range offsets {
		c.mine[o.Partition] = true
	}
	c.cl.AddConsumePartitions(from)
	c.pending = append(c.pending, client.Event{Kind: client.Assigned, Partitions: offsets})
	return nil
}

// starts are the offsets to begin at: the given one, the group's committed one, or auto.offset.reset.
func (c *consumer) starts(offsets []client.PartitionOffset) (map[string]map[int32]kgo.Offset, error) {
	var ask []client.Partition
	for _, o := range offsets {
		if o.Offset < 0 && c.group != "" {
			ask = append(ask, o.Partition)
		}
	}
	known := make(map[client.Partition]int64)
	if len(ask) > 0 {
		committed, err := c.Committed(context.Background(), ask)
		if err != nil {
			return nil, err
		}
		for _, o := range committed {
			known[o.Partition] = o.Offset
		}
	}
	from := make(map[string]map[int32]kgo.Offset)
	for _, o := range offsets {
		if from[o.Topic] == nil {
			from[o.Topic] = make(map[int32]kgo.Offset)
		}
		at := o.Offset
		if committed, ok := known[o.Partition]; ok {
			at = committed
		}
		switch {
		case at >= 0:
			from[o.Topic][o.Partition.Partition] = kgo.NewOffset().At(at)
		case c.full["auto.offset.reset"] == "earliest":
			from[o.Topic][o.Partition.Partition] = kgo.NewOffset().AtStart()
		case c.full["auto.offset.reset"] == "none":
			return nil, fmt.Errorf("assign: %s/%d has no committed offset and auto.offset.reset is none", o.Topic, o.Partition.Partition)
		default:
			from[o.Topic][o.Partition.Partition] = kgo.NewOffset().AtEnd()
		}
	}
	return from, nil
}

// told makes a callback that hands an event to Poll and waits until the caller is through with it.
func (c *consumer) told(kind client.EventKind) func(context.Context, *kgo.Client, map[string][]int32) {
	return func(ctx context.Context, cl *kgo.Client, parts map[string][]int32) {
		if len(parts) == 0 && kind != client.Assigned {
			return // the library also calls at the end of a session that owned nothing
		}
		what := change{event: client.Event{Kind: kind, Partitions: unknownOffsets(parts)}, done: make(chan struct{})}
		select {
		case c.events <- what:
			select {
			case <-what.done:
			case <-c.closing:
			}
		case <-c.closing:
		}
		if kind == client.Revoked && c.auto {
			if err := cl.CommitUncommittedOffsets(ctx); err != nil {
				c.count.Add("error."+name(err), 1)
			}
		}
	}
}

// Poll is for one goroutine at a time; Commit and Committed may be called beside it.
func (c *consumer) Poll(timeout time.Duration, max int) (client.Event, error) {
	if c.cl == nil {
		return client.Event{}, fmt.Errorf("poll: neither subscribed nor assigned")
	}
	if len(c.pending) > 0 {
		event := c.pending[0]
		c.pending = c.pending[1:]
		return event, nil
	}
	if err := c.failure; err != nil {
		c.failure = nil
		return client.Event{}, explain("poll", err)
	}
	c.goOn()
	if max <= 0 || max > c.most {
		max = c.most
	}
	limit := time.NewTimer(timeout)
	defer limit.Stop()
	over := limit.C
	for {
		c.ask(max)
		select {
		case what := <-c.events:
			return c.hand(what), nil
		case fetches := <-c.polled:
			c.polling()
			c.polling = nil
			if event, err := c.sort(fetches); err != nil || event.Kind != client.Nothing {
				return event, err
			}
			if over == nil {
				return client.Event{}, nil
			}
		case <-over:
			// The library's poll ends at once, unless a rebalance holds it up: then its outcome is for a later Poll.
			over = nil
			c.polling()
			limit.Reset(20 * time.Millisecond)
		case <-limit.C:
			return client.Event{}, nil
		case <-c.closing:
			return client.Event{}, explain("poll", errClosed)
		}
	}
}

// goOn tells the library that the caller is through with what the last Poll brought.
func (c *consumer) goOn() {
	if c.held != nil {
		close(c.held)
		c.held = nil
	}
	if c.holding {
		c.holding = false
		c.cl.AllowRebalance()
	}
}

// ask starts the library's poll if none is under way.
func (c *consumer) ask(max int) {
	if c.polling != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.polling = cancel
	go func() { c.polled <- c.cl.PollRecords(ctx, max) }()
}

func (c *consumer) hand(what change) client.Event {
	c.held = what.done
	switch what.event.Kind {
	case client.Assigned:
		c.count.Add("assignments", 1)
	case client.Lost:
		c.count.Add("lost_assignments", 1)
	}
	return what.event
}

// sort takes a poll's outcome apart. An error that comes with records is kept for the next Poll.
func (c *consumer) sort(fetches kgo.Fetches) (client.Event, error) {
	c.holding = c.member // the library blocks rebalances from here on, also after an empty poll that was cut short
	var lasting error
	fetches.EachError(func(topic string, partition int32, err error) {
		switch {
		case errors.Is(err, context.Canceled):
		case errors.Is(err, kgo.ErrClientClosed):
			lasting = errClosed
		default:
			c.count.Add("error."+name(err), 1)
			if lasts(err) {
				lasting = fmt.Errorf("%s/%d: %w", topic, partition, err)
			}
		}
	})
	c.batch, c.headers = c.batch[:0], c.headers[:0]
	fetches.EachRecord(func(r *kgo.Record) {
		c.batch = append(c.batch, client.Fetched{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Epoch: r.LeaderEpoch, Key: r.Key, Value: r.Value, Headers: c.headers.of(r)})
		r.Recycle()
	})
	if len(c.batch) > 0 {
		c.failure = lasting
		return client.Event{Kind: client.Delivery, Records: c.batch}, nil
	}
	if c.holding {
		c.holding = false
		c.cl.AllowRebalance()
	}
	return client.Event{}, explain("poll", lasting)
}

// lasts tells errors that the library does not recover from by itself. An unknown topic is none: brokers that come
// back, or that have not heard of a new topic yet, say so for a while.
func lasts(err error) bool {
	return among(err, kerr.TopicAuthorizationFailed, kerr.GroupAuthorizationFailed, kerr.ClusterAuthorizationFailed, kerr.SaslAuthenticationFailed,
		kerr.FencedInstanceID, kerr.InvalidGroupID, kerr.InconsistentGroupProtocol,
		kerr.InvalidSessionTimeout, kerr.OffsetOutOfRange)
}

// Close leaves the group. It may be called twice.
func (c *consumer) Close() error {
	c.once.Do(func() {
		close(c.closing)
		if c.cl != nil {
			c.cl.AllowRebalance()
			if c.polling != nil {
				c.polling()
				<-c.polled // a poll that ends blocks rebalances, and leaving the group is one
			}
			c.cl.CloseAllowingRebalance()
		}
		c.asker.Close()
	})
	return nil
}

func unknownOffsets(parts map[string][]int32) []client.PartitionOffset {
	var offsets []client.PartitionOffset
	for _, topic := range slices.Sorted(maps.Keys(parts)) {
		for _, n := range slices.Sorted(slices.Values(parts[topic])) {
			offsets = append(offsets, client.PartitionOffset{Partition: client.Partition{Topic: topic, Partition: n}, Offset: client.UnknownOffset})
		}
	}
	return offsets
}
