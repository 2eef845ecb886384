package bench_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kbench/kbench/bench"
	"github.com/kbench/kbench/internal/check"
	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/cluster/embedded"
	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
	"github.com/kbench/kbench/scenarios"
	"golang.org/x/sys/unix"
)

func runOf(t *testing.T, r *trial) (rundir.Meta, error) {
	t.Helper()
	return bench.Run(t.Context(), r.Config)
}

// told is a cluster that tells when its health is asked for: first before the load, then after it.
type told struct {
	*embedded.Cluster
	asked   func(times int)
	mu      sync.Mutex
	healths int
}

func (c *told) Healthy(ctx context.Context) error {
	c.mu.Lock()
	c.healths++
	times := c.healths
	c.mu.Unlock()
	c.asked(times)
	return c.Cluster.Healthy(ctx)
}

// toldReader tells when the final read begins.
type toldReader struct {
	bench.Reader
	asked func()
}

func (r toldReader) ReadPartition(ctx context.Context, topic string, partition int32, start, end int64, isolation client.Isolation,
	got func([]client.Fetched) error) (int64, error) {
	r.asked()
	return r.Reader.ReadPartition(ctx, topic, partition, start, end, isolation, got)
}

var errEnough = errors.New("somebody pressed a key")

// TestAnInterruptedRunIsReadable breaks a run off at each stage. Producers and consumers are processes.
func TestAnInterruptedRunIsReadable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		when  string
		place func(r *trial, stop func())
		sent  bool
	}{
		{"before the topics are made", func(r *trial, stop func()) {
			r.Cluster = &told{Cluster: r.cluster, asked: func(times int) {
				if times == 1 {
					stop()
				}
			}}
		}, false},
		{"under load", func(r *trial, stop func()) {
			r.Progress = func(p bench.Progress) {
				if p.Acked > 50 && p.Read > 50 {
					stop()
				}
			}
		}, true},
		{"while workers are held", func(r *trial, stop func()) {
			r.Scenario.Steps = append(r.Scenario.Steps[:1:1], scenarios.Step{Do: "wait", For: time.Hour})
			r.Progress = func(p bench.Progress) {
				if p.Acked > 50 {
					stop()
				}
			}
		}, true},
		{"after the load", func(r *trial, stop func()) {
			r.Cluster = &told{Cluster: r.cluster, asked: func(times int) {
				if times == 2 {
					stop()
				}
			}}
		}, true},
		{"in the final read", func(r *trial, stop func()) { r.Reader = toldReader{r.Reader, stop} }, true},
	} {
		t.Run(c.when, func(t *testing.T) {
			t.Parallel()
			r := newTrial(t, "franz", `
guarantee: at-least-once
topics: [{name: orders, partitions: 2, replication: 3}]
load: {rate: 500/s, duration: 1s, record: {size: 200}, drain: 20s}
client: {acks: all, enable.idempotence: true}
consumer: {group: readers, instances: 2, commit: after-processing, heartbeat.interval.ms: 200ms}
steps:
  - {hold: consumer(0), at: polled}
  - {release: consumer(0)}
`)
			r.Scenario.Producers.Process = true
			r.Worker = append(r.Worker, r.Dir) // tells this run's processes from others'
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			c.place(r, func() { cancel(errEnough) })
			meta, err := bench.Run(ctx, r.Config)
			if !errors.Is(err, errEnough) || meta.Stage != rundir.Interrupted || meta.Error != errEnough.Error() {
				t.Fatalf("stage %q (%s): %v", meta.Stage, meta.Error, err)
			}
			saved, err := rundir.Load(r.Dir)
			if err != nil || saved.Stage != rundir.Interrupted {
				t.Fatalf("run.json says %q: %v", saved.Stage, err)
			}
			if _, err := os.Stat(filepath.Join(r.Dir, rundir.UndoFile)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("something is left to be undone: %v", err)
			}
			for _, pid := range processesOf(t, r.Dir) {
				t.Errorf("process %s still runs", pid)
			}
			j := judged(t, r.Dir)
			if j.Verdict != check.Inconclusive || j.AsExpected || (j.Counts.Acked > 0) != c.sent {
				t.Errorf("the verdict is %v (as expected: %v) of %+v", j.Verdict, j.AsExpected, j.Counts)
			}
			if !c.sent {
				return
			}
			h, err := history.Open(rundir.History(r.Dir))
			if err != nil || len(h.Tears) > 0 {
				t.Fatalf("tears %+v: %v", h.Tears, err)
			}
			for _, s := range h.Sessions {
				if !s.Closed {
					t.Errorf("%s was not closed", s.File)
				}
			}
		})
	}
}

