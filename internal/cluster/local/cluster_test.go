package local_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kbench/kbench/internal/cluster"
	"github.com/kbench/kbench/internal/cluster/clustertest"
	"github.com/kbench/kbench/internal/cluster/local"
)

// asChild has the test binary run a cluster, to be killed itself.
const asChild = "KBENCH_TEST_CLUSTER_IN"

func TestMain(m *testing.M) {
	if temp := os.Getenv(asChild); temp != "" {
		runUntilKilled(temp)
	}
	os.Exit(m.Run())
}

func TestNodesAreHurtAndComeBack(t *testing.T) {
	temp := t.TempDir()
	c := clustertest.Start(t, local.Options{TempDir: temp})
	p := c.(cluster.Process)
	ctx := clustertest.Limit(t, time.Minute)
	if info := c.Info(); info.Kind != "local" || info.Simulated || info.Version == "" || info.Mode != "kraft" || info.Brokers != 3 {
		t.Errorf("info: %+v", info)
	}
	if !slices.Equal(c.Brokers(), []int32{1, 2, 3}) || !slices.Equal(p.Controllers(), []int32{1001}) {
		t.Errorf("brokers %v, controllers %v", c.Brokers(), p.Controllers())
	}
	createTopic(t, c, "t", 3)
	before := clustertest.Want(t, p, 2, "running")
	usesArchive(t, before.Pid)

	clustertest.OK(t, p.Kill(ctx, 2))
	clustertest.Want(t, p, 2, "dead")
	for name, err := range map[string]error{"kill": p.Kill(ctx, 2), "pause": p.Pause(ctx, 2), "resume": p.Resume(ctx, 2), "stop": p.Stop(ctx, 2)} {
		if err == nil || !strings.Contains(err.Error(), "dead") {
			t.Errorf("%s of a dead broker: %v", name, err)
		}
	}
	clustertest.Unhealthy(t, c, 200*time.Millisecond, "broker-2 is dead")
	clustertest.OK(t, p.Start(ctx, 2))
	if err := p.Start(ctx, 2); err == nil {
		t.Error("a running broker was started again")
	}
	if after := clustertest.Want(t, p, 2, "running"); after.Pid == before.Pid || !after.Started.After(before.Started) {
		t.Errorf("before %+v, after %+v", before, after)
	}
	clustertest.OK(t, c.Healthy(ctx))

	clustertest.OK(t, p.Pause(ctx, 3))
	clustertest.Want(t, p, 3, "paused")
	clustertest.Unhealthy(t, c, 200*time.Millisecond, "broker-3 is paused")
	if err := p.Stop(ctx, 3); err == nil || !strings.Contains(err.Error(), "paused") {
		t.Errorf("stop of a paused broker: %v", err)
	}
	clustertest.OK(t, p.Resume(ctx, 3), c.Healthy(ctx))
	clustertest.Want(t, p, 3, "running")

	clustertest.OK(t, p.Stop(ctx, 1))
	clustertest.Want(t, p, 1, "dead")
	clustertest.OK(t, p.Start(ctx, 1), c.Healthy(ctx))

	clustertest.OK(t, p.Kill(ctx, 1001))
	clustertest.Unhealthy(t, c, 200*time.Millisecond, "controller-1001 is dead")
	clustertest.OK(t, p.Start(ctx, 1001), c.Healthy(ctx))
	createTopic(t, c, "u", 3)

	if _, err := p.State(7); err == nil || !strings.Contains(err.Error(), "no node 7") {
		t.Errorf("state of a node that is none: %v", err)
	}

	clustertest.OK(t, p.Pause(ctx, 2), p.Kill(ctx, 3)) // Close must end a paused node and bear a dead one
	clustertest.OK(t, c.Close(), c.Close())
	clustertest.Want(t, p, 2, "dead")
	nothingLeft(t, temp)
	if err := p.Start(ctx, 2); err == nil {
		t.Error("a broker of a closed cluster was started")
	}
	for _, addr := range c.Bootstrap() {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			t.Errorf("somebody still listens at %s", addr)
		}
	}
}

// The controllers' own file decides on a new cluster, so it must have the scenario's settings too.
func TestConfigReachesBrokersControllersAndTopics(t *testing.T) {
	c := clustertest.Start(t, local.Options{
		Config: map[string]string{"min.insync.replicas": "2", "broker.session.timeout.ms": "7000"},
		JVM:    []string{"-XX:TieredStopAtLevel=4"},
	})
	ctx := clustertest.Limit(t, time.Minute)
	createTopic(t, c, "t", 3)
	adm := admin(t, c)
	brokers, err := adm.DescribeBrokerConfigs(ctx, 1, 2, 3)
	clustertest.OK(t, err)
	topics, err := adm.DescribeTopicConfigs(ctx, "t")
	clustertest.OK(t, err)
	for _, r := range append(brokers, topics...) {
		if got := value(r, "min.insync.replicas"); got != "2" {
			t.Errorf("%s: min.insync.replicas is %s", r.Name, got)
		}
	}
	if got := value(brokers[0], "broker.session.timeout.ms"); got != "7000" {
		t.Errorf("broker.session.timeout.ms is %s", got)
	}
	made := c.(cluster.Made)
	for name, want := range made.Settings() {
		if got := value(brokers[0], name); got != want {
			t.Errorf("%s is %q, and %q is told", name, got, want)
		}
	}
	if flags := made.JVM(); !slices.Contains(flags, "-Xmx512m") || flags[len(flags)-1] != "-XX:TieredStopAtLevel=4" {
		t.Errorf("JVM flags: %q", flags)
	}
}

