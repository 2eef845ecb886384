package plantedtest_test

import (
	"strings"

	. "github.com/kbench/kbench/internal/cluster/plantedtest"
)

// The scenarios. Batches are small, so that there are many however busy the machine is.
const (
	sending = `
topics: [{name: orders, partitions: 2, replication: 1}]
load: {rate: 1000/s, duration: 300ms, drain: 20s, record: {size: 200, keys: zipf(100)}}
`
	idempotent = `
client: {acks: all, enable.idempotence: true, compression.type: none, batch.size: 4000}
`
	load = "guarantee: exactly-once" + sending + idempotent

	once = "guarantee: at-least-once" + sending + `
client: {acks: all, enable.idempotence: false, retries: 0, compression.type: none, batch.size: 4000}
consumer: {group: readers, commit: none, isolation.level: read_committed}
`
	reading = `
consumer: {group: readers, commit: after-processing, heartbeat.interval.ms: 100ms}
`
	group = "guarantee: at-least-once" + sending + idempotent + reading

	transactions = `
guarantee: exactly-once-transactions
topics: [{name: orders, partitions: 2, replication: 1}]
load: {rate: 1000/s, duration: 300ms, drain: 20s, record: {size: 200, keys: zipf(100)}, transactions: {size: 10, abort: 0.3}}
client: {acks: all, compression.type: none, batch.size: 4000}
consumer: {group: readers, commit: none, isolation.level: read_committed}
`
	processing = `
guarantee: exactly-once-transactions
topics: [{name: orders, partitions: 2, replication: 1}, {name: bills, partitions: 2, replication: 1}]
load: {rate: 400/s, duration: 1s, drain: 20s, record: {size: 200, keys: zipf(100)}}
client: {acks: all, enable.idempotence: true, compression.type: none}
processor: {from: orders, to: bills, group: billing, transactional.id: bills, batch: 20, heartbeat.interval.ms: 100ms, client: {compression.type: none}}
`
)

// pipelined has several batches of one partition under way.
func pipelined(source string) string {
	return strings.NewReplacer("partitions: 2", "partitions: 1", "batch.size: 4000", "batch.size: 1200").Replace(source)
}

// alone has one batch under way.
func alone(source string) string {
	return strings.Replace(source, "retries: 0", "retries: 0, max.in.flight.requests.per.connection: 1", 1)
}

// tooLarge is MESSAGE_TOO_LARGE, a refusal for what the records are.
const tooLarge = 10

// longer gives time for a member to be thrown out and to come back.
func longer(source string) string {
	return strings.Replace(source, "rate: 1000/s, duration: 300ms", "rate: 400/s, duration: 1s", 1)
}

// committed aborts nothing.
func committed(source string) string { return strings.Replace(source, ", abort: 0.3", "", 1) }

// slow has a group stay behind the log.
func slow(source string) string {
	return strings.Replace(source, "group: readers,", "group: readers, handling: 3ms, batch: 10,", 1)
}

// impatient does not wait long for what will not come.
func impatient(source string) string { return strings.Replace(source, "drain: 20s", "drain: 4s", 1) }

// shownTo has only some hear what the broker says of records, though it hears them all.
func shownTo(who func(string) bool, lie func() *Lie) func() *Lie {
	return func() *Lie { return ShownTo(who, lie()) }
}

// row is one misbehaviour, and what the judge has to find of it.
type row struct {
	broker string // what it does
	to     audience
	source string
	lie    func() *Lie // nil: it tells the truth
	by     audience    // who goes by the lying broker, where those are more than hear the lie

	found   string   // by its label in the decision table; "": nothing
	counts  counting // how many instances of it
	with    []string // what it may come with, since it follows from the misbehaviour
	reason  string   // why the run proves nothing, where nothing is found; "": it holds
	clients []string // who falls for it; nil: both
}

// counting compares instances with what was told.
type counting uint8

const (
	each  counting = iota // one for each record, or whatever the lie counts
	one                   // one in all
	least                 // each, and perhaps more
	some                  // at least one
)

const (
	byReads = "inconsistent-offset (between reads)"
	byAck   = "inconsistent-offset (with an acknowledgement)"
	skipped = "poll-skip (nobody of the group got the record)"
)

// unordered has a broker that misbehaves about batches not notice it by their sequence numbers.
func unordered(lie func() *Lie) func() *Lie {
	return func() *Lie { return Together(lie(), IgnoreSequences()) }
}

