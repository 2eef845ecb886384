package check

import (
	"slices"

	log "github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
)

// plants of all anomalies; several ways to come to one have names of their own.
func plants() []plant {
	return []plant{
		{"lost-write", lostFromLog},
		{"lost-write/of an open transaction", lostThoughProven},
		{"lost-write/read and gone", lostThoughRead},
		{"lost-write/without a final read", lostUnread},
		{"unseen", neverSeen},
		{"duplicate", twiceInLog},
		{"duplicate/of another partition", twiceInLogs},
		{"duplicate/two outputs", twoOutputs},
		{"inconsistent-offset/by reads", conflictingReads},
		{"inconsistent-offset/by an acknowledgement", conflictingAck},
		{"aborted-read/failed", failedRead},
		{"aborted-read/aborted", abortedInLog},
		{"aborted-read/in a poll", abortedInPoll},
		{"precommitted-read", readsItsOwn},
		{"poll-skip", skipsAlone},
		{"poll-skip/by a member", skipsForGroup},
		{"poll-skip/another got it", skipsWhatOthersGot},
		{"nonmonotonic-poll", goesBack},
		{"internal-poll-skip", skipsInside},
		{"internal-nonmonotonic-poll", goesBackInside},
		{"nonmonotonic-send", overtaken},
		{"internal-nonmonotonic-send", overtakenInside},
		{"internal-send-skip", interwoven},
		{"torn-transaction", tornApart},
		{"torn-transaction/no commit of its input", looseOutput},
		{"torn-transaction/offsets missing", offsetsGone},
		{"hanging-transaction", hangs},
		{"g0", writeCycle},
		{"g1c", readCycle},
		{"g1c/with the order of writes", mixedCycle},
		{"foreign-record", strange},
		{"foreign-record/in a poll", strangePolled},
		{"corrupt-record", corrupted},
		{"offset-hole/at the end", holeAtEnd},
		{"offset-hole/at the start", holeAtStart},
		{"offset-hole/within", holeWithin},
		{"leader-epoch-regression", epochBack},
		{"reprocessed", handledAgain},
		{"unprocessed", neverHandled},
		{"unprocessed/no output", noOutput},
	}
}

// lose what must be in the log, and say what else that means.
func (g *garden) lose(s stood) planted {
	g.drop(s.Value, inFinals, anywhere)
	found := planted{anomaly: lostWrite, count: 1, value: s.Value, breaks: breaksKept}
	if !g.holey(s.p) {
		found.with = append(found.with, offsetHole)
	}
	if g.output(s.Value) {
		found.with = append(found.with, unprocessed) // the input that it answered
	}
	if len(g.mates(s.Value)) > 1 {
		found.with = append(found.with, tornTransaction)
	}
	return found
}

func lostFromLog(g *garden) (planted, bool) {
	s, ok := one(g, g.read(g.final, func(s stood) bool { return g.acked(s.Value) }))
	if !ok {
		return planted{}, false
	}
	return g.lose(s), true
}

// provenBy tells whether a value of an open transaction is in the log, with another that a reader of committed records got.
func (g *garden) provenBy(v log.Value) bool {
	return g.outcome(g.sends[v][0]) == log.Indeterminate &&
		slices.ContainsFunc(g.mates(v), func(other log.Value) bool { return other != v && g.inFinal(other) && g.sure[other] })
}

func lostThoughProven(g *garden) (planted, bool) {
	s, ok := one(g, g.read(g.final, func(s stood) bool { return g.sends[s.Value][0].Txn != 0 && g.provenBy(s.Value) }))
	if !ok {
		return planted{}, false
	}
	return g.lose(s), true
}

func lostThoughRead(g *garden) (planted, bool) {
	s, ok := one(g, g.read(g.final, func(s stood) bool {
		return !g.acked(s.Value) && g.polled(s.Value) && g.outcome(g.sends[s.Value][0]) != log.Failed
	}))
	if !ok {
		return planted{}, false
	}
	return g.lose(s), true
}

// polled tells whether a consumer of committed records got a value.
func (g *garden) polled(v log.Value) bool {
	return slices.ContainsFunc(g.ops, func(o log.Op) bool {
		return o.Kind == log.Poll && o.Isolation != log.ReadUncommitted && slices.ContainsFunc(o.Records, func(r log.Record) bool { return r.Value == v })
	})
}

func lostUnread(g *garden) (planted, bool) {
	if g.hasFinal() {
		return planted{}, false
	}
	s, ok := one(g, g.read(g.seen, func(s stood) bool {
		told := slices.ContainsFunc(g.sends[s.Value], func(o *log.Op) bool { return g.outcome(o) == log.OK && o.Offset >= 0 })
		last := g.seen[s.p][len(g.seen[s.p])-1].Offset
		return told && s.Offset < last
	}))
	if !ok {
		return planted{}, false
	}
	g.drop(s.Value, inReads, anywhere)
	return planted{anomaly: lostWrite, count: 1, value: s.Value, breaks: breaksKept, with: []string{pollSkip, internalPollSkip}}, true
}

