package check

import "slices"

// states holds a state by index. A run has few different ones, so each is written as a byte that stands for it. Should
// there ever be more than bytes can tell, the values in question are listed one by one.
type states struct {
	pages []*[statePage]uint8
	known []state // by code; the first is that nothing is known
	codes map[state]uint8
	next  [noCode]coded // by code: the state that lately came after it
	rare  map[index]state
}

type coded struct {
	state
	code uint8
}

const (
	statePage = 1 << 12 // a multiple of a block
	noCode    = 255     // look among the rare ones
)

func newStates() states {
	return states{known: make([]state, 1, noCode), codes: map[state]uint8{0: 0}, rare: map[index]state{}}
}

// grow makes room for an index and its block.
func (s *states) grow(i index) {
	for int(i/statePage) >= len(s.pages) {
		s.pages = append(s.pages, nil)
	}
	if page := &s.pages[i/statePage]; *page == nil {
		*page = new([statePage]uint8)
	}
}

func (s *states) get(i index) state {
	code := s.pages[i/statePage][i%statePage]
	if code == noCode {
		return s.rare[i]
	}
	return s.known[code]
}

func (s *states) set(i index, to state) {
	at := &s.pages[i/statePage][i%statePage]
	if *at == noCode {
		s.rare[i] = to
		return
	}
	next := &s.next[*at]
	if next.state != to || to == 0 {
		*next = coded{to, s.code(to)}
	}
	if *at = next.code; *at == noCode {
		s.rare[i] = to
	}
}

// code of a state, noCode where all are taken.
func (s *states) code(of state) uint8 {
	code, found := s.codes[of]
	if !found {
		if len(s.known) == noCode {
			return noCode
		}
		code = uint8(len(s.known))
		s.known = append(s.known, of)
		s.codes[of] = code
	}
	return code
}

// each calls f for all that is known.
func (s *states) each(f func(index, state)) {
	for n, page := range s.pages {
		if page == nil {
			continue
		}
		for i, code := range page {
			if code != 0 {
				at := index(n*statePage + i)
				f(at, s.get(at))
			}
		}
	}
}

// effectPages holds the effects of a group by value, two to a byte.
type effectPages struct{ pages []*[effectPage]uint8 }

const effectPage = 1 << 12 // bytes

func (e *effectPages) get(i index) uint8 {
	if n := i / (2 * effectPage); int(n) < len(e.pages) && e.pages[n] != nil {
		return e.pages[n][i/2%effectPage] >> (i % 2 * 4) & 15
	}
	return 0
}

// set takes a number below 16.
func (e *effectPages) set(i index, v uint8) {
	n := int(i / (2 * effectPage))
	if n >= len(e.pages) {
		e.pages = slices.Grow(e.pages, n+1-len(e.pages))[:n+1]
	}
	if e.pages[n] == nil {
		e.pages[n] = new([effectPage]uint8)
	}
	at := &e.pages[n][i/2%effectPage]
	*at = *at&^(15<<(i%2*4)) | v<<(i%2*4)
}
