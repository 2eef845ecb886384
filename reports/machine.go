package reports

import (
	"fmt"
	"io"

	"github.com/kbench/kbench/internal/doctor"
)

// Examined is the document of `kbench doctor --json` where the machine was examined, version 1.
type Examined struct {
	Version  int     `json:"kbench_doctor"` // 1
	ExitCode int     `json:"exit_code"`
	Machine  Allowed `json:"machine"`
}

// Allowed is what a machine allows.
type Allowed struct {
	Findings []MachineFinding `json:"findings"`
	Clusters []ClusterKind    `json:"clusters"`
}

// MachineFinding is what one check has found.
type MachineFinding struct {
	Check     string `json:"check"`
	Level     string `json:"level"` // ok, info, warn, fail
	Found     string `json:"found"`
	Debian    string `json:"debian"`    // a command that helps there, "" where there is nothing to do
	Generally string `json:"generally"` // what helps anywhere
}

// ClusterKind says whether clusters of one kind can run.
type ClusterKind struct {
	Kind     string `json:"kind"`
	Possible bool   `json:"possible"`
	Why      string `json:"why"`
}

// NewExamined makes the document of an examination.
func NewExamined(r doctor.Report) Examined {
	d := Examined{Version: 1, Machine: Allowed{Findings: []MachineFinding{}, Clusters: []ClusterKind{}}}
	if !r.Real() {
		d.ExitCode = ExitBroken
	}
	for _, f := range r.Findings {
		d.Machine.Findings = append(d.Machine.Findings, MachineFinding{f.Check, string(f.Level), f.Found, f.Debian, f.Generally})
	}
	for _, k := range r.Clusters {
		d.Machine.Clusters = append(d.Machine.Clusters, ClusterKind{k.Name, k.Possible, k.Why})
	}
	return d
}

// ExaminedText writes each finding with what to do about it, and which clusters are possible.
func ExaminedText(w io.Writer, d Examined, style Style) error {
	p := &page{style: style}
	colors := map[string]color{string(doctor.OK): green, string(doctor.Warn): yellow, string(doctor.Fail): red}
	for _, f := range d.Machine.Findings {
		level := pad(f.Level, 6)
		if c, ok := colors[f.Level]; ok {
			level = style.paint(c, f.Level) + pad("", 6-len(f.Level))
		}
		p.line(level+pad(f.Check, 12), f.Found)
		p.remedy("Debian", f.Debian)
		p.remedy("anywhere", f.Generally)
	}
	p.section("Clusters")
	for _, k := range d.Machine.Clusters {
		possible := style.paint(green, "yes") + "  "
		if !k.Possible {
			possible = style.paint(red, "no") + "   "
		}
		p.line("  "+pad(k.Kind, 10)+possible, k.Why)
	}
	p.WriteString("\n")
	if d.ExitCode == ExitAsExpected {
		p.line("", "Real brokers can run here. Whether latencies taken here can be trusted: kbench doctor --timing")
	} else {
		p.line("", style.paint(red, "NO REAL BROKERS CAN RUN HERE")+": only the simulation, and clusters of others by --bootstrap-server.")
	}
	if _, err := io.WriteString(w, p.String()); err != nil {
		return fmt.Errorf("write what the machine allows: %w", err)
	}
	return nil
}

// remedy against a finding. Commands are not broken into lines: they are to be copied.
func (p *page) remedy(where, what string) {
	if what == "" {
		return
	}
	const indent = "                  "
	if where == "Debian" {
		p.WriteString(indent + pad(where+":", 10) + what + "\n")
		return
	}
	p.line(indent+pad(where+":", 10), what)
}