func neverSeen(g *garden) (planted, bool) {
	if g.hasFinal() {
		return planted{}, false
	}
	s, ok := one(g, g.read(g.seen, func(s stood) bool { return g.acked(s.Value) }))
	if !ok {
		return planted{}, false
	}
	g.edit(inReads, func(o *log.Op, list []log.Record) []log.Record {
		return slices.DeleteFunc(list, func(r log.Record) bool { return o.Partition == s.p && r.Offset >= s.Offset })
	})
	anything := slices.ContainsFunc(g.ops, func(o log.Op) bool { return o.Kind == log.Poll && len(o.Records) > 0 })
	return planted{anomaly: unseen, value: s.Value, breaks: breaksKept}, anything
}

func twiceInLog(g *garden) (planted, bool) {
	s, ok := one(g, g.read(g.final, func(stood) bool { return true }))
	if !ok {
		return planted{}, false
	}
	return g.double(s, s.p), true
}

func twiceInLogs(g *garden) (planted, bool) {
	s, ok := one(g, g.read(g.final, func(stood) bool { return true }))
	if !ok || len(g.head.Partitions) < 2 {
		return planted{}, false
	}
	p := int32(g.rng.IntN(len(g.head.Partitions)))
	found := g.double(s, p)
	found.with = append(found.with, nonmonotonicSend, internalNonmonoSend) // it is late there
	return found, p != s.p && g.passes[p] > 0
}

func (g *garden) double(s stood, p int32) planted {
	g.append(p, s.Value, 0)
	found := planted{anomaly: duplicate, count: 1, value: s.Value, breaks: breaksOnce}
	if g.input(p) && g.recorded {
		found.with = append(found.with, unprocessed) // the second has no output
	}
	return found
}

func twoOutputs(g *garden) (planted, bool) {
	s, ok := one(g, g.read(g.final, func(s stood) bool { return g.output(s.Value) && g.acked(s.Value) }))
	if !ok {
		return planted{}, false
	}
	first := g.sends[s.Value][0]
	o, offsets, end := op(log.Send), op(log.Commit), op(log.Txn)
	o.Value = log.Value{Producer: g.producer("w9"), Session: 1}
	o.Client = g.stranger("w9", "processor")
	r := g.append(s.p, o.Value, 0)
	o.Txn, o.Partition, o.Offset, o.Attempt, o.FromPartition, o.FromOffset = 1, s.p, r.Offset, 1, first.FromPartition, first.FromOffset
	offsets.Client, offsets.Txn, offsets.Group = o.Client, 1, "billing"
	offsets.Offsets = []log.PartitionOffset{{Partition: o.FromPartition, Offset: o.FromOffset + 1}}
	end.Client, end.Txn = o.Client, 1
	g.say(o)
	g.say(offsets)
	g.say(end)
	return planted{anomaly: duplicate, count: 1, value: o.Value, breaks: breaksOnce}, true
}

// rival is a record that somebody sent and nobody has read.
func (g *garden) rival(p int32, offset int64, outcome log.Outcome) log.Value {
	o := op(log.Send)
	o.Value = log.Value{Producer: g.producer("p9"), Session: 1}
	o.Client, o.Partition, o.Offset, o.Outcome, o.Attempt = g.stranger("p9", "producer"), p, offset, outcome, 1
	g.say(o)
	return o.Value
}

func conflictingReads(g *garden) (planted, bool) {
	s, ok := one(g, g.read(g.seen, func(stood) bool { return true }))
	if !ok {
		return planted{}, false
	}
	found := planted{anomaly: inconsistentOffset, count: 1, breaks: breaksAll}
	isolation := log.ReadUncommitted
	if g.half() {
		isolation = log.ReadCommitted
		if g.hasFinal() {
			found.with = append(found.with, lostWrite) // who reads it says that it is committed
		}
	}
	v := g.rival(s.p, log.Unknown, log.Indeterminate)
	g.say(g.poll(g.stranger("c9", "consumer"), s.p, isolation, log.Record{Offset: s.Offset, Value: v, Epoch: log.Unknown, Intended: log.Unknown}))
	return found, true
}

func conflictingAck(g *garden) (planted, bool) {
	s, ok := one(g, g.read(g.seen, func(stood) bool { return true }))
	if !ok {
		return planted{}, false
	}
	g.rival(s.p, s.Offset, log.OK)
	found := planted{anomaly: inconsistentOffset, count: 1, breaks: breaksKept, with: []string{lostWrite}}
	if !g.hasFinal() {
		found.with = append(found.with, unseen, unprocessed)
	}
	return found, true
}

func (g *garden) certainlyNot(v log.Value) bool {
	return !slices.ContainsFunc(g.sends[v], func(o *log.Op) bool { return g.outcome(o) != log.Failed })
}

