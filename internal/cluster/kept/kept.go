// Package kept lets clusters stay up after the kbench that started them has ended, and finds them again for later runs.
//
// Each has a folder, which only its user can enter: a record of what it is, and whatever its kind needs to get hold of its
// nodes again. Local nodes die with their parent, so a holder process owns them and listens on a socket in that folder;
// containers are their engine's, and are found by their label.
package kept

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"time"

	"github.com/kbench/kbench/internal/cluster"
)

// Spec is what was asked for.
type Spec struct {
	Name        string            `json:"name"`
	Kind        cluster.Kind      `json:"kind"`
	Brokers     int               `json:"brokers"`
	Controllers int               `json:"controllers"`
	Heap        string            `json:"heap"` // of a broker; "" is the kind's default
	Config      map[string]string `json:"config"`
	JVM         []string          `json:"jvm"`
	Steady      bool              `json:"steady"`
	Image       string            `json:"image,omitempty"` // of containers
}

// Record is what is known of a cluster that is up.
type Record struct {
	Spec        Spec              `json:"spec"`
	Since       time.Time         `json:"since"`
	Info        cluster.Info      `json:"info"`
	Bootstrap   []string          `json:"bootstrap"`
	Brokers     []int32           `json:"brokers"`
	Controllers []int32           `json:"controllers"`
	Settings    map[string]string `json:"settings"` // that every node was given
	JVM         []string          `json:"jvm"`      // flags of a broker
	Places      map[int32]Place   `json:"places"`   // of local brokers
	Handle      json.RawMessage   `json:"handle"`   // by which its kind finds it again
}

// Place is where a broker writes: see cluster.Logs.
type Place struct {
	LogDir    string `json:"log_dir"`
	ServerLog string `json:"server_log"`
}

// Nodes is hold of a kept cluster's nodes.
type Nodes interface {
	cluster.Process
	cluster.Owner
	cluster.Logs
	// Close lets go of the nodes, and leaves them as they are.
	Close() error
	// Remove stops every node, whatever its state, and removes what they left.
	Remove(context.Context) error
}

// Making is a cluster on its way up.
type Making struct {
	Spec  Spec
	Dir   string             // its own folder
	Claim *os.File           // the lock on it: a process that is to live as long as the cluster can be given it
	Save  func(Record) error // to be called when the cluster is up, before it is let go
	Note  func(format string, args ...any)
}

// Holding says where things lie while a kept cluster is held.
type Holding struct {
	Dir  string // the cluster's own folder
	Logs string // takes the logs of nodes that do not write any on this machine; "" where nobody wants them
}

// Kind is how clusters of one kind are kept.
type Kind interface {
	// Up starts a cluster that stays. When ctx ends first, nothing is left running.
	Up(ctx context.Context, m Making) error
	// Hold of a cluster that is up: ErrGone where it is not any more.
	Hold(ctx context.Context, r Record, h Holding) (Nodes, error)
	// Sweep removes what is left of a cluster that is gone, outside its folder.
	Sweep(note func(format string, args ...any)) error
}

// ErrGone says that a cluster that was kept is not there any more: the machine was restarted, its holder was killed, or its
// containers were removed.
var ErrGone = errors.New("it is gone")
