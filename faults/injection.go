package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"strings"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/rundir"
	"github.com/kbench/kbench/scenarios"
)

// Injection is one fault on its way: whom it hurts, what heals it, and what has been seen of it. Its fields belong to
// the runner's lock.
type Injection struct {
	Env
	run *runner

	rec     rundir.Fault
	begun   bool // the first blow has fallen
	victims []victim
	leads   []client.Partition // aimed at by their leader, which therefore has to move
	moved   bool               // one of them did
	orphans map[client.Partition]bool
	fences  map[victim]uint64 // the workers' counters of having been fenced
	trap    trap              // nil: the fault has none
	bit     bool              // as Inject saw it
	past    bool              // a later one has hit a victim of its: what the cluster shows from then on is not its doing alone
	seen    Evidence          // in order of time
}

// Aim finds who is meant, now.
func (in *Injection) Aim(ctx context.Context, t scenarios.Target, rng *rand.Rand) ([]victim, error) {
	a, err := in.run.aim(ctx, t, rng)
	if err != nil {
		return nil, fmt.Errorf("who is %s: %w", t, err)
	}
	names := make([]string, len(a.victims))
	for i, v := range a.victims {
		names[i] = in.run.name(v)
	}
	in.target(strings.Join(names, ", "))
	in.run.mu.Lock()
	defer in.run.mu.Unlock()
	if t.Kind == scenarios.Broker && !in.run.seen.replicates(a.victims) {
		return nil, fmt.Errorf("%s has no replica of this run's topics: to hurt it would show nothing", strings.Join(names, ", "))
	}
	in.victims, in.leads = a.victims, a.leads
	in.rec.Partitions = in.run.seen.touching(a.victims)
	for _, v := range a.victims {
		if v.role != "" {
			in.fences[v] = in.Workers.Counters(v.role, int(v.n))["fenced"]
		}
	}
	return a.victims, nil
}

// replicates tells whether any of the nodes has a replica; where no partition is known, it may.
func (v view) replicates(victims []victim) bool {
	return len(v.partitions) == 0 || slices.ContainsFunc(victims, func(who victim) bool {
		for _, p := range v.partitions {
			if slices.Contains(p.Replicas, who.n) {
				return true
			}
		}
		return false
	})
}

// touching are the partitions that the nodes have replicas of; nil where that is all of them, or not known.
func (v view) touching(victims []victim) []string {
	var names []string
	for _, p := range v.sorted() {
		for _, who := range victims {
			if who.role == "" && slices.Contains(v.partitions[p].Replicas, who.n) {
				names = append(names, partitionName(p))
				break
			}
		}
	}
	if len(names) == len(v.partitions) {
		return nil
	}
	return names
}

func (in *Injection) target(name string) {
	in.run.mu.Lock()
	defer in.run.mu.Unlock()
	in.rec.Target = name
}

// blow is one thing done to each victim.
type blow struct {
	act   func(hands, context.Context, victim) error
	shows string // the state that the system must show afterwards
	undo  string
}

// strike journals, hurts and looks. It has bitten where the system shows every victim in the state that was meant.
func (in *Injection) strike(ctx context.Context, victims []victim, b blow) (bit bool, err error) {
	h := hands{in.Env}
	pids := map[victim]int{}
	for _, v := range victims {
		state, pid, err := h.state(v)
		if err != nil {
			return false, err
		}
		if state == b.shows {
			return false, fmt.Errorf("%s is %s already", in.run.name(v), state)
		}
		pids[v] = pid
		in.before(undoFor(b.undo, v, pid))
	}
	if err := in.journalled(); err != nil {
		return false, err
	}
	in.struck()
	in.begins() // telling of it has taken its time
	for _, v := range victims {
		if err := b.act(h, ctx, v); err != nil {
			return false, fmt.Errorf("%s: %w", in.run.name(v), err)
		}
	}
	return in.shown(victims, b.shows, pids)
}

