package check

import "slices"

// Guarantees that can be claimed.
const (
	AtMostOnce              = "at-most-once"
	AtLeastOnce             = "at-least-once"
	ExactlyOnce             = "exactly-once"
	ExactlyOnceTransactions = "exactly-once-transactions"
)

// Anomalies, by their names in docs/guarantees.md.
const (
	lostWrite             = "lost-write"
	unseen                = "unseen"
	duplicate             = "duplicate"
	inconsistentOffset    = "inconsistent-offset"
	abortedRead           = "aborted-read"
	precommittedRead      = "precommitted-read"
	pollSkip              = "poll-skip"
	nonmonotonicPoll      = "nonmonotonic-poll"
	internalPollSkip      = "internal-poll-skip"
	internalNonmonoPoll   = "internal-nonmonotonic-poll"
	nonmonotonicSend      = "nonmonotonic-send"
	internalNonmonoSend   = "internal-nonmonotonic-send"
	internalSendSkip      = "internal-send-skip"
	tornTransaction       = "torn-transaction"
	hangingTransaction    = "hanging-transaction"
	g0                    = "g0"
	g1c                   = "g1c"
	foreignRecord         = "foreign-record"
	corruptRecord         = "corrupt-record"
	offsetHole            = "offset-hole"
	leaderEpochRegression = "leader-epoch-regression"
	reprocessed           = "reprocessed"
	unprocessed           = "unprocessed"
)

// variant tells apart what has one name but decides differently.
type variant uint8

const (
	plainly     variant = iota
	byReads             // inconsistent-offset: reads contradict each other
	byAck               // inconsistent-offset: an acknowledgement contradicts a read or another acknowledgement
	handled             // poll-skip: another member of the group got the record
	unhandled           // poll-skip: nobody did
	readOnly            // g1c: each transaction of the cycle read what the one before it sent
	interleaved         // g1c: only with the order of writes in the log, which Kafka does not isolate
)

// decidesAgainst is the decision table of docs/guarantees.md: the guarantees that an anomaly breaks, none for what is
// information.
func decidesAgainst(anomaly string, v variant) []string {
	switch anomaly {
	case corruptRecord, foreignRecord, offsetHole, leaderEpochRegression:
		return []string{AtMostOnce, AtLeastOnce, ExactlyOnce, ExactlyOnceTransactions}
	case duplicate, reprocessed, abortedRead:
		return []string{AtMostOnce, ExactlyOnce, ExactlyOnceTransactions}
	case lostWrite, unseen, unprocessed:
		return []string{AtLeastOnce, ExactlyOnce, ExactlyOnceTransactions}
	case inconsistentOffset:
		if v == byReads {
			return decidesAgainst(corruptRecord, plainly)
		}
		return decidesAgainst(lostWrite, plainly)
	case pollSkip:
		if v == unhandled {
			return []string{AtLeastOnce, ExactlyOnceTransactions}
		}
	case nonmonotonicSend:
		return []string{ExactlyOnce, ExactlyOnceTransactions}
	case tornTransaction, hangingTransaction, precommittedRead, internalPollSkip, internalNonmonoPoll:
		return []string{ExactlyOnceTransactions}
	case g1c:
		if v == readOnly {
			return []string{ExactlyOnceTransactions}
		}
	}
	return nil
}

// decides tells whether an anomaly breaks a guarantee; without a guarantee, whether it is more than information.
func decides(anomaly string, v variant, guarantee string) bool {
	against := decidesAgainst(anomaly, v)
	if guarantee == "" {
		return len(against) > 0
	}
	return slices.Contains(against, guarantee)
}

// combine is the table by which verdicts on parts become one: Violated over Inconclusive over Holds.
// Nothing at all, or a verdict that is none of these, is Inconclusive.
func combine(verdicts ...Verdict) Verdict {
	switch {
	case slices.Contains(verdicts, Violated):
		return Violated
	case len(verdicts) == 0 || slices.ContainsFunc(verdicts, func(v Verdict) bool { return v != Holds }):
		return Inconclusive
	default:
		return Holds
	}
}
