package check

import (
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/kbench/kbench/internal/history"
)

// A witness is explained by its tale: the few operations that together are the contradiction. They are collected in a
// third pass over the history, which is made only when something was found. A checker says what its witness is about;
// everything that mentions that is a part of the tale, as far as there is room.

// about is what a witness is about.
type about struct {
	values []history.Value // records: whatever sent, read or handled them
	places []place         // offsets: whatever was acknowledged or read there
	txns   []txnName       // transactions: how they ended
	steps  []step          // polls by which a client moved
	past   []place         // input offsets: commits that went past them
	beyond []place         // log offsets: polls that came further, where no final read tells
	shared []int32         // partitions: who had them
	epochs bool            // leader epochs are the point
}

// step is a client's last poll of an offset until a time.
type step struct {
	client int32
	at     place
	until  int64
}

// also adds to what a witness is about.
func (w Witness) also(more about) Witness {
	a := &w.about
	a.values = append(a.values, more.values...)
	a.places = append(a.places, more.places...)
	a.txns = append(a.txns, more.txns...)
	a.steps = append(a.steps, more.steps...)
	a.past = append(a.past, more.past...)
	a.beyond = append(a.beyond, more.beyond...)
	a.shared = append(a.shared, more.shared...)
	a.epochs = a.epochs || more.epochs
	return w
}

// Bounds on a tale: of the operations of one kind that mention one thing, only the first few are told.
const (
	maxSends      = 4
	maxPolls      = 2
	maxEffects    = 4
	maxCommits    = 2
	maxMoves      = 6 // assignments
	maxTold       = 4 // faults
	maxEvidence   = 3 // lines for each fault
	maxShown      = 3 // records named for each operation
	maxRecordLine = 5 // things said about one pass of the final read
)

// explain gives each witness its operations. It only adds: where it fails, the findings stand as they are.
func (t *trial) explain(j *Judgement) {
	defer func() {
		if p := recover(); p != nil {
			j.Warnings = append(j.Warnings, fmt.Sprintf("the findings could not be explained: %v%s", p, where(debug.Stack())))
		}
	}()
	e := newExplainer(t)
	for i := range j.Findings {
		for k := range j.Findings[i].Witnesses {
			e.begin(&j.Findings[i].Witnesses[k])
		}
	}
	if len(e.stories) == 0 {
		return
	}
	if err := t.h.Each(func(op *history.Op) error { e.hear(op); return nil }); err != nil {
		j.Warnings = append(j.Warnings, fmt.Sprintf("the findings could not be explained: %v", err))
		return
	}
	for _, s := range e.stories {
		s.witness.Operations = e.tell(s)
	}
}

// explainer listens to all operations for those that a tale is about.
type explainer struct {
	h       *history.History
	parts   []partition
	windows []window
	faults  []faultStory
	stories []*tale

	hints  [1 << 10]uint64 // bits by value and by offset: whether the tables below may know it
	values map[history.Value][]*mention
	places map[place][]*mention
	txns   map[txnName][]*mention
	past   map[int32][]*mention
	beyond map[int32][]*mention
	shared map[int32][]*mention
	has    map[holding]bool
	finals map[int32]*[2]finalTime
	heard  uint64 // operations
}

type holding struct{ client, partition int32 }

// finalTime is when a pass of the final read was at a partition.
type finalTime struct{ call, at int64 }

// tale of one witness.
type tale struct {
	about
	witness  *Witness
	mentions []*mention
	scene    *scene // of the operation being heard
	finals   [2]seenInFinal
	sentTo   []int32 // partitions
}

// seenInFinal is what one pass of the final read showed of a tale's matters.
type seenInFinal struct {
	values map[history.Value][]place
	as     map[history.Value]string // how the record looked
	places map[place][]string       // the records there; more than one if the pass contradicts itself
}

// mention is one thing that a tale is about, with what was heard of it.
type mention struct {
	tale   *tale
	at     place
	client int32 // whose polls alone count; -1: anybody's
	until  int64 // with a client: the latest until then
	scenes [history.FinalRead + 1][]*scene
}

// scene is an operation as a tale tells it.
type scene struct {
	Operation
	number uint64
	hits   []string // what a read showed
}

