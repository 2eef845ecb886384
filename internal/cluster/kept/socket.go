package kept

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/kbench/kbench/internal/cluster"
)

// A holder answers one request a connection: a line of JSON each way.
const socketFile = "socket"

// What a holder can be asked.
const (
	doKill      = "kill"
	doStop      = "stop"
	doPause     = "pause"
	doResume    = "resume"
	doStart     = "start"
	doState     = "state"
	doProcesses = "processes"
	doClose     = "close"
)

type request struct {
	Do   string `json:"do"`
	Node int32  `json:"node,omitempty"`
}

type reply struct {
	Error     string               `json:"error,omitempty"`
	State     cluster.ProcessState `json:"state,omitzero"`
	Processes map[int32]int        `json:"processes,omitempty"`
}

// atSocket calls f with an address of the socket in dir. The kernel takes no more than 107 bytes, which a folder's name
// may exceed, so the folder is named by its descriptor.
func atSocket[T any](dir string, f func(address string) (T, error)) (T, error) {
	var none T
	folder, err := os.Open(dir)
	if err != nil {
		return none, err
	}
	defer folder.Close()
	return f(filepath.Join(fmt.Sprintf("/proc/self/fd/%d", folder.Fd()), socketFile))
}

func listen(dir string) (net.Listener, error) {
	l, err := atSocket(dir, func(address string) (net.Listener, error) { return net.Listen("unix", address) })
	if err != nil {
		return nil, fmt.Errorf("the holder's socket: %w", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // the folder is removed whole
	return l, nil
}

// serve answers requests until the listener is closed and every one is answered. closed is called at a request to close,
// before that is answered.
func serve(l net.Listener, nodes cluster.Process, closed func() error) {
	var answering sync.WaitGroup
	defer answering.Wait()
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		answering.Go(func() {
			defer conn.Close()
			answer(conn, nodes, closed)
		})
	}
}

// answer one request. Whoever asked may go away, and then it is not waited for any more.
func answer(conn net.Conn, nodes cluster.Process, closed func() error) {
	var r request
	words := json.NewDecoder(conn)
	_ = conn.SetReadDeadline(time.Now().Add(askLimit))
	if words.Decode(&r) != nil {
		return
	}
	_ = conn.SetReadDeadline(time.Time{})
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	go func() {
		var none request
		_ = words.Decode(&none) // nothing comes but the end
		cancel(errors.New("who asked for it went away"))
	}()
	_ = json.NewEncoder(conn).Encode(carryOut(ctx, r, nodes, closed))
}

func carryOut(ctx context.Context, r request, nodes cluster.Process, closed func() error) (out reply) {
	var err error
	switch r.Do {
	case doKill:
		err = nodes.Kill(ctx, r.Node)
	case doStop:
		err = nodes.Stop(ctx, r.Node)
	case doPause:
		err = nodes.Pause(ctx, r.Node)
	case doResume:
		err = nodes.Resume(ctx, r.Node)
	case doStart:
		err = nodes.Start(ctx, r.Node)
	case doState:
		out.State, err = nodes.State(r.Node)
	case doProcesses:
		if o, ok := nodes.(cluster.Owner); ok {
			out.Processes = o.Processes()
		}
	case doClose:
		err = closed()
	default:
		err = fmt.Errorf("a holder cannot %q", r.Do)
	}
	if err != nil {
		out.Error = err.Error()
	}
	return out
}

// remote is hold of local nodes by way of their holder.
type remote struct {
	dir         string
	controllers []int32
	places      map[int32]Place
	holder      holder
}

var _ Nodes = remote{}

// askLimit of requests that only look; closeLimit of a holder that removes its cluster, before it is killed.
const (
	askLimit   = 10 * time.Second
	closeLimit = 60 * time.Second
)

// ask sends one request and waits for its answer, until ctx ends.
func (r remote) ask(ctx context.Context, q request) (reply, error) {
	conn, err := atSocket(r.dir, func(address string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", address)
	})
	if err != nil {
		return reply{}, fmt.Errorf("the holder of the nodes does not answer: %w", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	var a reply
	if err := errors.Join(json.NewEncoder(conn).Encode(q), json.NewDecoder(conn).Decode(&a)); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return reply{}, fmt.Errorf("%s by the holder of the nodes: %w", q.Do, err)
	}
	if a.Error != "" {
		return reply{}, errors.New(a.Error)
	}
	return a, nil
}

func (r remote) do(ctx context.Context, what string, node int32) error {
	_, err := r.ask(ctx, request{Do: what, Node: node})
	return err
}

func (r remote) Kill(ctx context.Context, node int32) error   { return r.do(ctx, doKill, node) }
func (r remote) Stop(ctx context.Context, node int32) error   { return r.do(ctx, doStop, node) }
func (r remote) Pause(ctx context.Context, node int32) error  { return r.do(ctx, doPause, node) }
func (r remote) Resume(ctx context.Context, node int32) error { return r.do(ctx, doResume, node) }
func (r remote) Start(ctx context.Context, node int32) error  { return r.do(ctx, doStart, node) }
func (r remote) Controllers() []int32                         { return r.controllers }

func (r remote) State(node int32) (cluster.ProcessState, error) {
	ctx, cancel := context.WithTimeout(context.Background(), askLimit)
	defer cancel()
	a, err := r.ask(ctx, request{Do: doState, Node: node})
	return a.State, err
}

// Processes that live; none where the holder does not answer.
func (r remote) Processes() map[int32]int {
	ctx, cancel := context.WithTimeout(context.Background(), askLimit)
	defer cancel()
	a, _ := r.ask(ctx, request{Do: doProcesses})
	return a.Processes
}

// LogDir of a broker: see cluster.Logs.
func (r remote) LogDir(broker int32, _ ...string) (string, error) {
	p, err := r.place(broker)
	return p.LogDir, err
}

// ServerLog of a broker: see cluster.Logs.
func (r remote) ServerLog(broker int32) (string, error) {
	p, err := r.place(broker)
	return p.ServerLog, err
}

func (r remote) place(broker int32) (Place, error) {
	p, ok := r.places[broker]
	if !ok {
		return Place{}, fmt.Errorf("the cluster has no broker %d", broker)
	}
	return p, nil
}

// Close has nothing to let go of: each request has a connection of its own.
func (r remote) Close() error { return nil }

// Remove has the holder stop its nodes and end. One that does not is killed, and its nodes die with it.
func (r remote) Remove(ctx context.Context) error {
	asked, cancel := context.WithTimeout(ctx, closeLimit)
	defer cancel()
	_, err := r.ask(asked, request{Do: doClose})
	if err == nil {
		err = r.ended(asked)
	}
	if err == nil || ctx.Err() != nil {
		return err
	}
	if killed := r.holder.signal(syscall.SIGKILL); killed != nil {
		return errors.Join(err, killed)
	}
	return r.ended(ctx)
}

// ended waits until the holder has ended.
func (r remote) ended(ctx context.Context) error {
	for {
		free, err := claimIsFree(r.dir)
		if free || err != nil {
			return err
		}
		if !pause(ctx, 10*time.Millisecond) {
			return fmt.Errorf("process %d does not end: %w", r.holder.Pid, context.Cause(ctx))
		}
	}
}
