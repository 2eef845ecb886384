package scenarios

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestRatesThatMove(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rates.csv")
	if err := os.WriteFile(file, []byte("seconds,rate\n0,100\n\n# a rest\n10,0\n15,300\n20,0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for rate, want := range map[string]struct {
		mean   float64
		stages int
	}{
		"ramp(0/s, 1000/s)":              {500, 1},
		"steps(1000/s, 2000/s, 6000/s)":  {3000, 3},
		"sine(3000/s, 1000/s, 10s)":      {3000, 6 * sineLines},
		"bursts(1000/s, 5000/s, 4s, 1s)": {2000, 30},
		"replay(" + file + ")":           {125, 9},
	} {
		s, err := Parse("test.yaml", []byte("load: {rate: '"+rate+"', duration: 60s}"))
		if err != nil {
			t.Errorf("%s: %v", rate, err)
			continue
		}
		stages := s.Load.Stages()
		if math.Abs(s.Load.Rate-want.mean) > 1e-6*want.mean || len(stages) != want.stages || length(stages) != time.Minute {
			t.Errorf("%s: mean %v in %d stages over %v", rate, s.Load.Rate, len(stages), length(stages))
		}
		if got := s.Load.Shape.text(); got != rate {
			t.Errorf("%s is written as %s", rate, got)
		}
	}
}

func TestAReplayLastsAsLongAsItsFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rates.csv")
	if err := os.WriteFile(file, []byte("0,100\n2.5,50\n5,0"), 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := Parse("test.yaml", []byte("load: {rate: 'replay("+file+")'}"))
	if err != nil || s.Load.Duration != 5*time.Second || s.Load.Rate != 75 {
		t.Errorf("%v, %v, %v", s.Load.Duration, s.Load.Rate, err)
	}
}

func TestRatesThatCannotBe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rates.csv")
	if err := os.WriteFile(file, []byte("0,100\n10,50\n5,0"), 0o644); err != nil {
		t.Fatal(err)
	}
	for rate, want := range map[string]string{
		"ramp(1000/s)":                       "expected ramp(FROM, TO)",
		"rmap(1/s, 2/s)":                     "did you mean ramp?",
		"ramp(0/s, 0/s)":                     "above 0 somewhere",
		"ramp(1000, 2000/s)":                 "write 1000/s",
		"ramp(max, 2000/s)":                  "no place within a shape",
		"ramp(1/s, 2/s) x":                   "nothing can follow",
		"sine(1000/s, 2000/s, 1s)":           "fall below 0",
		"sine(1000/s, 10/s, 1ms)":            "at least 10ms",
		"bursts(1000/s, 2000/s, 1s, 2s)":     "less than the 1s",
		"sine(1000/s, 10/s, 20ms)":           "3000 periods, more than 2000",
		"replay(" + file + ")":               "line 3: times ascend",
		"replay(/nowhere)":                   "cannot read the rates",
		"replay(" + filepath.Dir(file) + ")": "no file of at most",
	} {
		_, err := Parse("test.yaml", []byte("load: {rate: '"+rate+"', duration: 60s}"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", rate, err, want)
		}
	}
}

func FuzzRates(f *testing.F) {
	f.Add("0,100\n10,50\n")
	f.Add("a,b\n0,1/s\n1e3,2\n")
	f.Fuzz(func(t *testing.T, text string) {
		stages, err := readRates(strings.NewReader(text))
		if err == nil && (mean(stages) <= 0 || math.IsNaN(mean(stages)) || length(stages) <= 0) {
			t.Errorf("%q: a mean of %v over %v", text, mean(stages), length(stages))
		}
	})
}
