package check

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/kbench/kbench/internal/history"
)

// offsets shows the offsets at which two values were claimed: inconsistent-offset. One instance is one offset. Reads that
// contradict each other decide otherwise than an acknowledgement that contradicts a read.
type offsets struct {
	*court
	tallies map[variant]*tally
	shown   map[place]*Witness
	checked uint64
}

func newOffsets(c *court) *offsets {
	o := &offsets{court: c, shown: map[place]*Witness{}, tallies: map[variant]*tally{}}
	for _, v := range []variant{byReads, byAck} {
		o.tallies[v] = &tally{anomaly: inconsistentOffset, variant: v}
	}
	places := slices.SortedFunc(maps.Keys(c.conflicts), func(a, b place) int {
		return cmp.Or(cmp.Compare(a.partition, b.partition), cmp.Compare(a.offset, b.offset))
	})
	for _, at := range places {
		t := o.tallies[o.sort(c.conflicts[at])]
		t.hit(func() Witness {
			return c.witness(at.partition, at.offset, c.conflicts[at][0].value, 0, history.Unknown, "%s", o.told(at)).also(o.claimants(at))
		})
	}
	for _, t := range o.tallies {
		for i := range t.witnesses {
			w := &t.witnesses[i]
			o.shown[place{int32(slices.Index(c.h.Header.Partitions, w.Partition)), *w.Offset}] = w
		}
	}
	return o
}

// sort tells whose claims contradict each other.
func (c *offsets) sort(claims []claim) variant {
	readers := 0
	for _, claim := range claims {
		if claim.read {
			readers++
		}
	}
	if readers > 1 {
		return byReads
	}
	return byAck
}

// told lists the claims on a place.
func (c *offsets) told(at place) string {
	var list []string
	for _, claim := range c.conflicts[at] {
		by := "acknowledged"
		if claim.read {
			by = "read"
		}
		list = append(list, c.name(claim.value)+" was "+by+" here")
	}
	return strings.Join(list, ", ")
}

// claimants are the values that are claimed at a place.
func (c *offsets) claimants(at place) about {
	var a about
	for _, claim := range c.conflicts[at] {
		a.values = append(a.values, c.values.value(claim.value))
	}
	return a
}

func (c *offsets) kinds() []history.Kind {
	return []history.Kind{history.Send, history.Poll, history.FinalRead}
}

// add finds out when the contradiction came to light.
func (c *offsets) add(v *view) {
	if v.Kind == history.Send {
		if v.Offset >= 0 {
			c.checked++
			c.date(v, v.value, v.Offset)
		}
		return
	}
	c.checked += uint64(len(v.Records))
	if len(c.shown) == 0 {
		return
	}
	for k, i := range v.values {
		c.date(v, i, v.Records[k].Offset)
	}
}

func (c *offsets) date(v *view, i index, offset int64) {
	if len(c.shown) == 0 {
		return
	}
	w := c.shown[place{v.Partition, offset}]
	if w != nil && w.At == nil && c.name(i) != w.Value && v.Return != history.Unknown {
		at := v.Return
		w.At, w.During = &at, c.during(v.Call, at)
	}
}

func (c *offsets) found() []tally {
	var list []tally
	for _, v := range []variant{byReads, byAck} {
		c.tallies[v].checked = c.checked
		list = append(list, *c.tallies[v])
	}
	return list
}
