package embedded

import (
	"errors"
	"net"
	"sync"
)

// listener is one broker's port. Detached, it is closed, as that of a dead broker: connections are refused. The broker
// behind it keeps accepting, and gets new connections once the port is open again.
type listener struct {
	addr net.Addr

	mu     sync.Mutex
	change *sync.Cond // of the two below
	port   net.Listener
	closed bool
	conns  map[net.Conn]struct{}
	goesOn chan struct{} // closed when a broker that stands still goes on; nil: it does not stand still
}

// listen makes the next broker's listener.
func (c *Cluster) listen(network, address string) (net.Listener, error) {
	port, err := net.Listen(network, address)
	if err != nil {
		return nil, err
	}
	l := &listener{addr: port.Addr(), port: port, conns: map[net.Conn]struct{}{}}
	l.change = sync.NewCond(&l.mu)
	c.listeners = append(c.listeners, l)
	return l, nil
}

func (l *listener) Addr() net.Addr { return l.addr }

// Accept waits through any time in which the broker is detached.
func (l *listener) Accept() (net.Conn, error) {
	for {
		port, err := l.openPort()
		if err != nil {
			return nil, err
		}
		conn, err := port.Accept()
		if err == nil && l.keep(port, conn) {
			return &tracked{Conn: conn, l: l}, nil
		}
		if err != nil && !errors.Is(err, net.ErrClosed) {
			return nil, err
		}
	}
}

// openPort waits until there is one.
func (l *listener) openPort() (net.Listener, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.port == nil && !l.closed {
		l.change.Wait()
	}
	if l.closed {
		return nil, net.ErrClosed
	}
	return l.port, nil
}

// keep notes a connection, unless its port has been closed meanwhile.
func (l *listener) keep(port net.Listener, conn net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.port != port {
		conn.Close()
		return false
	}
	l.conns[conn] = struct{}{}
	return true
}

func (l *listener) isAttached() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.port != nil
}

func (l *listener) detach() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.port != nil {
		l.port.Close()
		l.port = nil
	}
	for conn := range l.conns {
		conn.Close()
	}
	clear(l.conns)
}

// stand lets the broker stand still or go on, and tells whether that is new.
func (l *listener) stand(still bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if still == (l.goesOn != nil) {
		return false
	}
	if still {
		l.goesOn = make(chan struct{})
		return true
	}
	close(l.goesOn)
	l.goesOn = nil
	return true
}

// still is closed once the broker goes on; nil where it does not stand still.
func (l *listener) still() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.goesOn
}

// wait returns once the broker does not stand still.
func (l *listener) wait() {
	for still := l.still(); still != nil; still = l.still() {
		<-still
	}
}

// attach opens the port again, at the same address.
func (l *listener) attach() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.port != nil {
		return nil
	}
	port, err := net.Listen(l.addr.Network(), l.addr.String())
	if err != nil {
		return err
	}
	l.port = port
	l.change.Broadcast()
	return nil
}

func (l *listener) Close() error {
	l.detach()
	l.stand(false)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.change.Broadcast()
	return nil
}

// tracked forgets its connection when it is closed, and stands still with its broker: what came meanwhile is read, and what
// was to be sent is sent, when that goes on.
type tracked struct {
	net.Conn
	l *listener
}

func (t *tracked) Read(p []byte) (int, error) {
	n, err := t.Conn.Read(p)
	t.l.wait()
	return n, err
}

func (t *tracked) Write(p []byte) (int, error) {
	t.l.wait()
	return t.Conn.Write(p)
}

func (t *tracked) Close() error {
	t.l.mu.Lock()
	delete(t.l.conns, t.Conn)
	t.l.mu.Unlock()
	return t.Conn.Close()
}
