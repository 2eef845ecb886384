package scenarios

import (
	"fmt"
	"strings"
)

// mostGroups bounds how many groups one line can stand for.
const mostGroups = 100

// consumers reads one group, several alike, or a list of them.
func (d *decoder) consumers(to *[]Consumer) reader {
	return func(n *node, path string) {
		if n.shape != aList {
			*to = d.consumer(n, path)
			return
		}
		d.list(n, path, func(n *node, path string) { *to = append(*to, d.consumer(n, path)...) })
		if len(n.items) == 0 {
			d.complain(n.place, path, "such as {group: readers}, or leave it out", "expected at least one group")
		}
	}
}

// consumer reads one group, or with groups: N so many that differ in their names alone.
func (d *decoder) consumer(n *node, path string) []Consumer {
	c, groups := Consumer{Instances: 1, Commit: CommitAfter}, 1
	d.object(n, path, fields{
		"group":     d.named(&c.Group, "a group's name", groupName),
		"groups":    d.integer(&groups, 1),
		"instances": d.integer(&c.Instances, 1),
		"commit":    choice(d, &c.Commit, CommitAfter, CommitBefore, CommitAuto, CommitNone),
		"handling":  d.duration(&c.Handling),
		"batch":     d.integer(&c.Batch, 1),
		"restart":   d.restart(&c.Restart),
	}, d.setting(ofConsumers, &c.Settings))
	if c.Group == "" && !d.broken(path+".group") && n.shape == aMapping {
		d.complain(n.place, path, "such as group: readers", "a consumer needs a group")
	}
	if groups > mostGroups {
		d.complain(d.locate(path+".groups"), path+".groups", "", "expected at most %d groups, found %d", mostGroups, groups)
		groups = 1
	}
	c.Settings = withDefault(c.Settings, "auto.offset.reset", "earliest")
	if groups == 1 {
		return []Consumer{c}
	}
	list := make([]Consumer, groups)
	for i := range list {
		list[i] = c
		list[i].Group = fmt.Sprintf("%s-%d", c.Group, i)
	}
	return list
}

// consumerPath is where the i-th group is written down, or would be.
func (s *Scenario) consumerPath(i int) string {
	if len(s.Consumers) == 1 {
		return "consumer"
	}
	return fmt.Sprintf("consumer[%d]", i)
}

// nameConsumers lets the places of groups be found by consumerPath where they are written otherwise: a list of one, or groups: N.
func (d *decoder) nameConsumers(s *Scenario) {
	from := "consumer"
	if _, listed := d.places["consumer[0]"]; listed && len(s.Consumers) == 1 {
		from = "consumer[0]"
	}
	for i := range s.Consumers {
		to := s.consumerPath(i)
		if _, there := d.places[to+".group"]; there || to == from {
			continue
		}
		for path, at := range d.places {
			if rest, below := strings.CutPrefix(path, from+"."); below {
				d.places[to+"."+rest] = at
			}
		}
	}
}

// reads are the settings of every group.
func (s *Scenario) eachConsumer(visit func(path string, c *Consumer)) {
	for i := range s.Consumers {
		visit(s.consumerPath(i), &s.Consumers[i])
	}
}

func (c *checker) consumersFit() {
	seen := map[string]bool{}
	c.s.eachConsumer(func(path string, own *Consumer) {
		c.sessionFits(path, own.Settings)
		if p := c.s.Processor; p != nil && p.Group == own.Group {
			c.say(path+".group", "give one of them another group", "consumer and processor share the group %s, and so each other's records", own.Group)
		}
		if seen[own.Group] && own.Group != "" {
			c.say(path+".group", "give one of them another group, or more instances", "group %s is there twice", own.Group)
		}
		seen[own.Group] = true
	})
}
