// Package bench runs one plan on one cluster: set-up, warm-up, measuring while faults strike, heal, drain, final read.
// It only writes the run directory; what the run means is judged from there.
//
// A reader finds: the stages in run.go, topics and settings in prepare.go, sessions of clients in session.go, producer.go,
// consumer.go and processor.go, their control in crew.go, and the end in settle.go and finalread.go.
package bench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/kbench/kbench/faults"
	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/clock"
	"github.com/kbench/kbench/internal/cluster"
	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/proc"
	"github.com/kbench/kbench/internal/rundir"
	"github.com/kbench/kbench/scenarios"
)

// Config is one run: one cell of a scenario's matrix, once.
type Config struct {
	Scenario scenarios.Scenario
	Source   []byte // the scenario as a file that runs again
	Cell     map[string]string
	Repeat   int
	Seed     int64
	Dir      string // run directory; made if need be, its history folder must be empty

	Cluster cluster.Cluster
	Why     string // why this kind of cluster was taken
	Admin   client.Admin
	Reader  Reader // the judge's, with requests of its own

	Security map[string]string // how clients reach a secured cluster, by Kafka's names; never written down

	Driver  string // under test, a name in Drivers
	Drivers map[string]client.Driver
	Worker  []string // command of a child process that runs a session: it calls worker.Serve with Sessions(Drivers)

	changeSessions func(*session) // of a test that breaks something; nil

	Version  string         // of kbench
	Notes    []string       // what is different about this cell, for who reads the result
	NoLooks  bool           // leave the brokers' own logs aside: what they tell of lost records takes time to read
	Keep     bool           // leave the run's topics on a cluster that kbench did not start
	Progress func(Progress) // called a few times a second, from one goroutine at a time; may be nil
}

// Reader reads a partition from start to end for the judge.
type Reader interface {
	Name() string
	Version() string
	// ReadPartition hands over every record below end that the isolation shows, in order, and returns the position it
	// reached, which is end or more unless there is an error. Records are valid until got returns.
	ReadPartition(ctx context.Context, topic string, partition int32, start, end int64, isolation client.Isolation,
		got func([]client.Fetched) error) (position int64, err error)
}

// Progress of a run. Note is a line about something that happened, else empty.
type Progress struct {
	Stage             rundir.Stage
	Elapsed, Total    time.Duration // of the load; Total 0: unknown
	Sent, Acked, Read uint64
	Note              string
}

// ClusterError says that the cluster or the machine failed, not the promise under test.
type ClusterError struct{ Err error }

func (e *ClusterError) Error() string { return e.Err.Error() }
func (e *ClusterError) Unwrap() error { return e.Err }

// run is one run on its way.
type run struct {
	Config
	s       *scenarios.Scenario
	clock   clock.Clock
	wall    *wall
	topics  []topicRef
	created []string // topics on the cluster that are to be removed
	suffix  string
	header  history.Header
	crew    *crew
	shelf   *shelf
	monitor *monitor
	env     faults.Env
	begins  sync.WaitGroup // producers' schedules
	abort   func(error)    // ends the run because the machine or the cluster failed it

	mu    sync.Mutex
	meta  rundir.Meta
	spans []span // of the faults
}

// Run carries a plan out and returns what run.json says at the end. An error means that the run is not complete; the run
// directory is readable all the same, and everything that was hurt is healed and everything started has been stopped.
func Run(ctx context.Context, cfg Config) (rundir.Meta, error) {
	ctx, abort := context.WithCancelCause(ctx)
	defer abort(nil)
	r := &run{Config: cfg, s: &cfg.Scenario, abort: abort}
	if err := r.open(); err != nil {
		return r.meta, err // nothing was begun: what the directory may hold is another run's
	}
	watching, unwatch := context.WithCancel(context.WithoutCancel(ctx))
	defer unwatch()
	go r.wall.watch(watching)
	return r.close(ctx, r.stages(ctx))
}

