package check

import (
	"cmp"
	"maps"
	"math"
	"slices"

	log "github.com/kbench/kbench/internal/history"
)

// reference is a second judge of hand-written histories, slow and straight from the definitions in docs/guarantees.md:
// all operations in memory, sets and loops, nothing kept from one question to the next.
type reference struct {
	head log.Header
	ops  []log.Op
}

type (
	spot struct {
		p      int32
		offset int64
	}
	sighting struct {
		spot
		op  *log.Op
		rec *log.Record
	}
	assertion struct {
		value log.Value
		read  bool
	}
	txnKey struct {
		client int32
		id     uint64
	}
)

func newReference(h *log.History) *reference {
	r := &reference{head: h.Header}
	err := h.Each(func(op *log.Op) error {
		c := *op
		c.Records, c.Partitions, c.Offsets = slices.Clone(op.Records), slices.Clone(op.Partitions), slices.Clone(op.Offsets)
		r.ops = append(r.ops, c)
		return nil
	})
	if err != nil {
		panic(err)
	}
	return r
}

func (r *reference) of(kinds ...log.Kind) (list []*log.Op) {
	for i := range r.ops {
		if slices.Contains(kinds, r.ops[i].Kind) {
			list = append(list, &r.ops[i])
		}
	}
	return list
}

func who(rec *log.Record) log.Value {
	if rec.Flags&log.Foreign != 0 || rec.Value.Producer < 0 {
		return log.NoValue
	}
	return rec.Value
}

func (r *reference) sightings(kinds ...log.Kind) (list []sighting) {
	for _, op := range r.of(kinds...) {
		for k := range op.Records {
			list = append(list, sighting{spot{op.Partition, op.Records[k].Offset}, op, &op.Records[k]})
		}
	}
	return list
}

func (r *reference) seenBy(v log.Value, yes func(sighting) bool) bool {
	return slices.ContainsFunc(r.sightings(log.Poll, log.FinalRead), func(s sighting) bool { return who(s.rec) == v && yes(s) })
}

func (r *reference) read(v log.Value) bool {
	return r.seenBy(v, func(sighting) bool { return true })
}

func (r *reference) readCommitted(v log.Value) bool {
	return r.seenBy(v, func(s sighting) bool { return s.op.Isolation != log.ReadUncommitted })
}

func (r *reference) sentBy(v log.Value) (list []*log.Op) {
	for _, op := range r.of(log.Send) {
		if op.Value == v {
			list = append(list, op)
		}
	}
	return list
}

// txnEnd is the first line that ends a transaction, nil if nobody did.
func (r *reference) txnEnd(k txnKey) *log.Op {
	for _, op := range r.of(log.Txn) {
		if op.Client == k.client && op.Txn == k.id {
			return op
		}
	}
	return nil
}

func (r *reference) txnOutcome(k txnKey) log.Outcome {
	if end := r.txnEnd(k); end != nil {
		return end.Outcome
	}
	return log.Indeterminate
}

func (r *reference) members(k txnKey) map[log.Value]bool {
	m := map[log.Value]bool{}
	for _, op := range r.of(log.Send) {
		if op.Client == k.client && op.Txn == k.id && op.Txn != 0 && op.Outcome != log.Failed {
			m[op.Value] = true
		}
	}
	return m
}

func (r *reference) txns() []txnKey {
	set := map[txnKey]bool{}
	for _, op := range r.of(log.Send, log.Txn) {
		if op.Txn != 0 {
			set[txnKey{op.Client, op.Txn}] = true
		}
	}
	return slices.SortedFunc(maps.Keys(set), func(a, b txnKey) int { return cmp.Or(cmp.Compare(a.client, b.client), cmp.Compare(a.id, b.id)) })
}

// attemptOutcome of one send, ruled by its transaction.
func (r *reference) attemptOutcome(op *log.Op) log.Outcome {
	if op.Txn == 0 || op.Outcome == log.Failed {
		return op.Outcome
	}
	return r.txnOutcome(txnKey{op.Client, op.Txn})
}

// outcome of a value: the best of its attempts.
func (r *reference) outcome(v log.Value) log.Outcome {
	best := log.Failed
	for _, op := range r.sentBy(v) {
		switch o := r.attemptOutcome(op); {
		case o == log.OK:
			return log.OK
		case o == log.Indeterminate:
			best = log.Indeterminate
		}
	}
	return best
}

