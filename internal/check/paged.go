package check

import "slices"

// sparse is an array of rows that may be nil. Their numbers are dense in what runs record; a hand-written history may
// have far ones, which are kept apart until there are enough to fill the array half.
type sparse[T any] struct {
	dense [][]T
	far   map[int64][]T
	used  int64
}

func (s *sparse[T]) get(number int64) []T {
	if number < int64(len(s.dense)) {
		return s.dense[number]
	}
	return s.far[number]
}

// put stores a row that is not nil.
func (s *sparse[T]) put(number int64, row []T) {
	if s.get(number) == nil {
		s.used++
	}
	if n := int64(len(s.dense)); number >= n && number < 2*s.used+1024 {
		s.dense = append(s.dense, make([][]T, max(number+1-n, n/4))...)
		for far, row := range s.far {
			if far < int64(len(s.dense)) {
				s.dense[far] = row
				delete(s.far, far)
			}
		}
	}
	if number < int64(len(s.dense)) {
		s.dense[number] = row
		return
	}
	if s.far == nil {
		s.far = map[int64][]T{}
	}
	s.far[number] = row
}

// numbers of the rows there are from first to last, both included, in order.
func (s *sparse[T]) numbers(first, last int64) []int64 {
	var list []int64
	for number := first; number <= min(last, int64(len(s.dense))-1); number++ {
		if s.dense[number] != nil {
			list = append(list, number)
		}
	}
	dense := len(list)
	for number := range s.far {
		if number >= first && number <= last {
			list = append(list, number)
		}
	}
	if len(list)-dense > 1 {
		slices.Sort(list[dense:])
	}
	return list
}

// paged is an array that grows where it is written, page by page.
type paged[T any] struct{ pages sparse[T] }

const (
	pageBits = 8
	pageSize = 1 << pageBits
)

// at returns the place of i, which is not negative.
func (p *paged[T]) at(i int64) *T {
	page := p.pages.get(i >> pageBits)
	if page == nil {
		page = make([]T, pageSize)
		p.pages.put(i>>pageBits, page)
	}
	return &page[i&(pageSize-1)]
}

// get returns what stands at i, the zero value where nothing was written.
func (p *paged[T]) get(i int64) (zero T) {
	if page := p.pages.get(i >> pageBits); page != nil {
		return page[i&(pageSize-1)]
	}
	return zero
}
