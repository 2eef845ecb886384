package settings

import (
	"slices"
	"testing"
)

func TestKafkaIsTheNameOfTheSameThing(t *testing.T) {
	for own, want := range map[string]string{
		"request.required.acks": "acks", "librdkafka.acks": "acks", "message.send.max.retries": "retries",
		"max.in.flight": "max.in.flight.requests.per.connection", "librdkafka.enable.idempotence": "enable.idempotence",
		"acks": "acks", "debug": "",
	} {
		s, ok := Lookup(Producer, own)
		if got := s.Kafka(Producer); !ok || got != want {
			t.Errorf("%s is Kafka's %q, want %q", own, got, want)
		}
	}
}

func TestLibraryNamesAreOfTheRole(t *testing.T) {
	names := LibraryNames(Consumer)
	if !slices.Contains(names, "fetch.queue.backoff.ms") || slices.Contains(names, "batch.num.messages") {
		t.Errorf("a consumer's own names: %v", names)
	}
}
