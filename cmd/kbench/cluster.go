package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/kbench/kbench/internal/cluster"
	"github.com/kbench/kbench/internal/cluster/docker"
	"github.com/kbench/kbench/internal/cluster/kept"
	"github.com/kbench/kbench/internal/cluster/local"
	"github.com/kbench/kbench/reports"
	"github.com/kbench/kbench/scenarios"
)

const defaultName = "default"

// upFlags are those of kbench cluster up.
type upFlags struct {
	kind, like           string
	heap, image          string
	brokers, controllers int
	config               []string
	steady, json, quiet  bool
}

func (a *app) clusterCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "cluster", Short: "Keep a cluster up for several runs",
		Long: `Keep a cluster up for several runs, and for whatever else is to talk to it.

'kbench run' starts a cluster of its own and ends it. One that was started here stays until 'kbench cluster down'; one of
processes ends with the login's or the machine's, and containers stop with the machine and stay. Runs reach it by
--bootstrap-server as they do any external cluster, and can kill, stop and pause its brokers, since kbench knows them;
afterwards every broker is up again.

A kept local cluster has the machine's place for local clusters: 'kbench run --cluster local' refuses to run beside it.`,
	}
	c.AddCommand(a.upCommand(), a.downCommand(), a.statusCommand())
	return c
}

func (a *app) upCommand() *cobra.Command {
	var f upFlags
	c := &cobra.Command{
		Use: "up [NAME]", Short: "Start a cluster that stays",
		Long: `Start a cluster that stays, and print its addresses once it is healthy. NAME is ` + defaultName + ` where none is given.

Its nodes have the settings of the scenario that --for names, so that the scenario can be run on it; --config, --brokers,
--controllers and --heap change them. Where the same cluster is up already that is said and nothing done; where another one of
that name is, it is an error. An interruption leaves nothing.`,
		Example: `  kbench cluster up
  kbench cluster up --for leader-loss
  kbench cluster up big --brokers 5 --heap 1g --steady --config num.io.threads=4`,
		Args: atMost(1, "the name of a cluster"),
		RunE: func(c *cobra.Command, args []string) error { return a.up(c.Context(), f, nameOf(args)) },
	}
	flags := c.Flags()
	flags.StringVar(&f.kind, "kind", string(cluster.Auto), "kind of cluster: "+strings.Join(upKinds(), ", "))
	flags.StringVar(&f.like, "for", "quickstart", "scenario whose settings the nodes are given")
	flags.IntVar(&f.brokers, "brokers", 0, "number of brokers (0: as the scenario says)")
	flags.IntVar(&f.controllers, "controllers", 0, "number of controllers (0: as the scenario says)")
	flags.StringVar(&f.heap, "heap", "", "heap of a broker, such as 1g (default as the scenario says, else 512m)")
	flags.StringVar(&f.image, "image", docker.DefaultImage, "image of a cluster in containers, configured as apache/kafka is")
	flags.StringArrayVar(&f.config, "config", nil, "a setting of brokers and controllers: key=value")
	flags.BoolVar(&f.steady, "steady", false, "brokers that serve as fast as they can, rather than start fast")
	flags.BoolVar(&f.json, "json", false, "print JSON")
	flags.BoolVar(&f.quiet, "quiet", false, "no progress on stderr")
	_ = c.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions(upKinds(), cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("for", func(c *cobra.Command, args []string, text string) ([]string, cobra.ShellCompDirective) {
		return completeScenarios(c, args, text)
	})
	return c
}

func (a *app) downCommand() *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use: "down [NAME]", Short: "Stop a cluster that was kept, and remove everything about it",
		Long: `Stop a cluster that was kept, and remove everything about it: processes, data, logs. NAME is ` + defaultName + ` where none is given.
A cluster that is not up is no error.`,
		Args: atMost(1, "the name of a cluster"),
		RunE: func(c *cobra.Command, args []string) error {
			if all && len(args) > 0 {
				return usage(errors.New("either a name or --all"))
			}
			return a.down(c.Context(), nameOf(args), all)
		},
		ValidArgsFunction: a.completeKept,
	}
	c.Flags().BoolVar(&all, "all", false, "every cluster that was kept")
	return c
}

