package faults

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kbench/kbench/internal/client"
)

const (
	lookEvery = 75 * time.Millisecond // while something is hurt
	lookIdle  = time.Second           // before and after
)

// A change is one difference between two views of the cluster: what was lost (by whom), and what that means.
type change struct {
	text      string
	from      []int32           // nodes that lost something: a leadership, a place in an ISR, a registration
	to        []int32           // nodes that gained a place again
	partition *client.Partition // whose leader or epoch changed
	group     string
	registry  bool   // it is about who is registered
	protects  string // how the cluster kept its promise by it
	byAcksAll bool   // which it did only if an acknowledgement waits for all in-sync replicas
}

// changes tells everything that is different.
func changes(old, now view) []change {
	var list []change
	for _, p := range now.sorted() {
		was, known := old.partitions[p]
		if !known {
			continue
		}
		is := now.partitions[p]
		if was.Leader != is.Leader || was.Epoch != is.Epoch {
			list = append(list, leaderChange(was, is))
		}
		if !slices.Equal(was.ISR, is.ISR) {
			list = append(list, isrChange(was, is))
		}
	}
	list = append(list, registrations(old, now)...)
	if old.controller >= 0 && now.controller != old.controller {
		list = append(list, change{
			text: fmt.Sprintf("controller moved %d→%d", old.controller, now.controller), from: []int32{old.controller},
			protects: fmt.Sprintf("controller %d took over", now.controller),
		})
	}
	for c, was := range old.coordinators {
		if is, ok := now.coordinators[c]; ok && is != was {
			list = append(list, change{
				text: fmt.Sprintf("coordinator of %s moved %d→%d", c, was, is), from: []int32{was},
				protects: fmt.Sprintf("broker %d took %s over", is, c),
			})
		}
	}
	for g, was := range old.groups {
		if is, ok := now.groups[g]; ok && is != was {
			list = append(list, groupChange(g, was, is))
		}
	}
	return list
}

// leaderChange also tells a clean election: the new leader was in sync, so it has every record that acks=all promised.
func leaderChange(was, is client.PartitionState) change {
	name := partitionName(is.Partition)
	c := change{partition: &is.Partition, from: []int32{was.Leader}}
	epochs := fmt.Sprintf("epoch %d→%d", was.Epoch, is.Epoch)
	switch {
	case is.Leader < 0:
		c.text = fmt.Sprintf("%s is offline: broker %d led it, nobody does, %s", name, was.Leader, epochs)
	case was.Leader < 0:
		c.text = fmt.Sprintf("%s is led again, by broker %d, %s", name, is.Leader, epochs)
	case was.Leader == is.Leader:
		c.text = fmt.Sprintf("leader of %s stayed %d, %s", name, is.Leader, epochs)
	default:
		c.text = fmt.Sprintf("leader of %s moved %d→%d, %s", name, was.Leader, is.Leader, epochs)
		if slices.Contains(was.ISR, is.Leader) {
			c.protects = fmt.Sprintf("%s went on with broker %d, which was in sync", name, is.Leader)
		} else {
			c.text += fmt.Sprintf("; broker %d was not in sync: an unclean election", is.Leader)
		}
	}
	return c
}

// isrChange also tells that a replica was taken out while at least two stayed: from then on an acknowledgement means just
// those, and still more than one. Where one stays alone, the promise rests on what is refused.
func isrChange(was, is client.PartitionState) change {
	name := partitionName(is.Partition)
	c := change{from: minus(was.ISR, is.ISR), to: minus(is.ISR, was.ISR)}
	verb := "changed"
	switch {
	case len(c.to) == 0:
		verb = "shrank"
		if len(is.ISR) > 1 {
			c.protects, c.byAcksAll = fmt.Sprintf("an acknowledgement at %s meant brokers %s from then on", name, idList(is.ISR)), true
		}
	case len(c.from) == 0:
		verb = "grew" // which follows nearly every heal, so that it is no sign of a defence
	}
	c.text = fmt.Sprintf("ISR of %s %s %s→%s", name, verb, idList(was.ISR), idList(is.ISR))
	return c
}

func registrations(old, now view) []change {
	var list []change
	if old.registered == nil || now.registered == nil {
		return nil
	}
	for _, id := range sortedIDs(old.registered) {
		if !now.registered[id] {
			list = append(list, change{text: fmt.Sprintf("broker %d is fenced: the cluster lists it no more", id), from: []int32{id}, registry: true})
		}
	}
	for _, id := range sortedIDs(now.registered) {
		if !old.registered[id] {
			list = append(list, change{text: fmt.Sprintf("broker %d is registered again", id), to: []int32{id}, registry: true})
		}
	}
	return list
}

