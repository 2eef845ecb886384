package confluent

import "encoding/json"

// statistics are the parts of librdkafka's that are looked at.
type statistics struct {
	TxMsgs  uint64 `json:"txmsgs"` // records put into requests, each attempt
	Brokers map[string]struct {
		TxRetries   uint64 `json:"txretries"`    // requests other than Produce sent again
		ReqTimeouts uint64 `json:"req_timeouts"` // requests that timed out
	} `json:"brokers"`
}

// study reads a statistics event. Of records sent again librdkafka tells nothing, but it counts every attempt: what
// exceeds the records taken so far was a resend. So "retries" is a lower bound, exact once everything has been sent.
func (p *producer) study(document string) {
	var s statistics
	if json.Unmarshal([]byte(document), &s) != nil {
		return
	}
	if taken := p.taken.Load(); s.TxMsgs > taken {
		p.count.Raise("retries", s.TxMsgs-taken)
	}
	var requests, timeouts uint64
	for _, b := range s.Brokers {
		requests += b.TxRetries
		timeouts += b.ReqTimeouts
	}
	p.count.Raise("request_retries", requests)
	p.count.Raise("request_timeouts", timeouts)
}
