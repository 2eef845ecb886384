package confluent

import (
	"sync"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/kbench/kbench/internal/client"
)

// headerPool lends lists of headers as the library has them. It copies what is in them before Produce returns.
type headerPool struct{ sync.Pool }

func (p *headerPool) lend(headers []client.Header) *[]kafka.Header {
	list, ok := p.Get().(*[]kafka.Header)
	if !ok {
		list = new([]kafka.Header)
	}
	*list = (*list)[:0]
	for _, h := range headers {
		*list = append(*list, kafka.Header(h))
	}
	return list
}

// headers holds those of one poll's records one after the other, so that most polls allocate none.
type headers []client.Header

// of adds the message's headers and returns them. Those returned before stay valid.
func (h *headers) of(m *kafka.Message) []client.Header {
	if len(m.Headers) == 0 {
		return nil
	}
	from := len(*h)
	for _, header := range m.Headers {
		*h = append(*h, client.Header(header))
	}
	return (*h)[from:len(*h):len(*h)]
}