func (r *reference) proven(v log.Value) bool {
	for _, k := range r.txns() {
		members := r.members(k)
		if r.txnOutcome(k) != log.Indeterminate || !members[v] {
			continue
		}
		for m := range members {
			if r.readCommitted(m) {
				return true
			}
		}
	}
	return false
}

// must tells whether a value has to be in the log.
func (r *reference) must(v log.Value) bool {
	if len(r.sentBy(v)) == 0 {
		return false
	}
	o := r.outcome(v)
	return o == log.OK || o == log.Indeterminate && (r.proven(v) || r.readCommitted(v))
}

func (r *reference) end(p int32) int64 {
	end := int64(-1)
	for _, op := range r.of(log.Ends) {
		for _, o := range op.Offsets {
			if o.Partition == p {
				end = max(end, o.Offset)
			}
		}
	}
	return end
}

// reached by pass 1 or 2, -1 for a pass that was not made.
func (r *reference) reached(p int32, pass int) int64 {
	reached := int64(-1)
	for _, op := range r.of(log.FinalRead) {
		if op.Partition != p || min(op.Pass, 2) != int32(pass) {
			continue
		}
		reached = max(reached, 0, op.Reached)
		if n := len(op.Records); n > 0 {
			reached = max(reached, op.Records[n-1].Offset+1)
		}
	}
	return reached
}

func (r *reference) highest(p int32) int64 {
	highest := int64(-1)
	for _, s := range r.sightings(log.Poll, log.FinalRead) {
		if s.p == p {
			highest = max(highest, s.offset)
		}
	}
	return highest
}

func (r *reference) lastPass(p int32) int {
	for pass := 2; pass > 0; pass-- {
		if r.reached(p, pass) >= 0 {
			return pass
		}
	}
	return 0
}

func (r *reference) complete(p int32) bool {
	if r.lastPass(p) == 0 {
		return false
	}
	for pass := 1; pass <= 2; pass++ {
		reached := r.reached(p, pass)
		if reached >= 0 && (reached < r.end(p) || r.end(p) < 0 && reached <= r.highest(p)) {
			return false
		}
	}
	return true
}

func (r *reference) allComplete() bool {
	for p := range r.head.Partitions {
		if !r.complete(int32(p)) {
			return false
		}
	}
	return len(r.head.Partitions) > 0
}

// inLog: a value in the last pass over a partition, or for no partition in any pass over any.
func (r *reference) inLog(v log.Value, p int32) bool {
	return r.seenBy(v, func(s sighting) bool {
		return s.op.Kind == log.FinalRead && (p < 0 || min(int(s.op.Pass), 2) == r.lastPass(p))
	})
}

func (r *reference) nothingRead() bool {
	if len(r.sightings(log.Poll, log.FinalRead)) > 0 {
		return false
	}
	for p := range r.head.Partitions {
		if r.complete(int32(p)) {
			return false
		}
	}
	return true
}

// assertions at every offset: who says which value stands there.
func (r *reference) assertions() map[spot][]assertion {
	m := map[spot][]assertion{}
	add := func(s spot, a assertion) {
		if s.p >= 0 && s.offset >= 0 && !slices.Contains(m[s], a) {
			m[s] = append(m[s], a)
		}
	}
	for _, s := range r.sightings(log.Poll, log.FinalRead) {
		add(s.spot, assertion{who(s.rec), true})
	}
	for _, op := range r.of(log.Send) {
		counts := false
		switch o := r.attemptOutcome(op); {
		case o == log.OK:
			counts = true
		case o == log.Indeterminate && op.Txn == 0:
			counts = r.read(op.Value)
		case o == log.Indeterminate:
			for m := range r.members(txnKey{op.Client, op.Txn}) {
				counts = counts || r.readCommitted(m)
			}
		}
		if counts {
			add(spot{op.Partition, op.Offset}, assertion{op.Value, false})
		}
	}
	return m
}

func (r *reference) judge() map[string]uint64 {
	f := map[string]uint64{}
	r.losses(f)
	r.placements(f)
	r.identities(f)
	r.positions(f)
	r.orders(f)
	r.effects(f)
	r.log(f)
	r.transactions(f)
	r.outputs(f)
	maps.DeleteFunc(f, func(_ string, n uint64) bool { return n == 0 })
	return f
}

