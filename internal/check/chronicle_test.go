package check

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	log "github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
)

// chronicle is a history in memory, in the form that tests make, spoil, and hand to the judge by either of its doors:
// as JSON Lines, or as a run directory. Operations stand in the order of their completion. Records of an operation are
// never changed in place, so that a copy of ops is a copy of the history.
type chronicle struct {
	head  log.Header
	ops   []log.Op
	meta  rundir.Meta
	open  map[int32]bool // clients that were killed: their logs end without an end
	apart bool           // no two transactions were open at once, and nobody else sent while one was
}

func (c *chronicle) clone() *chronicle {
	d := *c
	d.ops = slices.Clone(c.ops)
	d.head.Starts = map[int32]int64{}
	for p, start := range c.head.Starts {
		d.head.Starts[p] = start
	}
	d.head.Clients = slices.Clone(c.head.Clients)
	d.head.Producers = slices.Clone(c.head.Producers)
	return &d
}

// client adds a client, or finds it.
func (c *chronicle) client(name string, session int32) int32 {
	who := log.Client{Name: name, Session: session}
	if at := slices.Index(c.head.Clients, who); at >= 0 {
		return int32(at)
	}
	c.head.Clients = append(c.head.Clients, who)
	return int32(len(c.head.Clients) - 1)
}

// producer adds a producer, or finds it.
func (c *chronicle) producer(name string) int32 {
	if at := slices.Index(c.head.Producers, name); at >= 0 {
		return int32(at)
	}
	c.head.Producers = append(c.head.Producers, name)
	return int32(len(c.head.Producers) - 1)
}

// end is a time after everything.
func (c *chronicle) end() int64 {
	last := int64(0)
	for i := range c.ops {
		last = max(last, c.ops[i].Return)
	}
	return last + 1
}

// put adds an operation where its completion belongs.
func (c *chronicle) put(o log.Op) {
	at := len(c.ops)
	for at > 0 && c.ops[at-1].Return > o.Return {
		at--
	}
	c.ops = slices.Insert(c.ops, at, o)
}

// jsonl writes the lines, straight from docs/history.md.
func (c *chronicle) jsonl(guarantee string) string {
	w := &lineWriter{c: c, b: make([]byte, 0, 200*len(c.ops))}
	w.header(guarantee)
	for i := range c.ops {
		w.op(&c.ops[i])
	}
	return string(w.b)
}

type lineWriter struct {
	c *chronicle
	b []byte
}

func (w *lineWriter) text(name, s string) {
	if s != "" {
		w.b = fmt.Appendf(w.b, `,"%s":"%s"`, name, s)
	}
}

func (w *lineWriter) number(name string, n int64) {
	w.b = append(append(append(w.b, ',', '"'), name...), '"', ':')
	w.b = strconv.AppendInt(w.b, n, 10)
}

func (w *lineWriter) known(name string, n int64) {
	if n != log.Unknown {
		w.number(name, n)
	}
}

func (w *lineWriter) partition(name string, p int32) { w.text(name, w.c.head.PartitionName(p)) }

func quoted(list []string) string {
	if len(list) == 0 {
		return "[]"
	}
	return `["` + strings.Join(list, `","`) + `"]`
}

func (w *lineWriter) header(guarantee string) {
	h := &w.c.head
	w.b = fmt.Appendf(w.b, `{"kbench_history":1,"partitions":%s`, quoted(h.Partitions))
	w.text("guarantee", guarantee)
	var starts []log.PartitionOffset
	for p := range h.Partitions {
		if start, known := h.Starts[int32(p)]; known {
			starts = append(starts, log.PartitionOffset{Partition: int32(p), Offset: start})
		}
	}
	w.offsets("starts", starts)
	for name, list := range map[string][]string{"inputs": h.Inputs, "outputs": h.Outputs, "compacted": h.Compacted} {
		if len(list) > 0 {
			w.b = fmt.Appendf(w.b, `,"%s":%s`, name, quoted(list))
		}
	}
	w.b = append(w.b, "}\n"...)
}

func (w *lineWriter) offsets(name string, list []log.PartitionOffset) {
	w.b = fmt.Appendf(w.b, `,"%s":{`, name)
	for i, o := range list {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.b = fmt.Appendf(w.b, `"%s":%d`, w.c.head.PartitionName(o.Partition), o.Offset)
	}
	w.b = append(w.b, '}')
}

func (w *lineWriter) records(list []log.Record) {
	w.b = append(w.b, `,"records":[`...)
	for i := range list {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		r := &list[i]
		w.b = append(w.b, `{"offset":`...)
		w.b = strconv.AppendInt(w.b, r.Offset, 10)
		w.text("value", w.c.head.ValueName(r.Value))
		w.known("epoch", int64(r.Epoch))
		if r.Flags&log.Corrupt != 0 {
			w.b = append(w.b, `,"corrupt":true`...)
		}
		if r.Flags&log.Foreign != 0 || r.Value == log.NoValue && r.Flags&log.Corrupt == 0 {
			w.b = append(w.b, `,"foreign":true`...)
		}
		w.b = append(w.b, '}')
	}
	w.b = append(w.b, ']')
}

var (
	lineNames    = [...]string{log.Send: "send", log.Txn: "txn", log.Poll: "poll", log.Assign: "assign", log.Subscribe: "subscribe", log.Commit: "commit", log.Process: "process", log.Fault: "fault", log.Ends: "ends", log.FinalRead: "final-read"}
	outcomeNames = [...]string{log.OK: "ok", log.Failed: "failed", log.Indeterminate: "indeterminate"}
	readNames    = [...]string{log.ReadUncommitted: "read_uncommitted", log.ReadCommitted: "read_committed"}
)