func groupChange(group string, was, is groupView) change {
	c := change{group: group, text: fmt.Sprintf("group %s: %s with %d members→%s with %d members", group, was.state, was.members, is.state, is.members)}
	if is.state == "Stable" && is.assigned > 0 {
		c.protects = fmt.Sprintf("group %s is stable with %d members, which share %d partitions", group, is.members, is.assigned)
	}
	return c
}

func sortedIDs(set map[int32]bool) []int32 {
	var ids []int32
	for id, is := range set {
		if is {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func minus(a, b []int32) []int32 {
	var rest []int32
	for _, id := range a {
		if !slices.Contains(b, id) {
			rest = append(rest, id)
		}
	}
	return rest
}

// watch looks at the cluster until ctx ends, often while something is hurt, and tells every injection what changed.
func (r *runner) watch(ctx context.Context) {
	for {
		pace := lookIdle
		if r.hurting() {
			pace = lookEvery
		}
		timer := time.NewTimer(pace)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-r.poked:
			timer.Stop()
		case <-timer.C:
		}
		_, _ = r.lookNow(ctx) // a gap is filled from the view before; the next look comes soon
	}
}

// lookNow looks, compares with the view before, and gives the injections under way what concerns them.
func (r *runner) lookNow(ctx context.Context) (view, error) {
	r.looking.Lock()
	defer r.looking.Unlock()
	now, err := look(ctx, r.env, r.watched)
	if ctx.Err() != nil {
		return now, context.Cause(ctx)
	}
	r.mu.Lock()
	old := r.seen
	now = now.over(old)
	r.seen = now
	list := changes(old, now)
	changed := false
	for _, in := range r.injections {
		changed = in.observe(list) || changed
	}
	r.mu.Unlock()
	if changed {
		r.tell()
	}
	return now, err
}

// maxLines bounds a fault's evidence, and its signs of protection; how many more there were is told.
const maxLines = 40

// observe takes the changes that concern the injection, and whatever its filter and its workers show. It is called
// with the runner's lock held and tells whether there was any.
func (in *Injection) observe(list []change) bool {
	if in.rec.At == 0 || in.past {
		return false
	}
	was := in.fingerprint()
	for _, c := range list {
		in.take(c)
	}
	in.fenced()
	return in.fingerprint() != was
}

// take notes one change if it befell a victim of this injection.
func (in *Injection) take(c change) {
	lost, gained := in.hasNode(c.from), in.hasNode(c.to)
	if c.partition != nil { // a partition without a leader is led again: whose was it before?
		if lost {
			in.orphans[*c.partition] = true
		}
		lost = lost || in.orphans[*c.partition]
		if lost && slices.Contains(in.leads, *c.partition) {
			in.moved = true
		}
	}
	member := c.group != "" && in.inGroup(c.group)
	if !lost && !gained && !member || in.doubtful(c) {
		return
	}
	in.line(c.text)
	if c.byAcksAll && !in.AcksAll {
		return
	}
	if c.protects != "" && !slices.Contains(in.seen.Protection, c.protects) {
		in.seen.Protection = append(in.seen.Protection, c.protects)
	}
}

// doubtful is news of who is registered while a broker is isolated, or has not caught up since: it answers too, and lists
// itself. Only the first word of its being fenced is news.
func (in *Injection) doubtful(c change) bool {
	return c.registry && in.rec.Name == isolate{}.Name() && (len(c.to) > 0 || slices.Contains(in.seen.Lines, c.text))
}

func (in *Injection) hasNode(ids []int32) bool {
	return slices.ContainsFunc(in.victims, func(v victim) bool { return v.role == "" && slices.Contains(ids, v.n) })
}

func (in *Injection) inGroup(group string) bool {
	return slices.ContainsFunc(in.victims, func(v victim) bool { return v.role != "" && in.groupOf(v.role, v.n) == group })
}

// fenced notes workers among the victims that a newer session has shut out since.
func (in *Injection) fenced() {
	for _, v := range in.victims {
		if v.role == "" || in.Workers == nil {
			continue
		}
		if n := in.Workers.Counters(v.role, int(v.n))["fenced"]; n > in.fences[v] {
			in.fences[v] = n
			in.seen.Protection = append(in.seen.Protection, fmt.Sprintf("%s was fenced", in.run.name(v)))
		}
	}
}

// fingerprint changes whenever the evidence does.
func (in *Injection) fingerprint() string {
	e := in.evidence()
	return fmt.Sprint(e.Bit, len(e.Lines), len(e.Protection), strings.Join(e.Lines[max(0, len(e.Lines)-1):], ""))
}