func (r *reference) losses(f map[string]uint64) {
	counted := map[log.Value]bool{}
	for _, op := range r.of(log.Send) {
		v, p := op.Value, op.Partition
		if counted[v] || op.Outcome == log.Failed || !r.must(v) || r.nothingRead() {
			continue
		}
		covered := p >= 0 && r.complete(p) || p < 0 && r.allComplete()
		switch {
		case covered && r.inLog(v, p), !covered && r.read(v):
			continue
		case covered, p >= 0 && op.Offset >= 0 && op.Offset < r.highest(p):
			f[lostWrite]++
		default:
			f[unseen]++
		}
		counted[v] = true
	}
}

func (r *reference) placements(f map[string]uint64) {
	at := map[log.Value]map[spot]bool{}
	for s, list := range r.assertions() {
		values := map[log.Value]bool{}
		for _, a := range list {
			values[a.value] = true
			if at[a.value] == nil {
				at[a.value] = map[spot]bool{}
			}
			at[a.value][s] = true
		}
		if len(values) > 1 {
			f[inconsistentOffset]++
		}
	}
	for v, spots := range at {
		if len(spots) > 1 && v != log.NoValue {
			f[duplicate]++
		}
	}
}

func (r *reference) identities(f map[string]uint64) {
	foreign, corrupt, aborted := map[spot]bool{}, map[spot]bool{}, map[log.Value]bool{}
	for _, s := range r.sightings(log.Poll, log.FinalRead) {
		v := who(s.rec)
		known := len(r.sentBy(v)) > 0
		if s.rec.Flags&log.Corrupt != 0 {
			corrupt[s.spot] = true
		} else if !known {
			foreign[s.spot] = true
		}
		if known && r.outcome(v) == log.Failed {
			aborted[v] = true
		}
	}
	f[foreignRecord], f[corruptRecord], f[abortedRead] = uint64(len(foreign)), uint64(len(corrupt)), uint64(len(aborted))
}

// standing are the committed values with the best claim on an offset: those that were read, else, where the log was not
// read to its end, those that were acknowledged there.
func (r *reference) standing(all map[spot][]assertion, s spot) []log.Value {
	for _, read := range []bool{true, false} {
		var list []log.Value
		for _, a := range all[s] {
			if a.read == read && (read || !r.complete(s.p)) && r.must(a.value) && !slices.Contains(list, a.value) {
				list = append(list, a.value)
			}
		}
		if len(list) > 0 {
			return list
		}
	}
	return nil
}

func (r *reference) group(op *log.Op) string {
	if op.Group != "" {
		return op.Group
	}
	return "client " + r.head.ClientName(op.Client)
}

func (r *reference) positions(f map[string]uint64) {
	all := r.assertions()
	type state struct{ next, committed, txn map[int32]int64 }
	clients := map[int32]*state{}
	for i := range r.ops {
		op := &r.ops[i]
		s := clients[op.Client]
		if s == nil {
			s = &state{map[int32]int64{}, map[int32]int64{}, map[int32]int64{}}
			clients[op.Client] = s
		}
		switch op.Kind {
		case log.Assign, log.Subscribe:
			gone := func(p int32, _ int64) bool { return op.Outcome != log.OK || !slices.Contains(op.Partitions, p) }
			maps.DeleteFunc(s.next, gone)
			maps.DeleteFunc(s.committed, gone)
		case log.Commit:
			if op.Outcome == log.OK && op.Txn == 0 {
				for _, o := range op.Offsets {
					s.committed[o.Partition] = o.Offset
				}
			}
		case log.Txn:
			switch op.Outcome {
			case log.OK:
				for o := range r.offsetsOf(op.Client, i) {
					s.committed[o.Partition] = o.Offset
				}
			case log.Failed:
				s.next = maps.Clone(s.committed)
			default:
				clear(s.next)
				clear(s.committed)
			}
		case log.Poll:
			r.poll(f, all, op, s.next, s.txn)
		}
	}
}

