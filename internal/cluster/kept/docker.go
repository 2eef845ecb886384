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
	on, err := c.Host(ctx)
	handle, wrong := json.Marshal(containers{c.Run, on})
	if err = errors.Join(err, wrong); err == nil {
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
	var of containers
	if err := json.Unmarshal(r.Handle, &of); err != nil {
		return nil, fmt.Errorf("the label of its containers %q: %w", r.Handle, err)
	}
	c, err := docker.Attach(ctx, of.Run, h.Logs)
	if errdefs.IsNotFound(err) {
		return nil, of.gone(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("its containers are on the Docker engine at %s: %w", of.On.Address, err)
	}
	return contained{c}, nil
}

// containers are known by their label, on their engine.
type containers struct {
	Run string      `json:"run"`
	On  docker.Host `json:"on"`
}

// gone is ErrGone where the engine that does not know the containers is theirs. Another one says nothing about them.
func (c containers) gone(ctx context.Context) error {
	now, err := docker.Answering(ctx)
	switch {
	case err != nil:
		return err
	case now.ID != c.On.ID:
		return fmt.Errorf("its containers are on the Docker engine at %s, and the one at %s answers: let DOCKER_HOST name the first", c.On.Address, now.Address)
	}
	return errors.Join(ErrGone, docker.Remove(ctx, c.Run)) // what is left of it
}

// Sweep has nothing to do: what is left of a cluster is removed by its label.
func (Docker) Sweep(func(format string, args ...any)) error { return nil }

// contained is hold of containers.
type contained struct{ *docker.Cluster }

func (c contained) Remove(ctx context.Context) error {
	return errors.Join(docker.Remove(ctx, c.Run), c.Close())
}
