package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"sync"
	"time"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/cluster"
	"github.com/kbench/kbench/internal/rundir"
	"github.com/kbench/kbench/scenarios"
)

const (
	healLimit   = 90 * time.Second // for what is to be healed at once, whatever has been cancelled
	retryLimit  = 5 * time.Second  // for clients to send again what was cut; those that have died never will
	lingerLimit = 30 * time.Second // for what the cluster does after the heal: elections, catching up
)

// runner carries out one run's faults: it keeps what has to be healed, watches the cluster, and gathers the evidence.
type runner struct {
	env  Env
	live func([]rundir.Fault)

	poked   chan struct{} // look now
	looking sync.Mutex    // one look at a time
	telling sync.Mutex    // one call of live at a time
	saving  sync.Mutex    // one journal at a time

	turns turns

	mu         sync.Mutex
	injections []*Injection
	recorded   []*Injection // those that were injected or could not be, in the order in which that was known
	pending    []pending    // not healed yet, in the order of the changes
	names      map[string]aimed
	seen       view
	told       map[client.Partition]client.PartitionState // to conditions, the newest

	watched  subjects // constant
	filtered int      // requests treated before this run; constant
}

// pending is a change that has not been healed yet; by is nil for one that is no fault, such as a held worker.
type pending struct {
	undo Undo
	by   *Injection
}

// run makes a runner, looks at the cluster while it is whole, lets play do its work, and heals whatever happened. It
// returns once the cluster shows that it has got over the faults, or lingerLimit has passed.
func run(ctx context.Context, env Env, watched subjects, live func([]rundir.Fault), play func(*runner) error) ([]rundir.Fault, error) {
	r := &runner{env: env, live: live, poked: make(chan struct{}, 1), names: map[string]aimed{}, told: map[client.Partition]client.PartitionState{}, watched: watched}
	watching, stop := context.WithCancel(ctx)
	var watch sync.WaitGroup
	defer watch.Wait()
	defer stop()
	if err := r.lookBefore(ctx); err != nil {
		return nil, fmt.Errorf("the cluster before the faults: %w", err)
	}
	watch.Go(func() { r.watch(watching) })
	healed := false
	defer func() { // only where play panics
		if !healed {
			_ = r.healAll(ctx)
		}
	}()
	err := play(r)
	healed = true
	err = errors.Join(err, r.healAll(ctx))
	r.linger(ctx)
	return r.records(), err
}

// lookBefore sees the cluster as it was, without which no change could be told. A group or a coordinator may not be
// there yet; topics have to be.
func (r *runner) lookBefore(ctx context.Context) error {
	if f, ok := r.env.Cluster.(cluster.AnswerFilter); ok {
		r.filtered = f.Filtered()
	}
	_, err := ask(ctx, askLimit, func(ctx context.Context) (view, error) {
		v, err := r.lookNow(ctx)
		if err != nil && len(r.watched.topics) == len(topicsOf(v)) {
			err = nil
		}
		return v, err
	})
	return err
}

func topicsOf(v view) map[string]bool {
	topics := map[string]bool{}
	for p := range v.partitions {
		topics[p.Topic] = true
	}
	return topics
}

// healAll heals everything, also after ctx has ended.
func (r *runner) healAll(ctx context.Context) error {
	if err := r.heal(context.WithoutCancel(ctx), func(pending) bool { return true }); err != nil {
		return fmt.Errorf("heal: %w", err)
	}
	return nil
}

// heal undoes the pending changes that are wanted, last first. What cannot be undone is told, stays in the journal, and
// does not keep the rest from being healed.
func (r *runner) heal(ctx context.Context, wanted func(pending) bool) error {
	ctx, cancel := context.WithTimeout(ctx, healLimit)
	defer cancel()
	r.mu.Lock()
	todo := slices.Clone(r.pending)
	r.mu.Unlock()
	var problems []error
	for i := len(todo) - 1; i >= 0; i-- {
		if wanted(todo[i]) {
			problems = append(problems, r.undo(ctx, todo[i]))
		}
	}
	return errors.Join(problems...)
}

