package check

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// packed holds a number below 2³¹ and a mark for each offset of a partition, exactly. What stands there is mostly the
// values of a few sessions, each in sequence. So only the sheets in use lie open; the others are packed: each number as
// the way from the one before of its session, in about a byte. What does not follow that rule is written out.
type packed struct {
	table sparse[byte] // packed sheets by number; one that never was packed is empty, not nil
	open  []*sheet     // the last used first
	shape shape
	count uint // sheets packed
}

// sheet is an open row of entries; 0 is nothing.
type sheet struct {
	number  int64
	changed bool
	entries entries
}

const (
	sheetBits = 9
	sheetSize = 1 << sheetBits
	openMax   = 16
)

type entries [sheetSize]uint32

// get returns what stands at an offset.
func (p *packed) get(i int64) uint32 {
	number := i >> sheetBits
	if len(p.open) > 0 && p.open[0].number == number {
		return p.open[0].entries[i&(sheetSize-1)]
	}
	if p.table.get(number) == nil {
		return 0
	}
	return p.sheet(number).entries[i&(sheetSize-1)]
}

// set changes what stands at an offset.
func (p *packed) set(i int64, v uint32) {
	s := p.sheet(i >> sheetBits)
	s.entries[i&(sheetSize-1)], s.changed = v, true
}

// sheet opens a sheet and makes it the first.
func (p *packed) sheet(number int64) *sheet {
	for at, s := range p.open {
		if s.number == number {
			copy(p.open[1:at+1], p.open[:at])
			p.open[0] = s
			return s
		}
	}
	var s *sheet
	if last := len(p.open) - 1; last+1 == openMax {
		s = p.open[last]
		p.close(s)
		copy(p.open[1:], p.open[:last])
	} else {
		s = &sheet{}
		p.open = append([]*sheet{s}, p.open...)
	}
	p.open[0] = s
	content := p.table.get(number)
	if content == nil {
		p.table.put(number, []byte{})
	}
	s.number, s.changed = number, false
	unpack(content, &s.entries)
	return s
}

// close packs a sheet that has changed.
func (p *packed) close(s *sheet) {
	if !s.changed {
		return
	}
	if p.count%256 == 0 {
		p.shape = bestShape(&s.entries)
	}
	p.count++
	var room [4*sheetSize + 256]byte
	content := pack(room[:0], &s.entries, p.shape)
	if old := p.table.get(s.number); len(old) == len(content) {
		copy(old, content)
		return
	}
	p.table.put(s.number, bytes.Clone(content))
}

// each calls f for all offsets from lo until hi at which something stands, in order, until f returns false.
func (p *packed) each(lo, hi int64, f func(offset int64, v uint32) bool) {
	if lo >= hi {
		return
	}
	var row entries
	for _, number := range p.table.numbers(lo>>sheetBits, (hi-1)>>sheetBits) {
		p.read(number, &row)
		first := number << sheetBits
		for i := max(lo, first); i-first < sheetSize && i < hi; i++ {
			if v := row[i-first]; v != 0 && !f(i, v) {
				return
			}
		}
	}
}

// read copies a sheet, open or not.
func (p *packed) read(number int64, into *entries) {
	for _, s := range p.open {
		if s.number == number {
			*into = s.entries
			return
		}
	}
	unpack(p.table.get(number), into)
}

// A packed sheet is
//
//	shape    2   bits of a slot, bits of a difference; 0, 0: the entries are written out, four bytes each
//	rows     1   of which two bitmaps: which entries there are, which of them are marked
//	bitmaps  64 each, where the row is neither all nor none
//	codes        of the entries there are, without their marks
//
// A code is a slot and, for slot 0, a number of 31 bits, else the difference to the number after the last one of that
// slot. A number that was written out takes the next slot's turn.
type shape struct{ slot, difference uint }

const (
	maxSlotBits = 6
	sheetHead   = 3
	bitmapSize  = sheetSize / 8
	numberBits  = 31
)

const (
	rowNone = iota
	rowAll
	rowMixed
)

// slots remembers the last number of each row of numbers.
type slots struct {
	shape
	last [1 << maxSlotBits]uint32
	turn int
}

func (s *slots) n() int { return 1<<s.slot - 1 }

// find returns the slot whose last number is closest below v, with the difference; 0 for none.
func (s *slots) find(v uint32) (slot int, difference uint32) {
	least := uint32(1) << s.difference
	for i := 1; i <= s.n(); i++ {
		if d := v - s.last[i] - 1; d < least {
			slot, least = i, d
		}
	}
	s.put(slot, v)
	return slot, least
}

