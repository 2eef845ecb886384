package proxy

import (
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A transaction's end that is late. A connection breaks while its last request is under way; the client connects anew
// and asks again, is answered, and goes on with its next transaction; then what was under way arrives at the broker,
// whose side of the old connection is still open. Nothing is made up: the bytes are the client's own, in their order,
// and every answer is the broker's. Without KIP-890's second part the request carries nothing that tells one
// transaction of a producer from the next.

// Late is what became of one EndTxn request that was held back.
type Late struct {
	TransactionalID string
	Commit          bool
	Producer        int64
	Epoch           int16
	Records         int   // of the producer's next transaction, acknowledged by the time it was delivered
	Delivered       bool  // to the coordinator
	Answered        bool  // by it, with:
	Code            int16 // 0: it did what it was asked to do
}

// Taken tells whether the coordinator acted on the request, so that it ended the transaction that was open by then.
func (l Late) Taken() bool { return l.Answered && l.Code == 0 }

func (l Late) String() string {
	what := "abort"
	if l.Commit {
		what = "commit"
	}
	text := fmt.Sprintf("%s of %s (producer %d, epoch %d)", what, l.TransactionalID, l.Producer, l.Epoch)
	switch {
	case !l.Delivered:
		return text + " held back and not delivered"
	case !l.Answered:
		return fmt.Sprintf("%s delivered after %d records of the next transaction, not answered", text, l.Records)
	case l.Code != 0:
		return fmt.Sprintf("%s delivered after %d records of the next transaction, refused: %s", text, l.Records, codeName(l.Code))
	}
	return fmt.Sprintf("%s delivered after %d records of the next transaction, and taken for its end", text, l.Records)
}

func codeName(code int16) string {
	var known *kerr.Error
	if errors.As(kerr.ErrorForCode(code), &known) {
		return known.Message
	}
	return fmt.Sprintf("error %d", code)
}

// delay is one call of DelayEndTxn.
type delay struct {
	id    string
	after int
	left  int // < 0: without end
}

// late is a request that is held back, until it is delivered.
type late struct {
	*Late
	by    *delay
	conn  *conn
	frame []byte
}

// DelayEndTxn takes the next n EndTxn requests (n<0: all until Unfilter) of a transactional id while they are under way,
// closes their connections towards the client, and delivers each once the brokers have acknowledged after (at least 1)
// records of the same producer that were sent later. Of one producer only one is under way at a time; what it asks
// meanwhile, as in the retry, passes. Requests not delivered when Unfilter comes never are.
func (g *Gate) DelayEndTxn(id string, after, n int) error {
	switch {
	case id == "":
		return errors.New("delay the end of transactions: no transactional id")
	case after < 1:
		return fmt.Errorf("delay the end of transactions of %s: %d records of the next one, want 1 or more", id, after)
	case n == 0:
		return fmt.Errorf("delay the end of transactions of %s: zero requests to hold back", id)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.delays = append(g.delays, &delay{id, after, n})
	g.watch()
	return nil
}

// Late is the evidence, in order; of more than 4096 requests only the first are kept.
func (g *Gate) Late() []Late {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := make([]Late, len(g.ends))
	for i, l := range g.ends {
		list[i] = *l
	}
	return list
}

// hold decides whether an EndTxn request is to be held back, and if so keeps it.
func (g *Gate) hold(c *conn, req *kmsg.EndTxnRequest, frame []byte) *late {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, l := range g.held {
		if l.Producer == req.ProducerID {
			return nil
		}
	}
	for _, d := range g.delays {
		if d.id != req.TransactionalID || d.left == 0 {
			continue
		}
		if d.left > 0 {
			d.left--
		}
		l := &late{&Late{TransactionalID: req.TransactionalID, Commit: req.Commit, Producer: req.ProducerID, Epoch: req.ProducerEpoch}, d, c, frame}
		g.held = append(g.held, l)
		if len(g.ends) < maxTreated {
			g.ends = append(g.ends, l.Late)
		}
		return l
	}
	return nil
}

// holds tells whether a request is still under way.
func (g *Gate) holds(l *late) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Contains(g.held, l)
}

// awaited tells whether a producer's records are counted. It is called with the lock held.
func (g *Gate) awaited(producer int64) bool {
	for _, l := range g.held {
		if l.Producer == producer && producer >= 0 {
			return true
		}
	}
	return false
}

// advance counts the records that the brokers have acknowledged, and delivers what has been held back for long enough.
func (g *Gate) advance(batches []produced, resp *kmsg.ProduceResponse) {
	appended := offsets(batches, resp)
	var due, rest []*late
	g.mu.Lock()
	for _, l := range g.held {
		for i := range appended {
			if batches[i].batch.producer == l.Producer {
				l.Records += batches[i].batch.records
			}
		}
		if l.Records < l.by.after {
			rest = append(rest, l)
			continue
		}
		l.Delivered = true
		due = append(due, l)
	}
	g.held = rest
	g.watch()
	g.mu.Unlock()
	for _, l := range due {
		l.conn.deliver(l)
	}
}

// endedLate takes the coordinator's answer to a request that was delivered late.
func (g *Gate) endedLate(l *late, resp *kmsg.EndTxnResponse) {
	g.mu.Lock()
	defer g.mu.Unlock()
	l.Answered, l.Code = true, resp.ErrorCode
	g.requests++
}

// lost forgets a request whose connection has ended before it was delivered; another one takes its place.
func (g *Gate) lost(c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, l := range g.held {
		if l.conn != c {
			continue
		}
		if l.by.left >= 0 {
			l.by.left++
		}
		g.held = slices.Delete(g.held, i, i+1)
		g.watch()
		return
	}
}
