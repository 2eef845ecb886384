package confluent

import (
	"testing"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/kbench/kbench/internal/client"
)

// TestNoOffsetIsTakenThatNobodyTold: with acks=0 librdkafka reports offsets from 0 on for some batches. Taken for what a broker said they
// would have records stand where others do.
func TestNoOffsetIsTakenThatNobodyTold(t *testing.T) {
	for _, c := range []struct {
		name     string
		acks0    bool
		reported kafka.Offset
		want     int64
	}{
		{"acks=0, an offset", true, 7, client.UnknownOffset},
		{"acks=0, none", true, kafka.OffsetInvalid, client.UnknownOffset},
		{"an offset", false, 7, 7},
		{"none, since the broker knew the record", false, kafka.OffsetInvalid, client.UnknownOffset},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &producer{acks0: c.acks0, of: func([]byte) (client.Slot, bool) { return 3, true }}
			p.report(&kafka.Message{TopicPartition: kafka.TopicPartition{Partition: 1, Offset: c.reported}})
			if len(p.acks) != 1 || p.acks[0] != (client.Ack{Slot: 3, Partition: 1, Offset: c.want}) {
				t.Errorf("%+v", p.acks)
			}
		})
	}
}
