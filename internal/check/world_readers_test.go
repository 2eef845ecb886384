package check

import (
	"fmt"
	"maps"
	"slices"

	log "github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
)

// reading is a consumer outside any group: it reads where it likes.
type reading struct {
	*world
	client    int32
	isolation log.Isolation
	at        map[int32]int64
}

func (w *world) reader(name string) {
	r := &reading{world: w, client: w.hist.client(name, 1), isolation: log.ReadCommitted, at: map[int32]int64{}}
	if w.chance(40) {
		r.isolation = log.ReadUncommitted
	}
	w.hist.meta.Workers = append(w.hist.meta.Workers, rundir.Worker{Name: name, Session: 1, Role: "consumer"})
	w.readers, w.actors = append(w.readers, r), append(w.actors, r)
}

func (r *reading) step() {
	if r.busy(r.client) {
		return
	}
	if r.chance(10) {
		r.move()
		return
	}
	p := int32(r.rng.IntN(len(r.parts)))
	r.poll(p)
}

// move to other places: what is not in the assignment is forgotten, and read from anywhere when it comes back.
func (r *reading) move() {
	o := op(log.Assign)
	if r.chance(30) {
		o.Kind = log.Subscribe
	}
	o.Client = r.client
	for p := range r.parts {
		if r.chance(50) {
			o.Partitions = append(o.Partitions, int32(p))
			continue
		}
		delete(r.at, int32(p))
	}
	r.next(o)
}

func (r *reading) poll(p int32) {
	s := r.parts[p]
	at, known := r.at[p]
	if !known {
		at = s.start + r.rng.Int64N(int64(len(s.cells))+1)
	}
	o := op(log.Poll)
	o.Client, o.Partition, o.Isolation = r.client, p, r.isolation
	if r.isolation == log.ReadCommitted && r.chance(20) && !r.recorded {
		o.Isolation = log.IsolationUnknown
	}
	o.Records, r.at[p] = r.visible(p, at, 1+r.rng.IntN(6), r.isolation)
	r.next(o)
}

func (r *reading) finish() {}

// members are a consumer group: its members share the partitions, handle what they get, and commit what they have
// handled. Rebalances are eager or cooperative; members are killed and come back.
type members struct {
	*world
	name      string
	list      []*member
	targets   []int32
	committed map[int32]int64
	eager     bool
	effects   bool
	grouped   bool // assignments name the group
}

// member is one of them.
type member struct {
	*members
	name    string
	session int32
	client  int32
	gone    bool
	holds   map[int32]bool
	at      map[int32]int64        // position of the next poll
	hand    map[int32][]log.Record // polled, and not handled yet
	done    map[int32]int64        // position up to which everything is handled
	known   map[int32]int64        // position that is certainly committed
}

func (w *world) group(name, prefix string, n int, targets []int32) {
	g := &members{world: w, name: name, targets: targets, committed: map[int32]int64{}, eager: w.chance(50), grouped: w.chance(50)}
	w.stands[name] = g.committed
	g.effects = w.recorded || w.chance(85)
	for i := range n {
		m := &member{members: g, name: fmt.Sprintf("%s%d", prefix, i)}
		g.list = append(g.list, m)
		m.join()
	}
	g.rebalance()
	w.groups, w.actors = append(w.groups, g), append(w.actors, g, g, g)
}

// join with a new session.
func (m *member) join() {
	m.session++
	m.client = m.hist.client(m.name, m.session)
	m.gone, m.holds = false, map[int32]bool{}
	m.at, m.hand, m.done, m.known = map[int32]int64{}, map[int32][]log.Record{}, map[int32]int64{}, map[int32]int64{}
	m.hist.meta.Workers = append(m.hist.meta.Workers, rundir.Worker{Name: m.name, Session: int(m.session), Role: "consumer"})
	m.free[m.client] = m.now
	o := op(log.Subscribe)
	o.Partitions = m.targets
	m.say(o)
}

func (m *member) say(o log.Op) *log.Op {
	o.Client = m.client
	if o.Kind == log.Assign || o.Kind == log.Subscribe {
		if m.grouped {
			o.Group = m.members.name
		}
	} else {
		o.Group = m.members.name
	}
	return m.next(o)
}

func (g *members) alive() []*member {
	return slices.DeleteFunc(slices.Clone(g.list), func(m *member) bool { return m.gone })
}

func (g *members) step() {
	alive := g.alive()
	switch {
	case g.chance(4):
		g.rebalance()
	case g.chance(2) && len(alive) > 0:
		pickOf(g.world, alive).die()
	case g.chance(20) && len(alive) < len(g.list):
		for _, m := range g.list {
			if m.gone {
				m.join()
			}
		}
		g.rebalance()
	case len(alive) > 0:
		pickOf(g.world, alive).work()
	}
}

// rebalance gives the partitions out anew. Who loses one commits what it has handled; what it has only polled is dropped.
func (g *members) rebalance() {
	alive := g.alive()
	if len(alive) == 0 {
		return
	}
	next := map[*member]map[int32]bool{}
	for _, m := range alive {
		next[m] = map[int32]bool{}
	}
	for _, p := range g.targets {
		next[pickOf(g.world, alive)][p] = true
	}
	for _, m := range alive { // those that lose come first
		before := len(m.holds)
		for _, p := range slices.Sorted(maps.Keys(m.holds)) {
			if g.eager || !next[m][p] {
				m.settle(p)
			}
		}
		if len(m.holds) < before || g.eager && g.chance(50) {
			m.assigned(maps.Clone(m.holds))
		}
	}
	for _, m := range alive {
		m.assigned(next[m])
	}
}

