package stats

// Growth is how fast what waits grew over the later two thirds of the measured part, as a share of the rate at which records
// fell due in them: 0.02 means that of a hundred records two more wait. It is the slope of a straight line through the number
// that waits, fitted by least squares: the two ends alone would tell of a moment's jitter as much as of a queue. A load that
// can go on like that has none.
// It is nil where nothing was due then, or where the measured part has no known end.
type Growth struct {
	Unacked *float64 // records that are due and not acknowledged
	Unread  *float64 // records that are due and not delivered; nil too where nobody polled
}

// later weighs what happened in the later two thirds of the measured part: what waits at their start is no matter.
//
// An event at t adds a step to a number that is fitted over [from, to); of a unit step's fit the slope is (1 - x²) · 3/2 over
// the length, where x goes from -1 to 1 with t. So weighted sums of events are slopes, and no event has to be kept.
type later struct {
	Window
	due, answered, delivered float64
}

func newLater(measured Window) later {
	if measured.To == never {
		return later{Window: Window{never, -1}}
	}
	return later{Window: Window{measured.From + (measured.To-measured.From)/3, measured.To}}
}

func (l *later) sent(intended int64) { l.due += l.weight(intended) }
func (l *later) acked(at int64)      { l.answered += l.weight(at) }
func (l *later) read(at int64)       { l.delivered += l.weight(at) }

func (l *later) weight(t int64) float64 {
	if !l.Has(t) {
		return 0
	}
	x := 2*float64(t-l.From)/float64(l.To-l.From) - 1
	return 1 - x*x
}

func (l *later) growth(polled bool) Growth {
	if l.due == 0 {
		return Growth{}
	}
	missing := func(done float64) *float64 {
		share := (l.due - done) / l.due
		return &share
	}
	g := Growth{Unacked: missing(l.answered)}
	if polled {
		g.Unread = missing(l.delivered)
	}
	return g
}
