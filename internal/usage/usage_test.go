package usage

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

func TestStatIsReadBehindTheCommandsName(t *testing.T) {
	text := "17 (a) b) S 1 17 17 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 9 0 4711 0 0 18446744073709551615\n"
	p, err := parseStat([]byte(text))
	if err != nil || p.CPU != 3_000_000 || p.Began != 4711 {
		t.Errorf("%+v, %v, want 3 s of processor time since tick 4711", p, err)
	}
	for _, text := range []string{"", "17 (a", "17 (a) S 1 2", "17 (a) S 1 1 1 0 -1 1 1 0 0 0 x 50 0 0 20 0 9 0 4711 0"} {
		if _, err := parseStat([]byte(text)); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// spin is a process that keeps one processor busy, or as much of it as it gets.
func spin(t *testing.T) int {
	t.Helper()
	cmd := exec.Command("sh", "-c", "while :; do :; done")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd.Process.Pid
}

func TestABusyProcessShows(t *testing.T) {
	pid := spin(t)
	threads := NewThreads(pid)
	start := time.Now()
	if b := threads.Look(0); b != nil {
		t.Errorf("the first look tells %+v", b)
	}
	before, err := Of(pid)
	if err != nil || before.Memory == nil || *before.Memory < 1<<10 || before.Began == 0 {
		t.Fatalf("%+v, %v", before, err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		after, err := Of(pid)
		if err != nil {
			t.Fatal(err)
		}
		if after.CPU-before.CPU >= 100_000 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("a process that is never idle used %d µs", after.CPU-before.CPU)
		}
	}
	b := threads.Look(time.Since(start).Nanoseconds())
	if b == nil {
		t.Fatal("no threads")
	}
	// It ran, or waited for its turn, for nearly all of the time, however many others want the processors.
	if share := float64(b.Ran+b.Ready) / float64(b.Over); share < 0.8 || share > 1.2 || b.Name != "sh" {
		t.Errorf("%s was busy for %.2f of the time: %+v", b.Name, share, b)
	}
}

func TestAProcessThatIsGoneIsAnError(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if p, err := Of(cmd.Process.Pid); err == nil {
		t.Errorf("%+v", p)
	}
	if b := NewThreads(cmd.Process.Pid).Look(1); b != nil {
		t.Errorf("%+v", b)
	}
}

func TestTheMachineOnlyUsesMore(t *testing.T) {
	r := NewReader()
	a, err := r.Machine()
	if err != nil {
		t.Fatal(err)
	}
	for sum := 0; ; sum++ {
		b, err := r.Machine()
		if err != nil || b.Busy < a.Busy || b.CPUs != runtime.NumCPU() {
			t.Fatalf("%+v after %+v, %v", b, a, err)
		}
		if b.Busy > a.Busy {
			break
		}
	}
	if a.Available == nil || *a.Available < 1<<20 || a.Loopback == nil {
		t.Errorf("%+v", a)
	}
}

func TestProcessorTimeIsTakenApart(t *testing.T) {
	m := processors([]byte("cpu  100 1 20 400 30 2 3 7 50 0\ncpu0 1 2 3\n"))
	if m.Busy != 126*tick || m.Idle != 400*tick || m.Wait != 30*tick || m.Steal != 7*tick {
		t.Errorf("%+v", m)
	}
}

func TestInterfacesAreAddedUpWithoutLoopback(t *testing.T) {
	text := "Inter-|   Receive  |  Transmit\n face |bytes packets\n" +
		"    lo: 100 1 0 0 0 0 0 0 100 1 0 0 0 0 0 0\n  eth0:5 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0\n  eth1: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n"
	lo, in, out := interfaces([]byte(text))
	if *lo != 100 || *in != 6 || *out != 8 {
		t.Errorf("loopback %d, in %d, out %d", *lo, *in, *out)
	}
	if lo, in, out := interfaces(nil); lo != nil || in != nil || out != nil {
		t.Error("no interfaces have traffic")
	}
}

func TestQuotasOfBothVersions(t *testing.T) {
	write := func(dir, name, text string) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		self, folder string
		files        map[string]string
		cores        float64
		throttled    int64
	}{
		"version 2":                 {"0::/a/b\n", "a/b", map[string]string{"cpu.stat": "usage_usec 5\nthrottled_usec 70\n", "cpu.max": "150000 100000\n"}, 1.5, 70},
		"version 2 without a limit": {"0::/a\n", "a", map[string]string{"cpu.stat": "throttled_usec 0\n", "cpu.max": "max 100000\n"}, 0, 0},
		"version 1": {"4:cpu,cpuacct:/x\n0::/\n", "cpu,cpuacct/x", map[string]string{"cpu.stat": "throttled_time 9000\n",
			"cpu.cfs_quota_us": "50000\n", "cpu.cfs_period_us": "100000\n"}, 0.5, 9},
		"a container's own root": {"0::/../elsewhere\n", ".", map[string]string{"cpu.stat": "throttled_usec 1\n", "cpu.max": "200000 100000\n"}, 2, 1},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for file, text := range c.files {
				write(filepath.Join(root, c.folder), file, text)
			}
			write(t.TempDir(), "unused", "")
			self := filepath.Join(t.TempDir(), "cgroup")
			write(filepath.Dir(self), "cgroup", c.self)
			r := Reader{group: cgroup(root, self)}
			cores, throttled := r.quota()
			if cores != c.cores || throttled == nil || *throttled != c.throttled {
				t.Errorf("%g processors, held back for %v µs, want %g and %d", cores, throttled, c.cores, c.throttled)
			}
		})
	}
	if cores, throttled := (&Reader{}).quota(); cores != 0 || throttled != nil {
		t.Error("without a group there is a quota")
	}
}

