package bench_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/kbench/kbench/internal/check"
	"github.com/kbench/kbench/internal/client"
)

// lateAdmin tells of a log's last records only when a while has gone by since it was first asked once the load was over, as where
// they are on their way to a broker.
type lateAdmin struct {
	client.Admin
	missing int64
	late    time.Duration

	mu    sync.Mutex
	until time.Time
}

func (a *lateAdmin) EndOffsets(ctx context.Context, topic string, isolation client.Isolation) (map[int32]int64, error) {
	ends, err := a.Admin.EndOffsets(ctx, topic, isolation)
	a.mu.Lock()
	defer a.mu.Unlock()
	if ends[0] < a.missing {
		return ends, err
	}
	if a.until.IsZero() {
		a.until = time.Now().Add(a.late)
	}
	if time.Now().Before(a.until) {
		ends[0] -= a.missing
	}
	return ends, err
}

// TestWhatIsOnItsWayIsWaitedFor: with acks=0 the final read must not begin before what the socket took has come to the brokers, and
// must not wait for long for what never will.
func TestWhatIsOnItsWayIsWaitedFor(t *testing.T) {
	for _, c := range []struct {
		name string
		late time.Duration
		lost uint64
	}{
		{"late", 700 * time.Millisecond, 0},
		{"in time", 0, 0},
		{"never", time.Hour, 7},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newTrial(t, "franz", `
guarantee: at-most-once
topics: [{name: orders, partitions: 1, replication: 3}]
load: {rate: 500/s, duration: 400ms, record: {size: 200}, drain: 30s}
client: {acks: 0, retries: 0}
`)
			r.Admin = &lateAdmin{Admin: r.Admin, missing: 7, late: c.late}
			o := r.complete(t)
			o.want(t, check.Holds)
			if o.verdict.Counts.Lost != c.lost || len(o.meta.FinalRead.Problems) > 0 {
				t.Errorf("%d lost, problems %q", o.verdict.Counts.Lost, o.meta.FinalRead.Problems)
			}
		})
	}
}
