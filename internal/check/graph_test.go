package check

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// A ring of a million transactions is one part, and a cycle through it is found without a stack as deep.
func TestPartsOfALongRing(t *testing.T) {
	const n = 1_000_000
	g := &graph{nodes: n + 2}
	for i := range uint32(n) {
		g.add(edge{from: i, to: (i + 1) % n, read: true})
	}
	g.add(edge{from: n - 1, to: n}) // a way out that does not lead back
	p, f := g.parts(anyEdge)
	if p.n != 1 || p.of[0] != 1 || p.of[n-1] != 1 || p.of[n] != 0 || p.of[n+1] != 0 {
		t.Fatalf("%d parts", p.n)
	}
	cycle := g.shortest(f, p, []uint32{17})
	if len(cycle) != n {
		t.Fatalf("a cycle of %d", len(cycle))
	}
	for k, e := range cycle {
		if next := g.edges[cycle[(k+1)%n]]; g.edges[e].to != next.from {
			t.Fatalf("edge %d does not lead to the next", k)
		}
	}
}

// Two nodes are of one part if and only if ways lead from each to the other.
func TestPartsAreWhatWaysConnect(t *testing.T) {
	for seed := range uint64(3000) {
		rng := rand.New(rand.NewPCG(seed, 3))
		g := &graph{nodes: 1 + rng.IntN(9)}
		reach := [9][9]bool{}
		for range rng.IntN(20) {
			e := edge{from: uint32(rng.IntN(g.nodes)), to: uint32(rng.IntN(g.nodes)), read: rng.IntN(2) == 0}
			g.add(e)
			reach[e.from][e.to] = true
		}
		for k := range g.nodes {
			for i := range g.nodes {
				for j := range g.nodes {
					reach[i][j] = reach[i][j] || reach[i][k] && reach[k][j]
				}
			}
		}
		p, f := g.parts(anyEdge)
		for i := range g.nodes {
			for j := range g.nodes {
				if together := p.of[i] != 0 && p.of[i] == p.of[j]; i != j && together != (reach[i][j] && reach[j][i]) {
					t.Fatalf("seed %d: nodes %d and %d: %v, %v", seed, i, j, together, g.edges)
				}
			}
		}
		for e := range g.edges {
			inside := p.of[g.edges[e].from] != 0 && p.of[g.edges[e].from] == p.of[g.edges[e].to]
			if cycle := g.cycle(f, p, uint32(e)); inside != (cycle != nil) {
				t.Fatalf("seed %d: edge %v, cycle %v", seed, g.edges[e], cycle)
			}
		}
	}
}

// The witness names the transactions of a short cycle, and the records that make it one.
func TestACycleIsShown(t *testing.T) {
	w := witnessOf(t, judgeText(t, crossed("0b", "0a")...), g1c)
	for _, part := range []string{"t1 of p1 read a (orders/0 at offset 0) of t1 of p0", "; ", "t1 of p0 read b (orders/1 at offset 0) of t1 of p1"} {
		if !strings.Contains(w.Detail, part) {
			t.Errorf("%q does not tell %q", w.Detail, part)
		}
	}
	if told(w) == "" {
		t.Error("it has no operations")
	}
}
