package stats

import (
	"strings"

	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
)

// Topic is what one of the load's topics had of it, in the measured part.
type Topic struct {
	Name        string
	Sent, Acked uint64
	Bytes       int64 // of acknowledged values
	AckedPerS   *float64
	MiBPerS     *float64
	Ack         Latency

	Partitions int
	Hottest    string  // the partition with the most acknowledged records
	Share      float64 // that it had of the topic's
}

// topics gathers them.
type topics struct {
	list   []Topic
	of     []int    // by partition: its topic, -1 for one that is not the load's
	acked  []uint64 // by partition
	header history.Header
}

func newTopics(h history.Header, m rundir.Meta) *topics {
	ts := &topics{header: h, of: make([]int, len(h.Partitions)), acked: make([]uint64, len(h.Partitions))}
	for i := range ts.of {
		ts.of[i] = -1
	}
	for _, t := range m.Topics {
		if t.Role == "output" {
			continue
		}
		for p, name := range h.Partitions {
			if strings.HasPrefix(name, t.Name+"/") && h.Topic(int32(p)) == t.Name {
				ts.of[p] = len(ts.list)
			}
		}
		ts.list = append(ts.list, Topic{Name: t.Name, Partitions: t.Partitions})
	}
	return ts
}

// sent takes a send of the load that was intended in the measured part. One whose partition is not known is nobody's.
func (ts *topics) sent(op *history.Op, intended int64) {
	if op.Partition < 0 || int(op.Partition) >= len(ts.of) || ts.of[op.Partition] < 0 {
		return
	}
	t := &ts.list[ts.of[op.Partition]]
	t.Sent++
	if op.Outcome != history.OK {
		return
	}
	t.Acked++
	t.Bytes += op.Size
	ts.acked[op.Partition]++
	t.Ack.add(intended, op.Call, op.Return)
}

func (ts *topics) finish(m rundir.Meta, from, to int64) []Topic {
	for p, n := range ts.acked {
		if ts.of[p] < 0 {
			continue
		}
		t := &ts.list[ts.of[p]]
		if share := float64(n) / float64(t.Acked); n > 0 && share > t.Share {
			t.Hottest, t.Share = ts.header.PartitionName(int32(p)), share
		}
	}
	for i := range ts.list {
		t := &ts.list[i]
		if t.AckedPerS = perSecond(t.Acked, from, to); t.AckedPerS != nil && m.Load.Measured && t.Acked > 0 {
			mib := *t.AckedPerS * float64(t.Bytes) / float64(t.Acked) / (1 << 20)
			t.MiBPerS = &mib
		}
	}
	return ts.list
}