func failedRead(g *garden) (planted, bool) {
	var list []log.Value
	for v := range g.sends {
		if g.certainlyNot(v) {
			list = append(list, v)
		}
	}
	slices.SortFunc(list, compareValues)
	p := int32(g.rng.IntN(len(g.head.Partitions)))
	v, ok := one(g, list)
	if !ok {
		v = g.rival(p, log.Unknown, log.Failed)
	}
	isolation := []log.Isolation{log.IsolationUnknown, log.ReadCommitted, log.ReadUncommitted}[g.rng.IntN(3)]
	g.say(g.poll(g.stranger("c9", "consumer"), p, isolation, log.Record{Offset: g.frontier(p) + g.rng.Int64N(5), Value: v, Epoch: log.Unknown}))
	return planted{anomaly: abortedRead, count: 1, value: v, breaks: breaksOnce, beyond: true}, true
}

// aborted lists what was stored and aborted.
func (g *garden) abortedRecords() (list []stood) {
	for v, sends := range g.sends {
		for _, o := range sends {
			if o.Offset >= 0 && o.Txn != 0 && g.certainlyNot(v) {
				list = append(list, stood{o.Partition, log.Record{Offset: o.Offset, Value: v, Epoch: log.Unknown, Intended: log.Unknown}})
			}
		}
	}
	slices.SortFunc(list, func(a, b stood) int { return compareValues(a.Value, b.Value) })
	return list
}

func abortedInLog(g *garden) (planted, bool) {
	s, ok := one(g, g.abortedRecords())
	if !ok || g.passes[s.p] == 0 {
		return planted{}, false
	}
	for pass := range g.passes[s.p] {
		o := op(log.FinalRead)
		o.Client, o.Partition, o.Pass, o.Isolation, o.Reached = log.Unknown, s.p, pass+1, log.ReadCommitted, s.Offset+1
		if g.recorded {
			o.Client = g.client("final", 1)
		}
		o.Records = []log.Record{s.Record}
		g.say(o)
	}
	return planted{anomaly: abortedRead, count: 1, value: s.Value, breaks: breaksOnce}, true
}

func abortedInPoll(g *garden) (planted, bool) {
	list := g.abortedRecords()
	g.rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	for _, s := range list {
		for i := range g.ops {
			o := &g.ops[i]
			if o.Kind != log.Poll || o.Partition != s.p || len(o.Records) < 2 {
				continue
			}
			at := slices.IndexFunc(o.Records, func(r log.Record) bool { return r.Offset > s.Offset })
			if at > 0 {
				o.Records = slices.Insert(slices.Clone(o.Records), at, s.Record)
				return planted{anomaly: abortedRead, count: 1, value: s.Value, breaks: breaksOnce}, true
			}
		}
	}
	return planted{}, false
}

func readsItsOwn(g *garden) (planted, bool) {
	var list []*log.Op
	for _, v := range slices.SortedFunc(keys(g.sends), compareValues) {
		o := g.sends[v][0]
		end := g.ended[txnRef{o.Client, o.Txn}]
		if o.Txn != 0 && o.Offset >= 0 && o.Outcome == log.OK && g.outcome(o) == log.OK && end.Return > o.Return+1 {
			list = append(list, o)
		}
	}
	s, ok := one(g, list)
	if !ok {
		return planted{}, false
	}
	poll := g.poll(s.Client, s.Partition, log.ReadCommitted, log.Record{Offset: s.Offset, Value: s.Value, Epoch: log.Unknown})
	poll.Txn, poll.Call, poll.Return = s.Txn, s.Return, s.Return+1
	g.put(poll)
	return planted{anomaly: precommittedRead, count: 1, value: s.Value, breaks: breaksAtomic}, true
}

// stretch is a row of records as a reader of committed ones gets them, from which one in the middle is left out.
func (g *garden) stretch() (p int32, list []log.Record, gone log.Record, ok bool) {
	parts := slices.Sorted(keys(g.seen))
	g.rng.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	known := func(r log.Record) bool { return g.acked(r.Value) || g.sure[r.Value] }
	for _, p := range parts {
		whole := slices.DeleteFunc(slices.Clone(g.seen[p]), func(r log.Record) bool {
			return len(g.sends[r.Value]) == 0 || !known(r) && !g.polled(r.Value)
		})
		if len(whole) < 3 {
			continue
		}
		from := g.rng.IntN(len(whole) - 2)
		to := from + 3 + g.rng.IntN(len(whole)-from-2)
		list = slices.Clone(whole[from:to])
		at := 1 + g.rng.IntN(len(list)-2)
		gone = list[at]
		more := slices.ContainsFunc(g.seen[p], func(r log.Record) bool {
			return r.Offset > list[0].Offset && r.Offset < list[len(list)-1].Offset && !slices.ContainsFunc(list, func(l log.Record) bool { return l.Offset == r.Offset })
		})
		if !known(gone) || more { // its reader would skip another one, which nobody may have said to have sent
			continue
		}
		return p, slices.Delete(list, at, at+1), gone, true
	}
	return 0, nil, log.Record{}, false
}