// settle what was handled before the partition goes.
func (m *member) settle(p int32) {
	if m.done[p] > m.known[p] {
		m.commit(log.OK, p)
	}
	m.drop(p)
}

func (m *member) drop(p int32) {
	delete(m.holds, p)
	delete(m.at, p)
	delete(m.hand, p)
	delete(m.done, p)
	delete(m.known, p)
}

func (m *member) assigned(to map[int32]bool) {
	o := op(log.Assign)
	o.Partitions = slices.Sorted(maps.Keys(to))
	for _, p := range o.Partitions {
		if !m.holds[p] {
			m.holds[p] = true
			m.at[p] = max(m.committed[p], m.parts[p].start)
			m.done[p], m.known[p] = m.at[p], m.at[p]
		}
	}
	m.say(o)
}

// die: what it had handled and not committed would be handled again, so it has committed just before.
func (m *member) die() {
	for _, p := range m.targets {
		if m.holds[p] {
			m.settle(p)
		}
	}
	m.gone = true
	m.hist.open[m.client] = true
	for i := range m.hist.meta.Workers {
		if w := &m.hist.meta.Workers[i]; w.Name == m.name && w.Session == int(m.session) {
			w.Killed = true
		}
	}
	m.rebalance()
}

func (m *member) work() {
	if m.busy(m.client) || len(m.holds) == 0 {
		return
	}
	p := pickOf(m.world, slices.Sorted(maps.Keys(m.holds)))
	switch {
	case len(m.hand[p]) > 0 && m.chance(60):
		m.handle(p, 1+m.rng.IntN(len(m.hand[p])))
	case m.done[p] > m.known[p] && m.chance(50):
		m.commit(m.doubt(), p)
	default:
		m.poll(p)
	}
}

// doubt draws how a commit ends for the client.
func (m *member) doubt() log.Outcome {
	switch {
	case m.drained || m.chance(85):
		return log.OK
	case m.chance(50):
		return log.Failed
	}
	return log.Indeterminate
}

func (m *member) poll(p int32) {
	o := op(log.Poll)
	o.Partition, o.Isolation = p, log.ReadCommitted
	o.Records, m.at[p] = m.visible(p, m.at[p], 1+m.rng.IntN(7), log.ReadCommitted)
	m.hand[p] = append(m.hand[p], o.Records...)
	if len(m.hand[p]) == 0 {
		m.done[p] = m.at[p]
	}
	if len(o.Records) == 0 {
		if m.chance(60) {
			return
		}
		if m.chance(50) {
			o.Partition = log.Unknown
		}
	}
	m.say(o)
}

func (m *member) handle(p int32, n int) {
	records := m.hand[p][:n]
	m.hand[p] = slices.Clone(m.hand[p][n:])
	m.done[p] = records[n-1].Offset + 1
	if len(m.hand[p]) == 0 && m.chance(70) {
		m.done[p] = m.at[p]
	}
	if !m.effects {
		return
	}
	if m.chance(3) { // it may have happened, or has not: it is done over
		m.effect(p, records[:1], []log.Outcome{log.Indeterminate, log.Failed}[m.rng.IntN(2)])
	}
	if m.chance(50) {
		m.effect(p, records, log.OK)
		return
	}
	for i := range records {
		m.effect(p, records[i:i+1], log.OK)
	}
}

func (m *member) effect(p int32, records []log.Record, outcome log.Outcome) {
	o := op(log.Process)
	o.Partition, o.Outcome, o.Records = p, outcome, slices.Clone(records)
	for i := range o.Records {
		o.Records[i].Epoch = log.Unknown
	}
	m.say(o)
}

// commit what is handled of a partition, and by chance of others.
func (m *member) commit(outcome log.Outcome, p int32) {
	o := op(log.Commit)
	o.Outcome = outcome
	if m.chance(30) {
		o.Generation = int32(m.rng.IntN(5))
	}
	for _, q := range slices.Sorted(maps.Keys(m.holds)) {
		if q == p || m.chance(20) {
			o.Offsets = append(o.Offsets, log.PartitionOffset{Partition: q, Offset: m.done[q]})
			if outcome == log.OK || outcome == log.Indeterminate && m.chance(50) {
				m.committed[q] = m.done[q]
			}
			if outcome == log.OK {
				m.known[q] = m.done[q]
			}
		}
	}
	m.say(o)
}

// finish: all come back, share the work, and do it.
func (g *members) finish() {
	for _, m := range g.list {
		if m.gone {
			m.join()
		}
	}
	g.rebalance()
	for _, m := range g.list {
		for _, p := range slices.Sorted(maps.Keys(m.holds)) {
			for m.at[p] < g.parts[p].end() {
				m.poll(p)
			}
			if len(m.hand[p]) > 0 {
				m.handle(p, len(m.hand[p]))
			}
			m.done[p] = m.at[p]
			m.commit(log.OK, p)
		}
	}
}
