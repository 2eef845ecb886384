package kept

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kbench/kbench/internal/cluster/local"
	"github.com/kbench/kbench/internal/proc"
)

// Local keeps clusters of local processes, each by a holder: a process of its own, in a session of its own.
type Local struct {
	// Argv is the command that calls Serve.
	Argv []string
}

var _ Kind = Local{}

// claimDescriptor is the claim's in the holder: the first after standard input, output and error.
const claimDescriptor = 3

// task is what a holder is told first. After it comes a keepWord, once the cluster is noted; the end of the input before
// that says that nobody wants it any more.
type task struct {
	Spec Spec   `json:"spec"`
	Dir  string `json:"dir"`
}

const keepWord = "keep"

// word is what a holder says until its cluster is up.
type word struct {
	Note   string  `json:"note,omitempty"`
	Error  string  `json:"error,omitempty"`
	Record *Record `json:"record,omitempty"`
}

// holder is the process.
type holder struct{ proc.ID }

func (h holder) signal(sig syscall.Signal) error {
	if !h.Alive() {
		return nil
	}
	if err := syscall.Kill(h.Pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("process %d: %w", h.Pid, err)
	}
	return nil
}

// Up starts a holder and waits until its cluster is up.
func (l Local) Up(ctx context.Context, m Making) error {
	h, err := l.start(m)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, h.abandon)
	record, err := h.listen(m.Note)
	if err == nil {
		err = m.Save(record)
	}
	if !stop() {
		err = context.Cause(ctx)
	}
	if err == nil {
		err = h.words.Encode(keepWord)
	}
	if err != nil {
		h.abandon()
		h.end()
	}
	return err
}

// child is a holder as who started it sees it.
type child struct {
	cmd   *exec.Cmd
	words *json.Encoder
	input io.Closer
	said  *json.Decoder
	log   string
}

func (l Local) start(m Making) (*child, error) {
	path := filepath.Join(m.Dir, "holder.log")
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(l.Argv[0], l.Argv[1:]...)
	cmd.Dir = "/"
	cmd.Stderr = log
	cmd.ExtraFiles = []*os.File{m.Claim}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	input, errIn := cmd.StdinPipe()
	output, errOut := cmd.StdoutPipe()
	if err := errors.Join(errIn, errOut); err != nil {
		return nil, err
	}
	// Whoever called kbench may wait for the end of a file that it was given, which a holder must not keep open. Kernels before
	// 5.11 cannot, and then it stays open.
	_ = unix.CloseRange(claimDescriptor, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the holder of the nodes: %w", err)
	}
	h := &child{cmd, json.NewEncoder(input), input, json.NewDecoder(output), path}
	if err := h.words.Encode(task{m.Spec, m.Dir}); err != nil {
		h.abandon()
		h.end()
		return nil, fmt.Errorf("tell the holder of the nodes its task: %w", err)
	}
	return h, nil
}

// listen passes on what the holder says until its cluster is up.
func (c *child) listen(note func(format string, args ...any)) (Record, error) {
	for {
		var w word
		if err := c.said.Decode(&w); err != nil {
			return Record{}, fmt.Errorf("the holder of the nodes ended before they were up: %s", lastWords(c.log))
		}
		switch {
		case w.Error != "":
			return Record{}, errors.New(w.Error)
		case w.Record != nil:
			return *w.Record, nil
		}
		note("%s", w.Note)
	}
}

// abandon has a holder that was not told to keep its cluster close it.
func (c *child) abandon() { c.input.Close() }

// end waits for a holder that was abandoned, and kills it where it does not end by itself.
func (c *child) end() {
	kill := time.AfterFunc(closeLimit, func() { _ = c.cmd.Process.Kill() })
	defer kill.Stop()
	_ = c.cmd.Wait() // how it ended it has said
}

func lastWords(log string) string {
	text, err := os.ReadFile(log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "\n")
}

// Hold of a cluster by its holder's socket.
func (Local) Hold(_ context.Context, r Record, at Holding) (Nodes, error) {
	if free, err := claimIsFree(at.Dir); err != nil {
		return nil, err
	} else if free {
		return nil, ErrGone
	}
	var h holder
	if err := json.Unmarshal(r.Handle, &h); err != nil {
		return nil, fmt.Errorf("the holder's process %q: %w", r.Handle, err)
	}
	return remote{at.Dir, r.Controllers, r.Places, h}, nil
}

