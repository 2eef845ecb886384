package scenarios

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheTrackRecordIsOfBrokenPromises holds that each scenario of docs/track-record is promised by its settings, so
// that the violation it expects is the software's, and that docs/track-record.md tells about it.
func TestTheTrackRecordIsOfBrokenPromises(t *testing.T) {
	told, err := os.ReadFile("../docs/track-record.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../docs/track-record/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s, err := Parse(filepath.Base(file), src)
			if err != nil {
				t.Fatal(err)
			}
			if s.Name+".yaml" != filepath.Base(file) || s.About == "" {
				t.Errorf("it is called %s: %s", s.Name, s.About)
			}
			if p := PromiseOf(s, s.Guarantee); s.Guarantee == Unjudged || !p.Given() {
				t.Errorf("its settings do not promise %q: %v", s.Guarantee, p.Against)
			}
			if !s.Expect.Violated || len(s.Expect.Anomalies) == 0 {
				t.Errorf("it expects %+v, not anomalies by their names", s.Expect)
			}
			if !strings.Contains(string(told), "docs/track-record/"+filepath.Base(file)) {
				t.Error("docs/track-record.md does not have its command")
			}
		})
	}
}
