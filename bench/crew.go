package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/kbench/kbench/internal/proc"
	"github.com/kbench/kbench/internal/rundir"
	"github.com/kbench/kbench/internal/worker"
)

// crew is every session of a run: it starts them, tells them what to do, and knows what they said.
// It is what faults see as their Workers and their Load.
type crew struct {
	ctx     context.Context
	dir     string
	body    worker.Body
	argv    []string // command of a child process
	starter *proc.Starter
	abort   func(error)   // ends the run: the machine failed it
	wall    *wall         // sees what sessions have seen of the wall clock
	monitor *monitor      // keeps what sessions say of where records waited
	resume  func(*member) // has a producer that was started again go on with the load; nil: nothing is scheduled

	mu      sync.Mutex
	members []*member
	ended   []rundir.Worker // sessions that are over
}

// member is one instance of a role; its sessions follow one another.
type member struct {
	role       string
	n          int
	child      bool
	supervised bool // a session that ended by itself with an error is followed by another
	spec       sessionSpec

	mu       sync.Mutex
	session  int
	handle   worker.Handle // nil: not started
	ready    chan struct{} // closed when the session is
	over     chan struct{} // closed when the session is
	killed   bool
	failure  string
	leaving  bool   // no session follows any more
	point    string // where it is held
	records  int    // in hand there
	counters map[string]uint64
	past     map[string]uint64 // of the sessions before
	settings map[string]string
	nextID   uint64
	answers  map[uint64]chan worker.Event
}

func (c *crew) add(role string, n int, child bool, spec sessionSpec) *member {
	m := &member{role: role, n: n, child: child, spec: spec, answers: map[uint64]chan worker.Event{}, past: map[string]uint64{}}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.members = append(c.members, m)
	return m
}

func (c *crew) of(role string) []*member {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []*member
	for _, m := range c.members {
		if role == "" || m.role == role {
			out = append(out, m)
		}
	}
	return out
}

func (c *crew) find(role string, n int) (*member, error) {
	found := c.of(role)
	if n < 0 || n >= len(found) {
		return nil, fmt.Errorf("no %s has the number %d: there are %d", role, n, len(found))
	}
	return found[n], nil
}

// group that a reader is in, "" for none.
func (m *member) group() string {
	switch {
	case m.spec.Consumer != nil:
		return m.spec.Consumer.Group
	case m.spec.Processor != nil:
		return m.spec.Processor.Group
	}
	return ""
}

// logName is where a session's history lies.
func logName(name string, session int) string { return fmt.Sprintf("%s.%d.log", name, session) }

var errLeaving = errors.New("the run is over for it")

// launch starts the next session of a member.
func (c *crew) launch(m *member) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.leaving {
		return errLeaving
	}
	spec := m.spec
	m.session++
	spec.Header.Self.Session = int32(m.session)
	history := filepath.Join(c.dir, rundir.HistoryDir)
	name := spec.Header.Self.Name
	spec.Log = filepath.Join(history, logName(name, m.session))
	if spec.Producer != nil && spec.Producer.Resend != "" {
		producer := *spec.Producer
		producer.Resend = ""
		if m.session > 1 {
			producer.Resend = filepath.Join(history, logName(name, m.session-1))
		}
		spec.Producer = &producer
	}
	raw, err := json.Marshal(spec)
	if err != nil {
		return fmt.Errorf("task of %s: %w", name, err)
	}
	if m.child {
		log := filepath.Join(c.dir, name+".log")
		if m.handle, err = worker.Child(c.starter, c.argv, raw, log); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	} else {
		m.handle = worker.Inside(c.ctx, c.body, raw)
	}
	for counter, n := range m.counters {
		if isPosition(counter) {
			m.past[counter] = max(m.past[counter], n) // a place, and no amount
		} else {
			m.past[counter] += n
		}
	}
	m.ready, m.over = make(chan struct{}), make(chan struct{})
	m.killed, m.failure, m.point, m.counters = false, "", "", nil
	go c.listen(m, m.handle, m.ready, m.over)
	return nil
}

