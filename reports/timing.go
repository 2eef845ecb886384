package reports

import (
	"fmt"
	"io"
	"time"

	"github.com/kbench/kbench/internal/timing"
)

// Doctor is the document of `kbench doctor --json`, version 1.
type Doctor struct {
	Version  int    `json:"kbench_doctor"` // 1
	ExitCode int    `json:"exit_code"`
	Timing   Timing `json:"timing"`
}

// Timing says whether published figures agree with the arithmetic of a known pause.
type Timing struct {
	Trusted      *bool      `json:"trusted"` // every run agrees; null where one could not be compared, and no other disagrees
	TolerancePct float64    `json:"tolerance_pct"`
	FloorUs      int64      `json:"floor_us"` // a smaller difference counts as none
	Runs         []TimedRun `json:"runs"`
	Problems     []string   `json:"problems"` // runs that could not be compared
}

// TimedRun is one run held against the arithmetic of its pause.
type TimedRun struct {
	Dir           string            `json:"dir"`
	Scenario      string            `json:"scenario"`
	Cell          map[string]string `json:"cell"`
	Simulated     bool              `json:"simulated"`
	PausedAtUs    int64             `json:"paused_at_us"`
	PausedUs      int64             `json:"paused_us"`
	WorkedOffUs   *int64            `json:"worked_off_us"` // after the pause: when the backlog was gone
	Due           uint64            `json:"due"`
	Sent          uint64            `json:"sent"`
	GeneratorLate bool              `json:"generator_late"`
	Agrees        bool              `json:"agrees"`
	Figures       []TimedFigure     `json:"figures"`
	Problems      []string          `json:"problems"`
}

// TimedFigure is one published figure beside what arithmetic says.
type TimedFigure struct {
	Figure     string   `json:"figure"`
	Quantile   string   `json:"quantile"`
	LeastUs    *int64   `json:"least_us"` // by the pause alone
	LateUs     int64    `json:"late_us"`  // may be missing from it, since the load itself was late by so much
	ExpectedUs int64    `json:"expected_us"`
	MeasuredUs int64    `json:"measured_us"`
	OffPct     *float64 `json:"off_pct"` // null where less than the floor is expected
	Agrees     bool     `json:"agrees"`
}

// NewDoctor makes the document of runs that were compared, and of problems with those that could not be.
func NewDoctor(results []timing.Result, problems []error) Doctor {
	d := Doctor{Version: 1, Timing: Timing{
		TolerancePct: 100 * timing.Share, FloorUs: timing.Floor.Microseconds(), Runs: []TimedRun{}, Problems: []string{},
	}}
	for _, err := range problems {
		d.Timing.Problems = append(d.Timing.Problems, err.Error())
	}
	disagree := false
	for _, r := range results {
		disagree = disagree || !r.Agrees()
		d.Timing.Runs = append(d.Timing.Runs, timedRun(r))
	}
	switch {
	case disagree:
		d.ExitCode, d.Timing.Trusted = ExitBroken, ptrTo(false)
	case len(results) == 0 || len(problems) > 0:
		d.ExitCode = ExitInconclusive
	default:
		d.Timing.Trusted = ptrTo(true)
	}
	return d
}

func timedRun(r timing.Result) TimedRun {
	out := TimedRun{
		Dir: r.Dir, Scenario: r.Scenario, Cell: orEmptyMap(r.Cell), Simulated: r.Simulated, PausedAtUs: r.At.Microseconds(), PausedUs: r.Paused.Microseconds(),
		Due: r.Due, Sent: r.Sent, GeneratorLate: r.GeneratorLate, Agrees: r.Agrees(), Figures: []TimedFigure{}, Problems: orEmpty(r.Problems),
	}
	if r.WorkedOff != nil {
		out.WorkedOffUs = ptrTo(r.WorkedOff.Microseconds())
	}
	for _, row := range r.Rows {
		f := TimedFigure{Figure: row.Figure, Quantile: row.Quantile, LateUs: row.Late.Microseconds(), ExpectedUs: row.Expected.Microseconds(), MeasuredUs: row.Measured.Microseconds(), Agrees: row.Agrees}
		if row.Least > 0 {
			f.LeastUs = ptrTo(row.Least.Microseconds())
		}
		if row.Expected >= timing.Floor {
			off := 100 * (float64(row.Measured)/float64(row.Expected) - 1)
			f.OffPct = rounded(&off)
		}
		out.Figures = append(out.Figures, f)
	}
	return out
}

