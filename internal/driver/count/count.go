// Package count keeps a client's named figures.
package count

import (
	"maps"
	"sync"
)

// Counts are named figures that only grow. The zero value is ready; it is safe for concurrent use. It takes a lock and
// so belongs on the paths that are rare.
type Counts struct {
	mu    sync.Mutex
	named map[string]uint64
}

// Add n to a figure.
func (c *Counts) Add(name string, n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.named == nil {
		c.named = make(map[string]uint64)
	}
	c.named[name] += n
}

// Raise lifts a figure that is known as a lower bound.
func (c *Counts) Raise(name string, least uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if least <= c.named[name] {
		return
	}
	if c.named == nil {
		c.named = make(map[string]uint64)
	}
	c.named[name] = least
}

// All is a copy of the figures.
func (c *Counts) All() map[string]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.named)
}