// listen takes in what a session says until it is over.
func (c *crew) listen(m *member, handle worker.Handle, ready, over chan struct{}) {
	told := false
	for e := range handle.Events() {
		m.mu.Lock()
		switch e.Is {
		case worker.Ready:
			if m.settings == nil {
				m.settings = e.Settings
			}
			if !told {
				told = true
				close(ready)
			}
		case worker.Counts, worker.Final:
			m.counters = e.Counters
			c.wall.saw(e.Wall)
		case worker.Observed:
			c.monitor.observed(e.Windows)
		case worker.Held:
			m.point, m.records = e.Point, e.N
		case worker.Released:
			m.point, m.records = "", 0
		case worker.Answer:
			if answer, ok := m.answers[e.ID]; ok {
				answer <- e
				delete(m.answers, e.ID)
			}
		case worker.Done:
			m.failure = e.Error
			if e.Machine {
				c.abort(&ClusterError{errors.New(e.Error)})
			}
		}
		m.mu.Unlock()
	}
	m.mu.Lock()
	m.point = ""
	for id, answer := range m.answers {
		answer <- worker.Event{ID: id, Is: worker.Answer, Error: worker.ErrEnded.Error()}
		delete(m.answers, id)
	}
	row := rundir.Worker{
		Name: m.spec.Header.Self.Name, Session: m.session, Role: m.role, Group: m.group(), Process: m.child,
		Killed: m.killed, Error: m.failure, Counters: m.counters,
	}
	follow := m.supervised && !m.leaving && !row.Killed && row.Error != ""
	row.Followed = follow
	m.mu.Unlock()
	c.mu.Lock()
	c.ended = append(c.ended, row)
	c.mu.Unlock()
	close(over)
	if follow {
		time.AfterFunc(superviseAfter, func() { c.supervise(m) })
	}
}

// superviseAfter is how long a supervisor waits before it starts a session anew.
const superviseAfter = time.Second

// supervise starts a session where the last one ended by itself. One that fails in turn ends like the one before it.
func (c *crew) supervise(m *member) {
	ctx, cancel := context.WithTimeout(c.ctx, transactionStep+signalWait)
	defer cancel()
	_ = c.Start(ctx, m.role, m.n)
}

// ask sends a command and waits for its answer.
func (m *member) ask(ctx context.Context, cmd worker.Command) error {
	m.mu.Lock()
	if m.handle == nil {
		m.mu.Unlock()
		return fmt.Errorf("%s %d has not started", m.role, m.n)
	}
	m.nextID++
	cmd.ID = m.nextID
	answer := make(chan worker.Event, 1)
	m.answers[cmd.ID] = answer
	handle := m.handle
	m.mu.Unlock()
	if err := handle.Command(cmd); err != nil {
		return err
	}
	select {
	case e := <-answer:
		if e.Error != "" {
			return errors.New(e.Error)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s %d did not answer %s: %w", m.role, m.n, cmd.Do, context.Cause(ctx))
	}
}

// tell sends a command without waiting.
func (m *member) tell(cmd worker.Command) error {
	m.mu.Lock()
	handle := m.handle
	m.mu.Unlock()
	if handle == nil {
		return fmt.Errorf("%s %d has not started", m.role, m.n)
	}
	return handle.Command(cmd)
}

// alive tells whether a session runs.
func (m *member) alive() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.handle == nil {
		return false
	}
	select {
	case <-m.over:
		return false
	default:
		return true
	}
}

// awaitReady waits until the session is connected, or has ended.
func (m *member) awaitReady(ctx context.Context) error {
	m.mu.Lock()
	ready, over := m.ready, m.over
	m.mu.Unlock()
	select {
	case <-ready:
		return nil
	case <-over:
		m.mu.Lock()
		defer m.mu.Unlock()
		return fmt.Errorf("%s %d ended before it was ready: %s", m.role, m.n, m.failure)
	case <-ctx.Done():
		return fmt.Errorf("%s %d is not ready: %w", m.role, m.n, context.Cause(ctx))
	}
}

