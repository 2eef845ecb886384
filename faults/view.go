package faults

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/kbench/kbench/internal/client"
)

// view is the cluster as it shows itself at one moment. Topics and groups are logical. What could not be learned is
// missing: a nil map, or -1.
type view struct {
	partitions   map[client.Partition]client.PartitionState
	registered   map[int32]bool
	controller   int32
	coordinators map[coordinated]int32
	groups       map[string]groupView
}

// coordinated is a group or transactional id whose coordinator is watched.
type coordinated struct {
	kind client.CoordinatorKind
	name string
}

func (c coordinated) String() string {
	if c.kind == client.TransactionCoordinator {
		return "transactional id " + c.name
	}
	return "group " + c.name
}

type groupView struct {
	state    string
	members  int
	assigned int // partitions that a member has
}

// subjects are what a view shows.
type subjects struct {
	topics       []string
	coordinators []coordinated
	groups       []string
}

// look asks the cluster for all of it side by side. The error tells what is missing from the view.
func look(ctx context.Context, env Env, of subjects) (view, error) {
	v := view{
		partitions: map[client.Partition]client.PartitionState{}, controller: -1,
		coordinators: map[coordinated]int32{}, groups: map[string]groupView{},
	}
	var mu sync.Mutex
	var problems []error
	var asking sync.WaitGroup
	begin := func(question func() (func(), error)) {
		asking.Go(func() {
			note, err := question()
			mu.Lock()
			defer mu.Unlock()
			if problems = append(problems, err); err == nil {
				note()
			}
		})
	}
	begin(func() (func(), error) {
		brokers, err := ask(ctx, lookLimit, env.Admin.Brokers)
		return func() { v.registered = present(brokers) }, wrap(err, "brokers")
	})
	begin(func() (func(), error) {
		id, err := ask(ctx, lookLimit, env.Admin.Controller)
		return func() { v.controller = id }, wrap(err, "controller")
	})
	for _, topic := range of.topics {
		begin(func() (func(), error) {
			list, err := partitionsOf(ctx, env, topic)
			return func() {
				for _, p := range list {
					v.partitions[p.Partition] = p
				}
			}, wrap(err, "partitions of "+topic)
		})
	}
	for _, c := range of.coordinators {
		begin(func() (func(), error) {
			id, err := coordinatorOf(ctx, env, c)
			return func() { v.coordinators[c] = id }, wrap(err, "coordinator of "+c.String())
		})
	}
	for _, g := range of.groups {
		begin(func() (func(), error) {
			seen, err := groupOf(ctx, env, g)
			return func() { v.groups[g] = seen }, wrap(err, "group "+g)
		})
	}
	asking.Wait()
	return v, errors.Join(problems...)
}

func wrap(err error, what string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

func present(brokers map[int32]string) map[int32]bool {
	set := make(map[int32]bool, len(brokers))
	for id := range brokers {
		set[id] = true
	}
	return set
}

// partitionsOf a logical topic, under its logical name.
func partitionsOf(ctx context.Context, env Env, topic string) ([]client.PartitionState, error) {
	list, err := ask(ctx, lookLimit, func(ctx context.Context) ([]client.PartitionState, error) {
		return env.Admin.Partitions(ctx, env.Physical(topic))
	})
	list = slices.Clone(list)
	for i := range list {
		list[i].Topic = topic
		list[i].ISR = slices.Sorted(slices.Values(list[i].ISR))
	}
	return list, err
}

func coordinatorOf(ctx context.Context, env Env, c coordinated) (int32, error) {
	name := env.Group
	if c.kind == client.TransactionCoordinator {
		name = env.Transactional
	}
	return ask(ctx, lookLimit, func(ctx context.Context) (int32, error) {
		return env.Admin.Coordinator(ctx, c.kind, name(c.name))
	})
}

func groupOf(ctx context.Context, env Env, group string) (groupView, error) {
	g, err := ask(ctx, lookLimit, func(ctx context.Context) (client.GroupState, error) {
		return env.Admin.Group(ctx, env.Group(group))
	})
	seen := groupView{state: g.State, members: len(g.Members)}
	for _, m := range g.Members {
		seen.assigned += len(m.Assigned)
	}
	return seen, err
}

// over fills the gaps of a view with what an earlier one showed, and drops what a broker told that lags behind: a
// partition's leader epoch never goes back.
func (v view) over(old view) view {
	if v.registered == nil {
		v.registered = old.registered
	}
	if v.controller < 0 {
		v.controller = old.controller
	}
	for p, was := range old.partitions {
		if now, ok := v.partitions[p]; !ok || now.Epoch < was.Epoch {
			v.partitions[p] = was
		}
	}
	for c, was := range old.coordinators {
		if now, ok := v.coordinators[c]; !ok || now < 0 {
			v.coordinators[c] = was
		}
	}
	for g, was := range old.groups {
		if _, ok := v.groups[g]; !ok {
			v.groups[g] = was
		}
	}
	return v
}

// sorted partitions of the view.
func (v view) sorted() []client.Partition {
	return slices.SortedFunc(maps.Keys(v.partitions), func(a, b client.Partition) int {
		if c := strings.Compare(a.Topic, b.Topic); c != 0 {
			return c
		}
		return int(a.Partition - b.Partition)
	})
}

// without says in which way a broker is not yet part of the cluster again, "" if it is.
func (v view) without(broker int32) string {
	if v.registered != nil && !v.registered[broker] {
		return "it is not registered"
	}
	for _, p := range v.sorted() {
		s := v.partitions[p]
		if slices.Contains(s.Replicas, broker) && !slices.Contains(s.ISR, broker) {
			return "it is not in the ISR of " + partitionName(p)
		}
	}
	return ""
}

func partitionName(p client.Partition) string { return fmt.Sprintf("%s/%d", p.Topic, p.Partition) }

func idList(ids []int32) string {
	text := make([]string, len(ids))
	for i, id := range ids {
		text[i] = fmt.Sprint(id)
	}
	return strings.Join(text, ",")
}