func (s *slots) put(slot int, v uint32) {
	if slot == 0 {
		s.turn = s.turn%s.n() + 1
		slot = s.turn
	}
	s.last[slot] = v
}

// size in bits of the codes of entries.
func (s shape) size(e *entries) int {
	n, rows := 0, slots{shape: s}
	for _, v := range e {
		if v == 0 {
			continue
		}
		n += int(s.slot)
		if slot, _ := rows.find(v &^ readBit); slot == 0 {
			n += numberBits
		} else {
			n += int(s.difference)
		}
	}
	return n
}

// bestShape tries shapes on a sheet that is like those to come.
func bestShape(e *entries) shape {
	best, least := shape{}, 0
	for slot := uint(1); slot <= maxSlotBits; slot++ {
		for _, difference := range []uint{0, 1, 2, 3, 4, 5, 6, 8, 11} {
			s := shape{slot, difference}
			if n := s.size(e); n < least || least == 0 {
				best, least = s, n
			}
		}
	}
	return best
}

func pack(out []byte, e *entries, s shape) []byte {
	var there, marked [bitmapSize]byte
	n, marks := 0, 0
	for i, v := range e {
		if v != 0 {
			there[i/8] |= 1 << (i % 8)
			n++
		}
		if v&readBit != 0 {
			marked[i/8] |= 1 << (i % 8)
			marks++
		}
	}
	out = append(out, byte(s.slot), byte(s.difference), rowKind(n, sheetSize)|rowKind(marks, n)<<2)
	if rowKind(n, sheetSize) == rowMixed {
		out = append(out, there[:]...)
	}
	if rowKind(marks, n) == rowMixed {
		out = append(out, marked[:]...)
	}
	var acc uint64
	var held uint
	rows := slots{shape: s}
	for _, v := range e {
		if v == 0 {
			continue
		}
		v &^= readBit
		slot, difference := rows.find(v)
		acc |= uint64(slot) << held
		held += s.slot
		if slot == 0 {
			acc |= uint64(v) << held
			held += numberBits
		} else {
			acc |= uint64(difference) << held
			held += s.difference
		}
		for ; held >= 8; held -= 8 {
			out = append(out, byte(acc))
			acc >>= 8
		}
		if len(out) > 4*sheetSize {
			return writeOut(out[:0], e)
		}
	}
	out = append(out, byte(acc))
	return append(out, make([]byte, 7)...) // unpack reads eight bytes at once
}

func rowKind(n, of int) byte {
	switch n {
	case 0:
		return rowNone
	case of:
		return rowAll
	default:
		return rowMixed
	}
}

func writeOut(out []byte, e *entries) []byte {
	out = append(out, 0, 0)
	for _, v := range e {
		out = binary.LittleEndian.AppendUint32(out, v)
	}
	return out
}

// unpack is the reverse of pack; of nothing it makes an empty sheet.
func unpack(b []byte, e *entries) {
	*e = entries{}
	if len(b) == 0 {
		return
	}
	rows := slots{shape: shape{uint(b[0]), uint(b[1])}}
	if rows.slot == 0 {
		for i := range e {
			e[i] = binary.LittleEndian.Uint32(b[2+4*i:])
		}
		return
	}
	kinds := b[2]
	b = b[sheetHead:]
	there, b := bitmap(kinds&3, b)
	marked, b := bitmap(kinds>>2, b)
	at, slotMask, differenceMask := uint(0), uint64(1)<<rows.slot-1, uint64(1)<<rows.difference-1
	for word, present := range there {
		for ; present != 0; present &= present - 1 {
			code := binary.LittleEndian.Uint64(b[at/8:]) >> (at % 8)
			slot := int(code & slotMask)
			code >>= rows.slot
			v := uint32(0)
			if slot == 0 {
				v = uint32(code & (1<<numberBits - 1))
				at += rows.slot + numberBits
			} else {
				v = rows.last[slot] + 1 + uint32(code&differenceMask)
				at += rows.slot + rows.difference
			}
			rows.put(slot, v)
			bit := bits.TrailingZeros64(present)
			v |= uint32(marked[word]>>bit&1) * readBit
			e[word*64+bit] = v
		}
	}
}

func bitmap(kind byte, b []byte) (row [sheetSize / 64]uint64, rest []byte) {
	for i := range row {
		switch kind {
		case rowAll:
			row[i] = ^uint64(0)
		case rowMixed:
			row[i] = binary.LittleEndian.Uint64(b[8*i:])
		}
	}
	if kind == rowMixed {
		b = b[bitmapSize:]
	}
	return row, b
}
