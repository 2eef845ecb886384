package check

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	log "github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
)

// longRun is a run as it would be recorded at full speed: producers that send to partitions by the hash of a key, so that
// each batch has other gaps in its sequences; acknowledgements batch by batch; a group whose members poll up to a few
// thousand records at once, handle and commit them; a final reader that takes partition after partition. It holds.
type longRun struct {
	records     int64
	partitions  int
	producers   int
	consumers   int
	passes      int  // of the final read
	transaction int  // records in one, 0: none. Each fiftieth is aborted.
	onebyone    bool // each record is handled by itself
}

// A marker stands in a partition's log where a transaction ends.
const marker = ^uint32(0)

type longWriter struct {
	longRun
	tb    testing.TB
	dir   string
	rng   *rand.Rand
	now   int64
	gone  uint64 // records of aborted transactions
	buf   []log.Record
	logs  map[string]*log.Writer
	parts []longPartition
	sends []longProducer
}

type longPartition struct {
	log  []uint32 // by offset: seq and producer, or marker
	read int      // the group's position
	poll int      // it is polled once so many are there
}

type longProducer struct {
	seq     int64
	txn     uint64
	batches [][]log.Op // by partition: on their way
	open    []int      // by partition: the first offset of the open transaction, -1: none
}

// write records the run in an empty directory, and says what the judge has to count.
func (r longRun) write(tb testing.TB, dir string) Counts {
	tb.Helper()
	w := &longWriter{longRun: r, tb: tb, dir: dir, rng: rand.New(rand.NewPCG(4, 100)), now: 1_000_000_000, logs: map[string]*log.Writer{}}
	w.create()
	for i := range r.records {
		w.now += 200 + w.rng.Int64N(200)
		w.send(w.rng.IntN(r.producers))
		if r.transaction == 0 && i%64 == 0 {
			w.acknowledge(w.rng.IntN(r.producers), w.rng.IntN(r.partitions))
		}
	}
	for p := range w.sends {
		w.end(p)
	}
	for p := range w.parts {
		w.parts[p].poll = 0
		w.poll(p)
	}
	w.finalRead()
	for _, l := range w.logs {
		if err := l.Close(); err != nil {
			tb.Fatal(err)
		}
	}
	there := uint64(r.records) - w.gone
	return Counts{Sent: uint64(r.records), Acked: there, Failed: w.gone, Read: there}
}

func (w *longWriter) create() {
	meta := goodRun().meta
	meta.Faults, meta.Workers = nil, nil
	meta.FinalRead.Passes, meta.Topics[0].Partitions = w.passes, w.partitions
	if w.transaction > 0 {
		meta.Guarantee, meta.Judged.Transactions = ExactlyOnce, true
	}
	head := log.Header{Run: 7}
	for p := range w.partitions {
		head.Partitions = append(head.Partitions, fmt.Sprintf("orders/%d", p))
		w.parts = append(w.parts, longPartition{poll: 500})
	}
	none := make([]int, w.partitions)
	for p := range none {
		none[p] = -1
	}
	var names []string
	for p := range w.producers {
		names = append(names, fmt.Sprintf("p%d", p))
		w.sends = append(w.sends, longProducer{txn: 1, batches: make([][]log.Op, w.partitions), open: append([]int(nil), none...)})
		meta.Workers = append(meta.Workers, rundir.Worker{Name: names[p], Session: 1, Role: "producer"})
	}
	head.Producers = names
	for c := range w.consumers {
		names = append(names, fmt.Sprintf("c%d", c))
		meta.Workers = append(meta.Workers, rundir.Worker{Name: fmt.Sprintf("c%d", c), Session: 1, Role: "consumer"})
	}
	if err := os.Mkdir(rundir.History(w.dir), 0o755); err != nil {
		w.tb.Fatal(err)
	}
	if err := meta.Save(w.dir); err != nil {
		w.tb.Fatal(err)
	}
	for _, name := range append(names, "final") {
		head.Self = log.Client{Name: name, Session: 1}
		l, err := log.Create(rundir.Log(w.dir, name, 1), head)
		if err != nil {
			w.tb.Fatal(err)
		}
		w.logs[name] = l
	}
}

func (w *longWriter) put(name string, o *log.Op) {
	if err := w.logs[name].Append(o); err != nil {
		w.tb.Fatal(err)
	}
}

func (w *longWriter) send(producer int) {
	p := &w.sends[producer]
	to := w.rng.IntN(w.partitions)
	o := op(log.Send)
	o.Value = log.Value{Producer: int32(producer), Session: 1, Seq: p.seq}
	o.Call, o.Intended, o.Partition, o.Attempt = w.now, intended(o.Value), int32(to), 1
	if w.transaction > 0 {
		o.Txn = p.txn
	}
	p.seq++
	p.batches[to] = append(p.batches[to], o)
	if w.transaction > 0 && p.seq%int64(w.transaction) == 0 {
		w.end(producer)
	}
}

