package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Bounds of one operation, kept by the writer and checked by the reader, so that no log can make it allocate much.
const (
	maxItems  = 1 << 20 // records, partitions or offsets
	maxString = 1 << 12
)

const maxKind, maxOutcome, maxIsolation = FinalRead, Failed, ReadCommitted

// Bits of an operation's first byte, above its kind (4 bits) and outcome (2 bits).
const (
	otherClient = 1 << 6 // than the operation before
	otherTxn    = 1 << 7
)

// Bits of a send's second byte.
const (
	isJournal     = 1 << iota // no Return: a line written before the record was sent
	samePartition             // as the send before
	hasOffset
	nextValue // the one after the value of the send before
	hasFrom
	resent // the attempt is not 1
	hasIntended
	hasMore // a third byte follows
)

// Bits of a send's third byte.
const (
	otherSize = 1 << iota // than the send before
	hasKey
	isTombstone
	wasHeld

	knownMore = otherSize | hasKey | isTombstone | wasHeld
)

// Bits of a record's first byte.
const (
	nextOffset = 1 << iota // the one after the record before
	sameEpoch
	sameSession // of the same producer
	nextSeq     // the one after the last of that session
	recordIntended
	hasFlags
	noValue
)

const slots = 256 // what is remembered by partition or session, by the low bits of its number

// sendState is what the last send of its sort was like: journal lines and acknowledgements differ in rhythm.
type sendState struct {
	call, intended int64
	held           int64
	partition      int32
	value          Value
	size           int64
}

// state is what both sides of the coding remember from operation to operation. It starts anew with each chunk, so
// that each chunk is read by itself.
type state struct {
	client       int32
	txn          uint64
	call, ret    int64
	sends        [2]sendState // acknowledged, journalled
	ackOffset    [slots]int64
	readOffset   [slots]int64
	epoch        int32
	reader       Value // the value of the record before
	seq          [slots]int64
	readIntended [slots]int64
	strings      []string
}

func (s *state) reset() {
	kept := s.strings[:0]
	*s = state{strings: kept}
}

func partitionSlot(p int32) int { return int(uint32(p) % slots) }
func sessionSlot(v Value) int   { return int((uint32(v.Producer)*7 + uint32(v.Session)) % slots) }

// encoder appends operations to buf.
type encoder struct {
	state
	buf []byte
}

func (e *encoder) uvarint(v uint64) { e.buf = binary.AppendUvarint(e.buf, v) }

// delta stores the way from a to b; the arithmetic wraps, so that any pair of numbers is told exactly.
func (e *encoder) delta(a, b int64) { e.buf = binary.AppendVarint(e.buf, int64(uint64(b)-uint64(a))) }

func (e *encoder) string(s string) {
	for i, known := range e.strings {
		if known == s {
			e.uvarint(uint64(i))
			return
		}
	}
	e.uvarint(uint64(len(e.strings)))
	e.uvarint(uint64(len(s)))
	e.buf = append(e.buf, s...)
	e.strings = append(e.strings, s)
}

// check refuses what the reader would not take back.
func check(op *Op) error {
	switch {
	case op.Kind == 0 || op.Kind > maxKind:
		return fmt.Errorf("history: kind %d is none", op.Kind)
	case op.Outcome > maxOutcome || op.Isolation > maxIsolation:
		return fmt.Errorf("history: outcome %d or isolation %d is none", op.Outcome, op.Isolation)
	case len(op.Records) > maxItems || len(op.Partitions) > maxItems || len(op.Offsets) > maxItems:
		return fmt.Errorf("history: more than %d items in one operation", maxItems)
	case len(op.Group) > maxString || len(op.Name) > maxString || len(op.Target) > maxString:
		return fmt.Errorf("history: a name longer than %d bytes", maxString)
	}
	return nil
}

