package scenarios

import (
	"regexp"
	"strconv"
	"strings"
)

// A call is name or name(args): the form that targets, conditions, keys and payloads share.
type call struct {
	name     string
	args     []string // split at commas outside inner parentheses, without blanks around
	brackets bool     // name() differs from name
	argsAt   int      // where the arguments begin, in characters
	rest     string   // what follows, without blanks before it
	restAt   int
}

var callName = regexp.MustCompile(`^\s*[a-zA-Z][a-zA-Z0-9_-]*`)

// parseCall reads one call from the head of s.
func parseCall(s string) (call, error) {
	head := callName.FindString(s)
	if head == "" {
		return call{}, wrong("", "expected a name, found %q", s)
	}
	c := call{name: strings.TrimSpace(head), argsAt: len(head) + 1}
	rest := s[len(head):]
	if strings.HasPrefix(rest, "(") {
		end := closing(rest)
		if end < 0 {
			return call{}, wrong("within {...} a value with a comma needs quotes", "the bracket is not closed in %q", s).at(len(head))
		}
		c.brackets = true
		c.args = splitArgs(rest[1:end])
		rest = rest[end+1:]
	}
	c.rest = strings.TrimSpace(rest)
	c.restAt = len([]rune(s)) - len([]rune(strings.TrimLeft(rest, " \t\r\n")))
	return c, nil
}

