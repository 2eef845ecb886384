package reports

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/kbench/kbench/scenarios"
)

// Capacity is the document of a search for the highest rate that keeps an objective, version 1. Its schema is
// capacity.schema.json. Rates are records a second; what is not known is null.
type Capacity struct {
	Version  int    `json:"kbench_capacity"` // 1
	Scenario string `json:"scenario"`
	Seed     int64  `json:"seed"`
	Status   string `json:"status"` // one of those below
	ExitCode int    `json:"exit_code"`

	Objectives    []string `json:"objectives"`     // all have to hold
	ObjectiveFrom string   `json:"objective_from"` // slo (the command line), scenario, default

	RatePerS    *float64           `json:"rate_per_s"`   // at which as many trials hold the objective as miss it
	MiBPerS     *float64           `json:"mib_per_s"`    // likewise, the records' values alone
	Interval    *CapacityInterval  `json:"interval"`     // of the rate
	Confirmed   *CapacityConfirmed `json:"confirmed"`    // by a longer trial at the low end of the interval
	HeldPerS    *float64           `json:"held_per_s"`   // the highest rate at which a trial held the objective
	MissedPerS  *float64           `json:"missed_per_s"` // the lowest at which one missed it
	LimitedBy   *string            `json:"limited_by"`   // latency, acknowledgements, consumers, client, errors, max
	LimitedHow  []string           `json:"limited_how"`  // what trials above the rate ran into, the most frequent first
	Verdict     string             `json:"verdict"`      // the worst of all trials that their load was not too much for
	Guarantee   *string            `json:"guarantee"`
	Trials      []CapacityTrial    `json:"trials"` // in their order
	TookS       float64            `json:"took_s"`
	BudgetS     float64            `json:"budget_s"`
	TrialS      float64            `json:"trial_s"`   // measured part of a trial
	ConfirmS    float64            `json:"confirm_s"` // and of the confirming one
	Precision   float64            `json:"precision"` // asked: trials leave at most this share of the rate open to either side
	RecordBytes int                `json:"record_bytes"`
	LeftOut     []string           `json:"left_out"` // of the scenario: its faults, its thresholds
	Cluster     Cluster            `json:"cluster"`
	Client      Client             `json:"client"`
	Machine     Machine            `json:"machine"`
	Warnings    []string           `json:"warnings"`

	Dir string `json:"-"`
}

// Statuses of a search.
const (
	CapacityFound        = "found"        // the rate, as precise as asked, confirmed
	CapacityAtLeast      = "at-least"     // the highest rate that may be tried is held
	CapacityNotMet       = "not-met"      // not even at the lowest rate
	CapacityInconclusive = "inconclusive" // the time was over before the rate was known, precise or confirmed
	CapacityViolated     = "violated"     // a trial broke the scenario's guarantee
	CapacityFailed       = "failed"       // the cluster or the machine did
	CapacityInterrupted  = "interrupted"
)

// CapacityInterval holds the rate with a confidence.
type CapacityInterval struct {
	LowPerS     float64 `json:"low_per_s"`
	HighPerS    float64 `json:"high_per_s"`
	LowMiBPerS  float64 `json:"low_mib_per_s"`
	HighMiBPerS float64 `json:"high_mib_per_s"`
	Confidence  float64 `json:"confidence"`
}

// CapacityConfirmed is the rate of the confirming trial that held.
type CapacityConfirmed struct {
	RatePerS float64 `json:"rate_per_s"`
	MiBPerS  float64 `json:"mib_per_s"`
	Trial    int     `json:"trial"` // its number
}

// CapacityTrial is one trial.
type CapacityTrial struct {
	Number     int         `json:"number"` // from 1
	Phase      string      `json:"phase"`  // warm-up, doubling, bisecting, confirming
	RatePerS   float64     `json:"rate_per_s"`
	SentPerS   *float64    `json:"sent_per_s"`
	AckedPerS  *float64    `json:"acked_per_s"`
	ReadPerS   *float64    `json:"read_per_s"`
	Objectives []Threshold `json:"objectives"`
	Ack        Quantiles   `json:"ack"`        // response time
	EndToEnd   Quantiles   `json:"end_to_end"` // likewise
	Held       bool        `json:"held"`
	Counts     bool        `json:"counts"` // false: it says nothing of the rate (a warm-up, cut off, or missed while the host took processors away)
	Why        []Miss      `json:"why"`    // it did not hold
	EndedEarly bool        `json:"ended_early"`
	Verdict    string      `json:"verdict"`
	TookS      float64     `json:"took_s"`
	Dir        string      `json:"dir"`     // within the search's directory
	History    bool        `json:"history"` // its operations are kept there
}