// offsetsOf are the offsets that a client committed within transactions since it last ended one.
func (r *reference) offsetsOf(client int32, before int) func(func(log.PartitionOffset) bool) {
	return func(yield func(log.PartitionOffset) bool) {
		start := 0
		for i := range before {
			if r.ops[i].Kind == log.Txn && r.ops[i].Client == client {
				start = i + 1
			}
		}
		for i := start; i < before; i++ {
			op := &r.ops[i]
			if op.Kind != log.Commit || op.Client != client || op.Txn == 0 || op.Outcome != log.OK {
				continue
			}
			for _, o := range op.Offsets {
				if !yield(o) {
					return
				}
			}
		}
	}
}

func (r *reference) poll(f map[string]uint64, all map[spot][]assertion, op *log.Op, positions, txns map[int32]int64) {
	if len(op.Records) == 0 {
		return
	}
	next, known := positions[op.Partition]
	inside := op.Txn != 0 && txns[op.Partition] == int64(op.Txn)
	back, skip := false, false
	for k := range op.Records {
		offset := op.Records[k].Offset
		if known && offset < next && !back {
			back = true
			f[map[bool]string{true: internalNonmonoPoll, false: nonmonotonicPoll}[inside]]++
		}
		if known && offset > next && !skip {
			if r.anyStanding(all, op.Partition, next, offset) {
				skip = true
				f[map[bool]string{true: internalPollSkip, false: pollSkip}[inside]]++
			}
		}
		if end := r.txnEnd(txnKey{op.Client, op.Txn}); op.Txn != 0 && r.members(txnKey{op.Client, op.Txn})[who(&op.Records[k])] && (end == nil || op.Return < end.Return) {
			f[precommittedRead]++
		}
		next, known, inside = offset+1, true, op.Txn != 0
	}
	positions[op.Partition], txns[op.Partition] = next, int64(op.Txn)
}

func (r *reference) anyStanding(all map[spot][]assertion, p int32, from, to int64) bool {
	for s := range all {
		if s.p != p || s.offset < from || s.offset >= to {
			continue
		}
		if len(r.standing(all, s)) > 0 {
			return true
		}
	}
	return false
}

func (r *reference) orders(f map[string]uint64) {
	all := r.assertions()
	spots := slices.SortedFunc(maps.Keys(all), func(a, b spot) int { return cmp.Or(cmp.Compare(a.p, b.p), cmp.Compare(a.offset, b.offset)) })
	type by struct{ p, client int32 }
	last := map[by]int64{}
	met := map[int32]map[log.Value]bool{}
	for _, s := range spots {
		standing := r.standing(all, s)
		if met[s.p] == nil {
			met[s.p] = map[log.Value]bool{}
		}
		if len(standing) != 1 {
			continue
		}
		v := standing[0]
		if met[s.p][v] || r.complete(s.p) && !r.inLog(v, s.p) {
			continue
		}
		sends := r.sentBy(v)
		if len(sends) != 1 || sends[0].Attempt > 1 {
			continue
		}
		met[s.p][v] = true
		key := by{s.p, sends[0].Client}
		if before, known := last[key]; known && sends[0].Call < before {
			f[nonmonotonicSend]++
		}
		last[key] = sends[0].Call
	}
}

func (r *reference) effects(f map[string]uint64) {
	groups := map[string]bool{}
	for _, op := range r.of(log.Process) {
		groups[r.group(op)] = true
	}
	skipped := map[log.Value]bool{}
	for g := range groups {
		n, maybe, topics := map[log.Value]int{}, map[log.Value]bool{}, map[string]bool{}
		for i := range r.ops {
			op := &r.ops[i]
			reads := op.Kind == log.Process || op.Kind == log.Commit || op.Group != "" && (op.Kind == log.Poll || op.Kind == log.Assign || op.Kind == log.Subscribe)
			if r.group(op) != g || !reads {
				continue
			}
			topics[r.head.Topic(op.Partition)] = true
			for _, p := range op.Partitions {
				topics[r.head.Topic(p)] = true
			}
			for _, o := range op.Offsets {
				topics[r.head.Topic(o.Partition)] = true
			}
			if op.Kind != log.Process {
				continue
			}
			outcome := op.Outcome
			if op.Txn != 0 && outcome == log.OK {
				outcome = r.txnOutcome(txnKey{op.Client, op.Txn})
			}
			for k := range op.Records {
				switch v := who(&op.Records[k]); outcome {
				case log.OK:
					n[v]++
				case log.Indeterminate:
					maybe[v] = true
				}
			}
		}
		for v, times := range n {
			if times > 1 && v != log.NoValue {
				f[reprocessed]++
			}
		}
		for _, op := range r.of(log.Send) {
			v, p := op.Value, op.Partition
			if r.outcome(v) != log.OK || p < 0 || !topics[r.head.Topic(p)] || n[v] > 0 || maybe[v] || r.complete(p) && !r.inLog(v, p) {
				continue
			}
			skipped[v] = true
		}
	}
	f[unprocessed] += uint64(len(skipped))
}

