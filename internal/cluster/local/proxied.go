package local

import (
	"errors"
	"fmt"

	"github.com/kbench/kbench/internal/cluster"
	"github.com/kbench/kbench/internal/proxy"
)

// Proxied is a cluster whose clients go through proxies, one for each broker, behind one gate: its filter counts
// requests whichever broker they reach.
type Proxied struct {
	*Cluster
	*proxy.Gate
}

var (
	_ cluster.Cluster       = (*Proxied)(nil)
	_ cluster.AnswerFilter  = (*Proxied)(nil)
	_ cluster.EndTxnDelayer = (*Proxied)(nil)
)

// makeProxies puts a proxy before each broker and has brokers advertise it.
func (c *Cluster) makeProxies() error {
	c.gate = proxy.NewGate()
	for _, id := range c.Brokers() {
		a := c.addrs[id]
		p, err := c.gate.New(a.client)
		if err != nil {
			return fmt.Errorf("broker %d: %w", id, err)
		}
		c.proxies = append(c.proxies, p)
		a.public = p.Addr()
		c.addrs[id] = a
	}
	return nil
}

func (c *Cluster) closeProxies() error {
	var problems []error
	for _, p := range c.proxies {
		problems = append(problems, p.Close())
	}
	return errors.Join(problems...)
}
