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
	head     log.Header
	ops      []log.Op
	variants map[string][]variant // of anomalies that were found and do not always decide
}

func (r *reference) variant(anomaly string, v variant) {
	r.variants[anomaly] = append(r.variants[anomaly], v)
}

// decides tells whether an anomaly that was found decides.
func (r *reference) decides(anomaly string) bool {
	variants, several := r.variants[anomaly]
	if !several {
		variants = []variant{plainly}
	}
	return slices.ContainsFunc(variants, func(v variant) bool { return decides(anomaly, v, r.head.Guarantee) })
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
	r := &reference{head: h.Header, variants: map[string][]variant{}}
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
	for _, op := range r.of(log.Send, log.Txn, log.Commit) {
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

// sentOnce tells whether it is clear which sending of a value a reader got.
func (r *reference) sentOnce(v log.Value) bool {
	sends := r.sentBy(v)
	return len(sends) == 1 && sends[0].Attempt <= 1
}

// provenTxn: an indeterminate transaction was committed if a reader of committed records got a record that only it sent.
func (r *reference) provenTxn(k txnKey) bool {
	if r.txnOutcome(k) != log.Indeterminate {
		return false
	}
	for m := range r.members(k) {
		if r.sentOnce(m) && r.readCommitted(m) {
			return true
		}
	}
	return false
}

func (r *reference) committedTxn(k txnKey) bool { return r.txnOutcome(k) == log.OK || r.provenTxn(k) }

func (r *reference) proven(v log.Value) bool {
	return slices.ContainsFunc(r.txns(), func(k txnKey) bool { return r.members(k)[v] && r.provenTxn(k) })
}

// writer is the one transaction that sent a value, if there is one and nobody else did.
func (r *reference) writer(v log.Value) (txnKey, bool) {
	for _, k := range r.txns() {
		if r.members(k)[v] {
			return k, r.sentOnce(v)
		}
	}
	return txnKey{}, false
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
			if o.Partition == p && op.Group == "" {
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
			counts = r.provenTxn(txnKey{op.Client, op.Txn})
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
	r.precommitted(f)
	r.cycles(f)
	r.hanging(f)
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
		case covered, p >= 0 && r.passed(v, p):
			f[lostWrite]++
		default:
			f[unseen]++
		}
		counted[v] = true
	}
}

// passed tells whether readers have come past a value that nobody read: its last offset is not behind the furthest record
// that was read, each at its first offset.
func (r *reference) passed(v log.Value, p int32) bool {
	first, last, read := map[log.Value]int64{}, map[log.Value]int64{}, map[log.Value]bool{}
	came := int64(-1)
	for s, list := range r.assertions() {
		for _, a := range list {
			if s.p != p {
				continue
			}
			if a.value == log.NoValue {
				came = max(came, s.offset)
				continue
			}
			if at, met := first[a.value]; !met || s.offset < at {
				first[a.value] = s.offset
			}
			if at, met := last[a.value]; !met || s.offset > at {
				last[a.value] = s.offset
			}
			read[a.value] = read[a.value] || a.read
		}
	}
	for w, at := range first {
		if read[w] {
			came = max(came, at)
		}
	}
	at, known := last[v]
	return known && at <= came
}

func (r *reference) placements(f map[string]uint64) {
	at := map[log.Value]map[spot]bool{}
	for s, list := range r.assertions() {
		values, read := map[log.Value]bool{}, map[log.Value]bool{}
		for _, a := range list {
			values[a.value] = true
			if a.read {
				read[a.value] = true
			}
			if at[a.value] == nil {
				at[a.value] = map[spot]bool{}
			}
			at[a.value][s] = true
		}
		if len(values) > 1 {
			f[inconsistentOffset]++
			r.variant(inconsistentOffset, map[bool]variant{true: byReads, false: byAck}[len(read) > 1])
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
	type state struct {
		next, most, committed, txn, began map[int32]int64
		undone                            map[int32]bool
		since                             map[int32]int // when it committed, as an index
	}
	clients := map[int32]*state{}
	for i := range r.ops {
		op := &r.ops[i]
		s := clients[op.Client]
		if s == nil {
			s = &state{map[int32]int64{}, map[int32]int64{}, map[int32]int64{}, map[int32]int64{}, map[int32]int64{}, map[int32]bool{}, map[int32]int{}}
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
					s.committed[o.Partition], s.since[o.Partition] = o.Offset, i
				}
			}
		case log.Txn:
			switch op.Outcome {
			case log.OK:
				for o := range r.offsetsOf(op.Client, i) {
					s.committed[o.Partition], s.since[o.Partition] = o.Offset, i
				}
			case log.Failed:
				for p := range r.head.Partitions {
					next, had := s.next[int32(p)]
					to, has := s.committed[int32(p)]
					if had != has || next != to {
						s.undone[int32(p)] = true
					}
				}
				s.next, s.most = maps.Clone(s.committed), maps.Clone(s.committed)
				for p := range s.most {
					if first, any := s.began[p]; any && s.txn[p] == int64(op.Txn) {
						s.most[p] = max(s.most[p], first)
					}
				}
			default:
				clear(s.next)
				clear(s.committed)
			}
		case log.Poll:
			if n := len(op.Records); n > 0 && s.txn[op.Partition] != int64(op.Txn) {
				s.began[op.Partition] = op.Records[0].Offset
			}
			if s.undone[op.Partition] && r.takenOver(op, s.since[op.Partition], i) {
				delete(s.undone, op.Partition)
			}
			r.poll(f, all, op, s.next, s.most, s.txn, s.undone)
		}
	}
}

// takenOver: another member of the group polled the partition between two operations.
func (r *reference) takenOver(by *log.Op, from, to int) bool {
	for i := from + 1; i < to; i++ {
		op := &r.ops[i]
		if op.Kind == log.Poll && op.Client != by.Client && op.Partition == by.Partition && len(op.Records) > 0 && r.group(op) == r.group(by) {
			return true
		}
	}
	return false
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

func (r *reference) poll(f map[string]uint64, all map[spot][]assertion, op *log.Op, positions, latest, txns map[int32]int64, undone map[int32]bool) {
	if len(op.Records) == 0 {
		return
	}
	next, known := positions[op.Partition]
	most := latest[op.Partition]
	inside := op.Txn != 0 && txns[op.Partition] == int64(op.Txn)
	back, skip := false, false
	for k := range op.Records {
		offset := op.Records[k].Offset
		if known && offset < next && !back {
			back = true
			f[map[bool]string{true: internalNonmonoPoll, false: nonmonotonicPoll}[inside]]++
		}
		if known && offset > most && !skip {
			any, missed := r.leftOut(all, op, most, offset, k == 0 && undone[op.Partition])
			if any {
				skip = true
				f[map[bool]string{true: internalPollSkip, false: pollSkip}[inside]]++
				if !inside {
					r.variant(pollSkip, map[bool]variant{true: unhandled, false: handled}[missed])
				}
			}
		}
		next, most, known, inside = offset+1, offset+1, true, op.Txn != 0
	}
	positions[op.Partition], latest[op.Partition], txns[op.Partition] = next, most, int64(op.Txn)
	delete(undone, op.Partition)
}

// precommitted: a transaction of which a reader got a record before it can have been committed.
func (r *reference) precommitted(f map[string]uint64) {
	early := map[txnKey]bool{}
	for _, s := range r.sightings(log.Poll) {
		k, known := r.writer(who(s.rec))
		if !known || s.op.Isolation == log.ReadUncommitted {
			continue
		}
		end, last := r.txnEnd(k), int64(math.MinInt64)
		if end != nil && s.op.Return >= end.Return {
			continue
		}
		for m := range r.members(k) {
			for _, op := range r.sentBy(m) {
				if op.Client == k.client && op.Txn == k.id && op.Outcome != log.Failed {
					last = max(last, op.Call)
				}
			}
		}
		own := s.op.Client == k.client && s.op.Txn == k.id
		if own || s.op.Isolation == log.ReadCommitted && r.txnOutcome(k) != log.Failed && s.op.Return < last {
			early[k] = true
		}
	}
	f[precommittedRead] = uint64(len(early))
}

// leftOut: whether any record is known to stand between two offsets, and whether the group has not got one of them.
func (r *reference) leftOut(all map[spot][]assertion, op *log.Op, from, to int64, undone bool) (any, missed bool) {
	for s := range all {
		if s.p != op.Partition || s.offset < from || s.offset >= to {
			continue
		}
		for _, v := range r.standing(all, s) {
			any = true
			missed = missed || !r.got(r.group(op), s, v, undone)
		}
	}
	return any, missed
}

// got: the group has an effect on the value, or where it has none at all, one of its members polled the offset.
func (r *reference) got(group string, s spot, v log.Value, undone bool) bool {
	effects := false
	for _, op := range r.of(log.Process) {
		if r.group(op) != group {
			continue
		}
		effects = true
		outcome := op.Outcome
		if k := (txnKey{op.Client, op.Txn}); op.Txn != 0 && outcome == log.OK && !r.provenTxn(k) {
			outcome = r.txnOutcome(k)
		}
		if outcome != log.Failed && who(&op.Records[0]) == v {
			return true
		}
	}
	return !effects && !undone && slices.ContainsFunc(r.sightings(log.Poll), func(other sighting) bool {
		return other.spot == s && r.group(other.op) == group
	})
}

// counting is a record whose place in the log counts for the order of sends.
type counting struct {
	spot
	value log.Value
	send  *log.Op
}

// counted records in the order of the log: one of equal claims, sent once, at its first offset.
func (r *reference) counted() (list []counting) {
	all := r.assertions()
	met := map[int32]map[log.Value]bool{}
	for _, s := range slices.SortedFunc(maps.Keys(all), func(a, b spot) int { return cmp.Or(cmp.Compare(a.p, b.p), cmp.Compare(a.offset, b.offset)) }) {
		standing := r.standing(all, s)
		if met[s.p] == nil {
			met[s.p] = map[log.Value]bool{}
		}
		if len(standing) != 1 {
			continue
		}
		v := standing[0]
		if met[s.p][v] || r.complete(s.p) && !r.inLog(v, s.p) || !r.sentOnce(v) {
			continue
		}
		met[s.p][v] = true
		list = append(list, counting{s, v, r.sentBy(v)[0]})
	}
	return list
}

func (r *reference) orders(f map[string]uint64) {
	list := r.counted()
	for i, c := range list {
		for j := i - 1; j >= 0 && list[j].p == c.p; j-- {
			before := list[j]
			if before.send.Client != c.send.Client {
				continue
			}
			k, ours := r.writer(c.value)
			l, theirs := r.writer(before.value)
			inside := ours && theirs && k == l
			if c.send.Call < before.send.Call {
				f[nonmonotonicSend]++
				if inside {
					f[internalNonmonoSend]++
				}
			}
			if inside && j < i-1 {
				f[internalSendSkip]++
			}
			break
		}
	}
}

// cycles between transactions that were not aborted, by which way leads from each to each.
func (r *reference) cycles(f map[string]uint64) {
	alive := map[txnKey]bool{}
	for _, k := range r.txns() {
		alive[k] = r.txnOutcome(k) != log.Failed && len(r.members(k)) > 0
	}
	written, read := ways{}, ways{}
	list := r.counted()
	last := map[int32]txnKey{}
	for _, c := range list {
		if k, known := r.writer(c.value); known && alive[k] {
			if before, any := last[c.p]; any {
				written.add(before, k)
			}
			last[c.p] = k
		}
	}
	for _, s := range r.sightings(log.Poll) {
		to := txnKey{s.op.Client, s.op.Txn}
		if from, known := r.writer(who(s.rec)); known && s.rec.Flags == 0 && s.op.Isolation != log.ReadUncommitted && alive[from] && alive[to] {
			read.add(from, to)
		}
	}
	for _, op := range r.of(log.Send) {
		to := txnKey{op.Client, op.Txn}
		if op.FromPartition < 0 || op.Outcome == log.Failed || !alive[to] || r.readsUncommitted(op.Client) {
			continue
		}
		if v, known := r.onlyOne(spot{op.FromPartition, op.FromOffset}); known {
			if from, known := r.writer(v); known && alive[from] {
				read.add(from, to)
			}
		}
	}
	both := ways{}
	for _, w := range []ways{written, read} {
		for k := range w {
			both.add(k[0], k[1])
		}
	}
	f[g0] = uint64(len(written.parts()))
	for range read.parts() {
		f[g1c]++
		r.variant(g1c, readOnly)
	}
	for _, part := range both.parts() {
		woven, pure := false, false
		for k := range read {
			woven = woven || part[k[0]] && part[k[1]]
		}
		for _, inner := range read.parts() {
			for k := range inner {
				pure = pure || part[k]
			}
		}
		if woven && !pure {
			f[g1c]++
			r.variant(g1c, interleaved)
		}
	}
}

func (r *reference) readsUncommitted(client int32) bool {
	return slices.ContainsFunc(r.of(log.Poll), func(op *log.Op) bool { return op.Client == client && op.Isolation == log.ReadUncommitted })
}

// onlyOne is the value at a place that somebody read, where nobody claims another.
func (r *reference) onlyOne(s spot) (log.Value, bool) {
	list := r.assertions()[s]
	read := false
	for _, a := range list {
		if a.value != list[0].value {
			return log.NoValue, false
		}
		read = read || a.read
	}
	if !read {
		return log.NoValue, false
	}
	return list[0].value, true
}

// ways from one transaction to another.
type ways map[[2]txnKey]bool

func (w ways) add(from, to txnKey) {
	if from != to {
		w[[2]txnKey{from, to}] = true
	}
}

// parts are the sets of transactions between which a way leads from each to each.
func (w ways) parts() (list []map[txnKey]bool) {
	all := maps.Clone(w)
	for grown := true; grown; {
		grown = false
		for a := range all {
			for b := range w {
				if longer := [2]txnKey{a[0], b[1]}; a[1] == b[0] && !all[longer] {
					all[longer], grown = true, true
				}
			}
		}
	}
	done := map[txnKey]bool{}
	for k := range all {
		if k[0] != k[1] || done[k[0]] {
			continue
		}
		part := map[txnKey]bool{}
		for way := range all {
			if way[0] == k[0] && all[[2]txnKey{way[1], k[0]}] {
				part[way[1]], done[way[1]] = true, true
			}
		}
		list = append(list, part)
	}
	return list
}

// hanging: a final read of committed records stopped before a transaction, one of uncommitted ones did not.
func (r *reference) hanging(f map[string]uint64) {
	for i := range r.head.Partitions {
		p := int32(i)
		came := map[log.Isolation]int64{}
		for _, op := range r.of(log.FinalRead) {
			if op.Partition != p {
				continue
			}
			to := max(op.Reached, 0)
			if n := len(op.Records); n > 0 {
				to = max(to, op.Records[n-1].Offset+1)
			}
			if at, met := came[op.Isolation]; !met || to > at {
				came[op.Isolation] = to
			}
		}
		stopped, one := came[log.ReadCommitted]
		all, other := came[log.ReadUncommitted]
		if !one || !other || r.end(p) < 0 || stopped >= r.end(p) || all < r.end(p) {
			continue
		}
		next := int64(-1)
		for _, s := range r.sightings(log.Poll, log.FinalRead) {
			if s.p == p && s.offset >= stopped && (next < 0 || s.offset < next) {
				next = s.offset
			}
		}
		if v, known := r.onlyOne(spot{p, next}); known && !r.readCommitted(v) {
			if _, sent := r.writer(v); sent {
				f[hangingTransaction]++
			}
		}
	}
}

func (r *reference) effects(f map[string]uint64) {
	groups := map[string]bool{}
	for _, op := range r.of(log.Process) {
		groups[r.group(op)] = true
	}
	for g := range groups {
		skipped := map[log.Value]bool{}
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
			if k := (txnKey{op.Client, op.Txn}); op.Txn != 0 && outcome == log.OK && !r.provenTxn(k) {
				outcome = r.txnOutcome(k)
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
		f[unprocessed] += uint64(len(skipped))
	}
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

// transactions of which parts, records or offsets, took effect and parts did not.
func (r *reference) transactions(f map[string]uint64) {
	if !r.allComplete() {
		return
	}
	for _, k := range r.txns() {
		there, absent := 0, 0
		for v := range r.members(k) {
			switch {
			case !r.sentOnce(v):
			case r.inLog(v, -1):
				there++
			default:
				absent++
			}
		}
		moved, unmoved := r.offsetsThere(k), r.offsetsAbsent(k)
		if there > 0 {
			unmoved = unmoved || r.outputWithoutOffset(k)
		}
		if r.txnOutcome(k) != log.Failed && (there > 0 || moved) && (absent > 0 || unmoved) {
			f[tornTransaction]++
		}
	}
}

// told is the position of a group that the cluster told after everything that could move it.
func (r *reference) told(group string, p int32) int64 {
	position := int64(-1)
	for i := range r.ops {
		switch op := &r.ops[i]; op.Kind {
		case log.Ends:
			for _, o := range op.Offsets {
				if op.Group == group && op.Group != "" && o.Partition == p {
					position = o.Offset
				}
			}
		case log.Commit:
			if r.group(op) == group && slices.ContainsFunc(op.Offsets, func(o log.PartitionOffset) bool { return o.Partition == p }) {
				position = -1
			}
		case log.Txn:
			if op != r.txnEnd(txnKey{op.Client, op.Txn}) {
				continue
			}
			for j := range i {
				c := &r.ops[j]
				if c.Kind == log.Commit && c.Client == op.Client && c.Txn == op.Txn && c.Outcome == log.OK && r.group(c) == group &&
					slices.ContainsFunc(c.Offsets, func(o log.PartitionOffset) bool { return o.Partition == p }) {
					position = -1
				}
			}
		}
	}
	return position
}

// moves are the commits of a group on a partition that may have happened, with the position of each.
func (r *reference) moves(group string, p int32) (ops []*log.Op, positions []int64) {
	for _, op := range r.of(log.Commit) {
		if op.Outcome == log.Failed || r.group(op) != group || op.Txn != 0 && r.txnOutcome(txnKey{op.Client, op.Txn}) == log.Failed {
			continue
		}
		for _, o := range op.Offsets {
			if o.Partition == p {
				ops, positions = append(ops, op), append(positions, o.Offset)
			}
		}
	}
	return ops, positions
}

func (r *reference) eachEnding(yes func(group string, p int32, told int64) bool) bool {
	for _, op := range r.of(log.Ends) {
		for _, o := range op.Offsets {
			if told := r.told(op.Group, o.Partition); op.Group != "" && told >= 0 && yes(op.Group, o.Partition, told) {
				return true
			}
		}
	}
	return false
}

func within(op *log.Op, k txnKey) bool { return op.Txn != 0 && op.Client == k.client && op.Txn == k.id }

// ownMove is the one position not before the told one that a transaction committed.
func (r *reference) ownMove(k txnKey, group string, p int32, told int64) (position, call int64, known bool) {
	ops, positions := r.moves(group, p)
	ok := false
	for i, op := range ops {
		if !within(op, k) || positions[i] < told {
			continue
		}
		if known && positions[i] != position {
			return 0, 0, false
		}
		if !known || op.Call < call {
			call = op.Call
		}
		position, known, ok = positions[i], true, ok || op.Outcome == log.OK
	}
	return position, call, known && ok
}

// offsetsThere: a group stands where the transaction put it, nobody else can have, and the last record before that place
// was answered in it.
func (r *reference) offsetsThere(k txnKey) bool {
	return r.eachEnding(func(group string, p int32, told int64) bool {
		position, _, known := r.ownMove(k, group, p, told)
		if !known || position != told {
			return false
		}
		ops, positions := r.moves(group, p)
		for i, op := range ops {
			if !within(op, k) && r.mayHaveSet(op, positions, i, group, p, told) {
				return false
			}
		}
		last := int64(-1)
		for s := range r.assertions() {
			if s.p == p && s.offset < told {
				last = max(last, s.offset)
			}
		}
		return slices.ContainsFunc(r.of(log.Send), func(op *log.Op) bool {
			return within(op, k) && op.Outcome != log.Failed && op.FromPartition == p && op.FromOffset == last
		})
	})
}

// mayHaveSet: a commit put the group at the told position, or its transaction did so several times and perhaps there.
func (r *reference) mayHaveSet(op *log.Op, positions []int64, i int, group string, p int32, told int64) bool {
	if op.Txn == 0 || positions[i] == told {
		return positions[i] == told
	}
	_, others := r.moves(group, p)
	ops, _ := r.moves(group, p)
	for j := range ops {
		if within(ops[j], txnKey{op.Client, op.Txn}) && others[j] >= told && others[j] != positions[i] && positions[i] >= told {
			return true
		}
	}
	return false
}

// offsetsAbsent: a group stands before the place where the transaction put it, and nobody can have set it back.
func (r *reference) offsetsAbsent(k txnKey) bool {
	return r.eachEnding(func(group string, p int32, told int64) bool {
		position, call, known := r.ownMove(k, group, p, told)
		if !known || position <= told {
			return false
		}
		ops, positions := r.moves(group, p)
		for i, op := range ops {
			if within(op, k) || !r.mayHaveSet(op, positions, i, group, p, told) {
				continue
			}
			ended := int64(math.MaxInt64)
			switch {
			case op.Txn == 0 && op.Outcome == log.OK:
				ended = op.Return
			case op.Txn != 0 && r.txnOutcome(txnKey{op.Client, op.Txn}) == log.OK:
				ended = r.txnEnd(txnKey{op.Client, op.Txn}).Return
			}
			if ended >= call {
				return false
			}
		}
		return true
	})
}

// outputWithoutOffset: a transaction that committed offsets has an output in the log whose input nobody ever covered.
func (r *reference) outputWithoutOffset(k txnKey) bool {
	if !slices.ContainsFunc(r.of(log.Commit), func(op *log.Op) bool { return within(op, k) && op.Outcome == log.OK }) {
		return false
	}
	return slices.ContainsFunc(r.of(log.Send), func(op *log.Op) bool {
		if !within(op, k) || op.Outcome == log.Failed || op.FromPartition < 0 || !r.sentOnce(op.Value) || !r.inLog(op.Value, -1) {
			return false
		}
		covered := slices.ContainsFunc(r.of(log.Commit), func(c *log.Op) bool {
			return slices.ContainsFunc(c.Offsets, func(o log.PartitionOffset) bool { return o.Partition == op.FromPartition && o.Offset > op.FromOffset })
		})
		return !covered && !r.eachEnding(func(_ string, p int32, told int64) bool { return p == op.FromPartition && told > op.FromOffset })
	})
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
		if op.Outcome != log.OK || op.Txn != 0 && (op.Kind == log.Process || !r.committedTxn(txnKey{op.Client, op.Txn})) {
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
