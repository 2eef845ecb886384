package bench

import "sync/atomic"

// counts are a session's running figures. They are for progress, triggers and hints; verdicts come from the history.
type counts struct {
	sent                          atomic.Uint64
	_                             apart // another goroutine counts what follows
	acked, failed, indeterminate  atomic.Uint64
	_                             apart
	read, processed, committed    atomic.Uint64
	transactions, aborted, fenced atomic.Uint64
	resent                        atomic.Uint64
	dropped                       atomic.Uint64                            // what happened and could not be written down as what it was
	positions                     []atomic.Int64                           // after what was handled, by partition of the header's table
	client                        atomic.Pointer[func() map[string]uint64] // the driver's own, once there is a client
}

func (c *counts) snapshot() map[string]uint64 {
	out := map[string]uint64{}
	for name, figure := range map[string]*atomic.Uint64{
		"sent": &c.sent, "acked": &c.acked, "failed": &c.failed, "indeterminate": &c.indeterminate,
		"read": &c.read, "processed": &c.processed, "committed": &c.committed,
		"transactions": &c.transactions, "aborted": &c.aborted, "fenced": &c.fenced, "resent": &c.resent, "dropped": &c.dropped,
	} {
		if n := figure.Load(); n > 0 {
			out[name] = n
		}
	}
	for p := range c.positions {
		if at := c.positions[p].Load(); at > 0 {
			out[positionName(int32(p))] = uint64(at)
		}
	}
	if own := c.client.Load(); own != nil {
		for name, n := range (*own)() {
			out["client."+name] = n
		}
	}
	return out
}
