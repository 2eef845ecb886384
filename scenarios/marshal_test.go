package scenarios

import (
	"reflect"
	"testing"
)

// contractsExample is the example that users are shown.
const contractsExample = `name: at-least-once-leader-kill
about: acks=all survives the death of a leader without losing an acknowledged record
guarantee: at-least-once            # at-most-once | at-least-once | exactly-once | exactly-once-transactions
                                    # left out: measured only; anomalies are reported, the verdict is "unjudged"
expect: holds                       # or: violated, with the anomalies that must be seen:
                                    # expect: {violated: [lost-write]}
cluster:  {brokers: 3, config: {min.insync.replicas: 2}}      # given to brokers and controllers, and to each topic
topics:   [{name: orders, partitions: 6, replication: 3, config: {}}]
load:     {rate: 5000/s, duration: 30s, warmup: 5s, record: {size: 1KiB, keys: zipf(1000)}}   # rate in all, shared by the producers
producers: {count: 2}
client:   {acks: all, buffer.memory: 32MiB, batch.size: 16KiB, linger.ms: 5}   # the producers' settings, in Kafka's own names
consumer: {group: readers, instances: 2, commit: after-processing, isolation.level: read_committed}
processor: {from: orders, to: bills, transactional.id: bills-1, batch: 100}    # read–process–write, where there is one
faults:   [{at: 10s, kill: leader(orders/0), for: 8s}]        # at: from the start of measuring, or an event (acked(5000), isr(orders/0)<3)
steps:    []                        # instead of faults, a strict sequence: [{pause: followers(orders/0)}, {send: 10}, {wait: 300ms}, ...]
matrix:   {client.acks: [0, 1, all], client.batch.size: [16KiB, 64KiB]}        # optional: one run a cell
thresholds: ['ack.p99 < 50ms', 'throughput > 4900/s']                          # optional: exit 5
repeat: 1
`

// everything uses each field, verb, target and figure of the format once or more.
const everything = `name: everything
about: "yes: 'every' field"
guarantee: exactly-once-transactions
expect: {violated: [duplicate, aborted-read]}
twin: another
clusters: [local]
cluster: {brokers: 5, controllers: 3, heap: 1g, jvm: [-Xss1m, '-XX:+UseG1GC'], config: {broker.session.timeout.ms: 6s, min.insync.replicas: 2, log.segment.bytes: 1MiB, group.min.session.timeout.ms: 1s}}
topics:
  - {name: orders, partitions: 3, replication: 3, config: {unclean.leader.election.enable: true, retention.ms: 1h}}
  - {name: bills, partitions: 1, replication: 1, config: {min.insync.replicas: 1}}
load: {rate: 0.5/s, duration: 1m30s, warmup: 1500ms, records: 1_000, drain: 2m, record: {size: 100, keys: uniform(7), payload: compressible(0.25)}, transactions: {size: 10, abort: 0.2}}
producers: {count: 2, after-crash: resend, restart: on-failure}
client: {acks: all, transactional.id: 'p-{instance}', linger.ms: 0, compression.type: zstd, librdkafka.debug: broker}
consumer: {group: readers, instances: 2, commit: auto, handling: 5ms, batch: 10, restart: never, auto.commit.interval.ms: 100, session.timeout.ms: 2s, heartbeat.interval.ms: 500ms}
processor: {from: orders, to: bills, group: billing, instances: 2, start: [0], transactional.id: 'b-{instance}', batch: 5, assignment: group, generation: false, restart: on-failure, isolation.level: read_committed, linger.ms: 1, client: {request.timeout.ms: 2s}, consumer: {request.timeout.ms: 3s}}
steps:
  - {send: 10}
  - {flush: true}
  - {flush: 10s}
  - {wait: 300ms}
  - {pause: followers(orders/0), as: f}
  - {check: isr(orders/0) = 3}
  - {kill: leader(orders/0), as: old}
  - {resume: f}
  - {await: leader(orders/0) != old, within: 1m}
  - {start: old}
  - {stop: broker 2}
  - {start: killed}
  - {pause: broker(random)}
  - {resume: paused}
  - {restart: controller}
  - {restart: coordinator(readers)}
  - {restart: coordinator(b-1)}
  - {restart: 'coordinator(group:billing)'}
  - {restart: 'coordinator(transaction:p-0)'}
  - {restart: follower(orders/2)}
  - {rolling-restart: true}
  - {rolling-restart: brokers}
  - {cut-acks: orders}
  - {restore: orders}
  - {refuse-produce: orders, count: 1}
  - {restore: orders}
  - {hold: consumer(1), at: polled}
  - {hold: processor(0), at: before-offsets}
  - {await: held(processor(0))}
  - {release: processor(0)}
  - {release: consumer(1)}
  - {kill: producer(1)}
  - {start: producer(1)}
  - {start: processor(1)}
  - {await: acked(100)}
  - {await: sent >= 1_000}
  - {await: read > 5}
  - {await: filtered != 0}
  - {await: epoch(orders/0) > 0}
  - {await: end(bills/0) <= 7}
  - {await: 'committed(readers, orders/1) >= 3'}
  - {await: members(readers) = 2}
  - {await: processed(processor(1)) >= 1}
  - {delay-end-txn: p-1, after: 2, count: 3}
  - {restore: p-1}
  - {delay-end-txn: b-0}
  - {restore: b-0}
  - {send: 3, open: true}
thresholds: ['ack.p99 < 50ms', 'e2e.service.max <= 1.5s', 'throughput > 4900/s', 'throughput >= 10MiB/s', 'unavailable < 8s', 'lost <= 0']
matrix: {client.linger.ms: [0, 5], 'topics[0].partitions': [3, 4], load.rate: ['1/s', max]}
repeat: 3
seed: 42
`

