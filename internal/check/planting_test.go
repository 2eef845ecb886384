package check

import (
	"maps"
	"math/rand/v2"
	"slices"

	log "github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
)

// A plant spoils a history in one way, at a place drawn anew each time. It answers false where the history gives no
// occasion. What it then knows, it knows from what it did, and from the definitions in docs/guarantees.md; it asks
// nothing of the judge.
type plant struct {
	name string
	do   func(*garden) (planted, bool)
}

// planted is what the judge has to find.
type planted struct {
	anomaly string
	count   uint64    // exactly; 0: one at least
	value   log.Value // that must be among the witnesses; the zero value: any
	breaks  []string  // guarantees
	with    []string  // what it brings with it
	spoils  bool      // it may spoil the final read, too
	beyond  bool      // it is read beyond the recorded end, where a run proves nothing
}

// The decision table once more, written by hand.
var (
	breaksAll    = []string{AtMostOnce, AtLeastOnce, ExactlyOnce, ExactlyOnceTransactions}
	breaksOnce   = []string{AtMostOnce, ExactlyOnce, ExactlyOnceTransactions}
	breaksKept   = []string{AtLeastOnce, ExactlyOnce, ExactlyOnceTransactions}
	breaksOrder  = []string{ExactlyOnce, ExactlyOnceTransactions}
	breaksCare   = []string{AtLeastOnce, ExactlyOnceTransactions}
	breaksAtomic = []string{ExactlyOnceTransactions}
)

// garden is a history in which something is planted, with an index made for the purpose.
type garden struct {
	*chronicle
	rng      *rand.Rand
	recorded bool
	sends    map[log.Value][]*log.Op
	ended    map[txnRef]*log.Op
	final    map[int32][]log.Record // by partition: what its last pass shows, in order of offsets
	seen     map[int32][]log.Record // what anybody read
	sure     map[log.Value]bool     // what a reader of committed records got
	passes   map[int32]int32
	logged   map[log.Value]bool           // what final has
	members  map[txnRef][]log.Value       // what a transaction sent
	effects  map[string]map[log.Value]int // by group: how often something took effect
}

type txnRef struct {
	client int32
	txn    uint64
}

func newGarden(c *chronicle, recorded bool, seed uint64) *garden {
	g := &garden{chronicle: c.clone(), rng: rand.New(rand.NewPCG(seed, 5)), recorded: recorded, sends: map[log.Value][]*log.Op{},
		ended: map[txnRef]*log.Op{}, final: map[int32][]log.Record{}, seen: map[int32][]log.Record{}, sure: map[log.Value]bool{}, logged: map[log.Value]bool{}, passes: map[int32]int32{}}
	for i := range c.ops { // the operations of the origin: those of the copy will move
		o := &c.ops[i]
		switch o.Kind {
		case log.Send:
			g.sends[o.Value] = append(g.sends[o.Value], o)
		case log.Txn:
			g.ended[txnRef{o.Client, o.Txn}] = o
		case log.FinalRead:
			g.passes[o.Partition] = max(g.passes[o.Partition], o.Pass)
		}
	}
	g.count()
	for i := range c.ops {
		o := &c.ops[i]
		if o.Kind == log.Poll || o.Kind == log.FinalRead {
			g.seen[o.Partition] = append(g.seen[o.Partition], o.Records...)
			for _, r := range o.Records {
				g.sure[r.Value] = g.sure[r.Value] || o.Isolation != log.ReadUncommitted
			}
		}
		if o.Kind == log.FinalRead && o.Pass == g.passes[o.Partition] {
			g.final[o.Partition] = append(g.final[o.Partition], o.Records...)
			for _, r := range o.Records {
				g.logged[r.Value] = true
			}
		}
	}
	for _, list := range []map[int32][]log.Record{g.final, g.seen} {
		for p := range list {
			slices.SortStableFunc(list[p], func(a, b log.Record) int { return int(a.Offset - b.Offset) })
			list[p] = slices.CompactFunc(list[p], func(a, b log.Record) bool { return a.Offset == b.Offset })
		}
	}
	return g
}

