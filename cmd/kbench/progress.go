package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kbench/kbench/bench"
)

// progress shows how a run goes, on stderr only: lines that renew themselves on a terminal, a line now and then elsewhere.
type progress struct {
	w        io.Writer
	terminal bool
	quiet    bool

	mu       sync.Mutex
	last     time.Time
	standing []string // below what is noted, above the line of the run: how several runs stand
	line     string   // of the run
	shown    int      // lines that renew themselves stand there
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
	p.draw()
}

// stand shows how several runs stand: on a terminal a table that stays below everything else and is renewed, elsewhere its
// first line.
func (p *progress) stand(lines []string) {
	if !p.terminal {
		p.note("  %s", lines[0])
		return
	}
	if p.quiet {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wipe()
	p.standing = lines
	p.draw()
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
	p.line = fmt.Sprintf("  %s %s: sent %d, acknowledged %d, read %d", u.Stage, span(u), u.Sent, u.Acked, u.Read)
	if !p.terminal {
		fmt.Fprintln(p.w, p.line)
		return
	}
	p.draw()
}

func span(u bench.Progress) string {
	elapsed := max(0, u.Elapsed).Round(time.Second)
	if u.Total <= 0 {
		return elapsed.String()
	}
	return fmt.Sprintf("%s of %s", elapsed, u.Total.Round(time.Second))
}

// draw writes the lines that renew themselves. Each is cut to the terminal's width, so that it is known how many stand there.
func (p *progress) draw() {
	if !p.terminal {
		return
	}
	lines := slices.Clone(p.standing)
	if p.line != "" {
		lines = append(lines, p.line)
	}
	if len(lines) == 0 {
		return
	}
	width := columns(p.w)
	for i, l := range lines {
		if runes := []rune(l); len(runes) >= width {
			lines[i] = string(runes[:width-1])
		}
	}
	fmt.Fprint(p.w, strings.Join(lines, "\n"))
	p.shown = len(lines)
}

// columns of a terminal, 80 where it does not say.
func columns(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil && size.Col > 1 {
			return int(size.Col)
		}
	}
	return 80
}

// wipe removes the lines that renew themselves.
func (p *progress) wipe() {
	if p.shown == 0 {
		return
	}
	fmt.Fprint(p.w, "\r\x1b[2K"+strings.Repeat("\x1b[1A\x1b[2K", p.shown-1))
	p.shown = 0
}

// end leaves a clean line.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wipe()
	p.line = ""
	p.draw()
}

// over takes away all that renews itself: the result follows.
func (p *progress) over() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wipe()
	p.line, p.standing = "", nil
}
