package local

import (
	"github.com/kbench/kbench/internal/cluster"
	"github.com/kbench/kbench/internal/cluster/kraft"
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
	c.proxies = kraft.NewProxies()
	for _, id := range c.Brokers() {
		a := c.addrs[id]
		var err error
		if a.public, err = c.proxies.Add(id, a.client); err != nil {
			return err
		}
		c.addrs[id] = a
	}
	return nil
}
