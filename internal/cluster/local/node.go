package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/kbench/kbench/internal/cluster"
	"github.com/kbench/kbench/internal/cluster/kraft"
	"github.com/kbench/kbench/internal/proc"
)

// node is one Kafka process, or the place of one that was killed.
type node struct {
	id      int32
	run     *proc.Starter
	java    string
	args    []string
	logFile string
	born    func(proc.ID) error // told of each process before anything else happens to it; may be nil

	mu     sync.Mutex
	last   proc.ID       // of the last process started
	handle *os.Process   // likewise
	exited chan struct{} // closed when it is reaped
	closed bool          // nothing may be started any more
}

// start starts the process and returns when it runs, which is long before it serves.
func (n *node) start() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return fmt.Errorf("%s: the cluster is closed", kraft.Name(n.id))
	}
	if n.exited != nil && !isClosed(n.exited) {
		return fmt.Errorf("%s runs already", kraft.Name(n.id))
	}
	log, err := os.OpenFile(n.logFile, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(n.java, n.args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := n.run.Start(cmd); err != nil {
		return fmt.Errorf("starting %s: %w", kraft.Name(n.id), err)
	}
	return n.adopt(cmd)
}

// adopt notes a started process and has it reaped.
func (n *node) adopt(cmd *exec.Cmd) error {
	exited := make(chan struct{})
	id, err := proc.Identify(cmd.Process.Pid) // before anyone reaps it, so it is there, dead or alive
	if err == nil && n.born != nil {
		err = n.born(id)
	}
	n.last, n.handle, n.exited = id, cmd.Process, exited
	go func() {
		_ = cmd.Wait() // how a node ended is read from its log
		close(exited)
	}()
	if err != nil {
		_ = cmd.Process.Kill()
		<-exited
		return fmt.Errorf("starting %s: %w", kraft.Name(n.id), err)
	}
	return nil
}

// current are the last process and the channel that tells its end; the channel is nil before the first start.
func (n *node) current() (proc.ID, *os.Process, chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.last, n.handle, n.exited
}

func (n *node) state() (cluster.ProcessState, error) {
	last, _, _ := n.current()
	return stateOf(last)
}

// signal sends SIGKILL or SIGTERM and waits until the process is reaped.
func (n *node) signal(ctx context.Context, sig syscall.Signal) error {
	_, handle, exited := n.current()
	if exited == nil || isClosed(exited) {
		return fmt.Errorf("%s is dead", kraft.Name(n.id))
	}
	if err := handle.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("%s: %v: %w", kraft.Name(n.id), sig, err)
	}
	select {
	case <-exited:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s did not end on %v: %w", kraft.Name(n.id), sig, ctx.Err())
	}
}

// turn sends SIGSTOP or SIGCONT and waits until the system shows the state.
func (n *node) turn(ctx context.Context, sig syscall.Signal, want string) error {
	_, handle, exited := n.current()
	if exited == nil || isClosed(exited) {
		return fmt.Errorf("%s is dead", kraft.Name(n.id))
	}
	if err := handle.Signal(sig); err != nil {
		return fmt.Errorf("%s: %v: %w", kraft.Name(n.id), sig, err)
	}
	for {
		st, err := n.state()
		if err == nil && st.State == want {
			return nil
		}
		if err == nil && st.State == proc.Dead {
			return fmt.Errorf("%s died", kraft.Name(n.id))
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, fmt.Errorf("%s is %s, not %s: %w", kraft.Name(n.id), st.State, want, ctx.Err()))
		case <-time.After(time.Millisecond):
		}
	}
}

// end kills the process for good, whatever its state, and waits until it is reaped.
func (n *node) end() {
	n.mu.Lock()
	n.closed = true
	handle, exited := n.handle, n.exited
	n.mu.Unlock()
	if exited == nil {
		return
	}
	_ = handle.Kill() // an error says that it is dead already
	<-exited
}

// whileAlive is a context that ends with the process too.
func (n *node) whileAlive(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	_, _, exited := n.current()
	go func() {
		select {
		case <-exited:
			cancel(fmt.Errorf("%s died", kraft.Name(n.id)))
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// lastWords are the end of the node's log, without the lines of Java's stack traces.
func (n *node) lastWords() string {
	log, err := os.ReadFile(n.logFile)
	if err != nil {
		return err.Error()
	}
	lines := slices.DeleteFunc(strings.Split(string(log), "\n"), func(line string) bool { return strings.HasPrefix(line, "\tat ") })
	return lastLines(strings.Join(lines, "\n"), 5)
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
