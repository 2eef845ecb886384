package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Kafka's own performance tools, as peers. They are not among the jars that a broker needs: KBENCH_KAFKA_TOOLS names a folder with
// those of org.apache.kafka:kafka-tools. Without it they take no part, unless KBENCH_REQUIRE names java-tools.
//
//	mvn dependency:copy-dependencies -DoutputDirectory=DIR     # with a pom that depends on org.apache.kafka:kafka-tools:4.3.1

const toolsFolder = "KBENCH_KAFKA_TOOLS"

func javaTools(b *testing.B) bool {
	b.Helper()
	jars, _ := filepath.Glob(filepath.Join(os.Getenv(toolsFolder), "kafka-tools-[0-9]*.jar"))
	if os.Getenv(toolsFolder) != "" && len(jars) > 0 {
		return true
	}
	if slices.Contains(strings.Split(os.Getenv("KBENCH_REQUIRE"), ","), "java-tools") {
		b.Fatalf("%s=%q has no jar of kafka-tools", toolsFolder, os.Getenv(toolsFolder))
	}
	return false
}

func javaTool(b *testing.B, class string, args ...string) string {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), "java", append([]string{"-Xmx512m", "-cp", filepath.Join(os.Getenv(toolsFolder), "*"), "org.apache.kafka.tools." + class}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		b.Fatalf("%s: %v\n%s", class, err, out)
	}
	return string(out)
}

var producerSummary = regexp.MustCompile(`(?m)^\d+ records sent, ([\d.]+) records/sec .* 99\.9th`)

// javaProducer is ProducerPerformance's own figure, the start of the JVM left out. It is given a quarter of the records as a warm-up.
func javaProducer(b *testing.B, on target, size, records int, asked map[string]string) float64 {
	b.Helper()
	args := []string{
		"--topic", on.topic, "--record-size", strconv.Itoa(size), "--throughput", "-1",
		"--num-records", strconv.Itoa(records + records/4), "--warmup-records", strconv.Itoa(records / 4),
		"--command-property", "bootstrap.servers=" + on.bootstrap[0], // all in one row: a second option replaces the first
	}
	for name, value := range asked {
		args = append(args, name+"="+value)
	}
	out := javaTool(b, "ProducerPerformance", args...)
	found := producerSummary.FindAllStringSubmatch(out, -1)
	if len(found) == 0 {
		b.Fatalf("ProducerPerformance told no rate:\n%s", out)
	}
	rate, err := strconv.ParseFloat(found[len(found)-1][1], 64)
	if err != nil {
		b.Fatal(err)
	}
	return rate
}

// javaConsumer is ConsumerPerformance's own figure, records a second of fetching: joining the group is left out.
func javaConsumer(records int) func(*testing.B, target, int, int, map[string]string) float64 {
	return func(b *testing.B, on target, _, _ int, _ map[string]string) float64 {
		b.Helper()
		out := javaTool(b, "ConsumerPerformance", "--bootstrap-server", on.bootstrap[0], "--topic", on.topic, "--num-records", fmt.Sprint(records), "--timeout", "60000")
		rate, err := consumerRate(out, records)
		if err != nil {
			b.Fatalf("%v:\n%s", err, out)
		}
		return rate
	}
}

// consumerRate reads the last line of ConsumerPerformance's table by the names in its head.
func consumerRate(out string, records int) (float64, error) {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	var head []string
	for _, line := range lines {
		cells := strings.Split(line, ",")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if cells[0] == "start.time" {
			head = cells
			continue
		}
		if head == nil || len(cells) != len(head) {
			continue
		}
		row := map[string]string{}
		for i, name := range head {
			row[name] = cells[i]
		}
		for _, name := range []string{"fetch.nMsg.sec", "fetch.nRecord.sec"} {
			if row[name] != "" {
				return strconv.ParseFloat(row[name], 64)
			}
		}
	}
	return 0, fmt.Errorf("no rate for %d records", records)
}

func TestConsumerRate(t *testing.T) {
	rate, err := consumerRate("start.time, end.time, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec\n"+
		"2026-01-01 10:00:00:000, 2026-01-01 10:00:05:000, 95.3, 19.0, 1000000, 200000.0, 3000, 2000, 47.6, 500000.0\n", 1_000_000)
	if err != nil || rate != 500_000 {
		t.Errorf("%v, %v", rate, err)
	}
	if _, err := consumerRate("WARNING: exiting before consuming the expected number of records", 1); err == nil {
		t.Error("a table that is not there has a rate")
	}
}
