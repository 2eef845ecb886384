package history

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Each calls f for all operations: those of one log in its own order, the logs merged in order of Return. The Op is
// reused. Journal lines come resolved: one whose completion is in the log is left out, any other is an indeterminate
// send at the end of its log. An error of f ends the walk and is returned.
//
// What is torn or damaged is left out; Tears tells of it.
func (h *History) Each(f func(*Op) error) error {
	merge := make([]*cursor, 0, len(h.sources))
	defer func() {
		for _, c := range merge {
			c.close()
		}
	}()
	for _, s := range h.sources {
		c, err := s.cursor()
		if err != nil {
			return err
		}
		merge = append(merge, c)
		if err := c.next(); err != nil {
			return err
		}
	}
	queue := slices.DeleteFunc(slices.Clone(merge), func(c *cursor) bool { return c.done })
	for i := len(queue)/2 - 1; i >= 0; i-- {
		sink(queue, i)
	}
	for len(queue) > 0 {
		first := queue[0]
		if err := f(&first.op); err != nil {
			return err
		}
		if err := first.next(); err != nil {
			return err
		}
		if first.done {
			queue[0] = queue[len(queue)-1]
			queue = queue[:len(queue)-1]
		}
		sink(queue, 0)
	}
	return nil
}

// sink restores the heap of cursors below i.
func sink(queue []*cursor, i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(queue); child++ {
			if queue[child].before(queue[least]) {
				least = child
			}
		}
		if least == i {
			return
		}
		queue[i], queue[least] = queue[least], queue[i]
		i = least
	}
}

// Uncompleted returns the journalled sends of a log that have no completion, in order of Call: what a new session
// has to send again to be sure of it. The log may be torn.
func Uncompleted(path string) ([]Op, error) {
	s := fileSource(path)
	c, err := s.cursor()
	if errors.Is(err, errTorn) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer c.close()
	for more := true; more; {
		if more, err = c.logged(); err != nil {
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

	op    Op
	order int64 // the highest Return so far: the log keeps its own order whatever its clock readings
	done  bool

	open  map[attempt]Op // journal lines without a completion yet
	ended bool           // the log is read; left is being handed out
	left  []Op
}

type attempt struct {
	value Value
	n     int32
}

func (s source) cursor() (*cursor, error) {
	r, size, closer, err := s.open()
	if err != nil {
		return nil, err
	}
	c := &cursor{name: s.name, client: s.client, chunks: chunks{r: r, size: size}, closer: closer, open: map[attempt]Op{}}
	if _, err := readHeader(&c.chunks); err != nil {
		c.close()
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	return c, nil
}

func (c *cursor) close() {
	c.chunks.close()
	c.closer()
}

func (c *cursor) before(other *cursor) bool {
	return c.order < other.order || c.order == other.order && c.client < other.client
}

// next makes op the next operation, or sets done.
func (c *cursor) next() error {
	more, err := c.logged()
	if err != nil || more {
		return err
	}
	if len(c.left) == 0 {
		c.done = true
		return nil
	}
	c.op, c.left = c.left[0], c.left[1:]
	return nil
}

// logged makes op the next operation that stands in the log, journal lines apart; more is false at the log's end.
func (c *cursor) logged() (more bool, err error) {
	for !c.ended {
		more, err := c.dec.decode(&c.op)
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
			c.op.Client = c.client
		}
		if c.resolved() {
			c.order = max(c.order, c.op.Return)
			return true, nil
		}
	}
	return false, nil
}

// resolved tells whether op is to be handed out; a journal line is kept until its completion comes.
func (c *cursor) resolved() bool {
	if c.op.Kind != Send {
		return true
	}
	key := attempt{c.op.Value, c.op.Attempt}
	if c.op.Return == Unknown {
		c.order = max(c.order, c.op.Call)
		c.open[key] = Op{
			Kind: Send, Client: c.op.Client, Intended: c.op.Intended, Call: c.op.Call, Txn: c.op.Txn, Partition: c.op.Partition,
			Offset: Unknown, Value: c.op.Value, Attempt: c.op.Attempt, FromPartition: c.op.FromPartition, FromOffset: c.op.FromOffset,
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
		op.Return = c.order
		c.left = append(c.left, op)
	}
	slices.SortFunc(c.left, func(a, b Op) int {
		return cmp.Or(cmp.Compare(a.Call, b.Call), cmp.Compare(a.Value.Seq, b.Value.Seq), cmp.Compare(a.Attempt, b.Attempt))
	})
	c.open = nil
}
