package check

import (
	"bytes"
	"encoding/json"
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strconv"
	"testing"
	"time"

	"github.com/kbench/kbench/internal/rundir"
)

var (
	scaleRecords = flag.Int64("records", 200_000, "records of the run that TestScale judges")
	scaleKeep    = flag.String("keep", "", "directory in which TestScale leaves the runs that it records")
	scaleJudge   = flag.String("judge", "", "judge this directory, say what it took and nothing else")
)

// scaleReport is what the process that only judges has to say.
type scaleReport struct {
	Verdict  string
	Reasons  []string
	Findings int
	Counts   Counts
	Took     time.Duration
	Resident int64 // bytes, at the highest
}

// TestScale judges a long run in a process of its own, so that the memory of the recording does not count:
//
//	go test ./internal/check -run TestScale -v -records 100000000
func TestScale(t *testing.T) {
	if *scaleJudge != "" {
		reportJudging(t, *scaleJudge)
		return
	}
	for _, c := range []struct {
		name string
		run  func(*longRun)
	}{
		{"plain", func(*longRun) {}},
		{"two passes, handled one by one", func(r *longRun) { r.passes, r.onebyone = 2, true }},
		{"transactions of 100", func(r *longRun) { r.passes, r.transaction = 2, 100 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			run := longRun{records: *scaleRecords, partitions: 6, producers: 4, consumers: 2, passes: 1}
			c.run(&run)
			judgeApart(t, run)
		})
	}
}

func judgeApart(t *testing.T, run longRun) {
	dir := t.TempDir()
	if *scaleKeep != "" {
		dir = filepath.Join(*scaleKeep, t.Name())
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	start := time.Now()
	want := run.write(t, dir)
	took, size := time.Since(start), logBytes(t, dir)
	t.Logf("%d records written in %.1f s: %.0f ns and %.1f bytes of logs a record", run.records, took.Seconds(),
		float64(took.Nanoseconds())/float64(run.records), float64(size)/float64(run.records))
	c := exec.Command(os.Args[0], "-test.run=^TestScale$", "-judge="+dir)
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var got scaleReport
	if err := json.Unmarshal(out[:bytes.IndexByte(out, '\n')], &got); err != nil {
		t.Fatal(err)
	}
	if got.Verdict != Holds.String() || got.Findings > 0 || len(got.Reasons) > 0 || got.Counts != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	n := float64(run.records)
	cpu := c.ProcessState.UserTime() + c.ProcessState.SystemTime()
	t.Logf("judged in %.2f s: %.0f ns a record, %.0f on the processors; resident %.0f MiB: %.2f bytes a record",
		got.Took.Seconds(), float64(got.Took.Nanoseconds())/n, float64(cpu.Nanoseconds())/n, float64(got.Resident)/(1<<20), float64(got.Resident)/n)
}

func reportJudging(t *testing.T, dir string) {
	debug.SetGCPercent(GCPercent)
	start := time.Now()
	j, err := Dir(dir)
	if err != nil {
		t.Fatal(err)
	}
	r := scaleReport{j.Verdict.String(), j.Reasons, len(j.Findings), j.Counts, time.Since(start), 0}
	if status, err := os.ReadFile("/proc/self/status"); err == nil { // elsewhere it stays unknown
		high := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
		kib, err := strconv.ParseInt(string(high[1]), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		r.Resident = kib << 10
	}
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		t.Fatal(err)
	}
}

func logBytes(t *testing.T, dir string) int64 {
	total := int64(0)
	err := filepath.WalkDir(rundir.History(dir), func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		total += info.Size()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return total
}
