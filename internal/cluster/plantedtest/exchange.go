package plantedtest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Lie is one way to misbehave. Both functions may be nil; the cluster calls them one at a time.
type Lie struct {
	// Request sees what a client asks before the broker does, and may change it, or answer it in the broker's place.
	Request func(*Exchange)
	// Answer sees what the client is about to get, and may change it.
	Answer func(*Exchange)

	told uint64
}

// Together is several lies at once; the first counts what was told.
func Together(first *Lie, more ...*Lie) *Lie {
	both := &Lie{}
	all := append([]*Lie{first}, more...)
	both.Request = func(x *Exchange) {
		for _, l := range all {
			if l.Request != nil && x.Answer == nil {
				l.Request(x)
			}
		}
		both.told = first.told
	}
	both.Answer = func(x *Exchange) {
		for _, l := range all {
			if l.Answer != nil {
				l.Answer(x)
			}
		}
		both.told = first.told
	}
	return both
}

// ShownTo keeps a lie's answers to fetches from everybody else.
func ShownTo(who func(client string) bool, l *Lie) *Lie {
	some := &Lie{}
	some.Request = func(x *Exchange) {
		if l.Request != nil {
			l.Request(x)
		}
		some.told = l.told
	}
	some.Answer = func(x *Exchange) {
		if _, fetch := x.Answer.(*kmsg.FetchResponse); l.Answer != nil && (!fetch || who(x.Client)) {
			l.Answer(x)
		}
		some.told = l.told
	}
	return some
}

// IsJudge tells the final reader's client from those of the run by its client.id, IsClient the other way round.
func IsJudge(client string) bool { return !IsClient(client) }

// IsClient is the opposite of IsJudge.
func IsClient(client string) bool { return strings.HasPrefix(client, "kbench-") }

// Exchange is a request and its answer.
type Exchange struct {
	Client  string       // client.id
	Request kmsg.Request // nil: a kind that is passed on unread
	Answer  kmsg.Response

	conn        *conn
	correlation int32
	acks        bool                 // the client waits for an answer
	overtake    func(*Exchange) bool // not nil: hold it back; tells whether the next request is to go first
	raw         []byte               // of what is passed on unread
	kept        []kept
	after       func()        // not nil: what the lie does once the broker has answered
	pause       time.Duration // before the client gets its answer
	hangUp      bool          // the client gets no answer, and loses its connection
}

// forward asks the broker.
func (x *Exchange) forward() error {
	if x.Request != nil {
		answer, err := x.ask(x.Request, x.acks)
		x.Answer = answer
		return err
	}
	if err := writeFrame(x.conn.broker, x.raw); err != nil {
		return err
	}
	var err error
	x.raw, err = readFrame(x.conn.broker)
	return err
}

// Ask sends a request of the lie's own to the broker.
func (x *Exchange) Ask(req kmsg.Request) (kmsg.Response, error) { return x.ask(req, true) }

func (x *Exchange) ask(req kmsg.Request, answered bool) (kmsg.Response, error) {
	frame := kmsg.NewRequestFormatter(kmsg.FormatterClientID(x.Client)).AppendRequest(nil, req, x.correlation)
	if _, err := x.conn.broker.Write(frame); err != nil || !answered {
		return nil, err
	}
	frame, err := readFrame(x.conn.broker)
	if err != nil {
		return nil, err
	}
	r := kbin.Reader{Src: frame}
	if got := r.Int32(); got != x.correlation {
		return nil, fmt.Errorf("answer %d to request %d", got, x.correlation)
	}
	answer := req.ResponseKind()
	if answer.IsFlexible() {
		kmsg.SkipTags(&r)
	}
	if err := answer.ReadFrom(r.Src); err != nil || !r.Ok() {
		return nil, fmt.Errorf("answer to %s: %w", kmsg.NameForKey(req.Key()), err)
	}
	return answer, nil
}

