package local

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/magiconair/properties"
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
			if err := writeProperties(got, nodeSettings(id, addrs, shared, "/data/log")); err != nil {
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

func TestWritePropertiesKeepsValues(t *testing.T) {
	want := map[string]string{
		"plain": "1", "empty": "", "a path": `C:\kafka\n`, "lines": "a\nb", "spaces": "  both  ", "unicode": "Zürich ✓",
		"reference": "${plain}", "sign:=": "#a=b:c!",
	}
	path := filepath.Join(t.TempDir(), "p")
	if err := writeProperties(path, want); err != nil {
		t.Fatal(err)
	}
	loader := properties.Loader{Encoding: properties.ISO_8859_1, DisableExpansion: true}
	read, err := loader.LoadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := read.Map(); !maps.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDefaultsFitTheBrokers(t *testing.T) {
	for _, c := range []struct {
		brokers          int
		replicas, minISR string
	}{{1, "1", "1"}, {2, "2", "2"}, {3, "3", "2"}, {5, "3", "2"}} {
		d := Defaults(c.brokers)
		if d["offsets.topic.replication.factor"] != c.replicas || d["transaction.state.log.replication.factor"] != c.replicas ||
			d["transaction.state.log.min.isr"] != c.minISR {
			t.Errorf("%d brokers: %v", c.brokers, d)
		}
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

func TestJVMFlags(t *testing.T) {
	const heap, tuning = "-Xms1g -Xmx1g", " -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35 -XX:+ExplicitGCInvokesConcurrent"
	const g1, quick = " -XX:+UseG1GC", " -XX:TieredStopAtLevel=1"
	for name, c := range map[string]struct {
		o    Options
		want string
	}{
		"quick":                                {Options{}, heap + g1 + tuning + quick},
		"steady":                               {Options{Steady: true}, heap + g1 + tuning},
		"the user's flags come last":           {Options{JVM: []string{"-XX:TieredStopAtLevel=4"}}, heap + g1 + tuning + quick + " -XX:TieredStopAtLevel=4"},
		"the user's collector is the only one": {Options{JVM: []string{"-XX:+UseZGC"}}, heap + tuning + quick + " -XX:+UseZGC"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := strings.Join(c.o.jvm("1g"), " "); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestNewUUID(t *testing.T) {
	seen := map[string]bool{}
	for range 2000 {
		id := newUUID()
		if len(id) != 22 || id[0] == '-' || seen[id] {
			t.Fatalf("%q is no new UUID in Kafka's spelling", id)
		}
		seen[id] = true
	}
}

func TestPortsOutside(t *testing.T) {
	for name, c := range map[string]struct {
		ephemeral string
		lo, hi    int
	}{
		"Linux's default":       {"32768\t60999\n", 10000, 32768},
		"the range starts low":  {"11000 40000", 40001, 65536},
		"the range is all":      {"1024 65535", 10000, 65536},
		"the range is not told": {"", 10000, 32768},
	} {
		t.Run(name, func(t *testing.T) {
			if lo, hi := portsOutside(c.ephemeral); lo != c.lo || hi != c.hi {
				t.Errorf("got %d to %d, want %d to %d", lo, hi, c.lo, c.hi)
			}
		})
	}
}

func TestFreePortsAreDistinct(t *testing.T) {
	ports, err := freePorts(50)
	if err != nil {
		t.Fatal(err)
	}
	if distinct := slices.Compact(slices.Sorted(slices.Values(ports))); len(distinct) != 50 {
		t.Errorf("%d distinct ports of 50", len(distinct))
	}
}
