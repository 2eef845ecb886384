package export

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

const docs = "../../docs/export.md"

// TestDocsTellOfEachColumn holds docs/export.md and the tables together.
func TestDocsTellOfEachColumn(t *testing.T) {
	b, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- tables: written by go test ./reports/export -update -->\n", "<!-- end -->"
	before, rest, found := strings.Cut(string(b), begin)
	have, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no place for the tables", docs)
	}
	want := columnDocs()
	if *update {
		if err := os.WriteFile(docs, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if have != want {
		t.Errorf("%s does not tell of the columns as they are; -update writes it anew", docs)
	}
}

func columnDocs() string {
	var out strings.Builder
	for _, t := range slices.Concat(summaryTables(nil), runTables(&Run{})) {
		fmt.Fprintf(&out, "\n### %s\n%s\n\n| column | type | |\n|---|---|---|\n", t.Name, t.About)
		for _, c := range t.Columns {
			fmt.Fprintf(&out, "| `%s` | %s | %s |\n", c.Name, c.Kind, c.About)
		}
		if t.Name == "runs" {
			fmt.Fprintf(&out, "| `cell.AXIS` | %s | the run's value on an axis of its matrix; a column for each axis of any of the runs |\n", Text)
		}
	}
	return out.String() + "\n"
}

func TestColumnsAreNamedAsPromised(t *testing.T) {
	for _, table := range slices.Concat(summaryTables(nil), runTables(&Run{})) {
		seen := map[string]bool{}
		for _, c := range table.Columns {
			if seen[c.Name] || c.Name != strings.ToLower(c.Name) || strings.ContainsAny(c.Name, " .-") {
				t.Errorf("table %s: column %q stands twice or is not in snake case", table.Name, c.Name)
			}
			seen[c.Name] = true
		}
		if table.Columns[0].Name != "run" {
			t.Errorf("table %s: its rows do not begin with their run", table.Name)
		}
	}
}
