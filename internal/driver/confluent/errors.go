package confluent

import (
	"errors"
	"fmt"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

var (
	errClosed     = errors.New("client is closed")
	errBufferFull = errors.New("no room in buffer.memory within max.block.ms")
)

// failure is an error of the library with what it means for a transaction or a group.
type failure struct {
	doing string
	err   kafka.Error
}

func (f failure) Error() string { return f.doing + ": " + name(f.err.Code()) + ": " + f.err.Error() }
func (f failure) Unwrap() error { return f.err }

// Abortable says that the open transaction can only be aborted.
func (f failure) Abortable() bool { return f.err.TxnRequiresAbort() }

// Fenced says that another session of the transactional id, or another generation of the group, has taken over.
func (f failure) Fenced() bool {
	switch f.err.Code() {
	case kafka.ErrFenced, kafka.ErrProducerFenced, kafka.ErrInvalidProducerEpoch,
		kafka.ErrIllegalGeneration, kafka.ErrUnknownMemberID, kafka.ErrFencedInstanceID, kafka.ErrFencedMemberEpoch, kafka.ErrStaleMemberEpoch:
		return true
	}
	return false
}

// explain wraps an error of the library.
func explain(doing string, err error) error {
	var known kafka.Error
	if errors.As(err, &known) {
		return failure{doing, known}
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// code of an error of the library; ErrNoError where it is not one.
func code(err error) kafka.ErrorCode {
	if err == nil {
		return kafka.ErrNoError // and no allocation on the path of every record
	}
	var known kafka.Error
	if errors.As(err, &known) {
		return known.Code()
	}
	return kafka.ErrNoError
}

// intrinsic tells whether a broker refused a record for what the record is, so that no earlier attempt of it can have
// been stored either. Nothing weaker is definite: librdkafka repeats a send that was answered NOT_LEADER_OR_FOLLOWER
// without counting a retry, even with retries=0, and brokers give that answer also after they have appended (a leader
// that is deposed while it waits for acks=all); a NOT_ENOUGH_REPLICAS after it proves nothing.
func intrinsic(code kafka.ErrorCode) bool {
	switch code {
	case kafka.ErrMsgSizeTooLarge, kafka.ErrRecordListTooLarge, kafka.ErrInvalidRecord, kafka.ErrInvalidTimestamp,
		kafka.ErrUnsupportedForMessageFormat, kafka.ErrInvalidRequiredAcks, kafka.ErrTopicException:
		return true
	}
	return false
}
