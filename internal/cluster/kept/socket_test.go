package kept

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kbench/kbench/internal/cluster"
)

// fake is nodes that note what was done to them.
type fake struct {
	mu      sync.Mutex
	done    []string
	states  map[int32]string
	asked   int        // times for a broker's configuration
	stopped chan error // why a Stop that lasts was given up
}

func newFake() *fake {
	return &fake{states: map[int32]string{1: "running", 1001: "running"}, stopped: make(chan error, 1)}
}

func (f *fake) set(what string, node int32, state string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.states[node] == "" {
		return fmt.Errorf("the cluster has no node %d", node)
	}
	f.done = append(f.done, fmt.Sprintf("%s %d", what, node))
	f.states[node] = state
	return nil
}

func (f *fake) Kill(_ context.Context, n int32) error   { return f.set("kill", n, "dead") }
func (f *fake) Pause(_ context.Context, n int32) error  { return f.set("pause", n, "paused") }
func (f *fake) Resume(_ context.Context, n int32) error { return f.set("resume", n, "running") }
func (f *fake) Start(_ context.Context, n int32) error  { return f.set("start", n, "running") }
func (f *fake) Controllers() []int32                    { return []int32{1001} }
func (f *fake) Processes() map[int32]int                { return map[int32]int{1: 4711} }

// Stop of node 1001 lasts until nobody waits for it.
func (f *fake) Stop(ctx context.Context, n int32) error {
	if n == 1001 {
		<-ctx.Done()
		f.stopped <- context.Cause(ctx)
		return ctx.Err()
	}
	return f.set("stop", n, "dead")
}

func (f *fake) State(n int32) (cluster.ProcessState, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.states[n] == "" {
		return cluster.ProcessState{}, fmt.Errorf("the cluster has no node %d", n)
	}
	return cluster.ProcessState{Pid: 4711, State: f.states[n], Started: time.Unix(1700000000, 0)}, nil
}

// served are fake nodes behind a socket, in a folder whose name is longer than the kernel takes for a socket's.
func served(t *testing.T, closed func() error) (*fake, remote) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), strings.Repeat("long-", 30))
	ok(t, os.MkdirAll(dir, 0o700))
	l, err := listen(dir)
	ok(t, err)
	nodes, over := newFake(), make(chan struct{})
	go func() {
		defer close(over)
		serve(l, nodes, closed)
	}()
	t.Cleanup(func() {
		ok(t, l.Close())
		<-over
	})
	return nodes, remote{dir: dir, controllers: []int32{1001}, places: map[int32]Place{1: {"/data", "/log"}}}
}

func TestARequestReachesTheNodes(t *testing.T) {
	nodes, r := served(t, nil)
	ctx := t.Context()
	ok(t, r.Kill(ctx, 1), r.Start(ctx, 1), r.Pause(ctx, 1), r.Resume(ctx, 1), r.Stop(ctx, 1))
	if got := strings.Join(nodes.done, ", "); got != "kill 1, start 1, pause 1, resume 1, stop 1" {
		t.Errorf("done was %s", got)
	}
	st, err := r.State(1)
	if err != nil || st.State != "dead" || st.Pid != 4711 || !st.Started.Equal(time.Unix(1700000000, 0)) {
		t.Errorf("state %+v, %v", st, err)
	}
	if got := r.Processes(); !maps.Equal(got, map[int32]int{1: 4711}) {
		t.Errorf("processes %v", got)
	}
	dir, errDir := r.LogDir(1)
	log, errLog := r.ServerLog(1)
	ok(t, errDir, errLog)
	if dir != "/data" || log != "/log" {
		t.Errorf("logs at %s and %s", dir, log)
	}
	if _, err := r.LogDir(2); err == nil {
		t.Error("a broker that is none has logs")
	}
	if _, err := r.State(7); err == nil || err.Error() != "the cluster has no node 7" {
		t.Errorf("of a node that is none: %v", err)
	}
	if err := r.do(ctx, "dance", 1); err == nil || !strings.Contains(err.Error(), `cannot "dance"`) {
		t.Errorf("an unknown request: %v", err)
	}
}

func TestWhoGoesAwayIsNotWaitedFor(t *testing.T) {
	nodes, r := served(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := r.Stop(ctx, 1001); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	select {
	case err := <-nodes.stopped:
		if !strings.Contains(err.Error(), "went away") {
			t.Errorf("given up because %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the holder goes on stopping the node")
	}
}

func TestRemoveAsksTheHolderAndTellsWhatWentWrong(t *testing.T) {
	asked := 0
	_, r := served(t, func() error { asked++; return nil })
	ok(t, r.Remove(t.Context())) // nobody holds the claim
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	r.dir = t.TempDir()
	if _, err := r.State(1); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("without a holder: %v", err)
	}
	if got := r.Processes(); len(got) != 0 {
		t.Errorf("processes without a holder: %v", got)
	}
}
