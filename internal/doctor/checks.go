package doctor

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

func first(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(line)
}

// goToolchain is needed to build kbench, and not to run it.
func goToolchain(ctx context.Context, p Probe, _ Needs) Finding {
	f := Finding{Level: Info, Debian: "apt install gcc", Generally: "kbench itself is built by Go 1.26 or later with a C compiler, for librdkafka; it needs neither to run"}
	version, err := p.Command(ctx, "go", "version")
	if err != nil {
		f.Found = "no Go toolchain; only building kbench needs one"
		f.Debian = "apt install golang gcc"
		return f
	}
	compiler, err := p.Command(ctx, "gcc", "--version")
	if err != nil {
		f.Found = first(version) + ", and no gcc; only building kbench needs one"
		return f
	}
	return Finding{Level: Info, Found: first(version) + "; " + first(compiler)}
}

func java(ctx context.Context, p Probe, n Needs) Finding {
	f := Finding{Level: Fail, Debian: "apt install default-jre-headless", Generally: fmt.Sprintf("install Java %d or later and put it on the PATH", n.Java)}
	major, err := p.Java(ctx)
	switch {
	case err != nil:
		f.Found = err.Error()
	case major < n.Java:
		f.Found = fmt.Sprintf("Java %d, and Kafka %s needs %d", major, n.Kafka, n.Java)
	default:
		return Finding{Level: OK, Found: fmt.Sprintf("Java %d", major)}
	}
	return f
}

func kafka(ctx context.Context, p Probe, n Needs) Finding {
	from, err := p.Kafka(ctx)
	if err != nil {
		return Finding{
			Level: Fail, Found: err.Error(),
			Debian: "apt install maven", Generally: fmt.Sprintf("install Maven, which fetches Kafka %s once, or unpack a distribution of Kafka 4 and let KAFKA_HOME name it", n.Kafka),
		}
	}
	return Finding{Level: OK, Found: from}
}

func docker(ctx context.Context, p Probe, n Needs) Finding {
	e, err := p.Engine(ctx, n.Images)
	if err != nil {
		return Finding{
			Level: Fail, Found: err.Error(),
			Debian: "apt install docker.io && usermod -aG docker $USER", Generally: "install Docker, start it, and let this user reach its socket, or let DOCKER_HOST name it",
		}
	}
	found := fmt.Sprintf("Docker %s, API %s", e.Version, e.API)
	if len(e.Images) == 0 {
		return Finding{
			Level: Warn, Found: found + ", and no image of Kafka yet",
			Debian: "docker pull " + n.Images[0], Generally: "the first cluster pulls " + n.Images[0] + "; where no registry is reached, scripts/kafka-image builds one",
		}
	}
	return Finding{Level: OK, Found: found + ", image " + strings.Join(e.Images, ", ")}
}

// What a cluster takes, of memory: a broker with a heap of 512 MiB, a controller, and kbench under load.
const (
	mib          = 1 << 20
	brokerMiB    = 700
	restMiB      = 400 + 500
	gib          = 1 << 30
	littleDisk   = 10 * gib
	tooLittle    = gib
	enoughFiles  = 10000
	enoughToRead = 4
)

func memory(_ context.Context, p Probe, n Needs) Finding {
	text, err := p.File("/proc/meminfo")
	available, known := meminfo(text, "MemAvailable")
	if err != nil || !known {
		return Finding{Level: Warn, Found: "not known: /proc/meminfo has no MemAvailable"}
	}
	if left, limited := cgroupLeft(p); limited {
		available = min(available, left)
	}
	fits := max(0, (int(available/mib)-restMiB)/brokerMiB)
	f := Finding{
		Level: OK, Found: fmt.Sprintf("%.1f GiB available: room for %s of heap 512m, with a controller and the load", float64(available)/gib, plural(min(fits, 100), "broker")),
	}
	switch {
	case fits == 0:
		f.Level = Fail
	case fits < n.Brokers:
		f.Level = Warn
	default:
		return f
	}
	f.Generally = fmt.Sprintf("end other programs, or take a machine with %.1f GiB more: most scenarios have %d brokers", (float64(n.Brokers*brokerMiB+restMiB)-float64(available/mib))/1024, n.Brokers)
	return f
}

// meminfo is a row of /proc/meminfo, in bytes.
func meminfo(text, row string) (uint64, bool) {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, row+":"); ok {
			kib, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10, err == nil
		}
	}
	return 0, false
}

// cgroupLeft is what a container's limit leaves, where there is one.
func cgroupLeft(p Probe) (uint64, bool) {
	number := func(name string) (uint64, bool) {
		text, err := p.File("/sys/fs/cgroup/" + name)
		if err != nil {
			return 0, false
		}
		n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 64)
		return n, err == nil
	}
	limit, limited := number("memory.max")
	used, known := number("memory.current")
	if !limited || !known {
		return 0, false
	}
	return limit - min(used, limit), true
}

