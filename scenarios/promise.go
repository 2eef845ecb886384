package scenarios

import (
	"fmt"
	"slices"
)

// Promise is what the settings of client, consumer, processor, topics and cluster together say about one guarantee.
type Promise struct {
	Guarantee Guarantee
	Against   []Reason // why it is not promised; none: it is
	Rests     []string // what a promise that is given rests on
}

// Given tells whether the settings promise the guarantee.
func (p Promise) Given() bool { return len(p.Against) == 0 }

// Reason is one setting that stands against a guarantee.
type Reason struct {
	Path    string // of the setting: client.acks
	Setting string // as it is: acks=1
	Why     string // what can happen
	Fix     string // what to change
}

func (r Reason) String() string { return r.Setting + ": " + r.Why }

// Promises derives what the settings promise, for each guarantee. The definitions are those of docs/guarantees.md: loss of
// a disk or of power is outside of them, and so is what a scenario's faults do; only settings count.
func Promises(s Scenario) []Promise {
	promises := []Promise{{Guarantee: AtMostOnce}, {Guarantee: AtLeastOnce}, {Guarantee: ExactlyOnce}, {Guarantee: ExactlyOnceTransactions}}
	for _, r := range rules() {
		reason := r.broken(&s)
		for i := range promises {
			p := &promises[i]
			if reason != nil && slices.Contains(r.against, p.Guarantee) {
				p.Against = append(p.Against, *reason)
			}
		}
	}
	for i := range promises {
		if promises[i].Given() {
			promises[i].Rests = rests(&s, promises[i].Guarantee)
		}
	}
	return promises
}

// PromiseOf derives what the settings say about one guarantee.
func PromiseOf(s Scenario, g Guarantee) Promise {
	for _, p := range Promises(s) {
		if p.Guarantee == g {
			return p
		}
	}
	return Promise{Guarantee: g}
}

// rests says what a promise that is given rests on, beyond the settings that give it.
func rests(s *Scenario, g Guarantee) []string {
	var on []string
	for _, t := range s.Topics {
		switch in := s.minISR(t); {
		case g == AtMostOnce:
		case t.Replication == 1:
			on = append(on, "the disk of the one broker that has "+t.Name)
		case s.unclean(t):
			on = append(on, fmt.Sprintf("one of the %d in-sync replicas of %s staying alive: unclean.leader.election.enable=true lets another one win", in, t.Name))
		}
	}
	for _, t := range s.Topics {
		if s.compacted(t) && g != AtMostOnce {
			on = append(on, "the newest record of each key: compaction takes those out of "+t.Name+" that it replaces")
		}
	}
	if g == ExactlyOnce {
		on = append(on, "each producer's one session: a new one may repeat what the old one sent")
	}
	return on
}

// promised checks the guarantee that the scenario claims.
func (c *checker) promised() {
	s := c.s
	if s.Guarantee == Unjudged || s.Expect.Violated || c.broken("guarantee") || c.broken("expect") {
		return
	}
	for _, r := range PromiseOf(*s, s.Guarantee).Against {
		if c.broken(r.Path) {
			continue
		}
		at := c.locate("guarantee")
		if _, written := c.places[r.Path]; written {
			at = c.locate(r.Path)
		}
		c.problems = append(c.problems, at.problem(r.Path, r.Fix+"; or expect: violated", fmt.Sprintf("%s is more than the settings promise: %s: %s", s.Guarantee, r.Setting, r.Why)))
	}
}
