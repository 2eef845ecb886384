package faults

import (
	"slices"
	"testing"

	"github.com/kbench/kbench/internal/client"
)

// A replica that is taken out of those in sync is a defence where acknowledgements wait for those that stay, and where
// more than one stays.
func TestAShrunkISRIsADefenceWhereAcknowledgementsWaitForIt(t *testing.T) {
	p := client.Partition{Topic: "orders"}
	state := func(isr ...int32) client.PartitionState {
		return client.PartitionState{Partition: p, Leader: 1, ISR: isr, Replicas: []int32{1, 2, 3}}
	}
	for _, c := range []struct {
		name    string
		now     client.PartitionState
		acksAll bool
		want    []string
	}{
		{"two stay", state(1, 3), true, []string{"an acknowledgement at orders/0 meant brokers 1,3 from then on"}},
		{"the leader alone stays", state(1), true, nil},
		{"acks=1", state(1, 3), false, nil},
	} {
		in := &Injection{Env: Env{AcksAll: c.acksAll}, victims: []victim{{n: 2}}}
		in.run = &runner{env: in.Env}
		in.Now = func() int64 { return 7 }
		in.take(isrChange(state(1, 2, 3), c.now))
		if len(in.seen.Lines) != 1 || !slices.Equal(in.seen.Protection, c.want) {
			t.Errorf("%s: %q, protection %q", c.name, in.seen.Lines, in.seen.Protection)
		}
	}
}

// What a group does after a second of its members was hurt is no sign of a defence against what befell the first.
func TestALaterFaultInTheGroupTakesOver(t *testing.T) {
	env := Env{Groups: map[string]string{"consumer": "readers"}}
	healed := int64(5)
	hurt := func(who ...victim) *Injection { return &Injection{Env: env, victims: who} }
	for _, c := range []struct {
		name   string
		first  *Injection
		second *Injection
		past   bool
	}{
		{"another member", hurt(victim{"consumer", 0}), hurt(victim{"consumer", 1}), true},
		{"the same broker", hurt(victim{n: 2}), hurt(victim{n: 2}, victim{n: 3}), true},
		{"another broker", hurt(victim{n: 2}), hurt(victim{n: 3}), false},
		{"another role", hurt(victim{"consumer", 0}), hurt(victim{"producer", 0}), false},
	} {
		for _, done := range []bool{true, false} {
			c.first.past, c.first.rec.Healed = false, nil
			if done {
				c.first.rec.Healed = &healed
			}
			r := &runner{env: env, injections: []*Injection{c.first, c.second}}
			r.succeed(c.second)
			if c.first.past != (c.past && done) {
				t.Errorf("%s, healed %v: past %v", c.name, done, c.first.past)
			}
		}
	}
}