// encode appends one operation of a client, which check found good.
func (e *encoder) encode(op *Op, client int32) {
	head := byte(op.Kind) | byte(op.Outcome)<<4
	if client != e.client {
		head |= otherClient
	}
	if op.Txn != e.txn {
		head |= otherTxn
	}
	e.buf = append(e.buf, head)
	if head&otherClient != 0 {
		e.delta(int64(e.client), int64(client))
		e.client = client
	}
	if head&otherTxn != 0 {
		e.delta(int64(e.txn), int64(op.Txn))
		e.txn = op.Txn
	}
	if op.Kind == Send {
		e.send(op)
		return
	}
	e.delta(e.call, op.Call)
	e.delta(op.Call, op.Return)
	e.call = op.Call
	switch op.Kind {
	case Poll, Process, FinalRead:
		e.delta(0, int64(op.Partition))
		e.string(op.Group)
		e.buf = append(e.buf, byte(op.Isolation))
		if op.Kind == FinalRead {
			e.delta(0, int64(op.Pass))
			e.delta(0, op.Reached)
		}
		e.records(op)
	case Assign, Subscribe:
		e.string(op.Group)
		e.uvarint(uint64(len(op.Partitions)))
		for _, p := range op.Partitions {
			e.delta(0, int64(p))
		}
	case Commit, Ends:
		e.string(op.Group)
		e.delta(0, int64(op.Generation))
		e.uvarint(uint64(len(op.Offsets)))
		for _, o := range op.Offsets {
			e.delta(0, int64(o.Partition))
			e.delta(0, o.Offset)
		}
	case Fault:
		e.string(op.Name)
		e.string(op.Target)
	}
}

func (e *encoder) send(op *Op) {
	var bits byte
	last := &e.sends[0]
	if op.Return == Unknown {
		bits |= isJournal
		last = &e.sends[1]
	}
	set := func(on bool, bit byte) {
		if on {
			bits |= bit
		}
	}
	next := last.value
	next.Seq++
	set(op.Partition == last.partition, samePartition)
	set(op.Offset != Unknown, hasOffset)
	set(op.Value == next, nextValue)
	set(op.FromPartition != Unknown, hasFrom)
	set(op.Attempt != 1, resent)
	set(op.Intended != Unknown, hasIntended)
	set(op.Size != last.size || op.Key != 0 || op.Tombstone || op.Held != 0, hasMore)
	e.buf = append(e.buf, bits)
	if bits&hasMore != 0 {
		e.more(op, last)
	}

	e.delta(last.call, op.Call)
	if bits&isJournal == 0 {
		e.delta(e.ret, op.Return)
		e.ret = op.Return
	}
	if bits&hasIntended != 0 {
		e.delta(last.intended, op.Intended)
		last.intended = op.Intended
	}
	if bits&samePartition == 0 {
		e.delta(0, int64(op.Partition))
	}
	if bits&hasOffset != 0 {
		slot := &e.ackOffset[partitionSlot(op.Partition)]
		e.delta(*slot, op.Offset)
		*slot = op.Offset
	}
	if bits&nextValue == 0 {
		e.delta(int64(last.value.Producer), int64(op.Value.Producer))
		e.delta(int64(last.value.Session), int64(op.Value.Session))
		e.delta(last.value.Seq, op.Value.Seq)
	}
	if bits&hasFrom != 0 {
		e.delta(0, int64(op.FromPartition))
		e.delta(0, op.FromOffset)
	}
	if bits&resent != 0 {
		e.delta(0, int64(op.Attempt))
	}
	last.call, last.partition, last.value = op.Call, op.Partition, op.Value
}

// more writes what few loads have: sizes that differ, keys that matter, tombstones.
func (e *encoder) more(op *Op, last *sendState) {
	at := len(e.buf)
	e.buf = append(e.buf, 0)
	if op.Size != last.size {
		e.buf[at] |= otherSize
		e.delta(0, op.Size)
		last.size = op.Size
	}
	if op.Key != 0 {
		e.buf[at] |= hasKey
		e.delta(0, op.Key)
	}
	if op.Tombstone {
		e.buf[at] |= isTombstone
	}
	if op.Held != 0 {
		e.buf[at] |= wasHeld
		e.delta(last.held, op.Held)
		last.held = op.Held
	}
}

