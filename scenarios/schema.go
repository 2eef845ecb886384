package scenarios

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kbench/kbench/internal/settings"
)

// schema is a JSON Schema or a part of one.
type schema map[string]any

// Schema is the JSON Schema (draft 2020-12) of a scenario file, for editors. It describes the shape of a file; what
// contradicts what is known to Parse alone.
func Schema() []byte {
	root := objectOf("a scenario of kbench", map[string]schema{
		"name":       pattern("what the scenario is called; the file's name where it is left out", scenarioName.String()),
		"about":      {"type": "string", "description": "one line: what it shows"},
		"guarantee":  oneOf("what the run is judged by; left out: measured only", AtMostOnce, AtLeastOnce, ExactlyOnce, ExactlyOnceTransactions),
		"expect":     expectSchema(),
		"twin":       pattern("the scenario that differs in the unsafe setting alone", scenarioName.String()),
		"clusters":   listOf("kinds of cluster that can show it; derived where it is left out", oneOf("", "local", "docker", "embedded", "external")),
		"cluster":    clusterSchema(),
		"topics":     listOf("topics of the load; default: orders, 6 partitions", topicSchema()),
		"load":       loadSchema(),
		"producers":  producersSchema(),
		"client":     settingsOf("the producers' settings, by Kafka's names", ofProducers),
		"consumer":   consumerSchema(),
		"processor":  processorSchema(),
		"faults":     listOf("faults at times or on events", faultSchema()),
		"steps":      listOf("a strict sequence, instead of faults", stepSchema()),
		"matrix":     matrixSchema(),
		"thresholds": listOf("objectives; a miss is exit 5", pattern("such as ack.p99 < 50ms, throughput > 4900/s", `^\s*[a-z0-9_.]+\s*(<=|>=|<|>)\s*\S+\s*$`)),
		"objective":  pattern("what the matrix's cells are ranked by, such as max throughput where ack.p99 < 50ms", `^\s*(max|min)\s+[a-z0-9_.]+(\s+where\s+.+)?\s*$`),
		"repeat":     whole("runs of each cell", 1),
		"seed":       whole("of everything random; 0 or left out: drawn", 0),
	})
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "kbench scenario"
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(root); err != nil {
		panic(fmt.Sprintf("scenarios: the schema cannot be written: %v", err)) // it is maps of plain values
	}
	return b.Bytes()
}

const (
	durationPattern = `^\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))*$`
	sizePattern     = `^[0-9]+(\.[0-9]+)?\s?(B|[kKMGT]i?B)?$`
	ratePattern     = `^(max|[0-9][0-9_]*(\.[0-9]+)?\s*/s|\s*(ramp|steps|sine|bursts|replay)\(.+\)\s*)$`
	targetPattern   = `^\s*((leader|followers?)\s*[( ].+/[0-9]+\s*\)?|(broker|producer|consumer|processor)\s*[( ].+|coordinator\s*[( ]\s*((group|transaction):)?\s*[a-zA-Z0-9._{}-]+\s*\)?|brokers|controller|killed|paused|[a-z][a-zA-Z0-9_-]*)\s*$`
	triggerPattern  = `^\s*([0-9.].*|[a-z]+\s*\(.*|(acked|sent|read|filtered)\b.*)$`
)

func described(s schema, about string) schema {
	if about != "" {
		s["description"] = about
	}
	return s
}

func pattern(about, p string) schema {
	return described(schema{"type": "string", "pattern": p}, about)
}

func oneOf[T ~string](about string, words ...T) schema {
	return described(schema{"enum": words}, about)
}

func whole(about string, least int) schema {
	return described(schema{"type": "integer", "minimum": least}, about)
}

func duration(about string) schema { return pattern(about, durationPattern) }
func truth(about string) schema    { return described(schema{"type": "boolean"}, about) }

