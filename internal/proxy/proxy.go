// Package proxy stands between clients and one broker, understands enough of Kafka's protocol to treat chosen Produce
// requests, and copies everything else. The broker has to advertise the proxy's address, so that clients come here.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// dialTimeout bounds the wait for a broker whose host does not answer at all, such as a paused one with a full backlog.
const dialTimeout = 3 * time.Second

// Proxy forwards connections from a port of its own to one broker.
type Proxy struct {
	*Gate
	listener net.Listener
	target   string
	ctx      context.Context
	cancel   context.CancelFunc
	running  sync.WaitGroup

	mu    sync.Mutex
	conns map[*conn]struct{}
}

// New listens on a free port of 127.0.0.1 and forwards to the target, HOST:PORT, with a gate of its own. The target
// need not be there yet: while it is not, connections are closed at once.
func New(target string) (*Proxy, error) { return NewGate().New(target) }

// New is the same for one broker of several that share the gate.
func (g *Gate) New(target string) (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("proxy for %s: %w", target, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &Proxy{Gate: g, listener: listener, target: target, ctx: ctx, cancel: cancel, conns: map[*conn]struct{}{}}
	g.mu.Lock()
	g.proxies[p] = struct{}{}
	g.mu.Unlock()
	p.running.Go(p.accept)
	return p, nil
}

// Addr is where clients connect.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Close ends the listener and every connection and returns when nothing runs any more. It may be called twice.
func (p *Proxy) Close() error {
	p.cancel()
	err := p.listener.Close()
	p.mu.Lock()
	for c := range p.conns {
		c.close()
	}
	p.mu.Unlock()
	p.running.Wait()
	p.Gate.mu.Lock()
	delete(p.Gate.proxies, p)
	p.Gate.mu.Unlock()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// accept serves until the listener is closed. Running out of descriptors passes, so it is waited out.
func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		switch {
		case p.ctx.Err() != nil:
			if err == nil {
				client.Close()
			}
			return
		case err != nil:
			select {
			case <-time.After(50 * time.Millisecond):
			case <-p.ctx.Done():
			}
		default:
			p.running.Go(func() { p.serve(client.(*net.TCPConn)) })
		}
	}
}

// serve connects one client with the target and returns when both directions have ended.
func (p *Proxy) serve(client *net.TCPConn) {
	defer client.Close()
	dialer := net.Dialer{Timeout: dialTimeout}
	target, err := dialer.DialContext(p.ctx, "tcp", p.target)
	if err != nil {
		return
	}
	c := newConn(p.Gate, client, target.(*net.TCPConn))
	if !p.add(c) {
		c.close()
		return
	}
	c.run()
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
}

// add registers a connection, unless the proxy has been closed meanwhile.
func (p *Proxy) add(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		return false
	}
	p.conns[c] = struct{}{}
	return true
}

// closeCut closes the connections that have answers withheld or to be withheld.
func (p *Proxy) closeCut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		if c.isCut() {
			c.close()
		}
	}
}
