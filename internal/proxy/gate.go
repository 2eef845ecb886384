package proxy

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kbench/kbench/internal/cluster"
)

// Treated is what became of one partition's batch in a treated Produce request, as the broker's own answer shows it.
type Treated struct {
	How       cluster.Refusal
	Topic     string
	Partition int32
	Offset    int64 // where the broker appended it, though the client was not told; -1 for a refused one
	Records   int   // 0: unknown
	// Idempotent batches carry a producer id and a sequence, by which a broker can tell a retry.
	Idempotent bool
	// Retried is set once the client sent the same batch (producer id, epoch, sequence) again and the broker
	// answered with the same offset: it recognised the duplicate.
	Retried bool
}

func (t Treated) String() string {
	if t.How == cluster.RefuseRequest {
		return fmt.Sprintf("%d records for %s/%d refused, not forwarded", t.Records, t.Topic, t.Partition)
	}
	return fmt.Sprintf("%d records appended at %s/%d offset %d, answer withheld", t.Records, t.Topic, t.Partition, t.Offset)
}

// maxTreated bounds what is remembered of treated requests; Filtered counts them all.
const maxTreated = 4096

// Gate decides which requests are treated, for all proxies of one cluster together, and keeps the evidence.
// It implements cluster.AnswerFilter and cluster.EndTxnDelayer.
type Gate struct {
	watching atomic.Bool // requests have to be read: a rule or a delay is left, or what was treated has a sequel

	mu       sync.Mutex
	rules    []*rule
	requests int
	treated  []Treated
	cut      map[cutBatch]int    // index in treated
	names    map[[16]byte]string // topics by id, as Metadata answers had them
	proxies  map[*Proxy]struct{}

	delays []*delay
	held   []*late // under way
	ends   []*Late // every one that was held back
}

// watch finds out whether requests have to be read. It is called with the lock held.
func (g *Gate) watch() {
	g.watching.Store(len(g.rules) > 0 || len(g.cut) > 0 || len(g.delays) > 0 || len(g.held) > 0)
}

// rule is one call of Filter.
type rule struct {
	how   cluster.Refusal
	topic string // "": every topic
	left  int    // < 0: without end
	ended bool   // by Unfilter
}

// cutBatch names an idempotent producer's batch in one partition.
type cutBatch struct {
	topic     string
	partition int32
	producer  int64
	epoch     int16
	sequence  int32
}

// NewGate makes a gate through which everything passes.
func NewGate() *Gate {
	return &Gate{cut: map[cutBatch]int{}, names: map[[16]byte]string{}, proxies: map[*Proxy]struct{}{}}
}

// Filter treats the next n Produce requests (n<0: all until Unfilter) that carry records for the topic, "" for any
// topic, whichever of the gate's proxies they reach. Filters add up; a request meets the first that wants it.
//
// Requests with acks=0 pass: they have no answer to cut or to refuse by. A request that the broker did not append, as
// its answer says, has its answer passed on and does not count.
func (g *Gate) Filter(how cluster.Refusal, topic string, n int) error {
	if how != cluster.CutAnswer && how != cluster.RefuseRequest {
		return fmt.Errorf("filter %s: no such treatment: %d", topic, how)
	}
	if n == 0 {
		return errors.New("filter: zero requests to treat")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rules = append(g.rules, &rule{how: how, topic: topic, left: n})
	g.watch()
	return nil
}

// Unfilter ends all filters and delays, and closes the connections on which an answer was or would have been withheld,
// so that their clients notice and retry on a new connection.
func (g *Gate) Unfilter() error {
	g.mu.Lock()
	for _, r := range g.rules {
		r.ended = true
	}
	g.rules, g.delays, g.held = nil, nil, nil
	g.watch()
	proxies := make([]*Proxy, 0, len(g.proxies))
	for p := range g.proxies {
		proxies = append(proxies, p)
	}
	g.mu.Unlock()
	for _, p := range proxies {
		p.closeCut()
	}
	return nil
}

// Filtered is how many requests have been treated: an answer counts as cut when it has come from the broker, says that
// something was appended and was withheld, a request as refused when its refusal was written, and a transaction's end as
// late when the coordinator has answered it.
func (g *Gate) Filtered() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.requests
}

// Treated is the evidence, in order; of more than 4096 batches only the first are kept.
func (g *Gate) Treated() []Treated {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]Treated(nil), g.treated...)
}

// produced is one partition's batch of a request on its way.
type produced struct {
	topic     string
	id        [16]byte
	partition int32
	batch     batch
}

