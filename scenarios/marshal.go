package scenarios

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/goccy/go-yaml"
)

// Marshal writes the scenario, with every default filled in, as a file that Parse reads back to the same scenario.
func Marshal(s Scenario) []byte {
	m := document{}
	m.text("name", s.Name)
	m.text("about", s.About)
	m.text("guarantee", string(s.Guarantee))
	if s.Guarantee != Unjudged {
		m.add("expect", s.Expect.yaml())
	}
	m.text("twin", s.Twin)
	if !slices.Equal(s.Clusters, s.shownBy()) {
		m.add("clusters", s.Clusters)
	}
	m.add("cluster", s.Cluster.yaml())
	m.add("topics", each(s.Topics, Topic.yaml))
	m.add("load", s.Load.yaml(len(s.Steps) > 0))
	m.add("producers", s.Producers.yaml())
	m.settings("client", s.Client)
	switch len(s.Consumers) {
	case 0:
	case 1:
		m.add("consumer", s.Consumers[0].yaml())
	default:
		m.add("consumer", each(s.Consumers, Consumer.yaml))
	}
	if s.Processor != nil {
		m.add("processor", s.Processor.yaml())
	}
	m.some("faults", each(s.Faults, Fault.yaml))
	m.some("steps", each(s.Steps, Step.yaml))
	var matrix document
	for _, a := range s.Matrix {
		matrix.add(a.Path, a.Values)
	}
	m.some("matrix", matrix)
	m.some("thresholds", each(s.Thresholds, Threshold.String))
	m.text("objective", s.Objective.Text)
	m.add("repeat", s.Repeat)
	if s.Seed != 0 {
		m.add("seed", s.Seed)
	}
	out, err := yaml.MarshalWithOptions(yaml.MapSlice(m), yaml.IndentSequence(true), yaml.UseSingleQuote(true))
	if err != nil {
		panic(fmt.Sprintf("scenarios: a scenario of plain values cannot be written: %v", err))
	}
	return out
}

// document is a mapping in order.
type document yaml.MapSlice

func (m *document) add(key string, value any) {
	switch v := value.(type) {
	case document:
		value = yaml.MapSlice(v)
	case string:
		value = written(v)
	case []string:
		value = each(v, func(s string) any { return written(s) })
	}
	*m = append(*m, yaml.MapItem{Key: key, Value: value})
}

// simple are the texts that the YAML library writes so that it reads them back: words of plain characters.
var simple = regexp.MustCompile(`^[a-zA-Z0-9/][a-zA-Z0-9._/()<>=,+;%-]*( [a-zA-Z0-9._/()<>=,+;%-]+)*$`)

// written is a text as it goes to the YAML library; any other than a simple one goes in double quotes, escaped.
func written(s string) any {
	if simple.MatchString(s) {
		return s
	}
	return quoted(s)
}

type quoted string

// MarshalYAML writes a JSON string, which is YAML too.
func (q quoted) MarshalYAML() ([]byte, error) { return json.Marshal(string(q)) }

func (m *document) text(key, value string) {
	if value != "" {
		m.add(key, value)
	}
}

// some adds what is not empty.
func (m *document) some(key string, value any) {
	switch v := value.(type) {
	case document:
		if len(v) == 0 {
			return
		}
	case []any:
		if len(v) == 0 {
			return
		}
	}
	m.add(key, value)
}

func (m *document) duration(key string, d time.Duration) {
	if d != 0 {
		m.add(key, brief(d))
	}
}

func (m *document) settings(key string, of map[string]string) {
	var d document
	d.merge(of)
	m.some(key, d)
}

func (m *document) merge(of map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(of)) {
		m.add(name, scalarOf(of[name]))
	}
}

// scalarOf writes a setting's number as a number.
func scalarOf(s string) any {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && strconv.FormatInt(n, 10) == s {
		return n
	}
	if s == "true" || s == "false" {
		return s == "true"
	}
	return s
}

func each[T, U any](items []T, write func(T) U) []any {
	var out []any
	for _, item := range items {
		var v any = write(item)
		if d, ok := v.(document); ok {
			v = yaml.MapSlice(d)
		}
		out = append(out, v)
	}
	return out
}

func (e Expect) yaml() any {
	switch {
	case !e.Violated:
		return "holds"
	case len(e.Anomalies) == 0:
		return "violated"
	}
	return document{{Key: "violated", Value: e.Anomalies}}
}

