package clustertest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kbench/kbench/internal/cluster"
)

// OK ends the test at an error.
func OK(t testing.TB, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// Limit is a context that ends with the test, or earlier.
func Limit(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// Want has a node be in a state.
func Want(t testing.TB, p cluster.Process, node int32, state string) cluster.ProcessState {
	t.Helper()
	st, err := p.State(node)
	if err != nil || st.State != state {
		t.Fatalf("node %d: %+v, %v, want it %s", node, st, err, state)
	}
	return st
}

// Unhealthy has a cluster not be healthy within a time, and say what is missing.
func Unhealthy(t testing.TB, c cluster.Cluster, within time.Duration, why string) {
	t.Helper()
	if err := c.Healthy(Limit(t, within)); err == nil || !strings.Contains(err.Error(), why) {
		t.Fatalf("healthy: %v, want %q", err, why)
	}
}
