// Package worker runs one session of a producer, consumer or processor, inside this process or in a child process
// that can really be killed, and talks with it in the same words either way: commands in, events out.
package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/kbench/kbench/internal/rundir"
)

// Command tells a session what to do. A command with an ID is answered by an Event with the same ID.
type Command struct {
	ID    uint64 `json:"id,omitempty"`
	Do    string `json:"do"`
	N     int    `json:"n,omitempty"`
	At    int64  `json:"at,omitempty"`   // ns on the run's clock
	From  int64  `json:"from,omitempty"` // likewise
	End   int64  `json:"end,omitempty"`  // likewise
	Point string `json:"point,omitempty"`
	Open  bool   `json:"open,omitempty"` // send: leave a transaction open that is not full
}

// What a Command can ask.
const (
	Begin   = "begin"   // send by the schedule that began at At what is due from From until End
	SendN   = "send"    // send N records as fast as the client takes them; answered when each was handed over, and transactions ended
	Flush   = "flush"   // answered when each record sent has its end
	Hold    = "hold"    // stop at Point when next there; answered once that is known
	Release = "release" // go on
	Stop    = "stop"    // finish what is in hand, write everything down, end
)

// Event is what a session says.
type Event struct {
	ID       uint64            `json:"id,omitempty"`
	Is       string            `json:"is"`
	Point    string            `json:"point,omitempty"`
	N        int               `json:"n,omitempty"`
	Counters map[string]uint64 `json:"counters,omitempty"`
	Wall     int64             `json:"wall,omitempty"` // ns: the farthest that the wall clock was seen to be off
	Settings map[string]string `json:"settings,omitempty"`
	Error    string            `json:"error,omitempty"`
	Machine  bool              `json:"machine,omitempty"` // with Error: see MachineError

	Windows []rundir.ClientWindow `json:"windows,omitempty"`
}

// What an Event can say.
const (
	Ready    = "ready"    // connected; a member of a group: assigned. Settings: the effective ones
	Answer   = "answer"   // to the command with this ID
	Held     = "held"     // stands at Point with N records in hand
	Released = "released" // goes on
	Counts   = "counts"   // Counters so far; sent several times a second
	Final    = "final"    // Counters at the end
	Observed = "observed" // Windows of the client's library
	Done     = "done"     // the last event; Error says why, where it ended badly
)

// Body is a session. It returns when told to Stop, when its commands are closed, or when ctx ends; emit may be called
// from several goroutines and does not block for long; what is emitted after the body has returned is lost.
type Body func(ctx context.Context, spec json.RawMessage, commands <-chan Command, emit func(Event)) error

// Handle is a running session.
type Handle interface {
	// Command hands a command over; an error says that the session has ended.
	Command(Command) error
	// Events ends when the session has: after Done, or without it where it was killed.
	Events() <-chan Event
	// Pid of the child process, 0 for a session inside this process.
	Pid() int
}

// MachineError is what ends a session because the machine failed it (a full disk, say) or kbench itself did (a panic),
// not the client or the cluster.
type MachineError struct{ Err error }

func (e *MachineError) Error() string { return e.Err.Error() }
func (e *MachineError) Unwrap() error { return e.Err }

// Guarded runs f. A panic is a mistake of kbench's own: it comes back as a MachineError with the stack, so that the run
// ends in good order, with everything healed and stopped, and says where.
func Guarded(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = Panicked(p)
		}
	}()
	return f()
}

// Panicked is the error of a panic, made while it is recovered.
func Panicked(p any) error {
	return &MachineError{fmt.Errorf("kbench panicked: %v\n%s", p, debug.Stack())}
}

// done is a session's last event.
func done(err error) Event {
	e := Event{Is: Done}
	if err != nil {
		var machine *MachineError
		e.Error, e.Machine = err.Error(), errors.As(err, &machine)
	}
	return e
}

// ErrNoProcess is the answer of a session inside this process to what only a process can suffer.
var ErrNoProcess = errors.New("the worker runs inside kbench: it is no process of its own and cannot be killed or paused")

// ErrEnded says that the session is over.
var ErrEnded = errors.New("the worker's session has ended")
