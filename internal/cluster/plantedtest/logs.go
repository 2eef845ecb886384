package plantedtest

import (
	"encoding/binary"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Shorten says that a partition ends n offsets before it does: so many times, or always where times is less than 0.
func Shorten(n int64, times int) *Lie {
	l := &Lie{}
	l.Answer = func(x *Exchange) {
		answer, ok := x.Answer.(*kmsg.ListOffsetsResponse)
		if !ok || x.asksForStart() {
			return
		}
		for _, t := range answer.Topics {
			for i := range t.Partitions {
				p := &t.Partitions[i]
				if x.topic(t.Topic, [16]byte{}) == "" || p.Partition != 0 || p.Offset < n || times == 0 {
					continue
				}
				p.Offset -= n
				l.told = uint64(n)
				times--
			}
		}
	}
	return l
}

func (x *Exchange) asksForStart() bool {
	const latest = -1
	for _, t := range x.Request.(*kmsg.ListOffsetsRequest).Topics {
		for _, p := range t.Partitions {
			if p.Timestamp != latest {
				return true
			}
		}
	}
	return false
}

// LeakAborted does not tell readers of committed records which transactions were aborted, so that they get their records.
func LeakAborted() *Lie {
	l, leaked := &Lie{}, map[place]bool{}
	l.Answer = func(x *Exchange) {
		x.edit(func(at place, p *kmsg.FetchResponseTopicPartition, batches []*batch) bool {
			for _, at := range abortedIn(at, p.AbortedTransactions, batches) {
				if !leaked[at] {
					leaked[at] = true
					l.told++
				}
			}
			p.AbortedTransactions = nil
			return false
		})
	}
	return l
}

// abortedIn are the places of records that a list of aborted transactions has a reader leave out.
func abortedIn(at place, aborted []kmsg.FetchResponseTopicPartitionAbortedTransaction, batches []*batch) []place {
	var list []place
	open := map[int64]bool{}
	for _, b := range batches {
		for _, a := range aborted {
			if a.ProducerID == b.ProducerID && a.FirstOffset >= b.FirstOffset && a.FirstOffset <= b.last() {
				open[b.ProducerID] = true
			}
		}
		switch {
		case b.isControl():
			delete(open, b.ProducerID)
		case open[b.ProducerID]:
			for i := range b.records {
				list = append(list, place{at.topic, at.partition, b.offset(i)})
			}
		}
	}
	return list
}

// LeakOpen gives readers of committed records whatever there is.
func LeakOpen() *Lie {
	l := &Lie{}
	l.Request = func(x *Exchange) {
		if req, ok := x.Request.(*kmsg.FetchRequest); ok && req.IsolationLevel == 1 {
			req.IsolationLevel = 0
			l.told++
		}
	}
	return l
}

// Hang lets the last stable offset of a partition stay behind from a commit on, as a transaction does that never ends.
func Hang() *Lie {
	l, stuck := &Lie{}, map[place]int64{}
	l.Answer = func(x *Exchange) {
		x.hurry()
		if answer, ok := x.Answer.(*kmsg.ListOffsetsResponse); ok && x.Request.(*kmsg.ListOffsetsRequest).IsolationLevel == 1 {
			for _, t := range answer.Topics {
				for i := range t.Partitions {
					if at, yes := stuck[place{topic: t.Topic, partition: t.Partitions[i].Partition}]; yes {
						t.Partitions[i].Offset = min(t.Partitions[i].Offset, at)
					}
				}
			}
		}
		req, ok := x.Request.(*kmsg.FetchRequest)
		if !ok || req.IsolationLevel != 1 {
			return
		}
		x.edit(func(at place, p *kmsg.FetchResponseTopicPartition, batches []*batch) bool {
			var stable []*batch
			for _, b := range batches {
				if l.told == 0 && b.isControl() && b.FirstOffset >= settled {
					stuck[at], l.told = b.FirstOffset+1, 1
				}
				if until, yes := stuck[at]; !yes || b.FirstOffset < until {
					stable = append(stable, b)
				}
			}
			if until, yes := stuck[at]; yes {
				p.LastStableOffset, p.RecordBatches = until, encodeAll(stable)
				x.pause = 20 * time.Millisecond // the broker does not wait for more: to it, there is some
			}
			return false
		})
	}
	return l
}

// hurry has a broker say that it looks often for transactions that are overdue, so that a test need not wait for long.
func (x *Exchange) hurry() {
	answer, ok := x.Answer.(*kmsg.DescribeConfigsResponse)
	for i := 0; ok && i < len(answer.Resources); i++ {
		if r := &answer.Resources[i]; r.ResourceType == kmsg.ConfigResourceTypeBroker {
			c := kmsg.NewDescribeConfigsResponseResourceConfig()
			c.Name, c.Value = "transaction.abort.timed.out.transaction.cleanup.interval.ms", kmsg.StringPtr("100")
			r.Configs = append(r.Configs, c)
		}
	}
}

// HalfAbort shows a transaction that was committed as aborted, in one of its partitions.
func HalfAbort() *Lie {
	l := &Lie{}
	var marker place
	var first kmsg.FetchResponseTopicPartitionAbortedTransaction
	l.Answer = func(x *Exchange) {
		x.edit(func(at place, p *kmsg.FetchResponseTopicPartition, batches []*batch) (changed bool) {
			begun := map[int64]int64{} // first offset of each producer's open transaction
			for _, b := range batches {
				at.offset = b.FirstOffset
				start, open := begun[b.ProducerID]
				switch {
				case !b.isControl() && !open:
					begun[b.ProducerID] = b.FirstOffset
				case b.isControl() && open && l.told == 0 && at.offset >= settled && isCommit(b):
					marker, l.told = at, 1
					first.ProducerID, first.FirstOffset = b.ProducerID, start
				}
				if b.isControl() {
					delete(begun, b.ProducerID)
				}
				if l.told > 0 && at == marker {
					b.records[0].Key = []byte{0, 0, 0, 0} // version 0, type abort
					p.AbortedTransactions = append(p.AbortedTransactions, first)
					changed = true
				}
			}
			return changed
		})
	}
	return l
}

// isCommit tells a commit's marker from an abort's, by the control record's type.
func isCommit(b *batch) bool {
	return len(b.records) == 1 && len(b.records[0].Key) >= 4 && binary.BigEndian.Uint16(b.records[0].Key[2:]) == 1
}
