package external

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/cluster"
)

// admin answers for brokers alone; nothing else is asked.
type admin struct {
	client.Admin
	brokers func() (map[int32]string, error)
}

func (a admin) Brokers(context.Context) (map[int32]string, error) { return a.brokers() }

func TestExternal(t *testing.T) {
	all := map[int32]string{3: "c:1", 1: "a:1", 2: "b:1"}
	now := all
	c, err := Open(t.Context(), []string{"a:1"}, admin{brokers: func() (map[int32]string, error) { return now, nil }})
	if err != nil {
		t.Fatal(err)
	}
	if info := c.Info(); info.Kind != "external" || info.Simulated || info.Brokers != 3 || info.Version != "" {
		t.Errorf("%+v", info)
	}
	if !slices.Equal(c.Brokers(), []int32{1, 2, 3}) || !slices.Equal(c.Bootstrap(), []string{"a:1"}) {
		t.Errorf("brokers %v at %v", c.Brokers(), c.Bootstrap())
	}
	if _, is := any(c).(cluster.Process); is {
		t.Error("it claims to have processes")
	}
	if err := c.Healthy(t.Context()); err != nil {
		t.Error(err)
	}
	now = map[int32]string{1: "a:1", 3: "c:1"}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := c.Healthy(ctx); err == nil || !strings.Contains(err.Error(), "broker 2 is missing") || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("without broker 2: %v", err)
	}
}

func TestOpenFailsWhereNobodyAnswers(t *testing.T) {
	_, err := Open(t.Context(), []string{"a:1"}, admin{brokers: func() (map[int32]string, error) { return nil, errors.New("refused") }})
	if err == nil || !strings.Contains(err.Error(), "a:1") || !strings.Contains(err.Error(), "refused") {
		t.Errorf("got %v", err)
	}
}
