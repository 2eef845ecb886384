package count

import (
	"sync"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/kbench/kbench/internal/client"
)

// Spread gathers the values of one span of time after another: durations in µs up to an hour, or amounts up to as much. The
// zero value is ready; it is safe for concurrent use. It takes a lock.
type Spread struct {
	mu     sync.Mutex
	counts *hdrhistogram.Histogram // to two digits
	sum    int64
	most   int64
}

const largest = 3_600_000_000

// Add a value. What is out of range counts as the nearest in it.
func (s *Spread) Add(v int64) {
	v = min(max(v, 0), largest)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts == nil {
		s.counts = hdrhistogram.New(1, largest, 2)
	}
	_ = s.counts.RecordValue(v) // never fails: the value is in range
	s.sum += v
	s.most = max(s.most, v)
}

// Take returns what was added since it was called before. Where of values came in all, what is not among them was 0.
func (s *Spread) Take(of uint64) client.Spread {
	s.mu.Lock()
	defer s.mu.Unlock()
	var n uint64
	if s.counts != nil {
		n = uint64(s.counts.TotalCount())
	}
	out := client.Spread{Count: max(n, of), Sum: float64(s.sum)}
	if n == 0 {
		return out
	}
	zeros := out.Count - n
	for i, q := range []float64{0, 0.5, 0.75, 0.9, 0.95, 0.99, 0.9999, 1} {
		rank := q * float64(out.Count)
		if rank <= float64(zeros) && zeros > 0 {
			continue
		}
		v := s.counts.ValueAtQuantile(100 * (rank - float64(zeros)) / float64(n))
		out.At[i] = float64(min(v, s.most))
	}
	s.counts.Reset()
	s.sum, s.most = 0, 0
	return out
}

// Scale has a sample count for so many values.
func Scale(s client.Spread, of uint64) client.Spread {
	if s.Count == 0 {
		return s
	}
	s.Sum *= float64(of) / float64(s.Count)
	s.Count = of
	return s
}
