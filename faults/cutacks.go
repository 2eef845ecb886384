package faults

import (
	"context"
	"math/rand"

	"github.com/kbench/kbench/internal/cluster"
)

// cutAcks lets Produce requests reach the broker and withholds their answers.
type cutAcks struct{ order }

func newCutAcks(o order) Fault { return cutAcks{o} }

func (cutAcks) Name() string { return "cut-acks" }

func (f cutAcks) Check(env Env) error { return checkFilter(env) }

func (f cutAcks) Inject(_ context.Context, in *Injection, _ *rand.Rand) (bool, error) {
	return false, in.filter(cluster.CutAnswer, f.order)
}
