package local

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"github.com/kbench/kbench/internal/cluster"
	"github.com/kbench/kbench/internal/cluster/kraft"
	"github.com/kbench/kbench/internal/proc"
)

// Cluster is a running cluster.
type Cluster struct {
	options Options
	version string
	addrs   map[int32]address
	nodes   map[int32]*node
	proxies *kraft.Proxies // nil without
	data    *dataFolder
	run     *proc.Starter
	unlock  func()

	closing   sync.Once
	closeFail error
}

var (
	_ cluster.Cluster = (*Cluster)(nil)
	_ cluster.Process = (*Cluster)(nil)
	_ cluster.Made    = (*Cluster)(nil)
	_ cluster.Direct  = (*Cluster)(nil)
	_ cluster.Logs    = (*Cluster)(nil)
	_ cluster.Owner   = (*Cluster)(nil)
)

// Start brings a cluster up and returns once it is healthy: a *Cluster, or with Options.ProxyClients a *Proxied. Both
// offer cluster.Process, cluster.Made and cluster.Direct. When ctx ends first, nothing is left running; afterwards ctx
// is of no matter any more. The first start ever fetches Kafka and takes some ten seconds longer.
func Start(ctx context.Context, options Options) (cluster.Cluster, error) {
	o, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Cluster{options: o, unlock: func() {}, run: proc.NewStarter(), nodes: map[int32]*node{}}
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("starting a local cluster: %w", err), c.Close())
	}
	if o.ProxyClients {
		return &Proxied{c, c.proxies.Gate}, nil
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context) error {
	var err error
	if !c.options.Shared {
		if c.unlock, err = lockAs(ctx, c.options.CacheDir, c.options.Stays, c.options.Note); err != nil {
			c.unlock = func() {}
			return err
		}
	}
	if err := sweep(c.options.TempDir, c.options.Note); err != nil {
		return err
	}
	k, err := prepare(ctx, c.options, c.run)
	if err != nil {
		return err
	}
	c.version = k.jars.version
	if c.data, err = newDataFolder(c.options.TempDir); err != nil {
		return err
	}
	if err := errors.Join(c.chooseAddresses(), os.MkdirAll(c.options.Dir, 0o755)); err != nil {
		return err
	}
	if err := c.makeNodes(k); err != nil {
		return err
	}
	return c.startAll(ctx)
}

// chooseAddresses gives each node its ports, and each broker its proxy where clients are proxied.
func (c *Cluster) chooseAddresses() error {
	ports, err := kraft.FreePorts(2*c.options.Brokers + c.options.Controllers)
	if err != nil {
		return err
	}
	next := func() string {
		port := ports[0]
		ports = ports[1:]
		return kraft.Loopback(port)
	}
	c.addrs = map[int32]address{}
	for i := range c.options.Controllers {
		c.addrs[kraft.FirstController+int32(i)] = address{control: next()}
	}
	for i := range c.options.Brokers {
		a := address{client: next(), internal: next()}
		a.public = a.client
		c.addrs[kraft.FirstBroker+int32(i)] = a
	}
	if c.options.ProxyClients {
		return c.makeProxies()
	}
	return nil
}

// makeNodes writes each node's configuration and formats its folder.
func (c *Cluster) makeNodes(k kit) error {
	o, clusterID := c.options, kraft.NewUUID()
	logs, err := writeLogConfig(o.Dir)
	if err != nil {
		return err
	}
	for id := range c.addrs {
		name := kraft.Name(id)
		home := filepath.Join(c.data.path, name)
		logDir, scratch := c.logDir(id), filepath.Join(home, "tmp")
		config := filepath.Join(o.Dir, name+".properties")
		err := errors.Join(
			format(logDir, clusterID, id, k.checkpoint),
			os.MkdirAll(scratch, 0o755),
			kraft.WriteProperties(config, nodeSettings(id, c.addrs, o.settings(), logDir)))
		if err != nil {
			return err
		}
		heap := o.Heap
		if kraft.IsController(id) {
			heap = kraft.ControllerHeap
		}
		c.nodes[id] = &node{id: id, run: c.run, java: k.java, logFile: filepath.Join(o.Dir, name+".log"), born: c.data.add,
			args: k.nodeArgs(o.jvm(heap), c.data.path, scratch, logs, config)}
	}
	return nil
}

// startAll starts every node, controllers first, and waits until the cluster is healthy or a node dies.
func (c *Cluster) startAll(ctx context.Context) error {
	for _, id := range slices.Backward(slices.Sorted(maps.Keys(c.nodes))) {
		n := c.nodes[id]
		if err := n.start(); err != nil {
			return err
		}
		var cancel context.CancelFunc
		ctx, cancel = n.whileAlive(ctx)
		defer cancel()
	}
	err := c.Healthy(ctx)
	for _, n := range c.nodes {
		if st, _ := n.state(); err != nil && st.State == proc.Dead {
			return fmt.Errorf("%s died: %s\nmore in %s", kraft.Name(n.id), n.lastWords(), n.logFile)
		}
	}
	return err
}

