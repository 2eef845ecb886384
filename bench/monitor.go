package bench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/clock"
	"github.com/kbench/kbench/internal/cluster"
	"github.com/kbench/kbench/internal/rundir"
	"github.com/kbench/kbench/internal/usage"
	"golang.org/x/sys/unix"
)

// sampleEvery is how often processes and machine are looked at, and the partitions' replicas asked for.
const sampleEvery = time.Second

// monitor writes down what processes use, how the partitions' replicas stand, and where the producers' libraries say that
// records waited, while the load runs. It disturbs nothing: a look takes about a millisecond, and the cluster is asked for
// its metadata once a second.
type monitor struct {
	clock   clock.Clock
	file    *rundir.SampleWriter
	machine *usage.Reader
	sockets *usage.Sockets // nil: the system does not tell
	run     *run

	mu       sync.Mutex
	windows  []rundir.ClientWindow // told since the last sample
	replicas *rundir.Replicas      // as the cluster told last
	asked    time.Time             // when that was
	threads  map[int]*usage.Threads
	failed   error // of the file
}

// process to look at.
type process struct {
	of, name string
	pid      int
}

func newMonitor(r *run) (*monitor, error) {
	file, err := rundir.CreateSamples(r.Dir)
	if err != nil {
		return nil, err
	}
	m := &monitor{clock: r.clock, file: file, machine: usage.NewReader(), run: r, threads: map[int]*usage.Threads{}}
	if sockets, err := usage.NewSockets(); err == nil {
		m.sockets = sockets
	}
	return m, nil
}

// observed takes in what a session says of its client's library.
func (m *monitor) observed(windows []rundir.ClientWindow) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.windows = append(m.windows, windows...)
}

// watch looks every second until the function that it returns is called, which looks a last time.
func (m *monitor) watch(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { every(ctx, sampleEvery, m.sample) })
	watching.Go(func() { every(ctx, sampleEvery, func() { m.ask(ctx) }) })
	return func() {
		cancel()
		watching.Wait()
		m.sample()
	}
}

// every does something now and then again and again until ctx ends.
func every(ctx context.Context, interval time.Duration, do func()) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		do()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// ask the cluster how the replicas of the run's partitions stand. Without an answer it is not known.
func (m *monitor) ask(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, sampleEvery)
	defer cancel()
	var sum rundir.Replicas
	for _, t := range m.run.topics {
		partitions, err := m.run.Admin.Partitions(ctx, t.Physical)
		if err != nil || len(partitions) != t.Partitions {
			return
		}
		count(&sum, partitions)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.replicas, m.asked = &sum, time.Now()
}

func count(r *rundir.Replicas, partitions []client.PartitionState) {
	for _, p := range partitions {
		r.Partitions++
		if len(p.ISR) < len(p.Replicas) {
			r.Under++
		}
		if p.Leader < 0 {
			r.Offline++
		}
	}
}

// sample looks at everything once and writes it down.
func (m *monitor) sample() {
	runtime.LockOSThread() // so that the thread's processor time is what this took
	defer runtime.UnlockOSThread()
	start := threadTime()
	s := rundir.Sample{At: m.clock.Now(), Machine: m.lookAtMachine()}
	processes := m.processes()
	traffic := m.traffic(processes)
	for _, p := range processes {
		if use, ok := m.look(p, s.At); ok {
			if t, known := traffic[p.pid]; known {
				use.In, use.Out = &t.In, &t.Out
			}
			s.Processes = append(s.Processes, use)
		}
	}
	m.forget(processes)
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Since(m.asked) < sampleEvery+sampleEvery/2 {
		s.Replicas = m.replicas
	}
	s.Clients, m.windows = m.windows, nil
	s.TookUs = (threadTime() - start).Microseconds()
	if m.failed == nil {
		m.failed = m.file.Add(s)
	}
}

