package kept

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/containerd/errdefs"

	"github.com/kbench/kbench/internal/cluster/docker"
)

// Docker keeps clusters of containers. The engine owns them, so that no holder is needed.
type Docker struct {
	// Janitor is the command that removes containers whose starter is killed before they are noted: see docker.Options.
	Janitor []string
}

var _ Kind = Docker{}

// Up starts containers that stay.
func (d Docker) Up(ctx context.Context, m Making) error {
	s := m.Spec
	started, err := docker.Start(ctx, docker.Options{
		Brokers: s.Brokers, Controllers: s.Controllers, Image: s.Image, Config: s.Config, Heap: s.Heap, JVM: s.JVM, Steady: s.Steady,
		Dir: filepath.Join(m.Dir, "nodes"), Keep: true, Janitor: d.Janitor, Note: m.Note,
	})
	if err != nil {
		return err
	}
	c := started.(*docker.Cluster)
	handle, err := json.Marshal(c.Run)
	if err == nil {
		err = m.Save(Record{
			Spec: s, Since: time.Now().Round(time.Second), Info: c.Info(), Bootstrap: c.Bootstrap(), Brokers: c.Brokers(), Controllers: c.Controllers(),
			Settings: c.Settings(), JVM: c.JVM(), Handle: handle,
		})
	}
	if err != nil {
		err = errors.Join(err, docker.Remove(context.WithoutCancel(ctx), c.Run))
	}
	return errors.Join(err, c.Close())
}

// Hold of containers by their label.
func (Docker) Hold(ctx context.Context, r Record, h Holding) (Nodes, error) {
	var run string
	if err := json.Unmarshal(r.Handle, &run); err != nil {
		return nil, fmt.Errorf("the label of its containers %q: %w", r.Handle, err)
	}
	c, err := docker.Attach(ctx, run, h.Logs)
	if errdefs.IsNotFound(err) {
		return nil, errors.Join(ErrGone, docker.Remove(ctx, run)) // what is left of it
	}
	if err != nil {
		return nil, err
	}
	return contained{c}, nil
}

// Sweep has nothing to do: what is left of a cluster is removed by its label.
func (Docker) Sweep(func(format string, args ...any)) error { return nil }

// contained is hold of containers.
type contained struct{ *docker.Cluster }

func (c contained) Remove(ctx context.Context) error {
	return errors.Join(docker.Remove(ctx, c.Run), c.Close())
}
