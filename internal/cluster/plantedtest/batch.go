package plantedtest

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// batch is a record batch (magic 2) taken apart. Its records lie uncompressed.
type batch struct {
	kmsg.RecordBatch
	records []kmsg.Record
}

const (
	compressed    = 0x07
	transactional = 0x10
	control       = 0x20
)

func (b *batch) isControl() bool { return b.Attributes&control != 0 }

// last is the offset of the last record that the batch had when it was written.
func (b *batch) last() int64 { return b.FirstOffset + int64(b.LastOffsetDelta) }

// offset of a record.
func (b *batch) offset(i int) int64 { return b.FirstOffset + int64(b.records[i].OffsetDelta) }

const headLen = 12 // of a batch: first offset and length

// parseBatches takes apart what was produced to a partition or fetched from it. A batch cut off at the end is left out, as
// clients do.
func parseBatches(raw []byte) ([]*batch, error) {
	var list []*batch
	for len(raw) >= headLen {
		n := headLen + int(int32(binary.BigEndian.Uint32(raw[8:])))
		if n < headLen || n > len(raw) {
			break
		}
		b := &batch{}
		if err := b.ReadFrom(raw[:n]); err != nil || b.Magic != 2 {
			return nil, fmt.Errorf("batch of magic %d: %w", b.Magic, err)
		}
		if b.Attributes&compressed != 0 {
			return nil, fmt.Errorf("a compressed batch: the test's producers must not compress")
		}
		if err := b.parseRecords(); err != nil {
			return nil, err
		}
		list, raw = append(list, b), raw[n:]
	}
	return list, nil
}

func (b *batch) parseRecords() error {
	for raw := b.Records; len(raw) > 0; {
		length, n := binary.Varint(raw)
		if n <= 0 || length < 0 || int(length) > len(raw)-n {
			return fmt.Errorf("a record of %d bytes in a batch with %d left", length, len(raw))
		}
		var r kmsg.Record
		if err := r.ReadFrom(raw[:n+int(length)]); err != nil {
			return fmt.Errorf("record: %w", err)
		}
		b.records, raw = append(b.records, r), raw[n+int(length):]
	}
	return nil
}

// encode puts a batch together again, with its length and checksum. How far its offsets go stays as it was.
func (b *batch) encode() []byte {
	b.Records, b.NumRecords = nil, int32(len(b.records))
	for i := range b.records {
		r := b.records[i]
		r.Length = 0
		r.Length = int32(len(r.AppendTo(nil)) - 1) // a length of 0 takes one byte
		b.Records = r.AppendTo(b.Records)
	}
	b.Length = int32(49 + len(b.Records))
	raw := b.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
	return raw
}

func encodeAll(batches []*batch) []byte {
	raw := []byte{}
	for _, b := range batches {
		raw = append(raw, b.encode()...)
	}
	return raw
}

// plain takes idempotence off a batch.
func (b *batch) plain() { b.ProducerID, b.ProducerEpoch, b.FirstSequence = -1, -1, -1 }

// leaveOut takes records out; their offsets stay, as after compaction.
func (b *batch) leaveOut(which func(i int) bool) {
	var kept []kmsg.Record
	for i := range b.records {
		if !which(i) {
			kept = append(kept, b.records[i])
		}
	}
	b.records = kept
}

// alter edits a copy of each record's value.
func (b *batch) alter(i int, edit func(value []byte)) {
	value := slices.Clone(b.records[i].Value)
	edit(value)
	b.records[i].Value = value
}