// Miss is why a trial did not hold the objective.
type Miss struct {
	Limit  string `json:"limit"` // latency, acknowledgements, consumers, client, errors, verdict, objective, machine
	Detail string `json:"detail"`
}

// CapacityText writes the summary of a search: the answer, how sure it is, what limits it, then the trials.
func CapacityText(w io.Writer, c Capacity, style Style) error {
	p := &page{style: style}
	c.answer(p)
	if c.Cluster.Simulated {
		p.line("  ", style.paint(yellow, "SIMULATED")+": no real broker was measured; the rate is that of the simulation.")
	}
	c.certainty(p)
	p.setting(Document{Cluster: c.Cluster, Client: c.Client, Seed: c.Seed})
	c.trials(p)
	if len(c.Warnings) > 0 {
		p.section("Warnings")
		for _, warning := range c.Warnings {
			p.line("  - ", warning)
		}
	}
	p.WriteString("\n")
	p.line("Run directory: ", c.Dir)
	if _, err := io.WriteString(w, p.String()); err != nil {
		return fmt.Errorf("write the summary: %w", err)
	}
	return nil
}

// answer is the first line.
func (c Capacity) answer(p *page) {
	hue, words := yellow, strings.ToUpper(c.Status)
	switch c.Status {
	case CapacityFound, CapacityAtLeast:
		hue = green
	case CapacityNotMet, CapacityViolated, CapacityFailed:
		hue = red
	}
	if c.Cluster.Simulated {
		words += ", SIMULATED"
	}
	p.line("", p.style.paint(hue, words)+": "+c.Scenario+" "+c.sentence())
}

func (c Capacity) sentence() string {
	objective := strings.Join(c.Objectives, " and ")
	switch {
	case c.Status == CapacityAtLeast:
		return fmt.Sprintf("holds %s at %s, the highest rate that was to be tried", objective, c.rate(c.HeldPerS))
	case c.Status == CapacityNotMet:
		return fmt.Sprintf("does not hold %s even at %s, the lowest rate that was tried", objective, c.rate(c.MissedPerS))
	case c.RatePerS != nil:
		return fmt.Sprintf("holds %s up to %s", objective, c.rate(c.RatePerS))
	case c.HeldPerS != nil && c.MissedPerS != nil:
		return fmt.Sprintf("holds %s at %s; it missed it at %s", objective, c.rate(c.HeldPerS), c.rate(c.MissedPerS))
	case c.HeldPerS != nil:
		return fmt.Sprintf("holds %s at %s or more", objective, c.rate(c.HeldPerS))
	case c.MissedPerS != nil:
		return fmt.Sprintf("does not hold %s at %s; lower rates were not tried long enough", objective, c.rate(c.MissedPerS))
	}
	return fmt.Sprintf("was not tried long enough to say anything of %s", objective)
}

// rate in records and in bytes.
func (c Capacity) rate(perS *float64) string {
	if perS == nil {
		return unknown
	}
	return rate(perS) + "/s (" + decimal(*perS*float64(c.RecordBytes)/(1<<20), 2) + " MiB/s)"
}

func (c Capacity) certainty(p *page) {
	if i := c.Interval; i != nil {
		p.labelled("  ", "interval", fmt.Sprintf("%s to %s/s (%.0f%%)", rate(&i.LowPerS), rate(&i.HighPerS), i.Confidence*100))
	}
	if f := c.Confirmed; f != nil {
		p.labelled("  ", "confirmed", fmt.Sprintf("%s held for %s (trial %d)", c.rate(&f.RatePerS), seconds(c.ConfirmS), f.Trial))
	} else if c.RatePerS != nil {
		p.labelled("  ", "confirmed", "not: no longer trial at the low end of the interval held")
	}
	if c.LimitedBy != nil {
		p.labelled("  ", "limited by", append([]string{*c.LimitedBy}, c.LimitedHow...)...)
	}
	p.labelled("  ", "trials", fmt.Sprintf("%d of %s each, %s of %s in all", len(c.Trials), seconds(c.TrialS), seconds(c.TookS), seconds(c.BudgetS)))
	if len(c.LeftOut) > 0 {
		p.labelled("  ", "left out", strings.Join(c.LeftOut, ", ")+" of the scenario")
	}
}

