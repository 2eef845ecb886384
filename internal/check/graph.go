package check

// graph of transactions, by their numbers. An edge says that one came before another.
type graph struct {
	nodes int
	edges []edge
	met   [1 << 12]edge // the last edges by their hash: interleaved transactions say the same again and again
}

// edge from one transaction to a later one, and the record that shows it.
type edge struct {
	from, to uint32
	read     bool // to read what from sent; else its record stands behind from's in the log
	place
}

// add an edge, unless one that says the same was added not long ago.
func (g *graph) add(e edge) {
	if e.from == e.to {
		return
	}
	slot := &g.met[(e.from*0x9E3779B1^e.to*0x85EBCA77)>>20]
	if slot.from == e.from && slot.to == e.to && slot.read == e.read {
		return
	}
	*slot = e
	g.edges = append(g.edges, e)
}

// among picks edges.
type among func(*edge) bool

func anyEdge(*edge) bool    { return true }
func readEdge(e *edge) bool { return e.read }
func logEdge(e *edge) bool  { return !e.read }

// fan is some of the edges by the node that they leave.
type fan struct {
	start []uint32 // by node, and one more: its first place in out
	out   []uint32 // numbers of edges
}

func (g *graph) fan(of among) fan {
	f := fan{start: make([]uint32, g.nodes+1)}
	for i := range g.edges {
		if of(&g.edges[i]) {
			f.start[g.edges[i].from+1]++
		}
	}
	for n := range g.nodes {
		f.start[n+1] += f.start[n]
	}
	f.out = make([]uint32, f.start[g.nodes])
	next := append([]uint32(nil), f.start...)
	for i := range g.edges {
		if e := &g.edges[i]; of(e) {
			f.out[next[e.from]] = uint32(i)
			next[e.from]++
		}
	}
	return f
}

// parts of a graph are its strongly connected components: each node in one has a way to each other. Nodes that are in no
// cycle are in part 0, the others in one counted from 1.
type parts struct {
	of []uint32 // by node
	n  uint32   // the last
}

// parts by some of the edges, in linear time: Tarjan, Depth-first search and linear graph algorithms, 1972; without
// recursion, since a chain of transactions is as long as the run.
func (g *graph) parts(of among) (parts, fan) {
	t := tarjan{graph: g, fan: g.fan(of), index: make([]uint32, g.nodes), low: make([]uint32, g.nodes)}
	t.found.of = make([]uint32, g.nodes)
	for n := range uint32(g.nodes) {
		if t.index[n] == 0 {
			t.search(n)
		}
	}
	return t.found, t.fan
}

type tarjan struct {
	*graph
	fan
	index, low []uint32 // by node, counted from 1; low is settled once the node's part is known
	count      uint32
	open       []uint32 // nodes whose part is not known yet
	way        []stride
	found      parts
}

// stride on the way from the root of a search: a node, and the next of its edges.
type stride struct{ node, next uint32 }

const settled = ^uint32(0)

func (t *tarjan) search(root uint32) {
	t.enter(root)
	for len(t.way) > 0 {
		at := &t.way[len(t.way)-1]
		if at.next == t.start[at.node+1] {
			t.leave(at.node)
			continue
		}
		to := t.edges[t.out[at.next]].to
		at.next++
		switch {
		case t.index[to] == 0:
			t.enter(to)
		case t.low[to] != settled:
			t.low[at.node] = min(t.low[at.node], t.index[to])
		}
	}
}

func (t *tarjan) enter(n uint32) {
	t.count++
	t.index[n], t.low[n] = t.count, t.count
	t.open = append(t.open, n)
	t.way = append(t.way, stride{n, t.start[n]})
}

// leave a node all of whose edges were followed; if it is the first of its part, the part is known.
func (t *tarjan) leave(n uint32) {
	low := t.low[n]
	if low == t.index[n] {
		t.close(n)
	}
	t.way = t.way[:len(t.way)-1]
	if len(t.way) > 0 && low != t.index[n] {
		above := t.way[len(t.way)-1].node
		t.low[above] = min(t.low[above], low)
	}
}

func (t *tarjan) close(first uint32) {
	alone := t.open[len(t.open)-1] == first
	if !alone {
		t.found.n++
	}
	for {
		last := t.open[len(t.open)-1]
		t.open = t.open[:len(t.open)-1]
		t.low[last] = settled
		if !alone {
			t.found.of[last] = t.found.n
		}
		if last == first {
			return
		}
	}
}

// shortest of the cycles through one of some edges.
func (g *graph) shortest(f fan, p parts, edges []uint32) []uint32 {
	var best []uint32
	for _, e := range edges {
		if c := g.cycle(f, p, e); best == nil || c != nil && len(c) < len(best) {
			best = c
		}
	}
	return best
}

// cycle finds a short way back from the end of an edge to its start, within one part: the edge and those that follow.
func (g *graph) cycle(f fan, p parts, first uint32) []uint32 {
	home, start := g.edges[first].from, g.edges[first].to
	by := map[uint32]uint32{start: first} // the edge by which a node was reached
	for front := []uint32{start}; len(front) > 0; {
		var next []uint32
		for _, n := range front {
			for _, e := range f.out[f.start[n]:f.start[n+1]] {
				to := g.edges[e].to
				if _, met := by[to]; met || p.of[to] != p.of[home] {
					continue
				}
				by[to] = e
				if to == home {
					return g.back(by, first)
				}
				next = append(next, to)
			}
		}
		front = next
	}
	return nil // not within a part
}

// back reads a cycle from the edges by which its nodes were reached.
func (g *graph) back(by map[uint32]uint32, first uint32) []uint32 {
	var rest []uint32
	for n := g.edges[first].from; n != g.edges[first].to; n = g.edges[by[n]].from {
		rest = append(rest, by[n])
	}
	list := []uint32{first}
	for i := len(rest) - 1; i >= 0; i-- {
		list = append(list, rest[i])
	}
	return list
}