// threadTime is the processor time that this thread has had.
func threadTime() time.Duration {
	var used unix.Rusage
	if unix.Getrusage(unix.RUSAGE_THREAD, &used) != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// processes of kbench, and those of the cluster's nodes where kbench started them.
func (m *monitor) processes() []process {
	list := []process{{rundir.OfKbench, rundir.OfKbench, os.Getpid()}}
	for _, w := range m.run.crew.running("") {
		if pid, err := w.process(); err == nil {
			list = append(list, process{rundir.OfWorker, w.spec.Header.Self.Name, pid})
		}
	}
	owner, ok := m.run.Cluster.(cluster.Owner)
	if !ok {
		return list
	}
	pids, brokers := owner.Processes(), m.run.Cluster.Brokers()
	for _, id := range slices.Sorted(maps.Keys(pids)) {
		kind := rundir.OfController
		if slices.Contains(brokers, id) {
			kind = rundir.OfBroker
		}
		list = append(list, process{kind, fmt.Sprintf("%s %d", kind, id), pids[id]})
	}
	return list
}

func (m *monitor) look(p process, now int64) (rundir.ProcessUse, bool) {
	used, err := usage.Of(p.pid)
	if err != nil {
		return rundir.ProcessUse{}, false // it has just ended
	}
	use := rundir.ProcessUse{
		Of: p.of, Name: p.name, Pid: p.pid, Began: used.Began, CPUUs: used.CPU, Memory: used.Memory, Read: used.Read, Written: used.Written,
	}
	threads := m.threads[p.pid]
	if threads == nil {
		threads = usage.NewThreads(p.pid)
		m.threads[p.pid] = threads
	}
	if b := threads.Look(now); b != nil {
		use.Threads = &rundir.Thread{OverUs: b.Over / 1000, ReadyUs: b.Waited / 1000, Name: b.Name, CPUUs: b.Ran / 1000, WaitedUs: b.Ready / 1000}
	}
	return use, true
}

// traffic of each process's sockets since the first look; nil where the system does not tell, or does no more.
func (m *monitor) traffic(processes []process) map[int]usage.Traffic {
	if m.sockets == nil {
		return nil
	}
	pids := make([]int, len(processes))
	for i, p := range processes {
		pids[i] = p.pid
	}
	traffic, err := m.sockets.Look(pids)
	if err != nil {
		_ = m.sockets.Close()
		m.sockets = nil // what was missed would be counted at the wrong time
		return nil
	}
	return traffic
}

// forget the threads of processes that have ended.
func (m *monitor) forget(alive []process) {
	maps.DeleteFunc(m.threads, func(pid int, _ *usage.Threads) bool {
		return !slices.ContainsFunc(alive, func(p process) bool { return p.pid == pid })
	})
}

func (m *monitor) lookAtMachine() *rundir.MachineUse {
	u, err := m.machine.Machine()
	if err != nil {
		return nil
	}
	return &rundir.MachineUse{
		CPUs: u.CPUs, Quota: u.Quota, BusyUs: u.Busy, IdleUs: u.Idle, WaitUs: u.Wait, StealUs: u.Steal, ThrottledUs: u.Throttled,
		Available: u.Available, Loopback: u.Loopback, NetworkIn: u.NetworkIn, NetworkOut: u.NetworkOut,
		DiskReadB: u.DiskRead, DiskWrittenB: u.DiskWritten,
	}
}

// close ends the file. An error says that it does not have everything.
func (m *monitor) close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sockets != nil {
		_ = m.sockets.Close()
	}
	return errors.Join(m.failed, m.file.Close())
}

// windows puts what a client's library says on the run's clock.
func (s *session) windows(intervals []client.Interval) []rundir.ClientWindow {
	var list []rundir.ClientWindow
	for _, i := range intervals {
		to := s.clock.Now() - int64(time.Since(i.Ended))
		w := rundir.ClientWindow{
			Client: s.name(), Session: int(s.spec.Header.Self.Session), From: to - int64(i.Length), To: to,
			QueuedRecords: i.Records, QueuedBytes: i.Bytes,
			Room: spread(i.Room), BatchRecords: spread(i.BatchRecords), BatchBytes: spread(i.BatchBytes),
		}
		for _, b := range i.Brokers {
			w.Brokers = append(w.Brokers, rundir.BrokerWindow{
				Broker: b.Broker, Queue: spread(b.Queue), Outgoing: spread(b.Outgoing), RoundTrip: spread(b.RoundTrip),
				Throttle: spread(b.Throttle), Out: b.Out, In: b.In, Allowed: b.Allowed,
			})
		}
		list = append(list, w)
	}
	return list
}

func spread(s client.Spread) *rundir.Spread {
	if s.Count == 0 {
		return nil
	}
	out := rundir.Spread(s)
	return &out
}
