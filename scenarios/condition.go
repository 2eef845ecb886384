package scenarios

import (
	"slices"
	"strconv"
	"strings"
)

// function that a condition can ask, and the form of its arguments.
type function struct{ name, form string }

// Forms of arguments.
const (
	asksCount          = "N"
	asksPartition      = "topic/partition"
	asksGroup          = "group"
	asksGroupPartition = "group, topic/partition"
	asksWorker         = "worker"
)

func functions() []function {
	return []function{
		{"acked", asksCount}, {"sent", asksCount}, {"read", asksCount}, {"filtered", asksCount},
		{"isr", asksPartition}, {"leader", asksPartition}, {"epoch", asksPartition}, {"end", asksPartition},
		{"committed", asksGroupPartition}, {"members", asksGroup},
		{"held", asksWorker}, {"processed", asksWorker},
	}
}

// operators, the longer before their beginnings.
func operators() []string { return []string{"<=", ">=", "!=", "==", "<", ">", "="} }

// ParseCondition reads isr(orders/0) < 3, acked >= 5000 or its short form acked(5000), leader(orders/0) != old.
// held(worker) alone asks for at least one record in hand.
func ParseCondition(s string) (Condition, error) {
	c, err := parseCall(s)
	if err != nil {
		return Condition{}, err
	}
	at := slices.IndexFunc(functions(), func(f function) bool { return f.name == c.name })
	if at < 0 {
		return Condition{}, wrong(didYouMean(c.name, functionNames()), "%q is no figure that a condition can ask for", c.name)
	}
	f := functions()[at]
	out := Condition{Func: f.name, Text: strings.TrimSpace(s)}
	if err := f.arguments(c, &out); err != nil {
		return Condition{}, err
	}
	if c.rest == "" && out.Op != "" {
		return out, nil
	}
	if err := out.compare(c, f); err != nil {
		return Condition{}, err
	}
	return out, nil
}

func functionNames() []string {
	var names []string
	for _, f := range functions() {
		names = append(names, f.name)
	}
	return names
}

// arguments fills in what the function is asked of, and the comparison that its short form means.
func (f function) arguments(c call, out *Condition) (err error) {
	switch f.form {
	case asksCount:
		if c.brackets && c.rest == "" {
			out.Op = ">="
			out.Value, err = c.count()
		} else if len(c.args) > 0 {
			err = wrong("write "+c.name+"("+c.args[0]+") or "+c.name+" "+c.rest, "%s has both a number in brackets and a comparison", c.name)
		}
	case asksPartition:
		out.Target.Topic, out.Target.Partition, err = c.partition()
	case asksGroup:
		out.Group, err = c.one("members(group), such as members(readers) = 2")
	case asksGroupPartition:
		if len(c.args) != 2 {
			return wrong("", "expected %s(group, topic/partition), such as %s(readers, orders/0) >= 10", c.name, c.name)
		}
		out.Group = c.args[0]
		out.Target.Topic, out.Target.Partition, err = parsePartition(c.name, c.args[1], c.argsAt)
	case asksWorker:
		err = c.worker(out)
	}
	if err == nil && out.Group != "" && !groupName.MatchString(out.Group) {
		err = wrong("", "%q cannot be a group", out.Group).at(c.argsAt)
	}
	return err
}

func (c call) count() (int64, error) {
	arg, err := c.one(c.name + "(number), such as " + c.name + "(5000)")
	if err != nil {
		return 0, err
	}
	return parseCount(arg, c.argsAt)
}

func parseCount(s string, offset int) (int64, error) {
	n, err := strconv.ParseInt(strings.ReplaceAll(s, "_", ""), 10, 64)
	if err != nil || n < 0 {
		return 0, wrong("", "expected a whole number, found %q", s).at(offset)
	}
	return n, nil
}

func (c call) worker(out *Condition) error {
	arg, err := c.one(c.name + "(worker), such as " + c.name + "(processor(0))")
	if err != nil {
		return err
	}
	if out.Target, err = parseTarget(arg); err != nil || !out.Target.worker() {
		return wrong("", "%s: expected producer(N), consumer(N) or processor(N), found %q", c.name, arg).at(c.argsAt)
	}
	if c.name == "held" && c.rest == "" {
		out.Op, out.Value = ">=", 1
	}
	return nil
}

// compare reads the operator and the value.
func (out *Condition) compare(c call, f function) error {
	at := slices.IndexFunc(operators(), func(op string) bool { return strings.HasPrefix(c.rest, op) })
	if at < 0 {
		example := c.name + "(" + f.form + ") >= 1"
		if f.form == asksCount {
			example = c.name + "(5000)"
		}
		found := "nothing"
		if c.rest != "" {
			found = strconv.Quote(c.rest)
		}
		return wrong("such as "+example, "expected a comparison (<, <=, =, !=, >=, >) after %s, found %s", c.name, found).at(c.restAt)
	}
	op := operators()[at]
	value := strings.TrimSpace(c.rest[len(op):])
	valueAt := c.restAt + len([]rune(c.rest)) - len([]rune(value))
	if out.Op = op; op == "==" {
		out.Op = "="
	}
	if asName.MatchString(value) {
		out.Name = value
		if f.name != "leader" {
			return wrong("", "only leader(topic/partition) can be compared with a name, found %q", value).at(valueAt)
		}
		return nil
	}
	var err error
	out.Value, err = parseCount(value, valueAt)
	return err
}

// ParseTrigger reads a time from the start of measuring, or a condition.
func ParseTrigger(s string) (Trigger, error) {
	if s = strings.TrimSpace(s); s != "" && (s[0] >= '0' && s[0] <= '9' || s[0] == '.' || s[0] == '-') {
		after, err := parseDuration(s)
		return Trigger{After: after}, err
	}
	when, err := ParseCondition(s)
	if err != nil {
		return Trigger{}, err
	}
	return Trigger{When: &when}, nil
}

// String writes the trigger as ParseTrigger reads it.
func (t Trigger) String() string {
	if t.When != nil {
		return t.When.Text
	}
	return t.After.String()
}
