package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"github.com/kbench/kbench/internal/cluster"
	"github.com/kbench/kbench/internal/cluster/kept"
	"github.com/kbench/kbench/scenarios"
)

// findKept finds out whether an external cluster is one that kbench keeps up. Without an address the only one is taken.
func (f *fleet) findKept(ctx context.Context, want cluster.Kind) error {
	if want != cluster.External && len(f.bootstrap) == 0 {
		return nil
	}
	store, err := keeper(f.note)
	f.keeper = store
	if err == nil && len(f.bootstrap) == 0 {
		return f.takeOnly(ctx, store)
	}
	var k kept.Kept
	var found bool
	if err == nil {
		k, found, err = store.At(ctx, f.bootstrap)
	}
	if err != nil {
		f.note("whether the cluster is a kept one is not known: %v", err)
	}
	if found {
		f.kept = &k
	}
	return nil
}

func (f *fleet) takeOnly(ctx context.Context, store kept.Store) error {
	list, err := store.List(ctx)
	switch {
	case err != nil:
		return err
	case len(list) == 0:
		return errors.New("an external cluster needs its address: give --bootstrap-server, or start one with 'kbench cluster up'")
	case len(list) > 1:
		return fmt.Errorf("an external cluster needs its address: %s; 'kbench cluster status' has their addresses for --bootstrap-server", whatIsUp(list))
	}
	f.kept, f.bootstrap = &list[0], list[0].Bootstrap
	return nil
}

// room refuses a local cluster of a run's own beside one that is kept: it would wait for its end, and nobody ends it.
func (f *fleet) room(ctx context.Context) error {
	if f.kind != cluster.Local {
		return nil
	}
	store, err := keeper(f.note)
	if err != nil {
		return err
	}
	list, err := store.List(ctx)
	if err != nil {
		f.note("which clusters are kept is not known in full: %v", err)
	}
	for _, k := range list {
		if k.Spec.Kind == cluster.Local {
			return fmt.Errorf("the kept cluster %s has this machine's place for local clusters: run on it with --cluster external, or stop it with 'kbench cluster down %[1]s'", k.Spec.Name)
		}
	}
	return nil
}

// canKeep says why the cluster of these runs cannot be left up: it is one for all of them, with a name of its own.
func (f *fleet) canKeep(ctx context.Context, plan []planned) error {
	first := plan[0].Scenario
	for _, p := range plan {
		switch s := p.Scenario; {
		case needsProxy(s):
			return fmt.Errorf("--keep: %s treats single requests, for which somebody stands between clients and brokers, and a cluster that stays has nobody there", s.Name)
		case !reflect.DeepEqual(s.Cluster, first.Cluster):
			return fmt.Errorf("--keep leaves one cluster up, and %s needs another one than %s", s.Name, first.Name)
		}
	}
	if f.limits.cpus != 0 || f.limits.memory != "" {
		return errors.New("--keep: a cluster that stays has no --broker-cpus and --broker-memory")
	}
	if err := kept.CheckName(first.Name); err != nil {
		return fmt.Errorf("--keep names the cluster after the scenario: %w", err)
	}
	store, err := keeper(f.note)
	if err != nil {
		return err
	}
	k, found, err := store.Find(ctx, first.Name)
	if found {
		return fmt.Errorf("--keep: the cluster %s is up already: run on it with --bootstrap-server %s, or stop it with 'kbench cluster down %[1]s'", first.Name, strings.Join(k.Bootstrap, ","))
	}
	return err
}

// keepUp starts a cluster that stays when kbench has ended, under the scenario's name. It is up already where it had to be taken
// anew.
func (f *fleet) keepUp(ctx context.Context, s scenarios.Scenario) error {
	if f.kept != nil {
		return nil
	}
	store, err := keeper(f.note)
	if err != nil {
		return err
	}
	spec := keptSpec(s.Name, s)
	if spec.Kind, spec.Steady = f.kind, f.steady; f.kind == cluster.Docker {
		spec.Image = f.limits.image
	}
	k, err := store.Up(ctx, spec)
	if err != nil {
		return fmt.Errorf("cluster %s: %w", spec.Name, err)
	}
	f.keeper, f.kept, f.bootstrap = store, &k, k.Bootstrap
	return nil
}

// stays tells, at the end, how to go on with a cluster that was left up. Nobody is spared that: it takes the machine's room.
func (f *fleet) stays(w io.Writer) {
	if f.keep && f.kept != nil && f.ownBrokers() {
		fmt.Fprintf(w, "cluster %s stays up: kbench run --bootstrap-server %s, and at last kbench cluster down %[1]s\n", f.kept.Spec.Name, strings.Join(f.bootstrap, ","))
	}
}

// keptCanShow says why a kept cluster cannot show a scenario. Its nodes are as real as those of a cluster of the run's own,
// but nobody stands between them and clients, and they have the settings they were started with.
func keptCanShow(r kept.Record, s scenarios.Scenario) error {
	var problems []string
	shows := func(kind cluster.Kind) bool { return slices.Contains(s.Clusters, string(kind)) }
	if !shows(r.Spec.Kind) && !shows(cluster.External) {
		problems = append(problems, "it needs --cluster "+strings.Join(s.Clusters, " or "))
	}
	if needsProxy(s) {
		problems = append(problems, "it treats single requests, which takes a cluster of the run's own: --cluster local")
	}
	if s.Cluster.Brokers > len(r.Brokers) || s.Cluster.Controllers > len(r.Controllers) {
		problems = append(problems, fmt.Sprintf("it asks for %s and %s", plural(s.Cluster.Brokers, "broker"), plural(s.Cluster.Controllers, "controller")))
	}
	onTopics := s.TopicConfig(scenarios.Topic{}) // set on each topic
	for name, asked := range s.NodeConfig() {
		_, topics := onTopics[name]
		if has, given := r.Settings[name]; given && has != asked && !topics {
			problems = append(problems, fmt.Sprintf("it asks for %s=%s, and the nodes have %s", name, asked, has))
		}
	}
	if len(problems) == 0 {
		return nil
	}
	slices.Sort(problems)
	return fmt.Errorf("%s cannot be shown on the kept cluster %s: %s\n  such a cluster is started by 'kbench cluster up NAME --for %[1]s'", s.Name, r.Spec.Name, strings.Join(problems, "; "))
}
