// Package confluent drives Kafka through confluent-kafka-go, and so librdkafka: the client that most users of Go, C,
// Python and .NET mean. It is the only importer of that library.
package confluent

import (
	"fmt"
	"maps"
	"runtime/debug"
	"strings"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/settings"
)

// New returns the driver. The library's log lines go to log, one a call and from several goroutines; nil drops them.
func New(log func(line string)) client.Driver {
	if log == nil {
		log = func(string) {}
	}
	return driver{log: log}
}

type driver struct{ log func(string) }

func (driver) Name() string { return "confluent" }

func (driver) Version() string {
	_, librdkafka := kafka.LibraryVersion()
	return "confluent-kafka-go " + moduleVersion() + ", librdkafka " + librdkafka
}

const module = "github.com/confluentinc/confluent-kafka-go/v2"

// moduleVersion is that of the library linked in; a test binary does not know it.
func moduleVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			if dep.Path == module {
				return strings.TrimPrefix(dep.Version, "v")
			}
		}
	}
	return "unknown"
}

// configure makes librdkafka's configuration and what is shown of it.
func configure(role settings.Role, bootstrap []string, asked map[string]string) (kafka.ConfigMap, map[string]string, error) {
	if len(bootstrap) == 0 {
		return nil, nil, fmt.Errorf("no bootstrap servers")
	}
	translated, _, err := settings.ForLibrdkafka(role, asked)
	if err != nil {
		return nil, nil, err
	}
	translated["bootstrap.servers"] = strings.Join(bootstrap, ",")
	if role == settings.Producer && translated["statistics.interval.ms"] == "" {
		translated["statistics.interval.ms"] = "500" // resends are told nowhere else
	}
	conf := kafka.ConfigMap{"go.logs.channel.enable": true}
	for name, value := range translated {
		conf[name] = value
	}
	effective := settings.LibrdkafkaDefaults(role)
	maps.Copy(effective, translated)
	return conf, settings.Redact(effective), nil
}

// forward passes the library's log lines on until the client is closed.
func forward(logs <-chan kafka.LogEvent, log func(string)) {
	for line := range logs {
		log(line.Name + " " + line.Tag + ": " + line.Message)
	}
}
