package history

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/s2"
)

// Writer appends one session's operations to its log. It is safe for concurrent use; operations stand in the log in
// the order in which Append took them.
//
// Times of an operation other than a send must be known; a send whose Return is Unknown is a journal line.
type Writer struct {
	mu     sync.Mutex
	out    io.WriteCloser
	enc    encoder
	packed []byte
	chunk  uint32 // operations in the open chunk
	total  uint64
	many   bool  // operations carry their own clients, instead of all being Self's
	err    error // the first that happened; nothing is written after it
}

var errClosed = errors.New("history: the log is closed")

// Create makes the log of the session h.Self. The file must not exist.
func Create(path string, h Header) (*Writer, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, fmt.Errorf("create history: %w", err)
	}
	w, err := newWriter(f, h)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("create history %s: %w", path, err)
	}
	return w, nil
}

func newWriter(out io.WriteCloser, h Header) (*Writer, error) {
	header, err := h.marshal()
	if err != nil {
		return nil, err
	}
	w := &Writer{out: out}
	if _, err := io.WriteString(out, magic); err != nil {
		return nil, err
	}
	w.enc.buf = header
	w.write(headerChunk, 0)
	return w, w.err
}

// Append adds an operation. What it needs of op is copied. Nothing but the fields of op's kind is kept.
func (w *Writer) Append(op *Op) error {
	if err := check(op); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	client := int32(0)
	if w.many {
		client = op.Client
	}
	w.enc.encode(op, client)
	w.chunk++
	w.total++
	if len(w.enc.buf) >= chunkSize {
		w.write(opsChunk, w.chunk)
	}
	return w.err
}

// Flush hands everything appended to the operating system: it survives the death of the process, not of the machine.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.chunk > 0 && w.err == nil {
		w.write(opsChunk, w.chunk)
	}
	return w.err
}

// Close flushes, marks the log as complete and closes it.
func (w *Writer) Close() error {
	err := w.Flush()
	w.mu.Lock()
	defer w.mu.Unlock()
	if errors.Is(w.err, errClosed) {
		return nil
	}
	if err == nil {
		w.enc.uvarint(w.total)
		w.write(endChunk, 0)
		err = w.err
	}
	if closed := w.out.Close(); err == nil && closed != nil {
		err = fmt.Errorf("close history: %w", closed)
	}
	w.err = errClosed
	return err
}

// write stores what is encoded as one chunk and begins the next. Called with the lock held.
func (w *Writer) write(kind byte, count uint32) {
	raw := w.enc.buf
	h := chunkHead{kind: kind, coding: plain, raw: uint32(len(raw)), count: count}
	if room := headSize + s2.MaxEncodedLen(len(raw)); len(w.packed) < room {
		w.packed = make([]byte, room+chunkSize/8) // chunks end a little beyond their size
	}
	out := w.packed[:headSize]
	if len(raw) >= packFrom {
		out = out[:headSize+len(s2.Encode(w.packed[headSize:], raw))]
		h.coding = s2Block
	}
	if h.coding == plain || len(out) >= headSize+len(raw) {
		out = append(out[:headSize], raw...)
		h.coding = plain
	}
	h.stored = uint32(len(out) - headSize)
	h.sum = xxhash.Sum64(out[headSize:])
	h.put(out)
	w.enc.buf = raw[:0]
	w.enc.reset()
	w.chunk = 0
	if _, err := w.out.Write(out); err != nil {
		w.err = fmt.Errorf("write history: %w", err)
	}
}
