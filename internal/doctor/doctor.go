// Package doctor says what a machine allows: which kinds of cluster can run on it, and what would make its figures worse. It
// is a leaf: what there is to know about the machine comes through a Probe.
package doctor

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Level of a finding.
type Level string

const (
	Info Level = "info" // nothing depends on it while kbench runs
	OK   Level = "ok"
	Warn Level = "warn" // runs are possible, and something about them is worse
	Fail Level = "fail" // no real cluster can run
)

// Finding is what one check has found, and what can be done about it.
type Finding struct {
	Check string
	Level Level
	Found string
	// Debian is a command that helps there, Generally what helps anywhere; "" where there is nothing to do.
	Debian, Generally string
}

// Kind of cluster, and whether one can run here.
type Kind struct {
	Name     string
	Possible bool
	Why      string
}

// Report of an examination.
type Report struct {
	Findings []Finding
	Clusters []Kind
}

// Real tells whether a cluster of real brokers can run here: what kbench is for.
func (r Report) Real() bool {
	return slices.ContainsFunc(r.Clusters, func(k Kind) bool { return k.Possible && (k.Name == "local" || k.Name == "docker") })
}

// Needs are what a run is to have.
type Needs struct {
	Brokers int    // of a cluster
	Kafka   string // its version
	Java    int    // its least version
	Images  []string
	Data    string // folder for brokers' data
	Runs    string // folder for run directories
}

// Engine is what a container engine says of itself.
type Engine struct {
	Version, API string
	Images       []string // of those that are needed
}

// Probe looks at a machine. What it does is given up when the context ends.
type Probe interface {
	// Command's output, both kinds of it.
	Command(ctx context.Context, name string, args ...string) (string, error)
	File(path string) (string, error)
	// Free bytes of the file system that a folder is on, for this user.
	Free(dir string) (uint64, error)
	// Java's version.
	Java(ctx context.Context) (int, error)
	// Kafka says where its jars come from.
	Kafka(ctx context.Context) (string, error)
	Engine(ctx context.Context, images []string) (Engine, error)
	CPUs() int
}

// check is one thing to look at.
type check struct {
	name string
	look func(context.Context, Probe, Needs) Finding
	mute Level // where there is no answer in time
}

// The names of the checks that decide which clusters are possible.
const (
	javaCheck   = "java"
	kafkaCheck  = "kafka"
	dockerCheck = "docker"
	memoryCheck = "memory"
)

func checks() []check {
	return []check{
		{"go", goToolchain, Info},
		{javaCheck, java, Fail},
		{kafkaCheck, kafka, Fail},
		{dockerCheck, docker, Fail},
		{memoryCheck, memory, Warn},
		{"open files", openFiles, Warn},
		{"disk", disk, Warn},
		{"processors", processors, Warn},
		{"frequency", frequency, Warn},
		{"clock", clock, Warn},
		{"load", load, Warn},
	}
}

// Limit of each check: nothing blocks longer, whatever state the machine is in.
const Limit = 10 * time.Second

// Examine makes every check, side by side, and concludes which clusters are possible.
func Examine(ctx context.Context, p Probe, n Needs, limit time.Duration) Report {
	all := checks()
	found := make([]chan Finding, len(all))
	for i, c := range all {
		found[i] = make(chan Finding, 1)
		go func() { found[i] <- limited(ctx, c, p, n, limit) }()
	}
	var r Report
	for _, f := range found {
		r.Findings = append(r.Findings, <-f)
	}
	r.Clusters = kinds(r.Findings)
	r.soften()
	return r
}

// limited makes a check, and does not wait for one that takes too long.
func limited(ctx context.Context, c check, p Probe, n Needs, limit time.Duration) Finding {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	done := make(chan Finding, 1)
	go func() { done <- c.look(ctx, p, n) }()
	select {
	case f := <-done:
		f.Check = c.name
		return f
	case <-ctx.Done():
		return Finding{Check: c.name, Level: c.mute, Found: fmt.Sprintf("no answer within %v", limit)}
	}
}

func kinds(findings []Finding) []Kind {
	failed := func(of ...string) string {
		for _, f := range findings {
			if f.Level == Fail && slices.Contains(of, f.Check) {
				return f.Found
			}
		}
		return ""
	}
	list := []Kind{
		{Name: "local", Why: failed(javaCheck, kafkaCheck, memoryCheck)},
		{Name: "docker", Why: failed(dockerCheck, memoryCheck)},
		{Name: "embedded", Why: ""},
		{Name: "external", Why: ""},
	}
	good := map[string]string{
		"local": "real brokers, as processes", "docker": "real brokers, as containers",
		"embedded": "a simulation, always there", "external": "any cluster that --bootstrap-server reaches",
	}
	for i := range list {
		if list[i].Why == "" {
			list[i].Possible, list[i].Why = true, good[list[i].Name]
		}
	}
	return list
}

// soften calls what only another kind of cluster needs a warning where one of real brokers is possible.
func (r *Report) soften() {
	if !r.Real() {
		return
	}
	for i := range r.Findings {
		if r.Findings[i].Level == Fail {
			r.Findings[i].Level = Warn
		}
	}
}
