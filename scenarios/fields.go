package scenarios

import (
	"errors"
	"math"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Forms of names.
var (
	scenarioName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._-]*$`)
	topicName    = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)
	groupName    = regexp.MustCompile(`^[a-zA-Z0-9._{}-]{1,200}$`) // transactional ids too
	asName       = regexp.MustCompile(`^[a-z][a-z0-9_-]*$`)
)

const (
	defaultTopic     = "orders"
	defaultGroup     = "processor"
	defaultRecord    = 1024
	defaultDrain     = time.Minute
	defaultAwait     = 30 * time.Second
	defaultKeys      = 1000
	defaultPartition = 6
)

// scenario reads a whole file.
func (d *decoder) scenario(n *node) Scenario {
	s := Scenario{
		Cluster:   ClusterSpec{Brokers: 3, Controllers: 1, Heap: "512m"},
		Load:      Load{Drain: defaultDrain, Record: RecordSpec{Size: defaultRecord, Keys: Keys{Kind: UniformKeys, Count: defaultKeys}, Payload: "random", Compressibility: 0.5}},
		Producers: Producers{Count: 1, AfterCrash: Skip},
		Client:    map[string]string{},
		Repeat:    1,
	}
	name := regexp.MustCompile(`[^a-zA-Z0-9._-]+`).ReplaceAllString(strings.TrimSuffix(filepath.Base(n.name), filepath.Ext(n.name)), "-")
	s.Name = name
	d.object(n, "", fields{
		"name":       d.named(&s.Name, "a name of letters, digits, dots and hyphens", scenarioName),
		"about":      d.text(&s.About),
		"guarantee":  choice(d, &s.Guarantee, AtMostOnce, AtLeastOnce, ExactlyOnce, ExactlyOnceTransactions),
		"expect":     d.expect(&s.Expect),
		"twin":       d.named(&s.Twin, "the name of a scenario", scenarioName),
		"clusters":   d.clusters(&s.Clusters),
		"cluster":    d.cluster(&s.Cluster),
		"topics":     d.topics(&s.Topics, &s.Cluster),
		"load":       d.load(&s.Load),
		"producers":  d.producers(&s.Producers),
		"client":     d.settings(ofProducers, &s.Client),
		"consumer":   d.consumers(&s.Consumers),
		"processor":  d.processor(&s.Processor),
		"faults":     d.faults(&s.Faults),
		"steps":      d.steps(&s.Steps),
		"matrix":     d.matrix(&s.Matrix),
		"thresholds": d.thresholds(&s.Thresholds),
		"objective":  grammar(d, &s.Objective, objectiveExample, ParseObjective),
		"repeat":     d.integer(&s.Repeat, 1),
		"seed":       d.whole64(&s.Seed),
	}, nil)
	d.complete(&s)
	return s
}

// complete fills in what depends on several fields: topics that are not written down, whose coordinator is meant, and
// which clients must be processes of their own.
func (d *decoder) complete(s *Scenario) {
	replication := min(3, s.Cluster.Brokers)
	if len(s.Topics) == 0 && !d.broken("topics") {
		s.Topics = []Topic{{Name: defaultTopic, Partitions: defaultPartition, Replication: replication, Weight: 1}}
	}
	for i := range s.Topics {
		if t := &s.Topics[i]; t.Replication == 0 {
			t.Replication = replication
		}
	}
	if l := &s.Load; l.Shape.Kind != "" {
		if l.Duration == 0 {
			l.Duration = length(l.Shape.recorded)
		}
		l.Rate = mean(l.Stages())
	}
	if l := &s.Load; l.Duration == 0 && l.Records > 0 && l.Rate > 0 {
		l.Duration = time.Duration(math.Ceil(float64(l.Records) / l.Rate * float64(time.Second)))
	}
	d.output(s)
	d.product(s)
	d.nameConsumers(s)
	s.nameTargets()
	s.isolate()
	if len(s.Clusters) == 0 {
		s.Clusters = s.shownBy()
	}
}

// output adds the topic that a processor writes where it is not among the topics: it is made like the one it reads.
func (d *decoder) output(s *Scenario) {
	if s.Processor == nil || s.Processor.To == "" || d.broken("topics") || s.topic(s.Processor.To) != nil {
		return
	}
	from := s.topic(s.Processor.From)
	var names []string
	for _, t := range s.Topics {
		names = append(names, t.Name)
	}
	if near := nearest(s.Processor.To, names); from == nil || near != "" && distance(near, s.Processor.To) <= 1 {
		return // reported by the checks
	}
	s.Topics = append(s.Topics, Topic{Name: s.Processor.To, Partitions: from.Partitions, Replication: from.Replication, Weight: 1})
}

func (d *decoder) expect(to *Expect) reader {
	return func(n *node, path string) {
		if n.shape != aMapping {
			word := ""
			choice(d, &word, "holds", "violated")(n, path)
			to.Violated = word == "violated"
			return
		}
		d.object(n, path, fields{"violated": func(n *node, path string) {
			to.Violated = true
			d.list(n, path, func(n *node, path string) {
				var anomaly string
				choice(d, &anomaly, Anomalies()...)(n, path)
				to.Anomalies = append(to.Anomalies, anomaly)
			})
		}}, nil)
	}
}

// Anomalies are the names that a scenario can expect.
func Anomalies() []string {
	return []string{"lost-write", "unseen", "duplicate", "inconsistent-offset", "aborted-read", "precommitted-read", "poll-skip",
		"nonmonotonic-poll", "internal-poll-skip", "internal-nonmonotonic-poll", "nonmonotonic-send", "internal-nonmonotonic-send",
		"internal-send-skip", "torn-transaction", "hanging-transaction", "g0", "g1c", "foreign-record", "corrupt-record",
		"offset-hole", "leader-epoch-regression", "reprocessed", "unprocessed"}
}

func (d *decoder) clusters(to *[]string) reader {
	return func(n *node, path string) {
		d.list(n, path, func(n *node, path string) {
			var kind string
			choice(d, &kind, "local", "docker", "embedded", "external")(n, path)
			*to = append(*to, kind)
		})
	}
}

func (d *decoder) cluster(to *ClusterSpec) reader {
	return func(n *node, path string) {
		d.object(n, path, fields{
			"brokers":     d.integer(&to.Brokers, 1),
			"controllers": d.integer(&to.Controllers, 1),
			"config":      d.settings(ofCluster, &to.Config),
			"heap":        d.named(&to.Heap, "a heap size as Java takes it, such as 512m or 1g", regexp.MustCompile(`^[1-9][0-9]*[kKmMgG]$`)),
			"jvm":         d.texts(&to.JVM),
		}, nil)
	}
}

func (d *decoder) texts(to *[]string) reader {
	return func(n *node, path string) {
		d.list(n, path, func(n *node, path string) {
			var s string
			d.text(&s)(n, path)
			*to = append(*to, s)
		})
	}
}

func (d *decoder) topics(to *[]Topic, cluster *ClusterSpec) reader {
	return func(n *node, path string) {
		d.list(n, path, func(n *node, path string) {
			t := Topic{Partitions: defaultPartition, Weight: 1}
			d.object(n, path, fields{
				"name":        d.named(&t.Name, "a topic's name (letters, digits, dots, hyphens, underscores)", topicName),
				"partitions":  d.integer(&t.Partitions, 1),
				"replication": d.integer(&t.Replication, 1),
				"weight":      d.integer(&t.Weight, 0),
				"config":      d.settings(ofTopics, &t.Config),
			}, nil)
			if t.Name == "" && !d.broken(path) {
				d.complain(n.place, path, "such as {name: orders, partitions: 6}", "a topic needs a name")
			}
			*to = append(*to, t)
		})
	}
}

func (d *decoder) load(to *Load) reader {
	return func(n *node, path string) {
		d.object(n, path, fields{
			"rate":     d.rate(to),
			"duration": d.duration(&to.Duration),
			"warmup":   d.duration(&to.Warmup),
			"backlog":  d.whole64(&to.Backlog),
			"records":  d.whole64(&to.Records),
			"drain":    d.duration(&to.Drain),
			"record":   d.record(&to.Record),
			"transactions": func(n *node, path string) {
				d.object(n, path, fields{"size": d.integer(&to.Txn.Size, 0), "abort": d.aborts(&to.Txn)}, nil)
			},
		}, nil)
	}
}

func (d *decoder) rate(to *Load) reader {
	return func(n *node, path string) {
		if n.shape != aText && n.shape != aNumber {
			d.complain(n.place, path, "", "expected a rate such as 5000/s, or max, found %s", n.found())
			return
		}
		shape, shaped, err := parseShape(n.text)
		if err != nil {
			d.mistaken(n, path, err)
			return
		}
		if to.Shape = shape; shaped {
			return
		}
		perSecond, most, err := parseRate(n.text)
		if err != nil {
			d.mistaken(n, path, err)
			return
		}
		to.Rate, to.Max = perSecond, most
	}
}

// aborts reads a share, or every(N).
func (d *decoder) aborts(to *TxnSpec) reader {
	return func(n *node, path string) {
		if n.shape != aText {
			d.share(&to.Abort)(n, path)
			return
		}
		var c call
		grammar(d, &c, "a share or every(N)", parseCall)(n, path)
		if d.spoiled[path] {
			return
		}
		if c.name != "every" || c.rest != "" {
			d.complain(n.place, path, "such as abort: 0.2, or abort: every(2)", "expected a share from 0 to 1, or every(N), found %q", n.text)
			return
		}
		every, err := c.count()
		if err == nil && (every < 1 || every > 1<<31-1) {
			err = wrong("", "expected at least 1, found %d", every).at(c.argsAt)
		}
		if err != nil {
			d.mistaken(n, path, err)
			return
		}
		to.Every = int(every)
	}
}

func (d *decoder) producers(to *Producers) reader {
	return func(n *node, path string) {
		d.object(n, path, fields{"count": d.integer(&to.Count, 1), "after-crash": choice(d, &to.AfterCrash, Skip, Resend), "restart": d.restart(&to.Restart)}, nil)
	}
}

// What becomes of a session that ended by itself with an error, as one that was fenced does.
const (
	never     = "never"
	onFailure = "on-failure"
)

func (d *decoder) restart(to *bool) reader {
	return func(n *node, path string) {
		word := ""
		choice(d, &word, never, onFailure)(n, path)
		*to = word == onFailure
	}
}

// settings reads a mapping of Kafka's settings, each by its one dotted name.
func (d *decoder) settings(of scope, to *map[string]string) reader {
	return func(n *node, path string) {
		d.object(n, path, nil, d.setting(of, to))
	}
}

// setting reads one entry of such a mapping.
func (d *decoder) setting(of scope, to *map[string]string) func(entry, string) {
	return func(e entry, path string) {
		switch e.value.shape {
		case aText, aNumber, aTruth:
		default:
			d.complain(e.value.place, path, "", "expected a value, found %s", e.value.found())
			return
		}
		if r := reservedSetting(of, e.key, strings.HasPrefix(path, "processor")); r != "" {
			d.complain(e.at, path, r, "%s follows from other fields", e.key)
			return
		}
		if of == ofProducers && path == bufferPath && isProduct(e.value.text) {
			d.productOf(e.value, path)
			return
		}
		value, err := of.parse(e.key, e.value.text)
		if err != nil {
			at := e.value
			if !of.knows(e.key) {
				at = &node{place: e.at}
			}
			d.mistaken(at, path, unnamed(err, e.key))
			return
		}
		if *to == nil {
			*to = map[string]string{}
		}
		(*to)[e.key] = value
	}
}

// unnamed takes the setting's name from the head of a message, since the path says it.
func unnamed(err error, name string) error {
	var m *mistake
	if errors.As(err, &m) {
		return wrong(m.hint, "%s", strings.TrimPrefix(m.message, name+": "))
	}
	message := strings.TrimPrefix(err.Error(), name+": ")
	if m := wanted.FindStringSubmatch(message); m != nil {
		message = "expected " + m[2] + ", found " + m[1]
	}
	return wrong("", "%s", message)
}

// wanted is how package settings says what a value should be.
var wanted = regexp.MustCompile(`^("(?:[^"\\]|\\.)*"): want (.*)$`)

