package worker

import (
	"context"
	"encoding/json"
	"sync"
)

// Inside runs a session in this process.
func Inside(ctx context.Context, body Body, spec json.RawMessage) Handle {
	in := &inside{
		commands: make(chan Command, 16),
		events:   make(chan Event, 256),
		ended:    make(chan struct{}),
	}
	go in.run(ctx, body, spec)
	return in
}

type inside struct {
	commands chan Command
	events   chan Event
	ended    chan struct{}
	emitting sync.RWMutex // read-locked by who emits, so that nobody does when events closes
}

func (in *inside) run(ctx context.Context, body Body, spec json.RawMessage) {
	last := done(Guarded(func() error { return body(ctx, spec, in.commands, in.emit) }))
	in.emitting.Lock()
	close(in.ended)
	in.emitting.Unlock()
	in.events <- last
	close(in.events)
}

// emit drops counts that nobody fetches, and nothing else.
func (in *inside) emit(e Event) {
	in.emitting.RLock()
	defer in.emitting.RUnlock()
	select {
	case <-in.ended:
		return
	default:
	}
	if e.Is == Counts {
		select {
		case in.events <- e:
		default:
		}
		return
	}
	in.events <- e
}

func (in *inside) Command(c Command) error {
	select {
	case <-in.ended: // asked first: a command that no one reads any more would never be answered
		return ErrEnded
	default:
	}
	select {
	case <-in.ended:
		return ErrEnded
	case in.commands <- c:
		return nil
	}
}

func (in *inside) Events() <-chan Event { return in.events }

func (in *inside) Pid() int { return 0 }
