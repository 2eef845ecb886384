package franz

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
)

var (
	errClosed     = errors.New("client is closed")
	errBufferFull = errors.New("no room in buffer.memory within max.block.ms")
)

// failure is an error with what it means for a transaction or a group.
type failure struct {
	doing     string
	err       error
	abortable bool
}

func (f failure) Error() string   { return f.doing + ": " + f.err.Error() }
func (f failure) Unwrap() error   { return f.err }
func (f failure) Abortable() bool { return f.abortable || errors.Is(f.err, kerr.TransactionAbortable) }

// Fenced says that another session of the transactional id, or another generation of the group, has taken over.
func (f failure) Fenced() bool {
	return among(f.err, kerr.ProducerFenced, kerr.InvalidProducerEpoch) || notMember(f.err)
}

// notMember tells whether the group goes on without this member, or with another generation of it.
func notMember(err error) bool {
	return among(err, kerr.IllegalGeneration, kerr.UnknownMemberID, kerr.FencedInstanceID, kerr.FencedMemberEpoch, kerr.StaleMemberEpoch)
}

func among(err error, known ...*kerr.Error) bool {
	for _, k := range known {
		if errors.Is(err, k) {
			return true
		}
	}
	return false
}

// explain wraps an error with what was being done.
func explain(doing string, err error) error {
	if err == nil {
		return nil
	}
	return failure{doing: doing, err: err}
}

// name of an error as the field writes it, "CLIENT" for one that no broker sent.
func name(err error) string {
	var known *kerr.Error
	if errors.As(err, &known) {
		return known.Message
	}
	return "_CLIENT"
}

// intrinsic tells whether a broker refused a record for what the record is, so that no earlier attempt of it can have
// been stored either. Nothing weaker is definite: franz-go sends a record again, whatever retries says, when its
// partition has moved while the request was under way, and that request may have been carried out.
//
// And only with one request in flight: when a batch is refused, franz-go fails all that it holds for the partition with
// that batch's error, also batches behind it that are under way and that the broker goes on to store (sink.go,
// finishBatch and failAllRecords, in 1.22).
func intrinsic(err error) bool {
	return among(err, kerr.MessageTooLarge, kerr.RecordListTooLarge, kerr.InvalidRecord, kerr.InvalidTimestamp,
		kerr.UnsupportedForMessageFormat, kerr.InvalidRequiredAcks, kerr.InvalidTopicException)
}
