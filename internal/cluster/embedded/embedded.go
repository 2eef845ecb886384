// Package embedded runs a simulated Kafka cluster inside the process: no Java, no files, ready at once. It keeps to
// Kafka's protocol, but it has one copy of each record in memory, so it cannot show what replication does.
package embedded

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kbench/kbench/internal/cluster"
)

// Options of an embedded cluster.
type Options struct {
	Brokers int               // default 3
	Config  map[string]string // broker settings; those it does not know are left out and told by Cannot
}

// honoured are the broker settings that change what the simulation does.
var honoured = []string{
	"compression.type", "group.max.session.timeout.ms", "group.min.session.timeout.ms", "log.message.timestamp.type",
	"log.retention.bytes", "log.retention.ms", "message.max.bytes", "transaction.max.timeout.ms",
}

// shown are settings that it describes as given, though nothing follows from them.
var shown = []string{"default.replication.factor", "min.insync.replicas"}

// Cluster is a running simulation. It is no cluster.Process: it has no processes to hurt.
type Cluster struct {
	kafka     *kfake.Cluster
	listeners []*listener // by broker
	ignored   []string
	close     sync.Once
}

var (
	_ cluster.Cluster  = (*Cluster)(nil)
	_ cluster.Detacher = (*Cluster)(nil)
	_ cluster.Freezer  = (*Cluster)(nil)
	_ cluster.Limited  = (*Cluster)(nil)
)

// Start starts a simulation with brokers 0 to N-1.
func Start(o Options) (*Cluster, error) {
	if o.Brokers == 0 {
		o.Brokers = 3
	}
	c := &Cluster{}
	config := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(o.Config)) {
		if slices.Contains(honoured, name) || slices.Contains(shown, name) {
			config[name] = o.Config[name]
		} else {
			c.ignored = append(c.ignored, name)
		}
	}
	kafka, err := kfake.NewCluster(kfake.NumBrokers(o.Brokers), kfake.BrokerConfigs(config), kfake.ListenFn(c.listen))
	if err != nil {
		return nil, fmt.Errorf("starting an embedded cluster: %w", err)
	}
	c.kafka = kafka
	return c, nil
}

// Info says that it is simulated.
func (c *Cluster) Info() cluster.Info {
	return cluster.Info{Kind: "embedded", Simulated: true, Software: "kfake", Mode: "", Brokers: len(c.listeners)}
}

// Cannot lists what no run on it can show.
func (c *Cluster) Cannot() []string {
	list := []string{
		"replication: each record has one copy, so no leader can miss one and nothing is ever truncated",
		"the in-sync replicas: they are always all, whatever happens, and min.insync.replicas refuses nothing",
		"processes: none dies or stops; a broker only becomes unreachable, and another leads at once, or it stands still",
		"failover of coordinators: they stay on a broker that is unreachable",
		"the speed of a real broker",
	}
	for _, name := range c.ignored {
		list = append(list, "the setting "+name+", which it ignores")
	}
	return list
}

// Bootstrap addresses of all brokers.
func (c *Cluster) Bootstrap() []string {
	var list []string
	for _, l := range c.listeners {
		list = append(list, l.Addr().String())
	}
	return list
}

// Brokers by id.
func (c *Cluster) Brokers() []int32 {
	var ids []int32
	for id := range c.listeners {
		ids = append(ids, int32(id))
	}
	return ids
}

// Healthy tells whether every broker is attached.
func (c *Cluster) Healthy(context.Context) error {
	for _, id := range c.Brokers() {
		if !c.Attached(id) {
			return fmt.Errorf("broker %d is detached", id)
		}
	}
	return nil
}

// Close ends the simulation and forgets its records.
func (c *Cluster) Close() error {
	c.close.Do(c.kafka.Close)
	return nil
}

// Attached tells whether clients reach the broker.
func (c *Cluster) Attached(broker int32) bool {
	l, err := c.listener(broker)
	return err == nil && l.isAttached()
}

// Detach breaks the broker's connections, refuses new ones, and has the other brokers lead its partitions.
func (c *Cluster) Detach(ctx context.Context, broker int32) error {
	l, err := c.listener(broker)
	if err != nil {
		return err
	}
	if !l.isAttached() {
		return fmt.Errorf("broker %d is detached already", broker)
	}
	var others []int32
	for _, id := range c.Brokers() {
		if id != broker && c.Attached(id) {
			others = append(others, id)
		}
	}
	if len(others) == 0 {
		return fmt.Errorf("broker %d is the last one attached", broker)
	}
	l.detach()
	return c.moveLeaders(ctx, broker, others)
}

// Attach lets clients reach the broker again. It leads nothing until leaders are moved to it.
func (c *Cluster) Attach(_ context.Context, broker int32) error {
	l, err := c.listener(broker)
	if err != nil {
		return err
	}
	if l.isAttached() {
		return fmt.Errorf("broker %d is attached already", broker)
	}
	return l.attach()
}

// Freeze lets the broker stand still. What it had begun to answer, it does not send.
func (c *Cluster) Freeze(_ context.Context, broker int32) error { return c.stand(broker, true) }

// Thaw lets it go on.
func (c *Cluster) Thaw(_ context.Context, broker int32) error { return c.stand(broker, false) }

func (c *Cluster) stand(broker int32, still bool) error {
	l, err := c.listener(broker)
	if err != nil {
		return err
	}
	if !l.stand(still) {
		return fmt.Errorf("broker %d stands still already, or does not", broker)
	}
	return nil
}

// Frozen tells whether the broker stands still.
func (c *Cluster) Frozen(broker int32) bool {
	l, err := c.listener(broker)
	return err == nil && l.still() != nil
}

// moveLeaders moves all that a broker leads to the others, in turn; each move is a new leader epoch.
func (c *Cluster) moveLeaders(ctx context.Context, from int32, others []int32) error {
	seeds := make([]string, len(others))
	for i, id := range others {
		seeds[i] = c.listeners[id].Addr().String()
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(seeds...))
	if err != nil {
		return err
	}
	defer cl.Close()
	topics, err := kadm.NewClient(cl).ListTopicsWithInternal(ctx)
	if err != nil {
		return fmt.Errorf("listing what broker %d leads: %w", from, err)
	}
	next := 0
	for _, topic := range topics.Sorted() {
		for _, p := range topic.Partitions.Sorted() {
			if p.Leader != from {
				continue
			}
			if err := c.kafka.MoveTopicPartition(p.Topic, p.Partition, others[next%len(others)]); err != nil {
				return fmt.Errorf("moving %s/%d: %w", p.Topic, p.Partition, err)
			}
			next++
		}
	}
	return nil
}

func (c *Cluster) listener(broker int32) (*listener, error) {
	if broker < 0 || int(broker) >= len(c.listeners) {
		return nil, fmt.Errorf("the cluster has no broker %d, only %v", broker, c.Brokers())
	}
	return c.listeners[broker], nil
}
