package proxy

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kbench/kbench/internal/cluster"
)

const bufferSize = 64 << 10

// conn is one client's connection: requests run one way, answers the other. Kafka answers the requests of a connection
// in their order, and clients rely on it, which decides what can be done to a single answer:
//
//   - Once an answer is withheld, all later answers on the connection are withheld too, while later requests still
//     reach the broker: the way back is cut. The connection stays open, silent, until the client gives up on it (its
//     request.timeout.ms) or Unfilter closes it; either way the client retries on a new one, which works.
//   - A refusal takes the place of the answer to a harmless request that the broker got instead, so it comes in turn.
//   - A transaction's end that is held back is the last request of its connection: the client's side is closed, the
//     broker's side stays open until the request was delivered and answered.
type conn struct {
	gate           *Gate
	client, target *net.TCPConn

	mu      sync.Mutex
	waiting []waiting // requests whose answers have to be looked at, oldest first
	cuts    int       // of them, those to be cut
	silent  atomic.Bool
	parted  atomic.Bool // the client is gone, and what it asked last is delivered
}

// waiting is a request whose answer will be looked at.
type waiting struct {
	correlation int32
	version     int16
	key         int16
	how         cluster.Refusal
	rule        *rule
	batches     []produced
	refusal     []byte
	late        *late
}

// errHeld ends the reading of requests where the last one is held back.
var errHeld = errors.New("held back")

func newConn(g *Gate, client, target *net.TCPConn) *conn {
	return &conn{gate: g, client: client, target: target}
}

// run copies both ways until both have ended. A client that has sent its last request still gets the answers to what
// it asked; a broker that has ended, or an error, ends both ways.
func (c *conn) run() {
	defer c.close()
	var requests sync.WaitGroup
	requests.Go(func() {
		switch err := c.requests(); {
		case errors.Is(err, io.EOF):
			_ = c.target.CloseWrite() // answers may still come
		case !errors.Is(err, errHeld):
			c.close()
		}
	})
	_ = c.answers() // an error here is the end of one of the two peers, which the other learns by the close
	c.close()
	requests.Wait()
	c.gate.lost(c)
}

// close ends both directions; it may be called at any time, and again.
func (c *conn) close() {
	c.client.Close()
	c.target.Close()
}

func (c *conn) isCut() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return (c.silent.Load() || c.cuts > 0) && !c.parted.Load()
}

// expect registers a request, before it is forwarded, whose answer is to be looked at.
func (c *conn) expect(w waiting) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = append(c.waiting, w)
	if w.how == cluster.CutAnswer {
		c.cuts++
	}
}

// expected takes the request that an answer belongs to from the queue, if it is one to be looked at.
func (c *conn) expected(correlation int32) (w waiting, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) == 0 || c.waiting[0].correlation != correlation {
		return w, false
	}
	w, c.waiting = c.waiting[0], c.waiting[1:]
	return w, true
}

// settled is called when a cut was decided: withheld for good, or passed on.
func (c *conn) settled(withheld bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cuts--
	if withheld {
		c.silent.Store(true)
	}
}

// requests forwards what the client sends; io.EOF is its proper end.
func (c *conn) requests() error {
	src := newSource(c.client)
	for {
		n, err := src.next()
		if err != nil {
			return err
		}
		if n < requestLen { // no request, perhaps a token of an old SASL handshake
			if err := src.pass(c.target, sizeLen+n); err != nil {
				return err
			}
			continue
		}
		head, err := src.Peek(sizeLen + requestLen)
		if err != nil {
			return notEOF(err)
		}
		if err := c.request(src, parseHeader(head[sizeLen:]), n); err != nil {
			return err
		}
	}
}

// request forwards one request, or what takes its place.
func (c *conn) request(src *source, h header, n int) error {
	switch {
	case h.key == produceKey && c.gate.watching.Load():
		frame, err := src.take(sizeLen + n)
		if err != nil {
			return err
		}
		return write(c.target, c.produce(h, frame))
	case h.key == endTxnKey && c.gate.watching.Load():
		frame, err := src.take(sizeLen + n)
		if err != nil {
			return err
		}
		return c.endTxn(h, frame)
	case h.key == metadataKey && h.version >= 10: // the first version with topic ids
		c.expect(waiting{correlation: h.correlation, version: h.version, key: h.key})
	}
	return src.pass(c.target, sizeLen+n)
}

// produce lets the gate decide on a Produce request and gives what the broker is sent. One that cannot be read passes.
func (c *conn) produce(h header, frame []byte) []byte {
	req, err := parseProduce(frame[sizeLen:])
	if err != nil {
		return frame
	}
	how, by, batches := c.gate.decide(req, c.isCut())
	if batches == nil {
		return frame
	}
	w := waiting{correlation: h.correlation, version: h.version, key: h.key, how: how, rule: by, batches: batches}
	if how == cluster.RefuseRequest {
		w.refusal = refuse(h.correlation, req)
		frame = placeholder(h.correlation)
	}
	c.expect(w)
	if how == cluster.CutAnswer && c.gate.ended(by) {
		c.close() // Unfilter came between and has not seen this cut
	}
	return frame
}

