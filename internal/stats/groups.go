package stats

import (
	"math"

	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
)

// Group is what one group of consumers or processors came to.
type Group struct {
	Name     string
	Read     uint64 // first deliveries to it, of records intended in the measured part
	ReadPerS *float64
	EndToEnd Latency // likewise: to the first delivery to this group
	Behind   Behind
	Drain    *Drain // nil without a backlog
}

// Behind is how many records stood in the log that a group had not been given yet: from what was acknowledged (of transactions:
// once they were committed) and what its polls returned. nil where acknowledgements tell no offsets.
type Behind struct{ Most, End *uint64 }

// Drain is how a group worked a backlog off. Times are ns on the run's clock, nil where it did not come so far.
type Drain struct {
	First    *int64   // the first records of it came
	Drained  *int64   // the last record of the backlog came
	CaughtUp *int64   // from when on it was behind by no more than what falls due in catchUp
	PerS     *float64 // records that it was given, from First to CaughtUp
	// EndToEnd of the measured records that were due before it had caught up, and of those due after.
	During, After Latency
}

// catchUp is the load's time that a group which has caught up may be behind, in seconds.
const catchUp = 0.1

// reader gathers a Group.
type reader struct {
	f          Group
	deliveries *deliveries // nil for the only group: what the run has of all serves it as well
	reads      []bool      // by partition
	at         []int64     // by partition: the offset after the last that it was given
	behind     int64
	most       int64
	steps      []int64 // what it was behind at the end of each firstStep of the measured part
	last       int64   // of its deliveries

	left int    // partitions in which it has not come to the backlog's end
	got  uint64 // records since the first, until it has caught up
}

// readers gathers all groups.
type readers struct {
	groups  []*reader
	ends    []int64                   // by partition: the offset after the last record that stands there
	open    map[int32]map[int32]int64 // by client and partition: the same for its open transaction
	known   bool
	from    int64 // of the measured part
	backlog *rundir.Backlog
	goal    []int64 // by partition: where the backlog ends; nil before it is built
	slack   int64   // records that one who has caught up may be behind
}

func newReaders(h history.Header, m rundir.Meta, measured Window) *readers {
	rs := &readers{ends: make([]int64, len(h.Partitions)), open: map[int32]map[int32]int64{}, known: m.Judged.Acks != "0", from: measured.From, backlog: m.Load.Backlog}
	if m.Load.RatePerS != nil {
		rs.slack = int64(math.Ceil(*m.Load.RatePerS * catchUp))
	}
	roles := map[string]string{}
	for _, t := range m.Topics {
		roles[t.Name] = t.Role
	}
	add := func(name string, reads func(role string) bool) {
		r := &reader{f: Group{Name: name}, deliveries: newDeliveries(), reads: make([]bool, len(h.Partitions)), at: make([]int64, len(h.Partitions))}
		for p := range h.Partitions {
			r.reads[p] = reads(roles[h.Topic(int32(p))])
		}
		if rs.backlog != nil {
			r.f.Drain = &Drain{}
		}
		rs.groups = append(rs.groups, r)
	}
	processed := m.Judged.Processors != ""
	for _, g := range m.Judged.Consumers() {
		add(g.Name, func(role string) bool { return (role == "output") == processed })
	}
	if processed {
		add(m.Judged.Processors, func(role string) bool { return role == "input" })
	}
	if len(rs.groups) == 1 {
		rs.groups[0].deliveries = nil
	}
	return rs
}

// mark takes the time of an operation, before what it tells is entered: the first one after the backlog was built shows where that
// ends.
func (rs *readers) mark(now int64) {
	if rs.goal == nil && rs.backlog != nil && rs.backlog.Built > 0 && now > rs.backlog.Built {
		rs.goal = append([]int64{}, rs.ends...)
	}
}

// stored takes an acknowledgement: of whoever sent, since a group reads what processors write, too.
func (rs *readers) stored(op *history.Op) {
	rs.mark(op.Return)
	if op.Outcome != history.OK || op.Offset < 0 || op.Partition < 0 || int(op.Partition) >= len(rs.ends) {
		return
	}
	if op.Txn == 0 {
		rs.grew(op.Partition, op.Offset+1, op.Return)
		return
	}
	own := rs.open[op.Client]
	if own == nil {
		own = map[int32]int64{}
		rs.open[op.Client] = own
	}
	own[op.Partition] = max(own[op.Partition], op.Offset+1)
}

// ended takes the end of a transaction: what was aborted nobody is given.
func (rs *readers) ended(op *history.Op) {
	if op.Outcome == history.OK {
		for p, end := range rs.open[op.Client] {
			rs.grew(p, end, op.Return)
		}
	}
	clear(rs.open[op.Client])
}

func (rs *readers) grew(p int32, end, now int64) {
	before := rs.ends[p]
	if end <= before {
		return
	}
	rs.ends[p] = end
	for _, r := range rs.groups {
		if r.reads[p] {
			r.move(now, rs.from, max(0, end-r.at[p])-max(0, before-r.at[p]))
		}
	}
}