func rows() []row {
	with := func(names ...string) []string { return names }
	return []row{
		{broker: "is honest", to: toAll, source: load},
		{broker: "is honest to a group", to: toAll, source: group},
		{broker: "is honest about transactions", to: toAll, source: transactions},
		{broker: "is honest to a processor", to: toAll, source: processing},
		{broker: "does not look at sequence numbers", to: toAll, source: load, lie: IgnoreSequences},

		{broker: "answers with records that it had given before", to: toClients, source: group, lie: Repeat},
		{broker: "stores a batch and does not answer", to: toAll, source: once, lie: Fail},
		{broker: "refuses a batch of several under way", to: toAll, source: pipelined(once), lie: func() *Lie { return Refuse(tooLarge) }},

		{broker: "acknowledges a batch and does not store it", to: toAll, source: load, lie: unordered(Swallow), found: "lost-write", with: with(byAck)},
		{broker: "stores a batch twice", to: toAll, source: load, lie: StoreTwice, found: "duplicate"},
		{broker: "stores a batch behind the next one", to: toAll, source: pipelined(load), lie: unordered(Overtake), found: "nonmonotonic-send"},
		{broker: "changes the body of a record", to: toAll, source: load, lie: func() *Lie { return Rewrite(FlipBody) }, found: "corrupt-record"},
		{broker: "changes the sequence in a record's head", to: toAll, source: load, lie: func() *Lie { return Rewrite(FlipSequence) }, found: "corrupt-record", with: with("lost-write", byAck)},
		{broker: "changes the producer in a record's head", to: toAll, source: load, lie: func() *Lie { return Rewrite(FlipProducer) }, found: "corrupt-record", with: with("lost-write", byAck)},
		{broker: "stores a record under another's identity", to: toAll, source: load, lie: func() *Lie { return Rewrite(Rename) }, found: "lost-write", with: with("duplicate", byAck)},
		{broker: "stores a record of somebody else's", to: toAll, source: load, lie: func() *Lie { return Invent(Strange) }, found: "foreign-record"},
		{broker: "stores a record that its producer never sent", to: toAll, source: load, lie: func() *Lie { return Invent(Unsent) }, found: "foreign-record"},
		{broker: "refuses a batch and stores it", to: toAll, source: alone(once), lie: func() *Lie { return RefuseStored(tooLarge) }, found: "aborted-read"},
		{broker: "acknowledges a batch one offset too high", to: toAll, source: load, lie: func() *Lie { return Misplace(1) }, found: byAck, with: with("duplicate")},
		{broker: "acknowledges a batch far beyond the end", to: toAll, source: load, lie: func() *Lie { return Misplace(1 << 20) }, found: "duplicate"},
		{broker: "does not answer, shows the batch to consumers and forgets it", to: toAll, source: once, lie: Vanish, found: "lost-write", with: with("offset-hole")},

		{broker: "gives an offset to no record", to: toAll, source: load, lie: Waste, found: "offset-hole"},
		{broker: "leaves out three records", to: toAll, source: load, lie: hide, found: "offset-hole", with: with("lost-write")},
		{broker: "leaves out three records", to: toJudge, source: group, lie: hide, found: "lost-write", with: with("offset-hole")},
		{broker: "leaves out three records", to: toClients, source: group, lie: hide, found: "unprocessed", with: with(skipped)},
		{broker: "leaves out a record", to: toClients, source: group, lie: func() *Lie { return Hide(1) }, found: skipped, with: with("unprocessed")},
		{broker: "shows the batch that it acknowledged instead of the one in the log", to: toClients, source: group, lie: unordered(Fork), found: byReads, with: with("lost-write", "unprocessed")},
		{broker: "shows the batch that it acknowledged instead of the one in the log", to: toAll, source: group, lie: unordered(Fork), found: "lost-write", with: with(byAck)},
		{broker: "shows the batch that it acknowledged instead of the one in the log", to: toJudge, by: toAll, source: group, lie: shownTo(IsJudge, unordered(Fork)), found: byReads,
			with: with("lost-write", "unprocessed")},
		{broker: "shows two records in the wrong order", to: toAll, source: load, lie: Swap, found: "nonmonotonic-send", counts: some, with: with("duplicate", byAck)},
		{broker: "answers for one partition with records of another", to: toClients, by: toAll, source: group, lie: shownTo(IsClient, Confuse), found: byReads,
			with: with("duplicate", "reprocessed", "unprocessed", "nonmonotonic-send")},
		{broker: "answers for one partition with records of another", to: toJudge, by: toAll, source: group, lie: shownTo(IsJudge, Confuse), found: byReads,
			with: with("lost-write", "duplicate", "nonmonotonic-send")},
		{broker: "answers for one partition with records of another", to: toAll, source: group, lie: Confuse, found: "lost-write",
			with: with("duplicate", byReads, byAck, "nonmonotonic-send", "reprocessed", "unprocessed")},
		{broker: "gives a batch an older leader epoch than those before it", to: toJudge, source: load, lie: Regress, found: "leader-epoch-regression"},
		{broker: "loses a reader's position", to: toClients, source: longer(group), lie: Truncate, found: "nonmonotonic-poll", with: with("reprocessed")},
		{broker: "breaks a batch's checksum", to: toJudge, source: load, lie: BreakChecksum, with: with("unseen"), reason: "does not match calculated crc"},
		{broker: "breaks a batch's checksum", to: toAll, source: group, lie: BreakChecksum, with: with("unseen", "nonmonotonic-poll", "reprocessed"), reason: "does not match calculated crc"},

		{broker: "leaves out a record when it is read for the first time", to: toJudge, source: committed(transactions), lie: func() *Lie { return HideInPass(1) }, reason: "passes differ"},
		{broker: "leaves out a record when it is read again", to: toJudge, source: committed(transactions), lie: func() *Lie { return HideInPass(2) }, found: "lost-write", with: with("torn-transaction")},

		{broker: "says that the log ends three records early", to: toAdmin, source: load, lie: func() *Lie { return Shorten(3, -1) }, found: "lost-write"},
		{broker: "says so before the final read, and takes it back after it", to: toAdmin, source: load, lie: func() *Lie { return Shorten(3, 2) }, with: with("unseen"), reason: "while it was finally read"},

		{broker: "does not tell which transactions were aborted", to: toAll, source: transactions, lie: LeakAborted, found: "aborted-read"},
		{broker: "does not tell which transactions were aborted", to: toClients, source: transactions, lie: LeakAborted, found: "aborted-read"},
		{broker: "does not tell which transactions were aborted", to: toJudge, source: transactions, lie: LeakAborted, found: "aborted-read"},
		{broker: "gives readers of committed records all there is", to: toClients, source: transactions, lie: LeakOpen, found: "aborted-read", counts: some, with: with("precommitted-read")},
		{broker: "gives readers of committed records all there is, and in the end that is committed", to: toClients, source: slowly(committed(transactions)), lie: LeakOpen,
			found: "precommitted-read", counts: some},
		{broker: "acknowledges an abort and commits", to: toAll, source: transactions, lie: CommitInstead, found: "aborted-read", counts: some},
		{broker: "acknowledges a commit and aborts", to: toAll, source: transactions, lie: AbortInstead, found: "lost-write", counts: some},
		{broker: "shows a committed transaction as aborted in one partition", to: toAll, source: transactions, lie: HalfAbort, found: "torn-transaction", with: with("lost-write")},
		{broker: "shows a committed transaction as aborted in one partition", to: toJudge, source: transactions, lie: HalfAbort, found: "torn-transaction", with: with("lost-write")},
		{broker: "lets the last stable offset stay behind", to: toAll, source: hasty(transactions), lie: Hang, found: "hanging-transaction", with: with("unseen")},

		{broker: "throws a member out and forgets five of its committed offsets", to: toClients, source: longer(group), lie: func() *Lie { return Forget(5) }, found: "reprocessed", counts: least},
		{broker: "throws a member out and says that it has committed all records but the last", to: toClients, source: slow(longer(group)), lie: SkipAhead, found: "unprocessed", counts: some, with: with("reprocessed")},
		{broker: "keeps no committed offset", to: toClients, source: impatient(group), lie: ForgetCommits, reason: "the group did not arrive at the end"},
		{broker: "keeps none of the offsets that are committed with transactions", to: toClients, source: impatient(processing), lie: ForgetTxnOffsets,
			found: "torn-transaction", counts: some},
		{broker: "throws a processor out and forgets five of its committed offsets", to: toClients, source: processing, lie: func() *Lie { return Forget(5) }, found: "duplicate", with: with("nonmonotonic-poll")},
		{broker: "throws a processor out and says that it has committed all records but the last", to: toClients, source: processing, lie: SkipAhead, found: "unprocessed", counts: some, with: with(skipped)},
	}
}

// slowly has transactions whose sends take a while.
func slowly(source string) string {
	return strings.Replace(source, "rate: 1000/s, duration: 300ms", "rate: 200/s, duration: 1s", 1)
}

// hasty has transactions that may not last long.
func hasty(source string) string {
	return impatient(strings.Replace(source, "acks: all", "acks: all, transaction.timeout.ms: 1s", 1))
}

func hide() *Lie { return Hide(3) }