// closing is the place of the bracket that closes the one s begins with, -1 where it is missing.
func closing(s string) int {
	depth := 0
	for i, r := range s {
		switch r {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

func splitArgs(s string) []string {
	if strings.TrimSpace(s) == "" {
		return nil
	}
	var args []string
	depth, from := 0, 0
	for i, r := range s {
		switch {
		case r == '(':
			depth++
		case r == ')':
			depth--
		case r == ',' && depth == 0:
			args, from = append(args, strings.TrimSpace(s[from:i])), i+1
		}
	}
	return append(args, strings.TrimSpace(s[from:]))
}

// one is the call's single argument.
func (c call) one(example string) (string, error) {
	if len(c.args) != 1 || c.args[0] == "" {
		return "", wrong("", "expected %s", example).at(c.argsAt - 1)
	}
	return c.args[0], nil
}

var partitionName = regexp.MustCompile(`^([a-zA-Z0-9._-]+)/([0-9]{1,9})$`)

// partition reads the call's argument as topic/partition.
func (c call) partition() (topic string, partition int, err error) {
	arg, err := c.one(c.name + "(topic/partition), such as " + c.name + "(orders/0)")
	if err != nil {
		return "", 0, err
	}
	return parsePartition(c.name, arg, c.argsAt)
}

func parsePartition(name, arg string, offset int) (string, int, error) {
	m := partitionName.FindStringSubmatch(arg)
	if m == nil {
		hint := ""
		if topicName.MatchString(arg) {
			hint = "write " + arg + "/0"
		}
		return "", 0, wrong(hint, "%s: expected topic/partition, such as orders/0, found %q", name, arg).at(offset)
	}
	p, _ := strconv.Atoi(m[2])
	return m[1], p, nil
}

// index reads the call's argument as the number of a worker or broker.
func (c call) index() (int, error) {
	arg, err := c.one(c.name + "(number), such as " + c.name + "(0)")
	if err != nil {
		return 0, err
	}
	n, bad := strconv.ParseUint(arg, 10, 31)
	if bad != nil {
		return 0, wrong("", "%s: expected a number, found %q", c.name, arg).at(c.argsAt)
	}
	return int(n), nil
}

// targetForms are how targets are written, for messages.
func targetForms() []string {
	return []string{"leader(topic/partition)", "follower(topic/partition)", "followers(topic/partition)", "broker(N)",
		"broker(random)", "brokers", "controller", "coordinator(group)", "coordinator(transactional id)", "producer(N)",
		"consumer(N)", "processor(N)", "killed", "paused", "a name given by as"}
}

// anyCoordinator is a coordinator(name) of which it is not known yet whose name that is.
const anyCoordinator = "coordinator?"

// ParseTarget reads a target as a scenario writes it. A coordinator(name) is taken for a group's; whether it is one
// is known within a scenario only.
func ParseTarget(s string) (Target, error) {
	t, err := parseTarget(s)
	if t.Kind == anyCoordinator {
		t.Kind = GroupCoordinator
	}
	return t, err
}

func parseTarget(s string) (Target, error) {
	c, err := parseCall(s)
	if err != nil {
		return Target{}, err
	}
	if !c.brackets && c.rest != "" { // "broker 2"
		c.args, c.brackets, c.argsAt, c.rest = []string{c.rest}, true, c.restAt, ""
	}
	if c.rest != "" {
		return Target{}, wrong("", "nothing can follow the target, found %q", c.rest).at(c.restAt)
	}
	t := Target{Kind: c.name}
	switch c.name {
	case Leader, Follower, Followers:
		t.Topic, t.Partition, err = c.partition()
	case ProducerWorker, ConsumerWorker, ProcessorWorker:
		t.N, err = c.index()
	case Broker:
		if t.Random = len(c.args) == 1 && c.args[0] == "random"; !t.Random {
			t.N, err = c.index()
		}
	case "coordinator":
		t.Kind, t.Name, err = c.coordinator()
	case Brokers, Controller, Killed, Paused:
		if c.brackets {
			err = wrong("write "+c.name, "%s takes no argument", c.name)
		}
	default:
		if c.brackets {
			return Target{}, wrong(didYouMeanForm(c.name), "%q is no target", c.name)
		}
		t = Target{Kind: Named, Name: c.name}
	}
	if err != nil {
		return Target{}, err
	}
	return t, nil
}

func (c call) coordinator() (kind, name string, err error) {
	arg, err := c.one("coordinator(group) or coordinator(transactional id)")
	if err != nil {
		return "", "", err
	}
	kind = anyCoordinator
	if sort, of, ok := strings.Cut(arg, ":"); ok {
		switch arg = strings.TrimSpace(of); sort {
		case "group":
			kind = GroupCoordinator
		case "transaction":
			kind = TransactionCoordinator
		default:
			return "", "", wrong("", "expected coordinator(group:NAME) or coordinator(transaction:ID), found %q", sort).at(c.argsAt)
		}
	}
	if !groupName.MatchString(arg) {
		return "", "", wrong("", "%q cannot be a group or a transactional id", arg).at(c.argsAt)
	}
	return kind, arg, nil
}

func didYouMeanForm(name string) string {
	if near := nearestForm(name); near != "" {
		return near
	}
	return "known: " + strings.Join(targetForms(), ", ")
}

// nearestForm suggests the form of target that was probably meant, "" where none is near.
func nearestForm(name string) string {
	for _, form := range targetForms() {
		if head := callName.FindString(form); nearest(name, []string{head}) != "" && head != "a" {
			return "did you mean " + form + "?"
		}
	}
	return ""
}

// String writes the target as ParseTarget reads it.
func (t Target) String() string {
	switch t.Kind {
	case Leader, Follower, Followers:
		return t.Kind + "(" + t.Topic + "/" + strconv.Itoa(t.Partition) + ")"
	case ProducerWorker, ConsumerWorker, ProcessorWorker:
		return t.Kind + "(" + strconv.Itoa(t.N) + ")"
	case Broker:
		if t.Random {
			return "broker(random)"
		}
		return "broker(" + strconv.Itoa(t.N) + ")"
	case GroupCoordinator:
		return "coordinator(group:" + t.Name + ")"
	case TransactionCoordinator:
		return "coordinator(transaction:" + t.Name + ")"
	case Named, TransactionalID:
		return t.Name
	case TopicTarget:
		return t.Topic
	}
	return t.Kind
}

// worker tells whether the target is a client of kbench's, not a node of the cluster.
func (t Target) worker() bool {
	return t.Kind == ProducerWorker || t.Kind == ConsumerWorker || t.Kind == ProcessorWorker
}
