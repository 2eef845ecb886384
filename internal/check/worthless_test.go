package check

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Each row of the table in docs/guarantees.md has a test, and each case of the test a row.
func TestEveryWorthlessRunIsDocumentedAndShown(t *testing.T) {
	doc, err := os.ReadFile("../../docs/guarantees.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(doc), "## When a run proves nothing\n")
	if !ok {
		t.Fatal("no such section")
	}
	var cases, named []string
	for _, c := range worthless() {
		cases = append(cases, c.name)
	}
	tests := testNames(t)
	rows := 0
	for _, line := range strings.Split(section, "\n") {
		if !strings.HasPrefix(line, "|") {
			if rows > 0 {
				break
			}
			continue
		}
		if rows++; rows <= 2 {
			continue
		}
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if len(cells) != 3 || cells[2] == "" {
			t.Fatalf("the row %q has no test", line)
		}
		for _, name := range regexp.MustCompile("`; |; |`, ").Split(cells[2], -1) {
			if test, isTest := strings.CutPrefix(name, "`"); isTest {
				if !slices.Contains(tests, strings.TrimSuffix(test, "`")) {
					t.Errorf("%s: there is no test called %s", cells[0], test)
				}
				continue
			}
			if !slices.Contains(cases, name) {
				t.Errorf("%s: there is no case called %q", cells[0], name)
			}
			named = append(named, name)
		}
	}
	if rows < 20 {
		t.Fatalf("%d rows", rows)
	}
	for _, name := range cases {
		if !slices.Contains(named, name) {
			t.Errorf("no row names the case %q", name)
		}
	}
}

// testNames of the whole module.
func testNames(t *testing.T) (names []string) {
	is := regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)
	err := filepath.WalkDir("../..", func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		for _, found := range is.FindAllSubmatch(b, -1) {
			names = append(names, string(found[1]))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