// direct sends the client to the fronts, wherever an answer names a broker.
func (c *Cluster) direct(answer kmsg.Response) {
	switch a := answer.(type) {
	case *kmsg.MetadataResponse:
		for i := range a.Brokers {
			b := &a.Brokers[i]
			b.Host, b.Port = c.address(b.NodeID, b.Host, b.Port)
		}
		for _, t := range a.Topics {
			if t.Topic != nil && t.TopicID != [16]byte{} {
				c.names[t.TopicID] = *t.Topic
			}
		}
	case *kmsg.FindCoordinatorResponse:
		a.Host, a.Port = c.address(a.NodeID, a.Host, a.Port)
		for i := range a.Coordinators {
			b := &a.Coordinators[i]
			b.Host, b.Port = c.address(b.NodeID, b.Host, b.Port)
		}
	case *kmsg.DescribeClusterResponse:
		for i := range a.Brokers {
			b := &a.Brokers[i]
			b.Host, b.Port = c.address(b.NodeID, b.Host, b.Port)
		}
	case *kmsg.ProduceResponse:
		for i := range a.Brokers {
			b := &a.Brokers[i]
			b.Host, b.Port = c.address(b.NodeID, b.Host, b.Port)
		}
	case *kmsg.FetchResponse:
		for i := range a.Brokers {
			b := &a.Brokers[i]
			b.Host, b.Port = c.address(b.NodeID, b.Host, b.Port)
		}
	}
}

// place is an offset of a partition.
type place struct {
	topic     string
	partition int32
	offset    int64
}

// topic is a topic's name, "" for one that is none of the run's.
func (x *Exchange) topic(name string, id [16]byte) string {
	if name == "" {
		name = x.conn.names[id]
	}
	if strings.HasPrefix(name, "__") {
		return ""
	}
	return name
}

// produced calls f for each partition that the request writes to.
func (x *Exchange) produced(f func(place, *kmsg.ProduceRequestTopicPartition)) {
	req, ok := x.Request.(*kmsg.ProduceRequest)
	if !ok {
		return
	}
	for i := range req.Topics {
		t := &req.Topics[i]
		name := x.topic(t.Topic, t.TopicID)
		for j := range t.Partitions {
			if name != "" {
				f(place{topic: name, partition: t.Partitions[j].Partition}, &t.Partitions[j])
			}
		}
	}
}

// stored calls f for each partition that the answer to a Produce request tells of.
func (x *Exchange) stored(f func(place, *kmsg.ProduceResponseTopicPartition)) {
	answer, ok := x.Answer.(*kmsg.ProduceResponse)
	if !ok {
		return
	}
	for i := range answer.Topics {
		t := &answer.Topics[i]
		name := x.topic(t.Topic, t.TopicID)
		for j := range t.Partitions {
			if name != "" {
				f(place{topic: name, partition: t.Partitions[j].Partition}, &t.Partitions[j])
			}
		}
	}
}

// fetched calls f for each partition that an answer brings records of.
func (x *Exchange) fetched(f func(place, *kmsg.FetchResponseTopicPartition)) {
	answer, ok := x.Answer.(*kmsg.FetchResponse)
	if !ok {
		return
	}
	for i := range answer.Topics {
		t := &answer.Topics[i]
		name := x.topic(t.Topic, t.TopicID)
		for j := range t.Partitions {
			if name != "" {
				f(place{topic: name, partition: t.Partitions[j].Partition}, &t.Partitions[j])
			}
		}
	}
}

// kept is a partition that was taken out of a Produce request, with the answer that it gets all the same.
type kept struct {
	place
	code      int16
	topicName string
	id        [16]byte
}

// keep takes a partition out of a Produce request, which is answered as if it had been stored there, or with an error's
// code. A request that carries nothing else does not reach the broker.
func (x *Exchange) keep(at place, code int16) { x.kept = append(x.kept, kept{place: at, code: code}) }

