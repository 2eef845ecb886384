package bench

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// franz-go's own benchmark takes part as a peer where KBENCH_FRANZ_BENCH names it, with the flags that stand behind its name. It is
// built from the library's source (cd examples/bench && go build).
//
//	KBENCH_FRANZ_BENCH="/tmp/bench -pool" go test -run - -bench Produce/cluster/franz -benchtime 5x ./bench

func franzTool() string { return os.Getenv("KBENCH_FRANZ_BENCH") }

// franzProducer is the tool's own figure, the mean of the seconds after its first. It sends until it is stopped, and has a buffer of
// 250 MiB.
func franzProducer(b *testing.B, on target, size, _ int, asked map[string]string) float64 {
	b.Helper()
	const seconds = 4
	tool := strings.Fields(franzTool())
	acks := asked["acks"]
	if acks == "all" {
		acks = "-1"
	}
	args := append(tool[1:], "-brokers", on.bootstrap[0], "-topic", on.topic, "-record-bytes", strconv.Itoa(size), "-acks", acks, "-compression", "none",
		"-disable-idempotency", "-max-inflight-produce-per-broker", "5", "-linger", asked["linger.ms"]+"ms", "-batch-max-bytes", asked["batch.size"], "-pprof", "")
	ctx, cancel := context.WithTimeout(b.Context(), seconds*time.Second+500*time.Millisecond)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, tool[0], args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	rate, parsed := franzRate(out.String())
	if ctx.Err() == nil || parsed != nil {
		b.Fatalf("%s: %v, %v\n%s", franzTool(), err, parsed, out.String())
	}
	return rate
}

func franzRate(out string) (float64, error) {
	var sum float64
	lines := strings.Split(strings.TrimSpace(out), "\n")
	for i, line := range lines {
		var megabytes, thousands float64
		if n, err := fmt.Sscanf(line, "%f MiB/s; %fk records/s", &megabytes, &thousands); n != 2 {
			return 0, fmt.Errorf("line %d is no rate: %w", i+1, err)
		}
		if i > 0 {
			sum += 1000 * thousands
		}
	}
	if len(lines) < 2 {
		return 0, fmt.Errorf("no second after the first")
	}
	return sum / float64(len(lines)-1), nil
}

func TestFranzRate(t *testing.T) {
	if rate, err := franzRate("1.00 MiB/s; 10.49k records/s\n95.37 MiB/s; 1000.00k records/s\n190.73 MiB/s; 2000.00k records/s\n"); err != nil || rate != 1_500_000 {
		t.Errorf("%v, %v", rate, err)
	}
	for _, bad := range []string{"", "1.00 MiB/s; 10.49k records/s", "unable to initialize client", "1.00 MiB/s; 10.49k records/s\nproduce error"} {
		if rate, err := franzRate(bad); err == nil {
			t.Errorf("%q has the rate %v", bad, rate)
		}
	}
}
