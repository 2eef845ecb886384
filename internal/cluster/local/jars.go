package local

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/kbench/kbench/internal/proc"
)

//go:embed pom.xml
var pom []byte

// jars are one Kafka's libraries.
type jars struct {
	version string   // of Kafka
	paths   []string // sorted: a class-data archive fits one class path only
}

func (j jars) classPath() string { return strings.Join(j.paths, string(os.PathListSeparator)) }

// key changes whenever a jar does, as a class-data archive sees it: name, size and time of change.
func (j jars) key() (string, error) {
	sum := sha256.New()
	for _, path := range j.paths {
		st, err := os.Stat(path)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(sum, path, st.Size(), st.ModTime().UnixNano())
	}
	return hex.EncodeToString(sum.Sum(nil)[:8]), nil
}

var kafkaJar = regexp.MustCompile(`^kafka_2\.13-(\d+)\.(\d+\.\d+.*)\.jar$`)

// homeJars are those of an unpacked distribution.
func homeJars(home string) (jars, error) {
	j, err := jarsIn(filepath.Join(home, "libs"))
	if err != nil {
		return jars{}, fmt.Errorf("KAFKA_HOME %s: %w", home, err)
	}
	return j, nil
}

// jarsIn lists a folder that must hold Kafka's broker, version 4 or later: older ones have no KRaft that starts alike.
func jarsIn(dir string) (jars, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.jar"))
	if err != nil {
		return jars{}, err
	}
	slices.Sort(paths)
	for _, path := range paths {
		m := kafkaJar.FindStringSubmatch(filepath.Base(path))
		if m == nil {
			continue
		}
		if major, _ := strconv.Atoi(m[1]); major < 4 {
			return jars{}, fmt.Errorf("version %s.%s of Kafka is too old, 4.0 or later is needed", m[1], m[2])
		}
		return jars{m[1] + "." + m[2], paths}, nil
	}
	return jars{}, fmt.Errorf("no kafka_2.13 jar in %s", dir)
}

// jarFolder is where the jars of exactly this pom are kept.
func jarFolder(cacheDir string) string {
	sum := sha256.Sum256(pom)
	return filepath.Join(cacheDir, "kafka-"+KafkaVersion+"-"+hex.EncodeToString(sum[:4]))
}

// listFile, beside the jars, tells name and size of each: the folder is complete when they are all there.
const listFile = "jars.txt"

var errIncomplete = errors.New("the jars in the cache are incomplete")

// cachedJars are those that an earlier start fetched; an error when there are none, or one is missing or cut short.
func cachedJars(cacheDir string) (jars, error) {
	dir := jarFolder(cacheDir)
	list, err := os.ReadFile(filepath.Join(dir, listFile))
	if err != nil {
		return jars{}, err
	}
	now, err := listJars(dir)
	if err != nil {
		return jars{}, err
	}
	if now != string(list) {
		return jars{}, fmt.Errorf("%w: %s", errIncomplete, dir)
	}
	return jarsIn(dir)
}

func listJars(dir string) (string, error) {
	j, err := jarsIn(dir)
	if err != nil {
		return "", err
	}
	var list strings.Builder
	for _, path := range j.paths {
		st, err := os.Stat(path)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(&list, filepath.Base(path), st.Size())
	}
	return list.String(), nil
}

// fetchJars has Maven, which checks the sums, fetch what the pom names. The folder appears under its name only when
// it is complete.
func fetchJars(ctx context.Context, run *proc.Starter, maven, cacheDir string) (jars, error) {
	fetch, err := os.MkdirTemp(cacheDir, scraps)
	if err != nil {
		return jars{}, err
	}
	defer os.RemoveAll(fetch)
	pomFile, libs := filepath.Join(fetch, "pom.xml"), filepath.Join(fetch, "libs")
	if err := os.WriteFile(pomFile, pom, 0o644); err != nil {
		return jars{}, err
	}
	if _, err := runTool(ctx, run, maven, "-B", "-q", "-f", pomFile, "dependency:copy-dependencies", "-DoutputDirectory="+libs); err != nil {
		return jars{}, fmt.Errorf("fetching Kafka %s: %w", KafkaVersion, err)
	}
	list, err := listJars(libs)
	if err != nil {
		return jars{}, fmt.Errorf("fetching Kafka %s: %w", KafkaVersion, err)
	}
	if err := os.WriteFile(filepath.Join(libs, listFile), []byte(list), 0o644); err != nil {
		return jars{}, err
	}
	dir := jarFolder(cacheDir)
	if err := os.RemoveAll(dir); err != nil {
		return jars{}, err
	}
	if err := os.Rename(libs, dir); err != nil {
		return jars{}, err
	}
	return cachedJars(cacheDir)
}
