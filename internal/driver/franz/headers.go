package franz

import (
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kbench/kbench/internal/client"
)

// headers holds those of one poll's records one after the other, so that most polls allocate none.
type headers []client.Header

// of adds the record's headers and returns them. Those returned before stay valid.
func (h *headers) of(r *kgo.Record) []client.Header {
	if len(r.Headers) == 0 {
		return nil
	}
	from := len(*h)
	for _, header := range r.Headers {
		*h = append(*h, client.Header(header))
	}
	return (*h)[from:len(*h):len(*h)]
}