// ended tells whether Unfilter has come since the rule decided.
func (g *Gate) ended(r *rule) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return r.ended
}

// decide says what happens to a Produce request: how is 0 where it passes untreated. Batches are told where the answer
// will be looked at: it may go down with an earlier one on its connection (cut), or belong to a retry.
func (g *Gate) decide(req *kmsg.ProduceRequest, cut bool) (how cluster.Refusal, by *rule, batches []produced) {
	if req.Acks == 0 {
		return 0, nil, nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	batches = g.batches(req)
	for _, r := range g.rules {
		if r.left != 0 && r.wants(batches) {
			if r.left > 0 {
				r.left--
			}
			return r.how, r, batches
		}
	}
	for _, b := range batches {
		if _, retried := g.cut[b.key()]; retried || cut || g.awaited(b.batch.producer) {
			return 0, nil, batches
		}
	}
	return 0, nil, nil
}

func (r *rule) wants(batches []produced) bool {
	for _, b := range batches {
		if r.topic == "" || r.topic == b.topic {
			return true
		}
	}
	return false
}

func (g *Gate) batches(req *kmsg.ProduceRequest) []produced {
	var all []produced
	for _, t := range req.Topics {
		name := t.Topic
		if req.Version >= 13 { // KIP-516: by id
			name = g.names[t.TopicID]
		}
		for _, p := range t.Partitions {
			all = append(all, produced{name, t.TopicID, p.Partition, parseBatch(p.Records)})
		}
	}
	return all
}

func (p produced) key() cutBatch {
	return cutBatch{p.topic, p.partition, p.batch.producer, p.batch.epoch, p.batch.sequence}
}

// offsets are the offsets of the batches that an answer says were appended, by their place in the request.
func offsets(batches []produced, resp *kmsg.ProduceResponse) map[int]int64 {
	type place struct {
		topic     string
		id        [16]byte
		partition int32
	}
	byID := resp.Version >= 13
	at := map[place]int64{}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode == 0 {
				at[place{t.Topic, t.TopicID, p.Partition}] = p.BaseOffset
			}
		}
	}
	appended := map[int]int64{}
	for i, b := range batches {
		key := place{b.topic, [16]byte{}, b.partition}
		if byID {
			key = place{"", b.id, b.partition}
		}
		if offset, ok := at[key]; ok {
			appended[i] = offset
		}
	}
	return appended
}

// answered takes the broker's answer to a request whose answer is to be cut, and says whether to withhold it. If
// nothing was appended the rule gets its request back. Without a rule it is an answer withheld together with an
// earlier one, which is evidence but was not asked for.
func (g *Gate) answered(by *rule, batches []produced, resp *kmsg.ProduceResponse) (withhold bool) {
	appended := offsets(batches, resp)
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case len(appended) == 0 && by != nil && by.left >= 0:
		by.left++
		return false
	case len(appended) == 0:
		return false
	case by != nil:
		g.requests++
	}
	for i, b := range batches {
		offset, ok := appended[i]
		if !ok || len(g.treated) >= maxTreated {
			continue
		}
		if b.batch.producer >= 0 {
			g.cut[b.key()] = len(g.treated)
			g.watch()
		}
		g.treated = append(g.treated, Treated{How: cluster.CutAnswer, Topic: b.topic, Partition: b.partition, Offset: offset,
			Records: b.batch.records, Idempotent: b.batch.producer >= 0})
	}
	return true
}

// retried takes the broker's answer to a request that repeats cut batches.
func (g *Gate) retried(batches []produced, resp *kmsg.ProduceResponse) {
	appended := offsets(batches, resp)
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, b := range batches {
		which, cut := g.cut[b.key()]
		offset, ok := appended[i]
		if !cut || !ok {
			continue
		}
		delete(g.cut, b.key())
		g.treated[which].Retried = g.treated[which].Offset == offset
	}
	g.watch()
}

// refused notes a refusal that was written to the client.
func (g *Gate) refused(batches []produced) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.requests++
	for _, b := range batches {
		if len(g.treated) < maxTreated {
			g.treated = append(g.treated, Treated{How: cluster.RefuseRequest, Topic: b.topic, Partition: b.partition, Offset: -1,
				Records: b.batch.records, Idempotent: b.batch.producer >= 0})
		}
	}
}

// learn remembers the names of topic ids.
func (g *Gate) learn(resp *kmsg.MetadataResponse) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range resp.Topics {
		if t.Topic != nil && t.TopicID != [16]byte{} {
			g.names[t.TopicID] = *t.Topic
		}
	}
}
