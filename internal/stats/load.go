package stats

import (
	"fmt"
	"time"

	"github.com/kbench/kbench/internal/rundir"
)

// Counters of a run, of which those that are 0 are left out. A driver's own have the prefix "client.".
const (
	counterSent  = "sent"
	counterWaits = "client.buffer_waits"
	counterUs    = "client.buffer_wait_us"
)

// Throughput of the records intended in the measured part. Rates are records a second, nil where not known.
type Throughput struct {
	Sent, Acked, Failed, Indeterminate, Read uint64

	OfferedPerS  *float64 // from the first to the last intended send
	SentPerS     *float64 // the same records, to the last call: less than offered where the sender fell behind
	AckedPerS    *float64 // from the start of the measured part to the last acknowledgement, however late
	AckedMiBPerS *float64 // likewise, the records' values alone
	Compression  *float64 // uncompressed to compressed, over the whole run, as the client tells
	ReadPerS     *float64 // first deliveries, from the start of the measured part to the last of them

	LimitedBy     LimitedBy
	Evidence      []string // of it: sentences with figures
	LargerBatches string   // one of them, which says why larger batches would carry more; "" where nothing says so
}

func (c *computation) throughput(m rundir.Meta) Throughput {
	from := c.f.Measured.From
	t := Throughput{
		Sent: c.sent, Acked: c.acked, Read: c.read,
		Failed: c.f.Failed.Count(), Indeterminate: c.f.Indeterminate.Count(),
	}
	t.OfferedPerS = c.offeredPerS()
	if c.sent >= 2 {
		t.SentPerS = perSecond(c.sent-1, c.firstSent, max(c.lastCall, c.lastSent))
	}
	t.AckedPerS = c.ackedPerS()
	t.AckedMiBPerS = c.mibPerS(m, t.AckedPerS)
	t.Compression = compression(m)
	if c.f.Polled {
		t.ReadPerS = perSecond(c.read, from, max(c.lastDelivery, c.lastSent))
	}
	return t
}

// compression is what the client made of its batches: keys and values to bytes on the wire; nil where it does not compress or does not tell.
func compression(m rundir.Meta) *float64 {
	batch, wire := m.Counters["client.batch_bytes"], m.Counters["client.wire_bytes"]
	if codec := m.Client.Asked["compression.type"]; codec == "" || codec == "none" || batch == 0 || wire == 0 {
		return nil
	}
	ratio := float64(batch) / float64(wire)
	return &ratio
}

// mibPerS counts the bytes that were recorded; early runs have records of one size.
func (c *computation) mibPerS(m rundir.Meta, ackedPerS *float64) *float64 {
	size := float64(m.Load.RecordSize)
	if m.Load.Measured && c.acked > 0 {
		size = float64(c.bytes) / float64(c.acked)
	}
	if ackedPerS == nil || size == 0 && !m.Load.Measured {
		return nil
	}
	mib := *ackedPerS * size / (1 << 20)
	return &mib
}

// fellBehind tells whether a load with a schedule, which came to its end, was acknowledged more slowly than it was sent.
func (c *computation) fellBehind(m rundir.Meta) bool {
	acked, offered := c.ackedPerS(), c.offeredPerS()
	return acked != nil && offered != nil && m.Load.RatePerS != nil && m.Stage != rundir.Interrupted && *acked < keptUp**offered
}

func (c *computation) offeredPerS() *float64 {
	if c.sent < 2 {
		return nil
	}
	return perSecond(c.sent-1, c.firstSent, c.lastSent) // n records span n-1 intervals
}

// ackedPerS counts to the last acknowledgement, however late it came. A load that goes flat out leaves its warm-up with the
// client's buffer full: what is answered of that in the same time is throughput too, or a large buffer would count as slow.
func (c *computation) ackedPerS() *float64 {
	if c.sent == 0 {
		return nil
	}
	n := c.acked
	if c.flatOut {
		n = c.answered
	}
	return perSecond(n, c.f.Measured.From, max(c.lastAcked, c.lastSent))
}

// waitedShare is the share of the senders' time in which they waited for room: in the client's buffer or, flat out, for one
// of the places that kbench has for records in flight, which shows as lag.
func (c *computation) waitedShare(m rundir.Meta) float64 {
	senders := 0
	for _, w := range m.Workers {
		if w.Role == "producer" && w.Session == 1 {
			senders++
		}
	}
	span := c.lastSent - c.firstSent
	if senders == 0 || span <= 0 {
		return 0
	}
	waited := float64(m.Counters[counterUs]) * 1000
	if m.Load.Max {
		waited += float64(c.f.Lag.sum)
	}
	return waited / float64(span) / float64(senders)
}

func (c *computation) firstFault() *Fault {
	var first *Fault
	for i := range c.f.Faults {
		if f := &c.f.Faults[i]; first == nil || f.During.From < first.During.From {
			first = f
		}
	}
	return first
}

func (c *computation) warnings(m rundir.Meta) []string {
	var w []string
	if late := c.f.Lag.lateWarning(); late != "" {
		w = append(w, late)
	}
	if waits := m.Counters[counterWaits]; waits > 0 {
		w = append(w, fmt.Sprintf("the client's buffer was full and held the senders up %d times, %v in all; response times contain this, "+
			"service times do not", waits, round(time.Duration(m.Counters[counterUs])*time.Microsecond)))
	}
	if acked, offered := c.ackedPerS(), c.offeredPerS(); c.fellBehind(m) {
		w = append(w, fmt.Sprintf("acknowledgements did not keep up with the load: %.0f/s of %.0f/s; where that built a queue, response times "+
			"depend on how long the run was", *acked, *offered))
	}
	for i, f := range c.f.Faults {
		if f.NeverRecovered {
			w = append(w, fmt.Sprintf("sends never recovered from fault %d (%s %s)", i+1, m.Faults[i].Name, m.Faults[i].Target))
		}
	}
	return append(w, c.clamped()...)
}

func (c *computation) clamped() []string {
	var negative, long uint64
	for _, h := range []*Histogram{&c.f.Ack.Response, &c.f.Ack.Service, &c.f.EndToEnd.Response, &c.f.EndToEnd.Service, &c.f.Indeterminate, &c.f.Failed} {
		n, l := h.OutOfRange()
		negative, long = negative+n, long+l
	}
	var w []string
	if negative > 0 {
		w = append(w, fmt.Sprintf("%d durations were negative and are counted as 1 µs: the clocks of this history contradict each other", negative))
	}
	if long > 0 {
		w = append(w, fmt.Sprintf("%d durations were longer than %v and are counted as that", long, Longest))
	}
	return w
}

// round leaves three digits or so.
func round(d time.Duration) time.Duration {
	for unit := time.Second; unit > time.Microsecond; unit /= 10 {
		if d >= unit {
			return d.Round(unit / 100)
		}
	}
	return d
}
