// Package docker runs Apache Kafka in KRaft mode in containers: brokers 1 to N and controllers from 1001 on, on an engine
// of this machine.
//
// Each broker is on two networks of the run's own. Clients come in by the one, through ports published on loopback; peers
// and controllers are on the other, from which a broker can be cut while clients still reach it.
//
// Nothing of a cluster outlives the process that started it, unless it is to be kept: all of it carries the run's label,
// and is removed by Close, by a process that waits for kbench to end (and by testcontainers' Ryuk, where its image is at
// hand), and by the next Start.
package docker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/moby/moby/client"

	"github.com/kbench/kbench/internal/cluster"
	"github.com/kbench/kbench/internal/cluster/kraft"
	"github.com/kbench/kbench/internal/proc"
	"github.com/kbench/kbench/internal/proxy"
	"github.com/kbench/kbench/internal/rundir"
)

// Cluster is a running cluster.
type Cluster struct {
	plan
	engine  *engine
	version string
	proxies *kraft.Proxies // nil without
	janitor *janitor       // nil without
	logs    *logs
	note    func(format string, args ...any)

	mu   sync.Mutex
	pids map[int32]proc.ID // of the nodes that live

	closing   sync.Once
	closeFail error
}

var (
	_ cluster.Cluster  = (*Cluster)(nil)
	_ cluster.Process  = (*Cluster)(nil)
	_ cluster.PeerLink = (*Cluster)(nil)
	_ cluster.Teller   = (*Cluster)(nil)
	_ cluster.Made     = (*Cluster)(nil)
	_ cluster.Direct   = (*Cluster)(nil)
	_ cluster.Logs     = (*Cluster)(nil)
	_ cluster.Owner    = (*Cluster)(nil)
)

// readyLimit is for nodes that run to become a healthy cluster.
const readyLimit = 3 * time.Minute

// closeLimit is for removing a cluster, whatever became of the context that it was started with.
const closeLimit = time.Minute