func (a *app) statusCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "status", Short: "List the clusters that were kept, and how their nodes are", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			asJSON, err := c.Flags().GetBool("json")
			if err != nil {
				return err
			}
			return a.status(c.Context(), asJSON)
		},
	}
	c.Flags().Bool("json", false, "print JSON")
	return c
}

func nameOf(args []string) string {
	if len(args) == 0 {
		return defaultName
	}
	return args[0]
}

// keeper is the store of kept clusters. The environment says where it is.
func keeper(note func(format string, args ...any)) (kept.Store, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return kept.Store{}, fmt.Errorf("no folder to note clusters in: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return kept.Store{}, fmt.Errorf("find kbench's own program: %w", err)
	}
	kinds := map[cluster.Kind]kept.Kind{cluster.Local: kept.Local{Argv: []string{self, "holder"}}, cluster.Docker: kept.Docker{Janitor: []string{self, "janitor"}}}
	return kept.Store{Dir: filepath.Join(cache, "kbench", "clusters"), Kinds: kinds, Note: note}, nil
}

// localBase is what the environment says about local clusters.
func localBase() (local.Options, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return local.Options{}, fmt.Errorf("no folder to keep Kafka in: %w", err)
	}
	return local.Options{CacheDir: filepath.Join(cache, "kbench"), KafkaHome: os.Getenv("KAFKA_HOME")}, nil
}

// upKinds are the kinds of cluster that can be kept, and auto.
func upKinds() []string {
	return []string{string(cluster.Auto), string(cluster.Local), string(cluster.Docker)}
}

func (a *app) up(ctx context.Context, f upFlags, name string) error {
	progress := newProgress(a.err, f.quiet)
	spec, err := f.spec(ctx, name, progress.note)
	if ctx.Err() != nil {
		return &exitError{reports.ExitInterrupted, context.Cause(ctx)}
	}
	if err != nil {
		return usage(err)
	}
	store, err := keeper(progress.note)
	if err != nil {
		return &exitError{reports.ExitBroken, err}
	}
	before, found, err := store.Find(ctx, name)
	switch {
	case err != nil:
		return &exitError{reports.ExitBroken, err}
	case found && !reflect.DeepEqual(before.Spec, spec):
		return usage(fmt.Errorf("cluster %s is up already, and is another one: 'kbench cluster down %[1]s' stops it\n  it has %s\n  asked for is %s", name, oneLine(before.Spec), oneLine(spec)))
	case found:
		progress.note("cluster %s is up already, since %s", name, before.Since.Format(time.DateTime))
		return a.tell(before, f.json)
	}
	began := time.Now()
	k, err := store.Up(ctx, spec)
	switch {
	case err != nil && ctx.Err() != nil:
		return &exitError{reports.ExitInterrupted, err}
	case err != nil:
		return &exitError{reports.ExitBroken, fmt.Errorf("cluster %s: %w", name, err)}
	}
	progress.note("cluster %s is up after %.1fs", name, time.Since(began).Seconds())
	return a.tell(k, f.json)
}

// spec is what the flags ask for.
func (f upFlags) spec(ctx context.Context, name string, note func(format string, args ...any)) (kept.Spec, error) {
	var changes []scenarios.Change
	for _, assignment := range f.config {
		c, err := scenarios.Set("cluster.config." + assignment)
		if err != nil {
			return kept.Spec{}, fmt.Errorf("--config %s: a setting has the form key=value", assignment)
		}
		changes = append(changes, c)
	}
	s, err := scenarios.Open(f.like, changes...)
	if err := errors.Join(err, kept.CheckName(name), f.counts()); err != nil {
		return kept.Spec{}, err
	}
	spec := keptSpec(name, s)
	spec.Steady = f.steady
	for _, n := range []struct {
		asked int
		of    *int
	}{{f.brokers, &spec.Brokers}, {f.controllers, &spec.Controllers}} {
		if n.asked > 0 {
			*n.of = n.asked
		}
	}
	if f.heap != "" {
		spec.Heap = f.heap
	}
	const minISR = "min.insync.replicas"
	if n, _ := strconv.Atoi(spec.Config[minISR]); n > spec.Brokers {
		note("%s is %d: there are no more brokers", minISR, spec.Brokers)
		spec.Config[minISR] = strconv.Itoa(spec.Brokers)
	}
	if spec.Kind, err = f.upKind(ctx, note); spec.Kind == cluster.Docker {
		spec.Image = f.image
	}
	return spec, err
}

