package history

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// Version of the log format and of the JSON Lines format.
const Version = 1

// A log begins with its magic, whose last byte is the format's version, and goes on in chunks.
const magic = "kbhist\x00\x01"

// Kinds of chunks.
const (
	headerChunk = 1 + iota // the Header as JSON; always the first
	opsChunk
	endChunk // the session closed its log itself; its count is that of all operations
)

// Codings of a chunk's payload. Logs are written with S2: a third larger than with zstd, for a small part of the time, which is
// the sender's.
const (
	plain     = iota
	zstandard // read only
	s2Block
)

const (
	headSize  = 32
	chunkSize = 64 << 10 // a chunk is written once it has so many bytes before compression
	maxChunk  = 64 << 20 // no chunk is larger, stored or not
	packFrom  = 256      // smaller payloads are stored as they are
)

// chunkHead stands before each chunk's payload, little endian:
//
//	 0 kind (1), coding (1), zero (2)
//	 4 stored length (4), length before compression (4)
//	12 operations (4)
//	16 XXH64 over the stored payload (8)
//	24 XXH64 over these first 24 bytes (8)
type chunkHead struct {
	kind, coding byte
	stored, raw  uint32
	count        uint32
	sum          uint64
}

func (h chunkHead) put(b []byte) {
	_ = b[headSize-1]
	le := binary.LittleEndian
	b[0], b[1], b[2], b[3] = h.kind, h.coding, 0, 0
	le.PutUint32(b[4:], h.stored)
	le.PutUint32(b[8:], h.raw)
	le.PutUint32(b[12:], h.count)
	le.PutUint64(b[16:], h.sum)
	le.PutUint64(b[24:], xxhash.Sum64(b[:24]))
}

func parseHead(b []byte) (chunkHead, error) {
	le := binary.LittleEndian
	if xxhash.Sum64(b[:24]) != le.Uint64(b[24:]) {
		return chunkHead{}, fmt.Errorf("%w: the checksum of its head differs", errBroken)
	}
	h := chunkHead{kind: b[0], coding: b[1], stored: le.Uint32(b[4:]), raw: le.Uint32(b[8:]), count: le.Uint32(b[12:]), sum: le.Uint64(b[16:])}
	if h.kind < headerChunk || h.kind > endChunk || h.coding > s2Block || h.stored > maxChunk || h.raw > maxChunk {
		return h, fmt.Errorf("%w: kind %d, coding %d, size %d", errBroken, h.kind, h.coding, h.stored)
	}
	return h, nil
}

// chunks walks through a log's chunks, keeping one in memory.
type chunks struct {
	r      io.ReaderAt
	size   int64
	at     int64 // where the next chunk begins
	stored []byte
	raw    []byte
	packs  *zstd.Decoder
}

// newUnpacker makes what decompresses chunks, of several logs at once if need be. It is to be closed.
func newUnpacker() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxChunk))
}

// errDamaged says that one chunk cannot be used but the next one can be looked for.
type errDamaged struct{ reason string }

func (e errDamaged) Error() string { return e.reason }

// errTorn says that the log ends within a chunk.
var errTorn = errors.New("ends in the middle of a chunk")

// errBroken says that where the next chunk should begin there is none.
var errBroken = errors.New("no chunk where one should begin")

// next returns the head and the plain payload of the next chunk: io.EOF at the end, errTorn or errBroken where the
// rest of the log is lost, errDamaged where the walk may go on, or an error of reading.
func (c *chunks) next() (chunkHead, []byte, error) {
	if c.at == c.size {
		return chunkHead{}, nil, io.EOF
	}
	if c.size-c.at < headSize {
		return chunkHead{}, nil, errTorn
	}
	var b [headSize]byte
	if err := readAt(c.r, b[:], c.at); err != nil {
		return chunkHead{}, nil, err
	}
	h, err := parseHead(b[:])
	if err != nil {
		return h, nil, err
	}
	if c.size-c.at-headSize < int64(h.stored) {
		return h, nil, errTorn
	}
	c.stored = grow(c.stored, int(h.stored))
	if err := readAt(c.r, c.stored, c.at+headSize); err != nil {
		return h, nil, err
	}
	c.at += headSize + int64(h.stored)
	if xxhash.Sum64(c.stored) != h.sum {
		return h, nil, errDamaged{fmt.Sprintf("checksum differs over a chunk of %d operations", h.count)}
	}
	raw, err := c.unpack(h)
	return h, raw, err
}

func (c *chunks) unpack(h chunkHead) ([]byte, error) {
	var raw []byte
	var err error
	switch h.coding {
	case plain:
		return c.stored, nil
	case zstandard:
		raw, err = c.packs.DecodeAll(c.stored, c.raw[:0])
	case s2Block:
		raw, err = c.unpackS2(h)
	}
	if err != nil || len(raw) != int(h.raw) {
		return nil, errDamaged{fmt.Sprintf("chunk of %d operations does not decompress: %v", h.count, err)}
	}
	c.raw = raw
	return raw, nil
}

// unpackS2 takes the room that the head tells, whose checksum is good, and not what the block claims.
func (c *chunks) unpackS2(h chunkHead) ([]byte, error) {
	n, err := s2.DecodedLen(c.stored)
	if err == nil && n != int(h.raw) {
		err = fmt.Errorf("it has %d bytes, not %d", n, h.raw)
	}
	if err != nil {
		return nil, err
	}
	return s2.Decode(c.raw, c.stored)
}

func grow(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}

func readAt(r io.ReaderAt, b []byte, at int64) error {
	n, err := r.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	return fmt.Errorf("read at %d: %w", at, err)
}

// headerJSON is the Header as it stands in a log.
type headerJSON struct {
	Version    int             `json:"kbench_log"`
	Run        string          `json:"run"` // 16 hex digits
	Partitions []string        `json:"partitions"`
	Producers  []string        `json:"producers"`
	Client     string          `json:"client"`
	Session    int32           `json:"session"`
	Guarantee  string          `json:"guarantee,omitempty"`
	Starts     map[int32]int64 `json:"starts,omitempty"`
	Inputs     []string        `json:"inputs,omitempty"`
	Outputs    []string        `json:"outputs,omitempty"`
	Compacted  []string        `json:"compacted,omitempty"`
}

func (h Header) marshal() ([]byte, error) {
	return json.Marshal(headerJSON{
		Version, fmt.Sprintf("%016x", h.Run), h.Partitions, h.Producers, h.Self.Name, h.Self.Session,
		h.Guarantee, h.Starts, h.Inputs, h.Outputs, h.Compacted,
	})
}

func unmarshalHeader(b []byte) (Header, error) {
	var j headerJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return Header{}, fmt.Errorf("header: %w", err)
	}
	if j.Version != Version {
		return Header{}, fmt.Errorf("log version %d, this kbench reads %d", j.Version, Version)
	}
	h := Header{
		Version: Version, Partitions: j.Partitions, Producers: j.Producers, Self: Client{j.Client, j.Session},
		Guarantee: j.Guarantee, Starts: j.Starts, Inputs: j.Inputs, Outputs: j.Outputs, Compacted: j.Compacted,
	}
	if _, err := fmt.Sscanf(j.Run, "%x", &h.Run); err != nil {
		return Header{}, fmt.Errorf("header: run %q is no hexadecimal number", j.Run)
	}
	return h, nil
}
