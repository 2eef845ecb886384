package docker_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kbench/kbench/internal/cluster"
	"github.com/kbench/kbench/internal/cluster/clustertest"
	"github.com/kbench/kbench/internal/cluster/docker"
	"github.com/kbench/kbench/internal/proc"
)

// asChild has the test binary run a cluster, to be killed itself; asJanitor has it remove one.
const (
	asChild   = "KBENCH_TEST_CONTAINERS_IN"
	asJanitor = "janitor-of"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == asJanitor {
		fail(docker.Janitor(os.Stdin, os.Args[2]))
		os.Exit(0)
	}
	if dir := os.Getenv(asChild); dir != "" {
		runUntilKilled(dir)
	}
	os.Exit(m.Run())
}

func TestNodesAreHurtAndComeBack(t *testing.T) {
	dir := t.TempDir()
	c := start(t, docker.Options{Dir: dir})
	p := c.(cluster.Process)
	ctx := clustertest.Limit(t, 2*time.Minute)
	info := c.Info()
	if info.Kind != "docker" || info.Simulated || info.Mode != "kraft" || info.Brokers != 3 || !strings.HasPrefix(info.Version, "4.") {
		t.Errorf("info: %+v", info)
	}
	createTopic(t, c, "t", 3)
	produce(t, c, "t", "before")
	before := clustertest.Want(t, p, 2, "running")
	if pids := c.(cluster.Owner).Processes(); len(pids) != 4 || pids[2] != before.Pid {
		t.Errorf("processes %v, broker 2 is %d", pids, before.Pid)
	}
	if state, err := proc.State(before.Pid); err != nil || state != proc.Running {
		t.Errorf("the process of broker 2: %s, %v", state, err)
	}

	clustertest.OK(t, p.Kill(ctx, 2))
	clustertest.Want(t, p, 2, "dead")
	for name, err := range map[string]error{"kill": p.Kill(ctx, 2), "pause": p.Pause(ctx, 2), "resume": p.Resume(ctx, 2), "stop": p.Stop(ctx, 2)} {
		if err == nil || !strings.Contains(err.Error(), "dead") {
			t.Errorf("%s of a dead broker: %v", name, err)
		}
	}
	clustertest.Unhealthy(t, c, 500*time.Millisecond, "broker-2 is dead")
	clustertest.OK(t, p.Start(ctx, 2), c.Healthy(ctx))
	if after := clustertest.Want(t, p, 2, "running"); after.Pid == before.Pid || !after.Started.After(before.Started) {
		t.Errorf("before %+v, after %+v", before, after)
	}
	if got := consume(t, c, "t"); got != "before" {
		t.Errorf("read %q after a kill and a start", got)
	}

	clustertest.OK(t, p.Pause(ctx, 3))
	clustertest.Want(t, p, 3, "paused")
	if err := p.Stop(ctx, 3); err == nil || !strings.Contains(err.Error(), "paused") {
		t.Errorf("stop of a paused broker: %v", err)
	}
	clustertest.OK(t, p.Resume(ctx, 3), c.Healthy(ctx))
	clustertest.OK(t, p.Stop(ctx, 1), p.Start(ctx, 1), c.Healthy(ctx))
	clustertest.OK(t, p.Kill(ctx, 1001), p.Start(ctx, 1001), c.Healthy(ctx))

	logDir, err := c.(cluster.Logs).LogDir(1)
	clustertest.OK(t, err)
	if _, err := os.Stat(filepath.Join(logDir, "t-0")); err != nil {
		t.Errorf("the data of broker 1: %v", err)
	}
	copied, err := c.(*docker.Cluster).CopyData(ctx, 1, []string{"t-0", "of-no-broker-0"})
	clustertest.OK(t, err)
	if found, err := filepath.Glob(filepath.Join(copied, "*", "*")); err != nil || !slices.ContainsFunc(found, isSegment) || slices.ContainsFunc(found, isIndex) {
		t.Errorf("copied for who cannot see the volume: %q, %v", found, err)
	}
	said, err := os.ReadFile(filepath.Join(dir, "broker-1.log"))
	clustertest.OK(t, err)
	if starts := strings.Count(string(said), "Kafka Server started"); starts != 2 || !strings.Contains(string(said), "due to signal SIGTERM") {
		t.Errorf("broker 1 tells of %d starts: %s", starts, said)
	}

	clustertest.OK(t, p.Pause(ctx, 2), p.Kill(ctx, 3)) // Close must end a paused node and bear a dead one
	clustertest.OK(t, c.Close(), c.Close())
	nothingLeft(t, os.Getpid())
	for _, addr := range c.Bootstrap() {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			t.Errorf("somebody still listens at %s", addr)
		}
	}
}