// bare is a scenario without what says where it was read.
func bare(s Scenario) Scenario {
	s.tree = nil
	s.Faults = append([]Fault(nil), s.Faults...)
	for i := range s.Faults {
		s.Faults[i].Pos = Pos{}
	}
	s.Steps = append([]Step(nil), s.Steps...)
	for i := range s.Steps {
		s.Steps[i].Pos = Pos{}
	}
	return s
}

func TestWhatIsWrittenReadsBackTheSame(t *testing.T) {
	sources := map[string]string{"contracts": contractsExample, "everything": everything, "least": "load: {rate: max, duration: 1s}",
		"isolated":  "topics: [{name: orders, partitions: 1, replication: 3}]\nload: {rate: 10/s, duration: 5s}\nsteps: [{isolate: leader(orders/0), as: old}, {send: 10}, {rejoin: old}]",
		"files":     "load: {records: 7, rate: 2/s, record: {keys: none, payload: 'file(some dir/a (b).txt)'}}\nfaults: [{at: acked(5), kill: producer(0), for: 1s}]",
		"late ends": "load: {rate: 2/s, duration: 9s, transactions: {size: 2, abort: every(3)}}\nfaults: [{at: 1s, delay-end-txn: p0, after: 4, count: 5, for: 1s}, {at: 2s, delay-end-txn: p0}]"}
	for _, name := range Builtins() {
		src, err := BuiltinSource(name)
		if err != nil {
			t.Fatal(err)
		}
		sources[name] = string(src)
	}
	for name, src := range sources {
		t.Run(name, func(t *testing.T) {
			s, err := Parse(name+".yaml", []byte(src))
			if err != nil {
				t.Fatal(err)
			}
			text := Marshal(s)
			again, err := Parse(name+".yaml", text)
			if err != nil {
				t.Fatalf("%v\nin\n%s", err, text)
			}
			if !reflect.DeepEqual(bare(s), bare(again)) {
				t.Errorf("written as\n%s\nreads as\n%+v\nwant\n%+v", text, bare(again), bare(s))
			}
			if twice := Marshal(again); string(twice) != string(text) {
				t.Errorf("written twice:\n%s\nand\n%s", text, twice)
			}
			if err := Validate(bare(s)); err != nil {
				t.Errorf("a scenario without its file: %v", err)
			}
		})
	}
}

func TestEverythingIsReadAsItIsMeant(t *testing.T) {
	s, err := Parse("everything.yaml", []byte(everything))
	if err != nil {
		t.Fatal(err)
	}
	for what, ok := range map[string]bool{
		"milliseconds": s.Cluster.Config["broker.session.timeout.ms"] == "6000" && s.Topics[0].Config["retention.ms"] == "3600000",
		"bytes":        s.Cluster.Config["log.segment.bytes"] == "1048576",
		"processes":    s.Producers.Process && s.Consumers[0].Process && s.Processor.Process,
		"both roles":   s.Processor.Client["request.timeout.ms"] == "2000" && s.Processor.Consumer["request.timeout.ms"] == "3000",
		"own role":     s.Processor.Client["linger.ms"] == "1" && s.Processor.Consumer["isolation.level"] == "read_committed",
		"group":        s.Steps[15].Target == Target{Kind: GroupCoordinator, Name: "readers"},
		"transaction":  s.Steps[16].Target == Target{Kind: TransactionCoordinator, Name: "b-1"},
		"earliest":     s.Consumers[0].Settings["auto.offset.reset"] == "earliest" && s.Processor.Consumer["auto.offset.reset"] == "earliest",
		"broker 2":     s.Steps[10].Target == Target{Kind: Broker, N: 2},
		"topic":        s.Steps[22].Target == Target{Kind: TopicTarget, Topic: "orders"},
		"late end":     s.Steps[43].Target == Target{Kind: TransactionalID, Name: "p-1"} && s.Steps[43].After == 2 && s.Steps[43].N == 3,
		"restored id":  s.Steps[44].Target == Target{Kind: TransactionalID, Name: "p-1"},
		"left open":    s.Steps[47].Open && s.Steps[47].N == 3,
		"least late":   s.Steps[45].After == 1 && s.Steps[45].N == 0,
		"name":         s.Steps[8].When.Name == "old" && s.Steps[8].When.Op == "!=",
		"held":         s.Steps[28].When.Op == ">=" && s.Steps[28].When.Value == 1 && s.Steps[28].When.Target.Kind == ProcessorWorker,
		"MiB":          s.Thresholds[3].Metric == "throughput.mib" && s.Thresholds[3].Value == 10,
		"µs":           s.Thresholds[0].Value == 50_000,
		"ms":           s.Thresholds[4].Value == 8_000,
	} {
		if !ok {
			t.Errorf("%s: %+v", what, s)
		}
	}
}
