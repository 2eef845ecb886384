package check

import (
	"slices"

	"github.com/kbench/kbench/internal/history"
)

// ledger is what the first pass over a history learns: of each record what became of it and who saw it, of each
// partition what stands at which offset and how far it was read, of each transaction its end. The second pass judges
// by it, so that no checker depends on the order in which clients reported.
type ledger struct {
	h      *history.History
	run    run
	values *values
	parts  []partition
	topics map[string]*topic
	txns   transactions
	groups map[string]*group

	counts      Counts
	conflicts   map[place][]claim // offsets at which more than one value was claimed
	unproven    []claim           // acknowledgements that count once the record was read
	order       map[index]call    // hand-written histories: which client sent it when
	sends       uint64            // operations
	reads       uint64            // records returned by polls
	hidden      uint64            // records that were stored and then aborted: readers of committed ones must not see them
	finals      uint64            // final-read operations
	gone        uint64            // records that nobody read and that compaction may have removed
	sawFaults   []window
	warnings    []string
	uncommitted map[int32]bool // clients that read uncommitted records
	best        []index        // reused by standing
	single      [1]claim
	transacted  bool // a transactional send of unknown partition: any topic may have control records
}

// place is an offset of a partition.
type place struct {
	partition int32
	offset    int64
}

// placeOf a send, none where it is not known.
func placeOf(v *view) []place {
	if v.Partition < 0 || v.Offset < 0 {
		return nil
	}
	return []place{{v.Partition, v.Offset}}
}

// claim says that a value stands at a place.
type claim struct {
	place
	value index
	read  bool // by a reader, else by an acknowledgement
}

type call struct {
	client int32
	at     int64
	line   uint64
}

// partition is what is known of one partition.
type partition struct {
	name    string
	topic   *topic
	offsets packed   // by offset: the value's index + 1, and readBit once a reader has seen it there
	highest int64    // highest offset that was read, -1: none
	end     int64    // recorded end, -1: none
	tried   int64    // the highest position that any group committed or tried to
	reached [2]int64 // position of the final read's passes, -1: not read
	last    [2]int64 // offset of the last record in each pass, -1: none
}

const readBit = 1 << 31

type topic struct {
	name          string
	transactional bool // it may have control records, so that missing offsets are normal
	compacted     bool
	keeps         bool            // compacted: tombstones stay for longer than the run lasted
	keys          map[int64]keyed // compacted: by key, the record that compaction has to leave
}

func newLedger(h *history.History, r run) *ledger {
	l := &ledger{
		h: h, run: r, values: newValues(), topics: map[string]*topic{}, groups: map[string]*group{},
		conflicts: map[place][]claim{}, uncommitted: map[int32]bool{}, txns: newTransactions(),
	}
	for i, name := range h.Header.Partitions {
		topicName := h.Header.Topic(int32(i))
		t := l.topics[topicName]
		if t == nil {
			t = &topic{
				name: topicName, compacted: slices.Contains(h.Header.Compacted, topicName) || r.compacted(topicName),
				keeps: r.keepsTombstones(topicName), keys: map[int64]keyed{},
			}
			l.topics[topicName] = t
		}
		l.parts = append(l.parts, partition{name: name, topic: t, highest: -1, end: -1, reached: [2]int64{-1, -1}, last: [2]int64{-1, -1}})
	}
	if !r.recorded {
		l.order = map[index]call{}
	}
	return l
}

// part returns a partition, nil for one that is not in the table.
func (l *ledger) part(p int32) *partition {
	if p < 0 || int(p) >= len(l.parts) {
		return nil
	}
	return &l.parts[p]
}

// learn takes one operation of the first pass.
func (l *ledger) learn(op *history.Op) {
	switch op.Kind {
	case history.Send:
		l.learnSend(op)
	case history.Txn:
		l.txns.close(l, op)
	case history.Poll:
		l.learnPoll(op)
	case history.FinalRead:
		l.learnFinal(op)
	case history.Process:
		l.learnEffects(op)
	case history.Commit:
		l.learnCommit(op)
	case history.Assign, history.Subscribe:
		l.learnAssignment(op)
	case history.Ends:
		if op.Group != "" {
			l.learnPositions(op)
			return
		}
		for _, o := range op.Offsets {
			if p := l.part(o.Partition); p != nil {
				p.end = max(p.end, o.Offset)
			}
		}
	case history.Fault:
		l.sawFaults = append(l.sawFaults, newWindow(op.Name, op.Target, op.Call, op.Return))
	}
}

