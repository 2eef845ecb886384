package check

import (
	"fmt"
	"slices"

	log "github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
)

// source is a producer: plain and idempotent ones send record by record, several of them in flight; transactional ones
// bind some together. Its sessions end, or are killed with sends in flight, and the next one sends again what was not
// stored.
type source struct {
	*world
	name, role    string
	number        int32
	session       int32
	client        int32
	seq           int64
	targets       []int32
	transactional bool

	flying []*log.Op // sends of this session, the latest last
	again  []retry   // values that were certainly not stored

	deal   *deal // the open transaction
	txn    uint64
	began  int64
	doomed bool  // something of it was not stored: it cannot be committed
	ghost  *deal // of a session that is gone: the cluster has not noticed yet
}

type retry struct {
	value   log.Value
	attempt int32
	target  int32
}

func (w *world) sources(orders, plain []int32, transactions bool) {
	for i := range 1 + w.rng.IntN(2) {
		s := &source{world: w, name: fmt.Sprintf("p%d", i), role: "producer", targets: append(append([]int32{}, orders...), plain...)}
		s.begin()
		w.actors = append(w.actors, s, s, s)
	}
	if !transactions {
		return
	}
	for i := range w.rng.IntN(3) {
		s := &source{world: w, name: fmt.Sprintf("t%d", i), role: "producer", targets: orders, transactional: true}
		s.begin()
		w.actors = append(w.actors, s, s, s)
	}
}

// begin a new session.
func (s *source) begin() {
	s.session++
	s.client = s.hist.client(s.name, s.session)
	s.number = s.hist.producer(s.name)
	s.seq, s.txn, s.deal, s.doomed, s.flying = 0, 0, nil, false, nil
	s.free[s.client] = s.now
	s.hist.meta.Workers = append(s.hist.meta.Workers, rundir.Worker{Name: s.name, Session: int(s.session), Role: s.role})
}

// mine tells whether it is this one's turn to send.
func (s *source) mine() bool {
	return !s.hist.apart || s.turn == nil || s.turn == s || s.turn.deal == nil && s.turn.ghost == nil
}

func (s *source) step() {
	switch {
	case !s.mine(), s.busy(s.client):
	case s.chance(2):
		s.die()
	case s.chance(1):
		s.leave()
	case s.transactional:
		s.transact()
	case len(s.again) > 0 && s.chance(50):
		s.resend()
	default:
		s.send(pickOf(s.world, s.targets))
	}
}

func (s *source) value() log.Value {
	s.seq++
	return log.Value{Producer: s.number, Session: s.session, Seq: s.seq - 1}
}

// send one record, and learn, or not, what became of it.
func (s *source) send(p int32) {
	s.attempt(retry{s.value(), 1, p})
}

func (s *source) resend() {
	r := s.again[0]
	s.again = s.again[1:]
	s.attempt(r)
}

func (s *source) attempt(r retry) {
	o := op(log.Send)
	o.Client, o.Value, o.Attempt, o.Partition, o.Key = s.client, r.value, r.attempt, r.target, ownKey(r.value)
	fate, takes := s.rng.IntN(100), 5*ms
	if s.chance(10) {
		takes = 40 * ms
	}
	switch {
	case s.drained || fate < 74:
		o.Offset = s.append(r.target, r.value, nil)
	case fate < 80: // acks=0, or the broker had it already
		s.append(r.target, r.value, nil)
	case fate < 85:
		s.append(r.target, r.value, nil)
		o.Outcome = log.Indeterminate
	case fate < 87 && !s.recorded:
		o.Outcome, o.Offset = log.Indeterminate, s.append(r.target, r.value, nil)
	case fate < 93:
		o.Outcome = log.Indeterminate
		s.notStored(r)
	case fate < 94: // it did not even get a partition
		o.Outcome, o.Partition = log.Indeterminate, log.Unknown
	case fate < 95 && !s.recorded && r.attempt == 1:
		s.append(r.target, r.value, nil)
		o.Partition = log.Unknown
	default:
		o.Outcome = log.Failed
		if s.chance(30) {
			o.Partition = log.Unknown
		}
		s.notStored(r)
	}
	s.flying = append(s.flying, s.record(o, takes))
}

func (s *source) notStored(r retry) {
	if s.chance(60) {
		r.attempt++
		s.again = append(s.again, r)
	}
}

// die in the middle of everything. What is in flight stays open; the log of a recorded session may not even tell of it.
func (s *source) die() {
	s.hist.open[s.client] = true
	s.hist.meta.Workers[s.worker()].Killed = true
	silent := s.recorded && s.chance(50)
	for i := len(s.flying) - 1; i >= 0; i-- {
		o := s.flying[i]
		if o.Return <= s.now {
			silent = false // the log tells of this one, and of what was called before it
			continue
		}
		if o.Outcome != log.Failed {
			o.Outcome, o.Offset = log.Indeterminate, log.Unknown
		}
		o.Return = max(s.now, o.Call)
		if silent = silent && o.Attempt == 1; silent { // a second attempt was written down before it was made
			s.forget(o) // and nobody will know to send it again
			s.again = slices.DeleteFunc(s.again, func(r retry) bool { return r.value == o.Value })
		}
	}
	s.haunt()
	s.begin()
}

