package franz

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/kbench/kbench/internal/client"
)

// transaction is what the driver has to know of the open transaction beyond what the library knows.
//
// The library ends a transaction only for records that it sent itself: it tells the coordinator nothing where none was
// acknowledged, and answers nil. It also leaves it to its user to notice failed records. So both are counted here.
type transaction struct {
	id     string // transactional.id; "": none, and nothing below is used
	open   atomic.Bool
	sent   atomic.Int64
	ok     atomic.Int64
	failed atomic.Int64

	mu      sync.Mutex
	offsets bool  // a group's offsets were added
	broken  error // the transaction can only be aborted
	second  bool  // KIP-890's second part is in force: EndTxn raises the epoch, requests add to the transaction by themselves
}

var errNoTransaction = errors.New("no transaction is open")

func (t *transaction) mayProduce() error {
	if t.id == "" {
		return nil
	}
	if !t.open.Load() {
		return explain("send", errNoTransaction)
	}
	t.sent.Add(1)
	return nil
}

func (t *transaction) unsent() {
	if t.id != "" {
		t.sent.Add(-1)
	}
}

func (t *transaction) acked(err error) {
	switch {
	case t.id == "":
	case err == nil:
		t.ok.Add(1)
	default:
		t.failed.Add(1)
		t.spoil(err)
	}
}

// spoil makes it impossible to commit.
func (t *transaction) spoil(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.broken == nil {
		t.broken = err
	}
}

func (t *transaction) begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sent.Store(0)
	t.ok.Store(0)
	t.failed.Store(0)
	t.offsets, t.broken = false, nil
	t.open.Store(true)
}

// onlyOffsets tells whether the library would not end the transaction although the coordinator knows of it.
func (t *transaction) onlyOffsets() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.offsets && t.ok.Load() == 0
}

// InitTransactions fences earlier sessions of the transactional id.
func (p *producer) InitTransactions(ctx context.Context) error {
	if p.txn.id == "" {
		return fmt.Errorf("init transactions: no transactional.id")
	}
	return p.persist(ctx, "init transactions", func() error {
		if _, _, err := p.cl.Load().ProducerID(ctx); err != nil {
			return err
		}
		second, err := transactionsV2(ctx, p.cl.Load())
		if err != nil || p.side != nil {
			return err
		}
		p.txn.second = second
		p.side, err = kgo.NewClient(append(p.opts[:len(p.opts):len(p.opts)], kgo.MaxVersions(besideVersions(second)))...)
		return err
	})
}

// transactionsV2 asks whether the cluster has transaction.version 2, under which the library uses KIP-890's second part.
func transactionsV2(ctx context.Context, cl *kgo.Client) (bool, error) {
	answer, err := kmsg.NewPtrApiVersionsRequest().RequestWith(ctx, cl)
	if err != nil {
		return false, err
	}
	for _, feature := range answer.FinalizedFeatures {
		if feature.Name == "transaction.version" {
			return feature.MaxVersionLevel >= 2, nil
		}
	}
	return false, nil
}

func (p *producer) BeginTransaction() error {
	if err := p.cl.Load().BeginTransaction(); err != nil {
		return p.failed("begin transaction", err, false)
	}
	p.txn.begin()
	return nil
}

// SendOffsets adds offsets to the transaction with requests of its own: the library does so only for a consumer in the
// same client. Before KIP-890's second part the group's partition has to be added first.
func (p *producer) SendOffsets(ctx context.Context, offsets []client.PartitionOffset, group client.GroupMetadata) error {
	if len(offsets) == 0 {
		return nil
	}
	instance, err := membership(group)
	if err != nil {
		return err
	}
	if !p.txn.open.Load() || p.side == nil {
		return explain("send offsets", errNoTransaction)
	}
	p.txn.mu.Lock()
	p.txn.offsets = true
	p.txn.mu.Unlock()
	err = p.persist(ctx, "send offsets", func() error {
		id, epoch, err := p.cl.Load().ProducerID(ctx)
		if err != nil {
			return err
		}
		if !p.txn.second {
			if err := addOffsets(ctx, p.side, p.txn.id, id, epoch, group.Group); err != nil {
				return err
			}
		}
		return commitOffsets(ctx, p.side, p.txn.id, id, epoch, group, instance, offsets)
	})
	if err != nil && ctx.Err() == nil {
		p.txn.spoil(err)
		return failure{doing: "send offsets", err: errors.Unwrap(err), abortable: !among(err, kerr.ProducerFenced, kerr.InvalidProducerEpoch)}
	}
	return err
}

// membership checks that group metadata is this driver's.
func membership(group client.GroupMetadata) (instance *string, err error) {
	switch own := group.Native.(type) {
	case nil:
		return nil, nil
	case *string:
		return own, nil
	}
	return nil, fmt.Errorf("send offsets: group metadata is another driver's (%T)", group.Native)
}

// besideVersions are for requests that belong to the transaction but go beside the library: those of its mode, which
// name topics by name.
func besideVersions(second bool) *kversion.Versions {
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(int16(kmsg.AddOffsetsToTxn), 4)
	versions.SetMaxKeyVersion(int16(kmsg.TxnOffsetCommit), 4)
	versions.SetMaxKeyVersion(int16(kmsg.EndTxn), 4)
	if second {
		versions.SetMaxKeyVersion(int16(kmsg.TxnOffsetCommit), 5)
		versions.SetMaxKeyVersion(int16(kmsg.EndTxn), 5)
	}
	return versions
}