func newExplainer(t *trial) *explainer {
	e := &explainer{
		h: t.h, parts: t.ledger.parts, values: map[history.Value][]*mention{}, places: map[place][]*mention{}, txns: map[txnName][]*mention{},
		past: map[int32][]*mention{}, beyond: map[int32][]*mention{}, shared: map[int32][]*mention{}, has: map[holding]bool{},
		finals: map[int32]*[2]finalTime{},
	}
	e.windows = t.ledger.sawFaults
	if t.run.recorded {
		e.windows = t.run.windows
	}
	e.faults = faultStories(t.run.meta.Faults, e.windows)
	return e
}

// begin listens for what a witness is about.
func (e *explainer) begin(w *Witness) {
	s := &tale{about: w.about, witness: w}
	for pass := range s.finals {
		s.finals[pass] = seenInFinal{map[history.Value][]place{}, map[history.Value]string{}, map[place][]string{}}
	}
	e.stories = append(e.stories, s)
	s.values = distinctOf(s.values)
	s.places = distinctOf(s.places)
	for _, v := range s.values {
		if v != history.NoValue {
			e.hint(uint64(v.Seq))
			e.values[v] = append(e.values[v], s.mention(place{}))
		}
	}
	for _, at := range s.places {
		e.hint(uint64(at.offset))
		e.places[at] = append(e.places[at], s.mention(at))
	}
	for _, step := range s.steps {
		e.hint(uint64(step.at.offset))
		m := s.mention(step.at)
		m.client, m.until = step.client, step.until
		e.places[step.at] = append(e.places[step.at], m)
	}
	for _, x := range s.txns {
		e.follow(s, x)
	}
	for _, at := range s.past {
		e.past[at.partition] = append(e.past[at.partition], s.mention(at))
	}
	for _, at := range s.beyond {
		e.beyond[at.partition] = append(e.beyond[at.partition], s.mention(at))
	}
	for _, p := range distinctOf(s.shared) {
		e.shared[p] = append(e.shared[p], s.mention(place{partition: p}))
	}
}

