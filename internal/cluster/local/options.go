// Package local runs Apache Kafka in KRaft mode as processes on loopback: brokers 1 to N and, apart from them so that
// hurting a broker leaves the quorum alone, controllers from 1001 on. It needs Linux and Java 17.
//
// Nothing of a cluster outlives the process that started it, however that ends: the kernel kills the nodes with it, and
// what a crash leaves on disk is removed by the next Start. What stays on purpose is the nodes' configuration and logs
// in Options.Dir and the jars in Options.CacheDir.
package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/kbench/kbench/internal/cluster/kraft"
)

// KafkaVersion is what is fetched where no KAFKA_HOME is given.
const KafkaVersion = "4.3.1"

// Options of a cluster. Only CacheDir and Dir must be given.
type Options struct {
	Brokers     int // default 3
	Controllers int // default 1

	// Config is given to brokers and controllers, over the defaults of Settings. The names that tie the nodes together
	// (node.id, listeners, log.dirs, …) cannot be given.
	Config map[string]string

	// Heap of a broker, as -Xms and -Xmx want it, default 512m. A controller gets 256m.
	Heap string
	// JVM flags for every node, after kraft.KafkaJVM and, unless Steady is set, kraft.QuickJVM, so that they win. A choice of collector
	// here replaces Kafka's.
	JVM []string
	// Steady leaves kraft.QuickJVM out: three brokers take half as long again to be ready, and throughput is a broker's own.
	Steady bool

	// Dir takes the nodes' configuration and logs: usually the run directory's cluster folder. It is made if need be.
	Dir string
	// CacheDir keeps jars, class-data archives and the lock between clusters: usually kbench under the user's cache folder.
	CacheDir string
	// TempDir is where the folder with Kafka's data is made, default os.TempDir.
	TempDir string

	// KafkaHome is an unpacked distribution of Kafka 4 to use in place of Maven's.
	KafkaHome string
	// Java and Maven are the commands, default java and mvn from the search path.
	Java, Maven string

	// ProxyClients sends clients through a proxy for each broker; the cluster then is a cluster.AnswerFilter.
	ProxyClients bool

	// Shared starts the cluster beside others. Without it Start waits until no other process runs a local cluster.
	Shared bool
	// Stays says, of a cluster that no run ends, what it is and how it is stopped, for those that wait for its end. It waits
	// for clusters of runs itself, and may be there beside others that stay.
	Stays string

	// Note takes progress, a line at a time. May be nil.
	Note func(format string, args ...any)
}

// withDefaults fills in what was left out, and refuses what cannot be.
func (o Options) withDefaults() (Options, error) {
	if o.Brokers == 0 {
		o.Brokers = 3
	}
	if o.Controllers == 0 {
		o.Controllers = 1
	}
	if o.Brokers < 0 || o.Controllers < 0 {
		return o, fmt.Errorf("a local cluster of %d brokers and %d controllers cannot be", o.Brokers, o.Controllers)
	}
	if o.CacheDir == "" || o.Dir == "" {
		return o, errors.New("a local cluster needs a cache folder and a folder for its logs")
	}
	o.Heap = orElse(o.Heap, "512m")
	o.TempDir = orElse(o.TempDir, os.TempDir())
	o.Java = orElse(o.Java, "java")
	o.Maven = orElse(o.Maven, "mvn")
	if o.Note == nil {
		o.Note = func(string, ...any) {}
	}
	for _, dir := range []*string{&o.Dir, &o.CacheDir, &o.TempDir} {
		abs, err := filepath.Abs(*dir)
		if err != nil {
			return o, fmt.Errorf("folder %s: %w", *dir, err)
		}
		*dir = abs
	}
	return o, kraft.CheckConfig(o.Config)
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// jvm are the flags of a node with that heap, as a report shows them.
func (o Options) jvm(heap string) []string { return kraft.JVM(heap, o.Steady, o.JVM) }

// Available says why no local cluster can be started with the options, or nil. It looks at Java's version, and for
// jars in KafkaHome, in the cache or by way of Maven, and starts nothing but "java -version".
func Available(o Options) error {
	major, err := JavaVersion(context.Background(), o)
	if err != nil {
		return err
	}
	if major < MinJava {
		return fmt.Errorf("java %d found, Kafka %s needs %d", major, KafkaVersion, MinJava)
	}
	_, err = KafkaFrom(o)
	return err
}

// KafkaFrom says where a cluster with the options gets Kafka's jars from.
func KafkaFrom(o Options) (string, error) {
	if o.KafkaHome != "" {
		j, err := homeJars(o.KafkaHome)
		return fmt.Sprintf("Kafka %s, by KAFKA_HOME in %s", j.version, o.KafkaHome), err
	}
	if j, err := cachedJars(o.CacheDir); err == nil {
		return fmt.Sprintf("Kafka %s, in %s", j.version, o.CacheDir), nil
	}
	if maven, err := exec.LookPath(orElse(o.Maven, "mvn")); err == nil {
		return fmt.Sprintf("Kafka %s, which %s fetches once", KafkaVersion, maven), nil
	}
	return "", fmt.Errorf("no KAFKA_HOME, no jars in %s and no Maven to fetch them", o.CacheDir)
}
