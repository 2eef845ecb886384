// Package faults hurts a cluster or a client on purpose, proves that it hurt, and always heals.
package faults

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/cluster"
	"github.com/kbench/kbench/internal/rundir"
)

// Env is what faults, triggers and steps can reach. Topics, groups and transactional ids of a scenario are logical;
// the functions below translate them.
type Env struct {
	Cluster cluster.Cluster
	Admin   client.Admin
	Workers Workers
	Load    Load

	Topics []string          // logical names of the run's topics, which are watched for evidence; those that faults name are too
	Groups map[string]string // logical group of a role's workers ("consumer") or of one of them ("consumer 3"), where they are in one

	Physical      func(topic string) string
	Group         func(group string) string
	Transactional func(id string) string

	AcksAll bool // an acknowledgement waits for all in-sync replicas

	// AtRest is told of a node whose process has just been killed, stopped or paused: "dead" or "paused", or that is about
	// to join its peers again: "isolated". What it has on disk is not taken back before GoesOn has returned. Both may be nil.
	AtRest func(node int32, state string)
	GoesOn func(node int32)

	Now  func() int64                      // ns on the run's clock
	Note func(format string, args ...any)  // progress, one line
	Fail func(fault string, problem error) // a problem that makes the run inconclusive
	Save func(undo []Undo) error           // writes the journal of what is not healed yet, before each change; see SaveJournal
}

// groupOf is a worker's group, "" for none.
func (e Env) groupOf(role string, n int32) string {
	if own := e.Groups[fmt.Sprintf("%s %d", role, n)]; own != "" {
		return own
	}
	return e.Groups[role]
}

// groupsOf are the groups of a role's workers.
func (e Env) groupsOf(role string) []string {
	var groups []string
	for who, group := range e.Groups {
		if (who == role || strings.HasPrefix(who, role+" ")) && !slices.Contains(groups, group) {
			groups = append(groups, group)
		}
	}
	slices.Sort(groups)
	return groups
}

// Load is what a run's producers and consumers tell and can be told.
type Load interface {
	// Send has the producers send n records as fast as the client takes them, and returns when each was handed to
	// the client, acknowledged or not. A transaction that is not full then is ended, unless it is to stay open.
	Send(ctx context.Context, n int, open bool) error
	// Flush waits until each record sent has its acknowledgement or its error.
	Flush(ctx context.Context) error
	Sent() uint64
	Acked() uint64
	Read() uint64
}

// Workers are the sessions of producers, consumers and processors. A role is "producer", "consumer" or "processor".
type Workers interface {
	// Signals go to the worker's process and return when the system shows the effect. A worker that is no process
	// answers with an error.
	Kill(role string, n int) error
	Pause(role string, n int) error
	Resume(role string, n int) error
	// Start begins an instance that does not run yet, or a new session of one that was killed.
	Start(ctx context.Context, role string, n int) error
	// State is "running", "paused", "dead", "waiting" (not started yet), with its process id, 0 for none.
	State(role string, n int) (state string, pid int, err error)
	// Hold lets the worker stop when it next comes to the point; Release lets it go on, at all points.
	// Points: "polled" (records in hand, nothing done), "handled" (between effect and commit, whichever comes first),
	// "before-offsets" (outputs sent, the transaction's offsets not).
	Hold(role string, n int, point string) error
	Release(role string, n int) error
	// Held tells whether it stands at the point now, and since how many records in hand.
	Held(role string, n int) (point string, records int)
	// Counters of a worker: sent, acked, polled, processed, committed, fenced, aborted, …
	Counters(role string, n int) map[string]uint64
}

// Evidence is what the cluster or the system showed.
type Evidence struct {
	Bit        bool
	Lines      []string
	At         []int64 // ns on the run's clock, when each of the first lines was seen
	Protection []string
	Partitions []string // that it could hurt; none: all
}

// Into adds the evidence to a fault's record.
func (e Evidence) Into(f *rundir.Fault) {
	f.Bit = f.Bit || e.Bit
	if len(f.EvidenceAt) == len(f.Evidence) {
		f.EvidenceAt = append(f.EvidenceAt, e.At...)
	}
	f.Evidence = append(f.Evidence, e.Lines...)
	f.Protection = append(f.Protection, e.Protection...)
	f.Partitions = append(f.Partitions, e.Partitions...)
}
