package franz

import (
	"strings"
	"testing"

	"github.com/kbench/kbench/internal/client"
)

// TestRefusals: what franz-go cannot do is an error, never left out.
func TestRefusals(t *testing.T) {
	d := New(nil)
	for _, c := range []struct {
		name, value, says string
	}{
		{"reconnect.backoff.ms", "10", "no counterpart"},
		{"send.buffer.bytes", "64KiB", "no counterpart"},
		{"queue.buffering.max.ms", "5", "a setting of librdkafka"},
		{"librdkafka.debug", "all", "a setting of librdkafka"},
		{"max.in.flight.requests.per.connection", "1", "always allows 5"},
		{"batch.size", "0", "less than allowed"},
		{"delivery.timeout.ms", "500ms", "linger.ms + request.timeout.ms"},
		{"ssl.keystore.location", "/k.p12", "no counterpart"},
	} {
		p, err := d.NewProducer([]string{"127.0.0.1:1"}, map[string]string{c.name: c.value}, func([]client.Ack) {})
		if err == nil {
			p.Close()
			t.Errorf("%s=%s was taken", c.name, c.value)
		} else if !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s=%s: %v", c.name, c.value, err)
		}
	}
	for name, value := range map[string]string{"group.remote.assignor": "uniform", "receive.buffer.bytes": "1MiB", "fetch.max.wait.ms": "1ms"} {
		if c, err := d.NewConsumer([]string{"127.0.0.1:1"}, map[string]string{name: value}); err == nil {
			c.Close()
			t.Errorf("%s=%s was taken", name, value)
		}
	}
	if p, err := d.NewProducer([]string{"127.0.0.1:1"}, map[string]string{"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "GSSAPI"}, func([]client.Ack) {}); err == nil {
		p.Close()
		t.Error("an unknown mechanism was taken")
	}
	p, err := d.NewProducer([]string{"127.0.0.1:1"}, map[string]string{"max.in.flight.requests.per.connection": "1", "enable.idempotence": "false"}, func([]client.Ack) {})
	if err != nil {
		t.Fatalf("one in flight without idempotence: %v", err)
	}
	p.Close()
}