func one[T any](g *garden, list []T) (T, bool) {
	if len(list) == 0 {
		var none T
		return none, false
	}
	return list[g.rng.IntN(len(list))], true
}

func (g *garden) half() bool { return g.rng.IntN(2) == 0 }

// standing is a record with its partition.
type stood struct {
	p int32
	log.Record
}

// read lists what was read, where yes says so; in the final log only, or by anybody.
func (g *garden) read(from map[int32][]log.Record, yes func(stood) bool) (list []stood) {
	for _, p := range slices.Sorted(maps.Keys(from)) {
		for _, r := range from[p] {
			if s := (stood{p, r}); r.Flags == 0 && len(g.sends[r.Value]) > 0 && yes(s) {
				list = append(list, s)
			}
		}
	}
	return list
}

// outcome of one send, ruled by its transaction.
func (g *garden) outcome(o *log.Op) log.Outcome {
	if o.Txn == 0 || o.Outcome == log.Failed {
		return o.Outcome
	}
	if end := g.ended[txnRef{o.Client, o.Txn}]; end != nil {
		return end.Outcome
	}
	return log.Indeterminate
}

// acked tells whether some attempt was.
func (g *garden) acked(v log.Value) bool {
	return slices.ContainsFunc(g.sends[v], func(o *log.Op) bool { return g.outcome(o) == log.OK })
}

// once tells whether a value was sent once.
func (g *garden) once(v log.Value) bool { return len(g.sends[v]) == 1 && g.sends[v][0].Attempt <= 1 }

// mates are the values of the same transaction as v.
func (g *garden) mates(v log.Value) []log.Value {
	if o := g.sends[v][0]; o.Txn != 0 {
		return g.members[txnRef{o.Client, o.Txn}]
	}
	return nil
}

func compareValues(a, b log.Value) int {
	return int(int64(a.Producer-b.Producer)<<40) + int(int64(a.Session-b.Session)<<20) + int(a.Seq-b.Seq)
}

func (g *garden) inFinal(v log.Value) bool { return g.logged[v] }

func (g *garden) hasFinal() bool { return len(g.passes) > 0 }

// holey tells whether missing offsets are nothing special in a partition.
func (g *garden) holey(p int32) bool {
	topic := g.head.Topic(p)
	if slices.Contains(g.head.Compacted, topic) || g.recorded && g.meta.Judged.Transactions {
		return true
	}
	for _, list := range g.sends {
		for _, o := range list {
			if o.Txn != 0 && o.Outcome != log.Failed && (o.Partition < 0 || g.head.Topic(o.Partition) == topic) {
				return true
			}
		}
	}
	return false
}

func (g *garden) input(p int32) bool {
	topic := g.head.Topic(p)
	return slices.Contains(g.head.Inputs, topic) || g.recorded && topic == g.meta.Judged.InputTopic && topic != ""
}

func (g *garden) output(v log.Value) bool {
	return slices.ContainsFunc(g.sends[v], func(o *log.Op) bool { return o.FromPartition >= 0 })
}

// stranger is a client that is in no group.
func (g *garden) stranger(name, role string) int32 {
	g.meta.Workers = append(slices.Clone(g.meta.Workers), rundir.Worker{Name: name, Session: 1, Role: role})
	return g.client(name, 1)
}

// say puts down an operation of a client, after everything.
func (g *garden) say(o log.Op) {
	o.Call = g.end()
	o.Return = o.Call + 1
	g.put(o)
}

func (g *garden) poll(client, p int32, isolation log.Isolation, records ...log.Record) log.Op {
	o := op(log.Poll)
	o.Client, o.Partition, o.Isolation, o.Records = client, p, isolation, records
	return o
}

// edit the records of all operations of some kinds.
func (g *garden) edit(kinds []log.Kind, change func(o *log.Op, list []log.Record) []log.Record) {
	for i := range g.ops {
		if o := &g.ops[i]; slices.Contains(kinds, o.Kind) && len(o.Records) > 0 {
			o.Records = change(o, slices.Clone(o.Records))
		}
	}
	g.ops = slices.DeleteFunc(g.ops, func(o log.Op) bool { return o.Kind == log.Process && len(o.Records) == 0 })
}

