package scenarios

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a scenario, at a place that can be pointed at.
type Problem struct {
	File    string
	Line    int    // from 1; 0 where there is no text to point into
	Column  int    // from 1, in characters
	Path    string // faults[0].for
	Message string // what was expected, and what was found
	Hint    string // what to write instead; may be empty
	Text    string // the line of the file
}

// Error is the problem as a compiler prints it: the place, the line, a caret, and a hint.
func (p Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	b.WriteString(": ")
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Message)
	if p.Line > 0 && p.Text != "" {
		number := fmt.Sprint(p.Line)
		fmt.Fprintf(&b, "\n  %s | %s\n  %s | %s^", number, p.Text, strings.Repeat(" ", len(number)), indent(p.Text, p.Column-1))
	}
	if p.Hint != "" {
		b.WriteString("\n      hint: " + p.Hint)
	}
	return b.String()
}

// indent fills n columns below a line; tabs stay tabs, so that the caret stands where it should.
func indent(line string, n int) string {
	var b strings.Builder
	for i, r := range []rune(line) {
		if i >= n {
			break
		}
		if r != '\t' {
			r = ' '
		}
		b.WriteRune(r)
	}
	b.WriteString(strings.Repeat(" ", max(0, n-len([]rune(line)))))
	return b.String()
}

// Problems are all that is wrong, in order of their places.
type Problems []Problem

func (ps Problems) Error() string {
	texts := make([]string, len(ps))
	for i, p := range ps {
		texts[i] = p.Error()
	}
	return strings.Join(texts, "\n")
}

// err sorts the problems, drops repetitions, and returns nil where there are none.
func (ps Problems) err() error {
	if len(ps) == 0 {
		return nil
	}
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return slices.Compact(ps)
}

// mistake is what is wrong with one value, before it is known where the value stands.
type mistake struct {
	message, hint string
	offset        int // characters into the value at which it goes wrong
}

func (m *mistake) Error() string {
	if m.hint == "" {
		return m.message
	}
	return m.message + " (" + m.hint + ")"
}

func wrong(hint, format string, args ...any) *mistake {
	return &mistake{message: fmt.Sprintf(format, args...), hint: hint}
}

// at says how far into the value the mistake is.
func (m *mistake) at(offset int) *mistake {
	m.offset = offset
	return m
}
