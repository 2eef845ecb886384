package proxy

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Every request and answer on a Kafka connection is a frame: its length in four bytes, big endian, then so many bytes.
// A request begins with its API key (2), version (2) and correlation id (4), an answer with its correlation id (4).
// See "Protocol" in Kafka's manual, and KIP-482 for the tagged fields of flexible versions.
const (
	sizeLen    = 4
	requestLen = 8 // of a request's header that every version has
	answerLen  = 4 // likewise, of an answer's
	maxFrame   = 1 << 30
	maxLearned = 32 << 20 // a longer Metadata answer passes without being read
)

const (
	produceKey     = 0
	metadataKey    = 3
	endTxnKey      = 26
	apiVersionsKey = 18
)

// refusal is what a refused request is answered with: certainly not appended, and retried by librdkafka, the Java
// client and franz-go alike. NOT_ENOUGH_REPLICAS would be too, but is counted elsewhere as a sign that acks=all
// protected a record, which must not be made up here.
var refusal = kerr.KafkaStorageError.Code

var errFrame = errors.New("not a frame of Kafka's protocol")

// header is the part of a request's header that every version has.
type header struct {
	key, version int16
	correlation  int32
}

// size checks the length that a frame starts with.
func size(b []byte) (int, error) {
	n := int32(binary.BigEndian.Uint32(b))
	if n < 0 || n > maxFrame {
		return 0, fmt.Errorf("%w: length %d", errFrame, n)
	}
	return int(n), nil
}

// parseHeader reads the first requestLen bytes of a request.
func parseHeader(b []byte) header {
	be := binary.BigEndian
	return header{int16(be.Uint16(b)), int16(be.Uint16(b[2:])), int32(be.Uint32(b[4:]))}
}

// parseProduce reads a whole Produce request after its length.
func parseProduce(frame []byte) (*kmsg.ProduceRequest, error) {
	req := kmsg.NewPtrProduceRequest()
	return req, parseRequest(frame, req)
}

// parseEndTxn reads a whole EndTxn request after its length.
func parseEndTxn(frame []byte) (*kmsg.EndTxnRequest, error) {
	req := kmsg.NewPtrEndTxnRequest()
	return req, parseRequest(frame, req)
}

// parseRequest reads a whole request after its length into one of its kind, which then refers to the frame.
func parseRequest(frame []byte, into kmsg.Request) error {
	if len(frame) < requestLen {
		return errFrame
	}
	h := parseHeader(frame)
	if h.key != into.Key() || h.version < 0 || h.version > into.MaxVersion() {
		return fmt.Errorf("%w: %s version %d", errFrame, kmsg.NameForKey(into.Key()), h.version)
	}
	into.SetVersion(h.version)
	body, err := skipClient(frame[requestLen:])
	if err == nil && into.IsFlexible() {
		body, err = skipTags(body)
	}
	if err != nil {
		return err
	}
	if r, ok := into.(interface{ UnsafeReadFrom([]byte) error }); ok {
		return r.UnsafeReadFrom(body)
	}
	return into.ReadFrom(body)
}

// parseAnswer reads a whole answer after its length into one that has its version.
func parseAnswer(frame []byte, into kmsg.Response) error {
	if len(frame) < answerLen {
		return errFrame
	}
	body, err := frame[answerLen:], error(nil)
	if into.IsFlexible() {
		body, err = skipTags(body)
	}
	if err != nil {
		return err
	}
	return into.ReadFrom(body)
}

// skipClient steps over a client id: a nullable string, never a compact one.
func skipClient(b []byte) ([]byte, error) {
	if len(b) < 2 {
		return nil, errFrame
	}
	n := int(int16(binary.BigEndian.Uint16(b)))
	b = b[2:]
	if n > len(b) {
		return nil, errFrame
	}
	return b[max(n, 0):], nil
}

// skipTags steps over a header's tagged fields.
func skipTags(b []byte) ([]byte, error) {
	count, b, err := uvarint(b)
	for ; err == nil && count > 0; count-- {
		var n uint64
		if _, b, err = uvarint(b); err != nil {
			break
		}
		if n, b, err = uvarint(b); err != nil {
			break
		}
		if n > uint64(len(b)) {
			return nil, errFrame
		}
		b = b[n:]
	}
	return b, err
}

func uvarint(b []byte) (uint64, []byte, error) {
	v, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil, errFrame
	}
	return v, b[n:], nil
}

// batch is what tells one producer's batch from another, and how many records it holds.
type batch struct {
	producer int64 // -1: not idempotent
	epoch    int16
	sequence int32
	records  int
}

// parseBatch reads the head of the first record batch (magic 2) of what is produced to one partition. Others count as
// one batch of unknown size.
func parseBatch(records []byte) batch {
	const magic, producer, epoch, sequence, count, end = 16, 43, 51, 53, 57, 61
	if len(records) < end || records[magic] != 2 {
		return batch{producer: -1}
	}
	be := binary.BigEndian
	return batch{
		producer: int64(be.Uint64(records[producer:])),
		epoch:    int16(be.Uint16(records[epoch:])),
		sequence: int32(be.Uint32(records[sequence:])),
		records:  int(int32(be.Uint32(records[count:]))),
	}
}

// refuse is the whole frame that refuses a Produce request.
func refuse(correlation int32, req *kmsg.ProduceRequest) []byte {
	resp := req.ResponseKind().(*kmsg.ProduceResponse)
	for _, t := range req.Topics {
		topic := kmsg.NewProduceResponseTopic()
		topic.Topic, topic.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			partition := kmsg.NewProduceResponseTopicPartition()
			partition.Partition, partition.ErrorCode = p.Partition, refusal
			partition.BaseOffset, partition.LogAppendTime, partition.LogStartOffset = -1, -1, -1
			topic.Partitions = append(topic.Partitions, partition)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	frame := make([]byte, sizeLen+answerLen, 128)
	if resp.IsFlexible() {
		frame = append(frame, 0)
	}
	frame = resp.AppendTo(frame)
	binary.BigEndian.PutUint32(frame, uint32(len(frame)-sizeLen))
	binary.BigEndian.PutUint32(frame[sizeLen:], uint32(correlation))
	return frame
}

// placeholder is an ApiVersions request in its oldest version. The broker gets it in place of a refused request and
// answers it in turn, so that the refusal, which takes the place of that answer, keeps the connection's order.
func placeholder(correlation int32) []byte {
	frame := make([]byte, sizeLen+requestLen+2)
	be := binary.BigEndian
	be.PutUint32(frame, requestLen+2)
	be.PutUint16(frame[4:], apiVersionsKey)
	be.PutUint32(frame[8:], uint32(correlation))
	be.PutUint16(frame[12:], 0xffff) // no client id
	return frame
}
