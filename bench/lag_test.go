package bench

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/clock"
	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/worker"
	"github.com/kbench/kbench/scenarios"
)

// slowClient is a client whose Send takes its time, for room in its buffer or for no reason that it tells of.
type slowClient struct {
	sink  client.Sink
	waits uint64
	takes func(n int) (d time.Duration, room bool)
	n     int
}

func (c *slowClient) Send(_ *client.Record, slot client.Slot) error {
	d, room := c.takes(c.n)
	c.n++
	time.Sleep(d)
	if room {
		c.waits++
	}
	c.sink([]client.Ack{{Slot: slot}})
	return nil
}

func (c *slowClient) Flush(context.Context) error { return nil }
func (c *slowClient) Close() error                { return nil }
func (c *slowClient) BufferWaits() uint64         { return c.waits }

type slowDriver struct{ client *slowClient }

func (slowDriver) Name() string    { return "slow" }
func (slowDriver) Version() string { return "slow" }
func (d slowDriver) NewProducer(_ []string, _ map[string]string, sink client.Sink) (client.Producer, error) {
	d.client.sink = sink
	return d.client, nil
}
func (slowDriver) NewConsumer([]string, map[string]string) (client.Consumer, error) { return nil, nil }

// TestLagTellsWhoHeldTheSenderUp: one Send takes 60 ms. Records that fell due meanwhile were held up until its end if it
// waited for room, and were not if it did not: then the machine was late.
func TestLagTellsWhoHeldTheSenderUp(t *testing.T) {
	const long = 60 * time.Millisecond
	for name, c := range map[string]struct{ room bool }{"by the client's full buffer": {true}, "by nobody": {false}} {
		t.Run(name, func(t *testing.T) {
			sends := scheduled(t, &slowClient{takes: func(n int) (time.Duration, bool) {
				if n == 20 {
					return long, c.room
				}
				return 0, false
			}})
			slow := sends[20]
			late := 0
			for _, op := range sends[21:] {
				if op.Intended >= slow.Return {
					break
				}
				late++
				if op.Call < slow.Return {
					t.Errorf("record %d was sent at %d, while the sender stood still until %d", op.Value.Seq, op.Call, slow.Return)
				}
				if held := op.Held >= slow.Return && op.Held <= op.Call; held != c.room {
					t.Errorf("record %d, due at %d and sent at %d: held until %d, the long send returned at %d", op.Value.Seq, op.Intended, op.Call, op.Held, slow.Return)
				}
			}
			if late < 30 {
				t.Errorf("%d records fell due in %v, want about 60", late, long)
			}
			if op := sends[19]; op.Held != 0 {
				t.Errorf("record 19, before the long send, was held until %d", op.Held)
			}
		})
	}
}

// scheduled has a producer send 1,000 records a second for 200 ms, and returns its sends in order.
func scheduled(t *testing.T, c *slowClient) []history.Op {
	t.Helper()
	now, err := clock.New()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	spec := sessionSpec{
		Log: filepath.Join(dir, "p0.1.log"), Clock: now.Base(),
		Header: history.Header{Version: 1, Run: 7, Producers: []string{"p0"}, Partitions: []string{"orders/0"}, Self: history.Client{Name: "p0", Session: 1}},
		Topics: []topicRef{{Name: "orders", Physical: "orders", Partitions: 1}},
		Producer: &producerSpec{Topics: []string{"orders"}, recordSpec: recordSpec{Size: 100}, Producers: 1, InFlight: 1 << 10,
			Stages: []scenarios.Stage{{For: time.Second, From: 1000, To: 1000}}},
	}
	s, err := newSession(spec, func(worker.Event) {}, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	p, err := newProducer(t.Context(), s, spec.Producer, slowDriver{c})
	if err != nil {
		t.Fatal(err)
	}
	start := p.clock.Now()
	if err := p.schedule(t.Context(), start, start, start+int64(200*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if err := s.log.Close(); err != nil {
		t.Fatal(err)
	}
	h, err := history.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	var sends []history.Op
	if err := h.Each(func(op *history.Op) error { sends = append(sends, *op); return nil }); err != nil {
		t.Fatal(err)
	}
	return sends
}