// open makes the run directory and the clock.
func (r *run) open() error {
	var err error
	if r.clock, err = clock.New(); err != nil {
		return &ClusterError{err}
	}
	r.wall = newWall(r.clock.Wall, r.clock.Wall())
	history := filepath.Join(r.Dir, rundir.HistoryDir)
	if err := os.MkdirAll(history, 0o755); err != nil {
		return &ClusterError{fmt.Errorf("run directory: %w", err)}
	}
	if old, err := os.ReadDir(history); err != nil || len(old) > 0 {
		return &ClusterError{errors.Join(err, fmt.Errorf("run directory %s already holds a history", r.Dir))}
	}
	if err := os.WriteFile(filepath.Join(r.Dir, rundir.ScenarioFile), r.Source, 0o644); err != nil {
		return &ClusterError{fmt.Errorf("run directory: %w", err)}
	}
	r.describe()
	if r.monitor, err = newMonitor(r); err != nil {
		return &ClusterError{err}
	}
	return r.save(rundir.Starting)
}

// stages is the whole of a run in order.
func (r *run) stages(ctx context.Context) error {
	if err := r.prepare(ctx); err != nil {
		return err
	}
	starter := proc.NewStarter()
	defer starter.Close()
	r.hire(ctx, starter)
	defer r.dismiss()
	if err := r.checkFaults(); err != nil {
		return err
	}
	if err := r.startWorkers(ctx); err != nil {
		return err
	}
	if err := r.build(ctx); err != nil {
		if ctx.Err() != nil {
			return errors.Join(context.Cause(ctx), err)
		}
		return &ClusterError{err}
	}
	loaded := r.load(ctx)
	if ctx.Err() != nil {
		return errors.Join(context.Cause(ctx), loaded)
	}
	if loaded != nil {
		r.problem("load: %v", loaded)
	}
	return r.settle(ctx)
}

// load sends by the schedule while faults strike, and returns once every record has its end or the drain is over.
func (r *run) load(ctx context.Context) error {
	const lead = int64(200 * time.Millisecond) // for the word to reach every producer
	start := r.clock.Now() + lead
	warm := start + r.s.Load.Warmup.Nanoseconds()
	end := warm + r.s.Load.Duration.Nanoseconds()
	r.change(func(m *rundir.Meta) {
		m.Clock.MeasureStart, m.Clock.MeasureEnd = warm, end
		m.Stage = rundir.Warming
	})
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watching := r.watch(ctx, start, end)
	defer watching.Wait()
	defer cancel()
	defer r.monitor.watch(ctx)()
	r.beginSchedules(ctx, start, end)
	if !r.clock.SleepUntil(warm, ctx.Done()) {
		return r.unload(ctx)
	}
	if err := r.save(rundir.Measuring); err != nil {
		return err
	}
	r.readLate(ctx)
	hurt := r.hurt(ctx, warm, end)
	return errors.Join(hurt, r.unload(ctx))
}

// hurt lets the faults strike, and returns when the schedule's time is over and the last step is done.
func (r *run) hurt(ctx context.Context, warm, end int64) error {
	rng := scenarios.Split(r.Seed, "faults")
	saved := r.keepFaults
	var err error
	if len(r.s.Steps) > 0 {
		var records []rundir.Fault
		records, err = faults.RunSteps(ctx, r.env, r.s.Steps, rng, saved)
		saved(records)
		if r.s.Load.Rate == 0 && !r.s.Load.Max {
			r.change(func(m *rundir.Meta) { m.Clock.MeasureEnd = r.clock.Now() })
			return err
		}
	} else {
		var records []rundir.Fault
		records, err = faults.RunTimeline(ctx, r.env, r.s.Faults, rng, warm, end, saved)
		saved(records)
	}
	if r.s.Load.Alone() {
		r.workOff(ctx, warm)
		return err
	}
	r.clock.SleepUntil(end, ctx.Done())
	return err
}

