package faults

import (
	"context"
	"fmt"
	"math/rand"

	"github.com/kbench/kbench/internal/cluster"
	"github.com/kbench/kbench/internal/proxy"
)

// delayEndTxn holds the end of a transaction back until the same producer's next transaction has records. Without the
// second part of KIP-890 the request fits the next transaction as well, and ends it (KAFKA-17754).
type delayEndTxn struct{ order }

func newDelayEndTxn(o order) Fault { return delayEndTxn{o} }

func (delayEndTxn) Name() string { return "delay-end-txn" }

func (f delayEndTxn) Check(env Env) error {
	if _, ok := env.Cluster.(cluster.EndTxnDelayer); !ok {
		return checkFilter(env)
	}
	return nil
}

// Inject begins to hold back. Whether it bites is seen as late requests are answered: see delaying.
func (f delayEndTxn) Inject(_ context.Context, in *Injection, _ *rand.Rand) (bool, error) {
	d, ok := in.Cluster.(cluster.EndTxnDelayer)
	if !ok {
		return false, f.Check(in.Env)
	}
	n := f.count
	if n == 0 {
		n = -1
	}
	in.target("transactional id " + f.target.Name)
	in.before(Undo{Do: undoUnfilter})
	if err := in.journalled(); err != nil {
		return false, err
	}
	trap := &delaying{delayer: d, name: f.target.Name, id: in.Transactional(f.target.Name)}
	trap.since = len(trap.all())
	in.trap = trap
	in.struck()
	return false, d.DelayEndTxn(trap.id, max(1, f.after), n)
}

// delaying is the delay at work.
type delaying struct {
	delayer  cluster.EndTxnDelayer
	name, id string // of the transactional id: in the scenario, on the cluster
	since    int    // entries of the evidence that are older
}

// all that was held back, as the delayer tells it.
func (d *delaying) all() []proxy.Late {
	lister, ok := d.delayer.(interface{ Late() []proxy.Late })
	if !ok {
		return nil
	}
	return lister.Late()
}

// caught is what the coordinator has answered by now. One that refused a late request has defended the transaction that
// was open.
func (d *delaying) caught(func(string) string) Evidence {
	var e Evidence
	answered, refused := 0, 0
	list := d.all()
	for _, l := range list[min(d.since, len(list)):] {
		if l.TransactionalID != d.id || !l.Answered {
			continue
		}
		l.TransactionalID = d.name
		if answered++; answered <= toldTreated {
			e.Lines = append(e.Lines, l.String())
		}
		if !l.Taken() {
			refused++
		}
	}
	if e.Bit = answered > 0; e.Bit {
		e.Lines = append(e.Lines, fmt.Sprintf("in all %d late ends of transactions arrived while the next one was open, %d were refused", answered, refused))
	}
	if refused > 0 {
		e.Protection = []string{fmt.Sprintf("the coordinator refused %d late ends of transactions", refused)}
	}
	return e
}

// awaitsRetry is never so: the client has asked again before the request was delivered.
func (d *delaying) awaitsRetry() bool { return false }