// Info of a local cluster.
func (c *Cluster) Info() cluster.Info {
	return cluster.Info{Kind: "local", Software: "Apache Kafka", Version: c.version, Mode: "kraft", Brokers: c.options.Brokers}
}

// Bootstrap addresses: the brokers', or their proxies'.
func (c *Cluster) Bootstrap() []string {
	return c.each(func(a address) string { return a.public })
}

// Direct addresses of the listeners that brokers also use among themselves.
func (c *Cluster) Direct() []string {
	return c.each(func(a address) string { return a.internal })
}

func (c *Cluster) each(of func(address) string) []string {
	var list []string
	for _, id := range c.Brokers() {
		list = append(list, of(c.addrs[id]))
	}
	return list
}

// Brokers by id, in order.
func (c *Cluster) Brokers() []int32 {
	return c.ids(func(id int32) bool { return !kraft.IsController(id) })
}

// Controllers by id, in order.
func (c *Cluster) Controllers() []int32 {
	return c.ids(func(id int32) bool { return kraft.IsController(id) })
}

func (c *Cluster) ids(want func(int32) bool) []int32 {
	ids := slices.Sorted(maps.Keys(c.addrs))
	return slices.DeleteFunc(ids, func(id int32) bool { return !want(id) })
}

// Settings that every node was given, beside those that tie the nodes together.
func (c *Cluster) Settings() map[string]string { return c.options.settings() }

// JVM flags of a broker.
func (c *Cluster) JVM() []string { return c.options.jvm(c.options.Heap) }

// Kill ends a node by SIGKILL.
func (c *Cluster) Kill(ctx context.Context, id int32) error {
	n, err := c.node(id)
	if err != nil {
		return err
	}
	return n.signal(ctx, syscall.SIGKILL)
}

// Stop ends a node by SIGTERM, which has it hand over its leaderships first. A paused node cannot.
func (c *Cluster) Stop(ctx context.Context, id int32) error {
	n, err := c.node(id)
	if err != nil {
		return err
	}
	st, err := n.state()
	if err != nil {
		return err
	}
	if st.State == proc.Paused {
		return fmt.Errorf("%s is paused and cannot stop by itself", kraft.Name(id))
	}
	return n.signal(ctx, syscall.SIGTERM)
}

// Pause stops every thread of a node, by SIGSTOP.
func (c *Cluster) Pause(ctx context.Context, id int32) error {
	n, err := c.node(id)
	if err != nil {
		return err
	}
	return n.turn(ctx, syscall.SIGSTOP, proc.Paused)
}

// Resume lets a paused node go on, by SIGCONT.
func (c *Cluster) Resume(ctx context.Context, id int32) error {
	n, err := c.node(id)
	if err != nil {
		return err
	}
	return n.turn(ctx, syscall.SIGCONT, proc.Running)
}

// Start starts a node again, with its data and at its address.
func (c *Cluster) Start(_ context.Context, id int32) error {
	n, err := c.node(id)
	if err != nil {
		return err
	}
	return n.start()
}

func (c *Cluster) logDir(id int32) string { return filepath.Join(c.data.path, kraft.Name(id), "log") }

// LogDir of a broker: see cluster.Logs.
func (c *Cluster) LogDir(id int32, _ ...string) (string, error) {
	if _, err := c.node(id); err != nil {
		return "", err
	}
	return c.logDir(id), nil
}

// ServerLog of a broker: see cluster.Logs.
func (c *Cluster) ServerLog(id int32) (string, error) {
	n, err := c.node(id)
	if err != nil {
		return "", err
	}
	return n.logFile, nil
}

// State of a node's process, read from /proc now.
func (c *Cluster) State(id int32) (cluster.ProcessState, error) {
	n, err := c.node(id)
	if err != nil {
		return cluster.ProcessState{}, err
	}
	return n.state()
}

func (c *Cluster) node(id int32) (*node, error) {
	n := c.nodes[id]
	if n == nil {
		return nil, fmt.Errorf("the cluster has no node %d, only %v", id, slices.Sorted(maps.Keys(c.nodes)))
	}
	return n, nil
}

// Close kills every node, whatever its state, and removes the data.
func (c *Cluster) Close() error {
	c.closing.Do(func() {
		var wg sync.WaitGroup
		for _, n := range c.nodes {
			wg.Go(n.end)
		}
		wg.Wait()
		c.closeFail = c.proxies.Close()
		if c.data != nil {
			c.closeFail = errors.Join(c.closeFail, c.data.remove())
		}
		c.run.Close()
		c.unlock()
	})
	return c.closeFail
}

// Processes are the ids of the processes of the nodes that live.
func (c *Cluster) Processes() map[int32]int {
	alive := map[int32]int{}
	for id, n := range c.nodes {
		if last, _, exited := n.current(); exited != nil && !isClosed(exited) {
			alive[id] = last.Pid
		}
	}
	return alive
}