// stop ends a session in good order, and by force once ctx has ended. patience is for what a producer has in flight.
func (c *crew) stop(ctx context.Context, m *member, patience time.Duration) error {
	m.mu.Lock()
	m.leaving = true
	m.mu.Unlock()
	if !m.alive() {
		return nil
	}
	_ = m.tell(worker.Command{Do: worker.Release})
	if err := m.tell(worker.Command{Do: worker.Stop, N: int(patience.Milliseconds())}); err != nil && !errors.Is(err, worker.ErrEnded) {
		return err
	}
	m.mu.Lock()
	over := m.over
	m.mu.Unlock()
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		if m.child {
			return errors.Join(fmt.Errorf("%s %d did not stop", m.role, m.n), c.Kill(m.role, m.n))
		}
		return fmt.Errorf("%s %d did not stop: %w", m.role, m.n, context.Cause(ctx))
	}
}

// stopAll ends the sessions of a role, side by side.
func (c *crew) stopAll(ctx context.Context, role string, patience time.Duration) error {
	members := c.of(role)
	problems := make([]error, len(members))
	var stopping sync.WaitGroup
	for i, m := range members {
		stopping.Go(func() { problems[i] = c.stop(ctx, m, patience) })
	}
	stopping.Wait()
	return errors.Join(problems...)
}

// sum adds a counter up over every session of a role.
func (c *crew) sum(role, counter string) uint64 {
	var sum uint64
	for _, m := range c.of(role) {
		sum += m.count(counter)
	}
	return sum
}

// counters of every session, added up; positions are not among them.
func (c *crew) counters() map[string]uint64 {
	sum := map[string]uint64{}
	for _, m := range c.of("") {
		for name, n := range c.Counters(m.role, m.n) {
			if !isPosition(name) {
				sum[name] += n
			}
		}
	}
	return sum
}

func (m *member) count(counter string) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.past[counter] + m.counters[counter]
}

// Kill sends SIGKILL to a member's process and waits until it is gone.
func (c *crew) Kill(role string, n int) error {
	m, err := c.find(role, n)
	if err != nil {
		return err
	}
	pid, err := m.process()
	if err != nil {
		return err
	}
	m.mu.Lock()
	m.killed = true
	over := m.over
	m.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), signalWait)
	defer cancel()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill %s %d: %w", role, n, err)
	}
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s %d (process %d) did not die", role, n, pid)
	}
}

// signalWait bounds how long the system may take to show a signal's effect.
const signalWait = 10 * time.Second

func (m *member) process() (int, error) {
	if !m.alive() {
		return 0, fmt.Errorf("%s %d does not run", m.role, m.n)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if pid := m.handle.Pid(); pid > 0 {
		return pid, nil
	}
	return 0, fmt.Errorf("%s %d: %w", m.role, m.n, worker.ErrNoProcess)
}

// Pause stops a member's process with SIGSTOP.
func (c *crew) Pause(role string, n int) error {
	return c.signal(role, n, syscall.SIGSTOP, proc.Paused)
}

// Resume lets a paused process go on.
func (c *crew) Resume(role string, n int) error {
	return c.signal(role, n, syscall.SIGCONT, proc.Running)
}

func (c *crew) signal(role string, n int, sig syscall.Signal, state string) error {
	m, err := c.find(role, n)
	if err != nil {
		return err
	}
	pid, err := m.process()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), signalWait)
	defer cancel()
	return proc.Signal(ctx, pid, sig, state)
}

// Start begins a member that waits, or a new session of one that has ended.
func (c *crew) Start(ctx context.Context, role string, n int) error {
	m, err := c.find(role, n)
	if err != nil {
		return err
	}
	if m.alive() {
		return fmt.Errorf("%s %d runs already", role, n)
	}
	if err := c.launch(m); err != nil {
		return err
	}
	if err := m.awaitReady(ctx); err != nil {
		return err
	}
	if c.resume != nil && role == roleProducer {
		c.resume(m)
	}
	return nil
}

