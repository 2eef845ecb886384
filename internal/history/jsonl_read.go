package history

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// guarantees are the names that a header's guarantee may have.
var guarantees = [...]string{"at-most-once", "at-least-once", "exactly-once", "exactly-once-transactions"}

// Words of the format, each at the number that stands for it.
var (
	opWords        = [...]string{Send: "send", Txn: "txn", Poll: "poll", Assign: "assign", Subscribe: "subscribe", Commit: "commit", Process: "process", Fault: "fault", Ends: "ends", FinalRead: "final-read"}
	outcomeWords   = [...]string{Indeterminate: "indeterminate", OK: "ok", Failed: "failed"}
	isolationWords = [...]string{ReadUncommitted: "read_uncommitted", ReadCommitted: "read_committed"}
)

const maxOffset = math.MaxInt64 - 1 // so that there is a position after it

// OpenJSONL reads a history in JSON Lines, version 1. Each line that does not parse or contradicts the format is an
// error with its number. The history is kept in memory, packed as a log would be.
func OpenJSONL(r io.Reader) (*History, error) {
	var log bytes.Buffer
	w, err := newWriter(nopCloser{&log}, Header{})
	if err != nil {
		return nil, err
	}
	w.many = true
	in := &jsonl{w: w, closed: map[txnOf]closing{}}
	if err := in.read(r); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	h := &History{Header: in.header, sources: []source{memorySource("JSON Lines", log.Bytes())}}
	h.Header.Producers, h.Header.Values, h.Header.Txns = in.names.producers.names, in.names.values.names, in.names.txns.names
	h.Header.Clients = in.names.sessions()
	h.Sessions = make([]Session, len(h.Header.Clients))
	for i := range h.Sessions {
		h.Sessions[i].Closed = true
	}
	if in.early > 0 {
		h.Warnings = append(h.Warnings, fmt.Sprintf("%d lines return before a line above them, the first of them line %d: judged in the order of the file", in.early, in.firstEarly))
	}
	return h, nil
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// jsonl reads the lines.
type jsonl struct {
	w      *Writer
	header Header
	names  names
	op     Op
	line   int

	closed            map[txnOf]closing // transactions that have ended
	latest            int64             // the highest Return yet
	early, firstEarly int               // lines that return before a line above them
}

// txnOf names a transaction.
type txnOf struct {
	client int32
	txn    uint64
}

// closing is the line that ended a transaction, and when it did.
type closing struct {
	line int
	at   int64
}

func (in *jsonl) read(r io.Reader) error {
	lines := bufio.NewReaderSize(r, 1<<16)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return fmt.Errorf("read history: %w", err)
		}
		last := err == io.EOF
		in.line++
		if in.line == 1 && bytes.HasPrefix(line, []byte("\ufeff")) {
			return errors.New("line 1: begins with a byte order mark: save the file as UTF-8 without one")
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			if err := in.take(line); err != nil {
				return fmt.Errorf("line %d: %w", in.line, err)
			}
		}
		if last {
			break
		}
	}
	if in.header.Version == 0 {
		return errors.New(`line 1: a history begins with {"kbench_history":1,"partitions":[…]}`)
	}
	return nil
}

func (in *jsonl) take(line []byte) error {
	o := parseObject(line)
	if o.err != nil {
		return o.err
	}
	if in.header.Version == 0 {
		return in.takeHeader(o)
	}
	if o.has("kbench_history") {
		return errors.New("a second header: a file is one history")
	}
	in.op.clear()
	op := &in.op
	op.Call, op.Return = Unknown, Unknown
	kind := o.oneOf("op", -1, opWords[1:]...) + 1
	if kind == 0 {
		o.fail("%q is missing", "op")
	}
	if o.err != nil {
		return o.err
	}
	op.Kind = Kind(kind)
	in.fill(o, op)
	o.finish()
	in.ended(o, op)
	if o.err != nil {
		return fmt.Errorf("%s: %w", opWords[op.Kind], o.err)
	}
	if op.Return < in.latest && op.Return != Unknown {
		if in.early++; in.early == 1 {
			in.firstEarly = in.line
		}
	}
	in.latest = max(in.latest, op.Return)
	return in.w.Append(op)
}

// ended complains about a transaction that goes on after its end, or ends twice: two of one name cannot be told apart.
func (in *jsonl) ended(o *object, op *Op) {
	if op.Txn == 0 || o.err != nil {
		return
	}
	key := txnOf{op.Client, op.Txn}
	end, over := in.closed[key]
	switch {
	case over && op.Kind == Txn:
		o.fail("the transaction has ended in line %d", end.line)
	case over && op.Call > end.at:
		o.fail("called at %d, after its transaction had ended at %d (line %d)", op.Call, end.at, end.line)
	case op.Kind == Txn:
		in.closed[key] = closing{in.line, op.Return}
	}
}

