package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kbench/kbench/internal/cluster/kraft"
	"github.com/kbench/kbench/internal/proc"
)

// makeArchive runs one node that is broker and controller, has it do a bit of everything, and lets its JVM write the
// classes it loaded to a file from which later ones take them ready-made.
func (k kit) makeArchive(ctx context.Context, run *proc.Starter, path, cacheDir string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	scratch, err := os.MkdirTemp(cacheDir, scraps)
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	made := filepath.Join(scratch, filepath.Base(path))
	n, addr, err := k.trainee(run, scratch, made)
	if err != nil {
		return err
	}
	if err := n.start(); err != nil {
		return err
	}
	defer n.end()
	if err := exercise(ctx, addr, n); err != nil {
		return fmt.Errorf("%w\n%s", err, n.lastWords())
	}
	if err := n.signal(ctx, syscall.SIGTERM); err != nil {
		return err
	}
	return os.Rename(made, path)
}

// trainee is the node to learn from, and its address.
func (k kit) trainee(run *proc.Starter, dir, archive string) (*node, string, error) {
	ports, err := kraft.FreePorts(3)
	if err != nil {
		return nil, "", err
	}
	a := address{client: kraft.Loopback(ports[0]), internal: kraft.Loopback(ports[1]), public: kraft.Loopback(ports[0])}
	addrs := map[int32]address{kraft.FirstBroker: a, kraft.FirstController: {control: kraft.Loopback(ports[2])}}
	data := filepath.Join(dir, "data")
	s := nodeSettings(kraft.FirstBroker, addrs, kraft.Defaults(1), data)
	s["process.roles"] = "broker,controller"
	s["node.id"] = "1001"
	s["listeners"] += ",CONTROLLER://" + kraft.Loopback(ports[2])
	config := filepath.Join(dir, "server.properties")
	logs, err := writeLogConfig(dir)
	if err := errors.Join(err, kraft.WriteProperties(config, s), format(data, kraft.NewUUID(), kraft.FirstController, k.checkpoint)); err != nil {
		return nil, "", err
	}
	jvm := []string{"-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:ArchiveClassesAtExit=" + archive}
	n := &node{id: kraft.FirstController, run: run, java: k.java, logFile: filepath.Join(dir, "node.log"),
		args: k.nodeArgs(jvm, dir, dir, logs, config)}
	return n, a.client, nil
}

// exercise waits for a node and has it make a topic, take a record, and give it to a group.
func exercise(ctx context.Context, addr string, n *node) error {
	const topic = "archive"
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumeTopics(topic), kgo.ConsumerGroup(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	defer cl.Close()
	ctx, cancel := n.whileAlive(ctx)
	defer cancel()
	if err := kraft.Retry(ctx, cl.Ping); err != nil {
		return err
	}
	if _, err := kadm.NewClient(cl).CreateTopic(ctx, 1, 1, nil, topic); err != nil {
		return err
	}
	if err := cl.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte("x")}).FirstErr(); err != nil {
		return err
	}
	if err := cl.PollFetches(ctx).Err0(); err != nil {
		return err
	}
	return cl.CommitUncommittedOffsets(ctx)
}
