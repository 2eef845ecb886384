package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kbench/kbench/internal/history"
)

// duplicates shows values that stand at two or more offsets; the ledger has counted them. One instance is one value.
// Reading one offset twice is none.
type duplicates struct {
	*court
	shown   map[index]*copies
	in      []index
	checked uint64
}

type copies struct {
	places   []place
	call, at int64 // of the operation that told of the second
}

func newDuplicates(c *court) *duplicates {
	return &duplicates{court: c, shown: map[index]*copies{}}
}

func (c *duplicates) kinds() []history.Kind {
	return []history.Kind{history.Send, history.Poll, history.FinalRead}
}

func (c *duplicates) add(v *view) {
	if v.Kind == history.Send {
		c.checked++
		if v.Offset >= 0 {
			c.look(v, v.value, v.Offset)
		}
		return
	}
	for k, i := range v.values {
		c.look(v, i, v.Records[k].Offset)
	}
}

func (c *duplicates) look(v *view, i index, offset int64) {
	at := place{v.Partition, offset}
	if c.values.state(i)&twice == 0 || !c.stands(i, at) {
		return
	}
	d := c.shown[i]
	if d == nil {
		if len(c.in) == maxWitnesses {
			return
		}
		d = &copies{}
		c.shown[i] = d
		c.in = append(c.in, i)
	}
	if slices.Contains(d.places, at) {
		return
	}
	d.places = append(d.places, at)
	if len(d.places) == 2 {
		d.call, d.at = v.Call, v.Return
	}
}

func (c *duplicates) found() []tally {
	t := tally{anomaly: duplicate, count: c.counts.Duplicated, checked: c.checked}
	for _, i := range c.in {
		d := c.shown[i]
		if len(d.places) < 2 {
			continue
		}
		var list []string
		for _, at := range d.places[:min(len(d.places), 5)] {
			list = append(list, fmt.Sprintf("%s@%d", c.h.Header.PartitionName(at.partition), at.offset))
		}
		more := ""
		if n := len(d.places) - len(list); n > 0 {
			more = fmt.Sprintf(" and %d more", n)
		}
		t.witnesses = append(t.witnesses, c.witness(d.places[1].partition, d.places[1].offset, i, d.call, d.at, "stands at %s%s", strings.Join(list, ", "), more).
			also(about{places: d.places[:min(len(d.places), 5)]}))
	}
	return []tally{t}
}
