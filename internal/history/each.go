package history

import "slices"

// Each calls f for all operations: those of one log in its own order, the logs merged in order of Return. The Op is
// reused. Journal lines come resolved: one whose completion is in the log is left out, any other is an indeterminate
// send at the end of its log. An error of f ends the walk and is returned.
//
// What is torn or damaged is left out; Tears tells of it.
func (h *History) Each(f func(*Op) error) error {
	packs, err := newUnpacker()
	if err != nil {
		return err
	}
	defer packs.Close()
	var all []*stream
	ahead := decoders{stop: make(chan struct{})}
	defer func() {
		ahead.end()
		for _, s := range all {
			s.log.close()
		}
	}()
	for _, source := range h.sources {
		c, err := source.cursor(packs)
		if err != nil {
			return err
		}
		s := &stream{log: c, size: batchSize(len(h.sources)), batch: &batch{}}
		all = append(all, s)
		if c.chunks.size > decodeAhead {
			ahead.start(s)
		}
	}
	return merge(all, f)
}

// merge calls f for the operations of all streams, always for the one that is first.
func merge(all []*stream, f func(*Op) error) error {
	queue := slices.Clone(all)
	for _, s := range all {
		if err := s.turn(); err != nil {
			return err
		}
	}
	queue = slices.DeleteFunc(queue, (*stream).done)
	for i := len(queue)/2 - 1; i >= 0; i-- {
		sink(queue, i)
	}
	for len(queue) > 0 {
		first := queue[0]
		for next := second(queue); !first.done() && (next == nil || first.before(next)); {
			if err := f(&first.batch.ops[first.at].Op); err != nil {
				return err
			}
			if err := first.advance(); err != nil {
				return err
			}
		}
		if first.done() {
			queue[0] = queue[len(queue)-1]
			queue = queue[:len(queue)-1]
		}
		sink(queue, 0)
	}
	return nil
}

// second is the stream that follows the first of the heap, nil where there is none.
func second(queue []*stream) *stream {
	switch {
	case len(queue) < 2:
		return nil
	case len(queue) > 2 && queue[2].before(queue[1]):
		return queue[2]
	default:
		return queue[1]
	}
}

// sink restores the heap of streams below i.
func sink(queue []*stream, i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(queue); child++ {
			if queue[child].before(queue[least]) {
				least = child
			}
		}
		if least == i {
			return
		}
		queue[i], queue[least] = queue[least], queue[i]
		i = least
	}
}
