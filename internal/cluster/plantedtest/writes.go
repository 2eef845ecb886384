package plantedtest

import (
	"bytes"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kbench/kbench/internal/payload"
)

// struckAt is the batch of a run that lies about writing are about: late enough for others before it, early enough for
// others behind it.
const struckAt = 4

// turn counts the batches that clients send, until the one to lie about.
type turn struct{ seen int }

// at calls strike with the batch whose turn it is.
func (t *turn) at(x *Exchange, strike func(place, *batch, *kmsg.ProduceRequestTopicPartition)) {
	x.produced(func(at place, p *kmsg.ProduceRequestTopicPartition) {
		if t.seen++; t.seen != struckAt {
			return
		}
		if list := x.batches(p.Records); len(list) == 1 {
			strike(at, list[0], p)
			return
		}
		t.seen-- // the next one, then
	})
}

// IgnoreSequences is a broker that does not look at an idempotent producer's sequence numbers.
func IgnoreSequences() *Lie {
	l := &Lie{}
	l.Request = func(x *Exchange) {
		x.produced(func(_ place, p *kmsg.ProduceRequestTopicPartition) {
			list := x.batches(p.Records)
			for _, b := range list {
				b.plain()
			}
			p.Records = encodeAll(list)
			l.told++
		})
	}
	return l
}

// Swallow acknowledges a batch and does not store it; the next one gets its offsets.
func Swallow() *Lie {
	l, when := &Lie{}, &turn{}
	l.Request = func(x *Exchange) {
		when.at(x, func(at place, b *batch, _ *kmsg.ProduceRequestTopicPartition) {
			at.offset = x.end(at)
			x.keep(at, 0)
			l.told += uint64(len(b.records))
		})
	}
	return l
}

// StoreTwice stores a batch twice, one after the other.
func StoreTwice() *Lie {
	l, when := &Lie{}, &turn{}
	l.Request = func(x *Exchange) {
		when.at(x, func(at place, b *batch, _ *kmsg.ProduceRequestTopicPartition) {
			b.plain()
			x.after = func() { x.store(at, b) }
			l.told += uint64(len(b.records))
		})
	}
	return l
}

// Overtake stores a batch behind the next one of its partition, and says truly where each went.
func Overtake() *Lie {
	l, seen := &Lie{}, 0
	l.Request = func(x *Exchange) {
		x.produced(func(at place, _ *kmsg.ProduceRequestTopicPartition) {
			if seen++; seen < struckAt || l.told > 0 {
				return
			}
			x.overtake = func(next *Exchange) bool {
				next.produced(func(behind place, _ *kmsg.ProduceRequestTopicPartition) {
					if behind == at {
						l.told++
					}
				})
				return l.told > 0
			}
		})
	}
	return l
}

// Rewrite stores a record otherwise than it was sent, under a checksum of its own.
func Rewrite(edit func(value []byte)) *Lie {
	l, when := &Lie{}, &turn{}
	l.Request = func(x *Exchange) {
		when.at(x, func(_ place, b *batch, p *kmsg.ProduceRequestTopicPartition) {
			b.alter(0, edit)
			p.Records = b.encode()
			l.told++
		})
	}
	return l
}

// FlipBody changes a record behind kbench's head.
func FlipBody(value []byte) { value[payload.Size+7] ^= 0x10 }

// FlipSequence changes a record's sequence in kbench's head to one far beyond any that was sent.
func FlipSequence(value []byte) { value[16+7] ^= 0x40 }

// FlipProducer changes the producer in kbench's head to one that there is not.
func FlipProducer(value []byte) { value[4+1] ^= 0x40 }

// Rename gives a record the identity of the one sent before it, with a head whose checksum is right.
func Rename(value []byte) {
	head, err := payload.Get(value)
	if err == nil && head.Seq > 0 {
		head.Seq--
		payload.Put(value, head)
	}
}

// Invent stores a record that no client sent; value makes it from one that was.
func Invent(value func(real []byte) []byte) *Lie {
	l, when := &Lie{}, &turn{}
	l.Request = func(x *Exchange) {
		when.at(x, func(at place, b *batch, _ *kmsg.ProduceRequestTopicPartition) {
			own := *b
			own.records = slices.Clone(b.records[:1])
			own.records[0].Value = value(bytes.Clone(own.records[0].Value))
			own.plain()
			own.Attributes &^= transactional
			own.LastOffsetDelta = 0
			x.after = func() { x.store(at, &own) }
			l.told++
		})
	}
	return l
}

