package scenarios

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func brokenFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/broken/*.yaml")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d broken scenarios, %v; want 20 or more", len(files), err)
	}
	return files
}

// TestBrokenScenarios holds what each of the broken files answers.
func TestBrokenScenarios(t *testing.T) {
	for _, file := range brokenFiles(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Parse(filepath.Base(file), src)
			var problems Problems
			if !errors.As(err, &problems) || len(problems) == 0 {
				t.Fatalf("answers %v, want problems", err)
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".txt", err.Error()+"\n")
			checkPlaces(t, problems, src)
		})
	}
}

// checkPlaces makes sure that each problem points into the file, and that they come in its order.
func checkPlaces(t *testing.T, problems Problems, src []byte) {
	t.Helper()
	lines := strings.Split(string(src), "\n")
	for _, p := range problems {
		if p.Line < 1 || p.Line > len(lines) || p.Column < 1 || p.Column > len([]rune(lines[p.Line-1]))+1 {
			t.Errorf("points outside of the file: %+v", p)
		}
		if p.Message == "" {
			t.Errorf("says nothing: %+v", p)
		}
	}
	if !slices.IsSortedFunc(problems, func(a, b Problem) int { return (a.Line-b.Line)*10_000 + a.Column - b.Column }) {
		t.Error("problems are not in the order of the file")
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("differs from %s (go test -update rewrites it)\ngot:\n%s\nwant:\n%s", file, got, want)
	}
}
