package local

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"

	"github.com/kbench/kbench/internal/proc"
)

// MinJava is what Kafka 4's brokers need.
const MinJava = 17

// kit is what nodes are started with. All of it is made once and kept.
type kit struct {
	java       string
	jars       jars
	checkpoint []byte // of a newly formatted folder
	archive    string // class-data archive, "" where it could not be made
}

// prepare finds or makes the kit. Processes that prepare at the same time wait for each other.
func prepare(ctx context.Context, o Options, run *proc.Starter) (kit, error) {
	if err := os.MkdirAll(o.CacheDir, 0o755); err != nil {
		return kit{}, err
	}
	lock, err := lockFile(ctx, filepath.Join(o.CacheDir, "prepare.lock"), syscall.LOCK_EX, strconv.Itoa(os.Getpid()), func(holder string) {
		o.Note("waiting for process %s to prepare Kafka", holder)
	})
	if err != nil {
		return kit{}, fmt.Errorf("preparing Kafka: %w", err)
	}
	defer lock.Close()
	if err := removeScraps(o.CacheDir); err != nil {
		return kit{}, err
	}
	version, err := runTool(ctx, run, o.Java, "-XX:-UsePerfData", "-version")
	if err != nil {
		return kit{}, err
	}
	if major, err := parseJavaMajor(version); err != nil || major < MinJava {
		return kit{}, errors.Join(err, fmt.Errorf("java %d is needed for Kafka %s: %s", MinJava, KafkaVersion, lastLines(version, 3)))
	}
	k := kit{java: o.Java}
	if k.jars, err = findJars(ctx, o, run); err != nil {
		return kit{}, err
	}
	key, err := k.jars.key()
	if err != nil {
		return kit{}, err
	}
	if err := k.formatOnce(ctx, run, filepath.Join(o.CacheDir, key+".checkpoint"), o); err != nil {
		return kit{}, err
	}
	sum := sha256.Sum256([]byte(key + version))
	k.archiveOnce(ctx, run, filepath.Join(o.CacheDir, hex.EncodeToString(sum[:8])+".jsa"), o)
	return k, ctx.Err()
}

// scraps are the folders in the cache where something is made; one that is there before has been left by a crash.
const scraps = "making-"

func removeScraps(cacheDir string) error {
	left, err := filepath.Glob(filepath.Join(cacheDir, scraps+"*"))
	for _, dir := range left {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return err
}

func findJars(ctx context.Context, o Options, run *proc.Starter) (jars, error) {
	if o.KafkaHome != "" {
		return homeJars(o.KafkaHome)
	}
	if j, err := cachedJars(o.CacheDir); err == nil {
		return j, nil
	}
	o.Note("fetching Kafka %s with Maven into %s (once)", KafkaVersion, o.CacheDir)
	return fetchJars(ctx, run, o.Maven, o.CacheDir)
}

// formatOnce reads the checkpoint from the cache, or makes it.
func (k *kit) formatOnce(ctx context.Context, run *proc.Starter, cached string, o Options) error {
	var err error
	if k.checkpoint, err = os.ReadFile(cached); err == nil {
		return nil
	}
	scratch, err := os.MkdirTemp(o.CacheDir, scraps)
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	if k.checkpoint, err = makeCheckpoint(ctx, run, k.java, k.jars, scratch); err != nil {
		return err
	}
	return writeWhole(cached, k.checkpoint)
}

// archiveOnce finds the class-data archive in the cache, or makes it. Nodes start without one too, only later, so a
// failure is told and not returned.
func (k *kit) archiveOnce(ctx context.Context, run *proc.Starter, cached string, o Options) {
	if _, err := os.Stat(cached); err != nil {
		o.Note("preparing faster starts (once)")
		if err := k.makeArchive(ctx, run, cached, o.CacheDir); err != nil {
			o.Note("starts stay slow: no class-data archive: %v", err)
			return
		}
	}
	k.archive = cached
}

// nodeArgs are the arguments of the java command for one node.
func (k kit) nodeArgs(jvm []string, dataDir, scratch, logConfig, config string) []string {
	args := append([]string{
		"-server", "-Djava.awt.headless=true",
		"-XX:-UsePerfData", "-Djava.io.tmpdir=" + scratch, // else a killed JVM leaves files in the system's folder
		"-XX:ErrorFile=" + filepath.Join(filepath.Dir(config), "hs_err_%p.log"),
		"-Dlog4j2.configurationFile=" + (&url.URL{Scheme: "file", Path: logConfig}).String(),
		dataMark + dataDir,
	}, jvm...)
	if k.archive != "" {
		args = append(args, "-XX:SharedArchiveFile="+k.archive)
	}
	return append(args, "-cp", k.jars.classPath(), "kafka.Kafka", config)
}

var javaVersion = regexp.MustCompile(`version "(\d+)(?:\.(\d+))?`)

// parseJavaMajor reads what "java -version" says: 17.0.15 is 17, and 1.8.0 was 8.
func parseJavaMajor(said string) (int, error) {
	m := javaVersion.FindStringSubmatch(said)
	if m == nil {
		return 0, fmt.Errorf("no Java version in %q", lastLines(said, 3))
	}
	if m[1] == "1" && m[2] != "" {
		return strconv.Atoi(m[2])
	}
	return strconv.Atoi(m[1])
}

// JavaVersion is that of the options' Java: 17, say. It asks the command itself.
func JavaVersion(ctx context.Context, o Options) (int, error) {
	said, err := exec.CommandContext(ctx, orElse(o.Java, "java"), "-XX:-UsePerfData", "-version").CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("no Java: %w", err)
	}
	return parseJavaMajor(string(said))
}

// writeWhole writes a file that is there whole or not at all.
func writeWhole(path string, data []byte) error {
	tmp := path + ".new"
	if err := os.WriteFile(tmp, data, 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
