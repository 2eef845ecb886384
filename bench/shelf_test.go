package bench

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kbench/kbench/internal/clock"
	"github.com/kbench/kbench/internal/cluster"
	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/payload"
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

// logsIn is a cluster that can be looked into.
type logsIn struct {
	cluster.Cluster
	dir string
}

func (l logsIn) Brokers() []int32 { return []int32{1, 2} }
func (l logsIn) LogDir(broker int32, _ ...string) (string, error) {
	return filepath.Join(l.dir, fmt.Sprint(broker)), nil
}
func (l logsIn) ServerLog(int32) (string, error) { return filepath.Join(l.dir, "server.log"), nil }

func newTestShelf(t *testing.T) (*shelf, logsIn) {
	t.Helper()
	c, err := clock.New()
	if err != nil {
		t.Fatal(err)
	}
	logs := logsIn{dir: t.TempDir()}
	r := &run{Config: Config{Cluster: logs, Dir: t.TempDir()}, clock: c, topics: []topicRef{{Name: "orders", Physical: "orders-aa", Partitions: 2}}}
	r.header = history.Header{Run: 7, Partitions: []string{"orders/0", "orders/1"}, Producers: []string{"p0"}}
	return r.newShelf(), logs
}

// segment writes a segment of one record for each sequence, from offset 0 on.
func segment(t *testing.T, dir string, seqs int) {
	t.Helper()
	var records []byte
	for i := range seqs {
		value := make([]byte, payload.Size+10)
		payload.Put(value, payload.Head{Attempt: 1, Session: 1, Run: 7, Seq: uint64(i)})
		r := kmsg.Record{OffsetDelta: int32(i), Value: value}
		r.Length = int32(len(r.AppendTo(nil)) - 1)
		records = r.AppendTo(records)
	}
	b := kmsg.RecordBatch{PartitionLeaderEpoch: 3, Magic: 2, LastOffsetDelta: int32(seqs) - 1, NumRecords: int32(seqs), Records: records}
	raw := b.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[8:], uint32(len(raw)-12))
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "00000000000000000000.log"), raw, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestABrokerAtRestIsLookedIntoBeforeItGoesOn(t *testing.T) {
	s, logs := newTestShelf(t)
	segment(t, filepath.Join(logs.dir, "1", "orders-aa-1"), 5)
	segment(t, filepath.Join(logs.dir, "1", "orders-bb-0"), 9) // another run's
	s.atRest(1, "paused")
	s.atRest(1, "dead")    // it has what it had
	s.atRest(1001, "dead") // a controller
	s.goesOn(1)
	s.goesOn(2) // was never at rest
	if len(s.run.meta.Looks) != 1 {
		t.Fatalf("looks %+v", s.run.meta.Looks)
	}
	l := s.run.meta.Looks[0]
	want := map[string]rundir.Extent{"orders/1": {From: 0, End: 5}}
	if l.Broker != 1 || l.Number != 1 || l.State != "paused" || l.AfterAll || !maps.Equal(l.Partitions, want) || len(l.Problems) > 0 {
		t.Errorf("%+v", l)
	}
	h, err := history.Open(filepath.Join(s.run.Dir, rundir.BrokersDir))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	err = h.Each(func(op *history.Op) error {
		for _, r := range op.Records {
			got = append(got, fmt.Sprintf("%s %s@%d epoch %d", h.Header.ClientName(op.Client), h.Header.ValueName(r.Value), r.Offset, r.Epoch))
		}
		return nil
	})
	if err != nil || len(got) != 5 || got[4] != "broker-1 p0/1/4@4 epoch 3" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestLooksAtTheEndTellWhatTheyCouldNotRead(t *testing.T) {
	s, logs := newTestShelf(t)
	segment(t, filepath.Join(logs.dir, "1", "orders-aa-0"), 5)
	if err := os.MkdirAll(filepath.Join(logs.dir, "2", "orders-aa-0"), 0o755); err != nil { // no segment
		t.Fatal(err)
	}
	s.atEnd()
	for _, l := range s.run.meta.Looks {
		if !l.AfterAll || l.ToldAll || !strings.Contains(strings.Join(l.Problems, "; "), "server.log") {
			t.Errorf("%+v", l)
		}
		if none := strings.Contains(strings.Join(l.Problems, "; "), "no log segment"); none != (l.Broker == 2) || none == (len(l.Partitions) > 0) {
			t.Errorf("%+v", l)
		}
	}
	if err := os.WriteFile(filepath.Join(logs.dir, "server.log"), []byte("[2026-01-02 03:04:05,678] INFO [UnifiedLog partition=orders-aa-0, dir=x] Truncating to offset 3 (x)\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s.run.meta.Looks = nil
	s.atEnd()
	if l := s.run.meta.Looks[0]; !l.ToldAll || l.Number != 2 || len(s.run.meta.Truncated) != 2 {
		t.Errorf("%+v, truncations %+v", l, s.run.meta.Truncated)
	}
	if err := os.WriteFile(filepath.Join(logs.dir, "server.log"), []byte(cluster.LogTorn+": the engine was restarted\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s.run.meta.Looks = nil
	s.atEnd()
	if l := s.run.meta.Looks[0]; l.ToldAll || !strings.Contains(strings.Join(l.Problems, "; "), "the engine was restarted") {
		t.Errorf("a log that is not whole: %+v", l)
	}
}

func TestAClusterThatCannotBeLookedIntoIsLeftAlone(t *testing.T) {
	s, logs := newTestShelf(t)
	s.logs = nil
	segment(t, filepath.Join(logs.dir, "1", "orders-aa-0"), 5)
	s.atRest(1, "dead")
	s.goesOn(1)
	s.atEnd()
	if len(s.run.meta.Looks) > 0 {
		t.Errorf("%+v", s.run.meta.Looks)
	}
}
