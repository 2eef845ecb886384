package export

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

func TestHistogramLogAddsUpToTheRun(t *testing.T) {
	r := outage(t)
	dir := filepath.Join(export(t, r), r.Name)
	sums, last := map[string]*hdrhistogram.Histogram{}, map[string]int64{}
	f, err := os.Open(filepath.Join(dir, LogFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	log := hdrhistogram.NewHistogramLogReader(f)
	for {
		h, err := log.NextIntervalHistogram()
		if err != nil {
			t.Fatal(err)
		}
		if h == nil {
			break
		}
		tag := h.Tag()
		if sums[tag] == nil {
			sums[tag] = h
			continue
		}
		if h.StartTimeMs() < last[tag] {
			t.Errorf("%s: an interval from %d ms comes after one to %d ms", tag, h.StartTimeMs(), last[tag])
		}
		last[tag] = h.EndTimeMs()
		sums[tag].Merge(h)
	}
	all := distributions(&r.Figures)
	if len(sums) != len(all) || len(all) != 5+2+12 {
		t.Errorf("%d tags, %d distributions, want 19 of both", len(sums), len(all))
	}
	for _, d := range all {
		sum, whole := sums[d.name()], d.counts.Counts()
		if sum == nil || !sum.Equals(whole) {
			t.Errorf("%s: the log's intervals do not add up to the distribution of the run", d.name())
		}
	}
}

// TestHdrHistogramItselfReadsIt has HdrHistogram's own tool read the log: what it makes of each tag is our percentile
// distribution, to the letter.
func TestHdrHistogramItselfReadsIt(t *testing.T) {
	java, jar := hdrHistogramJar(t)
	r := outage(t)
	dir := filepath.Join(export(t, r), r.Name)
	log := filepath.Join(dir, LogFile)
	process := func(args ...string) string {
		t.Helper()
		args = append([]string{"-XX:TieredStopAtLevel=1", "-Xshare:auto", "-cp", jar, "org.HdrHistogram.HistogramLogProcessor", "-i", log}, args...)
		out, err := exec.CommandContext(t.Context(), java, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	tags := process("-listtags")
	for _, d := range distributions(&r.Figures) {
		if !strings.Contains(tags, d.name()+"\n") {
			t.Errorf("the tool does not list %s: %s", d.name(), tags)
		}
	}
	for _, tag := range []string{"ack.response", "lag", "ack.service.fault-1.during"} { // a JVM each
		to := filepath.Join(t.TempDir(), "java")
		process("-tag", tag, "-o", to)
		theirs, err := os.ReadFile(to + ".hgrm")
		if err != nil {
			t.Fatal(err)
		}
		ours, err := os.ReadFile(filepath.Join(dir, tag+".hgrm"))
		if err != nil {
			t.Fatal(err)
		}
		for bytes.HasPrefix(theirs, []byte("#[")) { // its own heading
			_, theirs, _ = bytes.Cut(theirs, []byte("\n"))
		}
		if !bytes.Equal(ours, theirs) {
			t.Errorf("%s: HdrHistogram writes\n%s\nand kbench\n%s", tag, theirs, ours)
		}
	}
}

// hdrHistogramJar is the one that Kafka brings along, where the cache of the local cluster has it, or Maven's. Where there
// is none the test fails if CI=true, and else is skipped.
func hdrHistogramJar(t *testing.T) (java, jar string) {
	t.Helper()
	java, err := exec.LookPath("java")
	if err == nil {
		jar, err = findJar(t)
	}
	switch {
	case err == nil:
		return java, jar
	case os.Getenv("CI") == "true":
		t.Fatalf("HdrHistogram's own tool is required: %v", err)
	}
	t.Skipf("NOT TESTED, for want of HdrHistogram's own tool: %v", err)
	return "", ""
}

func findJar(t *testing.T) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	if jars, _ := filepath.Glob(filepath.Join(cache, "kbench", "kafka-*", "HdrHistogram-*.jar")); len(jars) > 0 {
		return jars[0], nil
	}
	maven, err := exec.LookPath("mvn")
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	to := t.TempDir()
	out, err := exec.CommandContext(ctx, maven, "-B", "-q", "-f", filepath.Join("testdata", "pom.xml"),
		"dependency:copy-dependencies", "-DoutputDirectory="+to).CombinedOutput()
	if err != nil {
		return "", errors.New(string(out))
	}
	jars, _ := filepath.Glob(filepath.Join(to, "HdrHistogram-*.jar"))
	if len(jars) == 0 {
		return "", errors.New("Maven fetched no HdrHistogram")
	}
	return jars[0], nil
}

func TestHalfUp(t *testing.T) {
	for _, c := range []struct {
		of       float64
		decimals int
		want     string
	}{
		{0.9997802734375, 12, "0.999780273438"}, {1, 3, "1.000"}, {9.9996, 3, "10.000"}, {0.0004, 3, "0.000"},
		{12.3455, 3, "12.346"}, {1.005, 2, "1.01"}, {2.5e9, 2, "2500000000.00"}, {199.995, 2, "200.00"},
	} {
		if got := halfUp(c.of, c.decimals); got != c.want {
			t.Errorf("%v to %d decimals: %s, want %s", c.of, c.decimals, got, c.want)
		}
	}
}