// reservedSetting says what to write instead of a setting that follows from other fields.
func reservedSetting(of scope, name string, processor bool) string {
	switch {
	case processor && name == "transactional.id":
		return "write processor: {transactional.id: ID}"
	case processor && name == "group.id":
		return "write processor: {group: NAME}"
	case processor && name == "enable.auto.commit":
		return "leave it out: a processor commits offsets with its outputs"
	case of == ofConsumers && name == "group.id":
		return "write consumer: {group: NAME}"
	case of == ofConsumers && name == "enable.auto.commit":
		return "write consumer: {commit: auto}"
	case of == ofCluster && (name == "node.id" || name == "process.roles" || strings.HasPrefix(name, "controller.quorum.") && !strings.HasSuffix(name, ".ms") ||
		strings.HasSuffix(name, "listeners") || strings.HasPrefix(name, "log.dir") || name == "metadata.log.dir"):
		return "it ties the nodes together; leave it out"
	}
	return ""
}

// withDefault sets what kbench decides differently from Kafka: a group begins with what was sent before it was there.
func withDefault(of map[string]string, name, value string) map[string]string {
	if of == nil {
		of = map[string]string{}
	}
	if _, ok := of[name]; !ok {
		of[name] = value
	}
	return of
}

func (d *decoder) processor(to **Processor) reader {
	return func(n *node, path string) {
		p := Processor{Group: defaultGroup, Instances: 1, Batch: 100, Assignment: "group", Generation: true, Client: map[string]string{}}
		if a := n.get("assignment"); a != nil && a.text == "manual" {
			p.Generation = false // there is no membership that could have one
		}
		d.object(n, path, fields{
			"from":             d.named(&p.From, "a topic's name", topicName),
			"to":               d.named(&p.To, "a topic's name", topicName),
			"group":            d.named(&p.Group, "a group's name", groupName),
			"instances":        d.integer(&p.Instances, 1),
			"start":            d.numbers(&p.Start),
			"transactional.id": d.named(&p.Transactional, "a transactional id, in which {instance} stands for the instance's number", groupName),
			"batch":            d.integer(&p.Batch, 1),
			"assignment":       choice(d, &p.Assignment, "group", "manual"),
			"generation":       d.truth(&p.Generation),
			"restart":          d.restart(&p.Restart),
			"client":           d.settings(ofProducers, &p.Client),
			"consumer":         d.settings(ofConsumers, &p.Consumer),
		}, d.processorSetting(&p))
		if n.shape == aMapping && (p.From == "" && !d.broken(path+".from") || p.To == "" && !d.broken(path+".to")) {
			d.complain(n.place, path, "such as {from: orders, to: bills}", "a processor needs the topics that it reads from and writes to")
		}
		p.Consumer = withDefault(p.Consumer, "auto.offset.reset", "earliest")
		*to = &p
	}
}

