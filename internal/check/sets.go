package check

import (
	"slices"

	"github.com/kbench/kbench/internal/history"
)

// offsetSet is a set of offsets, a bit each.
type offsetSet struct{ words paged[uint64] }

// add joins [from, to) with the set. No offset is below zero.
func (s *offsetSet) add(from, to int64) {
	for from = max(from, 0); from < to; {
		last := min(to-1, from|63)
		*s.words.at(from >> 6) |= ^uint64(0) >> (63 - (last - from)) << (from & 63)
		from = last + 1
	}
}

func (s *offsetSet) has(offset int64) bool {
	return offset >= 0 && s.words.get(offset>>6)>>(offset&63)&1 != 0
}

func (s *offsetSet) addAll(records []history.Record) { eachRow(records, s.add) }

// intervals is a set of offsets as rows without gaps, in order.
type intervals []interval

type interval struct{ from, to int64 } // to is not in it

// add joins [from, to) with the set.
func (s *intervals) add(from, to int64) {
	if n := len(*s); n > 0 && (*s)[n-1].from <= from && from <= (*s)[n-1].to {
		(*s)[n-1].to = max((*s)[n-1].to, to)
		return
	}
	first, _ := slices.BinarySearchFunc(*s, from, func(i interval, from int64) int {
		if i.to < from {
			return -1
		}
		return 1
	})
	last := first
	for last < len(*s) && (*s)[last].from <= to {
		from, to = min(from, (*s)[last].from), max(to, (*s)[last].to)
		last++
	}
	*s = slices.Replace(*s, first, last, interval{from, to})
}

func (s *intervals) addAll(records []history.Record) { eachRow(records, s.add) }

// eachRow calls f for the rows of offsets without a gap that records stand at.
func eachRow(records []history.Record, f func(from, to int64)) {
	for i := 0; i < len(records); {
		from := records[i].Offset
		to := from + 1
		for i++; i < len(records) && records[i].Offset == to; i++ {
			to++
		}
		f(from, to)
	}
}
