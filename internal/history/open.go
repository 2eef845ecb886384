package history

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Tear is a place where a log could not be read as it was written. It is reported, never hidden.
type Tear struct {
	File   string
	Offset int64
	Reason string
	Client int32 // index in the table of clients
	Tail   bool  // the log only ends too early, as that of a killed session does; false: something within it is damaged
}

// Session is what became of one client's log.
type Session struct {
	File   string
	Closed bool // the session closed its log itself: nothing is missing at its end
	Ops    uint64
}

// History is a recorded history, opened for reading as often as wanted.
type History struct {
	Header   Header
	Sessions []Session // by index in Header.Clients
	Tears    []Tear

	// Of a history read from JSON Lines, nil otherwise.
	Warnings []string

	sources []source
}

// source is one log that can be opened anew for each pass.
type source struct {
	name   string
	client int32 // whose log it is; Unknown: its operations say it
	open   func() (io.ReaderAt, int64, func() error, error)
}

// Open reads the headers of all logs of a history directory and checks every chunk, without decoding the operations.
func Open(dir string) (*History, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("open history: no logs in %s", dir)
	}
	slices.Sort(files)
	h := &History{}
	logs, problems := examineAll(files)
	for i, file := range files {
		err := problems[i]
		if err == nil {
			err = h.add(logs[i])
		}
		if err != nil {
			return nil, fmt.Errorf("open history %s: %w", file, err)
		}
	}
	if h.Header.Version == 0 {
		return nil, fmt.Errorf("open history: none of the logs in %s has a header", dir)
	}
	return h, nil
}

// Only is the history as it stands in the logs of some of its clients. What their logs tell nothing of need not be read.
func (h *History) Only(of func(Client) bool) *History {
	some := *h
	some.sources = slices.DeleteFunc(slices.Clone(h.sources), func(s source) bool {
		return s.client >= 0 && !of(h.Header.Clients[s.client])
	})
	return &some
}

func fileSource(path string) source {
	return source{name: path, open: func() (io.ReaderAt, int64, func() error, error) {
		f, err := os.Open(path)
		if err != nil {
			return nil, 0, nil, err
		}
		info, err := f.Stat()
		if err != nil {
			f.Close()
			return nil, 0, nil, err
		}
		return f, info.Size(), f.Close, nil
	}}
}

func memorySource(name string, log []byte) source {
	return source{name: name, client: Unknown, open: func() (io.ReaderAt, int64, func() error, error) {
		return bytes.NewReader(log), int64(len(log)), func() error { return nil }, nil
	}}
}

// examined is what a look through one log tells.
type examined struct {
	source  source
	header  Header
	lost    bool // no header, and so no operation, can be read
	session Session
	tears   []Tear
}

// examineAll looks through logs, some at once.
func examineAll(files []string) ([]*examined, []error) {
	logs, problems := make([]*examined, len(files)), make([]error, len(files))
	turn := make(chan struct{}, runtime.GOMAXPROCS(0))
	var all sync.WaitGroup
	for i, file := range files {
		turn <- struct{}{}
		all.Go(func() {
			logs[i], problems[i] = fileSource(file).examine()
			<-turn
		})
	}
	all.Wait()
	return logs, problems
}

// examine walks through the chunks of one log.
func (s source) examine() (*examined, error) {
	r, size, done, err := s.open()
	if err != nil {
		return nil, err
	}
	defer done()
	packs, err := newUnpacker()
	if err != nil {
		return nil, err
	}
	defer packs.Close()
	x := &examined{source: s, session: Session{File: filepath.Base(s.name)}}
	c := &chunks{r: r, size: size, packs: packs}
	x.header, err = readHeader(c)
	if errors.Is(err, errTorn) || errors.Is(err, io.EOF) {
		x.tear(0, true, "ends before its header")
		x.header.Self, x.lost = ClientOf(x.session.File), true
		return x, nil
	}
	if err != nil {
		return nil, err
	}
	return x, x.walk(c)
}

