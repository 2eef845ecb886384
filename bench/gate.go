package bench

import (
	"context"
	"sync"

	"github.com/kbench/kbench/internal/worker"
)

// gate holds a session at a named point, so that a fault can strike it there and nowhere else.
type gate struct {
	mu       sync.Mutex
	point    string        // where to hold, "" for nowhere
	released chan struct{} // closed when the hold ends
}

func (g *gate) hold(point string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.released == nil {
		g.released = make(chan struct{})
	}
	g.point = point
}

// open lets the session go on and holds it nowhere.
func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.point = ""
	if g.released != nil {
		close(g.released)
		g.released = nil
	}
}

// pass stops at the point for as long as the session is held there, with n records in hand.
func (g *gate) pass(ctx context.Context, point string, n int, emit func(worker.Event)) {
	g.mu.Lock()
	wait := g.released
	if g.point != point {
		wait = nil
	}
	g.mu.Unlock()
	if wait == nil {
		return
	}
	emit(worker.Event{Is: worker.Held, Point: point, N: n})
	select {
	case <-wait:
	case <-ctx.Done():
	}
	emit(worker.Event{Is: worker.Released})
}
