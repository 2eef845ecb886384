package check

import "slices"

// paged is an array that grows where it is written. Numbers are dense in what runs record; far ones, which a hand-written
// history may have, cost a page each.
type paged[T any] struct {
	dense [][]T
	far   map[int64][]T
}

const (
	pageBits = 8
	pageSize = 1 << pageBits
)

// at returns the place of i, which is not negative.
func (p *paged[T]) at(i int64) *T {
	page := i >> pageBits
	if page < int64(len(p.dense)) {
		if p.dense[page] == nil {
			p.dense[page] = make([]T, pageSize)
		}
		return &p.dense[page][i&(pageSize-1)]
	}
	if page < 2*int64(len(p.dense))+1024 {
		p.dense = append(p.dense, make([][]T, page+1-int64(len(p.dense)))...)
		for far, content := range p.far {
			if far < int64(len(p.dense)) {
				p.dense[far] = content
				delete(p.far, far)
			}
		}
		return p.at(i)
	}
	if p.far == nil {
		p.far = map[int64][]T{}
	}
	content := p.far[page]
	if content == nil {
		content = make([]T, pageSize)
		p.far[page] = content
	}
	return &content[i&(pageSize-1)]
}

// get returns what stands at i, the zero value where nothing was written.
func (p *paged[T]) get(i int64) (zero T) {
	if content := p.page(i >> pageBits); content != nil {
		return content[i&(pageSize-1)]
	}
	return zero
}

func (p *paged[T]) page(page int64) []T {
	if page < int64(len(p.dense)) {
		return p.dense[page]
	}
	return p.far[page]
}

// each calls f for all places from lo until hi that have a page, in order, until f returns false.
func (p *paged[T]) each(lo, hi int64, f func(i int64, v T) bool) {
	for _, page := range p.pages(lo>>pageBits, (hi-1)>>pageBits) {
		content := p.page(page)
		first, last := max(lo, page<<pageBits), min(hi, (page+1)<<pageBits)
		for i := first; i < last; i++ {
			if !f(i, content[i&(pageSize-1)]) {
				return
			}
		}
	}
}

// pages that exist between two page numbers, both included, in order.
func (p *paged[T]) pages(first, last int64) []int64 {
	var list []int64
	for page := first; page <= min(last, int64(len(p.dense))-1); page++ {
		if p.dense[page] != nil {
			list = append(list, page)
		}
	}
	dense := len(list)
	for page := range p.far {
		if page >= first && page <= last {
			list = append(list, page)
		}
	}
	if len(list)-dense > 1 {
		slices.Sort(list[dense:])
	}
	return list
}
