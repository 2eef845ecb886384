package faults

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand"
	"slices"
	"strings"
	"time"

	"github.com/kbench/kbench/scenarios"
)

// Fault is one way to hurt a cluster or a client.
type Fault interface {
	Name() string
	// Check says, before the load starts, what keeps the fault from being done here. What only the moment can tell, such
	// as who leads a partition, is found out by Inject.
	Check(Env) error
	// Inject finds its victims, journals how to heal each change before making it, hurts, and returns once the system
	// shows the effect; bit says that it does. It leaves its evidence with the injection, as the runner does with what
	// the cluster makes of the fault later.
	Inject(context.Context, *Injection, *rand.Rand) (bit bool, err error)
}

// order is what a scenario asks of a fault.
type order struct {
	action string
	target scenarios.Target
	last   time.Duration // restart: how long the victim stays down
	count  int           // cut-acks, refuse-produce, delay-end-txn: how many requests, 0: all
	after  int           // delay-end-txn: records of the next transaction that come before
}

// Description of a fault, for lists.
type Description struct {
	Name    string `json:"name"`
	Targets string `json:"targets"`
	About   string `json:"about"`
	Needs   string `json:"needs"` // of the cluster
}

// kind is a fault that can be asked for.
type kind struct {
	make func(order) Fault
	Description
}

func kinds() map[string]kind {
	const nodes = "leader, follower, followers, broker, controller, coordinator"
	const anyone = nodes + "; producer, consumer, processor"
	const processes = "nodes or workers that are processes (simulated on embedded clusters: brokers are detached)"
	const proxies = "clients that go through kbench's proxies: a local cluster, or one in containers"
	const networks = "brokers on networks of their own: a cluster in containers"
	known := map[string]kind{}
	add := func(name, targets, about, needs string, make func(order) Fault) {
		known[name] = kind{make, Description{name, targets, about, needs}}
	}
	add("kill", anyone, "SIGKILL: it dies at once, unable to say goodbye; healed by a new start", processes, newKill)
	add("stop", nodes, "SIGTERM: a clean shutdown that hands leaderships over; healed by a new start", processes, newStop)
	add("pause", anyone, "SIGSTOP: it stands still but keeps its connections; healed by SIGCONT", "nodes or workers that are processes (simulated on embedded clusters: a leader stands still)", newPause)
	add("isolate", nodes, "cut from its peers and the controllers while clients still reach it; healed by joining it again", networks, newIsolate)
	add("restart", nodes, "a clean stop and, after 'for', a start", processes, newRestart)
	add("rolling-restart", "brokers", "every broker restarted in turn, each back in sync before the next", processes, newRolling)
	add("cut-acks", "a topic", "requests reach the broker and are appended, their answers do not come back", proxies, newCutAcks)
	add("refuse-produce", "a topic", "requests are not forwarded and are answered with a retriable error, so that later ones overtake them", proxies, newRefuse)
	add("delay-end-txn", "a transactional id", "the end of a transaction arrives at the coordinator late, while the next one is open: the connection broke, and the client has asked again", proxies, newDelayEndTxn)
	return known
}

// Known lists every fault, by name.
func Known() []Description {
	known := kinds()
	var list []Description
	for _, name := range slices.Sorted(maps.Keys(known)) {
		list = append(list, known[name].Description)
	}
	return list
}

// newFault makes the fault that is asked for.
func newFault(o order) (Fault, error) {
	known := kinds()
	k, ok := known[o.action]
	if !ok {
		return nil, fmt.Errorf("unknown fault %q, known are %s", o.action, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
	}
	return k.make(o), nil
}

func ofFault(f scenarios.Fault) order { return order{f.Action, f.Target, f.For, f.Count, f.After} }

func ofStep(s scenarios.Step) order {
	return order{action: s.Do, target: s.Target, count: s.N, after: s.After}
}

// isFault tells a step that hurts from one that does something else.
func isFault(do string) bool {
	_, ok := kinds()[do]
	return ok
}

// CheckTimeline asks every fault whether it can be done here, and names all that cannot.
func CheckTimeline(env Env, list []scenarios.Fault) error {
	var problems []error
	for _, f := range list {
		problems = append(problems, at(f.Pos, check(env, ofFault(f))), at(f.Pos, checkCondition(env, f.At.When)))
	}
	return errors.Join(problems...)
}

// CheckSteps asks every step whether it can be done here, and names all that cannot.
func CheckSteps(env Env, list []scenarios.Step) error {
	var problems []error
	for _, s := range list {
		if isFault(s.Do) {
			problems = append(problems, at(s.Pos, check(env, ofStep(s))))
		}
		problems = append(problems, at(s.Pos, checkCondition(env, s.When)))
	}
	return errors.Join(problems...)
}

func check(env Env, o order) error {
	f, err := newFault(o)
	if err != nil {
		return err
	}
	if err := f.Check(env); err != nil {
		return fmt.Errorf("%s %s: %w", o.action, o.target, err)
	}
	return nil
}

// at adds the place in the scenario's file.
func at(pos scenarios.Pos, err error) error {
	if err == nil || pos.Line == 0 {
		return err
	}
	return fmt.Errorf("line %d: %w", pos.Line, err)
}