// Sweep removes the data of clusters whose holder is gone.
func (Local) Sweep(note func(format string, args ...any)) error { return local.Sweep("", note) }

// Serve is the holder: it starts the cluster that its input names, says on its output how that goes, and owns the nodes
// until it is asked to close them, or ctx ends. Afterwards what there is to say goes to log. The folders for Kafka's jars
// and KAFKA_HOME come from base.
func Serve(ctx context.Context, in io.Reader, out, log io.Writer, base local.Options) error {
	syscall.CloseOnExec(claimDescriptor) // nodes that outlive their holder for a moment must not keep its claim
	signal.Ignore(syscall.SIGPIPE)       // who started the cluster does not listen to the end
	words := json.NewDecoder(in)
	var t task
	if err := words.Decode(&t); err != nil {
		return fmt.Errorf("holder: read its task: %w", err)
	}
	ctx, abandon := context.WithCancelCause(ctx)
	defer abandon(nil)
	wanted := make(chan struct{})
	go func() {
		var w string
		if words.Decode(&w) != nil || w != keepWord {
			abandon(errors.New("who started the cluster ended before it was up"))
			return
		}
		close(wanted)
	}()
	say := json.NewEncoder(out)
	c, err := local.Start(ctx, options(t, base, func(format string, args ...any) {
		text := fmt.Sprintf(format, args...)
		fmt.Fprintln(log, time.Now().Format(time.RFC3339), text)
		_ = say.Encode(word{Note: text}) // that nobody listens any more is noticed at the input
	}))
	if err == nil {
		err = hold(ctx, c.(*local.Cluster), t, say, wanted)
	}
	if err != nil {
		fmt.Fprintln(log, time.Now().Format(time.RFC3339), err)
		_ = say.Encode(word{Error: err.Error()})
	}
	return err
}

// hold serves a cluster that is up until it is to be closed.
func hold(ctx context.Context, c *local.Cluster, t task, say *json.Encoder, wanted <-chan struct{}) (err error) {
	l, err := listen(t.Dir)
	if err != nil {
		return errors.Join(err, c.Close())
	}
	over, answered := make(chan struct{}), make(chan struct{})
	var once sync.Once
	go func() {
		defer close(answered)
		serve(l, c, func() error {
			defer once.Do(func() { close(over) })
			return c.Close()
		})
	}()
	defer func() {
		err = errors.Join(err, l.Close(), c.Close())
		<-answered // who asked for the end is to hear of it
	}()
	record, err := describe(c, t.Spec)
	if err != nil {
		return err
	}
	if err := say.Encode(word{Record: &record}); err != nil {
		return err
	}
	select {
	case <-wanted:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-over:
	case <-ctx.Done():
	}
	return nil
}

func options(t task, base local.Options, note func(string, ...any)) local.Options {
	o := base
	o.Brokers, o.Controllers, o.Heap, o.Config, o.JVM, o.Steady = t.Spec.Brokers, t.Spec.Controllers, t.Spec.Heap, t.Spec.Config, t.Spec.JVM, t.Spec.Steady
	o.Dir = filepath.Join(t.Dir, "nodes")
	o.Stays = fmt.Sprintf("the kept cluster %s; 'kbench cluster down %[1]s' stops it", t.Spec.Name)
	o.Note = note
	return o
}

// describe a cluster for its record.
func describe(c *local.Cluster, spec Spec) (Record, error) {
	self, err := proc.Identify(os.Getpid())
	if err != nil {
		return Record{}, err
	}
	handle, err := json.Marshal(holder{self})
	if err != nil {
		return Record{}, err
	}
	r := Record{
		Spec: spec, Since: time.Now().Round(time.Second), Info: c.Info(), Bootstrap: c.Bootstrap(), Brokers: c.Brokers(), Controllers: c.Controllers(),
		Settings: c.Settings(), JVM: c.JVM(), Places: map[int32]Place{}, Handle: handle,
	}
	for _, broker := range r.Brokers {
		dir, errDir := c.LogDir(broker)
		log, errLog := c.ServerLog(broker)
		if err := errors.Join(errDir, errLog); err != nil {
			return Record{}, err
		}
		r.Places[broker] = Place{dir, log}
	}
	return r, nil
}