// log looks at the first pass of the final read: holes and epochs.
func (r *reference) log(f map[string]uint64) {
	for i := range r.head.Partitions {
		p := int32(i)
		if !r.complete(p) {
			continue
		}
		there, newest := map[int64]bool{}, int32(-1)
		first, last := int64(math.MaxInt64), int64(-1)
		for _, s := range r.sightings(log.FinalRead) {
			if s.p != p || s.op.Pass > 1 {
				continue
			}
			there[s.offset] = true
			first, last = min(first, s.offset), max(last, s.offset)
			if s.rec.Epoch >= 0 && s.rec.Epoch < newest {
				f[leaderEpochRegression]++
			}
			newest = max(newest, s.rec.Epoch)
		}
		if start, known := r.head.Starts[p]; known {
			first = min(first, start)
		}
		if r.reached(p, 1) < 0 || r.transactional(r.head.Topic(p)) || slices.Contains(r.head.Compacted, r.head.Topic(p)) {
			continue
		}
		for offset := first; offset < max(last+1, r.end(p)); offset++ {
			if start, known := r.head.Starts[p]; !there[offset] && !(known && offset < start) {
				f[offsetHole]++
			}
		}
	}
}

func (r *reference) transactional(topic string) bool {
	return slices.ContainsFunc(r.of(log.Send), func(op *log.Op) bool {
		return op.Txn != 0 && op.Outcome != log.Failed && (op.Partition < 0 || r.head.Topic(op.Partition) == topic)
	})
}

func (r *reference) transactions(f map[string]uint64) {
	if !r.allComplete() {
		return
	}
	for _, k := range r.txns() {
		in, out := 0, 0
		for v := range r.members(k) {
			if r.inLog(v, -1) {
				in++
			} else {
				out++
			}
		}
		if r.txnOutcome(k) != log.Failed && in > 0 && out > 0 {
			f[tornTransaction]++
		}
	}
}

func (r *reference) outputs(f map[string]uint64) {
	answers := map[spot]map[log.Value]bool{}
	for _, op := range r.of(log.Send) {
		if op.FromPartition < 0 || r.outcome(op.Value) == log.Failed {
			continue
		}
		p := op.Partition
		there := r.readCommitted(op.Value)
		if p >= 0 && r.complete(p) || p < 0 && r.allComplete() {
			there = r.inLog(op.Value, p)
		}
		if !there {
			continue
		}
		s := spot{op.FromPartition, op.FromOffset}
		if answers[s] == nil {
			answers[s] = map[log.Value]bool{}
		}
		answers[s][op.Value] = true
	}
	for _, values := range answers {
		if len(values) > 1 {
			f[duplicate]++
		}
	}
	if !r.allComplete() {
		return
	}
	all := r.assertions()
	for s := range all {
		there := slices.ContainsFunc(r.standing(all, s), func(v log.Value) bool { return r.inLog(v, s.p) })
		if there && slices.Contains(r.head.Inputs, r.head.Topic(s.p)) && s.offset < r.covered(s.p) && len(answers[s]) == 0 {
			f[unprocessed]++
		}
	}
}

// covered is how far any group has come with its input.
func (r *reference) covered(p int32) int64 {
	cover := int64(0)
	for _, op := range r.of(log.Commit, log.Process) {
		if op.Outcome != log.OK || op.Txn != 0 && (op.Kind == log.Process || r.txnOutcome(txnKey{op.Client, op.Txn}) != log.OK) {
			continue
		}
		for _, o := range op.Offsets {
			if o.Partition == p {
				cover = max(cover, o.Offset)
			}
		}
		for k := range op.Records {
			if op.Partition == p {
				cover = max(cover, op.Records[k].Offset+1)
			}
		}
	}
	return cover
}