// keptSpec is a cluster that a scenario can be run on. Its kind is open.
func keptSpec(name string, s scenarios.Scenario) kept.Spec {
	return kept.Spec{Name: name, Brokers: s.Cluster.Brokers, Controllers: s.Cluster.Controllers, Heap: s.Cluster.Heap, Config: s.NodeConfig(), JVM: s.Cluster.JVM}
}

func (f upFlags) counts() error {
	if f.brokers < 0 || f.controllers < 0 {
		return errors.New("--brokers and --controllers are 1 or more")
	}
	return nil
}

// upKind settles which kind of cluster is started: local where it can be, else docker.
func (f upFlags) upKind(ctx context.Context, note func(format string, args ...any)) (cluster.Kind, error) {
	want := cluster.Kind(f.kind)
	if !slices.Contains(upKinds(), f.kind) {
		return "", fmt.Errorf("a cluster of kind %q cannot be kept: %s", want, strings.Join(upKinds(), ", "))
	}
	var problems []error
	if want != cluster.Docker {
		base, err := localBase()
		if err == nil {
			err = local.Available(base)
		}
		if err == nil {
			return cluster.Local, nil
		}
		problems = append(problems, fmt.Errorf("no local cluster can be started: %w", err))
	}
	if want != cluster.Local {
		err := docker.Available(ctx, docker.Options{Image: f.image, Note: note})
		if err == nil {
			return cluster.Docker, nil
		}
		problems = append(problems, fmt.Errorf("no cluster in containers can be started: %w", err))
	}
	return "", errors.Join(problems...)
}

// oneLine says what a cluster was asked to be.
func oneLine(s kept.Spec) string {
	text := fmt.Sprintf("%s: %s, %s", s.Kind, plural(s.Brokers, "broker"), plural(s.Controllers, "controller"))
	if s.Heap != "" {
		text += ", heap " + s.Heap
	}
	if s.Steady {
		text += ", steady"
	}
	for _, name := range slices.Sorted(maps.Keys(s.Config)) {
		text += ", " + name + "=" + s.Config[name]
	}
	return text
}

func (a *app) down(ctx context.Context, name string, all bool) error {
	progress := newProgress(a.err, false)
	store, err := keeper(progress.note)
	if err != nil {
		return &exitError{reports.ExitBroken, err}
	}
	list, unknown := store.List(ctx)
	var problems []error
	done := 0
	for _, k := range list {
		if !all && k.Spec.Name != name {
			continue
		}
		done++
		if err := store.Down(ctx, k); err != nil {
			problems = append(problems, err)
			continue
		}
		progress.note("cluster %s is down", k.Spec.Name)
	}
	if all || done == 0 { // else they are of no matter
		problems = append(problems, unknown)
	}
	if done == 0 && unknown == nil {
		progress.note("nothing to stop: %s", whatIsUp(list))
	}
	if err := errors.Join(problems...); err != nil {
		return &exitError{reports.ExitBroken, err}
	}
	return nil
}

// whatIsUp names the kept clusters.
func whatIsUp(list []kept.Kept) string {
	if len(list) == 0 {
		return "no kept cluster is up"
	}
	var names []string
	for _, k := range list {
		names = append(names, k.Spec.Name)
	}
	return "up are " + strings.Join(names, ", ")
}