func (e *encoder) records(op *Op) {
	e.uvarint(uint64(len(op.Records)))
	position := &e.readOffset[partitionSlot(op.Partition)]
	for i := range op.Records {
		e.record(&op.Records[i], position)
	}
}

func (e *encoder) record(r *Record, position *int64) {
	var bits byte
	set := func(on bool, bit byte) {
		if on {
			bits |= bit
		}
	}
	slot := sessionSlot(r.Value)
	set(r.Offset == *position, nextOffset)
	set(r.Epoch == e.epoch, sameEpoch)
	set(r.Value.Producer == e.reader.Producer && r.Value.Session == e.reader.Session, sameSession)
	set(r.Value.Seq == e.seq[slot], nextSeq)
	set(r.Intended != Unknown, recordIntended)
	set(r.Flags != 0, hasFlags)
	set(r.Value == NoValue, noValue)
	e.buf = append(e.buf, bits)

	if bits&nextOffset == 0 {
		e.delta(*position, r.Offset)
	}
	*position = r.Offset + 1
	if bits&sameEpoch == 0 {
		e.delta(int64(e.epoch), int64(r.Epoch))
		e.epoch = r.Epoch
	}
	if bits&hasFlags != 0 {
		e.buf = append(e.buf, byte(r.Flags))
	}
	if bits&noValue == 0 {
		if bits&sameSession == 0 {
			e.delta(int64(e.reader.Producer), int64(r.Value.Producer))
			e.delta(int64(e.reader.Session), int64(r.Value.Session))
		}
		if bits&nextSeq == 0 {
			e.delta(e.seq[slot], r.Value.Seq)
		}
		e.seq[slot] = r.Value.Seq + 1
		e.reader = r.Value
	}
	if bits&recordIntended != 0 {
		e.delta(e.readIntended[slot], r.Intended)
		e.readIntended[slot] = r.Intended
	}
}

var errShort = errors.New("operation cut short")

// decoder reads operations back from buf. The first problem stays in err.
type decoder struct {
	state
	buf []byte
	err error
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
	d.buf = nil
}

func (d *decoder) byte() byte {
	if len(d.buf) == 0 {
		d.fail(errShort)
		return 0
	}
	b := d.buf[0]
	d.buf = d.buf[1:]
	return b
}

func (d *decoder) uvarint() uint64 {
	if len(d.buf) > 0 && d.buf[0] < 0x80 {
		return uint64(d.byte())
	}
	v, n := binary.Uvarint(d.buf)
	if n <= 0 {
		d.fail(errShort)
		return 0
	}
	d.buf = d.buf[n:]
	return v
}

func (d *decoder) delta(a int64) int64 {
	u := d.uvarint()
	return int64(uint64(a) + uint64(int64(u>>1)^-int64(u&1)))
}

func (d *decoder) delta32(a int32) int32 {
	v := d.delta(int64(a))
	if v < math.MinInt32 || v > math.MaxInt32 {
		d.fail(fmt.Errorf("number %d out of range", v))
		return 0
	}
	return int32(v)
}

func (d *decoder) count() int {
	n := d.uvarint()
	if n > maxItems || n > uint64(len(d.buf)) { // each item takes a byte or more
		d.fail(fmt.Errorf("%d items in %d bytes", n, len(d.buf)))
		return 0
	}
	return int(n)
}

