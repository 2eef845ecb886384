package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/rundir"
	"github.com/kbench/kbench/scenarios"
)

// settle brings a run that has been loaded to its end: the cluster whole again, every topic read to its recorded end by
// a fresh reader, every consumer and processor given the time to arrive there too.
//
// Topics that processors write are read after the processors were stopped, since they grow until then.
func (r *run) settle(ctx context.Context) error {
	if err := r.save(rundir.Draining); err != nil {
		return err
	}
	whole, cancel := context.WithTimeout(ctx, r.s.Load.Drain)
	defer cancel()
	if err := r.Cluster.Healthy(whole); err != nil {
		r.problem("the cluster is not whole after the heal: %v", err)
	}
	final, err := r.openFinal()
	if err != nil {
		return err
	}
	inputs, outputs := r.split()
	err = r.readAll(ctx, final, inputs)
	drained, arrived := true, make([]bool, len(r.s.Consumers)) // all of those that were to arrive did, and each group
	if err == nil && len(outputs) > 0 {
		drained = r.drainProcessors(ctx, final)
		err = errors.Join(r.tellPositions(ctx, final), r.readAll(ctx, final, outputs))
	}
	if err == nil {
		arrived = r.drainConsumers(ctx, final)
		drained = drained && !slices.Contains(arrived, false)
	}
	r.change(func(m *rundir.Meta) {
		m.FinalRead.Done, m.FinalRead.Passes = err == nil, r.passes()
		m.Judged.Drained = err == nil && drained
		m.Judged.Groups = slices.Clone(m.Judged.Groups)
		for i := range m.Judged.Groups {
			m.Judged.Groups[i].Drained = err == nil && arrived[i]
		}
	})
	err = errors.Join(err, final.writeFaults(r.faultsSoFar()), final.close())
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return &ClusterError{fmt.Errorf("final read: %w", err)}
	}
	r.shelf.atEnd()
	r.discardTopics(ctx)
	return r.stopReaders(ctx)
}

func (r *run) faultsSoFar() []rundir.Fault {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.meta.Faults)
}

// split tells the topics that processors write from all others.
func (r *run) split() (inputs, outputs []topicRef) {
	for _, t := range r.topics {
		if p := r.s.Processor; p != nil && t.Name == p.To {
			outputs = append(outputs, t)
		} else {
			inputs = append(inputs, t)
		}
	}
	return inputs, outputs
}

// passes over each topic: where transactions are in play a second one must see the same.
func (r *run) passes() int {
	if r.meta.Judged.Transactions {
		return 2
	}
	return 1
}

// drainProcessors waits until the processors have committed all of their input, and stops them.
func (r *run) drainProcessors(ctx context.Context, final *finalReader) bool {
	p := r.s.Processor
	arrived := r.drain(ctx, "processors", p.Group, roleProcessor, func() (bool, string) {
		return r.committedTo(ctx, p.Group, p.From, final.last)
	})
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.s.Load.Drain)
	defer cancel()
	if err := r.crew.stopAll(stopping, roleProcessor, r.s.Load.Drain); err != nil {
		r.problem("stop the processors: %v", err)
	}
	return arrived
}

// tellPositions writes down how far the processors' group has committed its input. Where the cluster does not say, nothing
// is known of it; where it answers and has no offset, the group stands at the start, whatever it was told of its commits.
func (r *run) tellPositions(ctx context.Context, final *finalReader) error {
	p := r.s.Processor
	asking, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	offsets, err := r.Admin.CommittedOffsets(asking, r.physical(p.Group))
	if err != nil {
		r.note("the positions of group %s are not known: %v", p.Group, err)
		return nil
	}
	from := r.topics[slices.IndexFunc(r.topics, func(t topicRef) bool { return t.Name == p.From })]
	positions := map[int32]int64{}
	for partition := range int32(from.Partitions) {
		positions[from.First+partition] = 0 // the run's own topics begin there
	}
	for _, o := range offsets {
		if o.Partition.Topic == from.Physical && o.Offset >= 0 {
			positions[from.First+o.Partition.Partition] = o.Offset
		}
	}
	return final.writePositions(p.Group, positions)
}

// drainConsumers waits until each group has handled, and where it commits, committed, the last record of each partition, and tells
// which of them did.
func (r *run) drainConsumers(ctx context.Context, final *finalReader) []bool {
	arrived := make([]bool, len(r.s.Consumers))
	var draining sync.WaitGroup
	for i, c := range r.s.Consumers {
		draining.Go(func() {
			arrived[i] = r.drain(ctx, "consumers", c.Group, roleConsumer, func() (bool, string) { return r.consumedTo(ctx, c, final.last) })
		})
	}
	draining.Wait()
	return arrived
}

