package bench_test

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kbench/kbench/bench"
	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
	"github.com/kbench/kbench/internal/timing"
	"github.com/kbench/kbench/scenarios"
)

// TestPublishedLatencyIsTheArithmeticOfAKnownPause runs the whole of kbench on a server that stands still for 0.6 s, with a buffer
// that stops the sender long before, and holds what is published against arithmetic. What the machine does besides is in
// the arithmetic too, since that counts answers; so nothing here depends on how fast it is.
func TestPublishedLatencyIsTheArithmeticOfAKnownPause(t *testing.T) {
	for _, cell := range [][]string{
		{"client.acks=all", "client.buffer.memory=128KiB"},
		{"client.acks=1", "client.buffer.memory=128KiB", "producers.count=3"},
		{"client.acks=0", "client.buffer.memory=64MiB"},
	} {
		t.Run(strings.Join(cell, " "), func(t *testing.T) {
			r := stalled(t, cell...)
			run(t, r)
			result := compared(t, r.Dir)
			if len(result.Problems) > 0 || result.Due != result.Sent {
				t.Errorf("%d records due, %d on record: %v", result.Due, result.Sent, result.Problems)
			}
			held := false
			for _, row := range result.Rows {
				switch row.Figure {
				case "longest silence": // a busy machine hears what came before it late, and what comes after it too
					if row.Measured < row.Expected/2 {
						t.Errorf("%+v", row)
					}
					continue
				case "lag, held up":
					held = held || row.Measured > 300*time.Millisecond
				}
				if !row.Agrees {
					t.Errorf("%+v", row)
				}
			}
			if small := !strings.Contains(cell[1], "64MiB"); held != small {
				t.Errorf("the sender was held up for a good part of the pause: %v, want %v", held, small)
			}
		})
	}
}

// TestBrokenTimingsDisagreeWithArithmetic breaks kbench in the ways in which others are broken, and one more: each must show.
func TestBrokenTimingsDisagreeWithArithmetic(t *testing.T) {
	const holdsUp, takesAll = "client.buffer.memory=128KiB", "client.buffer.memory=64MiB"
	for name, c := range map[string]struct {
		buffer string
		broken func(t *testing.T, r *trial) (dir string)
	}{
		"a pacer that stops its clock while the sender is held up": {holdsUp, func(t *testing.T, r *trial) string {
			r.ReplacePacer(func(p bench.Pacer, start int64, now func() int64) bench.Pacer {
				return &stoppedClock{p: p, start: start, now: now}
			})
			run(t, r)
			return r.Dir
		}},
		"a recorder that counts from the call: coordinated omission": {holdsUp, func(t *testing.T, r *trial) string {
			run(t, r)
			return omitting(t, r.Dir)
		}},
		"acknowledgements that are told when the client has the record": {takesAll, func(t *testing.T, r *trial) string {
			r.Drivers = map[string]client.Driver{"confluent": hasty{r.Drivers["confluent"]}}
			run(t, r)
			return r.Dir
		}},
	} {
		t.Run(name, func(t *testing.T) {
			result := compared(t, c.broken(t, stalled(t, "client.acks=all", c.buffer)))
			wrong := func(row timing.Row) bool { return row.Figure == "ack response" && row.Quantile == "p95" && !row.Agrees }
			if result.Agrees() || !slices.ContainsFunc(result.Rows, wrong) {
				t.Errorf("nobody notices: %+v", result)
			}
		})
	}
}

// stalled is a short stalled-leader: 0.6 s in 2 s.
func stalled(t *testing.T, cell ...string) *trial {
	t.Helper()
	var changes []scenarios.Change
	for _, assignment := range append(slices.Clone(cell), "load.rate=2000/s", "load.warmup=200ms", "load.duration=2s", "matrix={}",
		"faults=[{at: 700ms, pause: leader(orders/0), for: 600ms}]") {
		c, err := scenarios.Set(assignment)
		if err != nil {
			t.Fatal(err)
		}
		changes = append(changes, c)
	}
	s, err := scenarios.Open("stalled-leader", changes...)
	if err != nil {
		t.Fatal(err)
	}
	source := string(scenarios.Marshal(s))
	r := newTrial(t, "confluent", "load: {rate: 1/s, duration: 1s}\n") // for its cluster
	r.Scenario, r.Source = s, []byte(source)
	return r
}

func run(t *testing.T, r *trial) {
	t.Helper()
	if _, err := bench.Run(t.Context(), r.Config); err != nil {
		t.Fatal(err)
	}
}

func compared(t *testing.T, dir string) timing.Result {
	t.Helper()
	result, err := timing.Check(dir)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// stoppedClock is ProducerPerformance's: what is due after a record that could not be sent in time is due that much later.
type stoppedClock struct {
	p       bench.Pacer
	start   int64
	now     func() int64
	stopped time.Duration
}

func (c *stoppedClock) At(n uint64) time.Duration {
	at := c.p.At(n)
	if at == math.MaxInt64 {
		return at
	}
	if behind := time.Duration(c.now()-c.start) - (at + c.stopped); behind > 5*time.Millisecond {
		c.stopped += behind
	}
	return at + c.stopped
}

// omitting is a copy of a run in which each record is said to have been due when it was sent.
func omitting(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "omitting")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	h, err := history.Open(rundir.History(dir))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(rundir.History(to)); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(rundir.History(to), 0o755); err != nil {
		t.Fatal(err)
	}
	logs := map[int32]*history.Writer{}
	err = h.Each(func(op *history.Op) error {
		log := logs[op.Client]
		if log == nil {
			head := h.Header
			head.Self, head.Clients = h.Header.Clients[op.Client], nil
			var err error
			if log, err = history.Create(rundir.Log(to, head.Self.Name, int(head.Self.Session)), head); err != nil {
				return err
			}
			logs[op.Client] = log
		}
		if op.Kind == history.Send {
			op.Intended, op.Held = op.Call, 0
		}
		return log.Append(op)
	})
	for _, log := range logs {
		err = errors.Join(err, log.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// hasty is a driver whose producers tell of a record's acknowledgement once the client has it.
type hasty struct{ client.Driver }

func (d hasty) NewProducer(bootstrap []string, settings map[string]string, sink client.Sink) (client.Producer, error) {
	p, err := d.Driver.NewProducer(bootstrap, settings, func([]client.Ack) {})
	return &hastyProducer{p, sink}, err
}

type hastyProducer struct {
	client.Producer
	sink client.Sink
}

func (p *hastyProducer) CopiesPayload() bool { return true }

func (p *hastyProducer) Send(r *client.Record, slot client.Slot) error {
	if err := p.Producer.Send(r, slot); err != nil {
		return err
	}
	p.sink([]client.Ack{{Slot: slot, Partition: 0, Offset: client.UnknownOffset}})
	return nil
}
