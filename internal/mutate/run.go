package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

type options struct {
	pkg, results, files, only, args, explained string
	first                                      []string // rounds
	parallel, seconds                          int
	list                                       bool
}

// result of one mutant, a line in the file of results.
type result struct {
	Name    string  `json:"name"`
	File    string  `json:"file"`
	Line    int     `json:"line"`
	What    string  `json:"what"`
	Killed  bool    `json:"killed"`
	By      string  `json:"by,omitempty"` // the test that failed, or how else it ended
	Seconds float64 `json:"seconds"`
	Tests   string  `json:"tests,omitempty"` // of a survivor: what the test files hash to
}

// run makes the mutants and tells what became of them; with the option list it only lists them.
func run(ctx context.Context, o options) ([]result, error) {
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	s, err := load(ctx, o.pkg)
	if err != nil {
		return nil, err
	}
	tests, err := testsOf(s.dir)
	if err != nil {
		return nil, err
	}
	binary, mutants, err := s.build(ctx, o.files, o.pkg, dir)
	if err != nil {
		return nil, err
	}
	if o.list {
		for _, m := range mutants {
			fmt.Printf("%s\n\t%s:%d  %s\n", m.Name, m.File, m.Line, m.What)
		}
		return nil, nil
	}
	r := &runner{options: o, binary: binary, dir: s.dir, tests: tests}
	if err := r.all(ctx, mutants); err != nil {
		return nil, err
	}
	return r.known(mutants), nil
}

// runner runs the tests against one mutant after another.
type runner struct {
	options
	binary, dir string
	mu          sync.Mutex
	file        *os.File
	results     map[string]result
	tests       string // what they hash to
}

func (r *runner) all(ctx context.Context, mutants []mutant) error {
	switch by, err := r.try(ctx, -1); {
	case err != nil:
		return fmt.Errorf("without a mutant the tests must pass: %w", err)
	case by != "":
		return fmt.Errorf("without a mutant the tests must pass: %s", by)
	}
	if err := r.open(); err != nil {
		return err
	}
	if r.file != nil {
		defer r.file.Close()
	}
	var todo []mutant
	for _, m := range mutants {
		if _, done := r.results[m.Name]; !done && r.wanted(m) {
			todo = append(todo, m)
		}
	}
	work := make(chan mutant)
	var wg sync.WaitGroup
	for range r.parallel {
		wg.Go(func() {
			for m := range work {
				r.one(ctx, m)
			}
		})
	}
	for _, m := range todo {
		if ctx.Err() == nil {
			work <- m
		}
	}
	close(work)
	wg.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return nil
}

// known are the results of today's mutants.
func (r *runner) known(mutants []mutant) (list []result) {
	for _, m := range mutants {
		if one, done := r.results[m.Name]; done {
			one.File, one.Line = m.File, m.Line // they may have moved
			list = append(list, one)
		}
	}
	return list
}

func (r *runner) wanted(m mutant) bool {
	return r.only == "" || slices.Contains(strings.Split(r.only, ","), m.Name)
}

// open reads what is known. A mutant that survived other tests than those of today is run again.
func (r *runner) open() error {
	r.results = map[string]result{}
	if r.only != "" {
		return nil
	}
	if r.options.results == "" {
		return errors.New("-results is needed")
	}
	f, err := os.OpenFile(r.options.results, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	r.file = f
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var one result
		if json.Unmarshal(lines.Bytes(), &one) == nil { // a line that was cut off is run again
			r.results[one.Name] = one
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	for name, one := range r.results {
		if !one.Killed && one.Tests != r.tests {
			delete(r.results, name)
		}
	}
	return nil
}

// testsOf is what a package's tests hash to.
func testsOf(dir string) (string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		return "", err
	}
	var all []byte
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		all = append(all, b...)
	}
	return hash(all), nil
}

