package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kbench/kbench/internal/check"
	"github.com/kbench/kbench/internal/history"
	"github.com/kbench/kbench/internal/rundir"
	"github.com/kbench/kbench/internal/stats"
	"github.com/kbench/kbench/reports"
)

// judge reads a run directory, says what it shows, and leaves the result document there.
func judge(dir string) (reports.Summary, error) {
	s, err := summarize(dir)
	if err != nil {
		return s, err
	}
	file, err := os.Create(filepath.Join(dir, rundir.ResultFile))
	if err != nil {
		return s, fmt.Errorf("result document: %w", err)
	}
	defer file.Close()
	return s, reports.WriteJSON(file, s.Document)
}

// summarize judges and measures a run directory without writing to it.
func summarize(dir string) (reports.Summary, error) {
	s, _, err := measure(dir)
	return s, err
}

// measure is summarize, and what it took the figures from.
func measure(dir string, options ...stats.Option) (reports.Summary, stats.Figures, error) {
	meta, err := rundir.Load(dir)
	if err != nil {
		return reports.Summary{}, stats.Figures{}, err
	}
	judgement, err := frugally(dir)
	if err != nil {
		return reports.Summary{}, stats.Figures{}, fmt.Errorf("judge %s: %w", dir, err)
	}
	figures, err := stats.Dir(dir, options...)
	if err != nil {
		return reports.Summary{}, stats.Figures{}, fmt.Errorf("measure %s: %w", dir, err)
	}
	return reports.Summary{Document: reports.Build(meta, judgement, figures), Meta: meta, Figures: figures, Dir: dir}, figures, nil
}

// frugally judges a run with little memory to spare, unless GOGC in the environment asks for less.
func frugally(dir string) (check.Judgement, error) {
	before := debug.SetGCPercent(check.GCPercent)
	defer debug.SetGCPercent(before)
	if before >= 0 && before < check.GCPercent {
		debug.SetGCPercent(before)
	}
	return check.Dir(dir)
}

// style is how text looks on w: in colour on a terminal, unless NO_COLOR is set.
func style(w io.Writer) reports.Style {
	return reports.Style{Color: isTerminal(w) && os.Getenv("NO_COLOR") == ""}
}

func (a *app) checkCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "check DIR|FILE.jsonl",
		Short: "Judge a recorded run, or a history written by hand, again",
		Example: `  kbench check kbench-runs/quickstart-20260102-150405
  kbench check what-would-you-say.jsonl --json`,
		Args: exactly(1, "a run directory or a history in JSON Lines"),
		RunE: func(_ *cobra.Command, args []string) error {
			if strings.HasSuffix(args[0], ".jsonl") {
				return a.checkFile(args[0], asJSON)
			}
			return a.checkDir(args[0], asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the verdict as JSON")
	return c
}

func (a *app) checkFile(path string, asJSON bool) error {
	file, err := os.Open(path)
	if err != nil {
		return usage(err)
	}
	defer file.Close()
	judgement, err := check.JSONL(file)
	if err != nil {
		return usage(fmt.Errorf("%s: %w", path, err))
	}
	return a.printJudged(path, rundir.Meta{Stage: rundir.Complete}, judgement, asJSON)
}

func (a *app) checkDir(dir string, asJSON bool) error {
	meta, err := rundir.Load(dir)
	if err != nil {
		return usage(fmt.Errorf("%s is no run directory: %w", dir, err))
	}
	judgement, err := frugally(dir)
	if err != nil {
		return &exitError{reports.ExitInconclusive, err}
	}
	return a.printJudged(dir, meta, judgement, asJSON)
}

func (a *app) printJudged(title string, meta rundir.Meta, judgement check.Judgement, asJSON bool) error {
	judged := reports.Judge(judgement, meta.Clock.MeasureStart)
	a.exit = reports.JudgedExit(meta.Stage, judgement)
	if asJSON {
		return reports.WriteJSON(a.out, judged)
	}
	return reports.JudgedText(a.out, judged, title, style(a.out))
}

func (a *app) exportCommand() *cobra.Command {
	var to string
	c := &cobra.Command{
		Use:   "export DIR --jsonl FILE",
		Short: "Write the recorded operations of a run as JSON Lines",
		Long: `Write the recorded operations of a run as JSON Lines.

Exit codes: 0 all that was recorded · 2 usage error · 3 a log is damaged in the middle, and what stood there is left out: the file is no
ground for a verdict · 4 it could not be written.`,
		Example: "  kbench export kbench-runs/quickstart-20260102-150405 --jsonl history.jsonl",
		Args:    exactly(1, "a run directory"),
		RunE:    func(_ *cobra.Command, args []string) error { return a.export(args[0], to) },
	}
	c.Flags().StringVar(&to, "jsonl", "-", "file to write (-: stdout)")
	return c
}

func (a *app) export(dir, to string) error {
	h, err := history.Open(filepath.Join(dir, rundir.HistoryDir))
	if err != nil {
		return usage(err)
	}
	for _, tear := range h.Tears {
		how := "is damaged"
		if tear.Tail { // as a killed session leaves it
			how = "ends early"
		} else {
			a.exit = reports.ExitInconclusive // what is missing in between may be what speaks against a promise
		}
		fmt.Fprintf(a.err, "kbench: %s %s at byte %d: %s\n", tear.File, how, tear.Offset, tear.Reason)
	}
	if err := exportTo(to, a.out, h); err != nil {
		return &exitError{reports.ExitBroken, err}
	}
	return nil
}

// exportTo writes a history to a file or, for -, to stdout.
func exportTo(to string, stdout io.Writer, h *history.History) error {
	if to == "-" {
		return history.WriteJSONL(stdout, h)
	}
	file, err := os.Create(to)
	if err != nil {
		return err
	}
	return errors.Join(history.WriteJSONL(file, h), file.Close())
}

// exactly and atLeast say what is missing, not just how many.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return usage(fmt.Errorf("%s takes %s, and got %d arguments\nsee '%s --help'", c.CommandPath(), what, len(args), c.CommandPath()))
		}
		return nil
	}
}

func atMost(n int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) > n {
			return usage(fmt.Errorf("%s takes at most %s, and got %d arguments\nsee '%s --help'", c.CommandPath(), what, len(args), c.CommandPath()))
		}
		return nil
	}
}

func atLeast(n int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < n {
			return usage(fmt.Errorf("%s takes at least %s\nsee '%s --help'", c.CommandPath(), what, c.CommandPath()))
		}
		return nil
	}
}
