package reports

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/kbench/kbench/internal/timing"
)

func TestDoctorSaysWhetherTimingsCanBeTrusted(t *testing.T) {
	worked := 80 * time.Millisecond
	agrees := timing.Result{
		Dir: "runs/001", Scenario: "stalled-leader", Cell: map[string]string{"client.acks": "all", "client.buffer.memory": "1MiB"},
		At: 9 * time.Second, Paused: 2 * time.Second, WorkedOff: &worked, Due: 130_000, Sent: 130_000,
		Rows: []timing.Row{
			{Figure: "longest silence", Quantile: "acks", Expected: 2 * time.Second, Measured: 2010 * time.Millisecond, Agrees: true},
			{Figure: "ack response", Quantile: "p50", Expected: 5 * time.Millisecond, Measured: 7 * time.Millisecond, Agrees: true},
			{Figure: "ack response", Quantile: "p95", Least: time.Second, Expected: 1040 * time.Millisecond, Measured: 1042 * time.Millisecond, Agrees: true},
		},
	}
	off := agrees
	off.Dir, off.Simulated, off.GeneratorLate, off.Sent = "runs/002", true, true, 118_000
	off.Problems = []string{"of 130000 records that were due only 118000 are on record: a sender has left some out, or its clock stood still"}
	off.Rows = append([]timing.Row{{Figure: "ack response", Quantile: "p99", Least: 1800 * time.Millisecond, Expected: 1803 * time.Millisecond, Measured: 39 * time.Millisecond}}, agrees.Rows...)
	none := []error{errors.New("runs/003: arithmetic has nothing to say about this run: it takes one partition")}
	for name, c := range map[string]struct {
		results  []timing.Result
		problems []error
		exit     int
	}{
		"doctor-agrees":    {[]timing.Result{agrees}, nil, ExitAsExpected},
		"doctor-disagrees": {[]timing.Result{agrees, off}, none, ExitBroken},
		"doctor-not-known": {[]timing.Result{agrees}, none, ExitInconclusive},
		"doctor-nothing":   {nil, nil, ExitInconclusive},
	} {
		t.Run(name, func(t *testing.T) {
			d := NewDoctor(c.results, c.problems)
			if d.ExitCode != c.exit {
				t.Errorf("exit code %d, not %d", d.ExitCode, c.exit)
			}
			var text, document bytes.Buffer
			if err := errors.Join(DoctorText(&text, d, Style{}), WriteJSON(&document, d)); err != nil {
				t.Fatal(err)
			}
			golden(t, name+".txt", text.Bytes())
			golden(t, name+".json", document.Bytes())
		})
	}
}
