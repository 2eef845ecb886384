package docker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"github.com/kbench/kbench/internal/cluster"
)

// logs follows what nodes say into files, one a node, as long as each lives.
type logs struct {
	client client.APIClient
	dir    string // "": nothing is followed
	stop   context.CancelFunc
	ctx    context.Context // of all that is followed

	mu    sync.Mutex
	ended map[string]chan struct{} // by container
}

func newLogs(c client.APIClient, dir string) (*logs, error) {
	if dir != "" {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	return &logs{client: c, dir: dir, stop: stop, ctx: ctx, ended: map[string]chan struct{}{}}, nil
}

func (l *logs) file(name string) string { return filepath.Join(l.dir, name+".log") }

// follow begins with what a node says from a moment on, and ends when it dies.
func (l *logs) follow(container, name string, since time.Time) {
	if l.dir == "" {
		return
	}
	ended := make(chan struct{})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended[container] = ended
	go func() {
		defer close(ended)
		if err := l.copyTo(container, l.file(name), since); err != nil && l.ctx.Err() == nil {
			l.say(name, fmt.Sprintf("%s: %v", cluster.LogTorn, err))
		}
	}()
}

// copyTo follows a node until it dies. The engine may end the stream before the last lines (Docker 20.10 does, now and then),
// so those are asked for once more.
func (l *logs) copyTo(container, path string, since time.Time) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	o := client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Follow: true, Since: stamp(since)}
	n, err := l.copy(container, o, file)
	if err == nil {
		o.Follow, o.Until = false, stamp(time.Now())
		_, err = l.copy(container, o, &rest{file, n})
		if errdefs.IsNotFound(err) { // it was removed, not ended: there is nobody who asks for its last words
			err = nil
		}
	}
	return errors.Join(err, file.Close())
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// copy writes what a node said, and tells how many bytes that were.
func (l *logs) copy(container string, o client.ContainerLogsOptions, to io.Writer) (int64, error) {
	said, err := l.client.ContainerLogs(l.ctx, container, o)
	if err != nil {
		return 0, err
	}
	n, err := stdcopy.StdCopy(to, to, said)
	return n, errors.Join(err, said.Close())
}

// rest passes on what comes after so many bytes.
type rest struct {
	to   io.Writer
	skip int64
}

func (r *rest) Write(p []byte) (int, error) {
	known := min(r.skip, int64(len(p)))
	r.skip -= known
	n, err := r.to.Write(p[known:])
	return int(known) + n, err
}

// say puts a line of kbench's own into a node's log, so that nobody takes it for whole.
func (l *logs) say(name, line string) {
	if file, err := os.OpenFile(l.file(name), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644); err == nil {
		fmt.Fprintln(file, line)
		_ = file.Close()
	}
}

// drained returns when everything that a dead node said is in its file.
func (l *logs) drained(ctx context.Context, container string) error {
	l.mu.Lock()
	ended := l.ended[container]
	l.mu.Unlock()
	if ended == nil {
		return nil
	}
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("what %s said last: %w", container, ctx.Err())
	}
}

func (l *logs) close() error {
	if l == nil {
		return nil
	}
	l.stop()
	for _, ended := range l.ended {
		<-ended
	}
	if l.dir == "" {
		return nil
	}
	return os.RemoveAll(filepath.Join(l.dir, copies))
}

var kafkaVersion = regexp.MustCompile(`Kafka version: (\S+)`)

// version is what a node says of itself when it starts, "" where it does not.
func (l *logs) version(ctx context.Context, container string) (string, error) {
	lines, err := l.all(ctx, container, "all")
	if err != nil {
		return "", fmt.Errorf("version of Kafka: %w", err)
	}
	for _, line := range lines {
		if m := kafkaVersion.FindStringSubmatch(line); m != nil {
			return m[1], nil
		}
	}
	return "", nil
}

// lastWords of a node, without the lines of Java's stack traces.
func (l *logs) lastWords(ctx context.Context, container string) string {
	lines, err := l.all(ctx, container, "100")
	if err != nil {
		return err.Error()
	}
	lines = slices.DeleteFunc(lines, func(line string) bool { return strings.HasPrefix(line, "\tat ") })
	const last = 5
	return strings.Join(lines[max(0, len(lines)-last):], "\n")
}

// all lines that a node has said up to now, or the last of them.
func (l *logs) all(ctx context.Context, container, tail string) ([]string, error) {
	said, err := l.client.ContainerLogs(ctx, container, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Tail: tail})
	if err != nil {
		return nil, err
	}
	defer said.Close()
	read, write := io.Pipe()
	go func() {
		_, err := stdcopy.StdCopy(write, write, said)
		write.CloseWithError(err)
	}()
	var lines []string
	scan := bufio.NewScanner(read)
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		lines = append(lines, scan.Text())
	}
	return lines, scan.Err()
}
