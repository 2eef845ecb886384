// Mutate asks of a package's tests whether they would notice if its code were wrong. It changes the code in one small
// place at a time (a mutant), runs the tests, and lists the mutants that they do not kill.
//
//	go run ./internal/mutate -package ./internal/check -results /tmp/mutants.jsonl
//
// All mutants are compiled at once, into one test binary: each stands beside what it replaces, and a number in the
// environment says which one is alive. The binary is built with an overlay, so that nothing in the tree is touched.
// Results are added to a file, line by line: what stands there is not run again, until the code of its function changes.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
)

func main() {
	var o options
	flag.StringVar(&o.pkg, "package", "./internal/check", "package to mutate, by its folder")
	flag.StringVar(&o.results, "results", "", "file of results, JSON Lines; needed")
	flag.StringVar(&o.files, "files", "", "only these files, separated by commas")
	flag.StringVar(&o.only, "only", "", "only these mutants, by their names, separated by commas; their results are not kept")
	flag.Func("first", "tests to run before all, a regular expression, or all but those of one after '!'; given several times: rounds, of which only survivors meet the next", func(s string) error {
		o.first = append(o.first, s)
		return nil
	})
	flag.StringVar(&o.args, "args", "-test.short", "arguments of the test binary")
	flag.StringVar(&o.explained, "explained", "", "a Markdown file that names the survivors that no test can kill, in backquotes")
	flag.IntVar(&o.parallel, "parallel", 2, "how many mutants to run at once")
	flag.IntVar(&o.seconds, "seconds", 40, "seconds of processor time for each run: a mutant that does not end is killed")
	flag.BoolVar(&o.list, "list", false, "list the mutants, and run nothing")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := mutate(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

func mutate(ctx context.Context, o options) error {
	explained := ""
	if o.explained != "" {
		b, err := os.ReadFile(o.explained)
		if err != nil {
			return err
		}
		explained = string(b)
	}
	results, err := run(ctx, o)
	if err == nil && !o.list {
		report(os.Stdout, results, explained)
	}
	return err
}
