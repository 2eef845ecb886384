package proxy

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/kbench/kbench/internal/cluster"
)

// advertised is a listener that tells its clients the address of the proxy in front of it.
type advertised struct {
	net.Listener
	proxy *Proxy
}

func (a advertised) Addr() net.Addr {
	addr, _ := net.ResolveTCPAddr("tcp", a.proxy.Addr())
	return addr
}

// behind starts a simulated cluster of n brokers with a proxy before each, and gives their gate and addresses.
func behind(t *testing.T, n int, opts ...kfake.Opt) (*Gate, []string) {
	t.Helper()
	gate := NewGate()
	var addrs []string
	listen := func(network, address string) (net.Listener, error) {
		l, err := net.Listen(network, address)
		if err != nil {
			return nil, err
		}
		p, err := gate.New(l.Addr().String())
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() { p.Close() })
		addrs = append(addrs, p.Addr())
		return advertised{l, p}, nil
	}
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(n), kfake.SeedTopics(1, "orders", "bills"), kfake.ListenFn(listen)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return gate, addrs
}

func newClient(t *testing.T, addrs []string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(addrs...), kgo.DefaultProduceTopic("orders"), kgo.RetryTimeout(20 * time.Second),
		kgo.MetadataMinAge(20 * time.Millisecond)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for ctx := within(t); !is(); time.Sleep(5 * time.Millisecond) {
		if ctx.Err() != nil {
			t.Fatalf("never: %s", what)
		}
	}
}

func endOf(t *testing.T, c *kgo.Client, topic string) int64 {
	t.Helper()
	ends, err := kadm.NewClient(c).ListEndOffsets(within(t), topic)
	if err != nil {
		t.Fatal(err)
	}
	var sum int64
	ends.Each(func(o kadm.ListedOffset) { sum += o.Offset })
	return sum
}

