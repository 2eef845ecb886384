package plantedtest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// conn is one client's connection. Like a broker it works off one request after another; what came since waits.
type conn struct {
	*Cluster
	client, broker net.Conn
	requests       chan *Exchange
	ended          chan struct{}
}

func newConn(c *Cluster, client, broker net.Conn) *conn {
	return &conn{Cluster: c, client: client, broker: broker, requests: make(chan *Exchange, 64), ended: make(chan struct{})}
}

// holdFor is how long a request that a lie holds back waits for the next one.
const holdFor = 300 * time.Millisecond

func (c *conn) run() {
	c.running.Go(c.listen)
	defer close(c.ended)
	for x := range c.requests {
		if err := c.work(x); err != nil {
			c.complain(err)
			return
		}
	}
}

// complain keeps an error that is not just the end of a connection.
func (c *conn) complain(err error) {
	var network net.Error
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.As(err, &network) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.problems = append(c.problems, err)
}

// listen takes the client's requests.
func (c *conn) listen() {
	defer close(c.requests)
	for {
		frame, err := readFrame(c.client)
		if err != nil {
			return
		}
		x, err := c.parse(frame)
		if err != nil {
			c.complain(err)
			return
		}
		select {
		case c.requests <- x:
		case <-c.ended:
			return
		}
	}
}

// work answers a request; where the lie holds it back, the next one is worked off before it, and both are answered in turn.
func (c *conn) work(x *Exchange) error {
	c.request(x)
	if x.overtake == nil {
		if err := c.settle(x); err != nil {
			return err
		}
		return c.reply(x)
	}
	next, came, err := c.next()
	if err != nil {
		return err
	}
	if came && x.overtake(next) {
		err = errors.Join(c.settle(next), c.settle(x), c.reply(x))
	} else if err = errors.Join(c.settle(x), c.reply(x)); came && err == nil {
		err = c.settle(next)
	}
	if came && err == nil {
		err = c.reply(next)
	}
	return err
}

// next is the request behind the one in hand, if it comes in time.
func (c *conn) next() (x *Exchange, came bool, err error) {
	select {
	case x, came = <-c.requests:
		if !came {
			return nil, false, io.EOF
		}
		c.request(x)
		x.overtake = nil
		return x, true, nil
	case <-time.After(holdFor):
		return nil, false, nil
	}
}

// request lets the lie see a request.
func (c *conn) request(x *Exchange) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if x.Request != nil && c.lie.Request != nil {
		c.lie.Request(x)
		x.takeOut()
	}
}

// settle has the broker answer, unless the lie did, and lets the lie see the answer.
func (c *conn) settle(x *Exchange) error {
	if x.Answer == nil {
		if err := x.forward(); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if x.Answer != nil {
		x.join()
		if x.after != nil {
			x.after()
		}
		c.direct(x.Answer)
		if c.lie.Answer != nil {
			c.lie.Answer(x)
		}
	}
	return nil
}

func (c *conn) reply(x *Exchange) error {
	time.Sleep(x.pause)
	switch {
	case x.hangUp:
		return errors.Join(io.EOF, c.client.Close())
	case !x.acks:
		return nil
	}
	frame := x.raw
	if x.Answer != nil {
		frame = encodeAnswer(x.Answer, x.correlation)
	}
	return writeFrame(c.client, frame)
}

// parse takes a request apart. ApiVersions passes as it is: its versions are settled by it.
func (c *conn) parse(frame []byte) (*Exchange, error) {
	r := kbin.Reader{Src: frame}
	key, version := r.Int16(), r.Int16()
	x := &Exchange{conn: c, correlation: r.Int32(), raw: frame, acks: true}
	if id := r.NullableString(); id != nil {
		x.Client = *id
	}
	req := kmsg.RequestForKey(key)
	if key == apiVersions || req == nil || version > req.MaxVersion() {
		return x, nil
	}
	req.SetVersion(version)
	if req.IsFlexible() {
		kmsg.SkipTags(&r)
	}
	if err := req.ReadFrom(r.Src); err != nil || !r.Ok() {
		return nil, fmt.Errorf("request %s version %d: %w", kmsg.NameForKey(key), version, err)
	}
	x.Request = req
	if p, ok := req.(*kmsg.ProduceRequest); ok {
		x.acks = p.Acks != 0
	}
	return x, nil
}

const apiVersions = 18

// readFrame reads a frame and leaves its length out.
func readFrame(from io.Reader) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(from, size[:]); err != nil {
		return nil, err
	}
	n := int32(binary.BigEndian.Uint32(size[:]))
	if n < 0 || n > 64<<20 {
		return nil, fmt.Errorf("a frame of %d bytes", n)
	}
	frame := make([]byte, n)
	_, err := io.ReadFull(from, frame)
	return frame, err
}

func writeFrame(to io.Writer, frame []byte) error {
	whole := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(frame)), uint32(len(frame)))
	_, err := to.Write(append(whole, frame...))
	return err
}

func encodeAnswer(answer kmsg.Response, correlation int32) []byte {
	frame := binary.BigEndian.AppendUint32(nil, uint32(correlation))
	if answer.IsFlexible() {
		frame = append(frame, 0) // no tagged fields
	}
	return answer.AppendTo(frame)
}
