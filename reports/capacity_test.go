package reports

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

const capacitySchema = "capacity.schema.json"

// searched is a search that found its rate.
func searched() Capacity {
	c := Capacity{
		Version: 1, Scenario: "capacity", Seed: 7, Status: CapacityFound, Objectives: []string{"ack.p99 < 20ms", "throughput > 100/s"}, ObjectiveFrom: "slo",
		RatePerS: ptr(24_310.4), MiBPerS: ptr(23.74), HeldPerS: ptr(24_500.0), MissedPerS: ptr(24_200.0),
		Interval:  &CapacityInterval{LowPerS: 23_400, HighPerS: 25_200, LowMiBPerS: 22.85, HighMiBPerS: 24.61, Confidence: 0.9},
		Confirmed: &CapacityConfirmed{RatePerS: 23_400, MiBPerS: 22.85, Trial: 4},
		LimitedBy: ptr("latency"), LimitedHow: []string{"latency in 2 trials, such as: ack.p99 is 41.2ms, not < 20ms", "acknowledgements in 1 trial, such as: ended early, too far behind the load"},
		Verdict: Holds, Guarantee: ptr("at-least-once"), TookS: 161.4, BudgetS: 300, TrialS: 5, ConfirmS: 10, Precision: 0.05, RecordBytes: 1024,
		LeftOut: []string{"1 fault"},
		Cluster: Cluster{Kind: "local", Software: ptr("Apache Kafka"), Version: ptr("4.3.1"), Mode: ptr("kraft"), Brokers: ptr(3), Effective: map[string]string{}},
		Client:  Client{Driver: "confluent", Version: ptr("confluent-kafka-go 2.15.0"), Asked: map[string]string{}, Effective: map[string]string{}},
		Machine: Machine{CPUs: ptr(2), MemoryMiB: ptr(int64(24_000)), Kernel: ptr("6.1.0")}, Warnings: []string{}, Dir: "kbench-runs/capacity-20260102-150405",
	}
	ms := func(n float64) Quantiles {
		us := int64(n * 1000)
		return Quantiles{P50: &us, P90: &us, P95: &us, P99: &us, P999: &us, P9999: &us, Max: &us, Count: 100_000}
	}
	trial := func(phase string, offered, p99 float64, why ...Miss) {
		t := CapacityTrial{
			Number: len(c.Trials) + 1, Phase: phase, RatePerS: offered, SentPerS: &offered, AckedPerS: &offered, ReadPerS: &offered, Ack: ms(p99), EndToEnd: ms(p99 + 2),
			Objectives: []Threshold{{Expr: "ack.p99 < 20ms", Value: &p99, OK: p99 < 20}, {Expr: "throughput > 100/s", Value: &offered, OK: true}},
			Held:       len(why) == 0, Counts: phase != "warm-up", Why: orEmpty(why), Verdict: Holds, TookS: 7.2, Dir: "trials/01-2000", History: true,
		}
		c.Trials = append(c.Trials, t)
	}
	trial("warm-up", 2000, 212, Miss{"latency", "ack.p99 is 212ms, not < 20ms"})
	trial("doubling", 2000, 6)
	trial("bisecting", 24_500, 41.2, Miss{"latency", "ack.p99 is 41.2ms, not < 20ms"})
	trial("confirming", 23_400, 14.1)
	c.Trials[2].Dir = "trials/03-24500"
	return c
}

// searches are the cases of the golden files.
func searches() map[string]Capacity {
	all := map[string]Capacity{"capacity-found": searched()}

	c := searched()
	c.Status, c.RatePerS, c.MiBPerS, c.Interval, c.Confirmed, c.MissedPerS = CapacityAtLeast, nil, nil, nil, nil, nil
	c.Cluster = Cluster{Kind: "embedded", Simulated: true, Software: ptr("kfake"), Brokers: ptr(3), Effective: map[string]string{}}
	c.LimitedBy, c.LimitedHow, c.LeftOut = ptr("max"), []string{}, []string{}
	all["capacity-at-least"] = c

	c = searched()
	c.Status, c.ExitCode, c.RatePerS, c.MiBPerS, c.Interval, c.Confirmed, c.HeldPerS = CapacityNotMet, ExitThreshold, nil, nil, nil, nil, nil
	all["capacity-not-met"] = c

	c = searched()
	c.Status, c.ExitCode, c.Confirmed = CapacityInconclusive, ExitInconclusive, nil
	c.Warnings = []string{"the time budget is over"}
	c.Trials[3] = CapacityTrial{Number: 4, Phase: "confirming", RatePerS: 23_400, Objectives: []Threshold{}, Why: []Miss{{"acknowledgements", "ended early, too far behind the load"}}, Verdict: Inconclusive, Dir: "trials/04-23400"}
	all["capacity-inconclusive"] = c

	c = searched()
	c.Status, c.ExitCode, c.RatePerS, c.MiBPerS, c.Interval, c.Confirmed, c.MissedPerS = CapacityInterrupted, ExitInterrupted, nil, nil, nil, nil, nil
	c.LimitedBy, c.LimitedHow = nil, []string{}
	all["capacity-interrupted"] = c
	return all
}

func TestCapacityText(t *testing.T) {
	for name, c := range searches() {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := CapacityText(&b, c, Style{}); err != nil {
				t.Fatal(err)
			}
			fits(t, b.String())
			golden(t, name+".txt", b.Bytes())
		})
	}
}

func TestCapacityDocumentFollowsItsSchema(t *testing.T) {
	s, err := jsonschema.NewCompiler().Compile(capacitySchema)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range searches() {
		if err := validBy(t, s, c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	wrong := searched()
	wrong.Status = "ok"
	if err := validBy(t, s, wrong); err == nil {
		t.Error("the schema takes any status")
	}
	text, err := os.ReadFile(capacitySchema)
	if err != nil {
		t.Fatal(err)
	}
	var root schema
	if err := json.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	var defs struct {
		Defs map[string]schema `json:"$defs"`
	}
	if err := json.Unmarshal(text, &defs); err != nil {
		t.Fatal(err)
	}
	sameMembers(t, "capacity", defs.Defs, root, reflect.TypeFor[Capacity]())
}

func TestTrialLine(t *testing.T) {
	c := searched()
	for i, want := range []string{
		"1 warm-up        2,000/s  ack.p99 212ms, throughput 2000/s  missed: ack.p99 is 212ms, not < 20ms (does not count)",
		"2 doubling       2,000/s  ack.p99 6ms, throughput 2000/s  held",
	} {
		if got := strings.TrimSpace(TrialLine(c.Trials[i], Style{})); got != want {
			t.Errorf("%q\nwant\n%q", got, want)
		}
	}
}

func TestBracketDrawsWhatIsKnown(t *testing.T) {
	got := Bracket(20_000, 30_000, 22_000, 24_000, 26_000)
	if want := "24,000/s (22,000 to 26,000)"; !strings.HasSuffix(got, want) {
		t.Errorf("%s, want it to end in %s", got, want)
	}
	order := []int{strings.Index(got, "o"), strings.Index(got, "="), strings.Index(got, "|"), strings.LastIndex(got, "="), strings.Index(got, "x")}
	for i, at := range order {
		if at < 0 || i > 0 && at <= order[i-1] {
			t.Errorf("%s: %v is not o=|=x", got, order)
		}
	}
}