func seconds(s float64) string {
	return time.Duration(s * float64(time.Second)).Round(100 * time.Millisecond).String()
}

func (c Capacity) trials(p *page) {
	if len(c.Trials) == 0 {
		return
	}
	p.section("Trials")
	head := []string{"", "offered", "acked", "ack p50", "ack p99", "e2e p99"}
	own := c.ownColumns()
	for _, i := range own {
		head = append(head, metricOf(c.Objectives[i]))
	}
	rows := [][]string{append(head, "result")}
	for _, t := range c.Trials {
		row := []string{fmt.Sprintf("%2d %s", t.Number, t.Phase), rate(&t.RatePerS), rate(t.AckedPerS), micros(t.Ack.P50), micros(t.Ack.P99), micros(t.EndToEnd.P99)}
		for _, i := range own {
			value := unknown
			if i < len(t.Objectives) {
				value = t.Objectives[i].measured()
			}
			row = append(row, value)
		}
		rows = append(rows, append(row, t.result()))
	}
	p.table(rows)
}

// ownColumns are the objectives whose figure is not among the columns of every search.
func (c Capacity) ownColumns() []int {
	const room = 2
	var own []int
	for i, o := range c.Objectives {
		switch metricOf(o) {
		case "ack.p50", "ack.p99", "e2e.p99":
		default:
			own = append(own, i)
		}
	}
	return own[:min(len(own), room)]
}

func metricOf(objective string) string {
	t, err := scenarios.ParseThreshold(objective)
	if err != nil {
		return objective
	}
	return t.Metric
}

// result of a trial in a word or two: what it ran into.
func (t CapacityTrial) result() string {
	switch {
	case t.Held && t.Counts:
		return "held"
	case t.Held:
		return "(held)"
	}
	words := unknown
	if len(t.Why) > 0 {
		words = t.Why[0].Limit
	}
	if !t.Counts {
		return "(" + words + ")"
	}
	return words
}

// TrialLine is one trial on one line, for those who wait.
func TrialLine(t CapacityTrial, style Style) string {
	result := style.paint(green, "held")
	if !t.Held {
		var why []string
		for _, m := range t.Why {
			why = append(why, m.Detail)
		}
		result = style.paint(red, "missed") + ": " + strings.Join(why, "; ")
	}
	if !t.Counts {
		result += " (does not count)"
	}
	var measured []string
	for _, o := range t.Objectives {
		measured = append(measured, metricOf(o.Expr)+" "+o.measured())
	}
	return fmt.Sprintf("%2d %-10s %9s/s  %s  %s", t.Number, t.Phase, rate(&t.RatePerS), strings.Join(measured, ", "), result)
}

// Missed says by how much an objective was missed.
func Missed(t Threshold) string {
	return metricOf(t.Expr) + " is " + t.measured() + ", not " + bound(t.Expr)
}

// bound is what an objective asks for, without its metric: "< 20ms".
func bound(objective string) string {
	t, err := scenarios.ParseThreshold(objective)
	if err != nil {
		return objective
	}
	_, value, _ := strings.Cut(objective, t.Op)
	return t.Op + " " + strings.TrimSpace(value)
}

// Bracket draws where the edge of a search lies, on a logarithmic scale: o and x are the highest rate that held and the lowest that did not, = the interval, | the rate.
func Bracket(held, missed, low, rate, high float64) string {
	const columns = 44
	from, to := math.Log(min(held, missed, low)/1.25), math.Log(max(held, missed, high)*1.25)
	at := func(r float64) int { return int(math.Round((math.Log(r) - from) / (to - from) * (columns - 1))) }
	bar := []rune(strings.Repeat("·", columns))
	for i := at(low); i <= at(high); i++ {
		bar[i] = '='
	}
	bar[at(held)], bar[at(missed)], bar[at(rate)] = 'o', 'x', '|'
	whole := func(f float64) string { return humanize.Comma(int64(f + 0.5)) }
	return fmt.Sprintf("[%s] %s/s (%s to %s)", string(bar), whole(rate), whole(low), whole(high))
}
