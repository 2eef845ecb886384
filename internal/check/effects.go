package check

import (
	"cmp"
	"slices"

	"github.com/kbench/kbench/internal/history"
)

// effects looks at what groups did with the records: reprocessed and unprocessed. One instance is one value of one group.
// A record that is lost is not also unprocessed.
type effects struct {
	*court
	again, none tally
	groups      []*group
	prepared    bool
}

func (c *effects) kinds() []history.Kind {
	return []history.Kind{history.Send, history.Process}
}

// judged are the groups whose effects are looked at: in a recorded run those that process, else each that has any.
func (c *effects) judged() []*group {
	if c.prepared {
		return c.groups
	}
	c.prepared = true
	for _, g := range c.ledger.groups {
		if g.any && (!c.run.recorded || c.run.consumers(g.name).Processed) {
			c.groups = append(c.groups, g)
		}
	}
	slices.SortFunc(c.groups, func(a, b *group) int { return cmp.Compare(a.name, b.name) })
	return c.groups
}

func (c *effects) add(v *view) {
	groups := c.judged()
	if len(groups) == 0 {
		return
	}
	if v.Kind == history.Send {
		for _, g := range groups {
			c.handled(g, v)
		}
		return
	}
	g := c.group(v.Op)
	if !slices.Contains(groups, g) {
		return
	}
	c.again.checked += uint64(len(v.values))
	for k, i := range v.values {
		e := g.effects.get(i)
		if often := e & effectMask; often < effectTwice || often == effectSeen || often == effectNone || c.values.nobody(i) {
			continue
		}
		g.effects.set(i, e+1)
		if e&effectMask == effectTwice {
			continue // the first effect is as it should be
		}
		c.again.hit(func() Witness {
			return c.witness(v.Partition, v.Records[k].Offset, i, v.Call, v.Return, "%s handled it, which had been handled before", c.client(v.Client)).
				also(about{shared: []int32{v.Partition}})
		})
	}
}

// handled finds acknowledged records without an effect.
func (c *effects) handled(g *group, v *view) {
	s := c.values.state(v.value)
	p := c.part(v.Partition)
	if s.rank() != rankOK || p == nil || !g.topics[p.topic.name] {
		return
	}
	if c.mayBeGone(s, p) {
		return
	}
	c.none.checked++
	if g.effects.get(v.value) != 0 || c.complete(p) && !s.inLog(p) {
		return
	}
	g.effects.set(v.value, effectNone)
	if c.run.recorded && !c.arrived(g, p) && (v.Offset < 0 || v.Offset >= g.cover[v.Partition]) {
		g.open++
		return
	}
	c.none.hit(func() Witness {
		return c.witness(v.Partition, v.Offset, v.value, v.Call, v.Return, "acknowledged, and never handled%s", c.by(g)).also(about{past: placeOf(v)})
	})
}

// by names a group where it is not the only one.
func (c *effects) by(g *group) string {
	if len(c.judged()) < 2 {
		return ""
	}
	return " by " + g.name
}

// arrived tells whether the run waited until the group had come to a partition's end. It waits for what the final read
// saw, so that where that stopped short nobody knows.
func (c *effects) arrived(g *group, p *partition) bool {
	return c.run.consumers(g.name).Drained && c.complete(p)
}

func (c *effects) found() []tally {
	c.again.anomaly, c.none.anomaly = reprocessed, unprocessed
	return []tally{c.again, c.none}
}