func (x *examined) tear(at int64, tail bool, format string, args ...any) {
	x.tears = append(x.tears, Tear{File: x.session.File, Offset: at, Reason: fmt.Sprintf(format, args...), Tail: tail})
}

// walk looks at the chunks after the header.
func (x *examined) walk(c *chunks) error {
	session, lost := &x.session, false
	for {
		at := c.at
		head, raw, err := c.next()
		var damaged errDamaged
		switch {
		case err == io.EOF:
			return nil
		case errors.Is(err, errTorn):
			x.tear(at, true, "%v", err)
			return nil
		case errors.Is(err, errBroken):
			x.tear(at, false, "%v; the rest of the log is not read", err)
			return nil
		case errors.As(err, &damaged):
			lost = true
			x.tear(at, false, "%v", err)
		case err != nil:
			return err
		case session.Closed || head.kind == headerChunk:
			x.tear(at, false, "a chunk that does not belong here")
		case head.kind == endChunk:
			session.Closed = true
			if total, _ := binary.Uvarint(raw); total != session.Ops && !lost {
				x.tear(at, false, "%d operations where %d were written", session.Ops, total)
			}
		default:
			session.Ops += uint64(head.count)
		}
	}
}

// add makes a log part of the history.
func (h *History) add(x *examined) error {
	client := int32(len(h.Header.Clients))
	if !x.lost {
		if err := h.merge(x.header); err != nil {
			return err
		}
		x.source.client = client
		h.sources = append(h.sources, x.source)
	}
	for _, t := range x.tears {
		t.Client = client
		h.Tears = append(h.Tears, t)
	}
	h.Header.Clients = append(h.Header.Clients, x.header.Self)
	h.Sessions = append(h.Sessions, x.session)
	return nil
}

// readHeader leaves c behind the header.
func readHeader(c *chunks) (Header, error) {
	if c.size < int64(len(magic)) {
		return Header{}, errTorn
	}
	b := make([]byte, len(magic))
	if err := readAt(c.r, b, 0); err != nil {
		return Header{}, err
	}
	if name := magic[:len(magic)-1]; string(b[:len(name)]) != name {
		return Header{}, errors.New("not a history log")
	} else if string(b) != magic {
		return Header{}, fmt.Errorf("log version %d, this kbench reads %d", b[len(name)], Version)
	}
	c.at = int64(len(magic))
	head, raw, err := c.next()
	if err != nil {
		return Header{}, err
	}
	if head.kind != headerChunk {
		return Header{}, errors.New("the first chunk is no header")
	}
	return unmarshalHeader(raw)
}

// ClientOf reads name.session.log.
func ClientOf(file string) Client {
	name := strings.TrimSuffix(file, ".log")
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 {
		return Client{Name: name}
	}
	n, err := strconv.ParseInt(name[dot+1:], 10, 32)
	if err != nil {
		return Client{Name: name}
	}
	return Client{name[:dot], int32(n)}
}

// merge joins a log's header with those before it, which must tell of the same run.
func (h *History) merge(log Header) error {
	all := &h.Header
	if all.Version == 0 {
		log.Clients = all.Clients
		*all = log
		all.Self = Client{}
		return nil
	}
	if log.Run != all.Run {
		return fmt.Errorf("it belongs to run %016x, the other logs to %016x", log.Run, all.Run)
	}
	var ok [2]bool
	all.Partitions, ok[0] = longer(all.Partitions, log.Partitions)
	all.Producers, ok[1] = longer(all.Producers, log.Producers)
	if !ok[0] || !ok[1] {
		return errors.New("its tables of partitions or producers differ from those of the other logs")
	}
	for p, start := range log.Starts {
		if all.Starts == nil {
			all.Starts = map[int32]int64{}
		}
		all.Starts[p] = start
	}
	return nil
}

// longer of two tables, of which one must begin with the other.
func longer(a, b []string) ([]string, bool) {
	if len(a) < len(b) {
		a, b = b, a
	}
	return a, slices.Equal(a[:len(b)], b)
}
