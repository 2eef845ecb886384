package proxy

import (
	"encoding/binary"
	"hash/crc32"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// crc seals a record batch.
func crc(batch []byte) {
	binary.BigEndian.PutUint32(batch[17:], crc32.Checksum(batch[21:], crc32.MakeTable(crc32.Castagnoli)))
}

func TestEveryVersionOfProduceIsReadAndRefused(t *testing.T) {
	for version := range kmsg.NewPtrProduceRequest().MaxVersion() + 1 {
		asked := produce(1, "orders", "a")
		asked.SetVersion(version)
		asked.Topics[0].TopicID = [16]byte{1, 2}
		frame := request(7, asked)
		if n, err := size(frame); err != nil || n != len(frame)-sizeLen {
			t.Fatalf("version %d: size %d, %v", version, n, err)
		}
		if h := parseHeader(frame[sizeLen:]); h != (header{produceKey, version, 7}) {
			t.Errorf("version %d: header %+v", version, h)
		}
		got, err := parseProduce(frame[sizeLen:])
		if err != nil {
			t.Fatalf("version %d: %v", version, err)
		}
		if got.Acks != 1 || parseBatch(got.Topics[0].Partitions[0].Records).records != 1 {
			t.Errorf("version %d: read %+v", version, got)
		}
		answer := refuse(7, got)
		resp := kmsg.NewPtrProduceResponse()
		resp.SetVersion(version)
		if err := parseAnswer(answer[sizeLen:], resp); err != nil {
			t.Fatalf("version %d: refusal: %v", version, err)
		}
		topic := resp.Topics[0]
		if version >= 13 && topic.TopicID != [16]byte{1, 2} || version < 13 && topic.Topic != "orders" || topic.Partitions[0].ErrorCode != refusal {
			t.Errorf("version %d: refusal %+v", version, topic)
		}
	}
}

func TestTaggedFieldsOfTheHeaderAreSkipped(t *testing.T) {
	got, err := parseProduce(withTag(request(7, produce(-1, "orders", "a"))[sizeLen:], "", true, []byte("xy")))
	if err != nil || got.Topics[0].Topic != "orders" {
		t.Errorf("got %+v, %v", got, err)
	}
}

// FuzzHeader feeds what stands before a request's or an answer's body, and a batch's head: all that is parsed here.
func FuzzHeader(f *testing.F) {
	f.Add(request(7, produce(1, "orders", "a")))
	f.Add(refuse(7, produce(1, "orders", "a")))
	f.Add(placeholder(7))
	f.Add([]byte{0, 0, 0, 12, 0, 0, 0, 9, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < requestLen {
			return
		}
		if n, err := size(b); err == nil && (n < 0 || n > maxFrame) {
			t.Fatalf("size %d", n)
		}
		parseHeader(b)
		parseBatch(b)
		for _, skip := range []func([]byte) ([]byte, error){skipClient, skipTags} {
			if rest, err := skip(b); err == nil && len(rest) >= len(b) {
				t.Fatalf("nothing skipped of %x", b)
			}
		}
	})
}

// FuzzProduce holds that a request is read as it was written, whatever stands in it and before it, and that clients
// can read its refusal.
func FuzzProduce(f *testing.F) {
	f.Add(int16(9), int16(-1), "raw", "orders", []byte("records"), []byte("tag"))
	f.Add(int16(13), int16(0), "", "", []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, version, acks int16, client, topic string, records, tag []byte) {
		asked := produce(acks, topic, "")
		if version < 0 || version > asked.MaxVersion() || len(client)|len(topic) > 1<<14 {
			return
		}
		asked.SetVersion(version)
		asked.Topics[0].Partitions[0].Records = records
		got, err := parseProduce(withTag(request(7, asked)[sizeLen:], client, asked.IsFlexible(), tag))
		if err != nil {
			t.Fatal(err)
		}
		if p := got.Topics[0].Partitions[0]; got.Acks != acks || string(p.Records) != string(records) {
			t.Fatalf("read acks %d, records %x", got.Acks, p.Records)
		}
		resp := kmsg.NewPtrProduceResponse()
		resp.SetVersion(version)
		if err := parseAnswer(refuse(1, got)[sizeLen:], resp); err != nil || resp.Topics[0].Partitions[0].ErrorCode != refusal {
			t.Fatalf("refusal %+v, %v", resp, err)
		}
	})
}

// FuzzEndTxn holds that a transaction's end is read as it was written, and that nothing makes the reader fall over.
func FuzzEndTxn(f *testing.F) {
	f.Add(int16(1), "client", "p0", true, []byte("tag"), []byte("no request"))
	f.Add(int16(5), "", "", false, []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, version int16, client, id string, commit bool, tag, raw []byte) {
		_, _ = parseEndTxn(raw)
		asked := kmsg.NewPtrEndTxnRequest()
		if version < 0 || version > asked.MaxVersion() || len(client)|len(id) > 1<<14 {
			return
		}
		asked.SetVersion(version)
		asked.TransactionalID, asked.ProducerID, asked.ProducerEpoch, asked.Commit = id, 1<<40, 7, commit
		got, err := parseEndTxn(withTag(request(7, asked)[sizeLen:], client, asked.IsFlexible(), tag))
		if err != nil {
			t.Fatal(err)
		}
		if got.TransactionalID != id || got.ProducerID != 1<<40 || got.ProducerEpoch != 7 || got.Commit != commit {
			t.Fatalf("read %+v", got)
		}
	})
}

// withTag gives a request another client id and, where it is flexible, one tagged field.
func withTag(frame []byte, client string, flexible bool, tag []byte) []byte {
	out := append([]byte(nil), frame[:requestLen]...)
	out = binary.BigEndian.AppendUint16(out, uint16(len(client)))
	out = append(out, client...)
	body := frame[requestLen+2+len("raw"):]
	if flexible {
		out = append(out, 1, 5)
		out = binary.AppendUvarint(out, uint64(len(tag)))
		out, body = append(out, tag...), body[1:]
	}
	return append(out, body...)
}