func rankOf(o history.Outcome) state {
	switch o {
	case history.OK:
		return rankOK
	case history.Failed:
		return rankFailed
	default:
		return rankIndeterminate
	}
}

func (l *ledger) learnSend(op *history.Op) {
	l.sends++
	i := l.values.index(op.Value)
	news := sent
	if op.Attempt > 1 || l.values.state(i)&sent != 0 {
		news |= resent
	}
	l.values.mark(i, news)
	of := l.values.of(i)
	of.highest = max(of.highest, op.Value.Seq)
	if op.Outcome != history.Failed {
		l.replaces(op, i)
	}
	if l.order != nil && l.values.state(i)&resent == 0 {
		l.order[i] = call{op.Client, op.Call, l.sends}
	}
	if op.Txn != 0 && op.Outcome != history.Failed {
		l.transactional(op.Partition)
		l.txns.member(l, op, i)
		return
	}
	l.values.raise(i, rankOf(op.Outcome))
	l.acknowledged(op, i, op.Outcome)
}

func (l *ledger) transactional(p int32) {
	if part := l.part(p); part != nil {
		part.topic.transactional = true
		return
	}
	l.transacted = true
}

// acknowledged enters the offset that an acknowledgement told, now or once the record is proven.
func (l *ledger) acknowledged(op *history.Op, i index, outcome history.Outcome) {
	if op.Offset < 0 || l.part(op.Partition) == nil {
		return
	}
	c := claim{place: place{op.Partition, op.Offset}, value: i}
	switch outcome {
	case history.OK:
		l.place(c)
	case history.Indeterminate:
		l.unproven = append(l.unproven, c)
	}
}

// place enters a claim.
func (l *ledger) place(c claim) {
	offsets := &l.parts[c.partition].offsets
	entry := offsets.get(c.offset)
	mark := c.value + 1
	if c.read {
		mark |= readBit
	}
	switch {
	case entry == 0:
		offsets.set(c.offset, mark)
		l.standsAt(c.value)
	case entry&^readBit == c.value+1:
		if entry|mark != entry {
			offsets.set(c.offset, entry|mark)
		}
		if _, contested := l.conflicts[c.place]; contested {
			l.conflict(c, entry|mark)
		}
	default:
		l.conflict(c, entry)
	}
}

// conflict keeps all claims on one offset, where there is more than one value.
func (l *ledger) conflict(c claim, entry uint32) {
	claims, known := l.conflicts[c.place]
	if !known {
		claims = []claim{{place: c.place, value: entry&^readBit - 1, read: entry&readBit != 0}}
	}
	for i := range claims {
		if claims[i].value == c.value {
			claims[i].read = claims[i].read || c.read
			return
		}
	}
	l.conflicts[c.place] = append(claims, c)
	l.standsAt(c.value)
}

// standsAt notes one more offset of a value.
func (l *ledger) standsAt(i index) {
	s := l.values.state(i)
	switch {
	case l.values.nobody(i):
	case s&placed == 0:
		l.values.mark(i, placed)
	case s&twice == 0:
		l.values.mark(i, twice)
		l.counts.Duplicated++
	}
}

// stands tells whether a value is among those claimed at a place.
func (l *ledger) stands(i index, at place) bool {
	p := l.part(at.partition)
	if p == nil {
		return false
	}
	return p.offsets.get(at.offset)&^readBit == i+1 ||
		slices.ContainsFunc(l.conflicts[at], func(c claim) bool { return c.value == i })
}

// standing are the committed records with the best claim on an offset whose entry is given: those that were read, else,
// unless the whole log was read, those that were only acknowledged. The list is valid until the next call.
func (l *ledger) standing(at place, entry uint32, whole bool) []index {
	list := l.best[:0]
	claims := l.claims(at, entry)
	for _, read := range []bool{true, false} {
		for _, c := range claims {
			if c.read == read && (read || !whole) && l.values.state(c.value).committed() {
				list = append(list, c.value)
			}
		}
		if len(list) > 0 {
			break
		}
	}
	l.best = list
	return list
}

// claims on a place whose entry is given, valid until the next call.
func (l *ledger) claims(at place, entry uint32) []claim {
	if entry == 0 {
		return nil
	}
	if claims, contested := l.conflicts[at]; contested {
		return claims
	}
	return append(l.single[:0], claim{at, entry&^readBit - 1, entry&readBit != 0})
}