func (w *lineWriter) op(o *log.Op) {
	if o.Kind == log.Process && len(o.Records) > 1 { // a line has one effect
		for _, r := range o.Records {
			one := *o
			one.Records = []log.Record{r}
			w.op(&one)
		}
		return
	}
	w.b = append(append(append(w.b, `{"op":"`...), lineNames[o.Kind]...), '"')
	switch o.Kind {
	case log.Fault:
		w.text("name", o.Name)
		w.text("target", o.Target)
	case log.Ends:
		w.text("group", o.Group)
		w.offsets("ends", o.Offsets)
	case log.FinalRead:
		w.partition("partition", o.Partition)
		w.number("pass", int64(o.Pass))
		w.text("isolation", readNames[o.Isolation])
		w.known("reached", o.Reached)
		w.records(o.Records)
	default:
		w.text("client", w.c.head.ClientName(o.Client))
		w.text("outcome", outcomeNames[o.Outcome])
		w.member(o)
	}
	w.number("call", o.Call)
	w.number("return", o.Return)
	w.b = append(w.b, "}\n"...)
}

// member of some kinds of operations only.
func (w *lineWriter) member(o *log.Op) {
	if o.Txn != 0 && o.Kind != log.Assign && o.Kind != log.Subscribe {
		w.text("txn", "t"+strconv.FormatUint(o.Txn, 10))
	}
	if o.Kind != log.Send && o.Kind != log.Txn {
		w.text("group", o.Group)
	}
	switch o.Kind {
	case log.Send:
		w.partition("partition", o.Partition)
		w.text("value", w.c.head.ValueName(o.Value))
		w.known("offset", o.Offset)
		if o.Attempt > 1 {
			w.number("attempt", int64(o.Attempt))
		}
		if o.FromPartition >= 0 {
			w.b = fmt.Appendf(w.b, `,"from":{"partition":"%s","offset":%d}`, w.c.head.PartitionName(o.FromPartition), o.FromOffset)
		}
	case log.Poll:
		w.partition("partition", o.Partition)
		w.text("isolation", readNames[o.Isolation])
		w.records(o.Records)
	case log.Process:
		w.partition("partition", o.Partition)
		w.known("offset", o.Records[0].Offset)
		w.text("value", w.c.head.ValueName(o.Records[0].Value))
	case log.Commit:
		w.offsets("offsets", o.Offsets)
		w.known("generation", int64(o.Generation))
	case log.Assign, log.Subscribe:
		var names []string
		for _, p := range o.Partitions {
			names = append(names, w.c.head.PartitionName(p))
		}
		w.b = append(append(w.b, `,"partitions":`...), quoted(names)...)
	}
}

// write makes a run directory.
func (c *chronicle) write(dir string) error {
	if err := os.MkdirAll(rundir.History(dir), 0o755); err != nil {
		return err
	}
	meta := c.meta
	meta.Version, meta.Logs, meta.Seal = rundir.Version, nil, ""
	b, err := json.Marshal(meta)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, rundir.MetaFile), b, 0o644); err != nil { // Save would wait for the disk
		return err
	}
	writers := make([]*log.Writer, len(c.head.Clients))
	for i, who := range c.head.Clients {
		head := c.head
		head.Self, head.Clients = who, nil
		w, err := log.Create(rundir.Log(dir, who.Name, int(who.Session)), head)
		if err != nil {
			return err
		}
		writers[i] = w
	}
	for i := range c.ops {
		if o := &c.ops[i]; o.Kind != log.Fault { // see writeFaults
			if err := writers[o.Client].Append(o); err != nil {
				return err
			}
		}
	}
	for i, w := range writers {
		if err := c.writeFaults(i, w); err != nil {
			return err
		}
		end := w.Close
		if c.open[int32(i)] {
			end = w.Flush
		}
		if err := end(); err != nil {
			return err
		}
		if c.open[int32(i)] && i%2 == 0 {
			if err := tear(rundir.Log(dir, c.head.Clients[i].Name, int(c.head.Clients[i].Session))); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeFaults puts the faults of run.json behind the final read, as a run does.
func (c *chronicle) writeFaults(client int, w *log.Writer) error {
	if c.head.Clients[client].Name != finalReader {
		return nil
	}
	for _, f := range c.meta.Faults {
		o := op(log.Fault)
		o.Name, o.Target, o.Call, o.Return = f.Name, f.Target, f.At, *f.Healed
		if err := w.Append(&o); err != nil {
			return err
		}
	}
	return nil
}

// tear begins a chunk that does not come to its end.
func tear(path string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write([]byte{2, 1, 0, 0, 99})
	return err
}

// loadChronicle reads a run directory.
func loadChronicle(dir string) (*chronicle, error) {
	meta, err := rundir.Load(dir)
	if err != nil {
		return nil, err
	}
	h, err := log.Open(rundir.History(dir))
	if err != nil {
		return nil, err
	}
	c := &chronicle{head: h.Header, meta: meta, open: map[int32]bool{}}
	for i, s := range h.Sessions {
		c.open[int32(i)] = !s.Closed
	}
	err = h.Each(func(op *log.Op) error {
		o := *op
		o.Records, o.Partitions, o.Offsets = slices.Clone(op.Records), slices.Clone(op.Partitions), slices.Clone(op.Offsets)
		c.ops = append(c.ops, o)
		return nil
	})
	return c, err
}