// takeOut carries out what keep said.
func (x *Exchange) takeOut() {
	req, ok := x.Request.(*kmsg.ProduceRequest)
	if !ok || len(x.kept) == 0 {
		return
	}
	for i := range req.Topics {
		t := &req.Topics[i]
		t.Partitions = slices.DeleteFunc(t.Partitions, func(p kmsg.ProduceRequestTopicPartition) bool {
			of := slices.IndexFunc(x.kept, func(k kept) bool {
				return k.topic == x.topic(t.Topic, t.TopicID) && k.partition == p.Partition
			})
			if of >= 0 {
				x.kept[of].topicName, x.kept[of].id = t.Topic, t.TopicID
			}
			return of >= 0
		})
	}
	req.Topics = slices.DeleteFunc(req.Topics, func(t kmsg.ProduceRequestTopic) bool { return len(t.Partitions) == 0 })
	if len(req.Topics) == 0 {
		x.Answer = req.ResponseKind()
	}
}

// join puts what was kept into the answer.
func (x *Exchange) join() {
	for _, k := range x.kept {
		p := kmsg.NewProduceResponseTopicPartition()
		p.Partition, p.BaseOffset, p.LogAppendTime, p.LogStartOffset = k.partition, k.offset, -1, 0
		p.ErrorCode = k.code
		answer := x.Answer.(*kmsg.ProduceResponse)
		i := slices.IndexFunc(answer.Topics, func(t kmsg.ProduceResponseTopic) bool { return t.Topic == k.topicName && t.TopicID == k.id })
		if i < 0 {
			t := kmsg.NewProduceResponseTopic()
			t.Topic, t.TopicID = k.topicName, k.id
			answer.Topics, i = append(answer.Topics, t), len(answer.Topics)
		}
		answer.Topics[i].Partitions = append(answer.Topics[i].Partitions, p)
	}
	x.kept = nil
}

// end asks the broker where a partition ends.
func (x *Exchange) end(at place) int64 {
	req := kmsg.NewPtrListOffsetsRequest()
	req.SetVersion(4)
	t, p := kmsg.NewListOffsetsRequestTopic(), kmsg.NewListOffsetsRequestTopicPartition()
	t.Topic, p.Partition, p.Timestamp = at.topic, at.partition, -1
	t.Partitions, req.ReplicaID = append(t.Partitions, p), -1
	req.Topics = append(req.Topics, t)
	answer, err := x.Ask(req)
	if err != nil {
		x.conn.problem("end of %s/%d: %w", at.topic, at.partition, err)
		return 0
	}
	return answer.(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0].Offset
}

// store has the broker append batches that no client sent, to a partition of the request in hand, and gives their offset.
func (x *Exchange) store(at place, batches ...*batch) (base int64) {
	own := *x.Request.(*kmsg.ProduceRequest)
	own.Acks, own.TransactionID, own.Topics = -1, nil, nil
	for _, t := range x.Request.(*kmsg.ProduceRequest).Topics {
		if x.topic(t.Topic, t.TopicID) == at.topic {
			p := kmsg.NewProduceRequestTopicPartition()
			p.Partition, p.Records = at.partition, encodeAll(batches)
			t.Partitions = []kmsg.ProduceRequestTopicPartition{p}
			own.Topics = []kmsg.ProduceRequestTopic{t}
		}
	}
	answer, err := x.Ask(&own)
	if err != nil {
		x.conn.problem("append to %s/%d: %w", at.topic, at.partition, err)
		return -1
	}
	stored := &answer.(*kmsg.ProduceResponse).Topics[0].Partitions[0]
	if err := kerr.ErrorForCode(stored.ErrorCode); err != nil {
		x.conn.problem("append to %s/%d: %w", at.topic, at.partition, err)
	}
	return stored.BaseOffset
}

// batches takes records apart; what cannot be is a problem, and nothing.
func (x *Exchange) batches(raw []byte) []*batch {
	list, err := parseBatches(raw)
	if err != nil {
		x.conn.problem("%w", err)
	}
	return list
}