var (
	inFinals = []log.Kind{log.FinalRead}
	inReads  = []log.Kind{log.Poll, log.FinalRead}
	effected = []log.Kind{log.Process}
)

// drop a value.
func (g *garden) drop(v log.Value, kinds []log.Kind, where func(*log.Op) bool) {
	g.edit(kinds, func(o *log.Op, list []log.Record) []log.Record {
		if !where(o) {
			return list
		}
		return slices.DeleteFunc(list, func(r log.Record) bool { return r.Value == v })
	})
}

func anywhere(*log.Op) bool { return true }

// append a record to the final log, and to each of its passes.
func (g *garden) append(p int32, v log.Value, flags log.Flags) log.Record {
	end, last := int64(0), log.Op{}
	for i := range g.ops {
		if o := &g.ops[i]; o.Kind == log.Ends && o.Group == "" {
			o.Offsets = slices.Clone(o.Offsets)
			for k := range o.Offsets {
				if o.Offsets[k].Partition == p {
					end = max(end, o.Offsets[k].Offset)
					o.Offsets[k].Offset++
				}
			}
		}
	}
	for pass := range g.passes[p] {
		for i := range g.ops {
			if o := &g.ops[i]; o.Kind == log.FinalRead && o.Partition == p && o.Pass == pass+1 {
				last = *o
			}
		}
		last.Records, last.Reached = []log.Record{{Offset: end, Epoch: log.Unknown, Value: v, Flags: flags, Intended: log.Unknown}}, end+1
		g.say(last)
	}
	return log.Record{Offset: end, Value: v}
}

// end of a partition's log, as it is recorded or as far as anybody came.
func (g *garden) frontier(p int32) int64 {
	end := int64(0)
	for i := range g.ops {
		for _, o := range g.ops[i].Offsets {
			if g.ops[i].Kind == log.Ends && g.ops[i].Group == "" && o.Partition == p {
				end = max(end, o.Offset)
			}
		}
		for _, r := range g.ops[i].Records {
			if g.ops[i].Partition == p {
				end = max(end, r.Offset+1)
			}
		}
		if g.ops[i].Partition == p {
			end = max(end, g.ops[i].Offset+1)
		}
	}
	return end
}

// handlers are the groups whose effects are judged.
func (g *garden) handlers() (list []string) {
	for i := range g.ops {
		o := &g.ops[i]
		if o.Kind != log.Process || slices.Contains(list, g.group(o)) || g.recorded && (!g.meta.Judged.Processed || g.group(o) != g.meta.Judged.Group) {
			continue
		}
		list = append(list, g.group(o))
	}
	return list
}

func (g *garden) group(o *log.Op) string {
	if o.Group == "" && g.recorded && o.Kind != log.Poll {
		return g.meta.Judged.Group
	}
	return o.Group
}

// handled counts the effects of a group on a value that count.
func (g *garden) handled(group string, v log.Value) int { return g.effects[group][v] }

// count what transactions sent, and what took effect.
func (g *garden) count() {
	g.members, g.effects = map[txnRef][]log.Value{}, map[string]map[log.Value]int{}
	for i := range g.ops {
		o := &g.ops[i]
		ref := txnRef{o.Client, o.Txn}
		if o.Kind == log.Send && o.Txn != 0 && o.Outcome != log.Failed {
			g.members[ref] = append(g.members[ref], o.Value)
		}
		happened := o.Kind == log.Process && o.Outcome == log.OK
		if o.Txn != 0 {
			happened = happened && g.ended[ref] != nil && g.ended[ref].Outcome == log.OK
		}
		if !happened {
			continue
		}
		group := g.group(o)
		if g.effects[group] == nil {
			g.effects[group] = map[log.Value]int{}
		}
		for _, r := range o.Records {
			g.effects[group][r.Value]++
		}
	}
}