// processesOf are the processes that have the word on their command line, zombies excluded.
func processesOf(t *testing.T, word string) []string {
	t.Helper()
	var found []string
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		if text, err := os.ReadFile(line); err == nil && bytes.Contains(text, []byte(word)) {
			found = append(found, filepath.Base(filepath.Dir(line)))
		}
	}
	return found
}

// brokenBy wants the run to end because the machine failed it, with what says why in run.json.
func brokenBy(t *testing.T, r *trial, says ...string) {
	t.Helper()
	meta, err := runOf(t, r)
	var failed *bench.ClusterError
	if !errors.As(err, &failed) || meta.Stage != rundir.Broken {
		t.Fatalf("stage %q: %v", meta.Stage, err)
	}
	saved, err := rundir.Load(r.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range says {
		if !strings.Contains(saved.Error, part) {
			t.Errorf("run.json does not say %q: %s", part, saved.Error)
		}
	}
	if j := judged(t, r.Dir); j.Verdict != check.Inconclusive || j.AsExpected {
		t.Errorf("the verdict is %v", j.Verdict)
	}
}

func TestAHistoryThatVanishesBreaksTheRun(t *testing.T) {
	t.Parallel()
	r := newTrial(t, "franz", steadyLoad+"client: {acks: all}")
	r.Cluster = &told{Cluster: r.cluster, asked: func(times int) {
		if err := os.Remove(rundir.History(r.Dir)); times == 1 && err != nil {
			t.Error(err)
		}
	}}
	brokenBy(t, r, "history of p0", "no such file")
}

func TestARunDirectoryIsNotUsedTwice(t *testing.T) {
	t.Parallel()
	r := newTrial(t, "franz", onePartition+"client: {acks: all}\nsteps: [{send: 5}, {flush: true}]")
	r.complete(t)
	before := judged(t, r.Dir)
	if _, err := runOf(t, r); err == nil || !strings.Contains(err.Error(), "already holds a history") {
		t.Fatalf("the second run: %v", err)
	}
	if after := judged(t, r.Dir); !reflect.DeepEqual(after, before) {
		t.Errorf("the first run was changed: %+v, before %+v", after, before)
	}
}

func TestADirectoryThatCannotBeMadeIsAMachineError(t *testing.T) {
	t.Parallel()
	r := newTrial(t, "franz", onePartition+"client: {acks: all}\nsteps: [{send: 5}]")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	r.Dir = filepath.Join(file, "run")
	var failed *bench.ClusterError
	if _, err := runOf(t, r); !errors.As(err, &failed) {
		t.Errorf("%v", err)
	}
}

// TestAFullDiskBreaksTheRun runs in a process whose files may not grow beyond a limit, so that the write of a chunk of
// the history fails in the middle of the load as on a full disk.
func TestAFullDiskBreaksTheRun(t *testing.T) {
	t.Parallel()
	for _, who := range []string{"inside", "child"} {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "run")
			cmd := exec.Command(os.Args[0], "full-disk", who, dir)
			var out, diagnostics bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &diagnostics
			if err := cmd.Run(); err != nil {
				t.Fatalf("%v\n%s", err, diagnostics.String())
			}
			var told fullDisk
			if err := json.Unmarshal(out.Bytes(), &told); err != nil {
				t.Fatalf("%v in %q", err, out.String())
			}
			if !told.ClusterError || told.Stage != rundir.Broken || !strings.Contains(told.Error, "history of p0") || !strings.Contains(told.Error, "file too large") {
				t.Errorf("it ended with %+v", told)
			}
			meta, err := rundir.Load(dir)
			if err != nil || meta.Stage != rundir.Broken {
				t.Fatalf("run.json says %q: %v", meta.Stage, err)
			}
			if j := judged(t, dir); j.Verdict != check.Inconclusive || j.Counts.Sent == 0 {
				t.Errorf("%v of %+v", j.Verdict, j.Counts)
			}
		})
	}
}

// fullDisk is how a run ended in a process whose files could not grow.
type fullDisk struct {
	Error        string
	ClusterError bool
	Stage        rundir.Stage
}

const mostBytes = 16 << 10 // more than run.json has, less than the history of a second

