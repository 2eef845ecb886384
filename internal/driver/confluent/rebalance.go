package confluent

import (
	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/kbench/kbench/internal/client"
)

// rebalance runs inside the library's Poll, and so in the coroutine or in Close.
func (c *consumer) rebalance(_ *kafka.Consumer, event kafka.Event) error {
	switch e := event.(type) {
	case kafka.AssignedPartitions:
		c.count.Add("assignments", 1)
		c.failIf(c.take(e.Partitions))
		c.hand(client.Event{Kind: client.Assigned, Partitions: positions(e.Partitions)})
	case kafka.RevokedPartitions:
		kind := client.Revoked
		if c.c.AssignmentLost() {
			kind = client.Lost
			c.count.Add("lost_assignments", 1)
		}
		c.hand(client.Event{Kind: kind, Partitions: positions(e.Partitions)})
		c.failIf(c.release(e.Partitions))
	}
	return nil
}

// hand suspends the library's poll while the caller works off what it has got and then the event.
func (c *consumer) hand(event client.Event) {
	if c.ended {
		return
	}
	if len(c.batch) > 0 {
		if !c.yield(c.delivery()) {
			c.ended = true
			return
		}
		c.batch = c.batch[:0]
	}
	if !c.yield(event) {
		c.ended = true
	}
}

func (c *consumer) failIf(err error) {
	if err != nil && !c.ended {
		c.err = err
	}
}

func (c *consumer) take(parts []kafka.TopicPartition) error {
	if c.c.GetRebalanceProtocol() == "COOPERATIVE" {
		return c.c.IncrementalAssign(parts)
	}
	return c.c.Assign(parts)
}

func (c *consumer) release(parts []kafka.TopicPartition) error {
	if c.c.GetRebalanceProtocol() == "COOPERATIVE" {
		return c.c.IncrementalUnassign(parts)
	}
	return c.c.Unassign()
}
