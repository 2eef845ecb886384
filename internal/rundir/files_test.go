package rundir

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestARunComesBackAsItWasSaved(t *testing.T) {
	dir := t.TempDir()
	rate, healed := 5000.0, int64(7)
	want := Meta{
		Version: Version, RunID: "00000000deadbeef", Scenario: "quickstart", Guarantee: "at-least-once", Stage: Measuring,
		Cell: map[string]string{"client.acks": "all"}, Load: LoadInfo{RatePerS: &rate}, Expect: Expect{Violated: true, Anomalies: []string{"lost-write"}},
		Faults: []Fault{{Name: "kill", At: 5, Healed: &healed, Bit: true, Evidence: []string{"leader moved"}}, {Name: "pause"}},
	}
	for range 2 { // the second replaces the first
		if err := want.Save(dir); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Load(dir)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("loaded\n%+v, %v, want\n%+v", got, err, want)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left in the directory: %v, %v", entries, err)
	}
}

func TestSaveLeavesTheOldRunWhereItCannotWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "missing")
	if err := (Meta{}).Save(dir); err == nil {
		t.Error("saved into a directory that is not there")
	}
}

func TestWhatIsNoRunIsRefused(t *testing.T) {
	for _, c := range []struct{ name, content, want string }{
		{"no run.json", "", "is no run directory"},
		{"another version", `{"kbench_run": 2}`, "has version 2"},
		{"cut short", `{"kbench_run": 1`, "unexpected end"},
		{"empty object", `{}`, "has version 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if c.content != "" {
				if err := os.WriteFile(filepath.Join(dir, MetaFile), []byte(c.content), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("err = %v, want %s", err, c.want)
			}
		})
	}
}

func TestListFindsRunsAtAnyDepth(t *testing.T) {
	dir := t.TempDir()
	var want []string
	for _, run := range []string{"a", "b/2", "b/1", "b/1/history"} {
		path := filepath.Join(dir, run)
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(run, "history") {
			if err := (Meta{}).Save(path); err != nil {
				t.Fatal(err)
			}
			want = append(want, path)
		}
	}
	slices.Sort(want)
	got, err := List(dir)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("runs %v, %v, want %v", got, err, want)
	}
	if Log("run", "p0", 2) != "run/history/p0.2.log" {
		t.Errorf("log at %s", Log("run", "p0", 2))
	}
}
