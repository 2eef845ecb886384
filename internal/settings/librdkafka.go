package settings

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// ForLibrdkafka translates a client's settings to librdkafka's names and values, with everything set that the two
// clients understand differently. max.block.ms and other settings that the driver carries out itself are left out.
// The notes say what a reader of the results should know about the translation.
func ForLibrdkafka(role Role, asked map[string]string) (conf map[string]string, notes []string, err error) {
	full, err := Resolve(role, asked)
	if err != nil {
		return nil, nil, err
	}
	conf = librdkafkaBase(role)
	t := translation{conf: conf, from: make(map[string]string), full: full}
	if err := t.security(); err != nil {
		return nil, nil, err
	}
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(full)) {
		s, _ := Lookup(role, name)
		if err := t.one(s, full[name]); err != nil {
			problems = append(problems, err)
		}
		if _, set := asked[name]; set && s.Note != "" {
			notes = append(notes, name+": "+s.Note)
		}
	}
	problems = append(problems, t.own(asked, role))
	t.withinTransaction()
	t.socketTimeout(role)
	if err := errors.Join(problems...); err != nil {
		return nil, nil, err
	}
	return conf, append(notes, t.notes...), nil
}

// librdkafkaBase is what is set although no setting of Kafka's stands behind it. A name of librdkafka's own that the
// user gives goes over it.
func librdkafkaBase(role Role) map[string]string {
	if role == Producer {
		return map[string]string{
			"partitioner":                  "murmur2_random", // where Java puts keyed records
			"queue.buffering.max.messages": "0",              // bytes alone bound the buffer, as in Java
			"batch.num.messages":           "1000000",        // bytes alone bound a batch, as in Java
		}
	}
	return map[string]string{
		// librdkafka's default, spelled out because it explains results: a fetcher whose queue is full looks again
		// only after this time, and small records starve the consumer meanwhile.
		"fetch.queue.backoff.ms": "1000",
	}
}

type translation struct {
	full  map[string]string
	conf  map[string]string
	from  map[string]string // librdkafka's name: Kafka's name that set it
	notes []string
}

func (t *translation) set(name, value, from string) {
	t.conf[name], t.from[name] = value, from
}

func (t *translation) note(format string, args ...any) {
	t.notes = append(t.notes, fmt.Sprintf(format, args...))
}

// one translates one resolved setting of Kafka's.
func (t *translation) one(s Setting, value string) error {
	if s.Librdkafka == "" || s.Library != "" || IsSecurity(s.Name) {
		return nil
	}
	switch s.Name {
	case "buffer.memory":
		bytes := Number(t.full, s.Name)
		kib := max(1, min(bytes/1024, 2147483647))
		if kib*1024 != bytes {
			t.note("buffer.memory=%d counts as %d: librdkafka bounds whole KiB", bytes, kib*1024)
		}
		value = strconv.FormatInt(kib, 10)
	case "batch.size":
		if value == "0" {
			value = "1" // no batching
		}
	case "send.buffer.bytes", "receive.buffer.bytes":
		if value == "-1" {
			value = "0"
		}
	case "auto.offset.reset":
		if value == "none" {
			value = "error"
		}
	case "partition.assignment.strategy":
		names, err := Assignors(value)
		if err != nil {
			return err
		}
		value = joined(names)
	case "compression.gzip.level", "compression.lz4.level", "compression.zstd.level":
		if s.Name != "compression."+t.full["compression.type"]+".level" {
			return nil // as in Java: the level of another codec is ignored
		}
	}
	t.set(s.Librdkafka, value, s.Name)
	return nil
}

// own puts librdkafka's own names over what was translated. What a name of Kafka's asked for as well is a contradiction.
func (t *translation) own(asked map[string]string, role Role) error {
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		s, _ := Lookup(role, name)
		if s.Library != "librdkafka" {
			continue
		}
		target := canonical(s.Librdkafka)
		if kafka := t.from[target]; kafka != "" && asked[kafka] != "" {
			return fmt.Errorf("%s and %s set the same thing: keep one of them", kafka, name)
		}
		t.set(target, t.full[name], name)
		if s.Librdkafka == "enable.auto.offset.store" && t.full[name] == "false" {
			t.note("enable.auto.offset.store=false: automatic commits commit nothing, since nothing stores offsets")
		}
	}
	return nil
}

// withinTransaction keeps delivery.timeout.ms within transaction.timeout.ms, as librdkafka demands. Nothing is lost by
// it: a record cannot be delivered to a transaction that the coordinator has given up.
func (t *translation) withinTransaction() {
	most := Number(t.conf, "transaction.timeout.ms")
	if t.full["transactional.id"] == "" || Number(t.conf, "delivery.timeout.ms") <= most {
		return
	}
	t.note("delivery.timeout.ms=%s is cut to transaction.timeout.ms=%d", t.conf["delivery.timeout.ms"], most)
	t.conf["delivery.timeout.ms"] = strconv.FormatInt(most, 10)
}

// socketTimeout lets the broker's own answer arrive before the connection is given up.
func (t *translation) socketTimeout(role Role) {
	const grace = 1000
	if role != Producer || t.from["socket.timeout.ms"] != "" {
		return
	}
	ms := Number(t.conf, "request.timeout.ms") + grace
	if t.full["transactional.id"] != "" {
		ms = min(ms, Number(t.conf, "transaction.timeout.ms"))
	}
	t.conf["socket.timeout.ms"] = strconv.FormatInt(ms, 10)
}