func skipsAlone(g *garden) (planted, bool) {
	p, list, gone, ok := g.stretch()
	if !ok {
		return planted{}, false
	}
	client := g.stranger("c9", "consumer")
	if g.half() {
		g.say(g.poll(client, p, log.ReadCommitted, list[0]))
		list = list[1:]
	}
	g.say(g.poll(client, p, log.ReadCommitted, list...))
	return planted{anomaly: pollSkip, count: 1, value: gone.Value, breaks: breaksCare}, true
}

func skipsInside(g *garden) (planted, bool) {
	p, list, gone, ok := g.stretch()
	if !ok {
		return planted{}, false
	}
	client := g.stranger("x9", "processor")
	poll, end := g.poll(client, p, log.ReadCommitted, list...), op(log.Txn)
	poll.Txn, end.Client, end.Txn = 7, client, 7
	if g.half() {
		first := g.poll(client, p, log.ReadCommitted, list[0])
		first.Txn = 7
		g.say(first)
		poll.Records = list[1:]
	}
	g.say(poll)
	g.say(end)
	return planted{anomaly: internalPollSkip, count: 1, value: gone.Value, breaks: breaksAtomic}, true
}

// middles are the records in the midst of a poll, outside transactions, that yes accepts.
func (g *garden) middles(yes func(o *log.Op, r log.Record) bool) (list [][2]int) {
	for i := range g.ops {
		o := &g.ops[i]
		if o.Kind != log.Poll || o.Txn != 0 || len(o.Records) < 3 {
			continue
		}
		for k := 1; k < len(o.Records)-1; k++ {
			if yes(o, o.Records[k]) {
				list = append(list, [2]int{i, k})
			}
		}
	}
	return list
}

func (g *garden) skip(at [2]int) log.Record {
	o := &g.ops[at[0]]
	r := o.Records[at[1]]
	o.Records = slices.Delete(slices.Clone(o.Records), at[1], at[1]+1)
	return r
}

func skipsForGroup(g *garden) (planted, bool) {
	var groups []string
	for i := range g.ops {
		if g.ops[i].Kind == log.Process {
			groups = append(groups, g.group(&g.ops[i]))
		}
	}
	at, ok := one(g, g.middles(func(o *log.Op, r log.Record) bool { return slices.Contains(groups, o.Group) && g.acked(r.Value) }))
	if !ok {
		return planted{}, false
	}
	group := g.ops[at[0]].Group
	r := g.skip(at)
	g.drop(r.Value, effected, func(o *log.Op) bool { return g.group(o) == group })
	return planted{anomaly: pollSkip, count: 1, value: r.Value, breaks: breaksCare, with: []string{unprocessed}}, slices.ContainsFunc(g.ops, func(o log.Op) bool { return o.Kind == log.Process && g.group(&o) == group })
}

func skipsWhatOthersGot(g *garden) (planted, bool) {
	at, ok := one(g, g.middles(func(o *log.Op, r log.Record) bool {
		return o.Group != "" && g.acked(r.Value) && g.handled(o.Group, r.Value) > 0
	}))
	if !ok {
		return planted{}, false
	}
	r := g.skip(at)
	return planted{anomaly: pollSkip, count: 1, value: r.Value}, true
}

// polls with records, inside transactions or not.
func (g *garden) polls(inside bool) (list []int) {
	for i := range g.ops {
		if o := &g.ops[i]; o.Kind == log.Poll && len(o.Records) > 0 && (o.Txn != 0) == inside {
			list = append(list, i)
		}
	}
	return list
}

func goesBack(g *garden) (planted, bool) {
	i, ok := one(g, g.polls(false))
	if ok {
		g.ops = slices.Insert(g.ops, i, g.ops[i])
	}
	return planted{anomaly: nonmonotonicPoll, count: 1}, ok
}

func goesBackInside(g *garden) (planted, bool) {
	found := planted{anomaly: internalNonmonoPoll, count: 1, breaks: breaksAtomic}
	if i, ok := one(g, g.polls(true)); ok {
		g.ops = slices.Insert(g.ops, i, g.ops[i])
		return found, true
	}
	s, ok := one(g, g.read(g.seen, func(s stood) bool { return g.acked(s.Value) }))
	if !ok {
		return planted{}, false
	}
	poll, end := g.poll(g.stranger("x9", "processor"), s.p, log.ReadCommitted, s.Record), op(log.Txn)
	poll.Txn, end.Client, end.Txn = 7, poll.Client, 7
	g.say(poll)
	g.say(poll)
	g.say(end)
	return found, true
}

// couple is two neighbours among a client's records in the log.
type couple struct {
	p    int32
	a, b log.Record
}

