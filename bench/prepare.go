package bench

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kbench/kbench/faults"
	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/cluster"
	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/proc"
	"github.com/kbench/kbench/internal/rundir"
	"github.com/kbench/kbench/internal/worker"
	"github.com/kbench/kbench/scenarios"
	"golang.org/x/sys/unix"
)

// describe fills in what is known of a run before anything has happened.
func (r *run) describe() {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails: see crypto/rand
	run := binary.LittleEndian.Uint64(id[:])
	r.suffix = fmt.Sprintf("%06x", run&0xffffff)
	s, info := r.s, r.Cluster.Info()
	driver := r.Drivers[r.Driver]
	r.meta = rundir.Meta{
		Version: 1, Kbench: r.Version, RunID: fmt.Sprintf("%016x", run), Scenario: s.Name, About: s.About, Twin: s.Twin,
		Cell: r.Cell, Repeat: r.Repeat, Seed: r.Seed, Guarantee: string(s.Guarantee),
		Expect:  rundir.Expect{Violated: s.Expect.Violated, Anomalies: s.Expect.Anomalies},
		Started: time.Now().Format(time.RFC3339), Warnings: slices.Clone(r.Notes),
		Cluster: rundir.ClusterInfo{
			Kind: info.Kind, Simulated: info.Simulated, Software: info.Software, Version: info.Version,
			Mode: info.Mode, Brokers: info.Brokers, Why: r.Why, Containers: info.Containers,
		},
		Client: rundir.ClientInfo{
			Driver: r.Driver, Version: driver.Version(), Asked: s.Client,
			Reader: r.Reader.Name(), ReaderVer: r.Reader.Version(),
		},
		Machine:    machine(),
		Load:       loadInfo(s),
		Judged:     judged(s, r.Driver),
		Thresholds: thresholdTexts(s),
		Clock:      rundir.Clock{Wall: r.wall.began},
		Faults:     []rundir.Fault{},
	}
	if made, ok := r.Cluster.(cluster.Made); ok {
		r.meta.Cluster.JVM = made.JVM()
	}
	r.header = history.Header{Version: 1, Run: run, Guarantee: string(s.Guarantee), Starts: map[int32]int64{}}
	r.nameTopics()
}

func loadInfo(s *scenarios.Scenario) rundir.LoadInfo {
	l := rundir.LoadInfo{
		Max: s.Load.Max, DurationMs: s.Load.Duration.Milliseconds(), WarmupMs: s.Load.Warmup.Milliseconds(),
		RecordSize: s.Load.Record.Size, Measured: true,
	}
	if s.Load.Rate > 0 {
		rate := s.Load.Rate
		l.RatePerS = &rate
	}
	return l
}

func judged(s *scenarios.Scenario, driver string) rundir.Judged {
	j := rundir.Judged{
		SameSession: s.Producers.AfterCrash != scenarios.Resend, Driver: driver, Acks: s.Client["acks"],
		Idempotent:   idempotent(s.Client),
		Transactions: s.Load.Txn.Size > 0 || s.Processor != nil && s.Processor.Transactional != "",
	}
	for _, c := range s.Consumers {
		j.Groups = append(j.Groups, rundir.Group{
			Name: c.Group, Commit: string(c.Commit), Processed: c.Commit != scenarios.CommitNone, Isolation: c.Settings["isolation.level"],
		})
	}
	if len(j.Groups) > 0 {
		first := j.Groups[0]
		j.Processed, j.Group, j.Commit, j.Isolation = first.Processed, first.Name, first.Commit, first.Isolation
	}
	if p := s.Processor; p != nil {
		j.InputTopic, j.OutputTopic, j.Processors = p.From, p.To, p.Group
		if len(s.Consumers) == 0 {
			j.Isolation = cmp.Or(p.Consumer["isolation.level"], "read_committed")
		}
	}
	return j
}

// idempotent is whether Kafka's producer would be: by default it is, unless acks says otherwise.
func idempotent(settings map[string]string) bool {
	if asked, ok := settings["enable.idempotence"]; ok {
		return asked == "true"
	}
	return acksAll(settings)
}

