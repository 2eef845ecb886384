package history

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
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
	for _, file := range files {
		if err := h.add(fileSource(file)); err != nil {
			return nil, fmt.Errorf("open history %s: %w", file, err)
		}
	}
	if h.Header.Version == 0 {
		return nil, fmt.Errorf("open history: none of the logs in %s has a header", dir)
	}
	return h, nil
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

// add checks one log and makes it part of the history.
func (h *History) add(s source) error {
	r, size, done, err := s.open()
	if err != nil {
		return err
	}
	defer done()
	session := Session{File: filepath.Base(s.name)}
	s.client = int32(len(h.Header.Clients))
	tear := func(at int64, tail bool, format string, args ...any) {
		h.Tears = append(h.Tears, Tear{session.File, at, fmt.Sprintf(format, args...), s.client, tail})
	}
	c := &chunks{r: r, size: size}
	defer c.close()
	header, err := readHeader(c)
	switch {
	case errors.Is(err, errTorn), errors.Is(err, io.EOF):
		tear(0, true, "ends before its header")
		header.Self = clientOf(session.File)
	case err != nil:
		return err
	default:
		if err := h.merge(header); err != nil {
			return err
		}
		if err := h.verify(c, &session, tear); err != nil {
			return err
		}
		h.sources = append(h.sources, s)
	}
	h.Header.Clients = append(h.Header.Clients, header.Self)
	h.Sessions = append(h.Sessions, session)
	return nil
}

// verify walks the chunks after the header.
func (h *History) verify(c *chunks, session *Session, tear func(int64, bool, string, ...any)) error {
	lost := false
	for {
		at := c.at
		head, raw, err := c.next()
		var damaged errDamaged
		switch {
		case err == io.EOF:
			return nil
		case errors.Is(err, errTorn):
			tear(at, true, "%v", err)
			return nil
		case errors.Is(err, errBroken):
			tear(at, false, "%v; the rest of the log is not read", err)
			return nil
		case errors.As(err, &damaged):
			lost = true
			tear(at, false, "%v", err)
		case err != nil:
			return err
		case session.Closed || head.kind == headerChunk:
			tear(at, false, "a chunk that does not belong here")
		case head.kind == endChunk:
			session.Closed = true
			if total, _ := binary.Uvarint(raw); total != session.Ops && !lost {
				tear(at, false, "%d operations where %d were written", session.Ops, total)
			}
		default:
			session.Ops += uint64(head.count)
		}
	}
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

// clientOf reads name.session.log.
func clientOf(file string) Client {
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