// forget an operation that was not written down any more.
func (w *world) forget(o *log.Op) {
	for i := len(w.ops) - 1; i >= 0; i-- {
		if w.ops[i] == o {
			w.ops = append(w.ops[:i], w.ops[i+1:]...)
			return
		}
	}
}

func (s *source) worker() int {
	for i, w := range s.hist.meta.Workers {
		if w.Name == s.name && w.Session == int(s.session) {
			return i
		}
	}
	panic("no such session")
}

// leave in order.
func (s *source) leave() {
	if s.deal != nil {
		s.end()
	}
	s.begin()
}

// haunt leaves an open transaction to the cluster, which aborts it by and by.
func (s *source) haunt() {
	if s.deal == nil {
		return
	}
	if s.ghost != nil {
		s.decide(s.ghost, abandoned)
	}
	s.ghost, s.deal = s.deal, nil
}

// transact goes on with a transaction.
func (s *source) transact() {
	if s.deal == nil {
		if s.ghost != nil && s.chance(50) {
			return
		}
		s.open()
	}
	if s.chance(75) {
		s.within(pickOf(s.world, s.targets), log.Unknown, 0)
		return
	}
	s.end()
}

// open a transaction; the coordinator ends what the last session left behind.
func (s *source) open() {
	if s.ghost != nil {
		s.decide(s.ghost, abandoned)
		s.ghost = nil
	}
	s.txn++
	s.turn = s
	s.deal, s.began, s.doomed = &deal{parts: map[int32]bool{}}, s.now, false
}

// ownKey is a key that no other value has, so that compaction removes nothing.
func ownKey(v log.Value) int64 { return 1 + int64(v.Producer)<<40 + int64(v.Session)<<24 + v.Seq }

// within a transaction, a record; from is the input that it answers.
func (s *source) within(p, from int32, offset int64) {
	o := op(log.Send)
	o.Client, o.Value, o.Attempt, o.Partition, o.Txn, o.FromPartition, o.FromOffset = s.client, s.value(), 1, p, s.txn, from, offset
	o.Key = ownKey(o.Value)
	if from == log.Unknown {
		o.FromOffset = log.Unknown
	}
	stored := s.deal.fate == undecided // a zombie's transaction has ended without it
	switch fate := s.rng.IntN(100); {
	case !stored:
		o.Outcome = log.Indeterminate
		s.doomed = true
	case s.drained || fate < 88:
		o.Offset = s.append(p, o.Value, s.deal)
	case fate < 92:
		s.append(p, o.Value, s.deal)
	case fate < 95:
		s.append(p, o.Value, s.deal)
		o.Outcome = log.Indeterminate
	case fate < 97:
		o.Outcome = log.Failed
		if from != log.Unknown {
			s.doomed = true // its input would have no output
		}
	default:
		o.Outcome = log.Indeterminate
		s.doomed = true
	}
	s.flying = append(s.flying, s.record(o, 3*ms))
	s.free[s.client] = max(s.free[s.client], s.flying[len(s.flying)-1].Call)
}

// end the transaction: all its sends have returned.
func (s *source) end() {
	for _, o := range s.flying {
		s.free[s.client] = max(s.free[s.client], o.Return)
	}
	fate := s.rng.IntN(100)
	doomed := s.doomed || s.deal.fate != undecided
	switch {
	case !doomed && (s.drained || fate < 60):
		s.decide(s.deal, committed)
		s.told(log.OK)
	case doomed && s.deal.fate == undecided && s.drained && !s.deal.peeked:
		s.abort()
	case !doomed && fate < 70:
		s.decide(s.deal, committed)
		s.told(log.Indeterminate)
	case s.deal.fate != undecided:
		s.told(log.Indeterminate)
	case fate < 80 || s.deal.peeked:
		if s.chance(50) || s.drained {
			s.decide(s.deal, abandoned)
		} else {
			s.ghost = s.deal
		}
		s.told(log.Indeterminate)
	default:
		s.abort()
	}
}

func (s *source) abort() {
	s.decide(s.deal, abandoned)
	s.deal.told = true
	s.told(log.Failed)
}

// told how the transaction ended, the client goes on, or not if it does not know.
func (s *source) told(outcome log.Outcome) {
	o := op(log.Txn)
	o.Client, o.Txn, o.Outcome = s.client, s.txn, outcome
	s.next(o).Call = s.began
	s.deal = nil
	if outcome == log.Indeterminate && s.chance(50) && !s.drained {
		s.begin()
	}
}

func (s *source) finish() {
	if s.deal != nil {
		s.end()
	}
	if s.ghost != nil {
		s.decide(s.ghost, abandoned)
	}
	if s.transactional {
		return
	}
	for len(s.again) > 0 {
		s.now += ms / 10
		s.resend()
	}
	s.now += ms / 10
	s.send(s.targets[0])
}