// span is where the clients' counters stood when a fault began, and when the first began that came after its heal: what
// they grew by from then on may be that one's doing.
type span struct{ from, to map[string]uint64 }

// grown is by how much the counters grew meanwhile; now counts where nothing came after.
func (s span) grown(now map[string]uint64) map[string]uint64 {
	if s.to != nil {
		now = s.to
	}
	grown := map[string]uint64{}
	for name, n := range now {
		if before := s.from[name]; n > before {
			grown[name] = n - before
		}
	}
	return grown
}

// keepFaults keeps the faults so far for run.json, which stand in the order in which they began, and remembers where the
// clients' counters stood.
func (r *run) keepFaults(fs []rundir.Fault) {
	now := r.crew.counters()
	r.change(func(m *rundir.Meta) {
		for len(r.spans) < len(fs) {
			for i := range r.spans {
				if r.spans[i].to == nil && fs[i].Healed != nil {
					r.spans[i].to = now
				}
			}
			r.spans = append(r.spans, span{from: now})
		}
		m.Faults = fs
	})
}

// countFaults tells each fault by how much the clients' counters have grown.
func (r *run) countFaults() {
	now := r.crew.counters()
	r.change(func(m *rundir.Meta) {
		m.Faults = slices.Clone(m.Faults)
		for i := range min(len(m.Faults), len(r.spans)) {
			m.Faults[i].Counters = r.spans[i].grown(now)
		}
	})
}

// unload waits until the schedules are worked off, stops the producers, and notes when the load ended.
func (r *run) unload(ctx context.Context) error {
	patience := r.s.Load.Drain
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	worked := make(chan struct{})
	go func() {
		r.begins.Wait()
		close(worked)
	}()
	select {
	case <-worked:
	case <-waiting.Done():
		if ctx.Err() == nil {
			r.warn("the load's schedule was not worked off %v after its end and is cut short", r.s.Load.Drain)
		}
	}
	if ctx.Err() != nil {
		patience = time.Second
	}
	stopping, cancelStop := context.WithTimeout(context.WithoutCancel(ctx), patience+10*time.Second)
	defer cancelStop()
	err := r.crew.stopAll(stopping, roleProducer, patience)
	r.countFaults()
	r.change(func(m *rundir.Meta) { m.Clock.LoadEnd = r.clock.Now() })
	return err
}

// dismiss stops whoever still works; after a run that came to its end that is nobody.
func (r *run) dismiss() {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	if err := r.crew.stopAll(ctx, "", time.Second); err != nil {
		r.problem("stop: %v", err)
	}
}

// leaveLimit bounds what a run that is over still asks of the cluster.
const leaveLimit = 5 * time.Second

// close writes down how the run ended. A run that was broken off is healed and stopped by the stages themselves.
func (r *run) close(ctx context.Context, err error) (rundir.Meta, error) {
	stage := rundir.Complete
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx) // a session failed while it was stopped
	}
	switch {
	case ctx.Err() != nil && !isClusterError(context.Cause(ctx)):
		stage, err = rundir.Interrupted, context.Cause(ctx) // what broke on the way out broke because of it
	case err != nil:
		stage = rundir.Broken
	}
	if r.shelf != nil {
		r.shelf.wait()
	}
	leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveLimit)
	r.discardTopics(leaving) // of a run that did not get there by itself
	cancel()
	logs, unread := r.logs()
	if unread != nil && err == nil {
		stage, err = rundir.Broken, &ClusterError{unread}
	}
	if unwritten := r.monitor.close(); unwritten != nil {
		r.warn("what was used is known in part only: %v", unwritten)
	}
	r.wall.look()
	r.change(func(m *rundir.Meta) {
		m.Clock.WallStepMs = r.wall.step() / int64(time.Millisecond)
		m.Logs = logs
		if err != nil {
			m.Error = err.Error()
		}
		if r.crew != nil {
			r.crew.mu.Lock()
			m.Workers = append([]rundir.Worker(nil), r.crew.ended...)
			r.crew.mu.Unlock()
			m.Counters = sumCounters(m.Workers)
		}
	})
	if saved := r.save(stage); saved != nil {
		err = errors.Join(err, saved)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.meta, err
}

