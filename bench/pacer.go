package bench

import "time"

// Pacer gives each operation its intended start. It is pure: what happens to earlier operations does not move later
// ones, so that an outage cannot hide in a clock that stopped with it (coordinated omission).
type Pacer interface {
	// At is the intended start of operation n, counted from 0, after the start of the load.
	At(n uint64) time.Duration
}

// constant is one producer's share of a fixed rate: its operations fall between those of the others.
type constant struct {
	perSecond float64 // of all producers together
	producers int
	producer  int
}

func (c constant) At(n uint64) time.Duration {
	k := float64(n)*float64(c.producers) + float64(c.producer)
	return time.Duration(k / c.perSecond * float64(time.Second))
}