// couples that were acknowledged, each sent once.
func (g *garden) couples() (list []couple) {
	for _, p := range slices.Sorted(keys(g.seen)) {
		last := map[int32]log.Record{}
		for _, r := range g.seen[p] {
			if len(g.sends[r.Value]) == 0 || !g.once(r.Value) || g.passes[p] > 0 && !g.inFinal(r.Value) {
				continue
			}
			client := g.sends[r.Value][0].Client
			if before, known := last[client]; known && g.acked(before.Value) && g.acked(r.Value) && g.neighbours(p, before, r, client) {
				list = append(list, couple{p, before, r})
			}
			last[client] = r
		}
	}
	return list
}

func overtaken(g *garden) (planted, bool) {
	s, ok := one(g, g.couples())
	if !ok {
		return planted{}, false
	}
	g.exchange(s)
	found := planted{anomaly: nonmonotonicSend, count: 1, value: s.a.Value, breaks: breaksOrder}
	if slices.Contains(g.mates(s.a.Value), s.b.Value) {
		found.with = append(found.with, internalNonmonoSend) // its closer name
	} else if len(g.mates(s.b.Value)) > 0 {
		found.with = append(found.with, precommittedRead) // where the earlier was polled, before the later's transaction
	}
	return found, true
}

func overtakenInside(g *garden) (planted, bool) {
	s, ok := one(g, slices.DeleteFunc(g.couples(), func(s couple) bool { return !slices.Contains(g.mates(s.a.Value), s.b.Value) }))
	if !ok {
		return planted{}, false
	}
	g.exchange(s)
	return planted{anomaly: internalNonmonoSend, count: 1, value: s.a.Value, with: []string{nonmonotonicSend}}, true
}

// exchange the places of two records, wherever anybody speaks of them.
func (g *garden) exchange(s couple) {
	swap := map[int64]int64{s.a.Offset: s.b.Offset, s.b.Offset: s.a.Offset}
	for i := range g.ops {
		o := &g.ops[i]
		if to, moved := swap[o.Offset]; moved && o.Kind == log.Send && o.Partition == s.p && (o.Value == s.a.Value || o.Value == s.b.Value) {
			o.Offset = to
		}
	}
	other := map[log.Value]log.Value{s.a.Value: s.b.Value, s.b.Value: s.a.Value}
	g.edit(inReads, func(o *log.Op, records []log.Record) []log.Record {
		for k := range records {
			if v, moved := other[records[k].Value]; moved {
				records[k].Value = v
			}
		}
		return records
	})
}

// neighbours tells whether a client acknowledged nothing else between two offsets.
func (g *garden) neighbours(p int32, a, b log.Record, client int32) bool {
	for _, sends := range g.sends {
		for _, o := range sends {
			if o.Partition == p && o.Client == client && o.Offset > a.Offset && o.Offset < b.Offset {
				return false
			}
		}
	}
	return true
}

func tornApart(g *garden) (planted, bool) {
	s, ok := one(g, g.read(g.final, func(s stood) bool {
		return g.acked(s.Value) && slices.ContainsFunc(g.mates(s.Value), func(v log.Value) bool { return v != s.Value && g.inFinal(v) })
	}))
	if !ok {
		return planted{}, false
	}
	found := g.lose(s)
	found.anomaly, found.breaks, found.with = tornTransaction, breaksAtomic, append(found.with, lostWrite)
	return found, true
}

// fellow is a client that writes transactions, added to a history.
type fellow struct {
	*garden
	client, producer int32
	seq              int64
}

func (g *garden) fellow(name string) *fellow {
	return &fellow{garden: g, client: g.stranger(name, "processor"), producer: g.producer(name)}
}

// send within the fellow's transaction, or alone, to the end of a partition.
func (f *fellow) send(p int32, txn uint64) stood {
	o := op(log.Send)
	o.Client, o.Txn, o.Partition, o.Attempt = f.client, txn, p, 1
	o.Value = log.Value{Producer: f.producer, Session: 1, Seq: f.seq}
	f.seq++
	r := f.append(p, o.Value, 0)
	o.Offset = r.Offset
	f.say(o)
	return stood{p, r}
}

func (f *fellow) get(s stood, txn uint64) {
	s.Epoch = log.Unknown
	o := f.poll(f.client, s.p, log.ReadCommitted, s.Record)
	o.Txn = txn
	f.say(o)
}

func (f *fellow) commit(txn uint64) {
	o := op(log.Txn)
	o.Client, o.Txn = f.client, txn
	f.say(o)
}

// wide draws partitions with a final read in which missing offsets are nothing special; the history has no transactions
// that are open at the same time.
func (g *garden) wide() (p, q int32, ok bool) {
	var list []int32
	for p := range g.head.Partitions {
		if g.passes[int32(p)] > 0 && g.holey(int32(p)) {
			list = append(list, int32(p))
		}
	}
	if len(list) < 2 || !g.apart {
		return 0, 0, false
	}
	g.rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list[0], list[1], true
}

