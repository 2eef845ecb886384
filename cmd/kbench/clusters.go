package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kbench/kbench/bench"
	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/cluster"
	"github.com/kbench/kbench/internal/cluster/docker"
	"github.com/kbench/kbench/internal/cluster/embedded"
	"github.com/kbench/kbench/internal/cluster/external"
	"github.com/kbench/kbench/internal/cluster/kept"
	"github.com/kbench/kbench/internal/cluster/local"
	"github.com/kbench/kbench/internal/driver/confluent"
	"github.com/kbench/kbench/internal/driver/franz"
	"github.com/kbench/kbench/scenarios"
)

// drivers are the client libraries that can be put under test. Their own log lines go to w, which several goroutines
// may write to.
func drivers(w io.Writer) map[string]client.Driver {
	log := func(line string) { fmt.Fprintln(w, time.Now().Format("15:04:05.000"), line) }
	return map[string]client.Driver{"confluent": confluent.New(log), "franz": franz.New(log)}
}

// reader is the judge's: it fetches with requests of its own, so that it shares no state with a client under test, and no code
// but, where that is franz-go, the encoding of requests and batches.
type reader struct {
	bootstrap []string
	security  map[string]string
}

func (reader) Name() string    { return "franz" }
func (reader) Version() string { return franz.Version() }

func (r reader) ReadPartition(ctx context.Context, topic string, partition int32, start, end int64, isolation client.Isolation,
	got func([]client.Fetched) error) (int64, error) {
	at := client.Partition{Topic: topic, Partition: partition}
	return franz.ReadPartition(ctx, r.bootstrap, r.security, at, start, end, isolation, got)
}

// fleet brings up the cluster that a run needs, and keeps it for the next run that needs the same one.
type fleet struct {
	kind      cluster.Kind
	why       string // it was taken
	bootstrap []string
	security  map[string]string
	dir       string // of all runs; the nodes' logs go into cluster folders in it
	limits    containers
	steady    bool       // brokers serve as fast as they can, rather than start fast
	keep      bool       // a cluster that is started for the runs stays up
	kept      *kept.Kept // the external cluster, where it is one that kbench keeps up
	keeper    kept.Store // of it
	note      func(format string, args ...any)

	made    int
	key     string
	current *berth
}

// berth is a running cluster with what talks to it.
type berth struct {
	cluster cluster.Cluster
	admin   client.Admin
	why     string
	reader  bench.Reader // for the judge: past proxies, where there are any
	logs    string       // where its nodes write, "" where kbench does not know
	cold    bool         // nothing was run on it yet
}

// choose settles the kind of cluster, before anything starts, and refuses scenarios that it cannot show.
func (f *fleet) choose(ctx context.Context, want cluster.Kind, plan []planned) error {
	if err := f.findKept(ctx, want); err != nil {
		return err
	}
	options, err := f.localOptions(plan[0].Scenario)
	if err != nil {
		return err
	}
	f.kind, f.why, err = cluster.Choose(want, f.bootstrap, func(k cluster.Kind) error {
		if k == cluster.Docker {
			return docker.Available(ctx, docker.Options{Image: f.limits.image, Note: f.note})
		}
		return local.Available(options)
	})
	if err != nil {
		return err
	}
	if err := f.limits.apply(f.kind); err != nil {
		return err
	}
	if f.kept != nil {
		f.why = strings.Join(f.bootstrap, ",") + " is the kept cluster " + f.kept.Spec.Name
	}
	if err := f.room(ctx); err != nil {
		return err
	}
	var problems []error
	refused := map[string]bool{}
	for _, p := range plan {
		if refused[p.Scenario.Name] {
			continue
		}
		if err := f.canShow(p.Scenario); err != nil {
			refused[p.Scenario.Name] = true
			problems = append(problems, err)
		}
	}
	if f.keep && f.kind == cluster.Embedded {
		problems = append(problems, errors.New("--keep: the embedded cluster ends with kbench"))
	}
	if f.keep && f.ownBrokers() {
		problems = append(problems, f.canKeep(ctx, plan))
	}
	return errors.Join(problems...)
}

// canShow says why the cluster cannot show a scenario.
func (f *fleet) canShow(s scenarios.Scenario) error {
	if f.kept != nil {
		return keptCanShow(f.kept.Record, s)
	}
	if slices.Contains(s.Clusters, string(f.kind)) {
		return nil
	}
	return fmt.Errorf("%s cannot be shown on the %s cluster (taken because %s): it needs --cluster %s",
		s.Name, f.kind, f.why, strings.Join(s.Clusters, " or "))
}

