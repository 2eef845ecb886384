package rundir

import (
	"bytes"
	"errors"
	"fmt"
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
	want.Seal = got.Seal
	if err != nil || got.Seal == "" || !reflect.DeepEqual(got, want) {
		t.Errorf("loaded\n%+v, %v, want\n%+v", got, err, want)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left in the directory: %v, %v", entries, err)
	}
}

// Whatever happens to a byte of run.json, whoever reads it is told.
func TestAChangedRunIsRecognised(t *testing.T) {
	dir := t.TempDir()
	whole := Meta{RunID: "0000000000000000", Stage: Complete, Faults: []Fault{{Name: "kill", At: 1000, Bit: true}}, Clock: Clock{WallStepMs: 7}}
	if err := whole.Save(dir); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, MetaFile))
	if err != nil {
		t.Fatal(err)
	}
	if m, err := Load(dir); err != nil || m.Altered != "" {
		t.Fatalf("as it was written: %q, %v", m.Altered, err)
	}
	recognised := func(what string, content []byte) {
		if m, err := parse(content); err == nil && m.Altered == "" {
			t.Errorf("%s: nobody is told", what)
		}
	}
	for at := range b {
		for _, flip := range []byte{1, 2, 4, 8, 16, 32, 64, 128} {
			changed := slices.Clone(b)
			changed[at] ^= flip
			recognised(fmt.Sprintf("byte %d of %q with %x", at, b[max(0, at-10):at+1], flip), changed)
		}
		recognised(fmt.Sprintf("without byte %d", at), slices.Delete(slices.Clone(b), at, at+1))
		recognised(fmt.Sprintf("cut at %d", at), b[:at])
	}
	recognised("a member more", bytes.Replace(b, []byte(`"repeat"`), []byte(`"dropped": 5, "repeat"`), 1))
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

func TestWhereALogLies(t *testing.T) {
	if Log("run", "p0", 2) != "run/history/p0.2.log" {
		t.Errorf("log at %s", Log("run", "p0", 2))
	}
}

func TestRunsOfAFolder(t *testing.T) {
	root := filepath.Join(t.TempDir(), "runs [1]")
	for _, name := range []string{"002-b", "001-a", "cluster"} {
		if err := os.MkdirAll(filepath.Join(root, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Runs(root); err == nil || !strings.Contains(err.Error(), "no run directory") {
		t.Errorf("a folder of none: %v", err)
	}
	a, b := filepath.Join(root, "001-a"), filepath.Join(root, "002-b")
	for _, dir := range []string{a, b} {
		if err := (Meta{}).Save(dir); err != nil {
			t.Fatal(err)
		}
	}
	several := filepath.Join(root, "010-several")
	of := Plan{Scenarios: []string{"name: a"}, Runs: []PlanRun{{Dir: "001-a"}, {Dir: "002-b"}}}
	for _, dir := range []string{filepath.Join(several, "001-a"), filepath.Join(several, "warm-up-1")} {
		if err := errors.Join(os.MkdirAll(dir, 0o755), Meta{}.Save(dir)); err != nil {
			t.Fatal(err)
		}
	}
	if err := of.Save(several); err != nil {
		t.Fatal(err)
	}
	first := filepath.Join(several, "001-a")
	for of, want := range map[string][]string{root: {a, b, first}, a: {a}, several: {first}} {
		if got, err := Runs(of); err != nil || !slices.Equal(got, want) {
			t.Errorf("runs of %s: %v, %v, want %v", of, got, err, want)
		}
	}
	for of, want := range map[string]int{root: 1, a: 0, several: 1, filepath.Join(root, "nothing"): 0} {
		if got := Unmade(of); got != want {
			t.Errorf("%d runs of %s have not begun, want %d", got, of, want)
		}
	}
	if _, err := Runs(filepath.Join(root, "nothing")); err == nil {
		t.Error("a folder that is not there has runs")
	}
}
