package confluent

import (
	"fmt"
	"iter"
	"maps"
	"sync"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/driver/count"
	"github.com/kbench/kbench/internal/settings"
)

// consumer reads through librdkafka.
//
// The library's rebalance callback runs inside its Poll and has to return before the member answers the group. Kafka's
// clients give the application that time to finish and commit what it holds. So the library is polled in a coroutine,
// which the callback suspends: Poll returns what was delivered, then Revoked, and only the Poll after that lets the
// partitions go. Nothing is polled ahead of the caller, which matters where offsets are stored on delivery.
type consumer struct {
	c         *kafka.Consumer
	group     string
	reset     kafka.Offset
	most      int
	patience  time.Duration // default.api.timeout.ms
	effective map[string]string
	count     count.Counts

	// The coroutine. Poll sets what the next turn is to do and reads its error.
	resume   func() (client.Event, bool)
	end      func()
	yield    func(client.Event) bool
	deadline time.Time
	max      int
	err      error
	batch    []client.Fetched
	headers  headers
	pending  []client.Event
	ended    bool

	alive   sync.RWMutex
	once    sync.Once
	drained sync.WaitGroup
}

// ungrouped stands where the library insists on a group although nobody asked for one.
const ungrouped = "kbench-ungrouped"

func (d driver) NewConsumer(bootstrap []string, asked map[string]string) (client.Consumer, error) {
	conf, effective, err := configure(settings.Consumer, bootstrap, asked)
	if err != nil {
		return nil, fmt.Errorf("confluent consumer: %w", err)
	}
	full, err := settings.Resolve(settings.Consumer, asked)
	if err != nil {
		return nil, fmt.Errorf("confluent consumer: %w", err)
	}
	c := &consumer{
		group:     full["group.id"],
		reset:     map[string]kafka.Offset{"earliest": kafka.OffsetBeginning, "latest": kafka.OffsetEnd, "none": kafka.OffsetStored}[full["auto.offset.reset"]],
		most:      int(settings.Number(full, "max.poll.records")),
		patience:  time.Duration(settings.Number(full, "default.api.timeout.ms")) * time.Millisecond,
		effective: effective,
	}
	if c.group == "" {
		conf["group.id"] = ungrouped
	}
	if c.c, err = kafka.NewConsumer(&conf); err != nil {
		return nil, fmt.Errorf("confluent consumer: %w", err)
	}
	c.resume, c.end = iter.Pull(c.turns)
	logs := c.c.Logs()
	c.drained.Go(func() { forward(logs, d.log) })
	return c, nil
}

func (c *consumer) EffectiveSettings() map[string]string { return maps.Clone(c.effective) }

func (c *consumer) Counters() map[string]uint64 { return c.count.All() }

func (c *consumer) Subscribe(topics []string) error {
	if c.group == "" {
		return fmt.Errorf("subscribe: no group.id")
	}
	if err := c.c.SubscribeTopics(topics, c.rebalance); err != nil {
		return explain("subscribe", err)
	}
	return nil
}

func (c *consumer) Assign(offsets []client.PartitionOffset) error {
	parts := partitions(offsets)
	for i := range parts {
		if parts[i].Offset < 0 {
			parts[i].Offset = kafka.OffsetStored
			if c.group == "" {
				parts[i].Offset = c.reset
			}
		}
	}
	if err := c.c.Assign(parts); err != nil {
		return explain("assign", err)
	}
	c.pending = append(c.pending, client.Event{Kind: client.Assigned, Partitions: offsets})
	return nil
}

// Poll is for one goroutine at a time; Commit and Committed may be called beside it.
func (c *consumer) Poll(timeout time.Duration, max int) (client.Event, error) {
	if len(c.pending) > 0 {
		event := c.pending[0]
		c.pending = c.pending[1:]
		return event, nil
	}
	if max <= 0 || max > c.most {
		max = c.most
	}
	if c.err == nil {
		c.deadline, c.max = time.Now().Add(timeout), max
		event, ok := c.resume()
		if !ok {
			return client.Event{}, fmt.Errorf("poll: %w", errClosed)
		}
		if c.err == nil || event.Kind != client.Nothing {
			return event, nil // an error met after records were in hand comes with the next Poll
		}
	}
	err := c.err
	c.err = nil
	return client.Event{}, explain("poll", err)
}