// newcomers are records that nobody has handled, if somebody should.
func newcomers(anomaly string, breaks []string, with ...string) planted {
	return planted{anomaly: anomaly, count: 1, breaks: breaks, with: append(with, unprocessed)}
}

// interwoven: a record of somebody else stands between two of a transaction.
func interwoven(g *garden) (planted, bool) {
	p, _, ok := g.wide()
	if !ok {
		return planted{}, false
	}
	x, y := g.fellow("x8"), g.fellow("x9")
	x.send(p, 1)
	y.send(p, 0)
	x.send(p, 1)
	x.commit(1)
	return newcomers(internalSendSkip, nil), true
}

// writeCycle: each of two transactions wrote before the other.
func writeCycle(g *garden) (planted, bool) {
	p, q, ok := g.wide()
	if !ok {
		return planted{}, false
	}
	x, y := g.fellow("x8"), g.fellow("x9")
	x.send(p, 1)
	y.send(p, 1)
	y.send(q, 1)
	x.send(q, 1)
	x.commit(1)
	y.commit(1)
	return newcomers(g0, nil), true
}

// readCycle: each of two transactions read what the other wrote.
func readCycle(g *garden) (planted, bool) {
	p, q, ok := g.wide()
	if !ok {
		return planted{}, false
	}
	x, y := g.fellow("x8"), g.fellow("x9")
	a, b := x.send(p, 1), y.send(q, 1)
	x.get(b, 1)
	y.get(a, 1)
	x.commit(1)
	y.commit(1)
	return newcomers(g1c, breaksAtomic), true
}

// mixedCycle: one transaction wrote before the other, and read what that wrote.
func mixedCycle(g *garden) (planted, bool) {
	p, q, ok := g.wide()
	if !ok {
		return planted{}, false
	}
	x, y := g.fellow("x8"), g.fellow("x9")
	x.send(p, 1)
	y.send(p, 1)
	b := y.send(q, 1)
	x.get(b, 1)
	y.commit(1)
	x.commit(1)
	return newcomers(g1c, nil), true
}

// looseOutput: an output whose input nobody ever committed, though its transaction committed offsets.
func looseOutput(g *garden) (planted, bool) {
	var inputs, outputs []int32
	for p := range g.head.Partitions {
		switch {
		case g.passes[int32(p)] == 0 || !g.holey(int32(p)):
		case g.input(int32(p)):
			inputs = append(inputs, int32(p))
		default:
			outputs = append(outputs, int32(p))
		}
	}
	p, ok := one(g, inputs)
	q, too := one(g, outputs)
	if !ok || !too || !g.apart {
		return planted{}, false
	}
	in := g.fellow("x8").send(p, 0)
	w := g.fellow("w9")
	out := w.send(q, 1)
	for i := range g.ops {
		if o := &g.ops[i]; o.Kind == log.Send && o.Value == out.Value {
			o.FromPartition, o.FromOffset = p, in.Offset
		}
	}
	o := op(log.Commit)
	o.Client, o.Txn, o.Group, o.Offsets = w.client, 1, "billing", []log.PartitionOffset{{Partition: p, Offset: in.Offset}}
	g.say(o)
	w.commit(1)
	return newcomers(tornTransaction, breaksAtomic), true
}

// offsetsGone: the cluster tells of a position before what a transaction committed.
func offsetsGone(g *garden) (planted, bool) {
	type told struct {
		op, k int
		p     int32
	}
	var list []told
	for i := range g.ops {
		o := &g.ops[i]
		for k, at := range o.Offsets {
			if o.Kind == log.Ends && o.Group == "billing" && at.Offset > 0 && g.advanced(o.Group, at) {
				list = append(list, told{i, k, at.Partition})
			}
		}
	}
	at, ok := one(g, list)
	if !ok || !g.hasFinal() {
		return planted{}, false
	}
	o := &g.ops[at.op]
	o.Offsets = slices.Clone(o.Offsets)
	o.Offsets[at.k].Offset--
	return planted{anomaly: tornTransaction, breaks: breaksAtomic}, true
}

// advanced tells whether a group was brought to a position by a transaction whose outputs are in the log, after all its
// other commits of that partition.
func (g *garden) advanced(group string, to log.PartitionOffset) bool {
	good := false
	for i := range g.ops {
		o := &g.ops[i]
		if o.Kind != log.Commit || g.group(o) != group {
			continue
		}
		for _, at := range o.Offsets {
			if at.Partition != to.Partition || at.Offset < to.Offset-1 {
				continue
			}
			end := g.ended[txnRef{o.Client, o.Txn}]
			if at.Offset < to.Offset || o.Outcome != log.OK || end == nil || end.Outcome != log.OK {
				return false // it may have set the group back
			}
			good = good || slices.ContainsFunc(g.members[txnRef{o.Client, o.Txn}], func(v log.Value) bool { return g.inFinal(v) && g.once(v) })
		}
	}
	return good
}

