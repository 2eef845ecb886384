// Package clustertest gives tests real clusters.
package clustertest

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kbench/kbench/internal/cluster"
	"github.com/kbench/kbench/internal/cluster/local"
)

// startLimit covers the first start ever, which fetches Kafka, and waiting for another package's cluster.
const startLimit = 20 * time.Minute

// Require makes sure that a local cluster can be started. Where it cannot, the test fails if CI=true or KBENCH_REQUIRE
// names local, and else is skipped with a word about what was not tested.
func Require(t testing.TB) {
	t.Helper()
	missing := local.Available(options(t))
	if missing == nil {
		return
	}
	if required("local", os.Getenv("CI"), os.Getenv("KBENCH_REQUIRE")) {
		t.Fatalf("a real cluster is required: %v", missing)
	}
	t.Skipf("NOT TESTED, for want of a real cluster: %v", missing)
}

// required tells whether a kind of cluster must be there.
func required(kind, ci, require string) bool {
	return ci == "true" || slices.Contains(strings.Split(require, ","), kind)
}

// Start starts a cluster that ends with the test. Folders that o leaves out are filled in: the cache is the user's, so
// that tests fetch nothing anew. When the test fails, the end of each node's log is told.
func Start(t testing.TB, o local.Options) cluster.Cluster {
	t.Helper()
	Require(t)
	defaults := options(t)
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	o.CacheDir = orElse(o.CacheDir, defaults.CacheDir)
	o.KafkaHome = orElse(o.KafkaHome, defaults.KafkaHome)
	if o.Note == nil {
		o.Note = t.Logf
	}
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	defer cancel()
	c, err := local.Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			tellLogs(t, o.Dir)
		}
	})
	return c
}

// options as kbench itself would fill them in.
func options(t testing.TB) local.Options {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return local.Options{CacheDir: filepath.Join(cache, "kbench"), KafkaHome: os.Getenv("KAFKA_HOME")}
}

func tellLogs(t testing.TB, dir string) {
	logs, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		t.Error(err)
	}
	for _, path := range logs {
		log, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
		}
		lines := strings.Split(strings.TrimSpace(string(log)), "\n")
		t.Logf("%s:\n%s", filepath.Base(path), strings.Join(lines[max(0, len(lines)-15):], "\n"))
	}
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
