package plantedtest

import (
	"bytes"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// settled is the offset from which lies about reading begin: late enough for records before it.
const settled = 20

// edit lets a lie change the batches that a reader gets. They are put together anew only where one was changed.
func (x *Exchange) edit(change func(at place, p *kmsg.FetchResponseTopicPartition, batches []*batch) bool) {
	x.fetched(func(at place, p *kmsg.FetchResponseTopicPartition) {
		if len(p.RecordBatches) == 0 {
			return
		}
		list := x.batches(p.RecordBatches)
		if len(list) > 0 && change(at, p, list) {
			p.RecordBatches = encodeAll(list)
		}
	})
}

// Hide leaves n records out of all that is read, the same ones for whoever comes. Their offsets stay free.
func Hide(n int) *Lie {
	l, hidden := &Lie{}, map[place]bool{}
	hide := func(at place, b *batch, i int) bool {
		at.offset = b.offset(i)
		if !hidden[at] && l.told < uint64(n) && at.offset >= settled && i < len(b.records)-1 {
			hidden[at] = true
			l.told++
		}
		return hidden[at]
	}
	l.Answer = func(x *Exchange) {
		x.edit(func(at place, _ *kmsg.FetchResponseTopicPartition, batches []*batch) (changed bool) {
			for _, b := range batches {
				if before := len(b.records); !b.isControl() {
					b.leaveOut(func(i int) bool { return hide(at, b, i) })
					changed = changed || len(b.records) < before
				}
			}
			return changed
		})
	}
	return l
}

// HideInPass leaves one record out, the first or the second time that it would be read.
func HideInPass(pass int) *Lie {
	l, chosen, seen := &Lie{}, place{}, 0
	l.Answer = func(x *Exchange) {
		x.edit(func(at place, _ *kmsg.FetchResponseTopicPartition, batches []*batch) (changed bool) {
			for _, b := range batches {
				b.leaveOut(func(i int) bool {
					at.offset = b.offset(i)
					if chosen.topic == "" && at.offset >= settled && !b.isControl() && i < len(b.records)-1 {
						chosen = at
					}
					if at != chosen {
						return false
					}
					if seen++; seen != pass {
						return false
					}
					changed = true
					l.told++
					return true
				})
			}
			return changed
		})
	}
	return l
}

// Fork is a stale leader: it has acknowledged a batch that the log does not have, and still shows it to readers, in the
// place of those records that the log has there.
func Fork() *Lie {
	l, when := &Lie{}, &turn{}
	own := map[place][]byte{}
	l.Request = func(x *Exchange) {
		when.at(x, func(at place, b *batch, _ *kmsg.ProduceRequestTopicPartition) {
			at.offset = x.end(at)
			x.keep(at, 0)
			l.told += uint64(len(b.records))
			for i := range b.records {
				own[place{at.topic, at.partition, at.offset + int64(i)}] = bytes.Clone(b.records[i].Value)
			}
		})
	}
	l.Answer = func(x *Exchange) {
		x.edit(func(at place, _ *kmsg.FetchResponseTopicPartition, batches []*batch) (changed bool) {
			for _, b := range batches {
				for i := range b.records {
					at.offset = b.offset(i)
					if value, forked := own[at]; forked {
						b.records[i].Value, changed = value, true
					}
				}
			}
			return changed
		})
	}
	return l
}

// Swap shows two neighbours in the log in the wrong order.
func Swap() *Lie {
	l, chosen := &Lie{}, place{}
	l.Answer = func(x *Exchange) {
		x.edit(func(at place, _ *kmsg.FetchResponseTopicPartition, batches []*batch) (changed bool) {
			for _, b := range batches {
				for i := range max(0, len(b.records)-1) {
					at.offset = b.offset(i)
					if chosen.topic == "" && at.offset >= settled {
						chosen = at
						l.told++
					}
					if at == chosen {
						b.records[i].Value, b.records[i+1].Value = b.records[i+1].Value, b.records[i].Value
						changed = true
					}
				}
			}
			return changed
		})
	}
	return l
}

// Repeat answers a fetch with what it answered to an earlier one of the partition: a stale leader, or a mistaken cache.
func Repeat() *Lie {
	l, before := &Lie{}, map[place][]byte{}
	l.Answer = func(x *Exchange) {
		x.fetched(func(at place, p *kmsg.FetchResponseTopicPartition) {
			if old := before[at]; old != nil && l.told < 3 {
				p.RecordBatches = old
				l.told++
			} else if len(p.RecordBatches) > 0 && old == nil {
				before[at] = bytes.Clone(p.RecordBatches)
			}
		})
	}
	return l
}

// Regress gives the records of one batch an older leader epoch than those before it have.
func Regress() *Lie {
	l, chosen := &Lie{}, place{}
	l.Answer = func(x *Exchange) {
		x.edit(func(at place, _ *kmsg.FetchResponseTopicPartition, batches []*batch) bool {
			for _, b := range batches {
				at.offset = b.FirstOffset
				b.PartitionLeaderEpoch = 7
				if l.told == 0 && at.offset >= settled {
					chosen = at
					l.told = uint64(len(b.records))
				}
				if l.told > 0 && at == chosen {
					b.PartitionLeaderEpoch = 6
				}
			}
			return true
		})
	}
	return l
}

// BreakChecksum gives one batch a checksum that is not its own.
func BreakChecksum() *Lie {
	l, chosen := &Lie{}, place{}
	l.Answer = func(x *Exchange) {
		x.fetched(func(at place, p *kmsg.FetchResponseTopicPartition) {
			raw := []byte{}
			for _, b := range x.batches(p.RecordBatches) {
				at.offset = b.FirstOffset
				whole := b.encode()
				if l.told == 0 && at.offset >= settled {
					chosen, l.told = at, 1
				}
				if l.told > 0 && at == chosen {
					whole[17] ^= 0xff
				}
				raw = append(raw, whole...)
			}
			p.RecordBatches = raw
		})
	}
	return l
}

// Truncate says once of a partition, after a reader has come some way, that its position is not in the log.
func Truncate() *Lie {
	l, read := &Lie{}, map[place]bool{}
	l.Answer = func(x *Exchange) {
		x.fetched(func(at place, p *kmsg.FetchResponseTopicPartition) {
			if read[at] && l.told == 0 {
				const outOfRange = 1
				p.ErrorCode, p.RecordBatches, p.HighWatermark, p.LastStableOffset, p.LogStartOffset = outOfRange, []byte{}, -1, -1, -1
				l.told++
				return
			}
			for _, b := range x.batches(p.RecordBatches) {
				read[at] = read[at] || b.last() >= settled
			}
		})
	}
	return l
}

// Confuse answers for one partition with records of another: those at the same offsets there.
func Confuse() *Lie {
	l, log := &Lie{}, map[place][]byte{}
	confused := map[place]bool{}
	sent := map[*Exchange]map[place]*batch{}
	l.Request = func(x *Exchange) {
		x.produced(func(at place, p *kmsg.ProduceRequestTopicPartition) {
			if sent[x] == nil {
				sent[x] = map[place]*batch{}
			}
			if list := x.batches(p.Records); len(list) == 1 {
				sent[x][at] = list[0]
			}
		})
	}
	l.Answer = func(x *Exchange) {
		x.stored(func(at place, p *kmsg.ProduceResponseTopicPartition) {
			if b := sent[x][at]; b != nil && p.ErrorCode == 0 {
				for i := range b.records {
					log[place{at.topic, at.partition, p.BaseOffset + int64(i)}] = bytes.Clone(b.records[i].Value)
				}
			}
		})
		delete(sent, x)
		x.edit(func(at place, _ *kmsg.FetchResponseTopicPartition, batches []*batch) (changed bool) {
			for _, b := range batches {
				for i := range b.records {
					at.offset = b.offset(i)
					other := log[place{at.topic, 1 - at.partition, at.offset}]
					if at.partition != 0 || at.offset < settled || at.offset >= settled+5 || other == nil {
						continue
					}
					b.records[i].Value, changed = other, true
					if !confused[at] {
						confused[at] = true
						l.told++
					}
				}
			}
			return changed
		})
	}
	return l
}
