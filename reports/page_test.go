package reports

import (
	"slices"
	"testing"
	"time"
)

func TestDurationsKeepThreeDigits(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                       "0s",
		time.Microsecond:        "1µs",
		850 * time.Microsecond:  "850µs",
		41_234_567:              "41.2ms",
		999_600 * 1000:          "1s",
		6_123 * ms1:             "6.12s",
		61_500 * ms1:            "1m1.5s",
		130*time.Second + 1:     "2m10s",
		time.Hour + time.Minute: "1h1m0s",
	} {
		if got := duration(d); got != want {
			t.Errorf("%d ns: %s, want %s", d, got, want)
		}
	}
}

const ms1 = time.Millisecond

func TestRatesAreRoundedNotCut(t *testing.T) {
	for f, want := range map[float64]string{0: "0", 0.976: "1", 0.94: "0.9", 12.25: "12.2", 99.96: "100", 4998.6: "4,999"} {
		if got := rate(&f); got != want {
			t.Errorf("%g: %s, want %s", f, got, want)
		}
	}
	if got := rate(nil); got != unknown {
		t.Errorf("unknown is %q, want %q", got, unknown)
	}
}

func TestWrap(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"fits":                     {"ab cd", []string{"ab cd"}},
		"breaks at a space":        {"abc def ghi", []string{"abc def", "ghi"}},
		"a long word stands alone": {"a bcdefghijk l", []string{"a", "bcdefghijk", "l"}},
		"counts characters":        {"1→2→3→4 µ", []string{"1→2→3→4", "µ"}},
		"nothing":                  {"", []string{""}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := wrap(c.text, 8); !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
