package stats

import (
	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
)

// Backlog is how the records were built up that groups then worked off, see Group.Drain.
type Backlog struct {
	Acked     uint64
	AckedPerS *float64 // from the first call to the last acknowledgement
	MiBPerS   *float64
}

// builder gathers a Backlog.
type builder struct {
	f           Backlog
	of          *rundir.Backlog // nil: there was none
	first, last int64
	bytes       int64
}

// sent takes any send of the load.
func (b *builder) sent(op *history.Op, intended int64) {
	if b.of == nil || op.Outcome != history.OK || intended < b.of.Start || intended > b.of.Built {
		return
	}
	if b.f.Acked++; b.f.Acked == 1 || op.Call < b.first {
		b.first = op.Call
	}
	b.last = max(b.last, op.Return)
	b.bytes += op.Size
}

func (b *builder) finish() *Backlog {
	if b.of == nil {
		return nil
	}
	if b.f.AckedPerS = perSecond(b.f.Acked, b.first, b.last); b.f.AckedPerS != nil {
		mib := *b.f.AckedPerS * float64(b.bytes) / float64(b.f.Acked) / (1 << 20)
		b.f.MiBPerS = &mib
	}
	return &b.f
}