// Strange is a record of somebody else's.
func Strange([]byte) []byte { return []byte("nobody of this run wrote this") }

// Unsent is a record of this run that its producer never sent.
func Unsent(real []byte) []byte {
	head, err := payload.Get(real)
	if err == nil {
		head.Seq += 1 << 20
		payload.Put(real, head)
	}
	return real
}

// Refuse does not store a batch and says so, but takes its time over it.
func Refuse(code int16) *Lie {
	l, when := &Lie{}, &turn{}
	l.Request = func(x *Exchange) {
		when.at(x, func(at place, b *batch, _ *kmsg.ProduceRequestTopicPartition) {
			at.offset = -1
			x.keep(at, code)
			x.pause = 50 * time.Millisecond
			l.told += uint64(len(b.records))
		})
	}
	return l
}

// RefuseStored stores a batch and answers that it was refused.
func RefuseStored(code int16) *Lie {
	l, when := &Lie{}, &turn{}
	struck := map[*Exchange]place{}
	l.Request = func(x *Exchange) {
		when.at(x, func(at place, b *batch, _ *kmsg.ProduceRequestTopicPartition) {
			struck[x] = at
			l.told += uint64(len(b.records))
		})
	}
	l.Answer = func(x *Exchange) {
		x.stored(func(at place, p *kmsg.ProduceResponseTopicPartition) {
			if where, yes := struck[x]; yes && where == at {
				p.ErrorCode, p.BaseOffset = code, -1
			}
		})
	}
	return l
}

// Misplace acknowledges a batch at offsets that are by so much too high.
func Misplace(by int64) *Lie {
	l, when := &Lie{}, &turn{}
	struck := map[*Exchange]place{}
	l.Request = func(x *Exchange) {
		when.at(x, func(at place, b *batch, _ *kmsg.ProduceRequestTopicPartition) {
			struck[x] = at
			l.told += uint64(len(b.records))
		})
	}
	l.Answer = func(x *Exchange) {
		x.stored(func(at place, p *kmsg.ProduceResponseTopicPartition) {
			if where, yes := struck[x]; yes && where == at {
				p.BaseOffset += by
			}
		})
	}
	return l
}

// Waste gives an offset to no record: what stands there nobody is shown.
func Waste() *Lie {
	l, when := &Lie{}, &turn{}
	wasted := place{}
	l.Request = func(x *Exchange) {
		when.at(x, func(at place, b *batch, _ *kmsg.ProduceRequestTopicPartition) {
			own := *b
			own.records = slices.Clone(b.records[:1])
			own.plain()
			own.LastOffsetDelta = 0
			x.after = func() {
				at.offset = x.store(at, &own)
				wasted = at
				l.told++
			}
		})
	}
	l.Answer = func(x *Exchange) {
		x.edit(func(at place, _ *kmsg.FetchResponseTopicPartition, batches []*batch) (changed bool) {
			for _, b := range batches {
				b.leaveOut(func(i int) bool {
					at.offset = b.offset(i)
					changed = changed || at == wasted
					return at == wasted
				})
			}
			return changed
		})
	}
	return l
}

// Fail stores a batch and breaks the connection instead of answering.
func Fail() *Lie { return ShownTo(func(string) bool { return false }, Vanish()) }

// Vanish stores a batch and breaks the connection instead of answering. Consumers are shown the batch, and the judge is
// not: his client has another name.
func Vanish() *Lie {
	l, when := &Lie{}, &turn{}
	struck := map[*Exchange]place{}
	gone := map[place]bool{}
	l.Request = func(x *Exchange) {
		when.at(x, func(at place, b *batch, _ *kmsg.ProduceRequestTopicPartition) {
			struck[x] = at
			l.told += uint64(len(b.records))
		})
	}
	l.Answer = func(x *Exchange) {
		x.stored(func(at place, p *kmsg.ProduceResponseTopicPartition) {
			if where, yes := struck[x]; yes && where == at {
				for i := range int64(l.told) {
					gone[place{at.topic, at.partition, p.BaseOffset + i}] = true
				}
				x.hangUp = true
			}
		})
		if IsClient(x.Client) {
			return
		}
		x.edit(func(at place, _ *kmsg.FetchResponseTopicPartition, batches []*batch) bool {
			for _, b := range batches {
				b.leaveOut(func(i int) bool { at.offset = b.offset(i); return gone[at] })
			}
			return true
		})
	}
	return l
}
