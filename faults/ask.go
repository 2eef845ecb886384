package faults

import (
	"context"
	"errors"
	"time"
)

const (
	askAgain  = 300 * time.Millisecond // a hurt broker may not answer at all, another one does
	askAtMost = 8
	askLimit  = 10 * time.Second // for what a fault or step has to know
	lookLimit = 2 * time.Second  // for a look at the cluster, which is repeated anyway
)

// ask puts a question to a cluster that may be hurt. While no answer comes it asks again beside, and takes the first
// that comes without an error.
func ask[T any](ctx context.Context, limit time.Duration, question func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, askAtMost)
	tick := time.NewTicker(min(askAgain, limit/askAtMost+1))
	defer tick.Stop()
	var none T
	var last error
	for asked, failed := 0, 0; ; {
		if asked < askAtMost {
			asked++
			go func() {
				v, err := question(ctx)
				answers <- answer{v, err}
			}()
		}
		select {
		case a := <-answers:
			if a.err == nil {
				return a.value, nil
			}
			if last, failed = a.err, failed+1; failed == askAtMost {
				return none, last
			}
			if sleep(ctx, askAgain/3) != nil {
				return none, last
			}
		case <-tick.C:
		case <-ctx.Done():
			return none, errors.Join(last, context.Cause(ctx))
		}
	}
}

// sleep waits, or returns early with what ended the context.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