func (l *ledger) learnPoll(op *history.Op) {
	l.reads += uint64(len(op.Records))
	bits := polled
	if op.Isolation != history.ReadUncommitted {
		bits |= proof
	} else {
		l.uncommitted[op.Client] = true
	}
	l.learnRecords(op, bits)
	g := l.group(op)
	g.polled(op)
	if op.Group != "" {
		l.reading(g, op.Partition)
	}
}

func (l *ledger) learnFinal(op *history.Op) {
	l.finals++
	p := l.part(op.Partition)
	if p == nil {
		return
	}
	bits, pass := inFirst, 0
	if op.Pass > 1 {
		bits, pass = inSecond, 1
	}
	if op.Isolation != history.ReadUncommitted {
		bits |= proof
	}
	l.learnRecords(op, bits)
	reached := op.Reached
	if n := len(op.Records); n > 0 {
		last := op.Records[n-1].Offset
		p.last[pass] = max(p.last[pass], last)
		reached = max(reached, last+1)
	}
	p.reached[pass] = max(p.reached[pass], reached, 0)
}

func (l *ledger) learnRecords(op *history.Op, bits state) {
	p := l.part(op.Partition)
	for k := range op.Records {
		r := &op.Records[k]
		i := l.values.index(identity(r))
		l.values.mark(i, bits)
		if p != nil && r.Offset >= 0 {
			p.highest = max(p.highest, r.Offset)
			l.place(claim{place{op.Partition, r.Offset}, i, true})
		}
	}
}

// identity of a record, NoValue where it has none of this run.
func identity(r *history.Record) history.Value {
	if r.Flags&history.Foreign != 0 {
		return history.NoValue
	}
	return r.Value
}

// settle draws the conclusions that need the whole of the first pass.
func (l *ledger) settle() {
	l.txns.settle(l)
	for _, c := range l.unproven {
		if l.values.state(c.value)&anyRead != 0 {
			l.place(c)
		}
	}
	l.unproven = nil
	for _, s := range l.values.all {
		s.closed = l.wholeLog(s.key)
	}
	if l.transacted || l.run.transactional {
		for _, t := range l.topics {
			t.transactional = true
		}
	}
}

// wholeLog tells whether everything that a session sent is in its log.
func (l *ledger) wholeLog(key sessionKey) bool {
	head := &l.h.Header
	if !l.run.recorded || key.producer < 0 || int(key.producer) >= len(head.Producers) {
		return true
	}
	for i, c := range head.Clients {
		if c.Name == head.Producers[key.producer] && c.Session == key.session {
			torn := slices.ContainsFunc(l.h.Tears, func(t history.Tear) bool { return int(t.Client) == i })
			return l.h.Sessions[i].Closed && !torn
		}
	}
	return true // there was no such session
}

// pass is the final read's last pass over a partition: 0, 1, or -1 for none.
func (p *partition) pass() int {
	if p.reached[1] >= 0 {
		return 1
	}
	if p.reached[0] >= 0 {
		return 0
	}
	return -1
}

// complete tells whether the final read has read the whole partition, in each of its passes. Where no end is recorded,
// as in a hand-written history, it must at least have come past everything that was read.
func (l *ledger) complete(p *partition) bool {
	if l.run.finalTorn || p.pass() < 0 || l.run.recorded && p.end < 0 {
		return false
	}
	for _, reached := range p.reached {
		if reached >= 0 && (reached < p.end || p.end < 0 && reached <= p.highest) {
			return false
		}
	}
	return true
}

// allComplete tells whether the final read has read everything.
func (l *ledger) allComplete() bool {
	for i := range l.parts {
		if !l.complete(&l.parts[i]) {
			return false
		}
	}
	return len(l.parts) > 0
}

// inLog tells whether a completely read partition's last pass, or that of any partition for nil, has a record.
func (s state) inLog(p *partition) bool {
	if p != nil && p.pass() == 1 {
		return s&inSecond != 0
	}
	if p != nil {
		return s&inFirst != 0
	}
	return s&(inFirst|inSecond) != 0
}

// nothingRead tells whether no reader has done its work.
func (l *ledger) nothingRead() bool {
	if l.reads > 0 {
		return false
	}
	for i := range l.parts {
		if l.parts[i].last != [2]int64{-1, -1} || l.complete(&l.parts[i]) {
			return false
		}
	}
	return true
}
