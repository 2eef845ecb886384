package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kbench/kbench/reports"
)

// terminal makes a pseudo-terminal: what is written to the file it returns is read back by the function.
func terminal(t *testing.T) (*os.File, func() string) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminal here: %v", err)
	}
	fd := int(master.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	shown := make(chan string)
	go func() {
		text, _ := io.ReadAll(master) // ends with an error once the other side is closed
		shown <- string(text)
	}()
	return slave, func() string {
		slave.Close()
		defer master.Close()
		return <-shown
	}
}

// TestColourIsForTerminalsThatWantIt: and a progress line that renews itself too is for terminals only.
func TestColourIsForTerminalsThatWantIt(t *testing.T) {
	const escape = "\x1b["
	dir := filepath.Join(t.TempDir(), "run")
	progress, shownProgress := terminal(t)
	var out strings.Builder
	if code := execute([]string{"run", scenarioFile(t, short), "--cluster", "embedded", "--out", dir}, nil, &out, progress); code != reports.ExitAsExpected {
		t.Fatalf("exit code %d", code)
	}
	if text := shownProgress(); !strings.Contains(text, escape+"2K") || !strings.Contains(text, "measuring") {
		t.Errorf("no line renews itself in %q", text)
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Errorf("escape sequences where no terminal is: %q", out.String())
	}
	for noColor, want := range map[string]bool{"": true, "1": false} {
		t.Setenv("NO_COLOR", noColor)
		for _, of := range []string{"check", "report"} {
			out, shown := terminal(t)
			execute([]string{of, dir}, nil, out, io.Discard)
			if text := shown(); strings.Contains(text, escape) != want || !strings.Contains(text, "HOLDS") {
				t.Errorf("%s with NO_COLOR=%q shows %q", of, noColor, text)
			}
		}
	}
}