// hangs: a transaction that nobody ends holds a partition, so that readers of committed records do not come to its end.
func hangs(g *garden) (planted, bool) {
	var list []int32
	for p := range g.head.Partitions {
		if g.passes[int32(p)] > 0 && g.holey(int32(p)) && g.onlyCommitted(int32(p)) {
			list = append(list, int32(p))
		}
	}
	p, ok := one(g, list)
	if !ok {
		return planted{}, false
	}
	s := g.fellow("x8").send(p, 1)
	for i := range g.ops { // what was appended to the passes is not seen by them
		if o := &g.ops[i]; o.Kind == log.FinalRead && len(o.Records) == 1 && o.Records[0].Value == s.Value {
			o.Records, o.Reached = nil, s.Offset
		}
	}
	found := planted{anomaly: hangingTransaction, count: 1, breaks: breaksAtomic, spoils: true}
	if g.recorded {
		g.meta.FinalRead.Held = []rundir.Held{{Partition: g.head.PartitionName(p), LastStable: s.Offset, HighWatermark: s.Offset + 1, StoodMs: 70_000, LimitMs: 65_000}}
		return found, true
	}
	o := op(log.FinalRead)
	o.Client, o.Partition, o.Pass, o.Isolation, o.Reached = log.Unknown, p, 1, log.ReadUncommitted, s.Offset+1
	s.Epoch = log.Unknown
	o.Records = []log.Record{s.Record}
	g.say(o)
	return found, true
}

// onlyCommitted tells whether the final reads of a partition all say that they read committed records.
func (g *garden) onlyCommitted(p int32) bool {
	return !slices.ContainsFunc(g.ops, func(o log.Op) bool {
		return o.Kind == log.FinalRead && o.Partition == p && o.Isolation != log.ReadCommitted
	})
}

// nobodys is a value that nobody sent: of a producer that there is not, or of a session that ended without it.
func (g *garden) nobodys() (log.Value, log.Flags) {
	switch g.rng.IntN(3) {
	case 0:
		return log.NoValue, log.Foreign
	case 1:
		return log.Value{Producer: g.producer("z9"), Session: 1, Seq: g.rng.Int64N(5)}, 0
	}
	for v, sends := range g.sends {
		if client := g.head.Clients[sends[0].Client]; sends[0].Attempt <= 1 && !g.open[sends[0].Client] && g.head.Producers[v.Producer] == client.Name && v.Session == client.Session {
			return log.Value{Producer: v.Producer, Session: v.Session, Seq: 1<<20 + g.rng.Int64N(1000)}, 0
		}
	}
	return log.NoValue, log.Foreign
}

func strange(g *garden) (planted, bool) {
	p := int32(g.rng.IntN(len(g.head.Partitions)))
	if g.passes[p] == 0 {
		return planted{}, false
	}
	v, flags := g.nobodys()
	g.append(p, v, flags)
	return planted{anomaly: foreignRecord, count: 1, breaks: breaksAll}, true
}

func strangePolled(g *garden) (planted, bool) {
	p := int32(g.rng.IntN(len(g.head.Partitions)))
	v, flags := g.nobodys()
	r := log.Record{Offset: g.frontier(p) + g.rng.Int64N(5), Value: v, Flags: flags, Epoch: log.Unknown}
	for i := range 1 + g.rng.IntN(2) {
		g.say(g.poll(g.stranger([]string{"c8", "c9"}[i], "consumer"), p, log.ReadUncommitted, r))
	}
	return planted{anomaly: foreignRecord, count: 1, breaks: breaksAll}, true
}

func corrupted(g *garden) (planted, bool) {
	var list [][2]int
	for i := range g.ops {
		if o := &g.ops[i]; o.Kind == log.Poll || o.Kind == log.FinalRead {
			for k := range o.Records {
				list = append(list, [2]int{i, k})
			}
		}
	}
	at, ok := one(g, list)
	if !ok {
		return planted{}, false
	}
	o := &g.ops[at[0]]
	o.Records = slices.Clone(o.Records)
	r := &o.Records[at[1]]
	r.Flags |= log.Corrupt
	return planted{anomaly: corruptRecord, count: 1, value: r.Value, breaks: breaksAll}, true
}

// solid are the partitions in which no offset may be missing.
func (g *garden) solid() (list []int32) {
	for p := range g.head.Partitions {
		if g.passes[int32(p)] > 0 && !g.holey(int32(p)) {
			list = append(list, int32(p))
		}
	}
	return list
}