func FuzzProc(f *testing.F) {
	f.Add([]byte("17 (a) S 1 17 17 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 9 0 4711 0"))
	f.Add([]byte("cpu  1 2 3 4\n  lo: 1 2 3 4 5 6 7 8 9\nMemAvailable: 5 kB\n 8 0 sda 1 2 3 4 5 6 7 8\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if p, err := parseStat(text); err == nil && p.CPU < 0 {
			t.Errorf("%+v", p)
		}
		processors(text)
		interfaces(text)
		disks(text)
		field(text, "MemAvailable:")
		parseSchedstat(text)
	})
}

// What looking costs: a process with its threads, and the machine.
func BenchmarkLook(b *testing.B) {
	b.Run("process", func(b *testing.B) {
		for b.Loop() {
			if _, err := Of(os.Getpid()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("threads", func(b *testing.B) {
		threads := NewThreads(os.Getpid())
		now := int64(0)
		for b.Loop() {
			now++
			threads.Look(now)
		}
		tasks, _ := os.ReadDir("/proc/self/task")
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(tasks)), "ns/thread")
	})
	b.Run("sockets", func(b *testing.B) {
		s, err := NewSockets()
		if err != nil {
			b.Skip(err)
		}
		defer s.Close()
		for b.Loop() {
			if _, err := s.Look([]int{os.Getpid()}); err != nil {
				b.Skip(err)
			}
		}
	})
	b.Run("machine", func(b *testing.B) {
		r := NewReader()
		for b.Loop() {
			if _, err := r.Machine(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// What goes through a connection of this process comes in at one end and goes out at the other.
func TestSocketsCountWhatAProcessSent(t *testing.T) {
	s, err := NewSockets()
	if err != nil {
		t.Skipf("NOT TESTED, the system does not tell: %v", err)
	}
	defer s.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if _, err := s.Look([]int{os.Getpid()}); err != nil {
		t.Skipf("NOT TESTED, the system does not tell: %v", err)
	}
	out, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	in, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	const size = 1 << 20
	go func() { _, _ = out.Write(make([]byte, size)) }()
	if _, err := io.ReadFull(in, make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) { // until the last bytes are acknowledged
		traffic, err := s.Look([]int{os.Getpid(), 1 << 30})
		if err != nil {
			t.Fatal(err)
		}
		got := traffic[os.Getpid()]
		if got.In >= size && got.Out >= size && got.In < 2*size && got.Out < 2*size {
			if none := traffic[1<<30]; none != (Traffic{}) {
				t.Errorf("a process that is not there has %+v", none)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes went over a connection to this process itself: %+v", size, got)
		}
	}
}

func FuzzSockets(f *testing.F) {
	f.Add(make([]byte, requestSize))
	f.Fuzz(func(t *testing.T, b []byte) {
		into := map[uint32]Traffic{}
		_, _ = messages(b, into)
		socket(b, into)
		if _, orphan := into[0]; orphan {
			t.Error("a socket that nobody holds was counted")
		}
	})
}
