package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kbench/kbench/reports"
)

// app is what every command shares.
type app struct {
	in       io.Reader
	out, err io.Writer
	exit     int // of what a command has found out; its own error's code comes beside it
}

// exitError carries an exit code; its message, where there is one, is for stderr.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// usage is an error of the command line or of a scenario.
func usage(err error) error { return &exitError{reports.ExitUsage, err} }

// errInterrupted is why a run ends at a signal.
var errInterrupted = errors.New("interrupted")

// execute runs one command line and returns its exit code.
func execute(args []string, in io.Reader, out, stderr io.Writer) int {
	a := &app{in: in, out: out, err: stderr}
	root := a.root()
	root.SetArgs(args)
	ctx, stop := signalContext()
	defer stop()
	err := root.ExecuteContext(ctx)
	if err == nil {
		return a.exit
	}
	fmt.Fprintf(stderr, "kbench: %s\n", strings.TrimRight(err.Error(), "\n"))
	return reports.CombinedExit([]int{a.exit, codeOf(err)})
}

// codeOf an error, 0 without one.
func codeOf(err error) int {
	var coded *exitError
	switch {
	case err == nil:
		return reports.ExitAsExpected
	case errors.As(err, &coded):
		return coded.code
	}
	return reports.ExitUsage // cobra's own: an unknown command or flag
}

// signalContext ends at the first SIGINT or SIGTERM, so that the run heals, stops and writes down what it has. At the
// second kbench ends at once; what it started dies with it.
func signalContext() (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		if _, ok := <-signals; !ok {
			return
		}
		cancel(errInterrupted)
		if _, ok := <-signals; ok {
			os.Exit(reports.ExitInterrupted)
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(signals)
		cancel(nil)
	}
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "kbench",
		Short: "How fast is a Kafka setup, and does it keep its promise while it is being hurt?",
		Long: `How fast is a Kafka setup, and does it keep its promise while it is being hurt?

kbench puts a measured load on a Kafka cluster, injects faults, records every operation, and judges the record:
at-most-once, at-least-once, exactly-once, with latency histograms beside the verdict.

Exit codes: 0 as expected · 1 a guarantee violated, or an expected violation not seen · 2 usage or scenario error ·
3 inconclusive · 4 the cluster or the machine failed · 5 a threshold missed · 130 interrupted.
Each flag can be set by an environment variable: --out by KBENCH_OUT, --command-config by KBENCH_COMMAND_CONFIG.`,
		Example: `  kbench run                                      lose a leader under acks=all, and see what it cost
  kbench run leader-loss leader-loss-acks-1       a promise, and its twin that must break
  kbench run --bootstrap-server broker:9092 my-scenario.yaml
  kbench check kbench-runs/quickstart-…           judge a recorded run again`,
		SilenceUsage:      true,
		SilenceErrors:     true,
		PersistentPreRunE: fromEnvironment,
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage(fmt.Errorf("%w\nsee '%s --help'", err, c.CommandPath()))
	})
	root.AddCommand(a.runCommand(), a.capacityCommand(), a.checkCommand(), a.reportCommand(), a.exportCommand(), a.scenariosCommand(), a.faultsCommand(), a.clusterCommand(), a.doctorCommand(), a.versionCommand(), a.workerCommand(), a.holderCommand(), a.janitorCommand())
	return root
}

// fromEnvironment fills flags that were not given from KBENCH_* variables.
func fromEnvironment(c *cobra.Command, _ []string) error {
	var problems []error
	c.Flags().VisitAll(func(f *pflag.Flag) {
		name := "KBENCH_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if value, ok := os.LookupEnv(name); ok && !f.Changed && f.Name != "help" {
			if err := c.Flags().Set(f.Name, value); err != nil {
				problems = append(problems, fmt.Errorf("%s: %w", name, err))
			}
		}
	})
	if len(problems) > 0 {
		return usage(errors.Join(problems...))
	}
	return nil
}