func addOffsets(ctx context.Context, side *kgo.Client, txn string, id int64, epoch int16, group string) error {
	ask := kmsg.NewPtrAddOffsetsToTxnRequest()
	ask.TransactionalID, ask.ProducerID, ask.ProducerEpoch, ask.Group = txn, id, epoch, group
	answer, err := ask.RequestWith(ctx, side)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(answer.ErrorCode)
}

func commitOffsets(ctx context.Context, side *kgo.Client, txn string, id int64, epoch int16, group client.GroupMetadata, instance *string, offsets []client.PartitionOffset) error {
	ask := kmsg.NewPtrTxnOffsetCommitRequest()
	ask.TransactionalID, ask.ProducerID, ask.ProducerEpoch = txn, id, epoch
	ask.Group, ask.Generation, ask.MemberID, ask.InstanceID = group.Group, group.Generation, group.Member, instance
	byTopic := make(map[string][]kmsg.TxnOffsetCommitRequestTopicPartition)
	for _, o := range offsets {
		part := kmsg.NewTxnOffsetCommitRequestTopicPartition()
		part.Partition, part.Offset = o.Partition.Partition, o.Offset
		byTopic[o.Topic] = append(byTopic[o.Topic], part)
	}
	for topic, parts := range byTopic {
		t := kmsg.NewTxnOffsetCommitRequestTopic()
		t.Topic, t.Partitions = topic, parts
		ask.Topics = append(ask.Topics, t)
	}
	answer, err := ask.RequestWith(ctx, side)
	if err != nil {
		return err
	}
	for _, t := range answer.Topics {
		for _, part := range t.Partitions {
			if err := kerr.ErrorForCode(part.ErrorCode); err != nil {
				return err
			}
		}
	}
	return nil
}

// Commit flushes and commits. It returns nil only once the coordinator has answered that the transaction is committed,
// and never asks for it when a record of the transaction has failed. An error that is neither abortable nor fenced
// leaves the outcome unknown.
func (p *producer) Commit(ctx context.Context) error {
	if err := p.Flush(ctx); err != nil {
		return explain("commit transaction", err)
	}
	p.txn.mu.Lock()
	broken := p.txn.broken
	p.txn.mu.Unlock()
	if broken != nil {
		return failure{doing: "commit transaction", err: broken, abortable: !among(broken, kerr.ProducerFenced, kerr.InvalidProducerEpoch)}
	}
	err := p.end(ctx, kgo.TryCommit)
	if err != nil {
		return p.failed("commit transaction", err, errors.Is(err, kerr.OperationNotAttempted))
	}
	return nil
}

// Abort drops what has not been sent and aborts.
func (p *producer) Abort(ctx context.Context) error {
	if err := p.cl.Load().AbortBufferedRecords(ctx); err != nil {
		return explain("abort transaction", err)
	}
	if err := p.end(ctx, kgo.TryAbort); err != nil {
		return p.failed("abort transaction", err, false)
	}
	return nil
}

func (p *producer) end(ctx context.Context, how kgo.TransactionEndTry) error {
	p.txn.open.Store(false)
	if p.txn.onlyOffsets() {
		return p.endBySide(ctx, how)
	}
	return p.cl.Load().EndTransaction(ctx, how)
}

// endBySide ends a transaction that the library does not know to be one, and gives the library a new session of the
// same producer, since the end may have raised the epoch.
func (p *producer) endBySide(ctx context.Context, how kgo.TransactionEndTry) error {
	id, epoch, err := p.cl.Load().ProducerID(ctx)
	if err != nil {
		return err
	}
	ask := kmsg.NewPtrEndTxnRequest()
	ask.TransactionalID, ask.ProducerID, ask.ProducerEpoch, ask.Commit = p.txn.id, id, epoch, bool(how)
	if err := p.persist(ctx, "end transaction", func() error {
		answer, err := ask.RequestWith(ctx, p.side)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(answer.ErrorCode)
	}); err != nil {
		return err
	}
	fresh, err := kgo.NewClient(p.opts...)
	if err != nil {
		return err
	}
	p.cl.Swap(fresh).Close()
	if p.closed() {
		fresh.Close()
	}
	return nil
}

// persist repeats what may pass until ctx ends.
func (p *producer) persist(ctx context.Context, doing string, do func() error) error {
	for {
		err := do()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s: outcome unknown: %w (last: %w)", doing, ctx.Err(), err)
		}
		if !transient(err) {
			return p.failed(doing, err, false)
		}
		select {
		case <-ctx.Done():
		case <-p.closing:
			return explain(doing, errClosed)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// transient tells whether it is worth asking again: whatever is no broker's final word.
func transient(err error) bool {
	var answer *kerr.Error
	if errors.As(err, &answer) {
		return answer.Retriable || answer == kerr.ConcurrentTransactions
	}
	var final broken
	return !errors.Is(err, kgo.ErrClientClosed) && !errors.As(err, &final)
}

func (p *producer) failed(doing string, err error, abortable bool) error {
	f := failure{doing: doing, err: err, abortable: abortable}
	p.count.Add("error."+name(err), 1)
	if f.Fenced() {
		p.count.Add("fenced", 1)
	}
	return f
}