// turns is the coroutine: a turn collects one event.
func (c *consumer) turns(yield func(client.Event) bool) {
	c.yield = yield
	for !c.ended && yield(c.collect()) {
	}
}

// collect polls until it has max records, or some and no more are at hand, or the time is over.
func (c *consumer) collect() client.Event {
	c.batch, c.headers = c.batch[:0], c.headers[:0]
	for len(c.batch) < c.max && !c.ended {
		var wait time.Duration
		if len(c.batch) == 0 {
			wait = max(0, time.Until(c.deadline))
		}
		switch event := c.c.Poll(int((wait + time.Millisecond - 1) / time.Millisecond)).(type) {
		case nil: // nothing there, or a rebalance was handled
			if len(c.batch) > 0 || !time.Now().Before(c.deadline) {
				return c.delivery()
			}
		case *kafka.Message:
			if event.TopicPartition.Error != nil {
				c.count.Add("error."+name(code(event.TopicPartition.Error)), 1)
				continue
			}
			c.batch = append(c.batch, fetched(event))
			c.batch[len(c.batch)-1].Headers = c.headers.of(event)
		case kafka.Error:
			c.count.Add("error."+name(event.Code()), 1)
			if lasting(event) {
				c.err = event
				return c.delivery()
			}
		case kafka.OffsetsCommitted: // by the library itself
			if event.Error != nil {
				c.count.Add("error."+name(code(event.Error)), 1)
			}
		case kafka.PartitionEOF, *kafka.Stats, kafka.OAuthBearerTokenRefresh:
		default:
			c.count.Add("dropped", 1) // nothing that this driver knows, and maybe something that the judge should
		}
	}
	return c.delivery()
}

func (c *consumer) delivery() client.Event {
	if len(c.batch) == 0 {
		return client.Event{}
	}
	return client.Event{Kind: client.Delivery, Records: c.batch}
}

// lasting tells errors that the library does not recover from by itself. An unknown topic is none: brokers that come
// back, or that have not heard of a new topic yet, say so for a while.
func lasting(err kafka.Error) bool {
	if err.IsFatal() {
		return true
	}
	switch err.Code() {
	case kafka.ErrAuthentication, kafka.ErrSaslAuthenticationFailed, kafka.ErrTopicAuthorizationFailed, kafka.ErrGroupAuthorizationFailed,
		kafka.ErrClusterAuthorizationFailed,
		kafka.ErrAutoOffsetReset, kafka.ErrFencedInstanceID, kafka.ErrInvalidGroupID, kafka.ErrInconsistentGroupProtocol,
		kafka.ErrUnsupportedFeature, kafka.ErrInvalidSessionTimeout, kafka.ErrFatal:
		return true
	}
	return false
}

// closeWithin is how long Close waits for a call that cannot be cancelled, such as a commit that nobody answers.
const closeWithin = 15 * time.Second

// Close leaves the group. It may be called twice. A client that does not let go in time is left behind.
func (c *consumer) Close() error {
	var err error
	c.once.Do(func() {
		c.end()
		c.ended = true
		closed := make(chan error, 1)
		go func() {
			c.alive.Lock()
			defer c.alive.Unlock()
			closed <- c.c.Close()
		}()
		select {
		case err = <-closed:
			c.drained.Wait()
		case <-time.After(closeWithin):
			err = fmt.Errorf("the library still waits for an answer after %v", closeWithin)
		}
	})
	if err != nil {
		return explain("close", err)
	}
	return nil
}

func fetched(m *kafka.Message) client.Fetched {
	at := m.TopicPartition
	f := client.Fetched{Topic: *at.Topic, Partition: at.Partition, Offset: int64(at.Offset), Epoch: -1, Key: m.Key, Value: m.Value}
	if at.LeaderEpoch != nil {
		f.Epoch = *at.LeaderEpoch
	}
	return f
}
