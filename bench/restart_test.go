package bench_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kbench/kbench/bench"
	"github.com/kbench/kbench/internal/check"
	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/rundir"
)

// failing is a client library whose consumers fail so many times, each once it was given something.
type failing struct {
	client.Driver
	times *atomic.Int32
}

func (d failing) NewConsumer(bootstrap []string, settings map[string]string) (client.Consumer, error) {
	c, err := d.Driver.NewConsumer(bootstrap, settings)
	return &failingConsumer{c, d.times}, err
}

type failingConsumer struct {
	client.Consumer
	times *atomic.Int32
}

func (c *failingConsumer) Poll(timeout time.Duration, n int) (client.Event, error) {
	e, err := c.Consumer.Poll(timeout, n)
	if err == nil && e.Kind == client.Delivery && c.times.Add(-1) >= 0 {
		return client.Event{}, errors.New("a library that gave up")
	}
	return e, err
}

func runFailing(t *testing.T, consumer string) (rundir.Meta, check.Judgement) {
	t.Helper()
	r := newTrial(t, "franz", steadyLoad+"guarantee: at-least-once\nclient: {acks: all}\nconsumer: {group: readers, commit: after-processing"+consumer+"}")
	times := &atomic.Int32{}
	times.Store(2)
	r.Drivers["franz"] = failing{r.Drivers["franz"], times}
	meta, err := bench.Run(t.Context(), r.Config)
	if err != nil || meta.Stage != rundir.Complete {
		t.Fatalf("stage %q: %v", meta.Stage, err)
	}
	return meta, judged(t, r.Dir)
}

// TestASupervisedSessionIsFollowedByAnother: an application that fails and is started again keeps its promise, and what
// happened is told.
func TestASupervisedSessionIsFollowedByAnother(t *testing.T) {
	t.Parallel()
	meta, j := runFailing(t, ", restart: on-failure")
	sessions := outcome{meta: meta}.sessions("c0")
	if len(sessions) != 3 || !sessions[0].Followed || !sessions[1].Followed || sessions[2].Followed || sessions[2].Error != "" || sessions[0].Error == "" {
		t.Errorf("the sessions of c0: %+v", sessions)
	}
	if j.Verdict != check.Holds || len(meta.FinalRead.Problems) > 0 || !meta.Judged.Drained {
		t.Errorf("%v because %q; problems %q", j.Verdict, j.Reasons, meta.FinalRead.Problems)
	}
	if told := strings.Join(meta.Warnings, "\n"); strings.Count(told, "ended by itself and was started again: poll: a library that gave up") != 2 {
		t.Errorf("warnings %q", meta.Warnings)
	}
}

func TestASessionWithoutASupervisorIsMissed(t *testing.T) {
	t.Parallel()
	meta, j := runFailing(t, "")
	if sessions := (outcome{meta: meta}).sessions("c0"); len(sessions) != 1 || sessions[0].Followed {
		t.Errorf("the sessions of c0: %+v", sessions)
	}
	if j.Verdict != check.Inconclusive || !strings.Contains(strings.Join(j.Reasons, "\n"), "a library that gave up") {
		t.Errorf("%v because %q", j.Verdict, j.Reasons)
	}
}
