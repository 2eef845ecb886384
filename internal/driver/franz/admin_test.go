package franz_test

import (
	"net"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/driver/franz"
)

func admin(t *testing.T, bootstrap ...string) client.Admin {
	t.Helper()
	a, err := franz.NewAdmin(bootstrap, nil)
	must(t, err)
	t.Cleanup(func() { a.Close() })
	return a
}

func TestAdminMakesAndDescribesTopics(t *testing.T) {
	c := cluster(t)
	a, ctx := admin(t, c.ListenAddrs()...), within(t, 20*time.Second)
	must(t, a.CreateTopic(ctx, client.Topic{Name: "bills", Partitions: 2, Replication: 3, Config: map[string]string{"min.insync.replicas": "2"}}))
	if err := a.CreateTopic(ctx, client.Topic{Name: "bills", Partitions: 2, Replication: 3}); err == nil {
		t.Error("the same topic again")
	}
	config, err := a.TopicConfig(ctx, "bills")
	must(t, err)
	if config["min.insync.replicas"] != "2" {
		t.Errorf("configuration: %v", config)
	}
	parts, err := a.Partitions(ctx, "bills")
	must(t, err)
	if len(parts) != 2 || parts[1].Partition.Partition != 1 || parts[0].Leader != c.LeaderFor("bills", 0) || len(parts[0].Replicas) == 0 {
		t.Errorf("partitions: %+v", parts)
	}
	ends, err := a.EndOffsets(ctx, "bills", client.ReadUncommitted)
	must(t, err)
	if len(ends) != 2 || ends[0] != 0 {
		t.Errorf("ends: %v", ends)
	}
	must(t, a.DeleteTopic(ctx, "bills"))
	if _, err := a.Partitions(ctx, "bills"); err == nil {
		t.Error("a topic that is gone has partitions")
	}
	if _, err := a.EndOffsets(ctx, "bills", client.ReadUncommitted); err == nil {
		t.Error("a topic that is gone has ends")
	}
}

func TestAdminSeesWhatMoves(t *testing.T) {
	c := cluster(t)
	a, ctx := admin(t, c.ListenAddrs()...), within(t, 20*time.Second)
	before, err := a.Partitions(ctx, "orders")
	must(t, err)
	other := (before[0].Leader + 1) % 3
	must(t, c.MoveTopicPartition("orders", 0, other))
	after, err := a.Partitions(ctx, "orders")
	must(t, err)
	if after[0].Leader != other || after[0].Epoch <= before[0].Epoch {
		t.Errorf("before %+v, after %+v", before[0], after[0])
	}
	brokers, err := a.Brokers(ctx)
	must(t, err)
	if len(brokers) != 3 {
		t.Errorf("brokers: %v", brokers)
	}
	for _, kind := range []client.CoordinatorKind{client.GroupCoordinator, client.TransactionCoordinator} {
		id, err := a.Coordinator(ctx, kind, "g")
		must(t, err)
		if id != c.CoordinatorFor("g") {
			t.Errorf("coordinator of g: %d, the cluster says %d", id, c.CoordinatorFor("g"))
		}
	}
	if id, err := a.Controller(ctx); err != nil || brokers[id] == "" {
		t.Errorf("controller %d, %v", id, err)
	}
	if config, err := a.BrokerConfig(ctx, before[0].Leader); err != nil || len(config) == 0 {
		t.Errorf("broker configuration: %v, %v", config, err)
	}
}

func TestAdminTellsTheStableEndFromTheHighWatermark(t *testing.T) {
	c := cluster(t)
	transact(t, c, 2, true)
	a, ctx := admin(t, c.ListenAddrs()...), within(t, 20*time.Second)
	p, err := franz.New(nil).NewProducer(c.ListenAddrs(), map[string]string{"transactional.id": "open"}, func([]client.Ack) {})
	must(t, err)
	defer p.Close()
	txn := p.(client.Transactor)
	must(t, txn.InitTransactions(ctx))
	must(t, txn.BeginTransaction())
	must(t, p.Send(&client.Record{Topic: "orders", Partition: 0, Value: []byte("x")}, 1))
	must(t, p.Flush(ctx))
	high, err := a.EndOffsets(ctx, "orders", client.ReadUncommitted)
	must(t, err)
	stable, err := a.EndOffsets(ctx, "orders", client.ReadCommitted)
	must(t, err)
	if high[0] != 4 || stable[0] != 3 {
		t.Errorf("high watermark %d, last stable offset %d; want 4, 3", high[0], stable[0])
	}
}

func TestAdminWaitsForStableOffsets(t *testing.T) {
	c := cluster(t)
	a, ctx := admin(t, c.ListenAddrs()...), within(t, 20*time.Second)
	if offsets, err := a.CommittedOffsets(ctx, "g"); err != nil || len(offsets) != 0 {
		t.Errorf("a group that nobody knows: %v, %v", offsets, err)
	}
	p, err := franz.New(nil).NewProducer(c.ListenAddrs(), map[string]string{"transactional.id": "t"}, func([]client.Ack) {})
	must(t, err)
	defer p.Close()
	txn := p.(client.Transactor)
	must(t, txn.InitTransactions(ctx))
	offset := client.PartitionOffset{Partition: client.Partition{Topic: "orders", Partition: 0}}
	for _, offset.Offset = range []int64{5, 7} {
		must(t, txn.BeginTransaction())
		must(t, p.Send(&client.Record{Topic: "orders", Partition: 1, Value: []byte("x")}, 1))
		must(t, txn.SendOffsets(ctx, []client.PartitionOffset{offset}, client.Anonymous("g")))
		if offset.Offset == 5 {
			must(t, txn.Commit(ctx))
		}
	}
	if offsets, err := a.CommittedOffsets(within(t, 500*time.Millisecond), "g"); err == nil {
		t.Errorf("offsets of an open transaction: %v", offsets)
	}
	must(t, txn.Commit(ctx))
	if offsets, err := a.CommittedOffsets(ctx, "g"); err != nil || !slices.Equal(offsets, []client.PartitionOffset{offset}) {
		t.Errorf("after the commit: %v, %v", offsets, err)
	}
}