func (in *jsonl) takeHeader(o *object) error {
	h := &in.header
	if !o.has("kbench_history") {
		return errors.New(`a history begins with {"kbench_history":1,"partitions":[…]}`)
	}
	version := o.integer("kbench_history", math.MinInt64, math.MaxInt64, 0)
	if o.err == nil && version != Version {
		return fmt.Errorf("history version %d, this kbench reads %d", version, Version)
	}
	if !o.has("partitions") {
		o.fail("%q is missing", "partitions")
	}
	for _, p := range o.strings("partitions") {
		if _, _, ok := splitNumber(p, 32, 0); !ok {
			o.fail("partition %q does not have the form topic/number", p)
		}
		if slices.Contains(in.names.partitions.names, p) {
			o.fail("partition %q stands twice", p)
		}
		in.names.partitions.add(p)
	}
	h.Partitions = in.names.partitions.names
	if i := o.oneOf("guarantee", -1, guarantees[:]...); i >= 0 {
		h.Guarantee = guarantees[i]
	}
	for _, start := range in.offsets(o, "starts", false) {
		if h.Starts == nil {
			h.Starts = map[int32]int64{}
		}
		h.Starts[start.Partition] = start.Offset
	}
	h.Inputs, h.Outputs, h.Compacted = in.topics(o, "inputs"), in.topics(o, "outputs"), in.topics(o, "compacted")
	o.finish()
	h.Version = Version
	return o.err
}

// topics of the header, which must have partitions.
func (in *jsonl) topics(o *object, name string) []string {
	list := o.strings(name)
	for _, topic := range list {
		if !slices.ContainsFunc(in.header.Partitions, func(p string) bool { return topicOf(p) == topic }) {
			o.fail("%q: none of the partitions belongs to topic %q", name, topic)
		}
	}
	return list
}

// fill takes the members that an operation of its kind has.
func (in *jsonl) fill(o *object, op *Op) {
	switch op.Kind {
	case Fault:
		op.Name, op.Target = o.string("name"), o.optionalString("target")
		in.times(o, op, true)
	case Ends:
		op.Group = o.optionalString("group")
		op.Offsets = append(op.Offsets, in.offsets(o, "ends", true)...)
		in.times(o, op, false)
	case FinalRead:
		in.finalRead(o, op)
	default:
		op.Client = in.names.clients.add(o.string("client"))
		op.Outcome = Outcome(o.oneOf("outcome", -1, outcomeWords[:]...))
		if op.Outcome > maxOutcome {
			o.fail("%q is missing", "outcome")
		}
		in.times(o, op, true)
		in.clientOp(o, op)
	}
}

func (in *jsonl) clientOp(o *object, op *Op) {
	if op.Kind != Assign && op.Kind != Subscribe {
		op.Txn = in.txn(o, op.Kind == Txn)
	}
	switch op.Kind {
	case Send:
		in.send(o, op)
	case Poll:
		op.Group, op.Isolation = o.optionalString("group"), isolation(o)
		op.Partition = in.partition(o, "partition", false)
		in.records(o, op)
		if len(op.Records) > 0 && op.Partition == Unknown {
			o.fail("%q is missing", "partition")
		}
		if len(op.Records) > 0 && op.Outcome == Failed {
			o.fail("it failed, and yet has records")
		}
	case Assign, Subscribe:
		op.Group = o.optionalString("group")
		if !o.has("partitions") {
			o.fail("%q is missing", "partitions")
		}
		for _, name := range o.strings("partitions") {
			op.Partitions = append(op.Partitions, in.lookUp(o, "partitions", name))
		}
	case Commit:
		op.Group = o.optionalString("group")
		op.Generation = int32(o.integer("generation", Unknown, math.MaxInt32, Unknown))
		op.Offsets = append(op.Offsets, in.offsets(o, "offsets", true)...)
	case Process:
		op.Group = o.optionalString("group")
		op.Partition = in.partition(o, "partition", true)
		op.Records = append(op.Records, Record{
			Offset: o.integer("offset", 0, maxOffset, Unknown), Epoch: Unknown, Intended: Unknown,
			Value: in.names.value(o.string("value")),
		})
	}
}

