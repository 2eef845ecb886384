package settings

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name       string
		role       Role
		text, want string // want "": an error
	}{
		{"buffer.memory", Producer, "32MiB", "33554432"},
		{"buffer.memory", Producer, "33554432", "33554432"},
		{"buffer.memory", Producer, "0", ""},
		{"batch.size", Producer, "16KiB", "16384"},
		{"batch.size", Producer, "16 KiB", "16384"},
		{"batch.size", Producer, "16kB", "16000"},
		{"batch.size", Producer, "16ms", ""},
		{"batch.size", Producer, "-1", ""},
		{"linger.ms", Producer, "5", "5"},
		{"linger.ms", Producer, "5ms", "5"},
		{"linger.ms", Producer, "0.5ms", ""},
		{"linger.ms", Producer, "5KiB", ""},
		{"delivery.timeout.ms", Producer, "2m", "120000"},
		{"acks", Producer, "-1", "all"},
		{"acks", Producer, "ALL", "all"},
		{"acks", Producer, "2", ""},
		{"enable.idempotence", Producer, "true", "true"},
		{"enable.idempotence", Producer, "yes", ""},
		{"retries", Producer, "2147483647", "2147483647"},
		{"retries", Producer, "2147483648", ""},
		{"retries", Producer, "1.5", ""},
		{"compression.type", Producer, "zstd", "zstd"},
		{"compression.type", Producer, "brotli", ""},
		{"key.serializer", Producer, "x", ""},
		{"isolation.level", Consumer, "read_committed", "read_committed"},
		{"isolation.level", Consumer, "snapshot", ""},
		{"partition.assignment.strategy", Consumer, "range, roundrobin", "range,roundrobin"},
		{"receive.buffer.bytes", Consumer, "-1", "-1"},
	} {
		s, ok := Lookup(c.role, c.name)
		if !ok {
			t.Fatalf("%s is not known", c.name)
		}
		got, err := Parse(s, c.text)
		if (err == nil) != (c.want != "") || got != c.want {
			t.Errorf("%s=%s: %q, %v; want %q", c.name, c.text, got, err, c.want)
		}
		if err == nil {
			if again, err := Parse(s, got); err != nil || again != got {
				t.Errorf("%s: %q parses to %q, %v", c.name, got, again, err)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"32MiB", "5ms", "-1", "all", "true", "1e3", "", "9223372036854775808", "1h1ns", ",\f0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range table {
			value, err := Parse(s, text)
			if err != nil {
				continue
			}
			if again, err := Parse(s, value); err != nil || again != value {
				t.Errorf("%s: %q gave %q, which gives %q, %v", s.Name, text, value, again, err)
			}
		}
	})
}

// TestTable holds the table to itself: every default is a value, and none stands twice.
func TestTable(t *testing.T) {
	for _, role := range []Role{Producer, Consumer} {
		seen := make(map[string]bool)
		for _, s := range All(role) {
			if seen[s.Name] {
				t.Errorf("%s twice for a %s", s.Name, role)
			}
			seen[s.Name] = true
			if s.Default != "" {
				if v, err := Parse(s, s.Default); err != nil || v != s.Default {
					t.Errorf("%s: default %q gives %q, %v", s.Name, s.Default, v, err)
				}
			}
			if s.Secret != secretive(s.Name) {
				t.Errorf("%s: secret is %v, its name looks like %v", s.Name, s.Secret, secretive(s.Name))
			}
		}
		if _, err := Resolve(role, nil); err != nil {
			t.Errorf("the defaults of a %s contradict themselves: %v", role, err)
		}
	}
}

func TestNearest(t *testing.T) {
	for name, want := range map[string]string{
		"bufer.memory": "buffer.memory", "linger": "", "batchsize": "batch.size", "Acks": "acks", "akcs": "acks", "enable.idempotent": "enable.idempotence",
		"queue.buffering.max.millis": "queue.buffering.max.ms", "xyzzy": "",
	} {
		if got := Nearest(Producer, name); got != want {
			t.Errorf("nearest to %s is %q, want %q", name, got, want)
		}
	}
}

func TestUnknownNames(t *testing.T) {
	for name, says := range map[string]string{
		"bufer.memory": "did you mean buffer.memory?",
		"group.id":     "group.id is a consumer setting, not a producer's",
		"xyzzy":        "unknown producer setting xyzzy",
		"log.queue":    "belongs to the driver",
	} {
		if _, err := Resolve(Producer, map[string]string{name: "1"}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", name, err, says)
		}
	}
	_, err := Resolve(Producer, map[string]string{"lingr.ms": "5", "batch.size": "x", "acks": "3"})
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("want three problems at once, got: %v", err)
	}
}