// undo heals one change and takes it from the journal.
func (r *runner) undo(ctx context.Context, p pending) error {
	env, goesOn := r.env, r.env.GoesOn
	var letGo int64 // 0: not by us
	env.GoesOn = func(node int32) {
		if goesOn != nil {
			goesOn(node)
		}
		letGo = env.Now()
	}
	if p.undo.Do == undoRejoin && p.by != nil {
		p.by.askTheIsolated(ctx, p.undo.victim())
	}
	if err := (hands{env}).undo(ctx, p.undo); err != nil {
		err = fmt.Errorf("%s %s: %w", p.undo.Do, r.subject(p.undo), err)
		if p.by != nil {
			p.by.failed(err)
		}
		return err
	}
	r.mu.Lock()
	if at := slices.Index(r.pending, p); at >= 0 {
		r.pending = slices.Delete(slices.Clone(r.pending), at, at+1)
	}
	if p.by != nil {
		r.healed(p, letGo)
	}
	r.mu.Unlock()
	r.tell()
	r.poke()
	return r.saveJournal()
}

// healed notes what the system shows of a victim that goes on, and when the last of an injection's changes is undone.
// A node that stood still goes on from when it is let go, at letGo, and not only from when the system has shown that. It is
// called with the lock held.
func (r *runner) healed(p pending, letGo int64) {
	in := p.by
	if p.undo.Do == undoStart || p.undo.Do == undoResume {
		v := p.undo.victim()
		if state, pid, err := (hands{r.env}).state(v); err == nil {
			in.line(fmt.Sprintf("%s is %s again%s", r.name(v), state, asProcess(pid)))
		}
	}
	if p.undo.Do == undoRejoin {
		in.line(fmt.Sprintf("%s is on its peers' network again", r.name(p.undo.victim())))
	}
	if !slices.ContainsFunc(r.pending, func(p pending) bool { return p.by == in }) && in.rec.At != 0 {
		at := r.env.Now()
		if p.undo.Do == undoResume && letGo > 0 {
			at = letGo
		}
		in.rec.Healed = &at
	}
}

func asProcess(pid int) string {
	if pid == 0 {
		return ""
	}
	return fmt.Sprintf(", process %d", pid)
}

func (r *runner) subject(u Undo) string {
	if u.Do == undoUnfilter {
		return "the requests of clients"
	}
	return r.name(u.victim())
}

// saveJournal writes down what is pending.
func (r *runner) saveJournal() error {
	if r.env.Save == nil {
		return nil
	}
	r.saving.Lock()
	defer r.saving.Unlock()
	r.mu.Lock()
	undos := make([]Undo, len(r.pending))
	for i, p := range r.pending {
		undos[i] = p.undo
	}
	r.mu.Unlock()
	return r.env.Save(undos)
}

// begin checks once more and injects.
func (r *runner) begin(ctx context.Context, in *Injection, o order, rng *rand.Rand) error {
	fault, err := newFault(o)
	if err == nil {
		err = fault.Check(r.env)
	}
	if err != nil {
		return err
	}
	bit, err := fault.Inject(ctx, in, rng)
	r.mu.Lock()
	in.bit = bit && err == nil
	if err == nil && in.rec.Healed == nil && !slices.ContainsFunc(r.pending, func(p pending) bool { return p.by == in }) {
		now := r.env.Now() // it has healed itself, as a restart does
		in.rec.Healed = &now
	}
	r.mu.Unlock()
	if err == nil {
		r.note("%s %s", in.rec.Name, in.rec.Target)
		r.tell()
	}
	return err
}

