package scenarios

import (
	"slices"
	"strconv"
	"strings"
)

// Change sets one field before a scenario is checked.
type Change struct {
	Path  string // load.rate, client.acks, topics[0].partitions, topics[orders].partitions, topics.partitions (of each), cluster.config.min.insync.replicas
	Value string // as YAML: 100/s, [a, b], {violated: [duplicate]}
	From  string // what problems call it: --set
	who   Who    // overrides: Path is a client setting
}

// Who is meant by an override.
type Who string

const (
	EveryClient   Who = ""
	EveryProducer Who = "producer"
	EveryConsumer Who = "consumer"
)

// Set reads path=value.
func Set(assignment string) (Change, error) {
	path, value, ok := strings.Cut(assignment, "=")
	if path = strings.TrimSpace(path); !ok || path == "" {
		return Change{}, wrong("such as load.rate=100/s", "expected path=value, found %q", assignment)
	}
	return Change{Path: path, Value: value, From: "--set"}, nil
}

// Override sets a client setting by Kafka's name for every client of the kind that the scenario has, a processor's own
// included. For EveryClient it goes to each kind that knows it.
func Override(who Who, key, value string) Change {
	return Change{Path: key, Value: value, From: "-X", who: who}
}

// segment of a path: a key, then perhaps an item of the list that stands there.
type segment struct{ key, item string }

// segments splits a path. Behind a mapping whose keys are Kafka's, the rest is one key.
func segments(path string) []segment {
	var out []segment
	var above []string
	for path != "" {
		if settingsFollow(above, path) {
			return append(out, segment{key: path})
		}
		head, rest, _ := strings.Cut(path, ".")
		s := segment{key: head}
		if open := strings.IndexByte(path, '['); open >= 0 && open < len(head) {
			end := strings.IndexByte(path, ']')
			if end < 0 {
				end = len(path)
			}
			s = segment{key: path[:open], item: path[open+1 : end]}
			rest = strings.TrimPrefix(path[min(end+1, len(path)):], ".")
		}
		out, above, path = append(out, s), append(above, s.key), rest
	}
	return out
}

// settingsFollow tells whether what stands below the keys above is one dotted key.
func settingsFollow(above []string, rest string) bool {
	switch strings.Join(above, ".") {
	case "client", "consumer", "matrix", "cluster.config", "topics.config", "processor.client", "processor.consumer":
		return true
	case "processor":
		return !strings.HasPrefix(rest, "client.") && !strings.HasPrefix(rest, "consumer.")
	}
	return false
}

// change makes the changes one after the other.
func change(root *node, changes []Change) (*node, Problems) {
	var problems Problems
	if root.shape != aMapping {
		return root, nil // a problem of its own, which changes must not hide
	}
	for _, c := range changes {
		at := place{newSource(c.From, []byte(c.Path+"="+c.Value)), Pos{1, 1}}
		value := c.value(at.source)
		for _, path := range c.paths(root) {
			changed, m := replace(root, segments(path), at, value)
			if m != nil {
				problems = append(problems, at.problem(path, m.hint, m.message))
				continue
			}
			root = changed
		}
	}
	return root, problems
}

// value reads the value as YAML, at the column where it stands behind the path. What is no YAML is a text, and so is
// "a: b": mappings and lists are written with their brackets here.
func (c Change) value(src *source) *node {
	c.Value = strings.TrimSpace(c.Value)
	indented := strings.Repeat(" ", len([]rune(c.Path))+1) + c.Value
	if root, problems := readTree(src, []byte(indented)); root != nil && len(problems) == 0 {
		if root.shape != aMapping && root.shape != aList || strings.ContainsAny(c.Value[:1], "{[") {
			return root
		}
	}
	at := place{src, Pos{1, len([]rune(c.Path)) + 2}}
	return &node{place: at, shape: aText, text: c.Value, plain: true}
}

// paths that the change goes to.
func (c Change) paths(root *node) []string {
	if c.From != "-X" {
		return []string{c.Path}
	}
	var paths []string
	producers := c.who == EveryProducer || c.who == EveryClient && ofProducers.knows(c.Path)
	consumers := c.who == EveryConsumer || c.who == EveryClient && ofConsumers.knows(c.Path)
	processes := root.get("processor") != nil
	if producers || !consumers {
		paths = append(paths, "client."+c.Path)
		if processes {
			paths = append(paths, "processor.client."+c.Path)
		}
	}
	if consumers && processes {
		paths = append(paths, "processor.consumer."+c.Path)
	}
	if consumers && (root.get("consumer") != nil || !ofConsumers.knows(c.Path)) {
		paths = append(paths, "consumer."+c.Path)
	}
	return paths
}

// replace is a copy of the tree in which the path has the value. Mappings on the way are made where they are missing.
func replace(n *node, path []segment, at place, value *node) (*node, *mistake) {
	if len(path) == 0 {
		return value, nil
	}
	var below *node
	if n != nil && n.shape == aMapping {
		below = n.get(path[0].key)
	}
	changed, m := replaceItem(below, path[0], path[1:], at, value)
	if m != nil {
		return nil, m
	}
	return n.with(path[0].key, at, changed), nil
}

func replaceItem(n *node, s segment, rest []segment, at place, value *node) (*node, *mistake) {
	if n == nil && s.key == "topics" && len(rest) > 0 {
		n = theTopic(at) // what there is where a file names none
	}
	if s.item == "" && (n == nil || n.shape != aList || len(rest) == 0) {
		return replace(n, rest, at, value)
	}
	if s.item == "" {
		return replaceEach(n, rest, at, value)
	}
	if n == nil || n.shape != aList {
		return nil, wrong("set the whole list: "+s.key+"=[...]", "the file has no list %s", s.key)
	}
	i := slices.IndexFunc(n.items, func(item *node) bool {
		name := item.get("name")
		return name != nil && name.text == s.item
	})
	if index, err := strconv.Atoi(s.item); err == nil {
		i = index
	}
	if i < 0 || i >= len(n.items) {
		return nil, wrong("", "%s has no entry %s; it has %d", s.key, s.item, len(n.items))
	}
	changed, m := replace(n.items[i], rest, at, value)
	if m != nil {
		return nil, m
	}
	c := *n
	c.items = slices.Clone(n.items)
	c.items[i] = changed
	return &c, nil
}

// replaceEach changes every item of a list.
func replaceEach(n *node, rest []segment, at place, value *node) (*node, *mistake) {
	c := *n
	c.items = slices.Clone(n.items)
	for i := range c.items {
		changed, m := replace(c.items[i], rest, at, value)
		if m != nil {
			return nil, m
		}
		c.items[i] = changed
	}
	return &c, nil
}

// theTopic is a list of the topic that a scenario without topics has.
func theTopic(at place) *node {
	name := &node{place: at, shape: aText, text: defaultTopic}
	topic := &node{place: at, shape: aMapping, entries: []entry{{key: "name", at: at, value: name}}}
	return &node{place: at, shape: aList, items: []*node{topic}}
}