// openFiles asks for the hard limit: Go and Java raise theirs to it.
func openFiles(_ context.Context, p Probe, n Needs) Finding {
	text, err := p.File("/proc/self/limits")
	if err != nil {
		return Finding{Level: Warn, Found: "not known: " + err.Error()}
	}
	for line := range strings.Lines(text) {
		fields := strings.Fields(strings.TrimPrefix(line, "Max open files"))
		if !strings.HasPrefix(line, "Max open files") || len(fields) < 2 {
			continue
		}
		limit, err := strconv.ParseUint(fields[1], 10, 64)
		if err != nil || limit >= enoughFiles {
			return Finding{Level: OK, Found: fields[1] + " for each process"}
		}
		return Finding{
			Level: Warn, Found: fmt.Sprintf("%d for each process: a broker keeps three and more open for each partition, and one for each connection", limit),
			Debian:    fmt.Sprintf("echo '* - nofile %d' > /etc/security/limits.d/kbench.conf, and log in again", 10*enoughFiles),
			Generally: fmt.Sprintf("raise the hard limit of open files (ulimit -Hn) to %d", 10*enoughFiles),
		}
	}
	return Finding{Level: Warn, Found: "not known: /proc/self/limits does not say"}
}

func disk(_ context.Context, p Probe, n Needs) Finding {
	f := Finding{Level: OK}
	var found []string
	for _, of := range []struct{ what, dir string }{{"brokers' data", n.Data}, {"run directories", n.Runs}} {
		free, err := p.Free(of.dir)
		if err != nil {
			f.Level = Warn
			found = append(found, fmt.Sprintf("%s not known for %s: %v", of.dir, of.what, err))
			continue
		}
		found = append(found, fmt.Sprintf("%.1f GiB free in %s for %s", float64(free)/gib, of.dir, of.what))
		if free < littleDisk {
			f.Level = Warn
			f.Generally = "make room, or let TMPDIR name a folder for brokers' data and --out one for run directories"
		}
		if free < tooLittle {
			found[len(found)-1] += ", which a minute of load can fill"
		}
	}
	f.Found = strings.Join(found, "; ")
	return f
}

func processors(_ context.Context, p Probe, n Needs) Finding {
	cpus := p.CPUs()
	if cpus > n.Brokers {
		return Finding{Level: OK, Found: strconv.Itoa(cpus)}
	}
	return Finding{
		Level: Warn, Found: fmt.Sprintf("%d for %d brokers and the load: they wait for each other, which shows in latencies", cpus, n.Brokers),
		Generally: "promises can be judged here; for figures take a machine with more, or load a cluster on other machines with --bootstrap-server",
	}
}

// frequency of processors: one that is lowered in idle moments makes the first records after them slow.
func frequency(_ context.Context, p Probe, _ Needs) Finding {
	text, err := p.File("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
	governor := first(text)
	switch {
	case err != nil:
		return Finding{Level: OK, Found: "not scaled by this system (as in most virtual machines)"}
	case governor == "performance":
		return Finding{Level: OK, Found: "governor performance"}
	}
	return Finding{
		Level: Warn, Found: "governor " + governor + ": processors slow down when little is to do, and latencies at low rates then are theirs",
		Debian:    "apt install linux-cpupower && cpupower frequency-set -g performance",
		Generally: "write performance to /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor while you measure",
	}
}

// quickClocks are read without a system call.
func quickClocks() []string {
	return []string{"tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter", "timebase", "riscv_clocksource"}
}

func clock(_ context.Context, p Probe, _ Needs) Finding {
	const folder = "/sys/devices/system/clocksource/clocksource0/"
	text, err := p.File(folder + "current_clocksource")
	if err != nil {
		return Finding{Level: Warn, Found: "its source is not known: " + err.Error()}
	}
	source := first(text)
	if slices.Contains(quickClocks(), source) {
		return Finding{Level: OK, Found: "source " + source}
	}
	f := Finding{
		Level: Warn, Found: "source " + source + ": each reading is a system call, and kbench reads it for every record",
		Generally: "boot with clocksource=tsc where the processor has a reliable one; 'kbench doctor --timing' says whether timings can be trusted",
	}
	if available, err := p.File(folder + "available_clocksource"); err == nil && slices.Contains(strings.Fields(available), "tsc") {
		f.Debian = "echo tsc > " + folder + "current_clocksource"
	}
	return f
}

// load by others, now.
func load(_ context.Context, p Probe, _ Needs) Finding {
	text, err := p.File("/proc/loadavg")
	fields := strings.Fields(text)
	if err != nil || len(fields) < enoughToRead {
		return Finding{Level: Warn, Found: "not known: /proc/loadavg does not say"}
	}
	average, err := strconv.ParseFloat(fields[0], 64)
	if err != nil {
		return Finding{Level: Warn, Found: "not known: " + err.Error()}
	}
	running, _, _ := strings.Cut(fields[3], "/")
	found := fmt.Sprintf("average %s over the last minute on %s, %s want to run now", fields[0], plural(p.CPUs(), "processor"), running)
	if average <= math.Max(0.5, 0.25*float64(p.CPUs())) {
		return Finding{Level: OK, Found: found}
	}
	return Finding{
		Level: Warn, Found: found + ": others are at work, and figures would be of what they leave",
		Debian: "top -o %CPU", Generally: "see who it is and wait for the end; every run says what part others took",
	}
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