func (a *app) completeKept(c *cobra.Command, _ []string, _ string) (names []string, d cobra.ShellCompDirective) {
	if store, err := keeper(func(string, ...any) {}); err == nil {
		list, _ := store.List(c.Context())
		for _, k := range list {
			names = append(names, k.Spec.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// shownCluster is a kept cluster as scripts rely on it.
type shownCluster struct {
	Version     int         `json:"kbench_cluster"` // 1
	Name        string      `json:"name"`
	Kind        string      `json:"kind"`
	Software    string      `json:"software"`
	Release     string      `json:"version"`
	Mode        string      `json:"mode"`
	Since       string      `json:"since"`
	Bootstrap   []string    `json:"bootstrap"`
	Brokers     []shownNode `json:"brokers"`
	Controllers []shownNode `json:"controllers"`
}

type shownNode struct {
	ID    int32  `json:"id"`
	State string `json:"state"` // running, paused, dead, unknown
	Pid   *int   `json:"pid"`
}

// shownClusters is the document of kbench cluster status --json.
type shownClusters struct {
	Version  int            `json:"kbench_clusters"` // 1
	Clusters []shownCluster `json:"clusters"`
}

func show(k kept.Kept) shownCluster {
	nodes := func(ids []int32) []shownNode {
		list := []shownNode{}
		for _, id := range ids {
			n := shownNode{ID: id, State: "unknown"}
			if st, err := k.State(id); err == nil {
				n.State = st.State
				if st.Pid != 0 {
					n.Pid = &st.Pid
				}
			}
			list = append(list, n)
		}
		return list
	}
	return shownCluster{
		Version: 1, Name: k.Spec.Name, Kind: string(k.Spec.Kind), Software: k.Info.Software, Release: k.Info.Version, Mode: k.Info.Mode,
		Since: k.Since.Format(time.RFC3339), Bootstrap: k.Bootstrap, Brokers: nodes(k.Brokers), Controllers: nodes(k.Record.Controllers),
	}
}

// tell prints a cluster that is up, and what to do next.
func (a *app) tell(k kept.Kept, asJSON bool) error {
	c := show(k)
	if asJSON {
		return reports.WriteJSON(a.out, c)
	}
	addresses := strings.Join(c.Bootstrap, ",")
	_, err := fmt.Fprintf(a.out, `%s: %s %s, %s and %s (%s)
  bootstrap  %s
  settings   %s

Next
  kbench run --bootstrap-server %[7]s
  kbench cluster status
  kbench cluster down %[1]s
`, c.Name, c.Software, c.Release, plural(len(c.Brokers), "broker"), plural(len(c.Controllers), "controller"), c.Kind+", "+c.Mode, addresses, settingsLine(k.Spec.Config))
	return err
}

func settingsLine(config map[string]string) string {
	if len(config) == 0 {
		return "Kafka's own"
	}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(config)) {
		list = append(list, name+"="+config[name])
	}
	return strings.Join(list, " ")
}

func (a *app) status(ctx context.Context, asJSON bool) error {
	store, err := keeper(newProgress(a.err, false).note)
	if err != nil {
		return &exitError{reports.ExitBroken, err}
	}
	list, err := store.List(ctx)
	if err != nil {
		err = &exitError{reports.ExitBroken, err} // told after those that are known
		if len(list) == 0 {
			return err
		}
	}
	return errors.Join(a.tellAll(list, asJSON), err)
}

func (a *app) tellAll(list []kept.Kept, asJSON bool) error {
	shown := shownClusters{Version: 1, Clusters: []shownCluster{}}
	for _, k := range list {
		shown.Clusters = append(shown.Clusters, show(k))
	}
	if asJSON {
		return reports.WriteJSON(a.out, shown)
	}
	if len(list) == 0 {
		_, err := fmt.Fprintln(a.out, "no kept cluster is up: 'kbench cluster up' starts one")
		return err
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tKIND\tUP SINCE\tBROKERS\tCONTROLLERS\tBOOTSTRAP")
	for i, c := range shown.Clusters {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", c.Name, c.Kind, list[i].Since.Format(time.DateTime), states(c.Brokers), states(c.Controllers), strings.Join(c.Bootstrap, ","))
	}
	return w.Flush()
}

// states says how nodes are, in few words where all are well.
func states(nodes []shownNode) string {
	var ill []string
	for _, n := range nodes {
		if n.State != "running" {
			ill = append(ill, fmt.Sprintf("%d %s", n.ID, n.State))
		}
	}
	if len(ill) == 0 {
		return fmt.Sprintf("%d running", len(nodes))
	}
	return fmt.Sprintf("%d of %d running (%s)", len(nodes)-len(ill), len(nodes), strings.Join(ill, ", "))
}