// acksAll is whether a producer's acknowledgements wait for all in-sync replicas, as they do by default.
func acksAll(settings map[string]string) bool {
	acks, ok := settings["acks"]
	return !ok || acks == "all" || acks == "-1"
}

// unanswered is whether a producer's acknowledgements come from its own side.
func unanswered(settings map[string]string) bool { return settings["acks"] == "0" }

func thresholdTexts(s *scenarios.Scenario) []string {
	var texts []string
	for _, t := range s.Thresholds {
		texts = append(texts, t.Text)
	}
	return texts
}

func machine() rundir.Machine {
	m := rundir.Machine{CPUs: runtime.NumCPU()}
	var sys unix.Sysinfo_t
	if unix.Sysinfo(&sys) == nil {
		m.MemoryMiB = int64(sys.Totalram) * int64(sys.Unit) >> 20
	}
	var uts unix.Utsname
	if unix.Uname(&uts) == nil {
		m.Kernel = unix.ByteSliceToString(uts.Release[:])
	}
	return m
}

// nameTopics gives each topic a name on the cluster that no other run uses, so that no run meets another's records and
// no topic of a user is ever touched.
func (r *run) nameTopics() {
	for _, t := range r.s.Topics {
		role := "load"
		if p := r.s.Processor; p != nil {
			switch t.Name {
			case p.From:
				role = "input"
				r.header.Inputs = append(r.header.Inputs, t.Name)
			case p.To:
				role = "output"
				r.header.Outputs = append(r.header.Outputs, t.Name)
			}
		}
		ref := topicRef{Name: t.Name, Physical: r.physical(t.Name), First: int32(len(r.header.Partitions)), Partitions: t.Partitions}
		r.topics = append(r.topics, ref)
		for p := range t.Partitions {
			r.header.Partitions = append(r.header.Partitions, fmt.Sprintf("%s/%d", t.Name, p))
			r.header.Starts[ref.First+int32(p)] = 0
		}
		compacted := strings.Contains(r.s.TopicConfig(t)["cleanup.policy"], "compact")
		if compacted {
			r.header.Compacted = append(r.header.Compacted, t.Name)
		}
		r.meta.Topics = append(r.meta.Topics, rundir.Topic{Name: t.Name, Physical: ref.Physical, Partitions: t.Partitions, Compacted: compacted, KeepsTombstones: compacted && r.keepsTombstones(t), Role: role})
	}
}

// keepsTombstones tells whether a compacted topic keeps them for longer than the run can last, with an hour to spare. Kafka's default
// is a day.
func (r *run) keepsTombstones(t scenarios.Topic) bool {
	kept := 24 * time.Hour
	if ms, err := strconv.ParseInt(r.s.TopicConfig(t)["delete.retention.ms"], 10, 64); err == nil {
		kept = time.Duration(ms) * time.Millisecond
	}
	l := r.s.Load
	return kept > l.Warmup+l.Duration+4*l.Drain+time.Hour
}

// physical is a logical name as it stands on the cluster.
func (r *run) physical(name string) string { return name + "-" + r.suffix }

// telling are the settings that a report shows of every topic, asked for or not: they decide what acks=all means.
func telling() []string { return []string{"min.insync.replicas", "unclean.leader.election.enable"} }

// prepare makes the topics and reads back what rules there.
func (r *run) prepare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	if err := r.Cluster.Healthy(ctx); err != nil {
		return &ClusterError{fmt.Errorf("the cluster is not healthy before the run: %w", err)}
	}
	effective := map[string]string{}
	for i, t := range r.s.Topics {
		config := r.s.TopicConfig(t)
		topic := client.Topic{Name: r.topics[i].Physical, Partitions: t.Partitions, Replication: t.Replication, Config: config}
		if err := r.Admin.CreateTopic(ctx, topic); err != nil {
			return &ClusterError{fmt.Errorf("create topic %s: %w", t.Name, err)}
		}
		r.created = append(r.created, topic.Name)
		if err := r.awaitLeaders(ctx, topic); err != nil {
			return err
		}
		if err := r.readBack(ctx, topic, effective); err != nil {
			return err
		}
	}
	if err := r.readBackBrokers(ctx, effective); err != nil {
		return err
	}
	r.change(func(m *rundir.Meta) { m.Cluster.Effective = effective })
	return nil
}

