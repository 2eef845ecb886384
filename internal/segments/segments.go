// Package segments reads what a Kafka broker has on disk of a partition: the log segments, which are record batches of
// version 2 one after another (Kafka's documentation, "Implementation: Log" and "Message Format"; KIP-98). Indexes are not
// needed. It may read what a dead or a standing broker left, and what a running one is still writing: a batch that is
// not whole yet is told as the log's torn end.
package segments

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kbench/kbench/internal/client"
)

// Record as it stands in a segment.
type Record struct {
	Offset  int64
	Epoch   int32  // of the leader that appended its batch
	Value   []byte // nil for null; valid until the next record, as are the headers
	Headers []client.Header
}

// Extent is the part of a log that was read.
type Extent struct {
	From, End int64    // offsets: the first that was read, and the one after the last
	Whole     bool     // From is where the log begins
	Bytes     int64    // that were read
	Problems  []string // batches that are damaged or torn, a line each
}

// A batch's head, and where things stand in it.
const (
	headSize    = 61
	beforeBody  = 12 // base offset and length, which the length does not count
	atEpoch     = 12
	atMagic     = 16
	atSum       = 17
	atCodec     = 21 // attributes, two bytes
	atLastDelta = 23
	atCount     = 57

	codecMask  = 7
	controlBit = 1 << 5
	maxBatch   = 1 << 30
)

const maxProblems = 10

// Read hands over the records of a partition's folder, in order, from the first whole batch within its newest most bytes
// on. Control records are left out. An error of f ends the reading and is returned; an error that is fs.ErrNotExist says that
// there is no such folder.
func Read(dir string, most int64, f func(*Record) error) (Extent, error) {
	files, err := list(dir)
	if err != nil {
		return Extent{}, err
	}
	if len(files) == 0 {
		return Extent{}, fmt.Errorf("%s holds no log segment", dir)
	}
	first, skip := len(files)-1, int64(0)
	for rest := most - files[first].size; rest > 0 && first > 0; rest -= files[first].size {
		first--
	}
	total := int64(0)
	for _, file := range files[first:] {
		total += file.size
	}
	skip = max(0, total-most)
	r := &reader{each: f, decompress: kgo.DefaultDecompressor()}
	r.Whole, r.From = first == 0 && skip == 0, -1
	r.End = files[first].base
	for i, file := range files[first:] {
		if i > 0 {
			skip = 0
		}
		if err := r.file(file, skip); err != nil {
			return r.Extent, err
		}
	}
	if r.From < 0 {
		r.From = r.End
	}
	return r.Extent, nil
}

type file struct {
	path       string
	base, size int64
}