func distinctOf[T comparable](list []T) []T {
	var out []T
	for _, v := range list {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

func (s *tale) mention(at place) *mention {
	m := &mention{tale: s, at: at, client: -1}
	s.mentions = append(s.mentions, m)
	return m
}

// follow listens for the end of a transaction.
func (e *explainer) follow(s *tale, x txnName) {
	if !slices.ContainsFunc(e.txns[x], func(m *mention) bool { return m.tale == s }) {
		e.txns[x] = append(e.txns[x], s.mention(place{}))
	}
}

func (e *explainer) hint(n uint64) { e.hints[n>>6&(1<<10-1)] |= 1 << (n & 63) }

func (e *explainer) hinted(n int64) bool {
	return e.hints[uint64(n)>>6&(1<<10-1)]&(1<<(uint64(n)&63)) != 0
}

// hear takes one operation of the third pass.
func (e *explainer) hear(op *history.Op) {
	e.heard++
	switch op.Kind {
	case history.Send:
		e.send(op)
	case history.Txn:
		for _, m := range e.txns[txnName{op.Client, op.Txn}] {
			e.note(m, op, 1)
		}
	case history.Poll:
		e.read(op, maxPolls)
		e.cameFurther(op)
	case history.Process:
		e.read(op, maxEffects)
	case history.FinalRead:
		e.final(op)
	case history.Commit:
		e.commit(op)
	case history.Assign:
		e.assign(op)
	}
}

// note makes the operation a scene of a mention's tale, while there is room for one of its kind.
func (e *explainer) note(m *mention, op *history.Op, room int) *scene {
	s, list := m.tale, &m.scenes[op.Kind]
	if s.scene == nil || s.scene.number != e.heard {
		s.scene = nil
	}
	switch {
	case m.client >= 0:
		if m.client != op.Client || op.Return > m.until {
			return nil
		}
		*list = (*list)[:0] // only the latest counts
	case len(*list) > 0 && (*list)[len(*list)-1] == s.scene && s.scene != nil:
		return s.scene
	case len(*list) == room:
		return nil
	}
	if s.scene == nil {
		s.scene = &scene{Operation: e.say(op), number: e.heard}
	}
	*list = append(*list, s.scene)
	return s.scene
}

func (e *explainer) send(op *history.Op) {
	var told []*mention
	if e.hinted(op.Value.Seq) {
		told = e.values[op.Value]
	}
	if op.Offset >= 0 && e.hinted(op.Offset) {
		told = slices.Concat(told, e.places[place{op.Partition, op.Offset}])
	}
	for _, m := range told {
		if m.client >= 0 || e.note(m, op, maxSends) == nil {
			continue
		}
		if op.Txn != 0 {
			e.follow(m.tale, txnName{op.Client, op.Txn})
		}
		if slices.Contains(m.tale.values, op.Value) && op.Partition >= 0 {
			m.tale.sentTo = append(m.tale.sentTo, op.Partition)
		}
	}
}

// read looks for records and offsets in what was read or handled.
func (e *explainer) read(op *history.Op, room int) {
	for k := range op.Records {
		r := &op.Records[k]
		if !e.hinted(r.Value.Seq) && !e.hinted(r.Offset) {
			continue
		}
		for _, m := range e.values[identity(r)] {
			if s := e.note(m, op, room); s != nil {
				s.hit(e.recordAt(r))
			}
		}
		for _, m := range e.places[place{op.Partition, r.Offset}] {
			if s := e.note(m, op, room); s != nil && m.client < 0 {
				s.hit(e.recordAt(r))
			}
		}
	}
}

func (s *scene) hit(text string) {
	if !slices.Contains(s.hits, text) {
		s.hits = append(s.hits, text)
	}
}

// cameFurther notes the first poll that came past an offset.
func (e *explainer) cameFurther(op *history.Op) {
	if len(op.Records) == 0 {
		return
	}
	last := op.Records[len(op.Records)-1].Offset
	for _, m := range e.beyond[op.Partition] {
		if last > m.at.offset {
			e.note(m, op, 1)
		}
	}
}

func (e *explainer) commit(op *history.Op) {
	for _, o := range op.Offsets {
		for _, m := range e.past[o.Partition] {
			if o.Offset <= m.at.offset || op.Outcome != history.OK {
				continue
			}
			if e.note(m, op, maxCommits) != nil && op.Txn != 0 {
				e.follow(m.tale, txnName{op.Client, op.Txn})
			}
		}
	}
}

// assign notes who got or lost a partition.
func (e *explainer) assign(op *history.Op) {
	for p, mentions := range e.shared {
		held := holding{op.Client, p}
		has := slices.Contains(op.Partitions, p)
		if has == e.has[held] {
			continue
		}
		e.has[held] = has
		for _, m := range mentions {
			if at := m.tale.witness.At; at == nil || op.Return <= *at {
				moves := &m.scenes[op.Kind]
				*moves = (*moves)[max(0, len(*moves)-maxMoves+1):] // the last ones tell who had it
				e.note(m, op, maxMoves)
			}
		}
	}
}

// final notes what a pass of the final read shows of each tale's matters.
func (e *explainer) final(op *history.Op) {
	pass := 0
	if op.Pass > 1 {
		pass = 1
	}
	times := e.finals[op.Partition]
	if times == nil {
		times = &[2]finalTime{{history.Unknown, history.Unknown}, {history.Unknown, history.Unknown}}
		e.finals[op.Partition] = times
	}
	if times[pass].call == history.Unknown {
		times[pass].call = op.Call
	}
	times[pass].at = max(times[pass].at, op.Return)
	for k := range op.Records {
		r := &op.Records[k]
		if !e.hinted(r.Value.Seq) && !e.hinted(r.Offset) {
			continue
		}
		at := place{op.Partition, r.Offset}
		for _, m := range e.values[identity(r)] {
			seen := m.tale.finals[pass]
			if !slices.Contains(seen.values[r.Value], at) {
				seen.values[r.Value] = append(seen.values[r.Value], at)
			}
			seen.as[r.Value] = e.record(r, m.tale.epochs)
		}
		for _, m := range e.places[at] {
			seen, text := m.tale.finals[pass].places, e.record(r, m.tale.epochs)
			if !slices.Contains(seen[at], text) {
				seen[at] = append(seen[at], text)
			}
		}
	}
}