func (r *runner) one(ctx context.Context, m mutant) {
	start := time.Now()
	by, err := r.try(ctx, m.id)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "mutate: %s: %v\n", m.Name, err)
		return
	}
	one := result{Name: m.Name, File: m.File, Line: m.Line, What: m.What, Killed: by != "", By: by, Seconds: time.Since(start).Seconds()}
	if !one.Killed {
		one.Tests = r.tests
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.results[m.Name] = one
	if !one.Killed {
		fmt.Fprintf(os.Stderr, "survives: %s:%d  %s\n", m.File, m.Line, m.What)
	}
	if r.file != nil {
		b, _ := json.Marshal(one)
		if _, err := r.file.Write(append(b, '\n')); err != nil {
			fmt.Fprintln(os.Stderr, "mutate:", err)
		}
	}
}

// try runs the tests, in rounds, and tells which one killed the mutant: "" for none.
func (r *runner) try(ctx context.Context, id int) (by string, err error) {
	args := strings.Fields(r.args)
	for _, round := range append(slices.Clone(r.first), ".") {
		pick := "-test.run"
		if but, skip := strings.CutPrefix(round, "!"); skip {
			pick, round = "-test.skip", but
		}
		if by, err = r.tested(ctx, id, append(slices.Clone(args), pick, round)); by != "" || err != nil {
			break
		}
	}
	return by, err
}

func (r *runner) tested(ctx context.Context, id int, args []string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Duration(r.seconds)*time.Second)
	defer cancel()
	limited := fmt.Sprintf(`ulimit -t %d; exec "$0" "$@"`, r.seconds)
	cmd := exec.CommandContext(ctx, "sh", append([]string{"-c", limited, r.binary, "-test.failfast"}, args...)...)
	cmd.Dir, cmd.Env = r.dir, append(os.Environ(), fmt.Sprintf("MUTANT=%d", id), "GOMEMLIMIT=1GiB")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return "", nil
	case ctx.Err() == context.DeadlineExceeded:
		return "time limit", nil
	case ctx.Err() != nil:
		return "", ctx.Err()
	case errors.As(err, &exit):
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return status.Signal().String(), nil
		}
		return culprit(string(out)), nil
	}
	return "", err
}

// culprit is the test that failed.
func culprit(out string) string {
	_, rest, failed := strings.Cut(out, "--- FAIL: ")
	if !failed {
		line, _, _ := strings.Cut(out, "\n")
		return line
	}
	name, _, _ := strings.Cut(rest, " ")
	return name
}

// report is a table by file, and the survivors that nobody has explained.
func report(w io.Writer, list []result, explained string) {
	type row struct{ made, killed, explained, survived int }
	rows, sum := map[string]*row{}, row{}
	var open []result
	for _, one := range list {
		if rows[one.File] == nil {
			rows[one.File] = &row{}
		}
		why := strings.Contains(explained, "`"+one.Name+"`")
		for _, f := range []*row{rows[one.File], &sum} {
			f.made++
			switch {
			case one.Killed:
				f.killed++
			case why:
				f.explained++
			default:
				f.survived++
			}
		}
		if !one.Killed && !why {
			open = append(open, one)
		}
	}
	fmt.Fprintln(w, "| file | mutants | killed | explained | unexplained |\n|---|---|---|---|---|")
	print := func(file string, f *row) {
		fmt.Fprintf(w, "| %s | %d | %d | %d | %d |\n", file, f.made, f.killed, f.explained, f.survived)
	}
	for _, file := range sorted(rows) {
		print(file, rows[file])
	}
	print("all", &sum)
	if len(open) > 0 {
		fmt.Fprintln(w, "\nsurvivors that nobody has explained:")
	}
	for _, one := range open {
		fmt.Fprintf(w, "%s:%d\t%s\t%s\n", one.File, one.Line, one.Name, one.What)
	}
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func hash(b []byte) string {
	h := fnv.New64a()
	h.Write(b)
	return fmt.Sprintf("%016x", h.Sum64())
}