func isSegment(path string) bool { return strings.HasSuffix(path, "t-0/00000000000000000000.log") }
func isIndex(path string) bool   { return strings.HasSuffix(path, "index") }

func TestABrokerIsCutFromItsPeersAndServesClients(t *testing.T) {
	c := start(t, docker.Options{Config: map[string]string{"broker.session.timeout.ms": "3000", "replica.lag.time.max.ms": "5000"}})
	link, ctx := c.(cluster.PeerLink), clustertest.Limit(t, 2*time.Minute)
	createTopic(t, c, "t", 3)
	produce(t, c, "t", "all have it")
	first := leaderAt(t, c.Bootstrap()[0], "t")
	another := c.Bootstrap()[first%3]
	old, err := kgo.NewClient(kgo.SeedBrokers(c.Bootstrap()[first-1]), kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	clustertest.OK(t, err)
	defer old.Close()
	clustertest.OK(t, old.Ping(ctx))

	clustertest.OK(t, link.CutPeers(ctx, first))
	if cut, err := link.PeersCut(first); !cut || err != nil {
		t.Errorf("cut: %v, %v", cut, err)
	}
	clustertest.Unhealthy(t, c, 500*time.Millisecond, "is cut from its peers")
	clustertest.OK(t, old.ProduceSync(ctx, &kgo.Record{Topic: "t", Value: []byte("only the old leader has it")}).FirstErr())
	for other := first; other == first; time.Sleep(100 * time.Millisecond) {
		clustertest.OK(t, ctx.Err())
		other = leaderAt(t, another, "t")
	}
	if told := leaderAt(t, c.Bootstrap()[first-1], "t"); told != first {
		t.Errorf("the old leader names %d, not itself", told)
	}
	clustertest.OK(t, link.JoinPeers(ctx, first), c.Healthy(ctx))
	if cut, err := link.PeersCut(first); cut || err != nil {
		t.Errorf("joined, and cut: %v, %v", cut, err)
	}
	if got := consume(t, c, "t"); got != "all have it" {
		t.Errorf("read %q", got)
	}
}

func TestProxiedClientsMeetTheProxies(t *testing.T) {
	c := start(t, docker.Options{Brokers: 1, ProxyClients: true})
	if _, is := c.(cluster.AnswerFilter); !is {
		t.Error("the cluster is no AnswerFilter")
	}
	for name, at := range map[string][]string{"clients": c.Bootstrap(), "past the proxies": c.(cluster.Direct).Direct()} {
		cl, err := kgo.NewClient(kgo.SeedBrokers(at[0]))
		clustertest.OK(t, err)
		defer cl.Close()
		brokers, err := kadm.NewClient(cl).ListBrokers(clustertest.Limit(t, time.Minute))
		clustertest.OK(t, err)
		if told := fmt.Sprintf("%s:%d", brokers[0].Host, brokers[0].Port); told != at[0] {
			t.Errorf("%s are told %s, want %s", name, told, at[0])
		}
	}
}

func TestAKeptClusterIsFoundAgain(t *testing.T) {
	c := start(t, docker.Options{Brokers: 1, Keep: true, Janitor: []string{os.Args[0], asJanitor}})
	ctx := clustertest.Limit(t, time.Minute)
	createTopic(t, c, "t", 1)
	runs, err := docker.Kept(ctx)
	clustertest.OK(t, err)
	run := c.(*docker.Cluster).Run
	t.Cleanup(func() { clustertest.OK(t, docker.Remove(context.Background(), run)) })
	if !slices.Contains(runs, run) {
		t.Errorf("kept are %v, not %s", runs, run)
	}
	clustertest.OK(t, c.Close())
	again, err := docker.Attach(ctx, run, t.TempDir())
	clustertest.OK(t, err)
	if !reflect.DeepEqual(again.Info(), c.Info()) || !slices.Equal(again.Bootstrap(), c.Bootstrap()) || !slices.Equal(again.JVM(), c.(cluster.Made).JVM()) {
		t.Errorf("started %+v, found %+v", c.Info(), again.Info())
	}
	clustertest.OK(t, again.Kill(ctx, 1), again.Start(ctx, 1), again.Healthy(ctx), again.Close())
	clustertest.OK(t, docker.Remove(ctx, run))
	nothingLeft(t, os.Getpid())
}

func TestAFailedStartSaysWhyAndLeavesNothing(t *testing.T) {
	image := clustertest.RequireDocker(t)
	for name, test := range map[string]struct {
		o     docker.Options
		limit time.Duration
		want  string
	}{
		"a setting that Kafka refuses": {docker.Options{Config: map[string]string{"num.io.threads": "none"}}, time.Minute, "num.io.threads"},
		"the time is too short":        {docker.Options{}, 2 * time.Second, context.DeadlineExceeded.Error()},
		"no such image":                {docker.Options{Image: "localhost:1/none:1"}, time.Minute, "scripts/kafka-image"},
	} {
		t.Run(name, func(t *testing.T) {
			o := test.o
			o.Dir = t.TempDir()
			if o.Image == "" {
				o.Image = image
			}
			ctx, cancel := context.WithTimeout(t.Context(), test.limit)
			defer cancel()
			c, err := docker.Start(ctx, o)
			if err == nil {
				t.Fatal("started", c.Close())
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("%q is missing in: %v", test.want, err)
			}
			nothingLeft(t, os.Getpid())
		})
	}
}

// Killed, this process cannot remove its cluster: its janitor must, and without one the next start.
func TestNothingOutlivesItsStarter(t *testing.T) {
	clustertest.RequireDocker(t)
	for name, janitor := range map[string]string{"a janitor": "yes", "a janitor, of what was to be kept": "keep", "the next start": ""} {
		t.Run(name, func(t *testing.T) {
			child := exec.CommandContext(clustertest.Limit(t, 2*time.Minute), os.Args[0], "-test.run=^$")
			child.Env = append(os.Environ(), asChild+"="+t.TempDir(), "KBENCH_TEST_JANITOR="+janitor)
			child.Stderr = os.Stderr
			out, err := child.StdoutPipe()
			clustertest.OK(t, err, child.Start())
			defer child.Process.Kill()
			if line, err := bufio.NewReader(out).ReadString('\n'); line != "started\n" {
				t.Fatalf("told %q, %v", line, err)
			}
			clustertest.OK(t, child.Process.Kill())
			_ = child.Wait()
			if janitor == "" {
				clustertest.OK(t, start(t, docker.Options{Brokers: 1}).Close())
			}
			for end := time.Now().Add(20 * time.Second); len(left(t, child.Process.Pid)) > 0 && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			}
			nothingLeft(t, child.Process.Pid)
		})
	}
}