// DoctorText writes what was compared: a table for each run, and what to do where timings cannot be trusted.
func DoctorText(w io.Writer, d Doctor, style Style) error {
	p := &page{style: style}
	for _, r := range d.Timing.Runs {
		p.timedRun(r)
		p.WriteString("\n")
	}
	for _, problem := range d.Timing.Problems {
		p.labelled("", "not compared", problem)
	}
	trusted := d.Timing.Trusted
	switch {
	case trusted == nil:
		p.WriteString(style.paint(yellow, "NOT KNOWN whether timings can be trusted") + "\n")
	case *trusted:
		p.WriteString(style.paint(green, "TIMINGS CAN BE TRUSTED") + "\n")
	default:
		p.WriteString(style.paint(red, "TIMINGS CANNOT BE TRUSTED") + "\n")
	}
	p.line("  ", fmt.Sprintf("Each figure has to be within %g%% of what arithmetic says, or within %s of it. 'at least' is by the pause alone: whoever is due while "+
		"nobody answers waits for its end. 'expected' counts: the k-th record that was due is answered when k answers have come. From service time may be missing what the load itself was late.",
		d.Timing.TolerancePct, duration(time.Duration(d.Timing.FloorUs)*time.Microsecond)))
	if trusted != nil && !*trusted {
		p.timingAdvice(d.Timing)
	}
	if _, err := io.WriteString(w, p.String()); err != nil {
		return fmt.Errorf("write the comparison: %w", err)
	}
	return nil
}

func (p *page) timedRun(r TimedRun) {
	verdict := p.style.paint(green, "AGREES")
	if !r.Agrees {
		verdict = p.style.paint(red, "DISAGREES")
	}
	title := r.Scenario
	if len(r.Cell) > 0 {
		title += "  " + cell(r.Cell)
	}
	if r.Simulated {
		title += "  " + p.style.paint(yellow, "SYNTHETIC")
	}
	p.WriteString(verdict + ": " + title + "\n")
	text := fmt.Sprintf("the leader stood still for %s", micros(&r.PausedUs))
	if r.WorkedOffUs != nil {
		text += fmt.Sprintf(", its backlog was gone %s later", micros(r.WorkedOffUs))
	}
	p.line("  ", text)
	p.labelled("  ", "problem", r.Problems...)
	if r.GeneratorLate {
		p.labelled("  ", "note", "the load itself was late, so much that it shows in the quantiles of this run; its warnings say which")
	}
	rows := [][]string{{"figure", "", "at least", "expected", "measured", "off", ""}}
	last := ""
	for _, f := range r.Figures {
		name := f.Figure
		if name == last {
			name = ""
		}
		last = f.Figure
		off, result := unknown, "ok"
		if f.OffPct != nil {
			off = fmt.Sprintf("%+.1f%%", *f.OffPct)
		}
		if !f.Agrees {
			result = "OFF"
		}
		rows = append(rows, []string{name, f.Quantile, micros(f.LeastUs), micros(&f.ExpectedUs), micros(&f.MeasuredUs), off, result})
	}
	p.table(rows)
}

func (p *page) timingAdvice(t Timing) {
	p.section("Next")
	late := false
	for _, r := range t.Runs {
		late = late || r.GeneratorLate
	}
	if late {
		p.line("  ", "This machine was too busy to send on time: end what else runs on it, or use one with more processors, and try again.")
		return
	}
	p.line("  ", "Try again on a machine that does nothing else. Where it stays so, do not publish latencies taken here, and report it with the directories of the runs: this is a bug of kbench.")
}