// list the segments of a folder, oldest first. Those that are being deleted have other names.
func list(dir string) ([]file, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []file
	for _, e := range entries {
		name, isLog := strings.CutSuffix(e.Name(), ".log")
		base, err := strconv.ParseInt(name, 10, 64)
		if !isLog || err != nil {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		files = append(files, file{filepath.Join(dir, e.Name()), base, info.Size()})
	}
	slices.SortFunc(files, func(a, b file) int { return int(min(max(a.base-b.base, -1), 1)) })
	return files, nil
}

// reader of one partition.
type reader struct {
	Extent
	each       func(*Record) error
	decompress kgo.Decompressor
	head       [headSize]byte
	body       []byte
	record     Record
}

func (r *reader) problem(file string, at int64, format string, args ...any) {
	if len(r.Problems) < maxProblems {
		r.Problems = append(r.Problems, fmt.Sprintf("%s at byte %d: ", filepath.Base(file), at)+fmt.Sprintf(format, args...))
	}
}

// file reads one segment, batches that begin before skip left out.
func (r *reader) file(s file, skip int64) error {
	f, err := os.Open(s.path)
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewReaderSize(io.LimitReader(f, s.size), 1<<18)
	r.End = max(r.End, s.base)
	for at := int64(0); ; {
		n, err := io.ReadFull(in, r.head[:])
		if err == io.EOF {
			return nil
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			r.tail(s.path, at, r.head[:n])
			return nil
		}
		if err != nil {
			return err
		}
		length := int64(binary.BigEndian.Uint32(r.head[8:])) + beforeBody
		if length < headSize || length > maxBatch {
			r.tail(s.path, at, r.head[:])
			return nil
		}
		if at+length > s.size {
			r.problem(s.path, at, "ends within a batch")
			return nil
		}
		if at < skip {
			r.past(r.head[:])
			if _, err := in.Discard(int(length - headSize)); err != nil {
				return err
			}
		} else if err := r.batch(in, s.path, at, int(length)); err != nil {
			return err
		}
		at += length
	}
}

// past moves the end behind a batch.
func (r *reader) past(head []byte) {
	last := int64(int32(binary.BigEndian.Uint32(head[atLastDelta:])))
	r.End = max(r.End, int64(binary.BigEndian.Uint64(head))+last+1)
}

// tail tells of bytes at a segment's end that begin no batch. A broker may lay out a segment with zeros beforehand.
func (r *reader) tail(path string, at int64, b []byte) {
	if slices.ContainsFunc(b, func(c byte) bool { return c != 0 }) {
		r.problem(path, at, "the rest is no batch")
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// batch reads the body of the batch whose head is read. One that is damaged is told and passed over.
func (r *reader) batch(in io.Reader, path string, at int64, length int) error {
	if cap(r.body) < length {
		r.body = make([]byte, length+length/4)
	}
	b := r.body[:length]
	copy(b, r.head[:])
	if _, err := io.ReadFull(in, b[headSize:]); err != nil {
		return err
	}
	r.Bytes += int64(length)
	base := int64(binary.BigEndian.Uint64(b))
	switch {
	case b[atMagic] != 2:
		r.problem(path, at, "a batch of format %d, only 2 can be read", b[atMagic])
		return nil
	case crc32.Checksum(b[atCodec:], castagnoli) != binary.BigEndian.Uint32(b[atSum:]):
		r.problem(path, at, "the checksum of the batch at offset %d is wrong", base)
		return nil
	}
	if r.From < 0 {
		r.From = base
	}
	r.past(b)
	attributes := binary.BigEndian.Uint16(b[atCodec:])
	if attributes&controlBit != 0 {
		return nil
	}
	records, err := r.decompress.Decompress(b[headSize:], kgo.CompressionCodecType(attributes&codecMask))
	if err != nil {
		r.problem(path, at, "the batch at offset %d: %v", base, err)
		return nil
	}
	r.record.Epoch = int32(binary.BigEndian.Uint32(b[atEpoch:]))
	if err := r.records(records, base, int(int32(binary.BigEndian.Uint32(b[atCount:])))); errors.As(err, new(damage)) {
		r.problem(path, at, "the batch at offset %d: %v", base, err)
		return nil
	} else if err != nil {
		return err
	}
	return nil
}

// damage is a batch whose checksum fits and whose records do not.
type damage string

func (d damage) Error() string { return string(d) }

func (r *reader) records(b []byte, base int64, count int) error {
	for range count {
		length, n := binary.Varint(b)
		if n <= 0 || length < 0 || length > int64(len(b)-n) {
			return damage("a record is longer than its batch")
		}
		delta, ok := r.record.parse(b[n : n+int(length)])
		if !ok {
			return damage("a record cannot be read")
		}
		b = b[n+int(length):]
		r.record.Offset = base + delta
		if err := r.each(&r.record); err != nil {
			return err
		}
	}
	if len(b) > 0 {
		return damage("bytes behind its last record")
	}
	return nil
}

// parse reads attributes, timestamp, offset, key, value and headers of a record.
func (r *Record) parse(b []byte) (delta int64, ok bool) {
	if len(b) == 0 {
		return 0, false
	}
	b = b[1:]
	var n int
	if _, n = binary.Varint(b); n <= 0 {
		return 0, false
	}
	b = b[n:]
	if delta, n = binary.Varint(b); n <= 0 {
		return 0, false
	}
	b = b[n:]
	if _, b, ok = field(b); !ok {
		return 0, false
	}
	if r.Value, b, ok = field(b); !ok {
		return 0, false
	}
	return delta, r.parseHeaders(b)
}

func (r *Record) parseHeaders(b []byte) bool {
	r.Headers = r.Headers[:0]
	count, n := binary.Varint(b)
	if n <= 0 || count < 0 || count > int64(len(b)) {
		return false
	}
	b = b[n:]
	for range count {
		var name, value []byte
		var ok bool
		if name, b, ok = field(b); !ok {
			return false
		}
		if value, b, ok = field(b); !ok {
			return false
		}
		r.Headers = append(r.Headers, client.Header{Key: string(name), Value: value})
	}
	return true
}

// field is a length and so many bytes; a negative length is null.
func field(b []byte) (content, rest []byte, ok bool) {
	length, n := binary.Varint(b)
	if n <= 0 || length > int64(len(b)-n) {
		return nil, nil, false
	}
	if length < 0 {
		return nil, b[n:], true
	}
	return b[n : n+int(length)], b[n+int(length):], true
}