func runUntilKilled(dir string) {
	o := docker.Options{Brokers: 1, Dir: dir, Image: clustertest.DockerImage()}
	if janitor := os.Getenv("KBENCH_TEST_JANITOR"); janitor != "" {
		o.Janitor, o.Keep = []string{os.Args[0], asJanitor}, janitor == "keep"
	}
	_, err := docker.Start(context.Background(), o)
	fail(err)
	fmt.Println("started")
	time.Sleep(5 * time.Minute)
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func start(t *testing.T, o docker.Options) cluster.Cluster {
	t.Helper()
	o.Image = clustertest.RequireDocker(t)
	o.Note = t.Logf
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	began := time.Now()
	c, err := docker.Start(clustertest.Limit(t, 3*time.Minute), o)
	clustertest.OK(t, err)
	t.Logf("%d brokers were ready after %v", len(c.Brokers()), time.Since(began).Round(100*time.Millisecond))
	t.Cleanup(func() { clustertest.OK(t, c.Close()) })
	return c
}

func admin(t *testing.T, addrs ...string) *kadm.Client {
	cl, err := kgo.NewClient(kgo.SeedBrokers(addrs...))
	clustertest.OK(t, err)
	t.Cleanup(cl.Close)
	return kadm.NewClient(cl)
}

func createTopic(t *testing.T, c cluster.Cluster, name string, replication int16) {
	t.Helper()
	_, err := admin(t, c.Bootstrap()...).CreateTopic(clustertest.Limit(t, 30*time.Second), 1, replication, nil, name)
	clustertest.OK(t, err)
}

// leaderAt is the leader that one broker names.
func leaderAt(t *testing.T, addr, topic string) int32 {
	t.Helper()
	m, err := admin(t, addr).Metadata(clustertest.Limit(t, 10*time.Second), topic)
	clustertest.OK(t, err)
	return m.Topics[topic].Partitions[0].Leader
}

func produce(t *testing.T, c cluster.Cluster, topic, value string) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Bootstrap()...))
	clustertest.OK(t, err)
	defer cl.Close()
	clustertest.OK(t, cl.ProduceSync(clustertest.Limit(t, 30*time.Second), &kgo.Record{Topic: topic, Value: []byte(value)}).FirstErr())
}