// given takes a poll of a group.
func (rs *readers) given(op *history.Op) *reader {
	rs.mark(op.Return)
	r := rs.named(op.Group)
	if r == nil || len(op.Records) == 0 || op.Partition < 0 || int(op.Partition) >= len(r.at) {
		return r
	}
	p, before := op.Partition, r.at[op.Partition]
	if now := op.Records[len(op.Records)-1].Offset + 1; now > before {
		r.at[p] = now
		r.move(op.Return, rs.from, max(0, rs.ends[p]-now)-max(0, rs.ends[p]-before))
	}
	if rs.goal != nil && rs.backlog.Read > 0 && op.Return >= rs.backlog.Read {
		r.drain(rs, p, before, op)
	}
	return r
}

func (rs *readers) named(group string) *reader {
	for _, r := range rs.groups {
		if r.f.Name == group {
			return r
		}
	}
	return nil
}

// move changes what a group is behind by, which stands for all steps that have passed since.
func (r *reader) move(now, from, by int64) {
	r.fill(now, from)
	r.behind += by
	r.most = max(r.most, r.behind)
}

// fill enters what the group is behind by for the steps that ended before now.
func (r *reader) fill(now, from int64) {
	for from != never && int64(len(r.steps)+1)*int64(firstStep) <= now-from {
		r.steps = append(r.steps, r.behind)
	}
}

func (r *reader) drain(rs *readers, p int32, before int64, op *history.Op) {
	d, now := r.f.Drain, op.Return
	if d.First == nil {
		for q, end := range rs.goal {
			if r.reads[q] && end > 0 {
				r.left++
			}
		}
		d.First = &now
	}
	if before < rs.goal[p] && r.at[p] >= rs.goal[p] {
		if r.left--; r.left == 0 {
			d.Drained = &now
		}
	}
	if d.CaughtUp == nil {
		r.got += uint64(len(op.Records))
		if r.left == 0 && r.behind <= rs.slack {
			d.CaughtUp = &now
			d.PerS = perSecond(r.got, *d.First, *d.CaughtUp)
		}
	}
}

// latency is where the end-to-end latency of a record belongs besides the group's own.
func (r *reader) latency(intended int64) *Latency {
	d := r.f.Drain
	switch {
	case d == nil:
		return nil
	case d.CaughtUp == nil || intended <= *d.CaughtUp:
		return &d.During
	}
	return &d.After
}

// delivered takes any delivery of a measured record to the group.
func (r *reader) delivered(v history.Value, intended, at int64) {
	if r == nil || r.deliveries == nil {
		return
	}
	if call, known, first := r.deliveries.delivered(v, at); first {
		r.first(intended, call, at, known)
	}
}

// alone takes the first delivery of a measured record to any group, for the only one.
func (r *reader) alone(intended, call, at int64, known bool) {
	if r != nil && r.deliveries == nil {
		r.first(intended, call, at, known)
	}
}

func (r *reader) first(intended, call, at int64, known bool) {
	r.f.Read++
	r.last = max(r.last, at)
	r.f.EndToEnd.Response.Add(at - intended)
	if l := r.latency(intended); l != nil {
		l.Response.Add(at - intended)
	}
	if known {
		r.joined(intended, call, at)
	}
}

func (r *reader) joined(intended, call, at int64) {
	r.f.EndToEnd.Service.Add(at - call)
	if l := r.latency(intended); l != nil {
		l.Service.Add(at - call)
	}
}

// joinedAlone takes the call of a record that any group was given before, for the only one.
func (rs *readers) joinedAlone(intended, call, at int64) {
	if len(rs.groups) == 1 {
		rs.groups[0].joined(intended, call, at)
	}
}

// sent takes a measured record's send, for those groups that were given it before it was acknowledged.
func (rs *readers) sent(op *history.Op, intended int64) {
	for _, r := range rs.groups {
		if r.deliveries == nil {
			continue
		}
		if at, known := r.deliveries.sent(op.Value, op.Call); known {
			r.joined(intended, op.Call, at)
		}
	}
}

// finish gives the groups and, of each, a column of the series.
func (rs *readers) finish(series *Series, lastSent int64) ([]Group, []Column) {
	var list []Group
	var columns []Column
	for _, r := range rs.groups {
		r.f.ReadPerS = perSecond(r.f.Read, rs.from, max(r.last, lastSent))
		if rs.known {
			most, end := uint64(r.most), uint64(max(0, r.behind))
			r.f.Behind = Behind{Most: &most, End: &end}
			columns = append(columns, Column{Of: ofGroup, Subject: r.f.Name, Figure: "behind", Unit: "records", Values: r.column(series)})
		}
		list = append(list, r.f)
	}
	return list, columns
}

func (r *reader) column(series *Series) []float64 {
	values := make([]float64, len(series.Points))
	wide := max(1, int(series.Step/firstStep))
	for i := range values {
		values[i] = float64(max(0, r.behind))
		if last := (i+1)*wide - 1; last < len(r.steps) {
			values[i] = float64(max(0, r.steps[last]))
		}
	}
	return values
}