func (d *decoder) string() string {
	i := d.uvarint()
	if i < uint64(len(d.strings)) {
		return d.strings[i]
	}
	n := d.uvarint()
	if i != uint64(len(d.strings)) || n > maxString || n > uint64(len(d.buf)) {
		d.fail(errors.New("a name out of its table"))
		return ""
	}
	s := string(d.buf[:n])
	d.buf = d.buf[n:]
	d.strings = append(d.strings, s)
	return s
}

// clear makes op an operation without content; its slices are kept for the next one.
func (op *Op) clear() {
	*op = Op{
		Client: Unknown, Intended: Unknown, Partition: Unknown, Offset: Unknown, Value: NoValue,
		FromPartition: Unknown, FromOffset: Unknown, Generation: Unknown,
		Records: op.Records[:0], Partitions: op.Partitions[:0], Offsets: op.Offsets[:0],
	}
}

// decode reads the next operation; more tells whether there was one.
func (d *decoder) decode(op *Op) (more bool, err error) {
	if len(d.buf) == 0 || d.err != nil {
		return false, d.err
	}
	op.clear()
	head := d.byte()
	op.Kind, op.Outcome = Kind(head&15), Outcome(head>>4&3)
	if op.Kind == 0 || op.Kind > maxKind || op.Outcome > maxOutcome {
		d.fail(fmt.Errorf("kind %d with outcome %d is none", op.Kind, op.Outcome))
		return false, d.err
	}
	if head&otherClient != 0 {
		d.client = d.delta32(d.client)
	}
	if head&otherTxn != 0 {
		d.txn = uint64(d.delta(int64(d.txn)))
	}
	op.Client, op.Txn = d.client, d.txn
	if op.Kind == Send {
		d.send(op)
	} else {
		d.other(op)
	}
	return d.err == nil, d.err
}

func (d *decoder) send(op *Op) {
	bits := d.byte()
	last := &d.sends[0]
	if bits&isJournal != 0 {
		last = &d.sends[1]
	}
	if bits&hasMore != 0 {
		d.more(op, last)
	}
	op.Size = last.size
	op.Call = d.delta(last.call)
	op.Return = Unknown
	if bits&isJournal == 0 {
		d.ret = d.delta(d.ret)
		op.Return = d.ret
	}
	if bits&hasIntended != 0 {
		last.intended = d.delta(last.intended)
		op.Intended = last.intended
	}
	op.Partition = last.partition
	if bits&samePartition == 0 {
		op.Partition = d.delta32(0)
	}
	if bits&hasOffset != 0 {
		slot := &d.ackOffset[partitionSlot(op.Partition)]
		*slot = d.delta(*slot)
		op.Offset = *slot
	}
	op.Value = last.value
	if bits&nextValue != 0 {
		op.Value.Seq++
	} else {
		op.Value.Producer = d.delta32(last.value.Producer)
		op.Value.Session = d.delta32(last.value.Session)
		op.Value.Seq = d.delta(last.value.Seq)
	}
	if bits&hasFrom != 0 {
		op.FromPartition = d.delta32(0)
		op.FromOffset = d.delta(0)
	}
	op.Attempt = 1
	if bits&resent != 0 {
		op.Attempt = d.delta32(0)
	}
	last.call, last.partition, last.value = op.Call, op.Partition, op.Value
}

func (d *decoder) more(op *Op, last *sendState) {
	bits := d.byte()
	if bits&^knownMore != 0 {
		d.fail(fmt.Errorf("a send with the unknown bits %#x", bits))
	}
	if bits&otherSize != 0 {
		last.size = d.delta(0)
	}
	if bits&hasKey != 0 {
		op.Key = d.delta(0)
	}
	op.Tombstone = bits&isTombstone != 0
	if bits&wasHeld != 0 {
		last.held = d.delta(last.held)
		op.Held = last.held
	}
}