func TestAdminDescribesGroups(t *testing.T) {
	for _, protocol := range []string{"classic", "consumer"} {
		t.Run(protocol, func(t *testing.T) {
			c := cluster(t)
			a, ctx := admin(t, c.ListenAddrs()...), within(t, 20*time.Second)
			if g, err := a.Group(ctx, "g"); err != nil || g.State != "Dead" {
				t.Errorf("a group that nobody knows: %+v, %v", g, err)
			}
			m, err := franz.New(nil).NewConsumer(c.ListenAddrs(), map[string]string{"group.id": "g", "client.id": "reader", "group.protocol": protocol})
			must(t, err)
			defer m.Close()
			must(t, m.Subscribe([]string{"orders"}))
			for range 200 {
				_, err := m.Poll(50*time.Millisecond, 10)
				must(t, err)
				g, err := a.Group(ctx, "g")
				must(t, err)
				if g.State == "Stable" && len(g.Members) == 1 && len(g.Members[0].Assigned) == 3 && g.Members[0].ClientID == "reader" {
					return
				}
			}
			t.Error("never stable")
		})
	}
}

// silent is a broker that takes connections and never answers, as one that is stopped does.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// TestAdminGoesRoundBrokersThatDoNotAnswer: it is asked through a dead one and a stopped one, and one that serves.
func TestAdminGoesRoundBrokersThatDoNotAnswer(t *testing.T) {
	c := cluster(t)
	dead := silent(t)
	for range 4 { // whichever is asked first
		a := admin(t, silent(t), "127.0.0.1:1", dead, c.ListenAddrs()[0])
		if _, err := a.Partitions(within(t, 20*time.Second), "orders"); err != nil {
			t.Error(err)
		}
	}
}

// TestAdminGivesUp: nobody answers, and the call ends by itself.
func TestAdminGivesUp(t *testing.T) {
	a := admin(t, silent(t), silent(t))
	done := make(chan error, 1)
	go func() {
		_, err := a.Partitions(t.Context(), "orders")
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil {
			t.Error("nobody answered, and there is no error")
		}
	case <-time.After(15 * time.Second):
		t.Error("the call does not end")
	}
}

func TestAdminReportsAnOfflinePartition(t *testing.T) {
	c := cluster(t)
	c.ControlKey(int16(kmsg.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		ask := req.(*kmsg.MetadataRequest)
		answer := ask.ResponseKind().(*kmsg.MetadataResponse)
		for _, t := range ask.Topics {
			name, part := "orders", kmsg.NewMetadataResponseTopicPartition()
			part.Leader, part.ErrorCode, part.Replicas, part.ISR = -1, kerr.LeaderNotAvailable.Code, []int32{0, 1, 2}, []int32{1}
			topic := kmsg.NewMetadataResponseTopic()
			topic.Topic, topic.TopicID, topic.Partitions = &name, t.TopicID, append(topic.Partitions, part)
			answer.Topics = append(answer.Topics, topic)
		}
		host, port, _ := net.SplitHostPort(c.ListenAddrs()[0])
		broker := kmsg.NewMetadataResponseBroker()
		broker.Host = host
		n, _ := net.LookupPort("tcp", port)
		broker.Port = int32(n)
		answer.Brokers = append(answer.Brokers, broker)
		return answer, nil, true
	})
	parts, err := admin(t, c.ListenAddrs()...).Partitions(within(t, 20*time.Second), "orders")
	must(t, err)
	if len(parts) != 1 || parts[0].Leader != -1 || !slices.Equal(parts[0].ISR, []int32{1}) {
		t.Errorf("%+v", parts)
	}
}

func TestAuthentication(t *testing.T) {
	c := cluster(t, kfake.EnableSASL(), kfake.Superuser("PLAIN", "ann", "hunter2"), kfake.Superuser("SCRAM-SHA-256", "bob", "hunter3"))
	login := func(mechanism, module, user, password string) client.Security {
		return client.Security{"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": mechanism,
			"sasl.jaas.config": "org.apache.kafka.common.security." + module + ` required username="` + user + `" password="` + password + `";`}
	}
	for name, try := range map[string]struct {
		security client.Security
		ok       bool
	}{
		"plain":          {login("PLAIN", "plain.PlainLoginModule", "ann", "hunter2"), true},
		"scram":          {login("SCRAM-SHA-256", "scram.ScramLoginModule", "bob", "hunter3"), true},
		"wrong password": {login("PLAIN", "plain.PlainLoginModule", "ann", "x"), false},
		"none":           {nil, false},
	} {
		a, err := franz.NewAdmin(c.ListenAddrs(), try.security)
		must(t, err)
		if _, err := a.Brokers(within(t, 20*time.Second)); (err == nil) != try.ok {
			t.Errorf("%s: %v", name, err)
		}
		a.Close()
	}
	for _, bad := range []client.Security{
		{"security.protocol": "SASL_SSL"}, {"ssl.keystore.location": "/k"}, {"ssl.truststore.location": "/ca.jks", "security.protocol": "SSL"}, {"sasl.who": "x"},
	} {
		if a, err := franz.NewAdmin(c.ListenAddrs(), bad); err == nil {
			a.Close()
			t.Errorf("%v was taken", bad)
		}
	}
}