// plan adds an injection, which is recorded from then on.
func (r *runner) plan(name, asked string) *Injection {
	in := &Injection{
		Env: r.env, run: r, rec: rundir.Fault{Name: name, Asked: asked},
		orphans: map[client.Partition]bool{}, fences: map[victim]uint64{},
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.injections = append(r.injections, in)
	return in
}

// keep puts an injection among the records. It is called with the lock held.
func (r *runner) keep(in *Injection) {
	if !slices.Contains(r.recorded, in) {
		r.recorded = append(r.recorded, in)
	}
}

// succeed ends the watch over earlier injections that are healed and had a victim, or its group, in common with this one:
// what the cluster shows of it from now on is this one's doing. It is called with the lock held.
func (r *runner) succeed(in *Injection) {
	for _, old := range r.injections {
		if old != in && old.rec.Healed != nil && slices.ContainsFunc(old.victims, in.shares) {
			old.past = true
		}
	}
}

// shares tells whether a victim of another fault is one of this, or of the same group.
func (in *Injection) shares(v victim) bool {
	return slices.Contains(in.victims, v) || v.role != "" && in.groupOf(v.role, v.n) != "" && in.inGroup(in.groupOf(v.role, v.n))
}

// records of every fault that was injected, or could not be.
func (r *runner) records() []rundir.Fault {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []rundir.Fault
	for _, in := range r.recorded {
		list = append(list, in.record())
	}
	return list
}

// tell hands the records over as they are now.
func (r *runner) tell() {
	if r.live == nil {
		return
	}
	r.telling.Lock()
	defer r.telling.Unlock()
	r.live(r.records())
}

func (r *runner) note(format string, args ...any) {
	if r.env.Note != nil {
		r.env.Note(format, args...)
	}
}

func (r *runner) poke() {
	select {
	case r.poked <- struct{}{}:
	default:
	}
}

// hurting tells whether the cluster is to be looked at often: something was hurt and has not been got over.
func (r *runner) hurting() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.pending) > 0 || r.unsettled() != ""
}

// unsettled says what the cluster has not got over yet, "" for nothing. It is called with the lock held.
func (r *runner) unsettled() string {
	for _, in := range r.injections {
		if in.rec.At == 0 || in.rec.Error != "" || in.past {
			continue
		}
		if in.mustMove() {
			return "the leader of " + partitionName(in.leads[0]) + " has not moved"
		}
		if h := in.rec.Healed; in.trap != nil && h != nil && r.env.Now()-*h < retryLimit.Nanoseconds() && in.trap.awaitsRetry() {
			return "requests whose answers were cut have not been sent again"
		}
		for _, v := range in.victims {
			if v.role != "" || !slices.Contains(r.env.Cluster.Brokers(), v.n) {
				continue
			}
			if why := r.seen.without(v.n); why != "" {
				return r.name(v) + ": " + why
			}
		}
	}
	return ""
}

// linger waits until the cluster has got over everything, so that what it does after the heal is evidence too.
func (r *runner) linger(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lingerLimit)
	defer cancel()
	for {
		_, _ = r.lookNow(ctx)
		r.mu.Lock()
		why := r.unsettled()
		r.mu.Unlock()
		if why == "" {
			return
		}
		if sleep(ctx, lookEvery) != nil {
			r.note("after the heal: %s", why)
			return
		}
	}
}

// name of a victim for people.
func (r *runner) name(v victim) string {
	switch {
	case v.role != "":
		return fmt.Sprintf("%s %d", v.role, v.n)
	case slices.Contains(r.env.Cluster.Brokers(), v.n):
		return fmt.Sprintf("broker %d", v.n)
	}
	return fmt.Sprintf("controller %d", v.n)
}

// logical name of a topic on the cluster.
func (r *runner) logical(physical string) string {
	for _, topic := range r.watched.topics {
		if r.env.Physical(topic) == physical {
			return topic
		}
	}
	return physical
}

// subjectsOf are what the targets and conditions of a run let one expect to change.
func subjectsOf(env Env, targets []scenarios.Target) subjects {
	s := subjects{topics: slices.Clone(env.Topics)}
	for _, t := range targets {
		if t.Topic != "" && !slices.Contains(s.topics, t.Topic) {
			s.topics = append(s.topics, t.Topic)
		}
		switch t.Kind {
		case scenarios.GroupCoordinator:
			s.coordinators = append(s.coordinators, coordinated{client.GroupCoordinator, t.Name})
		case scenarios.TransactionCoordinator, scenarios.TransactionalID:
			s.coordinators = append(s.coordinators, coordinated{client.TransactionCoordinator, t.Name})
		case scenarios.ConsumerWorker, scenarios.ProcessorWorker:
			for _, g := range env.groupsOf(t.Kind) {
				if !slices.Contains(s.groups, g) {
					s.groups = append(s.groups, g)
				}
			}
		}
	}
	return s
}
