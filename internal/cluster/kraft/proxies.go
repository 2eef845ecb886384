package kraft

import (
	"errors"
	"fmt"

	"github.com/kbench/kbench/internal/proxy"
)

// Proxies stand before the brokers of one cluster, behind one gate: its filter counts requests whichever broker they reach.
type Proxies struct {
	*proxy.Gate
	before []*proxy.Proxy
}

// NewProxies makes none yet.
func NewProxies() *Proxies { return &Proxies{Gate: proxy.NewGate()} }

// Add puts a proxy before a broker, and returns the address that the broker is to advertise.
func (p *Proxies) Add(id int32, broker string) (addr string, err error) {
	one, err := p.Gate.New(broker)
	if err != nil {
		return "", fmt.Errorf("broker %d: %w", id, err)
	}
	p.before = append(p.before, one)
	return one.Addr(), nil
}

// Close closes every proxy. There may be none.
func (p *Proxies) Close() error {
	if p == nil {
		return nil
	}
	var problems []error
	for _, one := range p.before {
		problems = append(problems, one.Close())
	}
	return errors.Join(problems...)
}
