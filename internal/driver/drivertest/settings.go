package drivertest

import (
	"strings"
	"testing"

	"github.com/kbench/kbench/internal/client"
)

func badSettings(t *testing.T, d client.Driver) {
	r := newRig(t, d, 1, "orders")
	for _, c := range []struct {
		settings map[string]string
		says     string
	}{
		{map[string]string{"linger": "5"}, "linger"},
		{map[string]string{"batch.size": "many"}, "batch.size"},
		{map[string]string{"acks": "1", "enable.idempotence": "true"}, "acks"},
		{map[string]string{"key.serializer": "x"}, "Java class"},
		{map[string]string{"group.id": "g"}, "consumer setting"},
	} {
		p, err := d.NewProducer(r.bootstrap, c.settings, func([]client.Ack) {})
		if err == nil {
			p.Close()
			t.Errorf("%v was taken", c.settings)
		} else if !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v: %v", c.settings, err)
		}
	}
	if c, err := d.NewConsumer(r.bootstrap, map[string]string{"isolation.level": "serializable"}); err == nil {
		c.Close()
		t.Error("an unknown isolation level was taken")
	}
	if p, err := d.NewProducer(nil, nil, func([]client.Ack) {}); err == nil {
		p.Close()
		t.Error("no bootstrap servers were needed")
	}
}

func secrets(t *testing.T, d client.Driver) {
	r := newRig(t, d, 1, "orders")
	p, _ := r.producer(map[string]string{
		"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN",
		"sasl.jaas.config": `org.apache.kafka.common.security.plain.PlainLoginModule required username="ann" password="hunter2";`,
	})
	shown := p.(client.Effective).EffectiveSettings()
	for name, value := range shown {
		if strings.Contains(value, "hunter2") {
			t.Errorf("%s shows the password", name)
		}
	}
	if shown["security.protocol"] != "SASL_PLAINTEXT" || shown["acks"] != "all" {
		t.Errorf("effective settings: %v", shown)
	}
}
