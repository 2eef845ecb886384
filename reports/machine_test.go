package reports

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"testing"
	"time"

	"github.com/kbench/kbench/internal/doctor"
)

// fakeMachine answers as it was told; what it was not told is not there.
type fakeMachine struct {
	commands map[string]string
	files    map[string]string
	free     uint64
	java     int
	kafka    string
	engine   *doctor.Engine
	cpus     int
}

func (m fakeMachine) Command(_ context.Context, name string, _ ...string) (string, error) {
	if said, ok := m.commands[name]; ok {
		return said, nil
	}
	return "", errors.New("not found")
}

func (m fakeMachine) File(path string) (string, error) {
	if text, ok := m.files[path]; ok {
		return text, nil
	}
	return "", fs.ErrNotExist
}

func (m fakeMachine) Free(string) (uint64, error) { return m.free, nil }
func (m fakeMachine) CPUs() int                   { return m.cpus }

func (m fakeMachine) Java(context.Context) (int, error) {
	if m.java == 0 {
		return 0, errors.New(`no Java: exec: "java": executable file not found in $PATH`)
	}
	return m.java, nil
}

func (m fakeMachine) Kafka(context.Context) (string, error) {
	if m.kafka == "" {
		return "", errors.New("no KAFKA_HOME, no jars in /home/u/.cache/kbench and no Maven to fetch them")
	}
	return m.kafka, nil
}

func (m fakeMachine) Engine(context.Context, []string) (doctor.Engine, error) {
	if m.engine == nil {
		return doctor.Engine{}, errors.New("no Docker: nobody listens at unix:///var/run/docker.sock")
	}
	return *m.engine, nil
}

func goodMachine() fakeMachine {
	return fakeMachine{
		commands: map[string]string{"go": "go version go1.26.0 linux/amd64\n", "gcc": "gcc (Debian 12.2.0-14) 12.2.0\nCopyright (C) 2022\n"},
		files: map[string]string{
			"/proc/meminfo":     "MemTotal:       16303412 kB\nMemAvailable:   12345678 kB\n",
			"/proc/self/limits": "Limit                     Soft Limit           Hard Limit           Units     \nMax open files            1024                 1048576              files     \n",
			"/proc/loadavg":     "0.15 0.20 0.18 1/512 4711\n",
			"/sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc\n",
			"/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor":            "performance\n",
		},
		free: 120 << 30, java: 21, kafka: "Kafka 4.3.1, in /home/u/.cache/kbench", cpus: 8,
		engine: &doctor.Engine{Version: "28.2.2", API: "1.50", Images: []string{"apache/kafka:4.3.1"}},
	}
}

func TestExaminedSaysWhatAMachineAllows(t *testing.T) {
	good := goodMachine()
	bare := goodMachine()
	bare.commands, bare.java, bare.kafka, bare.engine = nil, 0, "", nil
	containers := goodMachine()
	containers.java, containers.kafka = 11, ""
	containers.engine = &doctor.Engine{Version: "20.10.24+dfsg1", API: "1.41"}
	busy := goodMachine()
	busy.engine, busy.free, busy.cpus = nil, 3<<30, 2
	busy.files = map[string]string{
		"/proc/meminfo":                 "MemAvailable:    8388608 kB\n",
		"/sys/fs/cgroup/memory.max":     "2147483648\n",
		"/sys/fs/cgroup/memory.current": "104857600\n",
		"/proc/self/limits":             "Max open files            1024                 4096                 files     \n",
		"/proc/loadavg":                 "1.90 1.20 0.60 3/512 4711\n",
		"/sys/devices/system/clocksource/clocksource0/current_clocksource":   "hpet\n",
		"/sys/devices/system/clocksource/clocksource0/available_clocksource": "tsc hpet acpi_pm\n",
		"/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor":              "powersave\n",
	}
	for name, c := range map[string]struct {
		machine fakeMachine
		exit    int
	}{
		"machine-good":       {good, ExitAsExpected},
		"machine-bare":       {bare, ExitBroken},
		"machine-containers": {containers, ExitAsExpected},
		"machine-busy":       {busy, ExitAsExpected},
	} {
		t.Run(name, func(t *testing.T) {
			needs := doctor.Needs{Brokers: 3, Kafka: "4.3.1", Java: 17, Images: []string{"apache/kafka:4.3.1"}, Data: "/tmp", Runs: "/home/u"}
			d := NewExamined(doctor.Examine(t.Context(), c.machine, needs, time.Minute))
			if d.ExitCode != c.exit {
				t.Errorf("exit code %d, not %d", d.ExitCode, c.exit)
			}
			var text, document bytes.Buffer
			if err := errors.Join(ExaminedText(&text, d, Style{}), WriteJSON(&document, d)); err != nil {
				t.Fatal(err)
			}
			golden(t, name+".txt", text.Bytes())
			golden(t, name+".json", document.Bytes())
		})
	}
}
