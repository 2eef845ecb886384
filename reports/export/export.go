// Package export writes what runs left in the forms that other tools read: percentile distributions and histogram logs for
// those of HdrHistogram, tables as CSV and Parquet. docs/export.md says what is in them. Like the reports it computes nothing
// that is not in a run's document and figures.
package export

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Folders are where to write each form; "": nowhere. They may be one and the same.
type Folders struct{ HDR, CSV, Parquet string }

// Any tells whether anything is to be written.
func (f Folders) Any() bool { return f != Folders{} }

func (f Folders) String() string { return strings.Join(f.all(), ", ") }

// all folders, each once.
func (f Folders) all() []string {
	var all []string
	for _, folder := range []string{f.HDR, f.CSV, f.Parquet} {
		if folder != "" && !slices.Contains(all, folder) {
			all = append(all, folder)
		}
	}
	return all
}

// Exporter writes runs one after the other, and at the end the tables of all of them. A run's figures are not kept.
type Exporter struct {
	to      Folders
	program string // the version of kbench
	runs    []*summary
	files   int
}

// New makes the folders. What they hold is left alone, but for files of the names that are written.
func New(to Folders, program string) (*Exporter, error) {
	for _, folder := range to.all() {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return nil, fmt.Errorf("export: %w", err)
		}
	}
	return &Exporter{to: to, program: program}, nil
}

// Files is how many were written.
func (e *Exporter) Files() int { return e.files }

// Add writes the files of one run.
func (e *Exporter) Add(r *Run) error {
	e.runs = append(e.runs, &summary{name: r.Name, meta: r.Meta, doc: r.Document, latencies: latencies(r)})
	if e.to.HDR != "" {
		if err := e.histograms(r); err != nil {
			return err
		}
	}
	return e.tables(r.Name, runTables(r))
}

// Close writes the tables of all runs.
func (e *Exporter) Close() error { return e.tables("", summaryTables(e.runs)) }

func (e *Exporter) tables(run string, tables []Table) error {
	for _, t := range tables {
		if e.to.CSV != "" {
			if err := e.write(e.to.CSV, run, t.Name+".csv", func(w io.Writer) error { return WriteCSV(w, t) }); err != nil {
				return err
			}
		}
		if e.to.Parquet != "" {
			if err := e.write(e.to.Parquet, run, t.Name+".parquet", func(w io.Writer) error { return WriteParquet(w, t, e.program) }); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *Exporter) histograms(r *Run) error {
	all := distributions(&r.Figures)
	for _, d := range all {
		if err := e.write(e.to.HDR, r.Name, d.name()+".hgrm", func(w io.Writer) error { return WritePercentiles(w, d.counts.Counts()) }); err != nil {
			return err
		}
	}
	return e.write(e.to.HDR, r.Name, LogFile, func(w io.Writer) error { return writeLog(w, r, all, e.program) })
}

// write makes a file appear under its name as a whole, or not at all.
func (e *Exporter) write(folder, run, name string, content func(io.Writer) error) (err error) {
	folder = filepath.Join(folder, run)
	path := filepath.Join(folder, name)
	defer func() {
		if err != nil {
			err = fmt.Errorf("export %s: %w", path, err)
		}
	}()
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(folder, name+".*.tmp")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	w := bufio.NewWriterSize(f, 64<<10)
	if err := content(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	e.files++
	return os.Rename(f.Name(), path)
}
