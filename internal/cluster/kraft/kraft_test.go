package kraft

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/magiconair/properties"
)

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

func TestJVMFlags(t *testing.T) {
	const heap, tuning = "-Xms1g -Xmx1g", " -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35 -XX:+ExplicitGCInvokesConcurrent"
	const g1, quick = " -XX:+UseG1GC", " -XX:TieredStopAtLevel=1"
	for name, c := range map[string]struct {
		steady bool
		more   []string
		want   string
	}{
		"quick":                                {false, nil, heap + g1 + tuning + quick},
		"steady":                               {true, nil, heap + g1 + tuning},
		"the user's flags come last":           {false, []string{"-XX:TieredStopAtLevel=4"}, heap + g1 + tuning + quick + " -XX:TieredStopAtLevel=4"},
		"the user's collector is the only one": {false, []string{"-XX:+UseZGC"}, heap + tuning + quick + " -XX:+UseZGC"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := strings.Join(JVM("1g", c.steady, c.more), " "); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestNewUUID(t *testing.T) {
	seen := map[string]bool{}
	for range 2000 {
		id := NewUUID()
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
	ports, err := FreePorts(50)
	if err != nil {
		t.Fatal(err)
	}
	if distinct := slices.Compact(slices.Sorted(slices.Values(ports))); len(distinct) != 50 {
		t.Errorf("%d distinct ports of 50", len(distinct))
	}
}

func TestWritePropertiesKeepsValues(t *testing.T) {
	want := map[string]string{
		"plain": "1", "empty": "", "a path": `C:\kafka\n`, "lines": "a\nb", "spaces": "  both  ", "unicode": "Zürich ✓",
		"reference": "${plain}", "sign:=": "#a=b:c!",
	}
	path := filepath.Join(t.TempDir(), "p")
	if err := WriteProperties(path, want); err != nil {
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
