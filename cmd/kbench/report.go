package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/kbench/kbench/internal/rundir"
	"github.com/kbench/kbench/internal/stats"
	"github.com/kbench/kbench/reports"
	"github.com/kbench/kbench/reports/export"
)

// sink is one form of a report. It is given each run in turn, and then told that these were all.
type sink interface {
	Add(*export.Run) error
	Close() error
}

// reportFlags are the forms of a report besides the summary.
type reportFlags struct {
	json      string // a file, or - for stdout
	objective string // in place of that of a matrix
	folders   export.Folders
}

func (a *app) reportCommand() *cobra.Command {
	var f reportFlags
	c := &cobra.Command{
		Use:   "report DIR...",
		Short: "Print the summary of recorded runs again, and export their figures",
		Long: `Print the summary of recorded runs again, and export their figures.

DIR is a run directory, or a folder of several. Figures and verdict are taken anew from what was recorded, so any old run
can be exported. Each run has a folder of its name in the one that is given; files that are there already under the names
written are replaced, all others left alone. docs/export.md tells what is in each file.

Of a folder of several runs the cells of each matrix are compared again, by --objective if it is given. There the runs' own
result documents are taken; 'kbench report DIR/[0-9]*' takes each figure anew.

The exit code is that of the runs, as with 'kbench run': 1 says that a promise was broken, not that the export failed.`,
		Example: `  kbench report kbench-runs/quickstart-20260102-150405
  kbench report kbench-runs/grid-… --objective 'min ack.p99 where throughput > 20000/s'
  kbench report kbench-runs --csv out --parquet out      tables of all runs: out/runs.csv, out/NAME/series.csv, …
  kbench report kbench-runs/quickstart-… --hgrm out      for HdrHistogram's plotter (.hgrm) and HistogramLogProcessor (.hlog)
  duckdb -c "from 'out/*/series.parquet' select run, max(ack_response_p99_us) group by run"`,
		Args: atLeast(1, "a run directory"),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		RunE: func(c *cobra.Command, dirs []string) error { return a.report(c.Context(), dirs, f) },
	}
	c.Flags().StringVar(&f.json, "json", "", "write the result document to this `file` (-: stdout, in place of the summary)")
	c.Flags().StringVar(&f.objective, "objective", "", "of a folder of several runs: what its cells are ranked by, in place of the scenario's own")
	c.Flags().StringVar(&f.folders.HDR, "hgrm", "", "write percentile distributions and a histogram log of each run to this `folder`, for HdrHistogram's tools")
	c.Flags().StringVar(&f.folders.CSV, "csv", "", "write time series of each run, and tables of all runs, as CSV to this `folder`")
	c.Flags().StringVar(&f.folders.Parquet, "parquet", "", "write the same as Parquet to this `folder`")
	for _, folder := range []string{"hgrm", "csv", "parquet"} {
		_ = c.MarkFlagDirname(folder) // fails only for a flag that is not there
	}
	return c
}

func (a *app) report(ctx context.Context, dirs []string, f reportFlags) error {
	switch folder := len(dirs) == 1 && rundir.HasPlan(dirs[0]); {
	case folder && !f.folders.Any():
		return a.reportPlan(dirs[0], f.json, f.objective)
	case f.objective != "":
		return usage(errors.New("--objective ranks the runs of one folder: such as kbench report kbench-runs/grid-… --objective 'max throughput'"))
	}
	unmade := 0
	for _, dir := range dirs {
		unmade += rundir.Unmade(dir)
	}
	dirs, err := runDirs(dirs)
	if err != nil {
		return usage(err)
	}
	names := make([]string, len(dirs))
	if f.folders.Any() {
		if names, err = export.Names(dirs); err == nil {
			err = f.folders.Apart(dirs, names)
		}
		if err != nil {
			return usage(err)
		}
	}
	sinks, err := a.sinks(f, len(dirs))
	if err != nil {
		return usage(err)
	}
	var options []stats.Option
	if f.folders.Any() {
		options = append(options, stats.OverTime)
	}
	var docs []reports.Document
	for i, dir := range dirs {
		if ctx.Err() != nil {
			return &exitError{reports.ExitInterrupted, context.Cause(ctx)}
		}
		s, figures, err := measure(dir, options...)
		if err != nil {
			return usage(err)
		}
		docs = append(docs, s.Document)
		for _, to := range sinks {
			if err := to.Add(&export.Run{Name: names[i], Summary: s, Figures: figures}); err != nil {
				return &exitError{reports.ExitBroken, err}
			}
		}
	}
	for _, to := range sinks {
		if err := to.Close(); err != nil {
			return &exitError{reports.ExitBroken, err}
		}
	}
	a.exit = reports.Several(docs).ExitCode
	if unmade > 0 { // a plan that is not complete is no success
		fmt.Fprintf(a.err, "kbench: %s of plans have not been made\n", plural(unmade, "run"))
		a.exit = reports.CombinedExit([]int{a.exit, reports.ExitInconclusive})
	}
	return nil
}

// runDirs are all runs that were named, by themselves or by the folder that they lie in. What is wrong with them is found
// before anything is read at length.
func runDirs(named []string) ([]string, error) {
	var dirs []string
	var problems []error
	for _, name := range named {
		runs, err := rundir.Runs(name)
		if err != nil {
			problems = append(problems, err)
		}
		for _, dir := range runs {
			if _, err := rundir.Load(dir); err != nil {
				problems = append(problems, err)
			}
		}
		dirs = append(dirs, runs...)
	}
	return dirs, errors.Join(problems...)
}

// sinks are all forms that were asked for. The summary goes to stdout unless the document does.
func (a *app) sinks(f reportFlags, runs int) ([]sink, error) {
	var all []sink
	if f.json != "-" {
		all = append(all, &summaries{app: a, runs: runs})
	}
	if f.json != "" {
		all = append(all, &documents{app: a, to: f.json})
	}
	if f.folders.Any() {
		e, err := export.New(f.folders, version)
		if err != nil {
			return nil, err
		}
		all = append(all, &exported{Exporter: e, app: a, folders: f.folders})
	}
	return all, nil
}

// summaries prints a run by itself, or one line of a table for each of several.
type summaries struct {
	app  *app
	runs int
	docs []reports.Document
}

func (s *summaries) Add(r *export.Run) error {
	if s.runs == 1 {
		return reports.Text(s.app.out, r.Summary, style(s.app.out))
	}
	s.docs = append(s.docs, r.Document)
	return nil
}

func (s *summaries) Close() error {
	if s.runs == 1 {
		return nil
	}
	return reports.Table(s.app.out, s.docs, style(s.app.out))
}

// documents writes one JSON document, of one run or of all.
type documents struct {
	app  *app
	to   string
	docs []reports.Document
}

func (d *documents) Add(r *export.Run) error {
	d.docs = append(d.docs, r.Document)
	return nil
}

func (d *documents) Close() error {
	var document any = reports.Several(d.docs)
	if len(d.docs) == 1 {
		document = d.docs[0]
	}
	if d.to == "-" {
		return reports.WriteJSON(d.app.out, document)
	}
	file, err := os.Create(d.to)
	if err != nil {
		return err
	}
	defer file.Close()
	return reports.WriteJSON(file, document)
}

// exported says at the end what was written.
type exported struct {
	*export.Exporter
	app     *app
	folders export.Folders
}

func (e *exported) Close() error {
	if err := e.Exporter.Close(); err != nil {
		return err
	}
	fmt.Fprintf(e.app.err, "exported %d files to %s\n", e.Files(), e.folders)
	return nil
}
