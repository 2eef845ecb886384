package local

import (
	"errors"

	"github.com/kbench/kbench/internal/cluster"
)

// Proxy stands between clients and one broker.
type Proxy interface {
	Addr() string // where it listens
	Close() error
	cluster.AnswerFilter
}

// Proxied is a cluster whose clients go through proxies. Its filter acts on all of them.
type Proxied struct {
	*Cluster
	proxies []Proxy
}

var _ cluster.AnswerFilter = (*Proxied)(nil)

// Filter treats the next n requests that reach each of the brokers.
func (p *Proxied) Filter(r cluster.Refusal, topic string, n int) error {
	var problems []error
	for _, proxy := range p.proxies {
		problems = append(problems, proxy.Filter(r, topic, n))
	}
	return errors.Join(problems...)
}

// Unfilter ends the filter at every broker.
func (p *Proxied) Unfilter() error {
	var problems []error
	for _, proxy := range p.proxies {
		problems = append(problems, proxy.Unfilter())
	}
	return errors.Join(problems...)
}

// Filtered is the sum over all brokers.
func (p *Proxied) Filtered() int {
	sum := 0
	for _, proxy := range p.proxies {
		sum += proxy.Filtered()
	}
	return sum
}

func closeProxies(proxies []Proxy) error {
	var problems []error
	for _, proxy := range proxies {
		problems = append(problems, proxy.Close())
	}
	return errors.Join(problems...)
}