// logs of the history as they are now that nobody writes them any more: what is judged later has to be just this.
func (r *run) logs() ([]rundir.LogFile, error) {
	entries, err := os.ReadDir(rundir.History(r.Dir))
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	var list []rundir.LogFile
	for _, entry := range entries {
		size, sum, err := history.Digest(filepath.Join(rundir.History(r.Dir), entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
		list = append(list, rundir.LogFile{File: entry.Name(), Bytes: size, Sum: sum})
	}
	return list, nil
}

func isClusterError(err error) bool {
	var failed *ClusterError
	return errors.As(err, &failed)
}

func sumCounters(workers []rundir.Worker) map[string]uint64 {
	sum := map[string]uint64{}
	for _, w := range workers {
		for name, n := range w.Counters {
			if !isPosition(name) {
				sum[name] += n
			}
		}
	}
	return sum
}

// change edits what run.json will say.
func (r *run) change(edit func(*rundir.Meta)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	edit(&r.meta)
}

// problem notes what keeps the final read from being complete, and so the verdict from being 'holds'.
func (r *run) problem(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	r.change(func(m *rundir.Meta) { m.FinalRead.Problems = append(m.FinalRead.Problems, line) })
	r.note("%s", line)
}

// save writes run.json for a new stage.
func (r *run) save(stage rundir.Stage) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.meta.Stage = stage
	if err := r.meta.Save(r.Dir); err != nil {
		return &ClusterError{fmt.Errorf("run directory: %w", err)}
	}
	return nil
}

// note is a line of progress.
func (r *run) note(format string, args ...any) {
	r.progress(Progress{Note: fmt.Sprintf(format, args...)})
}

func (r *run) progress(p Progress) {
	if r.Progress == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	p.Stage = r.meta.Stage
	if r.crew != nil {
		p.Sent, p.Acked, p.Read = r.crew.Sent(), r.crew.Acked(), r.crew.Read()
	}
	r.Progress(p)
}

// watch reports progress until ctx ends.
func (r *run) watch(ctx context.Context, start, end int64) *sync.WaitGroup {
	var watching sync.WaitGroup
	watching.Go(func() {
		tick := time.NewTicker(250 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				r.progress(Progress{Elapsed: time.Duration(r.clock.Now() - start), Total: time.Duration(end - start)})
			}
		}
	})
	return &watching
}

// beginSchedules tells every producer when to send, and remembers who is still at it.
func (r *run) beginSchedules(ctx context.Context, start, end int64) {
	if r.s.Load.Rate == 0 && !r.s.Load.Max {
		return
	}
	begin := func(m *member, from int64) {
		r.begins.Go(func() {
			if err := m.ask(ctx, beginCommand(start, from, end)); err != nil && ctx.Err() == nil && !m.wasKilled() {
				r.note("%s %d: %v", m.role, m.n, err)
			}
		})
	}
	for _, m := range r.crew.of(roleProducer) {
		begin(m, start)
	}
	// What fell due while a producer was dead is not made up for: its application was not there to send it.
	r.crew.resume = func(m *member) {
		if now := r.clock.Now(); now < end {
			begin(m, max(start, now))
		}
	}
}

// effectiveOf gathers the settings that the producers' library really uses.
func (r *run) effectiveOf() map[string]string {
	for _, role := range []string{roleProducer, roleProcessor} {
		for _, m := range r.crew.of(role) {
			m.mu.Lock()
			settings := maps.Clone(m.settings)
			m.mu.Unlock()
			if len(settings) > 0 {
				return settings
			}
		}
	}
	return nil
}
