package main

import (
	"path/filepath"
	"slices"
	"testing"
)

// Every mutant of the sample is killed, but those that no test could kill, and those of what has no test.
func TestSurvivorsAreListed(t *testing.T) {
	if testing.Short() {
		t.Skip("it compiles")
	}
	o := options{pkg: "./testdata/sample", results: filepath.Join(t.TempDir(), "results"), parallel: 2, seconds: 20}
	for range 2 { // the second time everything is known
		results, err := run(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		var survive []string
		for _, r := range results {
			if !r.Killed {
				survive = append(survive, r.What)
			}
		}
		slices.Sort(survive)
		want := []string{
			"0 + 1", "0 - 1", // n < 1: nothing is added for 0; n < -1: -1 is not tried
			"7 + 1", "7 - 1", // nobody tests it
			"a < b, the border moved",       // of two that are equal either will do
			"n < 0, the border moved",       // likewise
			"returns nothing for max(n, 7)", // nobody tests it
			"the other of min and max: max(n, 7)",
		}
		if !slices.Equal(survive, want) {
			t.Errorf("survivors %q, want %q", survive, want)
		}
		if len(results) < 25 {
			t.Errorf("only %d mutants", len(results))
		}
	}
}
