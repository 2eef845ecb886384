package main

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/kbench/kbench/internal/cluster/local"
)

// composed is what of docker-compose.yml a test can hold without Docker.
type composed struct {
	Services map[string]struct {
		Image       string
		Environment map[string]any
		Ports       []string
		Volumes     []string
		Networks    []string
		Healthcheck struct {
			Test    []string
			Retries int
		}
	}
	Networks map[string]struct{ Internal bool }
	Volumes  map[string]any
}

func TestComposeFile(t *testing.T) {
	text, err := os.ReadFile("../../docker-compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file composed
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Services) != 4 || !file.Networks["peers"].Internal {
		t.Errorf("%d services, networks %+v", len(file.Services), file.Networks)
	}
	ports := map[string]bool{}
	for name, s := range file.Services {
		broker := strings.HasPrefix(name, "broker-")
		if s.Image != "${KBENCH_IMAGE:-apache/kafka:"+local.KafkaVersion+"}" {
			t.Errorf("%s: image %s", name, s.Image)
		}
		if len(s.Healthcheck.Test) == 0 || s.Healthcheck.Retries == 0 || !strings.Contains(strings.Join(s.Healthcheck.Test, " "), name) {
			t.Errorf("%s: health check %+v", name, s.Healthcheck)
		}
		if len(s.Volumes) != 1 || !strings.HasPrefix(s.Volumes[0], name+":") {
			t.Errorf("%s: volumes %v", name, s.Volumes)
		} else if _, named := file.Volumes[name]; !named {
			t.Errorf("%s: its volume has no name", name)
		}
		if broker != (len(s.Ports) == 1) || broker != slices.Contains(s.Networks, "clients") || !slices.Contains(s.Networks, "peers") {
			t.Errorf("%s: ports %v, networks %v", name, s.Ports, s.Networks)
		}
		for _, p := range s.Ports {
			host, _, _ := strings.Cut(p, ":9092")
			address, err := netip.ParseAddrPort(host)
			if err != nil || !address.Addr().IsLoopback() || ports[host] {
				t.Errorf("%s: port %s is not one of its own on loopback: %v", name, p, err)
			}
			ports[host] = true
			if advertised, _ := s.Environment["KAFKA_ADVERTISED_LISTENERS"].(string); !strings.Contains(advertised, "CLIENT://"+host+",") {
				t.Errorf("%s is reached at %s, and advertises %s", name, host, advertised)
			}
		}
		for setting, want := range map[string]string{
			"KAFKA_MIN_INSYNC_REPLICAS": "2", "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "3", "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "3",
			"KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "2",
		} {
			if got := fmt.Sprint(s.Environment[setting]); got != want { // of the controller, too: on a new cluster its own becomes all brokers'
				t.Errorf("%s: %s is %q, not %s", name, setting, got, want)
			}
		}
	}
}
