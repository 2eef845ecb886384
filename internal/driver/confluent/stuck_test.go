package confluent

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/kbench/kbench/internal/client"
)

// TestACallThatDoesNotReturnIsGivenUp: the producer is of no more use, every further call says so at once, and it can be
// left without waiting.
func TestACallThatDoesNotReturnIsGivenUp(t *testing.T) {
	cluster, err := kafka.NewMockCluster(1)
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	made, err := New(nil).NewProducer([]string{cluster.BootstrapServers()}, map[string]string{"transactional.id": "t"}, func([]client.Ack) {})
	if err != nil {
		t.Fatal(err)
	}
	p := made.(*producer)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := errors.Join(p.InitTransactions(ctx), p.BeginTransaction()); err != nil {
		t.Fatal(err)
	}
	if err := p.attended(time.Second, func() error { return context.Canceled }); !errors.Is(err, context.Canceled) {
		t.Errorf("a call that returns: %v", err)
	}
	release := make(chan struct{})
	defer close(release)
	if err := p.attended(200*time.Millisecond, func() error { <-release; return nil }); !errors.Is(err, errStuck) {
		t.Errorf("a call that does not return: %v", err)
	}
	if err := p.Commit(ctx); !errors.Is(err, errStuck) {
		t.Errorf("commit afterwards: %v", err)
	}
	if err := p.Abort(ctx); !errors.Is(err, errStuck) {
		t.Errorf("abort afterwards: %v", err)
	}
	if err := p.Close(); err != nil || ctx.Err() != nil {
		t.Errorf("close: %v, %v", err, ctx.Err())
	}
	if p.Counters()["stuck"] != 1 {
		t.Errorf("counters %v", p.Counters())
	}
}
