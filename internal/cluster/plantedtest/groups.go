package plantedtest

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Evict throws a group's member out once, when the group has committed some way.
func Evict() *Lie {
	l, far := &Lie{}, false
	l.Request = func(x *Exchange) {
		switch req := x.Request.(type) {
		case *kmsg.OffsetCommitRequest:
			for _, t := range req.Topics {
				for _, p := range t.Partitions {
					far = far || p.Offset > settled
				}
			}
		case *kmsg.TxnOffsetCommitRequest:
			for _, t := range req.Topics {
				for _, p := range t.Partitions {
					far = far || p.Offset > settled
				}
			}
		case *kmsg.HeartbeatRequest:
			if far && l.told == 0 {
				l.throwOut(x, req)
			}
		}
	}
	return l
}

func (l *Lie) throwOut(x *Exchange, beat *kmsg.HeartbeatRequest) {
	leave := kmsg.NewPtrLeaveGroupRequest()
	leave.SetVersion(2)
	leave.Group, leave.MemberID = beat.Group, beat.MemberID
	if _, err := x.Ask(leave); err != nil {
		x.conn.problem("evict %s: %w", beat.MemberID, err)
		return
	}
	const unknownMember = 25
	answer := beat.ResponseKind().(*kmsg.HeartbeatResponse)
	answer.ErrorCode = unknownMember
	x.Answer = answer
	l.told++
}

// Forget throws a member out, and answers whoever asks for its committed offsets then by so many less, once a partition.
func Forget(n int64) *Lie {
	evict := Evict()
	l := &Lie{Request: evict.Request}
	done := map[place]bool{}
	l.Answer = func(x *Exchange) {
		if evict.told == 0 {
			return
		}
		x.committed(func(at place, offset *int64) {
			if !done[at] && *offset > n {
				done[at] = true
				*offset -= n
				l.told += uint64(n)
			}
		})
	}
	return l
}

// SkipAhead throws a member out, and answers whoever asks for its committed offsets then that all but the last record
// is committed, once a partition.
func SkipAhead() *Lie {
	evict := Evict()
	l := &Lie{Request: evict.Request}
	done := map[place]bool{}
	l.Answer = func(x *Exchange) {
		if evict.told == 0 {
			return
		}
		x.committed(func(at place, offset *int64) {
			if last := x.end(at) - 1; !done[at] && *offset > 0 && last > *offset {
				done[at] = true
				l.told += uint64(last - *offset)
				*offset = last
			}
		})
	}
	return l
}

// committed calls f for each offset that a group is told to have committed.
func (x *Exchange) committed(f func(place, *int64)) {
	answer, ok := x.Answer.(*kmsg.OffsetFetchResponse)
	if !ok {
		return
	}
	for i := range answer.Topics {
		t := &answer.Topics[i]
		for j := range t.Partitions {
			f(place{t.Topic, t.Partitions[j].Partition, 0}, &t.Partitions[j].Offset)
		}
	}
	for g := range answer.Groups {
		for i := range answer.Groups[g].Topics {
			t := &answer.Groups[g].Topics[i]
			for j := range t.Partitions {
				f(place{x.topic(t.Topic, t.TopicID), t.Partitions[j].Partition, 0}, &t.Partitions[j].Offset)
			}
		}
	}
}

// ForgetCommits acknowledges what a group commits and keeps nothing of it.
func ForgetCommits() *Lie {
	l := &Lie{}
	l.Request = func(x *Exchange) {
		req, ok := x.Request.(*kmsg.OffsetCommitRequest)
		if !ok {
			return
		}
		answer := req.ResponseKind().(*kmsg.OffsetCommitResponse)
		for _, t := range req.Topics {
			topic := kmsg.NewOffsetCommitResponseTopic()
			topic.Topic, topic.TopicID = t.Topic, t.TopicID
			for _, p := range t.Partitions {
				partition := kmsg.NewOffsetCommitResponseTopicPartition()
				partition.Partition = p.Partition
				topic.Partitions = append(topic.Partitions, partition)
				l.told++
			}
			answer.Topics = append(answer.Topics, topic)
		}
		x.Answer = answer
	}
	return l
}

// ForgetTxnOffsets acknowledges the offsets that are committed with transactions and keeps nothing of them.
func ForgetTxnOffsets() *Lie {
	l := &Lie{}
	l.Request = func(x *Exchange) {
		req, ok := x.Request.(*kmsg.TxnOffsetCommitRequest)
		if !ok {
			return
		}
		answer := req.ResponseKind().(*kmsg.TxnOffsetCommitResponse)
		for _, t := range req.Topics {
			topic := kmsg.NewTxnOffsetCommitResponseTopic()
			topic.Topic = t.Topic
			for _, p := range t.Partitions {
				partition := kmsg.NewTxnOffsetCommitResponseTopicPartition()
				partition.Partition = p.Partition
				topic.Partitions = append(topic.Partitions, partition)
				l.told++
			}
			answer.Topics = append(answer.Topics, topic)
		}
		x.Answer = answer
	}
	return l
}

// struckTxn is the end of a transaction that lies are about.
const struckTxn = 4

// AbortInstead aborts a transaction whose commit it acknowledges.
func AbortInstead() *Lie { return endOtherwise(true) }

// CommitInstead commits a transaction whose abort it acknowledges.
func CommitInstead() *Lie { return endOtherwise(false) }

func endOtherwise(asked bool) *Lie {
	l, seen := &Lie{}, 0
	l.Request = func(x *Exchange) {
		req, ok := x.Request.(*kmsg.EndTxnRequest)
		if !ok || req.Commit != asked {
			return
		}
		if seen++; seen == struckTxn {
			req.Commit = !asked
			l.told++
		}
	}
	return l
}