// acknowledge answers one batch.
func (w *longWriter) acknowledge(producer, to int) {
	p, part := &w.sends[producer], &w.parts[to]
	name := fmt.Sprintf("p%d", producer)
	answered := w.now + 1_000_000
	for i := range p.batches[to] {
		o := &p.batches[to][i]
		o.Offset, o.Return = int64(len(part.log)), answered
		answered += w.rng.Int64N(100)
		if w.transaction > 0 && p.open[to] < 0 {
			p.open[to] = len(part.log)
		}
		part.log = append(part.log, uint32(o.Value.Seq)*uint32(w.producers)+uint32(producer))
		w.put(name, o)
	}
	p.batches[to] = p.batches[to][:0]
	w.poll(to)
}

// end answers everything and ends the transaction.
func (w *longWriter) end(producer int) {
	p := &w.sends[producer]
	for to := range p.batches {
		w.acknowledge(producer, to)
	}
	if w.transaction == 0 || !slices.ContainsFunc(p.open, func(first int) bool { return first >= 0 }) {
		return
	}
	o := op(log.Txn)
	o.Partition, o.Txn, o.Call, o.Return = log.Unknown, p.txn, w.now, w.now+2_000_000
	if w.aborts(p.seq - 1) {
		o.Outcome = log.Failed
		w.gone += uint64((p.seq-1)%int64(w.transaction) + 1)
	}
	w.put(fmt.Sprintf("p%d", producer), &o)
	for to, first := range p.open {
		if first >= 0 {
			w.parts[to].log = append(w.parts[to].log, marker)
			p.open[to] = -1
		}
		w.poll(to)
	}
	p.txn++
}

// intended start of a record: by a schedule that is not quite even, and runs ahead of what the producers can do.
func intended(v log.Value) int64 {
	return v.Seq*1100 + int64((uint64(v.Seq)*4+uint64(v.Producer))*0x9e3779b97f4a7c15>>54)
}

func (w *longWriter) aborts(seq int64) bool {
	return w.transaction > 0 && seq/int64(w.transaction)%50 == 49
}

// stable is how far readers of committed records get.
func (w *longWriter) stable(part int) int {
	end := len(w.parts[part].log)
	for p := range w.sends {
		if first := w.sends[p].open[part]; first >= 0 {
			end = min(end, first)
		}
	}
	return end
}

func (w *longWriter) poll(part int) {
	p := &w.parts[part]
	end := w.stable(part)
	if end-p.read < max(p.poll, 1) {
		return
	}
	name := fmt.Sprintf("c%d", part%w.consumers)
	poll := w.records(log.Poll, part, p.read, end, w.now+3_000_000)
	poll.Group = "readers"
	process := poll
	process.Kind, process.Isolation = log.Process, log.IsolationUnknown
	w.put(name, &poll)
	step := len(process.Records)
	if w.onebyone {
		step = 1
	}
	for all := process.Records; len(all) > 0; all = all[step:] {
		process.Records = all[:step]
		w.put(name, &process)
	}
	commit := op(log.Commit)
	commit.Group, commit.Call, commit.Return = "readers", poll.Call, poll.Return
	commit.Offsets = []log.PartitionOffset{{Partition: int32(part), Offset: int64(end)}}
	w.put(name, &commit)
	p.read, p.poll = end, 100+w.rng.IntN(1900)
}

// records of a partition between two offsets, as a reader gets them.
func (w *longWriter) records(kind log.Kind, part, from, to int, at int64) log.Op {
	o := op(kind)
	o.Partition, o.Call, o.Return, o.Isolation = int32(part), at, at, log.ReadUncommitted
	if w.transaction > 0 {
		o.Isolation = log.ReadCommitted
	}
	o.Records = w.buf[:0]
	for offset := from; offset < to; offset++ {
		known := w.parts[part].log[offset]
		if known == marker {
			continue
		}
		v := log.Value{Producer: int32(known % uint32(w.producers)), Session: 1, Seq: int64(known / uint32(w.producers))}
		if !w.aborts(v.Seq) {
			o.Records = append(o.Records, log.Record{Offset: int64(offset), Value: v, Intended: intended(v)})
		}
	}
	w.buf = o.Records
	return o
}

func (w *longWriter) finalRead() {
	w.now += 1_000_000_000
	ends := op(log.Ends)
	ends.Call, ends.Return = w.now, w.now
	for p := range w.parts {
		ends.Offsets = append(ends.Offsets, log.PartitionOffset{Partition: int32(p), Offset: int64(len(w.parts[p].log))})
	}
	w.put("final", &ends)
	for pass := range w.passes {
		for p := range w.parts {
			for from, end := 0, len(w.parts[p].log); from < end; {
				to := min(end, from+2000)
				w.now += 1000
				o := w.records(log.FinalRead, p, from, to, w.now)
				o.Pass, o.Reached = int32(pass+1), int64(to)
				w.put("final", &o)
				from = to
			}
		}
	}
}
