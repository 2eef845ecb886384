package kept

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kbench/kbench/internal/cluster"
	"github.com/kbench/kbench/internal/cluster/clustertest"
	"github.com/kbench/kbench/internal/cluster/local"
	"github.com/kbench/kbench/internal/proc"
)

// TestMain lets the test binary be the holder.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "holder" {
		os.Exit(serveHere())
	}
	os.Exit(m.Run())
}

func serveHere() int {
	cache, err := os.UserCacheDir()
	if err != nil {
		return 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	base := local.Options{CacheDir: filepath.Join(cache, "kbench"), KafkaHome: os.Getenv("KAFKA_HOME")}
	if Serve(ctx, os.Stdin, os.Stdout, os.Stderr, base) != nil {
		return 1
	}
	return 0
}

func localStore(t *testing.T) Store {
	t.Helper()
	clustertest.Require(t)
	self, err := os.Executable()
	ok(t, err)
	return Store{Dir: t.TempDir(), Kinds: map[cluster.Kind]Kind{cluster.Local: Local{Argv: []string{self, "holder"}}}, Note: t.Logf}
}

// start starts a kept cluster of one broker, which is removed at the end at the latest.
func start(t *testing.T, s Store, name string) Kept {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute) // another package's cluster may have to end first
	defer cancel()
	k, err := s.Up(ctx, Spec{Name: name, Kind: cluster.Local, Brokers: 1, Controllers: 1, Config: map[string]string{"min.insync.replicas": "1"}})
	ok(t, err)
	t.Cleanup(func() {
		if k, found, _ := s.Find(context.Background(), name); found {
			ok(t, s.Down(context.Background(), k))
		}
	})
	return k
}

// gone waits until none of the processes is there any more.
func gone(t *testing.T, pids []int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for _, pid := range pids {
		ok(t, proc.Await(ctx, pid, proc.Dead))
	}
}

func pidsOf(k Kept) (pids []int) {
	for _, pid := range k.Processes() {
		pids = append(pids, pid)
	}
	return pids
}

func holderOf(t *testing.T, k Kept) int {
	t.Helper()
	var h holder
	ok(t, json.Unmarshal(k.Handle, &h))
	return h.Pid
}

func dataOf(k Kept) string { return filepath.Dir(filepath.Dir(k.Places[1].LogDir)) }

func state(t *testing.T, k Kept, want string) {
	t.Helper()
	if st, err := k.State(1); err != nil || st.State != want {
		t.Errorf("broker 1 is %+v, %v; want %s", st, err, want)
	}
}

func TestLocalNodesStayUntilTheyAreRemoved(t *testing.T) {
	s := localStore(t)
	k := start(t, s, "one")
	if k.Info.Version == "" || k.Info.Kind != "local" || k.Settings["min.insync.replicas"] != "1" || len(k.Bootstrap) != 1 {
		t.Errorf("record %+v", k.Record)
	}
	if len(pidsOf(k)) != 2 || !slices.Equal(k.Nodes.Controllers(), []int32{1001}) {
		t.Errorf("processes %v, controllers %v", k.Processes(), k.Nodes.Controllers())
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	state(t, k, proc.Running)
	ok(t, k.Kill(ctx, 1))
	state(t, k, proc.Dead)
	if err := k.Kill(ctx, 1); err == nil || !strings.Contains(err.Error(), "broker-1 is dead") {
		t.Errorf("killed twice: %v", err)
	}
	ok(t, k.Start(ctx, 1), k.Pause(ctx, 1))
	state(t, k, proc.Paused)
	ok(t, k.Resume(ctx, 1))
	if _, err := os.Stat(k.Places[1].LogDir); err != nil {
		t.Error(err)
	}

	two := start(t, s, "two") // a second one does not wait for the first
	var waited []string
	short, stop := context.WithTimeout(t.Context(), time.Second)
	defer stop()
	cache, err := os.UserCacheDir()
	ok(t, err)
	_, err = local.Lock(short, filepath.Join(cache, "kbench"), func(format string, args ...any) { waited = append(waited, args[0].(string)) })
	if !errors.Is(err, context.DeadlineExceeded) || len(waited) != 1 || !strings.Contains(waited[0], "'kbench cluster down two' stops it") {
		t.Errorf("a run's own cluster: %v, told %q", err, waited)
	}
	pids := append(pidsOf(k), pidsOf(two)...)
	ok(t, s.Down(ctx, k), s.Down(ctx, two))
	gone(t, append(pids, holderOf(t, k)))
	for _, dir := range []string{dataOf(k), s.folder("one"), s.folder("two")} {
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s is there", dir)
		}
	}
}

func TestAHolderThatWasKilledIsNoticed(t *testing.T) {
	s := localStore(t)
	k := start(t, s, "a")
	pids, data := pidsOf(k), dataOf(k)
	ok(t, syscall.Kill(holderOf(t, k), syscall.SIGKILL))
	gone(t, pids)
	if got := names(t, s); got != nil {
		t.Errorf("up are %v", got)
	}
	for _, dir := range []string{data, s.folder("a")} {
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s is there", dir)
		}
	}
}

func TestAHolderThatDoesNotAnswerIsKilled(t *testing.T) {
	s := localStore(t)
	k := start(t, s, "a")
	pids := append(pidsOf(k), holderOf(t, k))
	ok(t, os.Remove(filepath.Join(s.folder("a"), socketFile)), s.Down(t.Context(), k))
	gone(t, pids)
}

func TestAnInterruptedStartLeavesNothing(t *testing.T) {
	s := localStore(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	time.AfterFunc(500*time.Millisecond, func() { cancel(enough) })
	if _, err := s.Up(ctx, Spec{Name: "a", Kind: cluster.Local, Brokers: 1, Controllers: 1}); !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(s.folder("a")); err == nil {
		t.Error("its folder is there")
	}
}

func TestAStartThatFailsSaysWhy(t *testing.T) {
	s := localStore(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	_, err := s.Up(ctx, Spec{Name: "a", Kind: cluster.Local, Brokers: 1, Controllers: 1, JVM: []string{"-XX:+NoSuchFlag"}})
	if err == nil || !strings.Contains(err.Error(), "NoSuchFlag") {
		t.Errorf("got %v", err)
	}
	if got := names(t, s); got != nil {
		t.Errorf("up are %v", got)
	}
}
