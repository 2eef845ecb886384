package kept

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kbench/kbench/internal/cluster"
	"github.com/kbench/kbench/internal/cluster/docker"
	"github.com/kbench/kbench/internal/proc"
)

func TestContainersStayUntilTheyAreRemoved(t *testing.T) {
	image := os.Getenv("KBENCH_IMAGE")
	if image == "" {
		image = "kbench/kafka:4.3.1"
	}
	if missing := docker.Available(t.Context(), docker.Options{Image: image}); missing != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("a cluster in containers is required: %v", missing)
		}
		t.Skipf("NOT TESTED, for want of a cluster in containers: %v", missing)
	}
	s := Store{Dir: t.TempDir(), Kinds: map[cluster.Kind]Kind{cluster.Docker: Docker{}}, Note: t.Logf}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	made, err := s.Up(ctx, Spec{Name: "a", Kind: cluster.Docker, Brokers: 1, Controllers: 1, Image: image, Config: map[string]string{"min.insync.replicas": "1"}})
	ok(t, err)
	var of containers
	ok(t, json.Unmarshal(made.Handle, &of), made.Close())
	t.Cleanup(func() { _ = docker.Remove(context.Background(), of.Run) })

	k, found, err := s.Find(ctx, "a")
	ok(t, err)
	if !found || k.Info.Kind != "docker" || len(k.Bootstrap) != 1 {
		t.Fatalf("found %v: %+v", found, k.Record)
	}
	state(t, k, proc.Running)
	ok(t, k.Kill(ctx, 1))
	state(t, k, proc.Dead)
	ok(t, k.Start(ctx, 1))
	state(t, k, proc.Running)
	if _, linkable := k.Nodes.(linked); !linkable {
		t.Error("its nodes cannot be cut from their peers")
	}
	other := of
	other.On.ID = "of another machine"
	if err := other.gone(ctx); err == nil || errors.Is(err, ErrGone) || !strings.Contains(err.Error(), "DOCKER_HOST") {
		t.Errorf("an engine that has never heard of it says %v", err)
	}
	ok(t, k.Close(), docker.Remove(ctx, of.Run)) // behind the store's back
	if got := names(t, s); got != nil {
		t.Errorf("up are %v", got)
	}
}
