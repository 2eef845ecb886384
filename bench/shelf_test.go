package bench

import (
	"testing"
	"time"

	"github.com/kbench/kbench/internal/clock"
	"github.com/kbench/kbench/internal/rundir"
)

func TestTruncationsAreReadFromWhatABrokerSays(t *testing.T) {
	c, err := clock.New()
	if err != nil {
		t.Fatal(err)
	}
	s := &shelf{run: &run{clock: c, topics: []topicRef{{Name: "my-orders", Physical: "my-orders-9d14ec", Partitions: 12}}}}
	const log = " (org.apache.kafka.storage.internals.log.UnifiedLog)"
	now := time.Now().Truncate(time.Millisecond)
	stamp := now.Format("[2006-01-02 15:04:05,000]")
	for _, c := range []struct {
		name, line string
		want       rundir.Truncation
	}{
		{"cut back", stamp + " INFO [UnifiedLog partition=my-orders-9d14ec-11, dir=/tmp/x/broker-3/log] Truncating to offset 110" + log, rundir.Truncation{Partition: "my-orders/11", Offset: 110}},
		{"begun anew", stamp + " INFO [UnifiedLog partition=my-orders-9d14ec-0, dir=/tmp/x/broker-3/log] Truncate and start at offset 7, logStartOffset: 7" + log, rundir.Truncation{Partition: "my-orders/0", Offset: 7}},
		{"without effect", stamp + " INFO [UnifiedLog partition=my-orders-9d14ec-0, dir=/tmp/x/broker-1/log] Truncating to 0 has no effect as the largest offset in the log is -1" + log, rundir.Truncation{}},
		{"announced by the fetcher, done by the log", stamp + " INFO [ReplicaFetcher replicaId=3, leaderId=1, fetcherId=0] Truncating partition my-orders-9d14ec-0 with TruncationState(offset=110, completed=true) due to leader epoch", rundir.Truncation{}},
		{"another run's topic", stamp + " INFO [UnifiedLog partition=my-orders-000000-0, dir=/tmp/x/broker-3/log] Truncating to offset 110" + log, rundir.Truncation{}},
		{"no time", "[soon] INFO [UnifiedLog partition=my-orders-9d14ec-0, dir=/tmp/x/broker-3/log] Truncating to offset 110" + log, rundir.Truncation{}},
		{"something else", stamp + " INFO Kafka version: 4.3.1", rundir.Truncation{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, is := s.truncation(c.line)
			when := s.run.clock.Wall() + got.At - now.UnixNano()
			got.At = 0
			if got != c.want || is != (c.want != rundir.Truncation{}) || is && (when < -int64(time.Second) || when > int64(time.Second)) {
				t.Errorf("%+v, %v, %v off; want %+v", got, is, time.Duration(when), c.want)
			}
		})
	}
}