func (c ClusterSpec) yaml() document {
	m := document{{Key: "brokers", Value: c.Brokers}, {Key: "controllers", Value: c.Controllers}}
	m.settings("config", c.Config)
	m.text("heap", c.Heap)
	m.some("jvm", each(c.JVM, written))
	return m
}

func (t Topic) yaml() document {
	m := document{{Key: "name", Value: t.Name}, {Key: "partitions", Value: t.Partitions}, {Key: "replication", Value: t.Replication}}
	if t.Weight != 1 {
		m.add("weight", t.Weight)
	}
	m.settings("config", t.Config)
	return m
}

func (l Load) yaml(steps bool) document {
	var m document
	if l.Backlog > 0 {
		m.add("backlog", l.Backlog)
	}
	switch {
	case l.Max:
		m.add("rate", "max")
	case l.Shape.Kind != "":
		m.add("rate", l.Shape.text())
	case l.Rate > 0:
		m.add("rate", formatRate(l.Rate))
	}
	m.duration("duration", l.Duration)
	m.duration("warmup", l.Warmup)
	if l.Records > 0 {
		m.add("records", l.Records)
	}
	m.add("drain", brief(l.Drain))
	m.add("record", l.Record.yaml())
	if l.Txn.Size > 0 {
		m.add("transactions", document{{Key: "size", Value: l.Txn.Size}, {Key: "abort", Value: l.Txn.aborts()}})
	}
	return m
}

func (t TxnSpec) aborts() any {
	if t.Every > 0 {
		return fmt.Sprintf("every(%d)", t.Every)
	}
	return number(t.Abort)
}

// number writes a share: a whole one without a point.
func number(f float64) any {
	if f == float64(int64(f)) {
		return int64(f)
	}
	return f
}

func (p Producers) yaml() document {
	m := document{{Key: "count", Value: p.Count}, {Key: "after-crash", Value: string(p.AfterCrash)}}
	m.restart(p.Restart)
	return m
}

// restart adds the field where it differs from what it is by default.
func (m *document) restart(restart bool) {
	if restart {
		m.add("restart", onFailure)
	}
}

func (c Consumer) yaml() document {
	m := document{{Key: "group", Value: c.Group}, {Key: "instances", Value: c.Instances}, {Key: "commit", Value: string(c.Commit)}}
	m.duration("handling", c.Handling)
	if c.Batch > 0 {
		m.add("batch", c.Batch)
	}
	m.restart(c.Restart)
	m.merge(c.Settings)
	return m
}

func (p Processor) yaml() document {
	m := document{{Key: "from", Value: p.From}, {Key: "to", Value: p.To}, {Key: "group", Value: p.Group}, {Key: "instances", Value: p.Instances}}
	if p.Start != nil {
		m.add("start", p.Start)
	}
	m.text("transactional.id", p.Transactional)
	m.add("batch", p.Batch)
	m.add("assignment", p.Assignment)
	m.add("generation", p.Generation)
	m.restart(p.Restart)
	m.settings("client", p.Client)
	m.settings("consumer", p.Consumer)
	return m
}

func (f Fault) yaml() document {
	if f.Series != nil {
		return f.Series.yaml()
	}
	m := document{{Key: "at", Value: f.At.brief()}, {Key: f.Action, Value: f.Target.String()}}
	m.duration("for", f.For)
	if f.After > 0 {
		m.add("after", f.After)
	}
	if f.Count > 0 {
		m.add("count", f.Count)
	}
	if f.Drawn {
		m.add("drawn", true)
	}
	return m
}

func (t Trigger) brief() string {
	if t.When != nil {
		return t.When.Text
	}
	return brief(t.After)
}

func (s Step) yaml() document {
	var m document
	switch s.Do {
	case "send":
		if m.add(s.Do, s.N); s.Open {
			m.add("open", true)
		}
	case "wait":
		m.add(s.Do, brief(s.For))
	case "flush":
		m.add(s.Do, brief(s.Within))
	case "check":
		m.add(s.Do, s.When.Text)
	case "await":
		m.add(s.Do, s.When.Text)
		m.add("within", brief(s.Within))
	default:
		m.add(s.Do, s.Target.String())
		if s.After > 0 {
			m.add("after", s.After)
		}
		if s.N > 0 {
			m.add("count", s.N)
		}
	}
	m.text("at", s.Point)
	m.text("as", s.As)
	return m
}
