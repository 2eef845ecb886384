package confluent

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/settings"
)

// The produce path against librdkafka's mock brokers, beside the library's own loop: with reports that carry nothing, and so
// cannot be told apart, and with those that carry an opaque value or the record's value. All figures include the brokers, which run in the
// process; cpu-ns/op is the process's own time and holds on a busy machine.
//
//	go test -run - -bench . -benchmem ./internal/driver/confluent

func mock(b *testing.B) string {
	b.Helper()
	m, err := kafka.NewMockCluster(1)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(m.Close)
	if err := m.CreateTopic("orders", 4, 1); err != nil {
		b.Fatal(err)
	}
	return m.BootstrapServers()
}

func sizes(b *testing.B, run func(b *testing.B, value []byte)) {
	for _, size := range []int{100, 1024} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			run(b, make([]byte, size))
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
	bootstrap := mock(b)
	sizes(b, func(b *testing.B, value []byte) {
		acked := 0
		p, err := New(nil).NewProducer([]string{bootstrap}, nil, func(acks []client.Ack) {
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
		before := used()
		r := client.Record{Topic: "orders", Value: value}
		b.ResetTimer()
		for i := range b.N {
			r.Partition = int32(i % 4)
			if err := p.Send(&r, client.Slot(i%(1<<20))); err != nil {
				b.Fatal(err)
			}
		}
		if err := p.Flush(context.Background()); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		b.ReportMetric(float64(used()-before)/float64(b.N), "cpu-ns/op")
		if acked != b.N {
			b.Fatalf("%d acknowledgements for %d records", acked, b.N)
		}
	})
}

func BenchmarkLibraryAlone(b *testing.B) { library(b, "none", func(int) any { return nil }) }

func BenchmarkLibraryWithOpaque(b *testing.B) {
	numbers := make([]client.Slot, 1<<20)
	library(b, "none", func(i int) any { return &numbers[i%len(numbers)] })
}

func BenchmarkLibraryWithValue(b *testing.B) { library(b, "value", func(int) any { return nil }) }

// library is the library's own loop: what its reports carry is the cost of a way to match them.
func library(b *testing.B, fields string, opaque func(int) any) {
	bootstrap := mock(b)
	sizes(b, func(b *testing.B, value []byte) {
		conf, _, err := configure(settings.Producer, []string{bootstrap}, nil)
		if err != nil {
			b.Fatal(err)
		}
		conf["go.delivery.report.fields"] = fields
		conf["go.events.channel.size"] = 8192
		delete(conf, "go.logs.channel.enable")
		p, err := kafka.NewProducer(&conf)
		if err != nil {
			b.Fatal(err)
		}
		defer p.Close()
		done := make(chan int)
		go func() {
			acked := 0
			for acked < b.N {
				if m, ok := (<-p.Events()).(*kafka.Message); ok && m.TopicPartition.Error == nil {
					acked++
				}
			}
			done <- acked
		}()
		topic := "orders"
		before := used()
		b.ResetTimer()
		for i := range b.N {
			m := kafka.Message{TopicPartition: kafka.TopicPartition{Topic: &topic, Partition: int32(i % 4)}, Value: value, Opaque: opaque(i)}
			for {
				err := p.Produce(&m, nil)
				if err == nil {
					break
				}
				if code(err) != kafka.ErrQueueFull {
					b.Fatal(err)
				}
				time.Sleep(time.Millisecond)
			}
		}
		<-done
		b.ReportMetric(float64(used()-before)/float64(b.N), "cpu-ns/op")
	})
}
