package reports

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/kbench/kbench/internal/check"
	"github.com/kbench/kbench/internal/rundir"
	"github.com/kbench/kbench/internal/stats"
)

// reported goes the whole way from a run directory to its documents, as `kbench report` does.
func reported(t *testing.T, dir string) Summary {
	t.Helper()
	m, err := rundir.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	j, err := check.Dir(dir)
	if err != nil {
		t.Fatal(err)
	}
	f, err := stats.Dir(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := Summary{Document: Build(m, j, f), Meta: m, Dir: dir}
	if err := valid(t, s.Document); err != nil {
		t.Error(err)
	}
	return s
}

func TestFromARunDirectoryToItsReport(t *testing.T) {
	for name, c := range map[string]struct {
		spoil   func(*synthetic)
		verdict string
		exit    int
		says    string
	}{
		"nothing lost":                {func(*synthetic) {}, Holds, 0, "11,000 acknowledged of 11,000 sent, 0 lost"},
		"an acknowledged record lost": {func(s *synthetic) { s.log[1] = s.log[1][:len(s.log[1])-1]; s.polls = s.polls[:len(s.polls)-1] }, Violated, 1, "1 lost"},
		"no final read":               {func(s *synthetic) { s.meta.FinalRead = rundir.FinalRead{} }, Inconclusive, 3, "INCONCLUSIVE, NOT as expected"},
		"interrupted":                 {func(s *synthetic) { s.meta.Stage = rundir.Interrupted }, Inconclusive, 130, "INTERRUPTED"},
		"a threshold missed":          {func(s *synthetic) { s.meta.Thresholds = []string{"ack.p99 < 1ms"} }, Holds, 5, "THRESHOLD MISSED"},
		"the fault did not bite":      {func(s *synthetic) { s.meta.Faults[0].Bit = false }, Inconclusive, 3, "no evidence"},
	} {
		t.Run(name, func(t *testing.T) {
			s := leaderKill(t)
			c.spoil(s)
			summary := reported(t, s.write())
			var b bytes.Buffer
			if err := Text(&b, summary, Style{}); err != nil {
				t.Fatal(err)
			}
			if d := summary.Document; d.Verdict != c.verdict || d.ExitCode != c.exit || !strings.Contains(b.String(), c.says) {
				t.Errorf("%s, exit %d; want %s, %d, and %q in\n%s", d.Verdict, d.ExitCode, c.verdict, c.exit, c.says, b.String())
			}
		})
	}
}

func TestARunOfWhichNothingCanBeReadKnowsNothing(t *testing.T) {
	dir := leaderKill(t).write()
	for _, name := range []string{"p0", "c0", "final"} {
		if err := os.WriteFile(rundir.Log(dir, name, 1), []byte("not a log"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	d := reported(t, dir).Document
	if d.Counts.Lost != nil || d.ExitCode != ExitInconclusive || d.Latency.Ack.Response.P50 != nil {
		t.Errorf("lost %v, exit %d, p50 %v; want null, 3, null", d.Counts.Lost, d.ExitCode, d.Latency.Ack.Response.P50)
	}
}