// endTxn forwards the end of a transaction, or holds it back.
func (c *conn) endTxn(h header, frame []byte) error {
	req, err := parseEndTxn(frame[sizeLen:])
	if err != nil {
		return write(c.target, frame)
	}
	l := c.gate.hold(c, req, frame)
	if l == nil {
		return write(c.target, frame)
	}
	c.expect(waiting{correlation: h.correlation, version: h.version, key: h.key, late: l})
	c.silent.Store(true)
	c.client.Close()
	if !c.gate.holds(l) {
		c.close() // Unfilter came between and has not seen it
	}
	return errHeld
}

// deliver lets the broker have what was held back.
func (c *conn) deliver(l *late) {
	c.parted.Store(true)
	if err := write(c.target, l.frame); err != nil {
		c.close()
	}
}

// answers forwards what the broker answers.
func (c *conn) answers() error {
	src := newSource(c.target)
	for {
		n, err := src.next()
		if err != nil {
			return err
		}
		if n >= answerLen {
			head, err := src.Peek(sizeLen + answerLen)
			if err != nil {
				return err
			}
			if w, ok := c.expected(int32(binary.BigEndian.Uint32(head[sizeLen:]))); ok && (w.key != metadataKey || n <= maxLearned) {
				if err := c.answer(src, w, n); err != nil {
					return err
				}
				continue
			}
		}
		if c.silent.Load() {
			err = src.skip(sizeLen + n)
		} else {
			err = src.pass(c.client, sizeLen+n)
		}
		if err != nil {
			return err
		}
	}
}

// answer looks at one answer, and passes it on, replaces it, or withholds it.
func (c *conn) answer(src *source, w waiting, n int) error {
	frame, err := src.take(sizeLen + n)
	if err != nil {
		return err
	}
	out := c.treat(w, frame)
	if w.late != nil {
		return io.EOF // it was the last
	}
	if c.silent.Load() {
		return nil
	}
	if err := write(c.client, out); err != nil {
		return err
	}
	if w.refusal != nil {
		c.gate.refused(w.batches)
	}
	return nil
}

// treat gives what the client gets for an answer, unless the connection is silent by then.
func (c *conn) treat(w waiting, frame []byte) []byte {
	if w.refusal != nil {
		return w.refusal
	}
	if w.key == metadataKey {
		resp := kmsg.NewPtrMetadataResponse()
		resp.SetVersion(w.version)
		if w.version <= (&kmsg.MetadataRequest{}).MaxVersion() && parseAnswer(frame[sizeLen:], resp) == nil {
			c.gate.learn(resp)
		}
		return frame
	}
	if w.late != nil {
		resp := kmsg.NewPtrEndTxnResponse()
		resp.SetVersion(w.version)
		if parseAnswer(frame[sizeLen:], resp) == nil {
			c.gate.endedLate(w.late, resp)
		}
		return nil
	}
	resp := kmsg.NewPtrProduceResponse()
	resp.SetVersion(w.version)
	if err := parseAnswer(frame[sizeLen:], resp); err != nil {
		resp.Topics = nil // unreadable: no evidence of an append
	}
	switch {
	case w.how == cluster.CutAnswer:
		c.settled(c.gate.answered(w.rule, w.batches, resp))
	case c.silent.Load():
		c.gate.answered(nil, w.batches, resp)
	default:
		c.gate.retried(w.batches, resp)
		c.gate.advance(w.batches, resp)
	}
	return frame
}

// source reads frames from one side.
type source struct {
	*bufio.Reader
	conn *net.TCPConn
}

func newSource(conn *net.TCPConn) *source {
	return &source{bufio.NewReaderSize(conn, bufferSize), conn}
}

// next waits for a frame and gives its length; io.EOF says that there is none.
func (s *source) next() (int, error) {
	head, err := s.Peek(sizeLen)
	if err != nil {
		if len(head) > 0 {
			err = notEOF(err)
		}
		return 0, err
	}
	return size(head)
}

// pass copies n bytes to dst: what is buffered by hand, the rest within the kernel where it can.
func (s *source) pass(dst *net.TCPConn, n int) error {
	buffered, err := s.Peek(min(n, s.Buffered()))
	if err != nil {
		return err
	}
	if _, err := dst.Write(buffered); err != nil {
		return fmt.Errorf("forward: %w", err)
	}
	_, _ = s.Discard(len(buffered)) // they are there
	rest := int64(n - len(buffered))
	if rest == 0 {
		return nil
	}
	copied, err := dst.ReadFrom(io.LimitReader(s.conn, rest))
	if err == nil && copied < rest {
		err = io.ErrUnexpectedEOF
	}
	return notEOF(err)
}

// take reads n bytes into memory. The buffer grows as they come, so that a length alone costs nothing.
func (s *source) take(n int) ([]byte, error) {
	if n <= bufferSize {
		frame := make([]byte, n)
		_, err := io.ReadFull(s, frame)
		return frame, notEOF(err)
	}
	frame, err := io.ReadAll(io.LimitReader(s, int64(n)))
	if err == nil && len(frame) < n {
		err = io.ErrUnexpectedEOF
	}
	return frame, notEOF(err)
}

// skip drops n bytes.
func (s *source) skip(n int) error {
	_, err := s.Discard(n)
	return err
}

func write(dst *net.TCPConn, frame []byte) error {
	if _, err := dst.Write(frame); err != nil {
		return fmt.Errorf("forward: %w", err)
	}
	return nil
}

// notEOF tells an end within a frame from the proper end between two.
func notEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
