package faults

import (
	"context"
	"math/rand"

	"github.com/kbench/kbench/internal/cluster"
)

// refuseProduce keeps Produce requests from the broker and answers them with a retriable error.
type refuseProduce struct{ order }

func newRefuse(o order) Fault { return refuseProduce{o} }

func (refuseProduce) Name() string { return "refuse-produce" }

func (f refuseProduce) Check(env Env) error { return checkFilter(env) }

func (f refuseProduce) Inject(_ context.Context, in *Injection, _ *rand.Rand) (bool, error) {
	return false, in.filter(cluster.RefuseRequest, f.order)
}