// canonical is the one of librdkafka's names for a thing that the translation uses.
func canonical(name string) string {
	if alias, ok := librdkafkaAliases[name]; ok {
		return alias
	}
	return name
}

var librdkafkaAliases = map[string]string{
	"queue.buffering.max.ms":   "linger.ms",
	"message.send.max.retries": "retries",
	"message.timeout.ms":       "delivery.timeout.ms",
	"request.required.acks":    "acks",
	"compression.codec":        "compression.type",
	"max.in.flight":            "max.in.flight.requests.per.connection",
	"fetch.message.max.bytes":  "max.partition.fetch.bytes",
	"sasl.mechanisms":          "sasl.mechanism",
}

// librdkafkaOnly are names of librdkafka's own (CONFIGURATION.md, 2.15) that users may give.
var librdkafkaOnly = map[string]Role{
	"queue.buffering.max.ms": Producer, "queue.buffering.max.messages": Producer, "queue.buffering.max.kbytes": Producer,
	"queue.buffering.backpressure.threshold": Producer, "message.send.max.retries": Producer, "message.timeout.ms": Producer,
	"batch.num.messages": Producer, "compression.codec": Producer, "compression.level": Producer, "partitioner": Producer,
	"sticky.partitioning.linger.ms": Producer, "enable.gapless.guarantee": Producer, "request.required.acks": Producer,
	"queued.min.messages": Consumer, "queued.max.messages.kbytes": Consumer, "fetch.wait.max.ms": Consumer,
	"fetch.message.max.bytes": Consumer, "fetch.queue.backoff.ms": Consumer, "fetch.error.backoff.ms": Consumer,
	"enable.auto.offset.store": Consumer, "coordinator.query.interval.ms": Consumer,
	"message.max.bytes": Both, "message.copy.max.bytes": Both, "receive.message.max.bytes": Both, "max.in.flight": Both,
	"metadata.recovery.strategy": Both, "metadata.recovery.rebootstrap.trigger.ms": Both,
	"topic.metadata.refresh.interval.ms": Both, "topic.metadata.refresh.fast.interval.ms": Both,
	"topic.metadata.refresh.sparse": Both, "topic.metadata.propagation.max.ms": Both,
	"socket.timeout.ms": Both, "socket.send.buffer.bytes": Both, "socket.receive.buffer.bytes": Both,
	"socket.keepalive.enable": Both, "socket.nagle.disable": Both, "socket.max.fails": Both,
	"socket.connection.setup.timeout.ms": Both, "broker.address.ttl": Both, "broker.address.family": Both,
	"reconnect.backoff.jitter.ms": Both, "statistics.interval.ms": Both, "debug": Both, "log_level": Both,
	"log.connection.close": Both, "api.version.request": Both, "api.version.request.timeout.ms": Both,
	"broker.version.fallback": Both, "client.dns.lookup": Both,
	"ssl.cipher.suites": Both, "ssl.curves.list": Both, "ssl.sigalgs.list": Both, "ssl.key.location": Both, "ssl.key.pem": Both,
	"ssl.certificate.location": Both, "ssl.certificate.pem": Both, "ssl.ca.location": Both, "ssl.ca.pem": Both,
	"ssl.ca.certificate.stores": Both, "ssl.crl.location": Both, "ssl.providers": Both,
	"enable.ssl.certificate.verification": Both,
	"sasl.mechanisms":                     Both, "sasl.username": Both, "sasl.password": Both,
	"sasl.kerberos.service.name": Both, "sasl.kerberos.principal": Both, "sasl.kerberos.keytab": Both, "sasl.kerberos.kinit.cmd": Both,
	"sasl.oauthbearer.config": Both, "sasl.oauthbearer.method": Both, "sasl.oauthbearer.client.id": Both,
	"sasl.oauthbearer.client.secret": Both, "sasl.oauthbearer.scope": Both, "sasl.oauthbearer.extensions": Both,
	"sasl.oauthbearer.token.endpoint.url": Both, "enable.sasl.oauthbearer.unsecure.jwt": Both,
	"test.mock.num.brokers": Both,
}

// librdkafkaRefused are names of librdkafka's that would break what the driver promises.
var librdkafkaRefused = map[string]string{
	"delivery.report.only.error": "would hide acknowledgements",
	"enable.partition.eof":       "belongs to the driver",
	"log.queue":                  "belongs to the driver",
	"enabled_events":             "belongs to the driver",
	"plugin.library.paths":       "loads code into the process",
	"bootstrap.servers":          "comes from the cluster",
	"metadata.broker.list":       "comes from the cluster",
	"queuing.strategy":           "lifo would break the order that is judged",
}

// LibrdkafkaDefaults are librdkafka's own defaults for the names in the table.
func LibrdkafkaDefaults(role Role) map[string]string {
	defaults := make(map[string]string)
	for _, s := range All(role) {
		if s.LibrdkafkaDefault != "" {
			defaults[s.Librdkafka] = s.LibrdkafkaDefault
		}
	}
	return defaults
}
