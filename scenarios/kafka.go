package scenarios

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/kbench/kbench/internal/settings"
)

//go:embed kafka-configs.txt
var kafkaConfigs string

// scope says whose settings a mapping holds.
type scope string

const (
	ofProducers scope = "producer"
	ofConsumers scope = "consumer"
	ofCluster   scope = "cluster" // brokers, controllers, and whatever a topic can have
	ofTopics    scope = "topic"
)

// clientRole is the scope in the words of package settings, 0 where it is no client's.
func (s scope) clientRole() settings.Role {
	switch s {
	case ofProducers:
		return settings.Producer
	case ofConsumers:
		return settings.Consumer
	}
	return 0
}

// parse reads a setting's value into Kafka's units.
func (s scope) parse(name, value string) (string, error) {
	if role := s.clientRole(); role != 0 {
		known, ok := settings.Lookup(role, name)
		if !ok {
			return "", s.unknown(name)
		}
		if kafka := known.Kafka(role); kafka != name && slices.Contains(deciding(), kafka) {
			return "", wrong("write "+kafka, "decides about the guarantee, and has to be given by Kafka's name")
		}
		return settings.Parse(known, value)
	}
	kind, ok := s.configs()[name]
	if !ok {
		return "", s.unknown(name)
	}
	return parseConfig(name, kind, value)
}

// deciding are the client settings that promises are derived from. Under another name they would go unseen.
func deciding() []string {
	return []string{"acks", "enable.idempotence", "retries", "max.in.flight.requests.per.connection", "transactional.id",
		"isolation.level", "auto.offset.reset", "enable.auto.commit", "group.id"}
}

// knows tells whether there is a setting of that name.
func (s scope) knows(name string) bool {
	if role := s.clientRole(); role != 0 {
		_, ok := settings.Lookup(role, name)
		return ok
	}
	_, ok := s.configs()[name]
	return ok
}

func (s scope) unknown(name string) error {
	for _, other := range []scope{ofProducers, ofConsumers, ofTopics, ofCluster} {
		if other != s && other.knows(name) {
			return wrong("", "%s is a %s setting, not a %s's", name, other, s)
		}
	}
	near := nearest(name, s.names())
	if role := s.clientRole(); role != 0 && near == "" {
		near = settings.Nearest(role, name)
	}
	if near != "" {
		near = "did you mean " + near + "?"
	}
	return wrong(near, "unknown %s setting", s)
}

// names of all settings, for completion and suggestions.
func (s scope) names() []string {
	var names []string
	if role := s.clientRole(); role != 0 {
		for _, known := range settings.All(role) {
			if known.Refused == "" {
				names = append(names, known.Name)
			}
		}
		return names
	}
	return slices.Sorted(maps.Keys(s.configs()))
}

// configs are the types of the settings of brokers or topics by name.
func (s scope) configs() map[string]string {
	types := map[string]string{}
	for line := range strings.Lines(kafkaConfigs) {
		f := strings.Fields(line)
		if len(f) == 3 && (f[0] == "topic" || f[0] == "broker" && s == ofCluster) {
			types[f[1]] = f[2]
		}
	}
	return types
}

// parseConfig reads a value of a broker's or topic's setting into Kafka's units by the type that Kafka gives it.
func parseConfig(name, kind, value string) (string, error) {
	value = strings.TrimSpace(value)
	switch kind {
	case "boolean":
		if value != "true" && value != "false" {
			return "", wrong("", "%s: expected true or false, found %q", name, value)
		}
	case "int", "long", "short":
		return parseWhole(name, value)
	case "double":
		if _, err := strconv.ParseFloat(value, 64); err != nil {
			return "", wrong("", "%s: expected a number, found %q", name, value)
		}
	}
	return value, nil
}

func parseWhole(name, value string) (string, error) {
	if _, err := strconv.ParseInt(value, 10, 64); err == nil {
		return value, nil
	}
	switch {
	case strings.HasSuffix(name, ".ms"):
		if d, err := time.ParseDuration(value); err == nil && d%time.Millisecond == 0 {
			return strconv.FormatInt(d.Milliseconds(), 10), nil
		}
		return "", wrong("", "%s: expected a duration such as 500 (ms), 500ms or 30s, found %q", name, value)
	case strings.HasSuffix(name, ".bytes"), strings.HasSuffix(name, ".size"):
		if n, err := humanize.ParseBytes(value); err == nil {
			return fmt.Sprint(n), nil
		}
		return "", wrong("", "%s: expected a size such as 16384, 16KiB or 1MiB, found %q", name, value)
	}
	return "", wrong("", "%s: expected a whole number, found %q", name, value)
}

// TopicConfig is what a topic is created with: what the cluster's configuration says that a topic can have, and over
// it the topic's own. Kafka names a few settings differently for brokers (log.retention.ms); those stay the brokers'.
func (s Scenario) TopicConfig(t Topic) map[string]string {
	config := map[string]string{}
	known := ofTopics.configs()
	for name, value := range s.Cluster.Config {
		if _, ok := known[name]; ok {
			config[name] = value
		}
	}
	for name, value := range t.Config {
		config[name] = value
	}
	return config
}

// NodeConfig is what brokers and controllers are given: the cluster's configuration without what only a topic can have.
func (s Scenario) NodeConfig() map[string]string {
	config := map[string]string{}
	for line := range strings.Lines(kafkaConfigs) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "broker" {
			if value, ok := s.Cluster.Config[f[1]]; ok {
				config[f[1]] = value
			}
		}
	}
	return config
}
