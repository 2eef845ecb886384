package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kbench/kbench/bench"
)

// progress shows how a run goes, on stderr only: one line that renews itself on a terminal, a line now and then elsewhere.
type progress struct {
	w        io.Writer
	terminal bool
	quiet    bool

	mu    sync.Mutex
	last  time.Time
	shown bool // the line that renews itself stands there
}

func newProgress(w io.Writer, quiet bool) *progress {
	return &progress{w: w, quiet: quiet, terminal: isTerminal(w)}
}

// isTerminal tells whether w is one.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// note shows a line that stays.
func (p *progress) note(format string, args ...any) {
	if p.quiet {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wipe()
	fmt.Fprintf(p.w, format+"\n", args...)
}

// update shows where a run is.
func (p *progress) update(u bench.Progress) {
	if u.Note != "" {
		p.note("  %s", u.Note)
		return
	}
	if p.quiet {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	every := 5 * time.Second
	if p.terminal {
		every = 200 * time.Millisecond
	}
	if time.Since(p.last) < every {
		return
	}
	p.last = time.Now()
	p.wipe()
	line := fmt.Sprintf("  %s %s: sent %d, acknowledged %d, read %d", u.Stage, span(u), u.Sent, u.Acked, u.Read)
	if !p.terminal {
		fmt.Fprintln(p.w, line)
		return
	}
	fmt.Fprint(p.w, line)
	p.shown = true
}

func span(u bench.Progress) string {
	elapsed := max(0, u.Elapsed).Round(time.Second)
	if u.Total <= 0 {
		return elapsed.String()
	}
	return fmt.Sprintf("%s of %s", elapsed, u.Total.Round(time.Second))
}

// wipe removes the line that renews itself.
func (p *progress) wipe() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[2K")
		p.shown = false
	}
}

// end leaves a clean line.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wipe()
}