// consumedTo tells whether a group is done with everything that the final read saw.
func (r *run) consumedTo(ctx context.Context, c scenarios.Consumer, last map[int32]int64) (bool, string) {
	for _, t := range r.consumed() {
		if ok, why := r.handledTo(c.Group, t, last); !ok {
			return false, why
		}
		if string(c.Commit) == commitNone {
			continue
		}
		if ok, why := r.committedTo(ctx, c.Group, t.Name, last); !ok {
			return false, why
		}
	}
	return true, ""
}

// consumed are the topics that the consumers read: where there is a processor, what it writes.
func (r *run) consumed() []topicRef {
	inputs, outputs := r.split()
	if len(outputs) > 0 {
		return outputs
	}
	return inputs
}

// drain waits for arrived, for as long as the scenario's drain allows and someone of the role is left to do the work,
// and tells whether it came to pass.
func (r *run) drain(ctx context.Context, who, group, role string, arrived func() (bool, string)) bool {
	ctx, cancel := context.WithTimeout(ctx, r.s.Load.Drain)
	defer cancel()
	for {
		ok, missing := arrived()
		if ok {
			return true
		}
		if !r.crew.staffed(role, group) {
			r.warn("the %s of group %s are all dead: %s", who, group, missing)
			return false
		}
		if !pause(ctx, 50*time.Millisecond) {
			r.warn("the %s of group %s did not arrive at the end in time: %s", who, group, missing)
			return false
		}
	}
}

func (r *run) warn(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	r.change(func(m *rundir.Meta) { m.Warnings = append(m.Warnings, line) })
	r.note("%s", line)
}

// committedTo tells whether a group's committed offsets cover every record that the final read saw in a topic.
func (r *run) committedTo(ctx context.Context, group, topic string, last map[int32]int64) (bool, string) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	offsets, err := r.Admin.CommittedOffsets(ctx, r.physical(group))
	if err != nil {
		return false, fmt.Sprintf("committed offsets are not known: %v", err)
	}
	at := map[client.Partition]int64{}
	for _, o := range offsets {
		at[o.Partition] = o.Offset
	}
	for _, t := range r.topics {
		for p := int32(0); t.Name == topic && p < int32(t.Partitions); p++ {
			end, any := last[t.First+p]
			if committed := at[client.Partition{Topic: t.Physical, Partition: p}]; any && committed < end+1 {
				return false, fmt.Sprintf("%s/%d is committed to %d of %d", t.Name, p, committed, end+1)
			}
		}
	}
	return true, ""
}

// handledTo tells whether some member of a group has handled the last record of each partition.
func (r *run) handledTo(group string, t topicRef, last map[int32]int64) (bool, string) {
	for p := range int32(t.Partitions) {
		end, any := last[t.First+p]
		if !any {
			continue
		}
		at := uint64(0)
		for _, m := range r.crew.of(roleConsumer) {
			if m.group() != group {
				continue
			}
			at = max(at, m.position(t.First+p))
		}
		if at < uint64(end)+1 {
			return false, fmt.Sprintf("%s/%d is handled to %d of %d", t.Name, p, at, end+1)
		}
	}
	return true, ""
}

func (r *run) stopReaders(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := r.crew.stopAll(ctx, "", time.Second); err != nil {
		r.problem("stop: %v", err)
	}
	for _, failure := range r.crew.failures() {
		r.problem("%s", failure)
	}
	for _, restarted := range r.crew.followed() {
		r.warn("%s", restarted)
	}
	return nil
}

// discardTopics removes what the run made on a cluster that outlives it. What could not be removed is tried again at the next
// call.
func (r *run) discardTopics(ctx context.Context) {
	if r.Keep || r.Cluster.Info().Kind != "external" {
		return
	}
	r.created = slices.DeleteFunc(r.created, func(topic string) bool {
		err := r.Admin.DeleteTopic(ctx, topic)
		if err != nil {
			r.warn("topic %s could not be removed: %v", topic, err)
		}
		return err == nil
	})
}

// Positions travel as counters, one a partition of the header's table.
const positionPrefix = "position."

func isPosition(counter string) bool { return strings.HasPrefix(counter, positionPrefix) }

func positionName(partition int32) string { return positionPrefix + strconv.Itoa(int(partition)) }

// position after what a member has handled of a partition, in any of its sessions.
func (m *member) position(partition int32) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	name := positionName(partition)
	return max(m.past[name], m.counters[name])
}

func (m *member) wasKilled() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.killed
}