func TestEverythingPassesAsItWas(t *testing.T) {
	gate, addrs := behind(t, 3)
	producer := newClient(t, addrs, kgo.ProducerBatchMaxBytes(4<<20), kgo.ProducerBatchCompression(kgo.NoCompression()))
	var want []string
	for i := range 60 {
		value := fmt.Sprint(i, strings.Repeat("x", i*i*250)) // up to 870 KB: frames far longer than any buffer
		want = append(want, value)
		if err := producer.ProduceSync(within(t), kgo.StringRecord(value)).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	consumer := newClient(t, addrs, kgo.ConsumeTopics("orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	ctx := within(t)
	for got := 0; got < len(want); {
		fetches := consumer.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if string(r.Value) != want[got] {
				t.Fatalf("record %d changed on its way", got)
			}
			got++
		})
	}
	if n := gate.Filtered(); n != 0 {
		t.Errorf("%d requests treated without a filter", n)
	}
}

func TestCutAnswer(t *testing.T) {
	old := kversion.V3_9_0() // Produce names topics, from 4.0 on it has their ids
	for _, c := range []struct {
		name     string
		opts     []kgo.Opt
		inLog    int64
		retried  bool
		produces *kversion.Versions
	}{
		{"an idempotent client's retry is recognised", nil, 1, true, nil},
		{"an idempotent client's retry is recognised, topics by name", nil, 1, true, old},
		{"a plain client's retry is appended again", []kgo.Opt{kgo.DisableIdempotentWrite()}, 2, false, nil},
		{"a plain client's retry is appended again, topics by name", []kgo.Opt{kgo.DisableIdempotentWrite()}, 2, false, old},
	} {
		t.Run(c.name, func(t *testing.T) {
			gate, addrs := behind(t, 1)
			opts := c.opts
			if c.produces != nil {
				opts = append(opts, kgo.MaxVersions(c.produces))
			}
			client := newClient(t, addrs, opts...)
			if err := gate.Filter(cluster.CutAnswer, "orders", 1); err != nil {
				t.Fatal(err)
			}
			acked := make(chan error, 1)
			client.Produce(within(t), kgo.StringRecord("a"), func(_ *kgo.Record, err error) { acked <- err })
			eventually(t, "an answer withheld", func() bool { return gate.Filtered() == 1 })
			if got := fmt.Sprint(gate.Treated()); got != "[1 records appended at orders/0 offset 0, answer withheld]" {
				t.Errorf("evidence %s", got)
			}
			if n := endOf(t, newClient(t, addrs), "orders"); n != 1 {
				t.Errorf("%d records in the log before the retry, want 1", n)
			}
			select {
			case err := <-acked:
				t.Fatalf("acknowledged with %v although the answer was withheld", err)
			default:
			}
			if err := gate.Unfilter(); err != nil {
				t.Fatal(err)
			}
			if err := <-acked; err != nil {
				t.Fatal(err)
			}
			if n := endOf(t, client, "orders"); n != c.inLog {
				t.Errorf("%d records in the log, want %d", n, c.inLog)
			}
			if got := gate.Treated()[0].Retried; got != c.retried {
				t.Errorf("retry recognised by the broker: %v, want %v", got, c.retried)
			}
			if n := gate.Filtered(); n != 1 {
				t.Errorf("%d treated, want 1", n)
			}
		})
	}
}

func TestFilterTreatsOnlyItsTopicAndNumber(t *testing.T) {
	gate, addrs := behind(t, 3)
	client := newClient(t, addrs, kgo.DisableIdempotentWrite())
	if err := gate.Filter(cluster.RefuseRequest, "bills", 2); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		for _, topic := range []string{"orders", "bills"} {
			if err := client.ProduceSync(within(t), &kgo.Record{Topic: topic, Value: []byte("v")}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := gate.Filtered(); n != 2 {
		t.Errorf("%d treated, want 2", n)
	}
	if got := fmt.Sprint(gate.Treated()); got != "[1 records for bills/0 refused, not forwarded 1 records for bills/0 refused, not forwarded]" {
		t.Errorf("evidence %s", got)
	}
	if orders, bills := endOf(t, client, "orders"), endOf(t, client, "bills"); orders != 5 || bills != 5 {
		t.Errorf("orders %d, bills %d records, want 5 and 5", orders, bills)
	}
}

func TestFilterRefusesNonsense(t *testing.T) {
	g := NewGate()
	if g.Filter(0, "orders", 1) == nil || g.Filter(cluster.CutAnswer, "orders", 0) == nil {
		t.Error("a filter that treats nothing was taken")
	}
}

// raw is a client that speaks in frames.
type raw struct {
	t *testing.T
	net.Conn
}

func dialRaw(t *testing.T, addr string) raw {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	return raw{t, c}
}

func (r raw) send(frames ...[]byte) {
	r.t.Helper()
	for _, f := range frames {
		if _, err := r.Write(f); err != nil {
			r.t.Fatal(err)
		}
	}
}

// receive gives the next answer without its length.
func (r raw) receive() ([]byte, error) {
	head := make([]byte, sizeLen)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	frame := make([]byte, binary.BigEndian.Uint32(head))
	_, err := io.ReadFull(r, frame)
	return frame, err
}

// request makes a frame.
func request(correlation int32, req kmsg.Request) []byte {
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("raw")).AppendRequest(nil, req, correlation)
}

func produce(acks int16, topic string, value string) *kmsg.ProduceRequest {
	record := kmsg.Record{Value: []byte(value)}
	body := record.AppendTo(nil)
	record.Length = int32(len(body) - 1)
	body = record.AppendTo(nil)
	b := kmsg.RecordBatch{Magic: 2, PartitionLeaderEpoch: -1, ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1, NumRecords: 1, Records: body}
	b.Length = int32(len(b.AppendTo(nil)) - 12)
	req := kmsg.NewPtrProduceRequest()
	req.SetVersion(9)
	req.Acks, req.TimeoutMillis = acks, 1000
	p := kmsg.NewProduceRequestTopicPartition()
	p.Records = b.AppendTo(nil)
	crc(p.Records)
	req.Topics = []kmsg.ProduceRequestTopic{{Topic: topic, Partitions: []kmsg.ProduceRequestTopicPartition{p}}}
	return req
}

// answer decodes an answer to produce.
func produceAnswer(t *testing.T, frame []byte) (correlation int32, code int16, offset int64) {
	t.Helper()
	resp := kmsg.NewPtrProduceResponse()
	resp.SetVersion(9)
	if err := parseAnswer(frame, resp); err != nil {
		t.Fatal(err)
	}
	p := resp.Topics[0].Partitions[0]
	return int32(binary.BigEndian.Uint32(frame)), p.ErrorCode, p.BaseOffset
}

func TestRefusalComesInTurnAndLaterRequestsGoFirst(t *testing.T) {
	gate, addrs := behind(t, 1)
	if err := gate.Filter(cluster.RefuseRequest, "orders", 1); err != nil {
		t.Fatal(err)
	}
	c := dialRaw(t, addrs[0])
	metadata := kmsg.NewPtrMetadataRequest()
	metadata.SetVersion(12)
	c.send(request(1, metadata), request(2, produce(-1, "orders", "refused")), request(3, produce(-1, "orders", "b")), request(4, produce(-1, "orders", "c")))
	if first, err := c.receive(); err != nil || binary.BigEndian.Uint32(first) != 1 {
		t.Fatalf("first answer: %v, %v", first, err)
	}
	for want := int32(2); want <= 4; want++ {
		frame, err := c.receive()
		if err != nil {
			t.Fatal(err)
		}
		correlation, code, offset := produceAnswer(t, frame)
		wantCode, wantOffset := int16(0), int64(want-3)
		if want == 2 {
			wantCode, wantOffset = refusal, -1
		}
		if correlation != want || code != wantCode || offset != wantOffset {
			t.Errorf("answer %d code %d offset %d, want %d, %d, %d", correlation, code, offset, want, wantCode, wantOffset)
		}
	}
}

func TestAfterACutTheConnectionIsSilentWhileRequestsGoOn(t *testing.T) {
	gate, addrs := behind(t, 1)
	c := dialRaw(t, addrs[0])
	c.send(request(1, produce(-1, "orders", "a")))
	if _, err := c.receive(); err != nil {
		t.Fatal(err)
	}
	if err := gate.Filter(cluster.CutAnswer, "orders", 1); err != nil {
		t.Fatal(err)
	}
	c.send(request(2, produce(-1, "orders", "b")), request(3, produce(-1, "bills", "c")), request(4, produce(-1, "orders", "d")))
	eventually(t, "three answers withheld", func() bool { return len(gate.Treated()) == 3 })
	if n := gate.Filtered(); n != 1 {
		t.Errorf("%d treated as asked, want 1", n)
	}
	if n := endOf(t, newClient(t, addrs), "orders"); n != 3 {
		t.Errorf("%d records in the log, want 3", n)
	}
	if err := gate.Unfilter(); err != nil {
		t.Fatal(err)
	}
	if frame, err := c.receive(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, %v after Unfilter, want the connection's end", frame, err)
	}
}

func TestUnansweredRequestsPassTheFilter(t *testing.T) {
	gate, addrs := behind(t, 1)
	for _, how := range []cluster.Refusal{cluster.CutAnswer, cluster.RefuseRequest} {
		if err := gate.Filter(how, "orders", -1); err != nil {
			t.Fatal(err)
		}
	}
	c := dialRaw(t, addrs[0])
	c.send(request(1, produce(0, "orders", "a")))
	eventually(t, "a record in the log", func() bool { return endOf(t, newClient(t, addrs), "orders") == 1 })
	if n := gate.Filtered(); n != 0 {
		t.Errorf("%d treated, want none", n)
	}
}

func TestAnAnswerWithAnErrorIsNotCut(t *testing.T) {
	gate, addrs := behind(t, 1)
	if err := gate.Filter(cluster.CutAnswer, "", 1); err != nil {
		t.Fatal(err)
	}
	c := dialRaw(t, addrs[0])
	c.send(request(1, produce(-1, "nowhere", "a")))
	frame, err := c.receive()
	if err != nil {
		t.Fatal(err)
	}
	if _, code, _ := produceAnswer(t, frame); code == 0 {
		t.Fatal("a topic that does not exist took a record")
	}
	if n := gate.Filtered(); n != 0 {
		t.Errorf("%d treated, want none: nothing was appended", n)
	}
	c.send(request(2, produce(-1, "orders", "a")))
	eventually(t, "the next one cut", func() bool { return gate.Filtered() == 1 })
}

// peer accepts one connection and hands it to serve.
func peer(t *testing.T, serve func(*net.TCPConn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		if c, err := l.Accept(); err == nil {
			serve(c.(*net.TCPConn))
		}
	}()
	return l.Addr().String()
}

func front(t *testing.T, target string) *Proxy {
	t.Helper()
	p, err := New(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func TestEndsAreToldToTheOtherSide(t *testing.T) {
	frame := request(1, kmsg.NewPtrApiVersionsRequest())
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	t.Run("a dead broker", func(t *testing.T) {
		c := dialRaw(t, front(t, gone.Addr().String()).Addr())
		if _, err := c.receive(); err == nil {
			t.Error("no end")
		}
	})
	t.Run("a broker that dies within an answer", func(t *testing.T) {
		c := dialRaw(t, front(t, peer(t, func(b *net.TCPConn) {
			_, _ = b.Write([]byte{0, 0, 0, 9, 0, 0})
			b.Close()
		})).Addr())
		if _, err := c.receive(); err == nil {
			t.Error("no end")
		}
	})
	t.Run("a broker that sends nonsense", func(t *testing.T) {
		c := dialRaw(t, front(t, peer(t, func(b *net.TCPConn) { _, _ = b.Write([]byte{0xff, 0xff, 0xff, 0xff}) })).Addr())
		if _, err := c.receive(); err == nil {
			t.Error("no end")
		}
	})
	t.Run("a client that has sent its last request gets its answer", func(t *testing.T) {
		c := dialRaw(t, front(t, peer(t, func(b *net.TCPConn) {
			sent, _ := io.ReadAll(b) // until the client's end
			if len(sent) == len(frame) {
				_, _ = b.Write([]byte{0, 0, 0, 4, 0, 0, 0, 1})
			}
			b.Close()
		})).Addr())
		c.send(frame)
		_ = c.Conn.(*net.TCPConn).CloseWrite()
		if got, err := c.receive(); err != nil || len(got) != 4 {
			t.Errorf("got %v, %v", got, err)
		}
		if _, err := c.receive(); !errors.Is(err, io.EOF) {
			t.Errorf("then %v, want the end", err)
		}
	})
}

func TestCloseWaitsForEverything(t *testing.T) {
	held := make(chan struct{})
	t.Cleanup(func() { close(held) })
	p := front(t, peer(t, func(b *net.TCPConn) { <-held; b.Close() })) // as if paused: reads and answers nothing
	c := dialRaw(t, p.Addr())
	c.send(request(1, kmsg.NewPtrApiVersionsRequest()))
	eventually(t, "a connection", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return len(p.conns) == 1 })
	for range 2 {
		if err := p.Close(); err != nil { // returns only when all its goroutines have
			t.Fatal(err)
		}
	}
	if _, err := c.receive(); err == nil {
		t.Error("the client was not told")
	}
	if len(p.conns) != 0 {
		t.Errorf("%d connections left", len(p.conns))
	}
}