// ownBrokers tells whether brokers run on this machine, started for the runs.
func (f *fleet) ownBrokers() bool { return f.kind == cluster.Local || f.kind == cluster.Docker }

// forRun returns a healthy cluster for a scenario: the one at hand where it is the same and still whole, else a new one.
func (f *fleet) forRun(ctx context.Context, s scenarios.Scenario) (*berth, error) {
	key := fmt.Sprintf("%+v proxied=%v", s.Cluster, needsProxy(s))
	if f.current != nil && f.key == key {
		whole, cancel := context.WithTimeout(ctx, 20*time.Second)
		err := f.current.cluster.Healthy(whole)
		cancel()
		if err == nil {
			return f.current, nil
		}
		f.note("the cluster is replaced: %v", err)
	}
	if err := f.close(); err != nil {
		return nil, err
	}
	b, err := f.bringUp(ctx, s)
	if err != nil {
		return nil, err
	}
	f.current, f.key = b, key
	return b, nil
}

func (f *fleet) close() error {
	if f.current == nil {
		return nil
	}
	b := f.current
	f.current = nil
	return errors.Join(b.admin.Close(), b.cluster.Close())
}

func (f *fleet) bringUp(ctx context.Context, s scenarios.Scenario) (*berth, error) {
	f.made++
	f.note("cluster: %s (%s)", f.kind, f.why)
	b := &berth{why: f.why, cold: true}
	kind := f.kind
	if f.keep && f.ownBrokers() {
		if err := f.keepUp(ctx, s); err != nil {
			return nil, err
		}
		kind = cluster.External // to the runs it is as any other that was kept
	}
	var err error
	switch kind {
	case cluster.Local:
		var options local.Options
		if options, err = f.localOptions(s); err != nil {
			return nil, err
		}
		b.logs = options.Dir
		b.cluster, err = local.Start(ctx, options)
	case cluster.Docker:
		options := f.dockerOptions(s)
		b.logs = options.Dir
		b.cluster, err = docker.Start(ctx, options)
	case cluster.Embedded:
		b.cluster, err = embedded.Start(embedded.Options{Brokers: s.Cluster.Brokers, Config: s.NodeConfig()})
	case cluster.External:
		if b.admin, err = franz.NewAdmin(f.bootstrap, f.security); err == nil {
			b.cluster, err = f.openExternal(ctx, b.admin)
		}
	}
	if err != nil {
		if b.admin != nil {
			err = errors.Join(err, b.admin.Close())
		}
		return nil, err
	}
	direct := b.cluster.Bootstrap()
	if d, ok := b.cluster.(cluster.Direct); ok {
		direct = d.Direct()
	}
	if b.admin == nil {
		if b.admin, err = franz.NewAdmin(direct, nil); err != nil {
			return nil, errors.Join(err, b.cluster.Close())
		}
	}
	b.reader = reader{direct, f.security}
	return b, nil
}

// openExternal takes a cluster that is there.
func (f *fleet) openExternal(ctx context.Context, admin client.Admin) (cluster.Cluster, error) {
	if f.kept == nil {
		return external.Open(ctx, f.bootstrap, admin)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return f.keeper.Open(ctx, f.kept.Record, f.logsDir(), admin)
}

// needsProxy tells whether the scenario treats single requests or answers, which takes someone between clients and brokers.
// No other scenario gets a proxy: it costs throughput.
func needsProxy(s scenarios.Scenario) bool {
	treats := func(verb string) bool {
		return verb == "cut-acks" || verb == "refuse-produce" || verb == "delay-end-txn"
	}
	return slices.ContainsFunc(s.Faults, func(f scenarios.Fault) bool { return treats(f.Action) }) ||
		slices.ContainsFunc(s.Steps, func(s scenarios.Step) bool { return treats(s.Do) })
}

// localOptions are those of a cluster of processes for a scenario.
func (f *fleet) localOptions(s scenarios.Scenario) (local.Options, error) {
	o, err := localBase()
	if err != nil {
		return local.Options{}, err
	}
	o.Brokers, o.Controllers, o.Config = s.Cluster.Brokers, s.Cluster.Controllers, s.NodeConfig()
	o.Heap, o.JVM, o.Steady = s.Cluster.Heap, s.Cluster.JVM, f.steady
	o.Dir, o.ProxyClients, o.Note = f.logsDir(), needsProxy(s), f.note
	return o, nil
}

// logsDir is where the nodes of the cluster that is made now write.
func (f *fleet) logsDir() string {
	if f.made > 1 {
		return filepath.Join(f.dir, fmt.Sprintf("cluster-%d", f.made))
	}
	return filepath.Join(f.dir, "cluster")
}