// Start brings a cluster up and returns once it is healthy: a *Cluster, or with Options.ProxyClients a *Proxied. When ctx
// ends first, nothing is left; afterwards ctx is of no matter any more.
func Start(ctx context.Context, options Options) (cluster.Cluster, error) {
	o, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Cluster{note: o.Note, pids: map[int32]proc.ID{}}
	if err := c.start(ctx, o); err != nil {
		return nil, errors.Join(fmt.Errorf("starting a cluster in containers: %w", err), c.remove())
	}
	if o.ProxyClients {
		return &Proxied{c, c.proxies.Gate}, nil
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context, o Options) error {
	var err error
	if c.engine, err = connect(ctx); err != nil {
		return err
	}
	if err := c.engine.sweep(ctx, o.Note); err != nil {
		return err
	}
	image, err := c.engine.haveImage(ctx, o.Image, o.Note)
	if err != nil {
		return err
	}
	if c.plan, err = newPlan(o); err != nil {
		return err
	}
	c.ImageID = image
	if err := errors.Join(c.addProxies(o), os.MkdirAll(o.Dir, 0o755)); err != nil {
		return err
	}
	if c.logs, err = newLogs(c.engine.client, o.Dir); err != nil {
		return err
	}
	if c.janitor, err = c.hireJanitor(o); err != nil {
		return err
	}
	if err := c.makeNetworks(ctx); err != nil {
		return err
	}
	if err := c.each(func(id int32) error { return c.makeNode(ctx, id, o.Dir) }); err != nil {
		return err
	}
	return c.startAll(ctx)
}

// hireJanitor has somebody remove what this process leaves when it is killed.
func (c *Cluster) hireJanitor(o Options) (*janitor, error) {
	ryuk := "and so does Ryuk"
	if c.engine.noReaper != "" {
		ryuk = "no Ryuk: " + c.engine.noReaper
	}
	switch {
	case len(o.Janitor) == 0 && o.Keep:
		return nil, nil
	case len(o.Janitor) == 0:
		o.Note("should kbench be killed, its next start removes the cluster (%s)", ryuk)
		return nil, nil
	case !o.Keep: // of one that is kept, until Close: a cluster that nobody has noted yet is nobody's
		o.Note("should kbench be killed, a process that it leaves behind removes the cluster (%s)", ryuk)
	}
	return startJanitor(append(slices.Clone(o.Janitor), c.Run))
}

// addProxies puts a proxy before each broker, where clients are to be proxied, for the brokers to advertise.
func (c *Cluster) addProxies(o Options) error {
	if !o.ProxyClients {
		return nil
	}
	c.proxies = kraft.NewProxies()
	for _, id := range c.Brokers() {
		p := c.Places[id]
		var err error
		if p.Public, err = c.proxies.Add(id, kraft.Loopback(p.Client)); err != nil {
			return err
		}
		c.Places[id] = p
	}
	return nil
}

// startAll starts every node and waits until the cluster is healthy or a node dies.
func (c *Cluster) startAll(ctx context.Context) error {
	if err := c.each(func(id int32) error { return c.Start(ctx, id) }); err != nil {
		return err
	}
	ctx, stop := context.WithTimeoutCause(ctx, readyLimit, fmt.Errorf("after %s: ports are published on 127.0.0.1 of the machine whose engine answers at %s; kbench has to run there, "+
		"and in its network (in a container: --network host)", readyLimit, c.engine.client.DaemonHost()))
	defer stop()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go c.watchDeaths(ctx, cancel)
	if err := c.Healthy(ctx); err != nil {
		return err
	}
	var err error
	c.version, err = c.logs.version(ctx, c.container(kraft.FirstBroker))
	return err
}

// watchDeaths ends the wait for a cluster of which a node has died, with its last words.
func (c *Cluster) watchDeaths(ctx context.Context, died context.CancelCauseFunc) {
	for ctx.Err() == nil {
		for id := range c.Places {
			if st, err := c.State(id); err == nil && st.State == stateDead {
				died(fmt.Errorf("%s died: %s", kraft.Name(id), c.logs.lastWords(ctx, c.container(id))))
				return
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(250 * time.Millisecond):
		}
	}
}

// each does something for all nodes at once.
func (c *Cluster) each(do func(id int32) error) error {
	var mu sync.Mutex
	var wg sync.WaitGroup
	var problems []error
	for id := range c.Places {
		wg.Go(func() {
			if err := do(id); err != nil {
				mu.Lock()
				defer mu.Unlock()
				problems = append(problems, fmt.Errorf("%s: %w", kraft.Name(id), err))
			}
		})
	}
	wg.Wait()
	return errors.Join(problems...)
}

// Healthy waits until the cluster is whole. It goes past the proxies.
func (c *Cluster) Healthy(ctx context.Context) error {
	return kraft.Healthy(ctx, c.Direct(), c.Brokers(), c.allRun)
}

// allRun says which nodes are dead, paused or cut from their peers.
func (c *Cluster) allRun() error {
	var problems []error
	for _, id := range slices.Sorted(maps.Keys(c.Places)) {
		st, cut, err := c.look(context.Background(), id)
		switch {
		case err != nil:
			problems = append(problems, err)
		case st.State != stateRunning:
			problems = append(problems, fmt.Errorf("%s is %s", kraft.Name(id), st.State))
		case cut:
			problems = append(problems, fmt.Errorf("%s is cut from its peers", kraft.Name(id)))
		}
	}
	return errors.Join(problems...)
}

// Info of a cluster in containers.
func (c *Cluster) Info() cluster.Info {
	return cluster.Info{
		Kind: "docker", Software: "Apache Kafka", Version: c.version, Mode: "kraft", Brokers: len(c.Brokers()),
		Containers: &rundir.Containers{Image: c.Image, ImageID: c.ImageID, BrokerCPUs: c.CPUs, BrokerMemory: c.Memory},
	}
}

// Close removes the cluster, whatever state it is in. One that is kept it leaves as it is.
func (c *Cluster) Close() error {
	c.closing.Do(func() {
		if !c.Keep {
			c.closeFail = c.remove()
			return
		}
		c.closeFail = errors.Join(c.proxies.Close(), c.logs.close(), c.janitor.spare(), c.engine.close())
	})
	return c.closeFail
}

// remove ends what this process has of the cluster, and the cluster. It takes a time of its own: after Ctrl-C too nothing
// may be left.
func (c *Cluster) remove() error {
	if c.engine == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
	defer cancel()
	err := c.proxies.Close()
	if c.Run != "" {
		err = errors.Join(err, c.engine.removeRun(ctx, c.Run))
	}
	return errors.Join(err, c.logs.close(), c.janitor.dismiss(), c.engine.close())
}

// Proxied is a cluster whose clients go through proxies, one for each broker, behind one gate.
type Proxied struct {
	*Cluster
	*proxy.Gate
}

var (
	_ cluster.AnswerFilter  = (*Proxied)(nil)
	_ cluster.EndTxnDelayer = (*Proxied)(nil)
)

// Remove removes a cluster that was kept, and whatever else has its label.
func Remove(ctx context.Context, run string) error {
	e, err := connect(ctx)
	if err != nil {
		return err
	}
	return errors.Join(e.removeRun(ctx, run), e.close())
}

// Host is an engine: where it answers, and its id, which it keeps.
type Host struct {
	Address string `json:"address"`
	ID      string `json:"id"`
}

// Answering is the engine that answers here and now.
func Answering(ctx context.Context) (Host, error) {
	e, err := connect(ctx)
	if err != nil {
		return Host{}, err
	}
	h, err := e.host(ctx)
	return h, errors.Join(err, e.close())
}

// Host is the cluster's engine.
func (c *Cluster) Host(ctx context.Context) (Host, error) { return c.engine.host(ctx) }

func (e *engine) host(ctx context.Context) (Host, error) {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	found, err := e.client.Info(ctx, client.InfoOptions{})
	if err != nil {
		return Host{}, fmt.Errorf("which Docker engine answers: %w", err)
	}
	return Host{e.client.DaemonHost(), found.Info.ID}, nil
}

// Attach finds a cluster that was kept. Logs of its nodes are followed into dir from now on, unless it is "".
func Attach(ctx context.Context, run, dir string) (*Cluster, error) {
	e, err := connect(ctx)
	if err != nil {
		return nil, err
	}
	c := &Cluster{engine: e, pids: map[int32]proc.ID{}, note: func(string, ...any) {}}
	if err := c.attach(ctx, run, dir); err != nil {
		return nil, errors.Join(fmt.Errorf("cluster %s: %w", run, err), c.logs.close(), e.close())
	}
	return c, nil
}

func (c *Cluster) attach(ctx context.Context, run, dir string) error {
	found, err := c.engine.client.NetworkInspect(ctx, peersNetwork(run), client.NetworkInspectOptions{})
	if err != nil {
		return err
	}
	if c.plan, err = planOf(found.Network.Labels); err != nil {
		return err
	}
	c.Keep = true // whoever only found it must not remove it
	if c.logs, err = newLogs(c.engine.client, dir); err != nil {
		return err
	}
	now := time.Now()
	for id := range c.Places {
		if err := c.born(ctx, id); err != nil {
			return err
		}
		c.logs.follow(c.container(id), kraft.Name(id), now)
	}
	c.version, err = c.logs.version(ctx, c.container(kraft.FirstBroker))
	return err
}

// Kept lists the clusters that were left running on purpose.
func Kept(ctx context.Context) (runs []string, err error) {
	e, err := connect(ctx)
	if err != nil {
		return nil, err
	}
	defer e.close()
	found, err := e.client.NetworkList(ctx, client.NetworkListOptions{Filters: client.Filters{}.Add("label", keptLabel)})
	for _, n := range found.Items {
		if run := n.Labels[runLabel]; n.Name == peersNetwork(run) {
			runs = append(runs, run)
		}
	}
	return runs, err
}
