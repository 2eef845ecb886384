package bench

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"testing"

	"github.com/kbench/kbench/internal/settings"
)

// librdkafka's own tool, rdkafka_performance, takes part as a peer where KBENCH_RDKAFKA_PERFORMANCE names it. It is built from the
// library's source (./configure && make -C examples).

func cTool() string { return os.Getenv("KBENCH_RDKAFKA_PERFORMANCE") }

var cSummary = regexp.MustCompile(`(?m)^% (\d+) messages produced .* (\d+) delivered .* in \d+ms: (\d+) msgs/s`)

// cProducer is the tool's own figure. It sends one buffer again and again, and counts the reports.
func cProducer(b *testing.B, on target, size, records int, asked map[string]string) float64 {
	b.Helper()
	translated, _, err := settings.ForLibrdkafka(settings.Producer, asked)
	if err != nil {
		b.Fatal(err)
	}
	args := []string{"-P", "-t", on.topic, "-b", on.bootstrap[0], "-s", strconv.Itoa(size), "-c", strconv.Itoa(records), "-D"}
	for name, value := range translated {
		args = append(args, "-X", name+"="+value)
	}
	out, err := exec.CommandContext(b.Context(), cTool(), args...).CombinedOutput()
	rate, parsed := cRate(string(out), records)
	if err != nil || parsed != nil {
		b.Fatalf("%s: %v, %v\n%s", cTool(), err, parsed, out)
	}
	return rate
}

func cRate(out string, records int) (float64, error) {
	all := cSummary.FindAllStringSubmatch(out, -1)
	if len(all) == 0 {
		return 0, fmt.Errorf("no rate was told")
	}
	last, want := all[len(all)-1], strconv.Itoa(records)
	if last[1] != want || last[2] != want {
		return 0, fmt.Errorf("%s sent and %s delivered of %d", last[1], last[2], records)
	}
	return strconv.ParseFloat(last[3], 64)
}

func TestCRate(t *testing.T) {
	line := func(delivered string) string {
		return "% 500000 messages produced (50000000 bytes), " + delivered + " delivered (offset 0, 0 failed) in 812ms: 615763 msgs/s and 61.58 MB/s, 3 produce failures, 0 in queue, no compression\n"
	}
	if rate, err := cRate(line("500000"), 500_000); err != nil || rate != 615_763 {
		t.Errorf("%v, %v", rate, err)
	}
	if _, err := cRate(line("499999"), 500_000); err == nil {
		t.Error("a record that was not delivered was not missed")
	}
	if _, err := cRate("", 1); err == nil {
		t.Error("a line that is not there has a rate")
	}
}
