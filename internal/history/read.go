package history

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/zstd"
)

// Uncompleted returns the journalled sends of a log that have no completion, in order of Call: what a new session
// has to send again to be sure of it. The log may be torn.
func Uncompleted(path string) ([]Op, error) {
	packs, err := newUnpacker()
	if err != nil {
		return nil, err
	}
	defer packs.Close()
	c, err := fileSource(path).cursor(packs)
	if errors.Is(err, errTorn) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer c.close()
	var op Op
	for more := true; more; {
		if more, err = c.logged(&op); err != nil {
			return nil, err
		}
	}
	for i := range c.left {
		c.left[i].Return = Unknown
	}
	return c.left, nil
}

// cursor reads one log, operation by operation.
type cursor struct {
	name   string
	client int32
	chunks chunks
	dec    decoder
	closer func() error

	order int64 // the highest Return so far: the log keeps its own order whatever its clock readings

	open  map[attempt]Op // journal lines without a completion yet
	ended bool           // the log is read; left is being handed out
	left  []Op
}

type attempt struct {
	value Value
	n     int32
}

func (s source) cursor(packs *zstd.Decoder) (*cursor, error) {
	r, size, closer, err := s.open()
	if err != nil {
		return nil, err
	}
	c := &cursor{name: s.name, client: s.client, chunks: chunks{r: r, size: size, packs: packs}, closer: closer, open: map[attempt]Op{}}
	if _, err := readHeader(&c.chunks); err != nil {
		c.closer()
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	return c, nil
}

func (c *cursor) close() { c.closer() }

// next makes op the next operation; more is false when there is none.
func (c *cursor) next(op *Op) (more bool, err error) {
	more, err = c.logged(op)
	if err != nil || more || len(c.left) == 0 {
		return more, err
	}
	*op, c.left = c.left[0], c.left[1:]
	return true, nil
}

// logged makes op the next operation that stands in the log, journal lines apart; more is false at the log's end.
func (c *cursor) logged(op *Op) (more bool, err error) {
	for !c.ended {
		more, err := c.dec.decode(op)
		if err != nil {
			return false, fmt.Errorf("%s: chunk before %d: %w", c.name, c.chunks.at, err)
		}
		if !more {
			if err := c.chunk(); err != nil {
				return false, fmt.Errorf("%s: %w", c.name, err)
			}
			continue
		}
		if c.client != Unknown {
			op.Client = c.client
		}
		if c.resolved(op) {
			c.order = max(c.order, op.Return)
			return true, nil
		}
	}
	return false, nil
}

// resolved tells whether op is to be handed out; a journal line is kept until its completion comes.
func (c *cursor) resolved(op *Op) bool {
	if op.Kind != Send {
		return true
	}
	key := attempt{op.Value, op.Attempt}
	if op.Return == Unknown {
		c.order = max(c.order, op.Call)
		c.open[key] = Op{
			Kind: Send, Client: op.Client, Intended: op.Intended, Held: op.Held, Call: op.Call, Txn: op.Txn, Partition: op.Partition,
			Offset: Unknown, Value: op.Value, Attempt: op.Attempt, FromPartition: op.FromPartition, FromOffset: op.FromOffset,
			Generation: Unknown,
		}
		return false
	}
	if len(c.open) > 0 {
		delete(c.open, key)
	}
	return true
}

// chunk makes the next usable chunk's operations ready, or ends the log.
func (c *cursor) chunk() error {
	for {
		head, raw, err := c.chunks.next()
		switch {
		case err == io.EOF, errors.Is(err, errTorn), errors.Is(err, errBroken):
			c.end()
			return nil
		case errors.As(err, new(errDamaged)):
			continue
		case err != nil:
			return err
		case head.kind != opsChunk:
			continue
		}
		c.dec.reset()
		c.dec.buf = raw
		return nil
	}
}

// end turns the journal lines that nothing completed into indeterminate sends.
func (c *cursor) end() {
	c.ended = true
	for _, op := range c.open {
		op.Return, op.Open = c.order, true
		c.left = append(c.left, op)
	}
	slices.SortFunc(c.left, func(a, b Op) int {
		return cmp.Or(cmp.Compare(a.Call, b.Call), cmp.Compare(a.Value.Seq, b.Value.Seq), cmp.Compare(a.Attempt, b.Attempt))
	})
	c.open = nil
}