// processorSetting takes a setting that stands among the processor's own fields to its consumer, its producer, or both.
func (d *decoder) processorSetting(p *Processor) func(entry, string) {
	return func(e entry, path string) {
		names := []string{"from", "to", "group", "instances", "start", "transactional.id", "batch", "assignment", "generation", "restart", "client", "consumer"}
		producers, consumers := ofProducers.knows(e.key), ofConsumers.knows(e.key)
		if near := nearest(e.key, names); !producers && !consumers && near != "" {
			d.complain(e.at, path, "did you mean "+near+"?", "unknown key")
			return
		}
		if producers {
			d.setting(ofProducers, &p.Client)(e, path)
		}
		if consumers || !producers {
			d.setting(ofConsumers, &p.Consumer)(e, path)
		}
	}
}

func (d *decoder) numbers(to *[]int) reader {
	return func(n *node, path string) {
		*to = []int{}
		d.list(n, path, func(n *node, path string) {
			var v int
			d.integer(&v, 0)(n, path)
			*to = append(*to, v)
		})
	}
}

func (d *decoder) matrix(to *[]Axis) reader {
	return func(n *node, path string) {
		d.object(n, path, nil, func(e entry, path string) {
			axis := Axis{Path: e.key}
			d.list(e.value, path, func(n *node, path string) {
				switch n.shape {
				case aText, aNumber, aTruth:
					axis.Values = append(axis.Values, n.text)
				default:
					d.complain(n.place, path, "", "expected a plain value, found %s", n.found())
				}
			})
			if e.value.shape == aList && len(e.value.items) == 0 {
				d.complain(e.value.place, path, "", "an axis needs at least one value")
			}
			*to = append(*to, axis)
		})
	}
}

func (d *decoder) thresholds(to *[]Threshold) reader {
	return func(n *node, path string) {
		d.list(n, path, func(n *node, path string) {
			var t Threshold
			grammar(d, &t, "a threshold such as 'ack.p99 < 50ms'", ParseThreshold)(n, path)
			*to = append(*to, t)
		})
	}
}
