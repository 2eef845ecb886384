package doctor

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"
)

// fake is a probe that knows no more than it was given.
type fake struct {
	files  map[string]string
	free   map[string]uint64
	cpus   int
	java   int
	engine *Engine
	hang   chan struct{} // what Kafka waits for, deaf to its context
}

func (f fake) Command(context.Context, string, ...string) (string, error) {
	return "", errors.New("not found")
}

func (f fake) File(path string) (string, error) {
	if text, ok := f.files[path]; ok {
		return text, nil
	}
	return "", fs.ErrNotExist
}

func (f fake) Free(dir string) (uint64, error) {
	if free, ok := f.free[dir]; ok {
		return free, nil
	}
	return 0, fs.ErrNotExist
}

func (f fake) Java(context.Context) (int, error) {
	if f.java == 0 {
		return 0, errors.New("no Java")
	}
	return f.java, nil
}

func (f fake) Kafka(context.Context) (string, error) {
	if f.hang != nil {
		<-f.hang
	}
	return "Kafka", nil
}

func (f fake) Engine(context.Context, []string) (Engine, error) {
	if f.engine == nil {
		return Engine{}, errors.New("no Docker")
	}
	return *f.engine, nil
}

func (f fake) CPUs() int { return f.cpus }

func needs() Needs {
	return Needs{Brokers: 3, Kafka: "4.3.1", Java: 17, Images: []string{"apache/kafka:4.3.1"}, Data: "/data", Runs: "/runs"}
}

func file(path, text string) fake { return fake{files: map[string]string{path: text}, cpus: 4} }

func TestEachFinding(t *testing.T) {
	const (
		source   = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
		governor = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"
	)
	space := func(data, runs uint64) fake { return fake{free: map[string]uint64{"/data": data, "/runs": runs}} }
	for name, c := range map[string]struct {
		look  func(context.Context, Probe, Needs) Finding
		probe fake
		level Level
		found string
	}{
		"no Go":                        {goToolchain, fake{}, Info, "only building"},
		"no Java":                      {java, fake{}, Fail, "no Java"},
		"an old Java":                  {java, fake{java: 11}, Fail, "Java 11, and Kafka 4.3.1 needs 17"},
		"the oldest Java that will do": {java, fake{java: 17}, OK, "Java 17"},
		"no Docker":                    {docker, fake{}, Fail, "no Docker"},
		"Docker without an image":      {docker, fake{engine: &Engine{Version: "20.10", API: "1.41"}}, Warn, "Docker 20.10, API 1.41, and no image"},
		"Docker with an image":         {docker, fake{engine: &Engine{Version: "28", API: "1.50", Images: []string{"a:1"}}}, OK, "image a:1"},
		"memory for none":              {memory, file("/proc/meminfo", "MemAvailable: 1048576 kB\n"), Fail, "room for 0 brokers"},
		"memory for one":               {memory, file("/proc/meminfo", "MemAvailable: 2097152 kB\n"), Warn, "room for 1 broker "},
		"memory for three":             {memory, file("/proc/meminfo", "MemAvailable: 3145728 kB\n"), OK, "room for 3 brokers"},
		"memory unknown":               {memory, fake{}, Warn, "not known"},
		"few open files":               {openFiles, file("/proc/self/limits", "Max open files  1024  4096  files\n"), Warn, "4096"},
		"open files by the hard limit": {openFiles, file("/proc/self/limits", "Max open files  1024  1048576  files\n"), OK, "1048576"},
		"open files without a limit":   {openFiles, file("/proc/self/limits", "Max open files  1024  unlimited  files\n"), OK, "unlimited"},
		"open files unknown":           {openFiles, fake{}, Warn, "not known"},
		"much disk":                    {disk, space(20*gib, 20*gib), OK, "20.0 GiB free in /data for brokers' data; 20.0 GiB free in /runs"},
		"little disk":                  {disk, space(20*gib, 5*gib), Warn, "5.0 GiB free in /runs"},
		"next to no disk":              {disk, space(gib/2, 20*gib), Warn, "which a minute of load can fill"},
		"disk unknown":                 {disk, fake{}, Warn, "/data not known"},
		"few processors":               {processors, fake{cpus: 2}, Warn, "2 for 3 brokers"},
		"enough processors":            {processors, fake{cpus: 4}, OK, "4"},
		"a governor that saves":        {frequency, file(governor, "schedutil\n"), Warn, "governor schedutil"},
		"a governor that does not":     {frequency, file(governor, "performance\n"), OK, "performance"},
		"no governor":                  {frequency, fake{}, OK, "not scaled"},
		"a slow clock":                 {clock, file(source, "acpi_pm\n"), Warn, "system call"},
		"a virtual machine's clock":    {clock, file(source, "kvm-clock\n"), OK, "kvm-clock"},
		"clock unknown":                {clock, fake{}, Warn, "not known"},
		"an idle machine":              {load, file("/proc/loadavg", "0.40 1 1 1/300 7\n"), OK, "average 0.40"},
		"a busy machine":               {load, file("/proc/loadavg", "1.40 1 1 2/300 7\n"), Warn, "others are at work"},
		"load unknown":                 {load, file("/proc/loadavg", "x\n"), Warn, "not known"},
	} {
		t.Run(name, func(t *testing.T) {
			f := c.look(t.Context(), c.probe, needs())
			if f.Level != c.level || !strings.Contains(f.Found, c.found) {
				t.Errorf("%s: %s", f.Level, f.Found)
			}
			if f.Level == Fail && f.Generally == "" {
				t.Errorf("nothing to do about it: %+v", f)
			}
		})
	}
}

func TestACheckThatHangsIsNotWaitedFor(t *testing.T) {
	p := fake{java: 17, hang: make(chan struct{}), files: map[string]string{"/proc/meminfo": "MemAvailable: 9999999 kB\n"}}
	defer close(p.hang)
	r := Examine(t.Context(), p, needs(), 10*time.Millisecond)
	if len(r.Findings) != len(checks()) {
		t.Fatalf("%d findings of %d checks", len(r.Findings), len(checks()))
	}
	for _, f := range r.Findings {
		if f.Check == kafkaCheck && (f.Level != Fail || !strings.Contains(f.Found, "no answer")) {
			t.Errorf("it hangs: %+v", f)
		}
	}
	if r.Real() {
		t.Error("what nobody knows is possible")
	}
}

func TestWhatAnotherKindNeedsIsAWarning(t *testing.T) {
	p := fake{engine: &Engine{Version: "28", API: "1.50", Images: []string{"a"}}, files: map[string]string{"/proc/meminfo": "MemAvailable: 9999999 kB\n"}}
	r := Examine(t.Context(), p, needs(), time.Minute)
	if !r.Real() {
		t.Error("Docker is there, and no real cluster possible")
	}
	for _, f := range r.Findings {
		if f.Level == Fail {
			t.Errorf("%+v", f)
		}
	}
	p.files["/proc/meminfo"] = "MemAvailable: 1000 kB\n"
	if r := Examine(t.Context(), p, needs(), time.Minute); r.Real() {
		t.Error("without memory a real cluster is possible")
	}
}
