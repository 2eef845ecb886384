package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/clock"
	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/payload"
	"github.com/kbench/kbench/internal/worker"
)

// What kbench's own clients do wrong would be blamed on the cluster. These tests hold them to their part.

// script is a driver whose transactional producer and whose reader do what a test says.
type script struct {
	silent  bool  // no send is ever acknowledged
	refuse  int   // commits that are refused before one is taken
	lose    int   // outputs that fail before one is stored
	abort   error // what Abort returns
	inputs  int
	opened  int // readers
	read    int
	kept    int64 // the group's committed offset
	pending int64
	stop    func()
}

func (*script) Name() string    { return "script" }
func (*script) Version() string { return "0" }
func (s *script) NewProducer(_ []string, _ map[string]string, sink client.Sink) (client.Producer, error) {
	return &scriptedProducer{s, sink}, nil
}

func (s *script) NewConsumer([]string, map[string]string) (client.Consumer, error) {
	s.opened++
	return &scriptedReader{script: s, at: s.kept}, nil
}

type scriptedProducer struct {
	*script
	sink client.Sink
}

// refusal can only be answered by an abort.
type refusal struct{ error }

func (refusal) Abortable() bool { return true }

func (p *scriptedProducer) Send(_ *client.Record, slot client.Slot) error {
	switch {
	case p.silent:
	case p.lose > 0:
		p.lose--
		p.sink([]client.Ack{{Slot: slot, Partition: 0, Offset: client.UnknownOffset, Err: errors.New("timed out")}})
	default:
		p.sink([]client.Ack{{Slot: slot, Partition: 0, Offset: client.UnknownOffset}})
	}
	return nil
}

func (p *scriptedProducer) Flush(context.Context) error {
	if p.silent {
		return errors.New("no answer")
	}
	return nil
}
func (*scriptedProducer) Close() error                           { return nil }
func (*scriptedProducer) InitTransactions(context.Context) error { return nil }
func (*scriptedProducer) BeginTransaction() error                { return nil }

func (p *scriptedProducer) SendOffsets(_ context.Context, at []client.PartitionOffset, _ client.GroupMetadata) error {
	p.pending = at[0].Offset
	return nil
}

func (p *scriptedProducer) Commit(context.Context) error {
	if p.refuse > 0 {
		p.refuse--
		return refusal{errors.New("abort me")}
	}
	p.kept = p.pending
	return nil
}
func (p *scriptedProducer) Abort(context.Context) error { return p.abort }

// scriptedReader delivers one input a poll from where the group has committed, and ends the session after the last.
type scriptedReader struct {
	*script
	at int64
}

func (*scriptedReader) Subscribe([]string) error              { return nil }
func (*scriptedReader) Assign([]client.PartitionOffset) error { return nil }
func (r *scriptedReader) Poll(time.Duration, int) (client.Event, error) {
	if r.read++; r.at >= int64(r.inputs) || r.read > 100 {
		r.stop()
		return client.Event{}, nil
	}
	value := make([]byte, payload.Size)
	payload.Put(value, payload.Head{Attempt: 1, Session: 1, Run: 7, Seq: uint64(r.at)})
	r.at++
	return client.Event{Kind: client.Delivery, Records: []client.Fetched{{Topic: "in-x", Offset: r.at - 1, Value: value}}}, nil
}

func (r *scriptedReader) Commit(_ context.Context, at []client.PartitionOffset) error {
	r.kept = at[0].Offset
	return nil
}
func (*scriptedReader) Committed(context.Context, []client.Partition) ([]client.PartitionOffset, error) {
	return nil, nil
}
func (*scriptedReader) GroupMetadata() (client.GroupMetadata, error) {
	return client.Anonymous("g"), nil
}
func (*scriptedReader) Close() error { return nil }

// session runs one to its end and returns its history's operations.
func (s *script) session(t *testing.T, spec sessionSpec, commands ...worker.Command) (ops []history.Op, err error) {
	t.Helper()
	c, err := clock.New()
	if err != nil {
		t.Fatal(err)
	}
	spec.Log, spec.Clock = filepath.Join(t.TempDir(), spec.Header.Self.Name+".1.log"), c.Base()
	in := make(chan worker.Command, len(commands)+1)
	for _, command := range commands {
		in <- command
	}
	s.stop = func() {
		select {
		case in <- worker.Command{Do: worker.Stop}:
		default:
		}
	}
	err = runSession(t.Context(), spec, s, in, func(worker.Event) {}, nil)
	h, opened := history.Open(filepath.Dir(spec.Log))
	if opened != nil {
		t.Fatal(opened)
	}
	if !h.Sessions[0].Closed {
		t.Error("the log is not closed")
	}
	if each := h.Each(func(op *history.Op) error { ops = append(ops, *op); return nil }); each != nil {
		t.Fatal(each)
	}
	return ops, err
}