func (d *decoder) other(op *Op) {
	d.call = d.delta(d.call)
	op.Call = d.call
	op.Return = d.delta(op.Call)
	switch op.Kind {
	case Poll, Process, FinalRead:
		op.Partition = d.delta32(0)
		op.Group = d.string()
		if op.Isolation = Isolation(d.byte()); op.Isolation > maxIsolation {
			d.fail(fmt.Errorf("isolation %d is none", op.Isolation))
		}
		if op.Kind == FinalRead {
			op.Pass = d.delta32(0)
			op.Reached = d.delta(0)
		}
		d.records(op)
	case Assign, Subscribe:
		op.Group = d.string()
		for n := d.count(); n > 0 && d.err == nil; n-- {
			op.Partitions = append(op.Partitions, d.delta32(0))
		}
	case Commit, Ends:
		op.Group = d.string()
		op.Generation = d.delta32(0)
		for n := d.count(); n > 0 && d.err == nil; n-- {
			op.Offsets = append(op.Offsets, PartitionOffset{Partition: d.delta32(0), Offset: d.delta(0)})
		}
	case Fault:
		op.Name = d.string()
		op.Target = d.string()
	}
}

func (d *decoder) records(op *Op) {
	n := d.count()
	position := &d.readOffset[partitionSlot(op.Partition)]
	op.Records = slices.Grow(op.Records, n)[:n]
	for i := range op.Records {
		if d.record(&op.Records[i], position); d.err != nil {
			return
		}
	}
}

// record is where a judge spends its time: it takes its numbers off a slice of its own.
func (d *decoder) record(r *Record, position *int64) {
	if len(d.buf) == 0 {
		d.fail(errShort)
		return
	}
	bits, b := d.buf[0], d.buf[1:]
	*r = Record{Offset: *position, Epoch: d.epoch, Value: NoValue, Intended: Unknown}
	if bits&nextOffset == 0 {
		r.Offset, b = takeDelta(b, *position)
	}
	*position = r.Offset + 1
	if bits&sameEpoch == 0 || bits&hasFlags != 0 || bits&noValue == 0 && bits&sameSession == 0 {
		d.buf = b
		d.rare(r, bits)
		b = d.buf
	}
	slot := sessionSlot(NoValue)
	if bits&noValue == 0 {
		r.Value.Producer, r.Value.Session = d.reader.Producer, d.reader.Session
		slot = sessionSlot(r.Value)
		r.Value.Seq = d.seq[slot]
		if bits&nextSeq == 0 {
			r.Value.Seq, b = takeDelta(b, d.seq[slot])
		}
		d.seq[slot] = r.Value.Seq + 1
		d.reader.Seq = r.Value.Seq
	}
	if bits&recordIntended != 0 {
		r.Intended, b = takeDelta(b, d.readIntended[slot])
		d.readIntended[slot] = r.Intended
	}
	if d.buf = b; b == nil {
		d.fail(errShort)
	}
}

// rare takes what most records share with the one before.
func (d *decoder) rare(r *Record, bits byte) {
	if bits&sameEpoch == 0 {
		d.epoch = d.delta32(d.epoch)
		r.Epoch = d.epoch
	}
	if bits&hasFlags != 0 {
		r.Flags = Flags(d.byte())
	}
	if bits&noValue == 0 && bits&sameSession == 0 {
		d.reader.Producer = d.delta32(d.reader.Producer)
		d.reader.Session = d.delta32(d.reader.Session)
	}
}

// takeDelta cuts a difference off b and adds it to a. What is left is nil if there was none.
func takeDelta(b []byte, a int64) (int64, []byte) {
	u, n := uint64(0), 0
	switch {
	case len(b) > 0 && b[0] < 0x80:
		u, n = uint64(b[0]), 1
	case len(b) > 1 && b[1] < 0x80:
		u, n = uint64(b[0]&0x7f)|uint64(b[1])<<7, 2
	default:
		if u, n = binary.Uvarint(b); n <= 0 {
			return 0, nil
		}
	}
	return int64(uint64(a) + uint64(int64(u>>1)^-int64(u&1))), b[n:]
}
