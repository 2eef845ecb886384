package scenarios

import (
	cryptorand "crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Run is one run of a plan.
type Run struct {
	Scenario Scenario          // of this cell: no matrix, one repeat, its seed
	Cell     map[string]string // the matrix's values, by path; empty without a matrix
	Repeat   int               // from 1
	Seed     int64             // the run repeats itself with --seed
	Notes    []string          // what is different about this cell
}

// Plan is every run that a scenario means, in order: all cells in an order that is drawn, then all cells again in another.
type Plan []Run

// mostRuns bounds a plan; more is a slip of the pen.
const mostRuns = 10_000

// NewPlan makes the plan of a scenario. A seed of 0 is drawn. The first repeat has the scenario's own seed, the others
// seeds that follow from it; all cells of one repeat share it, so that they differ in their settings alone. Random series
// of faults are written out, by the run's seed.
//
// The order of the cells is drawn anew for each repeat, so that a drift of the machine or the cluster favours none. Cells
// that need a cluster of their own stay together within a repeat, since each change of the cluster is a start of it; the
// order of those groups is drawn too.
//
// A cell whose settings promise less than the scenario's guarantee is not judged by it, but measured: its anomalies are
// reported, and its notes say why.
func NewPlan(s Scenario) (Plan, error) {
	root, err := s.root()
	if err != nil {
		return nil, err
	}
	seed := s.Seed
	for seed == 0 {
		var b [8]byte
		_, _ = cryptorand.Read(b[:]) // never fails
		seed = int64(binary.BigEndian.Uint64(b[:]) >> 1)
	}
	var all []Run
	for _, c := range cells(root) {
		run, problems := c.run()
		if err := problems.err(); err != nil {
			return nil, err
		}
		all = append(all, run)
	}
	var plan Plan
	for repeat := 1; repeat <= s.Repeat; repeat++ {
		for _, run := range drawnOrder(all, Split(seed, "order "+strconv.Itoa(repeat))) {
			run.Repeat, run.Seed = repeat, repeatSeed(seed, repeat)
			run.Scenario.Seed = run.Seed
			run.Scenario = run.Scenario.expanded(run.Seed)
			plan = append(plan, run)
		}
	}
	return plan, nil
}

// drawnOrder is one repeat: the groups that share a cluster in an order that is drawn, and so the cells within each.
func drawnOrder(cells []Run, rng *rand.Rand) []Run {
	var groups [][]Run
	at := map[string]int{}
	for _, c := range cells {
		key := fmt.Sprintf("%+v", c.Scenario.Cluster)
		i, known := at[key]
		if !known {
			i = len(groups)
			at[key], groups = i, append(groups, nil)
		}
		groups[i] = append(groups[i], c)
	}
	rng.Shuffle(len(groups), func(i, j int) { groups[i], groups[j] = groups[j], groups[i] })
	for _, g := range groups {
		rng.Shuffle(len(g), func(i, j int) { g[i], g[j] = g[j], g[i] })
	}
	return slices.Concat(groups...)
}

func repeatSeed(seed int64, repeat int) int64 {
	if repeat == 1 {
		return seed
	}
	return max(1, Split(seed, "repeat "+strconv.Itoa(repeat)).Int63())
}

// Split is the source of randomness of one component of a run, independent of how much the others draw.
//
// Its construction is part of the format, so that a seed means the same in every version: the first eight bytes, big
// endian, of SHA-256 over "kbench 1", a zero byte, the seed in decimal, a zero byte and the component's name seed the
// generator of math/rand (version 1), whose sequences Go keeps.
func Split(seed int64, component string) *rand.Rand {
	sum := sha256.Sum256([]byte("kbench 1\x00" + strconv.FormatInt(seed, 10) + "\x00" + component))
	return rand.New(rand.NewSource(int64(binary.BigEndian.Uint64(sum[:8]))))
}

// axis of a matrix as it stands in the tree.
type axis struct {
	path   string
	at     place
	values []*node
}

func axes(root *node) []axis {
	var all []axis
	matrix := root.get("matrix")
	if matrix == nil {
		return nil
	}
	for _, e := range matrix.entries {
		a := axis{path: e.key, at: e.at}
		for _, v := range e.value.items {
			a.values = append(a.values, unquoted(v))
		}
		if len(a.values) > 0 { // an axis without values is a problem of its own, not a matrix without cells
			all = append(all, a)
		}
	}
	return all
}

// unquoted takes a value for what it would be without its quotes: in a matrix, "1" is 1.
func unquoted(v *node) *node {
	if v.shape != aText {
		return v
	}
	bare, problems := readTree(v.source, []byte(v.text))
	if bare == nil || len(problems) > 0 || bare.shape != aNumber && bare.shape != aTruth {
		return v
	}
	c := *v
	c.shape = bare.shape
	return &c
}

// cell is one combination of the matrix's values.
type cell struct {
	root     *node // without the matrix
	values   map[string]string
	text     string   // client.acks=1, load.rate=100/s
	mistakes Problems // paths that lead nowhere
}

// cells of the matrix; without one there is one cell. The last axis changes fastest.
func cells(root *node) []cell {
	list := []cell{{root: root.with("matrix", root.place, nil).with("repeat", root.place, nil), values: map[string]string{}}}
	for _, a := range axes(root) {
		var longer []cell
		for _, c := range list {
			for _, v := range a.values {
				longer = append(longer, c.and(a, v))
			}
		}
		list = longer
	}
	return list
}

// and is the cell with one more value.
func (c cell) and(a axis, v *node) cell {
	next := cell{root: c.root, values: map[string]string{a.path: v.text}, mistakes: slices.Clone(c.mistakes)}
	for path, value := range c.values {
		next.values[path] = value
	}
	next.text = strings.TrimPrefix(c.text+", "+a.path+"="+v.text, ", ")
	changed, m := replace(c.root, segments(a.path), a.at, v)
	if m != nil {
		p := a.at.problem("matrix."+a.path, m.hint, m.message)
		next.mistakes = append(next.mistakes, p)
		return next
	}
	next.root = changed
	return next
}

// run reads and checks the cell's scenario.
func (c cell) run() (Run, Problems) {
	s, problems := build(c.root, false)
	problems = append(c.mistakes, problems...)
	run := Run{Scenario: s, Cell: c.values}
	p := PromiseOf(s, s.Guarantee)
	if s.Guarantee == Unjudged || s.Expect.Violated || p.Given() {
		return run, problems
	}
	run.Notes = append(run.Notes, fmt.Sprintf("%s: measured, not judged: its settings promise less than %s (%s)", c.text, s.Guarantee, p.Against[0]))
	run.Scenario.Guarantee, run.Scenario.Expect, run.Scenario.tree = Unjudged, Expect{}, nil
	return run, problems
}

// cellProblems are what is wrong with cells of the matrix and not with the scenario itself.
func cellProblems(root *node, known Problems) Problems {
	count := 1
	for _, a := range axes(root) {
		if count *= len(a.values); count > mostRuns {
			return Problems{root.get("matrix").problem("matrix", "", fmt.Sprintf("more than %d cells", mostRuns))}
		}
	}
	if len(axes(root)) == 0 {
		return nil
	}
	seen := map[Problem]bool{}
	for _, p := range known {
		seen[p] = true
	}
	written := map[Pos]bool{} // what the matrix itself says; a problem there needs no more words
	for _, a := range axes(root) {
		written[a.at.Pos] = true
		for _, v := range a.values {
			written[v.Pos] = true
		}
	}
	var problems Problems
	for _, c := range cells(root) {
		_, found := c.run()
		for _, p := range found {
			if seen[p] {
				continue
			}
			seen[p] = true
			if !written[Pos{p.Line, p.Column}] {
				p.Message += " (with " + c.text + ")"
			}
			problems = append(problems, p)
		}
	}
	return problems
}

// WarmUp is the scenario's load for so long, and nothing else: it is not judged, hurts nobody and has no objective. Not ok
// where the load is strict steps.
func (s Scenario) WarmUp(d time.Duration) (Scenario, bool) {
	if len(s.Steps) > 0 || !s.Load.Max && s.Load.Rate == 0 {
		return s, false
	}
	s.Load.Warmup, s.Load.Duration, s.Load.Records = 0, d, 0
	s.Guarantee, s.Expect, s.Faults, s.Thresholds, s.Objective, s.tree = Unjudged, Expect{}, nil, nil, Objective{}, nil
	return s, true
}
