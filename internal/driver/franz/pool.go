package franz

import (
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// recordPool keeps the library's lists of records, a list for each batch of the log, for the next batches: most of what a reader
// would leave to the garbage collector. What records point to (keys, values) is not kept.
type recordPool struct{ lists sync.Pool }

var _ kgo.PoolRecords = (*recordPool)(nil)

// GetRecords returns a list with room for n.
func (p *recordPool) GetRecords(n int) []kgo.Record {
	if kept, ok := p.lists.Get().(*[]kgo.Record); ok && cap(*kept) >= n {
		return *kept
	}
	return make([]kgo.Record, 0, n)
}

func (p *recordPool) PutRecords(list []kgo.Record) { p.lists.Put(&list) }