// State of a member's process as the system shows it.
func (c *crew) State(role string, n int) (string, int, error) {
	m, err := c.find(role, n)
	if err != nil {
		return "", 0, err
	}
	m.mu.Lock()
	started := m.handle != nil
	m.mu.Unlock()
	switch {
	case !started:
		return "waiting", 0, nil
	case !m.alive():
		return proc.Dead, 0, nil
	}
	pid, err := m.process()
	if errors.Is(err, worker.ErrNoProcess) {
		return proc.Running, 0, nil
	}
	if err != nil {
		return "", 0, err
	}
	state, err := proc.State(pid)
	return state, pid, err
}

// Hold lets a member stop when it next comes to the point. It returns once the member knows: what is sent afterwards
// finds it held.
func (c *crew) Hold(role string, n int, point string) error {
	m, err := c.find(role, n)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), signalWait)
	defer cancel()
	return m.ask(ctx, worker.Command{Do: worker.Hold, Point: point})
}

// Release lets a member go on.
func (c *crew) Release(role string, n int) error {
	m, err := c.find(role, n)
	if err != nil {
		return err
	}
	return m.tell(worker.Command{Do: worker.Release})
}

// Held tells where a member stands held, and with how many records in hand.
func (c *crew) Held(role string, n int) (string, int) {
	m, err := c.find(role, n)
	if err != nil {
		return "", 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.point, m.records
}

// Counters of a member over all its sessions.
func (c *crew) Counters(role string, n int) map[string]uint64 {
	m, err := c.find(role, n)
	if err != nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	out := maps.Clone(m.past)
	for name, count := range m.counters {
		out[name] += count
	}
	return out
}

// Send has the producers send n records in all, as even a share each as can be.
func (c *crew) Send(ctx context.Context, n int, open bool) error {
	producers := c.running(roleProducer)
	if len(producers) == 0 {
		return errors.New("no producer runs")
	}
	return each(producers, func(i int, m *member) error {
		share := n / len(producers)
		if i < n%len(producers) {
			share++
		}
		return m.ask(ctx, worker.Command{Do: worker.SendN, N: share, Open: open})
	})
}

// Flush waits until each record sent has its end.
func (c *crew) Flush(ctx context.Context) error {
	return each(c.running(roleProducer), func(_ int, m *member) error {
		return m.ask(ctx, worker.Command{Do: worker.Flush})
	})
}

func (c *crew) running(role string) []*member {
	var out []*member
	for _, m := range c.of(role) {
		if m.alive() {
			out = append(out, m)
		}
	}
	return out
}

// staffed tells whether somebody of the role and group runs, or will again.
func (c *crew) staffed(role, group string) bool {
	return slices.ContainsFunc(c.of(role), func(m *member) bool { return m.group() == group && (m.alive() || m.returns()) })
}

// returns tells whether a supervisor starts the member's next session.
func (m *member) returns() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.supervised && !m.killed && !m.leaving && m.handle != nil
}

func each(members []*member, do func(int, *member) error) error {
	problems := make([]error, len(members))
	var doing sync.WaitGroup
	for i, m := range members {
		doing.Go(func() { problems[i] = do(i, m) })
	}
	doing.Wait()
	return errors.Join(problems...)
}

// Sent, Acked and Read are the load's figures so far.
func (c *crew) Sent() uint64  { return c.sum(roleProducer, "sent") }
func (c *crew) Acked() uint64 { return c.sum(roleProducer, "acked") }
func (c *crew) Read() uint64  { return c.sum("", "read") }

// followed are the sessions that ended badly and were followed by another, as their supervisor should.
func (c *crew) followed() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for _, w := range c.ended {
		if w.Followed {
			out = append(out, fmt.Sprintf("%s (session %d) ended by itself and was started again: %s", w.Name, w.Session, w.Error))
		}
	}
	return out
}

// failures are the sessions that ended badly without having been killed, and had nobody to follow them. One that was
// fenced did what it should.
func (c *crew) failures() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for _, w := range c.ended {
		if w.Error != "" && !w.Killed && !w.Followed && !strings.Contains(w.Error, errFenced.Error()+": ") {
			out = append(out, fmt.Sprintf("%s (session %d): %s", w.Name, w.Session, w.Error))
		}
	}
	return out
}