// A folder formatted without Kafka's own tool must begin with the features that its tool gives a new cluster.
func TestFeaturesAreThoseOfANewCluster(t *testing.T) {
	c := clustertest.Start(t, local.Options{Brokers: 1})
	if v := c.Info().Version; v != local.KafkaVersion {
		t.Skipf("NOT TESTED: the features are known for Kafka %s, this is %s", local.KafkaVersion, v)
	}
	req := kmsg.NewPtrApiVersionsRequest()
	req.Version, req.ClientSoftwareName, req.ClientSoftwareVersion = 3, "kbench", "test"
	resp, err := client(t, c).SeedBrokers()[0].Request(clustertest.Limit(t, time.Minute), req)
	clustertest.OK(t, err)
	got := map[string]int16{}
	for _, f := range resp.(*kmsg.ApiVersionsResponse).FinalizedFeatures {
		got[f.Name] = f.MaxVersionLevel
	}
	want := map[string]int16{"metadata.version": 30, "eligible.leader.replicas.version": 1, "group.version": 1, "share.version": 1,
		"streams.version": 1, "transaction.version": 2}
	for name, level := range want {
		if got[name] != level {
			t.Errorf("%s is %d, a new cluster has %d", name, got[name], level)
		}
	}
}

func TestProxiedClientsMeetTheProxies(t *testing.T) {
	c := clustertest.Start(t, local.Options{ProxyClients: true})
	if _, is := c.(cluster.AnswerFilter); !is {
		t.Error("the cluster is no AnswerFilter")
	}
	if _, is := c.(cluster.Process); !is {
		t.Error("the cluster has no processes")
	}
	direct := c.(cluster.Direct).Direct()
	for name, at := range map[string][]string{"clients": c.Bootstrap(), "past the proxies": direct} {
		cl, err := kgo.NewClient(kgo.SeedBrokers(at[0]))
		clustertest.OK(t, err)
		defer cl.Close()
		brokers, err := kadm.NewClient(cl).ListBrokers(clustertest.Limit(t, time.Minute))
		clustertest.OK(t, err)
		var told []string
		for _, b := range brokers {
			told = append(told, fmt.Sprintf("%s:%d", b.Host, b.Port))
		}
		if slices.Sort(told); !slices.Equal(told, slices.Sorted(slices.Values(at))) {
			t.Errorf("%s are told %v, want %v", name, told, at)
		}
	}
	createTopic(t, c, "t", 3)
}

func TestAFailedStartSaysWhyAndLeavesNothing(t *testing.T) {
	clustertest.Require(t)
	for name, test := range map[string]struct {
		o     local.Options
		limit time.Duration
		want  []string
	}{
		"a setting that Kafka refuses": {local.Options{Config: map[string]string{"num.io.threads": "none"}}, time.Minute, []string{"num.io.threads", "died"}},
		"a JVM flag that Java refuses": {local.Options{JVM: []string{"-XX:NoSuchFlag"}}, time.Minute, []string{"NoSuchFlag"}},
		"the time is too short":        {local.Options{}, 700 * time.Millisecond, []string{context.DeadlineExceeded.Error()}},
	} {
		t.Run(name, func(t *testing.T) {
			o := test.o
			o.Shared = true // no waiting for another package's cluster within the limit
			o.TempDir, o.Dir = t.TempDir(), t.TempDir()
			o.CacheDir = cacheDir(t)
			ctx, cancel := context.WithTimeout(t.Context(), test.limit)
			defer cancel()
			c, err := local.Start(ctx, o)
			if err == nil {
				t.Fatal("started", c.Close())
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is missing in: %v", want, err)
				}
			}
			nothingLeft(t, o.TempDir)
		})
	}
}

func TestKafkaHome(t *testing.T) {
	clustertest.Require(t)
	home, cache := os.Getenv("KAFKA_HOME"), t.TempDir()
	if home == "" {
		clustertest.Start(t, local.Options{Brokers: 1}).Close() // the cache is filled
		libs, err := filepath.Glob(filepath.Join(cacheDir(t), "kafka-*"))
		if err != nil || len(libs) == 0 {
			t.Fatalf("no jars in the cache: %v, %v", libs, err)
		}
		home = t.TempDir()
		clustertest.OK(t, os.Symlink(libs[0], filepath.Join(home, "libs")))
	}
	c := clustertest.Start(t, local.Options{Brokers: 1, KafkaHome: home, CacheDir: cache, Maven: "/nonexistent/mvn"})
	createTopic(t, c, "t", 1)
	st := clustertest.Want(t, c.(cluster.Process), 1, "running")
	usesArchive(t, st.Pid)
	if left, _ := filepath.Glob(filepath.Join(cache, "*")); len(left) != 4 {
		t.Errorf("in the cache: %v, want archive, checkpoint and two locks", left)
	}
}