func TestIdempotence(t *testing.T) {
	for _, c := range []struct {
		name  string
		asked map[string]string
		want  string // enable.idempotence; "": an error
	}{
		{"by default", nil, "true"},
		{"acks=all", map[string]string{"acks": "all"}, "true"},
		{"acks=1 turns it off", map[string]string{"acks": "1"}, "false"},
		{"acks=0 turns it off", map[string]string{"acks": "0"}, "false"},
		{"retries=0 turns it off", map[string]string{"retries": "0"}, "false"},
		{"asked for beside acks=1", map[string]string{"acks": "1", "enable.idempotence": "true"}, ""},
		{"asked for beside retries=0", map[string]string{"retries": "0", "enable.idempotence": "true"}, ""},
		{"more than five in flight", map[string]string{"max.in.flight.requests.per.connection": "6"}, ""},
		{"more than five in flight without it", map[string]string{"max.in.flight.requests.per.connection": "6", "acks": "1"}, "false"},
		{"not wanted", map[string]string{"enable.idempotence": "false"}, "false"},
		{"transactions", map[string]string{"transactional.id": "t"}, "true"},
		{"transactions beside acks=1", map[string]string{"transactional.id": "t", "acks": "1"}, ""},
		{"transactions without it", map[string]string{"transactional.id": "t", "enable.idempotence": "false"}, ""},
	} {
		full, err := Resolve(Producer, c.asked)
		if (err == nil) != (c.want != "") || full["enable.idempotence"] != c.want {
			t.Errorf("%s: %q, %v; want %q", c.name, full["enable.idempotence"], err, c.want)
		}
	}
}

func TestDeliveryTime(t *testing.T) {
	full, err := Resolve(Producer, map[string]string{"request.timeout.ms": "200s"})
	if err != nil || full["delivery.timeout.ms"] != "200005" {
		t.Errorf("not set, it makes room: %v, %v", full["delivery.timeout.ms"], err)
	}
	if _, err := Resolve(Producer, map[string]string{"delivery.timeout.ms": "10s"}); err == nil {
		t.Error("set, it must be long enough for one request")
	}
	if _, err := Resolve(Producer, map[string]string{"delivery.timeout.ms": "10s", "request.timeout.ms": "5s"}); err != nil {
		t.Error(err)
	}
}

