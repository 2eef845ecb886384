package local

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kbench/kbench/internal/cluster/kraft"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestNodeSettings(t *testing.T) {
	addrs := map[int32]address{
		1:    {client: "127.0.0.1:10001", internal: "127.0.0.1:10002", public: "127.0.0.1:10001"},
		2:    {client: "127.0.0.1:10003", internal: "127.0.0.1:10004", public: "127.0.0.1:20003"}, // proxied
		1001: {control: "127.0.0.1:10005"},
		1002: {control: "127.0.0.1:10006"},
	}
	shared := Options{Brokers: 2, Config: map[string]string{"min.insync.replicas": "2", "offsets.topic.num.partitions": "50"}}.settings()
	for name, id := range map[string]int32{"broker": 1, "proxied-broker": 2, "controller": 1002} {
		t.Run(name, func(t *testing.T) {
			got := filepath.Join(t.TempDir(), "node.properties")
			if err := kraft.WriteProperties(got, nodeSettings(id, addrs, shared, "/data/log")); err != nil {
				t.Fatal(err)
			}
			golden(t, got, filepath.Join("testdata", name+".properties"))
		})
	}
}

func golden(t *testing.T, gotFile, wantFile string) {
	t.Helper()
	got, err := os.ReadFile(gotFile)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(wantFile, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(wantFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestOptionsRefuse(t *testing.T) {
	good := Options{Dir: "d", CacheDir: "c"}
	for name, c := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"a setting that ties nodes together": {func(o *Options) { o.Config = map[string]string{"node.id": "7"} }, "node.id"},
		"no cache":                           {func(o *Options) { o.CacheDir = "" }, "cache"},
		"no folder for logs":                 {func(o *Options) { o.Dir = "" }, "logs"},
		"fewer than no brokers":              {func(o *Options) { o.Brokers = -1 }, "-1 brokers"},
	} {
		t.Run(name, func(t *testing.T) {
			o := good
			c.change(&o)
			if _, err := o.withDefaults(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error about %q", err, c.want)
			}
		})
	}
	if _, err := good.withDefaults(); err != nil {
		t.Errorf("good options refused: %v", err)
	}
}