// consume reads a topic from its start until something came, and a second longer, joined.
func consume(t *testing.T, c cluster.Cluster, topic string) string {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Bootstrap()...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	clustertest.OK(t, err)
	defer cl.Close()
	var values []string
	for ctx := clustertest.Limit(t, 30*time.Second); ctx.Err() == nil; {
		began := len(values) > 0
		cl.PollFetches(ctx).EachRecord(func(r *kgo.Record) { values = append(values, string(r.Value)) })
		if !began && len(values) > 0 {
			ctx = clustertest.Limit(t, time.Second)
		}
	}
	return strings.Join(values, ",")
}

func nothingLeft(t *testing.T, owner int) {
	t.Helper()
	if names := left(t, owner); len(names) > 0 {
		t.Errorf("left: %v", names)
	}
}

// left are the names of what has a label of kbench's and was made by a process.
func left(t *testing.T, owner int) (names []string) {
	t.Helper()
	c, err := client.New(client.FromEnv)
	clustertest.OK(t, err)
	defer c.Close()
	add := func(name string, labels map[string]string) {
		if words := strings.Fields(labels["io.kbench.owner"]); len(words) == 4 && words[2] == strconv.Itoa(owner) {
			names = append(names, name)
		}
	}
	ctx, with := context.Background(), client.Filters{}.Add("label", "io.kbench.run")
	containers, err := c.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: with})
	clustertest.OK(t, err)
	for _, one := range containers.Items {
		add(one.Names[0], one.Labels)
	}
	networks, err := c.NetworkList(ctx, client.NetworkListOptions{Filters: with})
	clustertest.OK(t, err)
	for _, one := range networks.Items {
		add(one.Name, one.Labels)
	}
	volumes, err := c.VolumeList(ctx, client.VolumeListOptions{Filters: with})
	clustertest.OK(t, err)
	for _, one := range volumes.Items {
		add(one.Name, one.Labels)
	}
	return names
}
