package confluent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/kbench/kbench/internal/client"
)

// How long one call of the library may take before ctx is looked at again. Calls that time out are resumed by the
// next one, except for offsets, which are sent anew.
const (
	resumeAfter = time.Second
	resendAfter = 5 * time.Second
)

func (p *producer) InitTransactions(ctx context.Context) error {
	return p.persist(ctx, "init transactions", resumeAfter, func(ctx context.Context, k *kafka.Producer) error {
		return k.InitTransactions(ctx)
	})
}

func (p *producer) BeginTransaction() error {
	return p.call("begin transaction", func(k *kafka.Producer) error { return k.BeginTransaction() })
}

func (p *producer) SendOffsets(ctx context.Context, offsets []client.PartitionOffset, group client.GroupMetadata) error {
	if len(offsets) == 0 {
		return nil
	}
	metadata, err := native(group)
	if err != nil {
		return err
	}
	parts := partitions(offsets)
	return p.persist(ctx, "send offsets", resendAfter, func(ctx context.Context, k *kafka.Producer) error {
		return p.attended(resendAfter+overdue, func() error { return k.SendOffsetsToTransaction(ctx, parts, metadata) })
	})
}

// errStuck ends the use of a producer of which a call did not return long after its time-out.
var errStuck = errors.New("outcome unknown: the library does not return")

const (
	overdue = 15 * time.Second // how much longer than its time-out a call may take
	glance  = 100 * time.Millisecond
)

// attended makes a call that may never return, and gives up on it and on the producer once limit has passed. The library
// does not keep the time-out of send-offsets while a group's coordinator is away (librdkafka's issues 5456 and 5511):
// it wakes up when some broker changes its state, be it after minutes.
func (p *producer) attended(limit time.Duration, call func() error) error {
	done := make(chan error, 1)
	go func() { done <- call() }()
	tick := time.NewTicker(glance)
	defer tick.Stop()
	for awake := time.Duration(0); awake < limit; awake += glance { // not by the clock: a process that was stopped has not waited
		select {
		case err := <-done:
			return err
		case <-tick.C:
		}
	}
	p.stuck.Store(true)
	p.count.Add("stuck", 1)
	return errStuck
}

// Commit returns nil only once the coordinator has answered that the transaction is committed. An error that is
// neither abortable nor fenced leaves its outcome unknown.
func (p *producer) Commit(ctx context.Context) error {
	return p.persist(ctx, "commit transaction", resumeAfter, func(ctx context.Context, k *kafka.Producer) error {
		return k.CommitTransaction(ctx)
	})
}

func (p *producer) Abort(ctx context.Context) error {
	return p.persist(ctx, "abort transaction", resumeAfter, func(ctx context.Context, k *kafka.Producer) error {
		return k.AbortTransaction(ctx)
	})
}

// native is the library's form of group metadata.
func native(group client.GroupMetadata) (*kafka.ConsumerGroupMetadata, error) {
	switch own := group.Native.(type) {
	case *kafka.ConsumerGroupMetadata:
		return own, nil
	case nil:
		if group.Generation >= 0 || group.Member != "" {
			return nil, fmt.Errorf("send offsets: membership of group %s is not of this driver's making", group.Group)
		}
		return kafka.NewTestConsumerGroupMetadata(group.Group)
	}
	return nil, fmt.Errorf("send offsets: group metadata is another driver's (%T)", group.Native)
}

// persist calls the library until it succeeds, fails for good, or ctx ends.
func (p *producer) persist(ctx context.Context, doing string, turn time.Duration, do func(context.Context, *kafka.Producer) error) error {
	for {
		err := p.call(doing, func(k *kafka.Producer) error {
			limited, cancel := context.WithTimeout(ctx, turn)
			defer cancel()
			return do(limited, k)
		})
		failed, known := err.(failure)
		if !known || !(failed.err.IsRetriable() || failed.err.IsTimeout()) || failed.err.IsFatal() || failed.err.TxnRequiresAbort() {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (last: %w)", fmt.Errorf("%s: outcome unknown: %w", doing, ctx.Err()), err)
		case <-p.closing:
			return fmt.Errorf("%s: %w", doing, errClosed)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// call makes one call of the library while it is there, and explains its error.
func (p *producer) call(doing string, do func(*kafka.Producer) error) error {
	if p.stuck.Load() {
		return fmt.Errorf("%s: %w", doing, errStuck)
	}
	p.alive.RLock()
	defer p.alive.RUnlock()
	if p.p == nil {
		return fmt.Errorf("%s: %w", doing, errClosed)
	}
	err := do(p.p)
	if err == nil {
		return nil
	}
	if c := code(err); c == kafka.ErrFatal {
		if cause := p.p.GetFatalError(); cause != nil {
			err = cause
		}
	}
	err = explain(doing, err)
	if f, ok := err.(failure); ok {
		p.count.Add("error."+name(f.err.Code()), 1)
		if f.Fenced() {
			p.count.Add("fenced", 1)
		}
	}
	return err
}