func (in *jsonl) send(o *object, op *Op) {
	op.Partition = in.partition(o, "partition", false)
	op.Value = in.names.value(o.string("value"))
	op.Offset = o.integer("offset", 0, maxOffset, Unknown)
	op.Attempt = int32(o.integer("attempt", 1, math.MaxInt32, 1))
	op.Intended = o.integer("intended", math.MinInt64, math.MaxInt64, Unknown)
	op.Size = o.integer("size", 0, math.MaxInt64, 0)
	op.Key = o.integer("key", 0, math.MaxInt64-1, Unknown) + 1
	op.Tombstone = o.flag("tombstone")
	if op.Tombstone && op.Size > 0 {
		o.fail("a tombstone has no value, and yet a size")
	}
	op.Held = o.integer("held", math.MinInt64, math.MaxInt64, 0)
	if op.Offset != Unknown && op.Outcome == Failed {
		o.fail("it failed, so that it is certainly not in the log, and yet has an offset")
	}
	if op.Offset != Unknown && op.Partition == Unknown {
		o.fail("an offset without a partition")
	}
	if from := o.object("from"); from != nil {
		op.FromPartition = in.partition(from, "partition", true)
		op.FromOffset = from.integer("offset", 0, maxOffset, Unknown)
		if op.FromOffset == Unknown {
			from.fail("%q is missing", "offset")
		}
		from.finish()
		if from.err != nil {
			o.fail("%q: %w", "from", from.err)
		}
	}
}

func (in *jsonl) finalRead(o *object, op *Op) {
	if o.has("client") {
		op.Client = in.names.clients.add(o.string("client"))
	}
	op.Partition = in.partition(o, "partition", true)
	op.Pass = int32(o.integer("pass", 1, 2, 1))
	op.Isolation = isolation(o)
	op.Reached = o.integer("reached", 0, math.MaxInt64, Unknown)
	in.records(o, op)
	for _, r := range op.Records {
		if op.Reached != Unknown && op.Reached <= r.Offset {
			o.fail("%q is %d, and offset %d was read", "reached", op.Reached, r.Offset)
			break
		}
	}
	in.times(o, op, false)
}

// times takes call and return.
func (in *jsonl) times(o *object, op *Op, needed bool) {
	for _, name := range []string{"call", "return"} {
		if needed && !o.has(name) {
			o.fail("%q is missing", name)
		}
	}
	op.Call = o.integer("call", 0, math.MaxInt64, Unknown)
	op.Return = o.integer("return", 0, math.MaxInt64, op.Call)
	if op.Return < op.Call {
		o.fail("it returned at %d, before its call at %d", op.Return, op.Call)
	}
}

func (in *jsonl) txn(o *object, needed bool) uint64 {
	if !needed && !o.has("txn") {
		return 0
	}
	name := o.string("txn")
	if name == "" {
		return 0
	}
	return in.names.txn(name)
}

func (in *jsonl) partition(o *object, name string, needed bool) int32 {
	if !needed && !o.has(name) {
		return Unknown
	}
	p := o.string(name)
	if o.err != nil {
		return Unknown
	}
	return in.lookUp(o, name, p)
}

func (in *jsonl) lookUp(o *object, field, partition string) int32 {
	i, ok := in.names.partitions.index[partition]
	if !ok {
		o.fail("%q: %q is not among the header's partitions (%s)", field, partition, strings.Join(in.header.Partitions, ", "))
		return Unknown
	}
	return i
}

func (in *jsonl) records(o *object, op *Op) {
	o.each("records", func(r *object) {
		rec := Record{
			Offset:   r.integer("offset", 0, maxOffset, Unknown),
			Epoch:    int32(r.integer("epoch", Unknown, math.MaxInt32, Unknown)),
			Intended: r.integer("intended", math.MinInt64, math.MaxInt64, Unknown),
			Value:    NoValue,
		}
		if rec.Offset == Unknown {
			r.fail("%q is missing", "offset")
		}
		if r.flag("corrupt") {
			rec.Flags |= Corrupt
		}
		if r.flag("foreign") {
			rec.Flags |= Foreign
		}
		if rec.Flags == 0 || r.has("value") {
			rec.Value = in.names.value(r.string("value"))
		}
		op.Records = append(op.Records, rec)
	})
}

// offsets reads an object of offsets by partition, in the order in which they stand.
func (in *jsonl) offsets(o *object, name string, needed bool) []PartitionOffset {
	if needed && !o.has(name) {
		o.fail("%q is missing", name)
	}
	inner := o.object(name)
	if inner == nil || inner.err != nil {
		return nil
	}
	var all []PartitionOffset
	for len(inner.fields) > 0 && inner.err == nil {
		partition := inner.fields[0].name
		all = append(all, PartitionOffset{in.lookUp(inner, name, partition), inner.integer(partition, 0, maxOffset, Unknown)})
	}
	if inner.err != nil {
		o.fail("%q: %w", name, inner.err)
	}
	return all
}

func isolation(o *object) Isolation {
	return Isolation(o.oneOf("isolation", -1, isolationWords[1:]...) + 1)
}
