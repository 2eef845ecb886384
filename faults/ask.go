package faults

import (
	"context"
	"errors"
	"time"
)

const (
	askAgain    = 300 * time.Millisecond // a hurt broker may not answer at all, another one does
	askTogether = 8
	askLimit    = 10 * time.Second // for what a fault or step has to know
	lookLimit   = 2 * time.Second  // for a look at the cluster, which is repeated anyway
)

// definite is an answer, and not the lack of one: asking again would not change it.
type definite struct{ error }

func (d definite) Unwrap() error { return d.error }

// ask puts a question to a cluster that may be hurt. Until its time is over it asks again, while no answer comes as well as
// after an error: it is chance which broker a question goes to, and how many others it queues behind there. It takes the
// first answer without an error.
func ask[T any](ctx context.Context, limit time.Duration, question func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, askTogether)
	tick := time.NewTicker(min(askAgain, limit/askTogether+1))
	defer tick.Stop()
	var none T
	var last error
	for waiting := 0; ; {
		if waiting < askTogether {
			waiting++
			go func() {
				v, err := question(ctx)
				answers <- answer{v, err}
			}()
		}
		select {
		case a := <-answers:
			waiting--
			if a.err == nil {
				return a.value, nil
			}
			if last = a.err; errors.As(last, new(definite)) {
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