// shown is the system's word on what became of the victims.
func (in *Injection) shown(victims []victim, state string, pids map[victim]int) (bit bool, err error) {
	bit = len(victims) > 0
	for _, v := range victims {
		now, _, err := hands{in.Env}.state(v)
		if err != nil {
			return false, err
		}
		switch {
		case now == stateDetached:
			in.see("%s is detached from its clients (simulated: no process died)", in.run.name(v))
		case now == state && v.role == "" && freezer(in.Env) != nil:
			in.see("%s stands still (simulated: no process was stopped)", in.run.name(v))
		case now == state:
			in.see("process %d of %s is %s", pids[v], in.run.name(v), now)
		default:
			bit = false
			in.see("process %d of %s is %s, not %s", pids[v], in.run.name(v), now, state)
		}
	}
	return bit, nil
}

// see adds a line of evidence.
func (in *Injection) see(format string, args ...any) {
	in.run.mu.Lock()
	defer in.run.mu.Unlock()
	in.line(fmt.Sprintf(format, args...))
}

// line adds a line of evidence, with the runner's lock held.
func (in *Injection) line(text string) {
	in.seen.Lines = append(in.seen.Lines, text)
	in.seen.At = append(in.seen.At, in.Now())
}

// struck notes the moment in which the fault begins.
func (in *Injection) struck() {
	in.run.mu.Lock()
	if in.rec.At == 0 {
		in.rec.At = in.Now()
	}
	in.run.keep(in)
	in.run.succeed(in)
	in.run.mu.Unlock()
	in.run.poke()
	in.run.tell()
}

// begins puts the beginning of a fault where its first blow falls.
func (in *Injection) begins() {
	in.run.mu.Lock()
	defer in.run.mu.Unlock()
	if !in.begun {
		in.begun, in.rec.At = true, in.Now()
	}
}

// before adds to what has to be healed; journalled writes it down. Both come before the change.
func (in *Injection) before(u Undo) {
	in.run.mu.Lock()
	defer in.run.mu.Unlock()
	in.run.pending = append(in.run.pending, pending{u, in})
}

func (in *Injection) journalled() error { return in.run.saveJournal() }

// heal undoes what this injection has done and is not healed yet, last first, or only what the filter wants.
func (in *Injection) heal(ctx context.Context, wanted func(Undo) bool) error {
	return in.run.heal(ctx, func(p pending) bool { return p.by == in && (wanted == nil || wanted(p.undo)) })
}

// evidence so far, in order of time; what a trap caught comes last, as it counts it anew each time.
func (in *Injection) evidence() Evidence {
	e := Evidence{Bit: in.bit, Lines: slices.Clone(in.seen.Lines), At: slices.Clone(in.seen.At), Protection: slices.Clone(in.seen.Protection)}
	if in.trap != nil {
		caught := in.trap.caught(in.run.logical)
		e.Bit, e.Partitions = caught.Bit, caught.Partitions
		e.Lines = append(e.Lines, caught.Lines...)
		e.Protection = append(e.Protection, caught.Protection...)
	}
	return e
}

// mustMove tells whether a leader that was taken down has yet to be seen replaced.
func (in *Injection) mustMove() bool {
	return len(in.leads) > 0 && !in.moved && in.rec.Name != "pause"
}

// record is the fault as the run directory has it. One aimed at a leader has bitten only once the cluster shows that
// this broker leads no more.
func (in *Injection) record() rundir.Fault {
	rec := in.rec
	e := in.evidence()
	if in.mustMove() && e.Bit {
		e.Bit = false
		e.Lines = append(e.Lines, fmt.Sprintf("the leader of %s was not seen to move", partitionName(in.leads[0])))
	}
	e.Lines, e.Protection = capped(e.Lines), capped(e.Protection)
	e.At = e.At[:min(len(e.At), maxLines)]
	e.Into(&rec)
	return rec
}

func capped(lines []string) []string {
	if len(lines) <= maxLines {
		return lines
	}
	return append(slices.Clone(lines[:maxLines]), fmt.Sprintf("and %d more", len(lines)-maxLines))
}

// failed notes why the fault could not be done, or healed.
func (in *Injection) failed(err error) {
	in.run.mu.Lock()
	in.rec.Error = errors.Join(asError(in.rec.Error), err).Error()
	in.run.keep(in)
	in.run.mu.Unlock()
	in.run.tell()
}

func asError(text string) error {
	if text == "" {
		return nil
	}
	return errors.New(text)
}