func TestForLibrdkafka(t *testing.T) {
	for _, c := range []struct {
		name  string
		role  Role
		asked map[string]string
		want  map[string]string // a part of the outcome; "" must be absent
		says  string            // in an error
		notes string            // in a note
	}{
		{name: "Kafka's defaults, always spelled out", role: Producer, want: map[string]string{
			"enable.idempotence": "true", "acks": "all", "linger.ms": "5", "batch.size": "16384", "queue.buffering.max.kbytes": "32768",
			"queue.buffering.max.messages": "0", "batch.num.messages": "1000000", "delivery.timeout.ms": "120000", "retries": "2147483647",
			"max.in.flight.requests.per.connection": "5", "partitioner": "murmur2_random", "request.timeout.ms": "30000",
			"socket.timeout.ms": "31000", "message.max.bytes": "1048576", "buffer.memory": "", "max.block.ms": "", "max.request.size": ""}},
		{name: "a consumer's defaults, always spelled out", role: Consumer, want: map[string]string{
			"isolation.level": "read_uncommitted", "check.crcs": "true", "auto.offset.reset": "latest", "enable.auto.commit": "false",
			"partition.assignment.strategy": "range", "fetch.wait.max.ms": "500", "fetch.queue.backoff.ms": "1000", "socket.timeout.ms": "30000",
			"max.poll.records": "", "default.api.timeout.ms": ""}},
		{name: "buffer.memory in whole KiB", role: Producer, asked: map[string]string{"buffer.memory": "10000"},
			want: map[string]string{"queue.buffering.max.kbytes": "9"}, notes: "counts as 9216"},
		{name: "a request's time and the connection's", role: Producer, asked: map[string]string{"request.timeout.ms": "1s"},
			want: map[string]string{"request.timeout.ms": "1000", "socket.timeout.ms": "2000"}},
		{name: "a transaction bounds both", role: Producer, asked: map[string]string{"transactional.id": "t", "transaction.timeout.ms": "10s"},
			want: map[string]string{"delivery.timeout.ms": "10000", "socket.timeout.ms": "10000"}, notes: "is cut to transaction.timeout.ms"},
		{name: "no batching", role: Producer, asked: map[string]string{"batch.size": "0"}, want: map[string]string{"batch.size": "1"}},
		{name: "auto.offset.reset none", role: Consumer, asked: map[string]string{"auto.offset.reset": "none"}, want: map[string]string{"auto.offset.reset": "error"}},
		{name: "Java's assignor names", role: Consumer, asked: map[string]string{
			"partition.assignment.strategy": "org.apache.kafka.clients.consumer.RoundRobinAssignor"},
			want: map[string]string{"partition.assignment.strategy": "roundrobin"}},
		{name: "an unknown assignor", role: Consumer, asked: map[string]string{"partition.assignment.strategy": "random"}, says: "unknown assignor"},
		{name: "the next protocol leaves these to the brokers", role: Consumer, asked: map[string]string{"group.protocol": "consumer"},
			want: map[string]string{"group.protocol": "consumer", "session.timeout.ms": "", "heartbeat.interval.ms": "", "partition.assignment.strategy": ""}},
		{name: "the level of the codec in use", role: Producer, asked: map[string]string{"compression.type": "zstd", "compression.zstd.level": "3", "compression.gzip.level": "9"},
			want: map[string]string{"compression.type": "zstd", "compression.level": "3"}},
		{name: "librdkafka's own name", role: Producer, asked: map[string]string{"sticky.partitioning.linger.ms": "0"},
			want: map[string]string{"sticky.partitioning.linger.ms": "0"}},
		{name: "librdkafka's own name for a default", role: Consumer, asked: map[string]string{"fetch.queue.backoff.ms": "10"},
			want: map[string]string{"fetch.queue.backoff.ms": "10"}},
		{name: "librdkafka's alias replaces the default", role: Producer, asked: map[string]string{"queue.buffering.max.ms": "20"},
			want: map[string]string{"linger.ms": "20", "queue.buffering.max.ms": ""}},
		{name: "both names of one thing", role: Producer, asked: map[string]string{"queue.buffering.max.ms": "20", "linger.ms": "5"}, says: "set the same thing"},
		{name: "any name after the prefix", role: Producer, asked: map[string]string{"librdkafka.some.new.thing": "x"},
			want: map[string]string{"some.new.thing": "x", "librdkafka.some.new.thing": ""}},
		{name: "the prefix does not open everything", role: Producer, asked: map[string]string{"librdkafka.delivery.report.only.error": "true"}, says: "hide acknowledgements"},
		{name: "SASL as Java writes it", role: Producer, asked: map[string]string{"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN",
			"sasl.jaas.config": `org.apache.kafka.common.security.plain.PlainLoginModule required username="ann" password="a\"b";`},
			want: map[string]string{"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN", "sasl.username": "ann", "sasl.password": `a"b`, "sasl.jaas.config": ""}},
		{name: "a login module that nobody here knows", role: Producer, asked: map[string]string{"sasl.jaas.config": "com.sun.security.auth.module.Krb5LoginModule required;"}, says: "only PlainLoginModule"},
		{name: "a trust store in PEM form", role: Consumer, asked: map[string]string{"security.protocol": "SSL", "ssl.truststore.type": "PEM", "ssl.truststore.location": "/ca.pem",
			"ssl.endpoint.identification.algorithm": ""},
			want: map[string]string{"ssl.ca.location": "/ca.pem", "ssl.endpoint.identification.algorithm": "none", "ssl.truststore.location": ""}},
		{name: "a Java trust store", role: Consumer, asked: map[string]string{"ssl.truststore.location": "/ca.jks"}, says: "convert it to PEM"},
		{name: "a key store", role: Consumer, asked: map[string]string{"ssl.keystore.type": "PKCS12", "ssl.keystore.location": "/k.p12", "ssl.keystore.password": "x"},
			want: map[string]string{"ssl.keystore.location": "/k.p12", "ssl.keystore.password": "x"}},
		{name: "a trust store's password", role: Consumer, asked: map[string]string{"ssl.truststore.password": "x"}, says: "has none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, notes, err := ForLibrdkafka(c.role, c.asked)
			if c.says != "" {
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Fatalf("%v, want %q", err, c.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range c.want {
				if value, set := got[name]; value != want || set != (want != "") {
					t.Errorf("%s=%q (set: %v), want %q", name, value, set, want)
				}
			}
			if !strings.Contains(strings.Join(notes, "\n"), c.notes) {
				t.Errorf("notes %q, want %q", notes, c.notes)
			}
		})
	}
}

// TestLibrdkafkaNames: whatever the table calls a name of librdkafka's is one that the driver may set.
func TestLibrdkafkaNames(t *testing.T) {
	for _, role := range []Role{Producer, Consumer} {
		for name := range LibrdkafkaDefaults(role) {
			if librdkafkaRefused[name] != "" {
				t.Errorf("%s is refused and translated to", name)
			}
		}
	}
	for alias, name := range librdkafkaAliases {
		if !slices.Contains(slices.Collect(maps.Keys(librdkafkaOnly)), alias) {
			t.Errorf("alias %s of %s is not known", alias, name)
		}
	}
}

func TestRedact(t *testing.T) {
	shown := Redact(map[string]string{
		"acks": "all", "sasl.password": "s3cret", "sasl.jaas.config": "s3cret", "ssl.key.password": "s3cret", "ssl.keystore.key": "s3cret",
		"librdkafka.ssl.key.pem": "s3cret", "ssl.key.pem": "s3cret", "sasl.oauthbearer.client.secret": "s3cret", "who.knows.password": "s3cret", "sasl.username": "ann",
	})
	for name, value := range shown {
		if value == "s3cret" {
			t.Errorf("%s is shown", name)
		}
	}
	if shown["acks"] != "all" || shown["sasl.username"] != "ann" {
		t.Errorf("%v", shown)
	}
	s, _ := Lookup(Producer, "ssl.key.password")
	s.Kind = Bool // any kind that can refuse a value
	if _, err := Parse(s, "s3cret"); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("the error shows the secret: %v", err)
	}
}
