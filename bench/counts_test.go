package bench

import (
	"context"
	"encoding/json"
	"maps"
	"testing"

	"github.com/kbench/kbench/internal/rundir"
	"github.com/kbench/kbench/internal/worker"
)

// What the clients count after a second fault has begun is no sign of a defence against the first, unless that lasts.
func TestEachFaultHasItsOwnShareOfTheCounters(t *testing.T) {
	healed := int64(20)
	for _, c := range []struct {
		name          string
		healed        *int64 // of the first, when the second begins
		first, second uint64
	}{
		{"one after the other", &healed, 3, 4},
		{"side by side", nil, 7, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			told := make(chan uint64)
			r := &run{crew: &crew{ctx: t.Context(), dir: t.TempDir(), wall: newWall(func() int64 { return 0 }, 0)}}
			r.crew.body = func(_ context.Context, _ json.RawMessage, _ <-chan worker.Command, emit func(worker.Event)) error {
				for n := range told {
					emit(worker.Event{Is: worker.Final, Counters: map[string]uint64{"client.retries": n, "sent": 9}})
				}
				return nil
			}
			m := r.crew.add(roleProducer, 0, false, sessionSpec{})
			if err := r.crew.launch(m); err != nil {
				t.Fatal(err)
			}
			tell := func(n uint64) {
				told <- n
				for r.crew.counters()["client.retries"] != n {
				}
			}
			first, second := rundir.Fault{Name: "kill", At: 10}, rundir.Fault{Name: "pause", At: 30}
			tell(1)
			r.keepFaults([]rundir.Fault{first})
			tell(4)
			first.Healed = c.healed
			r.keepFaults([]rundir.Fault{first, second})
			tell(8)
			first.Healed = &healed
			r.keepFaults([]rundir.Fault{first, second})
			r.countFaults()
			close(told)
			for i, want := range []uint64{c.first, c.second} {
				if got := r.meta.Faults[i].Counters; !maps.Equal(got, map[string]uint64{"client.retries": want}) {
					t.Errorf("%s: %v, want %d retries", r.meta.Faults[i].Name, got, want)
				}
			}
		})
	}
}
