package bench

import (
	"context"
	"testing"

	"github.com/kbench/kbench/internal/worker"
)

func TestGateHoldsAtItsPointOnly(t *testing.T) {
	var g gate
	events := make(chan worker.Event, 2)
	emit := func(e worker.Event) { events <- e }
	g.hold(pointHandled)
	g.pass(t.Context(), pointPolled, 1, emit) // returns at once
	passed := make(chan struct{})
	go func() {
		g.pass(t.Context(), pointHandled, 3, emit)
		close(passed)
	}()
	if e := <-events; e.Is != worker.Held || e.Point != pointHandled || e.N != 3 {
		t.Fatalf("told %+v", e)
	}
	g.open()
	<-passed
	if e := <-events; e.Is != worker.Released {
		t.Fatalf("told %+v", e)
	}
	g.pass(t.Context(), pointHandled, 1, emit) // held nowhere any more
}

func TestGateLetsGoWhenTheSessionEnds(t *testing.T) {
	var g gate
	g.hold(pointPolled)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	g.pass(ctx, pointPolled, 1, func(worker.Event) {})
}
