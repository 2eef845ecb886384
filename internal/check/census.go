package check

import (
	"fmt"

	"github.com/kbench/kbench/internal/history"
)

// census counts what the log of each session tells, to compare it with what the session itself counted on another way:
// an operation that was dropped between the client and the log is missing in one of the two. It also looks for what no
// run can have done.
type census struct {
	*court
	sends, read []uint64 // by client
	strays      uint64   // operations on partitions that the run does not have
	backwards   uint64   // operations that returned before they were called
	first       string   // who was the first of those
}

func newCensus(c *court) *census {
	n := len(c.h.Header.Clients)
	return &census{court: c, sends: make([]uint64, n), read: make([]uint64, n)}
}

func (c *census) kinds() []history.Kind {
	return []history.Kind{history.Send, history.Txn, history.Poll, history.Assign, history.Commit, history.Process, history.FinalRead}
}

func (c *census) add(v *view) {
	if v.Return < v.Call {
		if c.backwards++; c.backwards == 1 {
			c.first = c.client(v.Client)
		}
	}
	switch v.Kind {
	case history.Send: // where it was stored may be unknown
		c.sends[v.Client]++
	case history.Poll:
		c.read[v.Client] += uint64(len(v.Records))
	case history.Commit:
		for _, o := range v.Offsets {
			if c.part(o.Partition) == nil {
				c.strays++
			}
		}
	}
	if len(v.Records) > 0 && c.part(v.Partition) == nil {
		c.strays++
	}
}

func (c *census) found() []tally { return nil }

// reasons why the history is not all that happened. A session that was killed did not tell its last figures.
func (c *census) reasons() []string {
	var list []string
	say := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	for i, client := range c.h.Header.Clients {
		w := c.run.worker(client)
		if w == nil {
			continue
		}
		name := fmt.Sprintf("%s's session %d", client.Name, client.Session)
		if n := w.Counters["dropped"] + w.Counters["client.dropped"]; n > 0 {
			say("%s dropped %d events: it could not tell what they were about, or write them down", name, n)
		}
		if w.Killed || w.Counters == nil {
			continue
		}
		if n := w.Counters["sent"]; n != c.sends[i] {
			say("%s counted %d sends, and its log has %d", name, n, c.sends[i])
		}
		if n := w.Counters["read"]; n != c.read[i] {
			say("%s counted %d records that it read, and its log has %d", name, n, c.read[i])
		}
	}
	if c.strays > 0 {
		say("%d operations are on partitions that the run does not have", c.strays)
	}
	if c.backwards > 0 {
		say("the run's clock went backwards: %d operations, the first of %s, returned before they were called", c.backwards, c.first)
	}
	return list
}