func sizeOf(about string, least int) schema {
	return described(schema{"anyOf": []schema{{"type": "integer", "minimum": least}, {"type": "string", "pattern": sizePattern}}}, about)
}

func listOf(about string, item schema) schema {
	return described(schema{"type": "array", "items": item}, about)
}

// objectOf is a mapping with these keys and no others.
func objectOf(about string, properties map[string]schema, required ...string) schema {
	s := described(schema{"type": "object", "properties": properties, "additionalProperties": false}, about)
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

// settingsOf is a mapping of Kafka's settings.
func settingsOf(about string, of scope) schema {
	s := objectOf(about, settingProperties(of))
	if of.clientRole() != 0 {
		s["patternProperties"] = map[string]schema{`^librdkafka\.`: {"type": []string{"string", "number", "boolean"}}}
	}
	return s
}

func settingProperties(of scope) map[string]schema {
	properties := map[string]schema{}
	if role := of.clientRole(); role != 0 {
		for _, known := range settings.All(role) {
			if known.Refused == "" && reservedSetting(of, known.Name, false) == "" {
				properties[known.Name] = clientSetting(known)
			}
		}
		if of == ofProducers {
			buffer := clientSetting(mustKnow(role, bufferSetting))
			buffer["pattern"] = productPattern
			properties[bufferSetting] = buffer
		}
		for _, name := range settings.LibraryNames(role) {
			properties[name] = schema{"type": []string{"string", "number", "boolean"}}
		}
		return properties
	}
	for name, kind := range of.configs() {
		if reservedSetting(of, name, false) == "" {
			properties[name] = configSetting(kind)
		}
	}
	return properties
}

func clientSetting(s settings.Setting) schema {
	var out schema
	switch s.Kind {
	case settings.Bool:
		out = schema{"enum": []any{true, false, "true", "false"}}
	case settings.Bytes, settings.Millis, settings.Int:
		out = schema{"type": []string{"integer", "string"}, "pattern": `^-?[0-9.]+\s*[a-zA-Zµ0-9.]*$`}
	case settings.Enum:
		var words []any
		for _, w := range s.Values {
			words = append(words, w)
			if n := len(w); n == 1 && w[0] >= '0' && w[0] <= '9' {
				words = append(words, int(w[0]-'0'))
			}
		}
		if s.Name == "acks" {
			words = append(words, -1, "-1")
		}
		out = schema{"enum": words}
	default:
		out = schema{"type": []string{"string", "number", "boolean"}}
	}
	if s.Default != "" {
		out["description"] = "default " + s.Default
	}
	return out
}

func configSetting(kind string) schema {
	switch kind {
	case "boolean":
		return schema{"enum": []any{true, false, "true", "false"}}
	case "int", "long", "short":
		return schema{"type": []string{"integer", "string"}, "pattern": `^-?[0-9.]+\s*[a-zA-Zµ0-9.]*$`}
	case "double":
		return schema{"type": []string{"number", "string"}}
	}
	return schema{"type": []string{"string", "number", "boolean"}}
}

func expectSchema() schema {
	return described(schema{"anyOf": []schema{
		oneOf("", "holds", "violated"),
		objectOf("", map[string]schema{"violated": listOf("anomalies of which each must be seen", oneOf("", Anomalies()...))}),
	}}, "what the run should show; default: holds")
}

func clusterSchema() schema {
	return objectOf("the cluster that kbench makes", map[string]schema{
		"brokers":     whole("default 3", 1),
		"controllers": whole("apart from the brokers; default 1", 1),
		"config":      settingsOf("given to brokers and controllers, and to each topic", ofCluster),
		"heap":        pattern("of a broker's JVM; default 512m", `^[1-9][0-9]*[kKmMgG]$`),
		"jvm":         listOf("flags for every JVM besides", schema{"type": "string"}),
	})
}

func topicSchema() schema {
	return objectOf("", map[string]schema{
		"name":        pattern("", topicName.String()),
		"partitions":  whole("default 6", 1),
		"replication": whole("default 3, or as many as there are brokers", 1),
		"weight":      {"type": "integer", "minimum": 0, "maximum": mostWeight, "description": "of its part of the load; default 1, 0: nothing is sent to it"},
		"config":      settingsOf("of this topic alone", ofTopics),
	}, "name")
}

func loadSchema() schema {
	return objectOf("what the producers send", map[string]schema{
		"rate":     pattern("in all, shared by the producers: "+orList(shapeForms()), ratePattern),
		"duration": duration("of measuring"),
		"warmup":   duration("before measuring"),
		"backlog":  whole("records that are sent, and acknowledged, before any reader starts; with a rate they are worked off under load, without one alone", 0),
		"records":  whole("stop after so many in all", 0),
		"drain":    duration("how long readers and open sends may take after the load; default 60s"),
		"record":   recordSchema(),
		"transactions": objectOf("sends in transactions", map[string]schema{
			"size": whole("records a transaction", 0),
			"abort": {"anyOf": []schema{{"type": "number", "minimum": 0, "maximum": 1}, {"type": "string", "pattern": `^\s*every\([0-9_ ]*[1-9][0-9_ ]*\)\s*$`}},
				"description": "share of transactions that are aborted after a flush, or every(2) for each second one"},
		}),
	})
}

func producersSchema() schema {
	return objectOf("", map[string]schema{
		"count":       whole("default 1", 1),
		"after-crash": oneOf("what a new session does with what its journal shows as unacknowledged; default skip", Skip, Resend),
		"restart":     restartSchema(),
	})
}

func restartSchema() schema {
	return oneOf("whether a session that ended by itself with an error, as one that was fenced does, is followed by another; default never", never, onFailure)
}

func consumerSchema() schema {
	properties := settingProperties(ofConsumers)
	maps.Copy(properties, map[string]schema{
		"group":     pattern("", groupName.String()),
		"groups":    {"type": "integer", "minimum": 1, "maximum": mostGroups, "description": "so many alike, GROUP-0 and on; default 1"},
		"instances": whole("default 1", 1),
		"commit":    oneOf("when it commits what it handles; none: it only reads", CommitAfter, CommitBefore, CommitAuto, CommitNone),
		"handling":  duration("how long handling one record takes"),
		"restart":   restartSchema(),
		"batch":     whole("records handled between commits; default: what a poll brings", 1),
	})
	one := withLibrdkafka(objectOf("a group of readers; other keys are consumer settings by Kafka's names", properties, "group"))
	return described(schema{"anyOf": []schema{one, {"type": "array", "items": schema{"$ref": "#/properties/consumer/anyOf/0"}, "minItems": 1}}}, "one group of readers, or a list of them")
}

func processorSchema() schema {
	properties := settingProperties(ofProducers)
	maps.Copy(properties, settingProperties(ofConsumers))
	maps.Copy(properties, map[string]schema{
		"from":             pattern("topic that it reads", topicName.String()),
		"to":               pattern("topic that it writes", topicName.String()),
		"group":            pattern("default processor", groupName.String()),
		"instances":        whole("default 1", 1),
		"start":            listOf("instances that start with the load; default all", whole("", 0)),
		"transactional.id": pattern("{instance} stands for the instance's number; left out: no transactions", groupName.String()),
		"batch":            whole("inputs a transaction; default 100", 1),
		"assignment":       oneOf("manual: each instance reads every partition; default group", "group", "manual"),
		"generation":       truth("offsets carry the group's generation (KIP-447); default true"),
		"restart":          restartSchema(),
		"client":           settingsOf("its producer's settings, by Kafka's names", ofProducers),
		"consumer":         settingsOf("its consumer's settings, by Kafka's names", ofConsumers),
	})
	return withLibrdkafka(objectOf("reads one topic, writes another", properties, "from", "to"))
}

func withLibrdkafka(s schema) schema {
	s["patternProperties"] = map[string]schema{`^librdkafka\.`: {"type": []string{"string", "number", "boolean"}}}
	return s
}

// faultSchema and stepSchema have one branch for each verb, so that what may stand beside it is exact.
func faultSchema() schema {
	var branches []schema
	for _, v := range verbs() {
		if !v.fault {
			continue
		}
		properties := map[string]schema{
			v.name: v.schema(),
			"at":   pattern("a time from the start of measuring, or an event such as acked(5000)", triggerPattern),
		}
		if v.object != toAll {
			properties["for"] = duration("until it is healed; left out: until the load ends")
		}
		if slices.Contains(v.beside, "count") {
			properties["count"] = whole("requests; left out: all", 1)
		}
		if v.object == toAnyone {
			properties["drawn"] = truth("one of a random series, written out: it waits until nobody else of its kind is hurt or still recovering")
		}
		if slices.Contains(v.beside, "after") {
			properties["after"] = whole(afterAbout, 1)
		}
		branches = append(branches, objectOf("", properties, v.name, "at"))
	}
	branches = append(branches, seriesSchema())
	return schema{"oneOf": branches}
}

const afterAbout = "records of the next transaction that are acknowledged before; default 1"

func stepSchema() schema {
	beside := map[string]schema{
		"as":     newName(),
		"count":  whole("requests; left out: all", 1),
		"after":  whole(afterAbout, 1),
		"open":   truth("a transaction that is not full stays open; default false"),
		"at":     oneOf("where a worker is held", Polled, Handled, BeforeOffsets),
		"within": duration("at most so long; default 30s"),
	}
	var branches []schema
	for _, v := range verbs() {
		properties, required := map[string]schema{v.name: v.schema()}, []string{v.name}
		for _, key := range v.beside {
			properties[key] = beside[key]
		}
		if v.name == "hold" {
			required = append(required, "at")
		}
		branches = append(branches, objectOf("", properties, required...))
	}
	return schema{"oneOf": branches}
}

// newName is a name that means nothing yet.
func newName() schema {
	s := pattern("a name for what the target turned out to be", asName.String())
	var taken []string
	for _, form := range targetForms() {
		if head := callName.FindString(form); head != "a" && !slices.Contains(taken, head) {
			taken = append(taken, head)
		}
	}
	s["not"] = schema{"enum": taken}
	return s
}

// schema of what stands behind a verb.
func (v verb) schema() schema {
	switch v.name {
	case "send":
		return whole("records, as fast as the client takes them", 1)
	case "wait":
		return duration("")
	case "await", "check":
		return pattern("such as isr(orders/0) = 3", `^\s*(`+strings.Join(functionNames(), "|")+`)\b.*$`)
	case "flush":
		return described(schema{"anyOf": []schema{{"const": true}, duration("")}}, "wait until every record sent has its end")
	}
	switch v.object {
	case toTopics:
		return pattern("a topic", topicName.String())
	case toTransactions:
		return pattern("a transactional id; those of producers without one are p0, p1, …", groupName.String())
	case toTreated:
		return pattern("a topic or a transactional id", topicName.String())
	case toNodes:
		s := pattern("a broker or a controller", targetPattern)
		s["not"] = schema{"pattern": `^\s*(` + strings.Join([]string{ProducerWorker, ConsumerWorker, ProcessorWorker}, "|") + `)\(`}
		return s
	case toAll:
		return schema{"anyOf": []schema{{"const": true}, {"const": "brokers"}}}
	}
	return pattern("who", targetPattern)
}

func matrixSchema() schema {
	return schema{
		"type": "object", "description": "one run a cell, by the paths of fields: client.acks: [0, 1, all]",
		"additionalProperties": schema{"type": "array", "minItems": 1, "items": schema{"type": []string{"string", "number", "boolean"}}},
	}
}
