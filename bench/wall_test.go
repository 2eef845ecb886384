package bench

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kbench/kbench/internal/worker"
)

func TestTheWallClockIsWatchedAllTheTime(t *testing.T) {
	const second = int64(time.Second)
	for _, c := range []struct {
		name  string
		steps []int64 // where it stands, one after the other
		want  int64
	}{
		{"it never moves", []int64{7, 7, 7}, 0},
		{"there and back", []int64{7, 7 + 5*second, 7}, 5 * second},
		{"back and there", []int64{7, 7 - 5*second, 7}, -5 * second},
		{"farther one way than the other", []int64{7, 7 + second, 7 - 2*second, 7 + second}, -2 * second},
	} {
		t.Run(c.name, func(t *testing.T) {
			var stands atomic.Int64
			stands.Store(c.steps[0])
			w := newWall(stands.Load, c.steps[0])
			ctx, cancel := context.WithCancel(t.Context())
			watched := make(chan struct{})
			go func() { defer close(watched); w.watch(ctx) }()
			for _, at := range c.steps {
				stands.Store(at)
				time.Sleep(4 * wallEvery)
			}
			cancel()
			<-watched
			if got := w.step(); got != c.want {
				t.Errorf("the farthest was %d, want %d", got, c.want)
			}
		})
	}
}

func TestAnInterruptedReadingIsNoStep(t *testing.T) {
	readings := []int64{0, 900, 0, 0}
	w := newWall(func() int64 { r := readings[0]; readings = readings[1:]; return r }, 0)
	w.look()
	if got := w.step(); got != 0 {
		t.Errorf("%d", got)
	}
}

func TestAStampIsWhatTheWallClockShows(t *testing.T) {
	stands := int64(1_700_000_000_000_000_000)
	w := newWall(func() int64 { return stands }, stands)
	if got := w.stamp(5_999_999); got != 1_700_000_000_005 {
		t.Errorf("%d", got)
	}
	stands += time.Hour.Nanoseconds()
	w.look()
	if got := w.stamp(5_999_999); got != 1_700_003_600_005 {
		t.Errorf("after a step of an hour: %d", got)
	}
}

// What a session sees of the wall clock counts as what the run sees.
func TestASessionTellsOfTheWallClock(t *testing.T) {
	hour := time.Hour.Nanoseconds()
	c := &crew{ctx: t.Context(), dir: t.TempDir(), wall: newWall(func() int64 { return 0 }, 0)}
	c.body = func(_ context.Context, _ json.RawMessage, _ <-chan worker.Command, emit func(worker.Event)) error {
		emit(worker.Event{Is: worker.Counts, Wall: hour})
		emit(worker.Event{Is: worker.Final, Wall: 5})
		return nil
	}
	m := c.add(roleProducer, 0, false, sessionSpec{})
	if err := c.launch(m); err != nil {
		t.Fatal(err)
	}
	<-m.over
	if got := c.wall.step(); got != hour {
		t.Errorf("%d", got)
	}
}