// awaitLeaders waits until every partition has a leader and its whole ISR.
func (r *run) awaitLeaders(ctx context.Context, topic client.Topic) error {
	for {
		missing := fmt.Sprintf("topic %s is not known yet", topic.Name)
		states, err := r.Admin.Partitions(ctx, topic.Name)
		if err == nil && len(states) == topic.Partitions {
			missing = notFull(states)
		}
		if missing == "" {
			return nil
		}
		if !pause(ctx, 20*time.Millisecond) {
			return &ClusterError{errors.Join(fmt.Errorf("%s: %w", missing, context.Cause(ctx)), err)}
		}
	}
}

// notFull says which partition lacks a leader or a replica in its ISR, "" for none.
func notFull(states []client.PartitionState) string {
	for _, p := range states {
		if p.Leader < 0 || len(p.ISR) < len(p.Replicas) {
			return fmt.Sprintf("partition %s/%d: leader %d, ISR %v of %v", p.Topic, p.Partition.Partition, p.Leader, p.ISR, p.Replicas)
		}
	}
	return ""
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// readBack compares what was asked for a topic with what rules on it: a value in a broker's file may be overruled by a
// cluster-wide one, as the brokers' min.insync.replicas is by the controllers' on a new cluster of Kafka 4.1 (KIP-966).
func (r *run) readBack(ctx context.Context, topic client.Topic, effective map[string]string) error {
	config, err := r.Admin.TopicConfig(ctx, topic.Name)
	for err != nil && pause(ctx, 50*time.Millisecond) { // a broker may hear of a new topic later than the one that made it
		config, err = r.Admin.TopicConfig(ctx, topic.Name)
	}
	if err != nil {
		return &ClusterError{fmt.Errorf("read back the configuration of topic %s: %w", topic.Name, err)}
	}
	for _, name := range slices.Sorted(maps.Keys(topic.Config)) {
		if config[name] != topic.Config[name] {
			return &ClusterError{fmt.Errorf("topic %s: %s is %q on the cluster, not %q as asked", topic.Name, name, config[name], topic.Config[name])}
		}
		effective[name] = config[name]
	}
	for _, name := range telling() {
		if v, ok := config[name]; ok {
			effective[name] = v
		}
	}
	return nil
}

// readBackBrokers does the same for every broker. Names that a broker does not list belong to controllers or to clients.
func (r *run) readBackBrokers(ctx context.Context, effective map[string]string) error {
	asked, onTopics := r.s.NodeConfig(), r.s.TopicConfig(scenarios.Topic{}) // the latter are set on each topic, and read back there
	var differ []string
	for _, id := range r.Cluster.Brokers() {
		config, err := r.Admin.BrokerConfig(ctx, id)
		if err != nil {
			return &ClusterError{fmt.Errorf("read back the configuration of broker %d: %w", id, err)}
		}
		for _, name := range slices.Sorted(maps.Keys(asked)) {
			value, listed := config[name]
			if _, topics := onTopics[name]; listed && value != asked[name] && !topics {
				differ = append(differ, fmt.Sprintf("broker %d: %s is %q, not %q as the scenario asks", id, name, value, asked[name]))
			}
			if listed && effective[name] == "" {
				effective[name] = value
			}
		}
	}
	if len(differ) == 0 {
		return nil
	}
	if r.Cluster.Info().Kind == string(cluster.External) {
		differ = append(differ, "brokers that have it: --cluster local or docker, or 'kbench cluster up NAME --for SCENARIO'")
	}
	return &ClusterError{errors.New(strings.Join(differ, "\n  "))}
}

// hire describes every session of the run; none is started yet.
func (r *run) hire(ctx context.Context, starter *proc.Starter) {
	r.crew = &crew{
		ctx: context.WithoutCancel(ctx), dir: r.Dir, body: sessions(r.Drivers, r.changeSessions), argv: r.Worker, starter: starter,
		abort: r.abort, wall: r.wall, monitor: r.monitor,
	}
	s := r.s
	for i := range s.Producers.Count {
		r.header.Producers = append(r.header.Producers, "p"+strconv.Itoa(i))
	}
	if p := s.Processor; p != nil {
		for i := range p.Instances {
			r.header.Producers = append(r.header.Producers, "w"+strconv.Itoa(i))
		}
	}
	for i := range s.Producers.Count {
		spec := r.session(roleProducer, "p", i, s.Producers.Process)
		spec.Producer = r.producerSpec(i)
		r.crew.add(roleProducer, i, s.Producers.Process, spec).supervised = s.Producers.Restart
	}
	n := 0
	for i := range s.Consumers {
		c := &s.Consumers[i]
		for range c.Instances {
			spec := r.session(roleConsumer, "c", n, c.Process)
			spec.Consumer = r.consumerSpec(c, n)
			r.crew.add(roleConsumer, n, c.Process, spec).supervised = c.Restart
			n++
		}
	}
	if p := s.Processor; p != nil {
		for i := range p.Instances {
			spec := r.session(roleProcessor, "w", i, p.Process)
			spec.Processor = r.processorSpec(p, i)
			r.crew.add(roleProcessor, i, p.Process, spec).supervised = p.Restart
		}
	}
	r.shelf = r.newShelf()
	r.env = r.environment()
}

func (r *run) session(role, prefix string, n int, child bool) sessionSpec {
	header := r.header
	header.Self = history.Client{Name: prefix + strconv.Itoa(n)}
	return sessionSpec{
		Role: role, Number: n, Header: header, Clock: r.clock.Base(), Wall: r.wall.began, Journal: child,
		Seed:   scenarios.Split(r.Seed, prefix+strconv.Itoa(n)).Int63(),
		Driver: r.Driver, Bootstrap: r.Cluster.Bootstrap(), Topics: r.topics,
	}
}

// Places for records in flight: twice what the client's buffer can hold, so that the buffer is what fills up.
const (
	leastInFlight = 1 << 10
	mostInFlight  = 1 << 18
	kafkasBuffer  = 32 << 20
)

func (r *run) producerSpec(n int) *producerSpec {
	s := r.s
	settings := maps.Clone(s.Client)
	if settings == nil {
		settings = map[string]string{}
	}
	maps.Copy(settings, r.Security)
	settings["client.id"] = fmt.Sprintf("kbench-%s-p%d", r.suffix, n)
	if s.Load.Txn.Size > 0 && settings["transactional.id"] == "" {
		settings["transactional.id"] = r.physical(fmt.Sprintf("p%d", n))
	} else if id := settings["transactional.id"]; id != "" {
		settings["transactional.id"] = r.physical(strings.ReplaceAll(id, "{instance}", strconv.Itoa(n)))
	}
	spec := &producerSpec{
		Settings: settings, Stages: s.Load.Stages(), Warmup: s.Load.Warmup, Max: s.Load.Max, Producers: s.Producers.Count,
		recordSpec: recordsOf(s.Load.Record), Txn: txnSpec{Size: s.Load.Txn.Size, Abort: s.Load.Txn.Abort, Every: s.Load.Txn.Every},
	}
	if s.Load.Records > 0 {
		spec.Records = (s.Load.Records + int64(s.Producers.Count-1-n)) / int64(s.Producers.Count)
	}
	if s.Producers.AfterCrash == scenarios.Resend {
		spec.Resend = "previous" // the crew puts the path in
	}
	var weights []int
	for i, t := range r.topics {
		if p := s.Processor; p == nil || t.Name != p.To {
			spec.Topics = append(spec.Topics, t.Physical)
			spec.Keyed = append(spec.Keyed, r.meta.Topics[i].Compacted)
			weights = append(weights, s.Topics[i].Weight)
		}
	}
	spec.Turns = scenarios.Turns(weights)
	spec.InFlight = places(settings, int(s.Load.Record.Mean()), spec.Size)
	return spec
}

func recordsOf(r scenarios.RecordSpec) recordSpec {
	return recordSpec{
		Size: r.Size, Sizes: r.Sizes, Keys: r.Keys, NullKeys: r.NullKeys, Headers: r.Headers, Tombstones: r.Tombstones,
		Payload: payloadSpec{Kind: r.Payload, File: r.PayloadFile, Compressibility: r.Compressibility, Ratio: r.Ratio},
	}
}

// places for records of a mean size; of very large ones fewer, since each place may come to hold a buffer for one.
func places(settings map[string]string, mean, largest int) int {
	buffer, err := strconv.ParseInt(settings["buffer.memory"], 10, 64)
	if err != nil || buffer <= 0 {
		buffer = kafkasBuffer
	}
	least := min(leastInFlight, max(16, 4*buffer/int64(largest)))
	return int(min(max(2*buffer/int64(mean), least), mostInFlight))
}

// isolationNamed is Kafka's: whoever does not ask for committed records gets all.
func isolationNamed(name string) history.Isolation {
	if name == "read_committed" {
		return history.ReadCommitted
	}
	return history.ReadUncommitted
}

func (r *run) consumerSpec(c *scenarios.Consumer, n int) *consumerSpec {
	settings := readerSettings(c.Settings, r.Security)
	settings["group.id"] = r.physical(c.Group)
	settings["client.id"] = fmt.Sprintf("kbench-%s-c%d", r.suffix, n)
	settings["enable.auto.commit"] = strconv.FormatBool(c.Commit == scenarios.CommitAuto)
	spec := &consumerSpec{
		Settings: settings, Group: c.Group, Commit: string(c.Commit), Handling: c.Handling, Batch: c.Batch,
		Isolation: isolationNamed(settings["isolation.level"]),
	}
	for _, t := range r.topics {
		if p := r.s.Processor; p == nil || t.Name == p.To {
			spec.Topics = append(spec.Topics, t.Physical)
		}
	}
	return spec
}

// readerSettings are a reader's own over what judging needs: every record from the first on, with its checksum verified.
func readerSettings(own, security map[string]string) map[string]string {
	settings := map[string]string{"auto.offset.reset": "earliest", "check.crcs": "true"}
	maps.Copy(settings, own)
	maps.Copy(settings, security)
	return settings
}

func (r *run) processorSpec(p *scenarios.Processor, n int) *processorSpec {
	instance := strconv.Itoa(n)
	producer := maps.Clone(p.Client)
	if producer == nil {
		producer = map[string]string{}
	}
	maps.Copy(producer, r.Security)
	producer["client.id"] = fmt.Sprintf("kbench-%s-w%d", r.suffix, n)
	if p.Transactional != "" {
		producer["transactional.id"] = r.transactional(strings.ReplaceAll(p.Transactional, "{instance}", instance))
	}
	consumer := readerSettings(p.Consumer, r.Security)
	if consumer["isolation.level"] == "" {
		consumer["isolation.level"] = "read_committed"
	}
	consumer["group.id"] = r.physical(p.Group)
	consumer["client.id"] = producer["client.id"]
	consumer["enable.auto.commit"] = "false"
	spec := &processorSpec{
		Consumer: consumer, Group: p.Group, GroupID: r.physical(p.Group), Batch: p.Batch,
		Manual: p.Assignment == "manual", Generation: p.Generation, Isolation: isolationNamed(consumer["isolation.level"]),
		Producer: producerSpec{
			Settings: producer, Topics: []string{r.physical(p.To)}, Producers: 1, recordSpec: recordSpec{
				Size: r.s.Load.Record.Size, Sizes: r.s.Load.Record.Sizes, Payload: payloadSpec{Kind: "random"},
			}, InFlight: max(leastInFlight, 2*p.Batch),
		},
	}
	for _, t := range r.topics {
		if t.Name == p.From {
			spec.From = t
		}
	}
	return spec
}

// transactional is a scenario's transactional id as it stands on the cluster.
func (r *run) transactional(id string) string { return r.physical(id) }

// environment is what faults see of the run.
func (r *run) environment() faults.Env {
	groups := map[string]string{}
	if len(r.s.Consumers) == 1 {
		groups[roleConsumer] = r.s.Consumers[0].Group
	} else {
		for _, m := range r.crew.of(roleConsumer) {
			groups[fmt.Sprintf("%s %d", roleConsumer, m.n)] = m.spec.Consumer.Group
		}
	}
	if p := r.s.Processor; p != nil {
		groups[roleProcessor] = p.Group
	}
	var topics []string
	for _, t := range r.topics {
		topics = append(topics, t.Name)
	}
	return faults.Env{
		Cluster: r.Cluster, Admin: r.Admin, Workers: r.crew, Load: r.crew, Topics: topics, Groups: groups,
		AcksAll:  acksAll(r.s.Client),
		Physical: r.physical, Group: r.physical, Transactional: r.transactional,
		AtRest: r.shelf.atRest, GoesOn: r.shelf.goesOn,
		Now: r.clock.Now, Note: r.note,
		Fail: func(fault string, problem error) { r.problem("%s: %v", fault, problem) },
		Save: func(undo []faults.Undo) error { return faults.SaveJournal(filepath.Join(r.Dir, rundir.UndoFile), undo) },
	}
}

// checkFaults asks every fault whether this cluster can show it, before any load.
func (r *run) checkFaults() error {
	if len(r.s.Steps) > 0 {
		return faults.CheckSteps(r.env, r.s.Steps)
	}
	return faults.CheckTimeline(r.env, r.s.Faults)
}

// startWorkers starts who is to work from the beginning, readers before writers, and waits until they are connected.
func (r *run) startWorkers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	roles := []string{roleConsumer, roleProcessor, roleProducer}
	if r.s.Load.Backlog > 0 {
		roles = []string{roleProducer} // who reads it comes later
	}
	if err := r.startRoles(ctx, roles...); err != nil {
		return err
	}
	if r.s.Load.Backlog == 0 {
		if err := r.awaitGroups(ctx); err != nil {
			return err
		}
	}
	r.change(func(m *rundir.Meta) { m.Client.Effective = r.effectiveOf() })
	return nil
}

