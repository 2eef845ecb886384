package franz

import (
	"context"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/settings"
)

// The produce path against simulated brokers that drop what they are sent, beside the library's own loop. cpu-ns/op is
// the process's own time, brokers included, and holds on a busy machine.
//
//	go test -run - -bench . -benchmem ./internal/driver/franz

func blackhole(b *testing.B) []string {
	b.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(4, "orders"), kfake.BlackholeProduce())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.Close)
	return c.ListenAddrs()
}

func sizes(b *testing.B, run func(b *testing.B, value []byte)) {
	for _, size := range []int{100, 1024} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			before := used()
			run(b, make([]byte, size))
			b.ReportMetric(float64(used()-before)/float64(b.N), "cpu-ns/op")
		})
	}
}

// used is the processor time that the process has used.
func used() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkSend(b *testing.B) {
	bootstrap := blackhole(b)
	sizes(b, func(b *testing.B, value []byte) {
		acked := 0
		p, err := New(nil).NewProducer(bootstrap, nil, func(acks []client.Ack) {
			for i := range acks {
				if acks[i].Err == nil {
					acked++
				}
			}
		})
		if err != nil {
			b.Fatal(err)
		}
		defer p.Close()
		r := client.Record{Topic: "orders", Value: value}
		b.ResetTimer()
		for i := range b.N {
			r.Partition = int32(i % 4)
			if err := p.Send(&r, client.Slot(i)); err != nil {
				b.Fatal(err)
			}
		}
		if err := p.Flush(context.Background()); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if acked != b.N {
			b.Fatalf("%d acknowledgements for %d records", acked, b.N)
		}
	})
}

func BenchmarkLibraryAlone(b *testing.B) {
	bootstrap := blackhole(b)
	sizes(b, func(b *testing.B, value []byte) {
		full, err := resolve(settings.Producer, nil)
		if err != nil {
			b.Fatal(err)
		}
		opts, err := producerOptions(bootstrap, full)
		if err != nil {
			b.Fatal(err)
		}
		cl, err := kgo.NewClient(append(opts, kgo.MaxBufferedBytes(32<<20))...)
		if err != nil {
			b.Fatal(err)
		}
		defer cl.Close()
		var acked atomic.Int64
		done := func(_ *kgo.Record, err error) {
			if err == nil {
				acked.Add(1)
			}
		}
		b.ResetTimer()
		for i := range b.N {
			cl.Produce(context.Background(), &kgo.Record{Topic: "orders", Partition: int32(i % 4), Value: value}, done)
		}
		if err := cl.Flush(context.Background()); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if int(acked.Load()) != b.N {
			b.Fatalf("%d acknowledgements for %d records", acked.Load(), b.N)
		}
	})
}
