// Package plantedtest makes a cluster misbehave on demand. It stands before each of its brokers, takes every request and
// every answer apart, and lets a Lie change them, so that to a client the broker itself seems to be at fault: any client
// library, and everything that records what it saw, is exercised as it is. Only tests use it.
//
// A reader finds: the brokers' fronts here, one connection in conn.go, what a lie may do in exchange.go, record batches in
// batch.go, and the lies in writes.go, reads.go, logs.go and groups.go.
package plantedtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"

	"github.com/kbench/kbench/internal/cluster"
)

// Cluster is another one whose brokers lie to whoever comes by its Bootstrap addresses. Those who use the addresses of
// the cluster behind it are told the truth.
type Cluster struct {
	cluster.Cluster
	fronts  map[int32]*front
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu       sync.Mutex // over the lie too: it sees one message at a time
	lie      *Lie
	names    map[[16]byte]string // topics by id
	problems []error
	conns    map[net.Conn]struct{}
}

// front is the port before one broker.
type front struct {
	*Cluster
	listener net.Listener
	target   string
}

// Before puts a lie before every broker of a cluster; brokers are their addresses by id.
func Before(behind cluster.Cluster, brokers map[int32]string, lie *Lie) (*Cluster, error) {
	c := &Cluster{Cluster: behind, lie: lie, fronts: map[int32]*front{}, names: map[[16]byte]string{}, conns: map[net.Conn]struct{}{}}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	for _, id := range behind.Brokers() {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, errors.Join(fmt.Errorf("before broker %d: %w", id, err), c.stop())
		}
		f := &front{c, listener, brokers[id]}
		c.fronts[id] = f
	}
	for _, f := range c.fronts {
		c.running.Go(f.accept)
	}
	return c, nil
}

// Bootstrap addresses of the fronts.
func (c *Cluster) Bootstrap() []string {
	var list []string
	for _, id := range c.Brokers() {
		list = append(list, c.fronts[id].listener.Addr().String())
	}
	return list
}

// Told is how much of what the lie is about was told: records, or whatever an instance of its anomaly is.
func (c *Cluster) Told() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lie.told
}

// Problems are messages that could not be taken apart, so that a lie may have missed its chance.
func (c *Cluster) Problems() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return errors.Join(c.problems...)
}

// Close ends the fronts, and then the cluster.
func (c *Cluster) Close() error { return errors.Join(c.stop(), c.Cluster.Close()) }

func (c *Cluster) stop() error {
	c.cancel()
	for _, f := range c.fronts {
		f.listener.Close()
	}
	c.mu.Lock()
	for conn := range c.conns {
		conn.Close()
	}
	c.mu.Unlock()
	c.running.Wait()
	return nil
}

func (f *front) accept() {
	for {
		client, err := f.listener.Accept()
		if err != nil {
			return // closed; a test has no better use for another error
		}
		f.running.Go(func() { f.serve(client) })
	}
}

// serve answers one client until either side ends.
func (f *front) serve(client net.Conn) {
	defer client.Close()
	broker, err := (&net.Dialer{}).DialContext(f.ctx, "tcp", f.target)
	if err != nil {
		return
	}
	defer broker.Close()
	if !f.keep(client, broker) {
		return
	}
	newConn(f.Cluster, client, broker).run()
	f.forget(client, broker)
}

func (c *Cluster) keep(conns ...net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range conns {
		c.conns[conn] = struct{}{}
	}
	return c.ctx.Err() == nil
}

func (c *Cluster) forget(conns ...net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range conns {
		delete(c.conns, conn)
	}
}

func (c *Cluster) problem(format string, args ...any) {
	c.problems = append(c.problems, fmt.Errorf(format, args...))
}

// address is where clients are sent for a broker: its front.
func (c *Cluster) address(id int32, host string, port int32) (string, int32) {
	f := c.fronts[id]
	if f == nil {
		return host, port
	}
	own, number, _ := strings.Cut(f.listener.Addr().String(), ":")
	n, _ := strconv.Atoi(number) // a listener's own address has one
	return own, int32(n)
}