func holeAtEnd(g *garden) (planted, bool) {
	p, ok := one(g, g.solid())
	if !ok {
		return planted{}, false
	}
	n := 1 + g.rng.Int64N(4)
	end := g.frontier(p)
	for range n {
		g.append(p, log.NoValue, log.Foreign)
	}
	g.edit(inFinals, func(o *log.Op, list []log.Record) []log.Record {
		return slices.DeleteFunc(list, func(r log.Record) bool { return o.Partition == p && r.Offset >= end })
	})
	_, known := g.head.Starts[p]
	return planted{anomaly: offsetHole, count: uint64(n), breaks: breaksAll}, known || len(g.final[p]) > 0
}

func holeAtStart(g *garden) (planted, bool) {
	p, ok := one(g, g.solid())
	if !ok || len(g.final[p]) == 0 || g.final[p][0].Offset == 0 {
		return planted{}, false
	}
	first := g.final[p][0].Offset
	n := 1 + g.rng.Int64N(min(first, 300))
	g.head.Starts[p] = first - n
	return planted{anomaly: offsetHole, count: uint64(n), breaks: breaksAll}, true
}

func holeWithin(g *garden) (planted, bool) {
	s, ok := one(g, g.read(g.final, func(s stood) bool {
		_, started := g.head.Starts[s.p]
		return !g.holey(s.p) && !g.acked(s.Value) && (started || s.Offset > g.final[s.p][0].Offset)
	}))
	if !ok {
		return planted{}, false
	}
	g.drop(s.Value, inReads, anywhere)
	return planted{anomaly: offsetHole, count: 1, breaks: breaksAll}, true
}

func epochBack(g *garden) (planted, bool) {
	var list [][2]int
	behind := map[[2]int]uint64{}
	later := map[int32]uint64{}
	newest := int32(0)
	for i := len(g.ops) - 1; i >= 0; i-- {
		o := &g.ops[i]
		if o.Kind != log.FinalRead || o.Pass > 1 {
			continue
		}
		for k := len(o.Records) - 1; k >= 0; k-- {
			if n := later[o.Partition]; n > 0 {
				list = append(list, [2]int{i, k})
				behind[[2]int{i, k}] = n
			}
			if newest = max(newest, o.Records[k].Epoch); o.Records[k].Epoch >= 0 {
				later[o.Partition]++
			}
		}
	}
	at, ok := one(g, list)
	if !ok {
		return planted{}, false
	}
	o := &g.ops[at[0]]
	o.Records = slices.Clone(o.Records)
	o.Records[at[1]].Epoch = newest + 1
	return planted{anomaly: leaderEpochRegression, count: behind[at], breaks: breaksAll}, true
}

func handledAgain(g *garden) (planted, bool) {
	groups := g.handlers()
	var list [][2]int
	for i := range g.ops {
		o := &g.ops[i]
		if o.Kind != log.Process || !slices.Contains(groups, g.group(o)) || o.Outcome != log.OK {
			continue
		}
		for k := range o.Records {
			if o.Records[k].Value != log.NoValue && (o.Txn == 0 || g.handled(g.group(o), o.Records[k].Value) == 1 && g.ended[txnRef{o.Client, o.Txn}] != nil && g.ended[txnRef{o.Client, o.Txn}].Outcome == log.OK) {
				list = append(list, [2]int{i, k})
			}
		}
	}
	at, ok := one(g, list)
	if !ok {
		return planted{}, false
	}
	again := g.ops[at[0]]
	again.Records = again.Records[at[1] : at[1]+1]
	if g.half() && again.Txn == 0 {
		again.Client, again.Group = g.stranger("c9", "consumer"), g.group(&again)
	}
	again.Txn = 0 // one that has ended takes nothing more
	v := again.Records[0].Value
	g.say(again)
	return planted{anomaly: reprocessed, count: 1, value: v, breaks: breaksOnce}, true
}

func neverHandled(g *garden) (planted, bool) {
	group, ok := one(g, g.handlers())
	if !ok {
		return planted{}, false
	}
	s, ok := one(g, g.read(g.seen, func(s stood) bool {
		sure := slices.ContainsFunc(g.sends[s.Value], func(o *log.Op) bool { return g.outcome(o) == log.OK && o.Partition >= 0 })
		return sure && g.handled(group, s.Value) > 0
	}))
	if !ok {
		return planted{}, false
	}
	g.drop(s.Value, effected, func(o *log.Op) bool { return g.group(o) == group })
	return planted{anomaly: unprocessed, count: 1, value: s.Value, breaks: breaksKept}, slices.Contains(g.handlers(), group)
}

func noOutput(g *garden) (planted, bool) {
	s, ok := one(g, g.read(g.final, func(s stood) bool { return g.output(s.Value) && g.acked(s.Value) }))
	if !ok {
		return planted{}, false
	}
	for i := range g.ops {
		if o := &g.ops[i]; o.Kind == log.Send && o.Value == s.Value {
			o.FromPartition, o.FromOffset = log.Unknown, log.Unknown
		}
	}
	return planted{anomaly: unprocessed, count: 1, breaks: breaksKept}, true
}
