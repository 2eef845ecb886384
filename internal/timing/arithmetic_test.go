package timing

import (
	"strings"
	"testing"
	"time"

	"github.com/kbench/kbench/internal/rundir"
	"github.com/kbench/kbench/internal/stats"
	"github.com/kbench/kbench/scenarios"
)

const sec = int64(time.Second)

// answered are the answers of a server that takes 2 ms, and stands still from 9 to 11 s.
func answered(s schedule, seconds int64) []int64 {
	var answers []int64
	for k := 0; s.due(k) < seconds*sec; k++ {
		at := s.due(k) + int64(2*time.Millisecond)
		if at > 9*sec && at < 11*sec {
			at = 11 * sec
		}
		answers = append(answers, at)
	}
	return answers
}

// The example of docs/methodology.md: 2 s in 20 s at 5,000 a second.
func TestArithmeticOfAPause(t *testing.T) {
	for name, c := range map[string]struct {
		producers, room int
		lag, service    map[float64]time.Duration
	}{
		"a buffer that takes all":              {producers: 1, room: 20_000, service: map[float64]time.Duration{0.95: time.Second, 1: 2 * time.Second}},
		"a buffer that takes a second":         {producers: 1, room: 5000, lag: map[float64]time.Duration{0.9: 0, 0.99: 800 * time.Millisecond, 1: time.Second}, service: map[float64]time.Duration{0.96: 1200 * time.Millisecond, 1: 2 * time.Second}},
		"the same shared by 8":                 {producers: 8, room: 625, lag: map[float64]time.Duration{0.9: 0, 0.99: 800 * time.Millisecond, 1: time.Second}},
		"a buffer that takes a moment":         {producers: 1, room: 50, lag: map[float64]time.Duration{0.95: 990 * time.Millisecond, 1: 1990 * time.Millisecond}, service: map[float64]time.Duration{0.99: 2 * time.Millisecond}},
		"without bound, for all that is known": {producers: 1},
	} {
		t.Run(name, func(t *testing.T) {
			e := &expected{}
			for producer := range c.producers {
				s := schedule{rate: 5000, producers: c.producers, producer: producer}
				e.counted(s, answered(s, 20), 0, 20*sec, c.room)
				e.atLeast(s, 0, 20*sec, 9*sec, 11*sec)
			}
			if n := e.response.Count(); n != 100_000 {
				t.Errorf("%d records, want 100,000", n)
			}
			want := map[float64]time.Duration{0.5: 2 * time.Millisecond, 0.95: time.Second, 0.99: 1800 * time.Millisecond, 0.999: 1980 * time.Millisecond, 1: 2 * time.Second}
			wantQuantiles(t, "response", &e.response, want)
			want[0.5] = 0
			wantQuantiles(t, "at least", &e.least, want)
			wantQuantiles(t, "lag", &e.lag, c.lag)
			wantQuantiles(t, "service", &e.service, c.service)
		})
	}
}

func wantQuantiles(t *testing.T, what string, h *stats.Histogram, want map[float64]time.Duration) {
	t.Helper()
	for q, d := range want {
		got, _ := h.Quantile(q)
		if (got - d).Abs() > 5*time.Millisecond {
			t.Errorf("%s p%g = %v, want %v", what, 100*q, got, d)
		}
	}
}

func TestAScheduleIsSharedInTurn(t *testing.T) {
	s := schedule{start: 7 * sec, rate: 1000, producers: 4, producer: 1}
	if due := s.due(3); due != 7*sec+int64(13*time.Millisecond) {
		t.Errorf("the fourth record of the second of four is due at %d", due)
	}
	for _, k := range []int{0, 1, 999} {
		if first := s.first(s.due(k)); first != k {
			t.Errorf("the first due at the time of record %d is %d", k, first)
		}
		if first := s.first(s.due(k) + 1); first != k+1 {
			t.Errorf("the first due after record %d is %d", k, first)
		}
	}
}

func TestSilenceAndWhenTheBacklogIsGone(t *testing.T) {
	s := schedule{rate: 1000, producers: 1}
	answers := answered(s, 20)
	if d := silence(answers, 9*sec, 11*sec); (d - 2*time.Second).Abs() > 2*time.Millisecond {
		t.Errorf("silent for %v", d)
	}
	if d := silence(answers, 15*sec, 16*sec); d > 2*time.Millisecond {
		t.Errorf("silent for %v while nobody stood still", d)
	}
	if took, ok := s.workedOff(answers, 11*sec, 3*time.Millisecond); !ok || took > 2*time.Millisecond {
		t.Errorf("worked off after %v (%v)", took, ok)
	}
	if took, ok := s.workedOff(answers, 11*sec, time.Millisecond); ok {
		t.Errorf("worked off after %v, though no answer came within a millisecond", took)
	}
}

func TestOfWhichRunsArithmeticSaysSomething(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*recorded)
		want   string
	}{
		"a paused leader":    {func(*recorded) {}, ""},
		"interrupted":        {func(r *recorded) { r.meta.Stage = rundir.Interrupted }, "did not come to its end (interrupted)"},
		"a rate that moves":  {func(r *recorded) { r.scenario.Load.Shape.Kind = scenarios.Ramp }, "steady rate"},
		"as fast as it goes": {func(r *recorded) { r.scenario.Load.Rate, r.scenario.Load.Max = 0, true }, "steady rate"},
		"transactions":       {func(r *recorded) { r.scenario.Load.Txn.Size = 10 }, "without transactions"},
		"another fault":      {func(r *recorded) { r.scenario.Faults[0].Action = "kill" }, "the pause of a leader"},
		"a follower":         {func(r *recorded) { r.scenario.Faults[0].Target.Kind = scenarios.Follower }, "the pause of a leader"},
		"no fault happened":  {func(r *recorded) { r.meta.Faults = nil }, "the pause of a leader"},
		"two partitions":     {func(r *recorded) { r.scenario.Topics[0].Partitions = 2 }, "one partition"},
		"it did not bite":    {func(r *recorded) { r.meta.Faults[0].Bit = false }, "nothing shows"},
		"it was not healed":  {func(r *recorded) { r.meta.Faults[0].Healed = nil }, "nothing shows"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := scenarios.Builtin("stalled-leader")
			if err != nil {
				t.Fatal(err)
			}
			healed := 11 * sec
			r := &recorded{scenario: s, meta: rundir.Meta{Stage: rundir.Complete, Faults: []rundir.Fault{{Name: "pause", At: 9 * sec, Healed: &healed, Bit: true}}}}
			c.change(r)
			err = r.suits()
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}
