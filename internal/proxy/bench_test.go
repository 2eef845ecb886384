package proxy

import (
	"io"
	"net"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// BenchmarkPass sends Produce requests through a proxy whose gate wants nothing of them.
func BenchmarkPass(b *testing.B) {
	for name, size := range map[string]int{"1KiB": 1 << 10, "16KiB": 16 << 10, "1MiB": 1 << 20} {
		b.Run(name, func(b *testing.B) {
			sink, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			defer sink.Close()
			done := make(chan struct{})
			go func() {
				defer close(done)
				if c, err := sink.Accept(); err == nil {
					_, _ = io.Copy(io.Discard, c)
				}
			}()
			p, err := New(sink.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			defer p.Close()
			c, err := net.Dial("tcp", p.Addr())
			if err != nil {
				b.Fatal(err)
			}
			req := kmsg.NewPtrProduceRequest()
			req.SetVersion(9)
			part := kmsg.NewProduceRequestTopicPartition()
			part.Records = make([]byte, size)
			req.Topics = []kmsg.ProduceRequestTopic{{Topic: "orders", Partitions: []kmsg.ProduceRequestTopicPartition{part}}}
			frame := request(1, req)
			b.SetBytes(int64(len(frame)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Write(frame); err != nil {
					b.Fatal(err)
				}
			}
			c.Close()
			<-done
		})
	}
}
