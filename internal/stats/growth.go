package stats

// Growth is by how much what waits grew over the later two thirds of the measured part, as a share of the records that
// fell due in them: 0.02 means that of a hundred records two more wait at the end. A load that can go on like that has none.
// It is nil where nothing was due then, or where the measured part has no known end.
type Growth struct {
	Unacked *float64 // records that are due and not acknowledged
	Unread  *float64 // records that are due and not delivered; nil too where nobody polled
}

// later counts what happened in the later two thirds of the measured part: what waits at their start is no matter.
type later struct {
	Window
	due, answered, delivered uint64
}

func newLater(measured Window) later {
	if measured.To == never {
		return later{Window: Window{never, -1}}
	}
	return later{Window: Window{measured.From + (measured.To-measured.From)/3, measured.To}}
}

func (l *later) sent(intended int64) { l.due += l.has(intended) }
func (l *later) acked(at int64)      { l.answered += l.has(at) }
func (l *later) read(at int64)       { l.delivered += l.has(at) }

func (l *later) has(t int64) uint64 {
	if l.Has(t) {
		return 1
	}
	return 0
}

func (l *later) growth(polled bool) Growth {
	if l.due == 0 {
		return Growth{}
	}
	missing := func(done uint64) *float64 {
		share := (float64(l.due) - float64(done)) / float64(l.due)
		return &share
	}
	g := Growth{Unacked: missing(l.answered)}
	if polled {
		g.Unread = missing(l.delivered)
	}
	return g
}