// usesArchive: a JVM that rejects its class-data archive says nothing and starts slowly.
func usesArchive(t *testing.T, pid int) {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	clustertest.OK(t, err)
	if !regexp.MustCompile(`/[0-9a-f]{16}\.jsa\n`).Match(maps) {
		t.Error("the JVM has no class-data archive mapped")
	}
}

// Killed, this process cannot clean up: the kernel must end the nodes, a paused one too, and the next start the data.
func TestNothingOutlivesItsStarter(t *testing.T) {
	clustertest.Require(t)
	temp := t.TempDir()
	child := exec.CommandContext(clustertest.Limit(t, 5*time.Minute), os.Args[0], "-test.run=^$")
	child.Env = append(os.Environ(), asChild+"="+temp)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	clustertest.OK(t, err, child.Start())
	defer child.Wait()
	defer child.Process.Kill()
	var started struct{ Pids []int }
	clustertest.OK(t, json.NewDecoder(bufio.NewReader(out)).Decode(&started))
	if len(started.Pids) != 4 || len(processesIn(temp)) != 4 {
		t.Fatalf("told %v, found %v, want 4 nodes", started.Pids, processesIn(temp))
	}
	clustertest.OK(t, child.Process.Kill())
	_ = child.Wait()
	for end := time.Now().Add(10 * time.Second); len(processesIn(temp)) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("processes left: %v", processesIn(temp))
		}
	}
	if left, _ := filepath.Glob(filepath.Join(temp, "kbench-*")); len(left) != 1 {
		t.Fatalf("the killed process left %v, want its data folder", left)
	}
	c := clustertest.Start(t, local.Options{TempDir: temp, Brokers: 1, Maven: "/nonexistent/mvn"}) // nothing is to be fetched twice
	if left, _ := filepath.Glob(filepath.Join(temp, "kbench-*")); len(left) != 1 {
		t.Errorf("data folders after the next start: %v, want only its own", left)
	}
	clustertest.OK(t, c.Close())
	nothingLeft(t, temp)
}

// runUntilKilled starts a cluster with a paused broker, tells its processes, and waits.
func runUntilKilled(temp string) {
	ctx := context.Background()
	cache, err := os.UserCacheDir()
	fail(err)
	c, err := local.Start(ctx, local.Options{TempDir: temp, Dir: filepath.Join(temp, "logs"), CacheDir: filepath.Join(cache, "kbench"),
		KafkaHome: os.Getenv("KAFKA_HOME")})
	fail(err)
	p := c.(cluster.Process)
	fail(p.Pause(ctx, 2))
	var pids []int
	for _, id := range append(c.Brokers(), p.Controllers()...) {
		st, err := p.State(id)
		fail(err)
		pids = append(pids, st.Pid)
	}
	fail(json.NewEncoder(os.Stdout).Encode(map[string][]int{"pids": pids}))
	time.Sleep(5 * time.Minute)
	os.Exit(1)
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func cacheDir(t *testing.T) string {
	dir, err := os.UserCacheDir()
	clustertest.OK(t, err)
	return filepath.Join(dir, "kbench")
}

func client(t *testing.T, c cluster.Cluster) *kgo.Client {
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Bootstrap()...))
	clustertest.OK(t, err)
	t.Cleanup(cl.Close)
	return cl
}

func admin(t *testing.T, c cluster.Cluster) *kadm.Client { return kadm.NewClient(client(t, c)) }

// createTopic must succeed at once: that is what ready means.
func createTopic(t *testing.T, c cluster.Cluster, name string, replication int16) {
	t.Helper()
	_, err := admin(t, c).CreateTopic(clustertest.Limit(t, 30*time.Second), 3, replication, nil, name)
	clustertest.OK(t, err)
}

func value(r kadm.ResourceConfig, name string) string {
	for _, c := range r.Configs {
		if c.Key == name {
			return c.MaybeValue()
		}
	}
	return "not described"
}

func nothingLeft(t *testing.T, temp string) {
	t.Helper()
	if left := processesIn(temp); len(left) > 0 {
		t.Errorf("processes left: %v", left)
	}
	if left, _ := filepath.Glob(filepath.Join(temp, "kbench-*")); len(left) > 0 {
		t.Errorf("folders left: %v", left)
	}
}

// processesIn are the Java processes, dead ones excepted, whose command line names the folder.
func processesIn(temp string) []string {
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	var found []string
	for _, path := range lines {
		line, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(line), "kafka.Kafka") && strings.Contains(string(line), temp) {
			found = append(found, path)
		}
	}
	return found
}
