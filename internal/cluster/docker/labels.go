package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"

	"github.com/kbench/kbench/internal/proc"
)

// What belongs to a cluster is known by its labels.
const (
	runLabel   = "io.kbench.run"   // of which cluster
	ownerLabel = "io.kbench.owner" // the process that started it
	keptLabel  = "io.kbench.kept"  // there where it is to outlive that
	nodeLabel  = "io.kbench.node"  // its id
)

// labels of everything that belongs to the cluster.
func (c *Cluster) labels() map[string]string {
	all := map[string]string{runLabel: c.Run, ownerLabel: self()}
	if c.Keep {
		all[keptLabel] = "true"
	}
	if c.watchedByRyuk() {
		testcontainers.AddGenericLabels(all)
	}
	return all
}

// watchedByRyuk tells whether Ryuk removes the cluster.
func (c *Cluster) watchedByRyuk() bool { return c.engine.noReaper == "" && !c.Keep }

// self names this process for good: its machine, that machine's boot, its id there, in its namespace of ids, and its start.
func self() string {
	id, _ := proc.Identify(os.Getpid()) // without a start nobody will find it alive, and the boot is told anyway
	return ownerName(id)
}

func ownerName(id proc.ID) string {
	host, boot, namespace := here()
	return fmt.Sprintf("%s %s %s %d %d", host, boot, namespace, id.Pid, id.Began)
}

func here() (host, boot, namespace string) {
	host, _ = os.Hostname()
	namespace, _ = os.Readlink("/proc/self/ns/pid")
	return host, orUnknown(proc.Boot()), orUnknown(namespace)
}

func orUnknown(name string) string {
	if name == "" {
		return "unknown"
	}
	return name
}

// crashed tells whether the process that a label names was one of this machine, and is gone. Of a process of another
// namespace nothing can be told before the machine has started anew.
func crashed(owner string) bool {
	var host, boot, namespace string
	var id proc.ID
	if _, err := fmt.Sscan(owner, &host, &boot, &namespace, &id.Pid, &id.Began); err != nil {
		return false
	}
	ours, booted, among := here()
	switch {
	case host != ours:
		return false
	case boot != booted:
		return true
	}
	return namespace == among && !id.Alive()
}

// sweep removes what processes left that were killed.
func (e *engine) sweep(ctx context.Context, note func(string, ...any)) error {
	left := map[string]string{}
	add := func(labels map[string]string) {
		if _, kept := labels[keptLabel]; !kept && crashed(labels[ownerLabel]) {
			left[labels[runLabel]] = labels[ownerLabel]
		}
	}
	if err := e.eachLabelled(ctx, client.Filters{}.Add("label", ownerLabel), func(_ string, labels map[string]string, _ removal) error {
		add(labels)
		return nil
	}); err != nil {
		return fmt.Errorf("looking for what earlier runs left: %w", err)
	}
	for run := range left {
		if err := e.removeRun(ctx, run); err != nil {
			note("what an earlier run left stays for now (docker ps -a --filter label=%s=%s shows it): %v", runLabel, run, err)
			continue
		}
		note("removed the cluster %s, left by an earlier run", run)
	}
	return nil
}

// removal removes one thing.
type removal func(context.Context) error

// removeRun removes all that has a run's label, whatever state it is in: containers, then the networks and volumes that
// they were in the way of.
func (e *engine) removeRun(ctx context.Context, run string) error {
	// Again and again, since something may have been made while this looked, or be on its way out: the engine refuses to remove
	// what somebody else removes, and a network or volume for as long as it is in use.
	var err error
	for end, wait := time.Now().Add(removeLimit), lookEvery; time.Now().Before(end); wait = min(2*wait, time.Second) {
		found := 0
		err = e.eachLabelled(ctx, client.Filters{}.Add("label", runLabel+"="+run), func(name string, _ map[string]string, remove removal) error {
			found++
			if err := remove(ctx); err != nil && !errdefs.IsNotFound(err) {
				return fmt.Errorf("removing %s: %w", name, err)
			}
			return nil
		})
		if found == 0 || ctx.Err() != nil {
			break
		}
		time.Sleep(wait)
	}
	return err
}

// removeLimit bounds the tries to remove one cluster.
const removeLimit = 15 * time.Second

// eachLabelled goes through what has the labels: containers first, all of them at once.
func (e *engine) eachLabelled(ctx context.Context, with client.Filters, do func(name string, labels map[string]string, remove removal) error) error {
	containers, err := e.client.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: with})
	if err != nil {
		return err
	}
	var problems []error
	for _, c := range containers.Items {
		problems = append(problems, do(strings.Join(c.Names, ","), c.Labels, func(ctx context.Context) error {
			_, err := e.client.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
			return err
		}))
	}
	networks, err := e.client.NetworkList(ctx, client.NetworkListOptions{Filters: with})
	problems = append(problems, err)
	for _, n := range networks.Items {
		problems = append(problems, do(n.Name, n.Labels, func(ctx context.Context) error {
			_, err := e.client.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{})
			return err
		}))
	}
	volumes, err := e.client.VolumeList(ctx, client.VolumeListOptions{Filters: with})
	problems = append(problems, err)
	for _, v := range volumes.Items {
		problems = append(problems, do(v.Name, v.Labels, func(ctx context.Context) error {
			_, err := e.client.VolumeRemove(ctx, v.Name, client.VolumeRemoveOptions{Force: true})
			return err
		}))
	}
	return errors.Join(slices.DeleteFunc(problems, func(err error) bool { return err == nil })...)
}