func scriptedSpec(name, role string) sessionSpec {
	return sessionSpec{
		Role: role,
		Header: history.Header{
			Version: 1, Run: 7, Partitions: []string{"in/0", "out/0"}, Producers: []string{name}, Self: history.Client{Name: name, Session: 1},
		},
		Topics: []topicRef{{Name: "in", Physical: "in-x", Partitions: 1}, {Name: "out", Physical: "out-x", First: 1, Partitions: 1}},
	}
}

// A log that is closed tells of every send: else what a failed session sent would be taken for a stranger's.
func TestASessionThatFailsWritesDownWhatWasNotAnswered(t *testing.T) {
	s := &script{silent: true, abort: errors.New("no answer either")}
	spec := scriptedSpec("p0", roleProducer)
	spec.Producer = &producerSpec{
		Settings: map[string]string{"transactional.id": "t"}, Topics: []string{"in-x"}, recordSpec: recordSpec{Size: 100}, Producers: 1, InFlight: 8, Txn: txnSpec{Size: 3},
	}
	ops, err := s.session(t, spec, worker.Command{ID: 1, Do: worker.SendN, N: 3})
	if err == nil {
		t.Error("the session failed, and does not say so")
	}
	open := 0
	for _, op := range ops {
		if op.Kind == history.Send && op.Outcome == history.Indeterminate {
			open++
		}
	}
	if open != 3 {
		t.Errorf("%d of 3 unanswered sends are in the log", open)
	}
}

// An input is committed only with its output, whatever becomes of outputs and commits.
func TestAProcessorCommitsNoInputWithoutItsOutput(t *testing.T) {
	for _, c := range []struct {
		name          string
		script        script
		transactional bool
	}{
		{"a commit is refused", script{refuse: 1}, true},
		{"commits are refused again and again", script{refuse: 5}, true},
		{"an output fails in a transaction", script{lose: 1}, true},
		{"an output fails without transactions", script{lose: 2}, false},
		{"nothing fails", script{}, true},
		{"nothing fails without transactions", script{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := c.script
			s.inputs = 4
			spec := scriptedSpec("w0", roleProcessor)
			settings := map[string]string{}
			if c.transactional {
				settings["transactional.id"] = "t"
			}
			spec.Processor = &processorSpec{
				From: spec.Topics[0], Group: "g", GroupID: "g-x", Batch: 1,
				Producer: producerSpec{Settings: settings, Topics: []string{"out-x"}, recordSpec: recordSpec{Size: 100, Payload: payloadSpec{Kind: "random"}}, Producers: 1, InFlight: 8},
			}
			ops, err := s.session(t, spec)
			if err != nil {
				t.Fatal(err)
			}
			stored := map[uint64]history.Outcome{}
			for _, op := range ops {
				if op.Kind == history.Txn {
					stored[op.Txn] = op.Outcome
				}
			}
			answered := map[int64]int{}
			for _, op := range ops {
				if op.Kind == history.Send && op.Outcome == history.OK && (!c.transactional || stored[op.Txn] == history.OK) {
					answered[op.FromOffset]++
				}
			}
			if got := fmt.Sprint(answered); got != "map[0:1 1:1 2:1 3:1]" || s.kept != 4 {
				t.Errorf("outputs by input %s, committed to %d", got, s.kept)
			}
		})
	}
}

// Where a member has come to is no amount: the sessions of a member must not add up to the end of a partition.
func TestPositionsOfSessionsDoNotAddUp(t *testing.T) {
	c := &crew{ctx: t.Context(), dir: t.TempDir(), abort: func(error) {}, wall: newWall(func() int64 { return 0 }, 0)}
	c.body = func(_ context.Context, _ json.RawMessage, _ <-chan worker.Command, emit func(worker.Event)) error {
		emit(worker.Event{Is: worker.Counts, Counters: map[string]uint64{positionName(0): 40, "processed": 40}})
		return nil
	}
	m := c.add(roleConsumer, 0, false, scriptedSpec("c0", roleConsumer))
	for range 3 {
		if err := c.launch(m); err != nil {
			t.Fatal(err)
		}
		<-m.over
	}
	if at := m.position(0); at != 40 {
		t.Errorf("three sessions that each came to 40 stand at %d", at)
	}
	if n := m.count("processed"); n != 120 {
		t.Errorf("they handled %d, not 120", n)
	}
}
