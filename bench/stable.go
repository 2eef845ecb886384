package bench

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/rundir"
)

// Kafka's defaults of what bounds a transaction.
const (
	kafkasTxnTimeout = 60 * time.Second
	kafkasTxnScan    = 10 * time.Second
	txnScanSetting   = "transaction.abort.timed.out.transaction.cleanup.interval.ms"
	markerPatience   = 5 * time.Second // for the markers of an abort to be written
)

// stillness tells for how long the last stable offset of each of a topic's partitions was seen to stand still below its
// high watermark.
type stillness struct {
	run    *run
	topic  topicRef
	behind map[int32]rundir.Held
	since  map[int32]time.Time
}

func (r *run) newStillness(t topicRef) *stillness {
	return &stillness{run: r, topic: t, behind: map[int32]rundir.Held{}, since: map[int32]time.Time{}}
}

// look takes what the cluster says now.
func (s *stillness) look(stable, high map[int32]int64) {
	now := time.Now()
	for p := range int32(s.topic.Partitions) {
		if stable[p] >= high[p] {
			delete(s.behind, p)
			continue
		}
		if before, known := s.behind[p]; !known || before.LastStable != stable[p] {
			s.since[p] = now
		}
		s.behind[p] = rundir.Held{
			Partition: fmt.Sprintf("%s/%d", s.topic.Name, p), LastStable: stable[p], HighWatermark: high[p],
			StoodMs: now.Sub(s.since[p]).Milliseconds(),
		}
	}
}

// forget what was seen: the cluster did not answer, or was not whole.
func (s *stillness) forget() { clear(s.behind) }

// over tells whether every partition that is behind has been so for longer than any transaction may last.
func (s *stillness) over(limit time.Duration) bool {
	for _, h := range s.behind {
		if h.StoodMs < limit.Milliseconds() {
			return false
		}
	}
	return true
}

// keep writes down which partitions are held.
func (s *stillness) keep(limit time.Duration) {
	for p := range int32(s.topic.Partitions) {
		if h, behind := s.behind[p]; behind {
			h.LimitMs = limit.Milliseconds()
			s.run.change(func(m *rundir.Meta) { m.FinalRead.Held = append(m.FinalRead.Held, h) })
		}
	}
}

// held tells whether a transaction holds a partition for longer than it may.
func (r *run) held(partition int32) bool {
	name := r.header.Partitions[partition]
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.meta.FinalRead.Held, func(h rundir.Held) bool { return h.Partition == name && h.StoodMs >= h.LimitMs })
}

// lastingTxn is how long a transaction of the run's clients can stay open after they are gone: its time-out, until the
// coordinator looks for such, twice, and the markers. Zero where the run has no transactions.
func (r *run) lastingTxn(ctx context.Context) time.Duration {
	if !r.meta.Judged.Transactions {
		return 0
	}
	longest := time.Duration(0)
	settings := []map[string]string{r.s.Client}
	if r.s.Processor != nil {
		settings = append(settings, r.s.Processor.Client)
	}
	for _, s := range settings {
		longest = max(longest, millisOr(s["transaction.timeout.ms"], kafkasTxnTimeout))
	}
	scan := time.Duration(0)
	for _, id := range r.Cluster.Brokers() {
		config, err := r.Admin.BrokerConfig(ctx, id)
		if err != nil {
			return 0
		}
		scan = max(scan, millisOr(config[txnScanSetting], kafkasTxnScan))
	}
	return longest + 2*scan + markerPatience
}

func millisOr(text string, otherwise time.Duration) time.Duration {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return otherwise
	}
	return time.Duration(n) * time.Millisecond
}

// ends are the high watermarks, taken once every ISR is full and the last stable offset has met them. Where that does
// not come to pass in time the run goes on with what there is, and a problem keeps it from holding. A transaction that
// is still open is waited for until it should have been aborted, which may be longer.
func (r *run) ends(ctx context.Context, t topicRef) (map[int32]int64, error) {
	patient, cancel := context.WithTimeout(ctx, r.s.Load.Drain)
	defer cancel()
	still, limit := r.newStillness(t), time.Duration(-1)
	for {
		missing, ends := r.unsettled(ctx, t, still)
		if missing == "" {
			return ends, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if len(still.behind) > 0 && limit < 0 {
			limit = r.lastingTxn(ctx)
		}
		waiting := patient.Err() == nil || len(still.behind) > 0 && !still.over(limit)
		if !waiting || !pause(ctx, 50*time.Millisecond) {
			r.problem("before the final read: %s", missing)
			still.keep(limit)
			return r.Admin.EndOffsets(ctx, t.Physical, client.ReadUncommitted)
		}
	}
}
