package bench

import (
	"context"
	"errors"
	"fmt"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/history"
)

// errFenced ends a session that a newer one, or a newer generation, has replaced.
var errFenced = errors.New("fenced")

// beginTransactions makes the producer transactional; it fences every earlier session of the same id.
func (p *producer) beginTransactions(ctx context.Context) error {
	txns, ok := p.client.(client.Transactor)
	if !ok {
		return fmt.Errorf("driver %s has no transactions", p.session.spec.Driver)
	}
	ctx, cancel := context.WithTimeout(ctx, transactionStep)
	defer cancel()
	if err := txns.InitTransactions(ctx); err != nil {
		return fmt.Errorf("initialise transactions: %w", err)
	}
	p.txns = txns
	return nil
}

// openTxn is the number of the open transaction as a record's head has it, 0 for none.
func (p *producer) openTxn() uint32 {
	if p.inTxn < 0 {
		return 0
	}
	return uint32(p.txn)
}

func (p *producer) begin() error {
	if err := p.txns.BeginTransaction(); err != nil {
		return fmt.Errorf("begin transaction: %w", p.fence(err))
	}
	p.txn++
	p.inTxn = 0
	p.txnCall = p.clock.Now()
	p.counts.transactions.Add(1)
	return nil
}

// endTransaction commits the open transaction, or aborts it where the load's share of aborts falls on it. Either way
// its records are flushed before, so that an aborted one is in the log and a reader must hide it.
func (p *producer) endTransaction(ctx context.Context) error {
	if p.inTxn < 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), transactionStep)
	defer cancel()
	if err := p.client.Flush(ctx); err != nil {
		return p.rollBack(ctx, fmt.Errorf("flush before the end of a transaction: %w", err))
	}
	if p.abortsNow() {
		return p.rollBack(ctx, nil)
	}
	_, err := p.commitTransaction(ctx)
	return err
}

// abortsNow tells whether the open transaction is one that the load aborts.
func (p *producer) abortsNow() bool {
	if every := uint64(p.spec.Txn.Every); every > 0 {
		return p.txn%every == 0
	}
	return p.spec.Txn.Abort > 0 && p.rng.Float64() < p.spec.Txn.Abort
}

// commitTransaction commits. Only an answer without error is a commit; after a commit that failed the transaction
// is indeterminate, whatever a later abort says. One that was refused and then aborted is no error: an application goes on
// from what it has committed.
func (p *producer) commitTransaction(ctx context.Context) (committed bool, err error) {
	err = p.txns.Commit(ctx)
	if err == nil {
		p.closeTransaction(history.OK)
		return true, nil
	}
	p.closeTransaction(history.Indeterminate)
	var abortable client.Abortable
	if errors.As(err, &abortable) && abortable.Abortable() {
		if aborted := p.txns.Abort(ctx); aborted != nil {
			return false, fmt.Errorf("abort after a refused commit: %w", p.fence(aborted))
		}
		return false, nil
	}
	return false, fmt.Errorf("commit transaction: %w", p.fence(err))
}

// rollBack aborts the open transaction, whose commit was never called. cause is why, nil for a planned abort; it is
// returned only where the abort failed too, since an application goes on after an abort.
func (p *producer) rollBack(ctx context.Context, cause error) error {
	if err := p.txns.Abort(ctx); err != nil {
		p.closeTransaction(history.Indeterminate)
		return errors.Join(cause, fmt.Errorf("abort transaction: %w", p.fence(err)))
	}
	p.closeTransaction(history.Failed)
	p.counts.aborted.Add(1)
	return nil
}

func (p *producer) closeTransaction(outcome history.Outcome) {
	p.send = history.Op{
		Kind: history.Txn, Outcome: outcome, Call: p.txnCall, Return: p.clock.Now(), Txn: p.txn,
		Intended: history.Unknown, Partition: history.Unknown, Offset: history.Unknown,
		FromPartition: history.Unknown, Generation: history.Unknown,
	}
	p.record(&p.send)
	p.settle()
	p.inTxn = -1
}

// fence marks an error by which the client says that it was replaced.
func (s *session) fence(err error) error {
	var fenced client.Fenced
	if errors.As(err, &fenced) && fenced.Fenced() {
		s.counts.fenced.Add(1)
		return fmt.Errorf("%w: %w", errFenced, err)
	}
	return err
}