// startRoles starts the sessions of one role after the other, and waits until they are connected.
func (r *run) startRoles(ctx context.Context, roles ...string) error {
	for _, role := range roles {
		var started []*member
		for _, m := range r.crew.of(role) {
			if !r.startsAtOnce(m) {
				continue
			}
			if err := r.crew.launch(m); err != nil {
				return &ClusterError{err}
			}
			started = append(started, m)
		}
		if err := each(started, func(_ int, m *member) error { return m.awaitReady(ctx) }); err != nil {
			return &ClusterError{err}
		}
	}
	return nil
}

func (r *run) startsAtOnce(m *member) bool {
	p := r.s.Processor
	return m.role != roleProcessor || len(p.Start) == 0 || slices.Contains(p.Start, m.n)
}

// awaitGroups waits until each group is stable with all its members, so that no rebalance of the beginning falls into
// the measurement.
func (r *run) awaitGroups(ctx context.Context) error {
	want := map[string]int{}
	for _, c := range r.s.Consumers {
		want[c.Group] = c.Instances
	}
	if p := r.s.Processor; p != nil && p.Assignment != "manual" {
		want[p.Group] = len(r.crew.running(roleProcessor))
	}
	for group, members := range want {
		for {
			state, err := r.Admin.Group(ctx, r.physical(group))
			if err == nil && state.State == "Stable" && len(state.Members) == members {
				break
			}
			if !pause(ctx, 50*time.Millisecond) {
				return &ClusterError{fmt.Errorf("group %s is %q with %d members, not stable with %d: %w", group, state.State, len(state.Members), members, errors.Join(err, context.Cause(ctx)))}
			}
		}
	}
	return nil
}

func beginCommand(start, from, end int64) worker.Command {
	return worker.Command{Do: worker.Begin, At: start, From: from, End: end}
}