func runWithFullDisk(who, dir string) {
	signal.Ignore(syscall.SIGXFSZ) // writes fail instead
	source := `
topics: [{name: orders, partitions: 1, replication: 3}]
load: {rate: 5000/s, duration: 20s, record: {size: 200}, drain: 20s}
client: {acks: all}
`
	r, done, err := prepared("franz", dir, source)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	r.Scenario.Producers.Process = who == "child"
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: mostBytes, Max: mostBytes}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	meta, err := bench.Run(context.Background(), r.Config)
	done()
	told := fullDisk{Error: fmt.Sprint(err), Stage: meta.Stage}
	var failed *bench.ClusterError
	told.ClusterError = errors.As(err, &failed)
	if err := json.NewEncoder(os.Stdout).Encode(told); err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

func TestARecordTooSmallForItsIdentityIsRefused(t *testing.T) {
	t.Parallel()
	_, err := scenarios.Parse("small.yaml", []byte("name: small\nabout: x\nload: {record: {size: 8}}\n"))
	if err == nil || !strings.Contains(err.Error(), "size") {
		t.Errorf("the scenario is read: %v", err)
	}
	r := newTrial(t, "franz", steadyLoad+"client: {acks: all}")
	r.Scenario.Load.Record.Size = 8
	brokenBy(t, r, "record of 8 bytes is too small", "at least")
}

func TestSettingsThatTheLibraryRefusesAreTold(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		r := newTrial(t, driver, steadyLoad+"client: {acks: all}")
		r.Security = map[string]string{"security.protocol": "CARRIER_PIGEON"}
		brokenBy(t, r, "producer 0")
	})
}

// panicking is a client library with a mistake in it, or one that brings a mistake of kbench's to light.
type panicking struct {
	client.Driver
	in string
}

func (d panicking) NewProducer(bootstrap []string, settings map[string]string, sink client.Sink) (client.Producer, error) {
	if d.in == "opening" {
		panic("a producer that panics")
	}
	var one sync.Mutex // a sink is called from one goroutine at a time
	alone := func(acks []client.Ack) {
		one.Lock()
		defer one.Unlock()
		sink(acks)
	}
	p, err := d.Driver.NewProducer(bootstrap, settings, alone)
	return &panickingProducer{p, d.in, alone}, err
}

func (d panicking) NewConsumer(bootstrap []string, settings map[string]string) (client.Consumer, error) {
	c, err := d.Driver.NewConsumer(bootstrap, settings)
	return &panickingConsumer{c, d.in}, err
}

type panickingProducer struct {
	client.Producer
	in   string
	sink client.Sink
}

func (p *panickingProducer) Send(r *client.Record, s client.Slot) error {
	switch p.in {
	case "sending":
		panic("a Send that panics")
	case "an acknowledgement":
		p.sink([]client.Ack{{Slot: 1 << 30}}) // of a record that nobody sent
	}
	return p.Producer.Send(r, s)
}

type panickingConsumer struct {
	client.Consumer
	in string
}

func (c *panickingConsumer) Poll(timeout time.Duration, n int) (client.Event, error) {
	e, err := c.Consumer.Poll(timeout, n)
	if c.in == "polling" && e.Kind == client.Delivery {
		panic("a Poll that panics")
	}
	return e, err
}

// TestAnAcknowledgementOfNobodysRecordIsNotForgiven: the run goes on, and proves nothing.
func TestAnAcknowledgementOfNobodysRecordIsNotForgiven(t *testing.T) {
	t.Parallel()
	r := newTrial(t, "franz", steadyLoad+"guarantee: at-least-once\nclient: {acks: all}")
	r.Drivers["franz"] = panicking{r.Drivers["franz"], "an acknowledgement"}
	o := r.complete(t)
	o.want(t, check.Inconclusive)
	if reasons := strings.Join(o.verdict.Reasons, "\n"); !strings.Contains(reasons, "p0's session 1 dropped ") {
		t.Errorf("reasons %q", reasons)
	}
}

// TestAPanicEndsTheRunInGoodOrder: it says where, the run directory is readable, and kbench lives.
func TestAPanicEndsTheRunInGoodOrder(t *testing.T) {
	t.Parallel()
	for in, says := range map[string]string{
		"opening": "a producer that panics", "sending": "a Send that panics", "polling": "a Poll that panics",
	} {
		t.Run(in, func(t *testing.T) {
			t.Parallel()
			r := newTrial(t, "franz", steadyLoad+"client: {acks: all}\nconsumer: {group: readers, commit: after-processing}")
			r.Drivers["franz"] = panicking{r.Drivers["franz"], in}
			brokenBy(t, r, "kbench panicked", says, ".go:")
		})
	}
}
