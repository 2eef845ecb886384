package reports

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// axisName is a path as a column is headed: what follows client, load and the like.
func axisName(path string) string {
	for _, lead := range []string{"client.", "consumer.", "cluster.config.", "cluster.", "load."} {
		if rest, ok := strings.CutPrefix(path, lead); ok {
			return rest
		}
	}
	if strings.HasPrefix(path, "topics") {
		_, rest, _ := strings.Cut(path, ".")
		return strings.TrimPrefix(rest, "config.")
	}
	return path
}

// compareCells orders cells by the values of their axes.
func compareCells(a, b map[string]string) int {
	for _, path := range slices.Sorted(maps.Keys(a)) {
		if c := compareValues(a[path], b[path]); c != 0 {
			return c
		}
	}
	return 0
}

// compareValues orders the values of an axis by what they are worth, where they are numbers of a kind: 1KiB before 16KiB,
// 5ms before 1s, 0.5 x batch.size before batch.size x 2, and max and all behind every number.
func compareValues(a, b string) int {
	x, known := magnitude(a)
	y, both := magnitude(b)
	switch {
	case known && both && x != y:
		return cmp.Compare(x, y)
	case known != both && math.IsInf(x+y, 0): // none, before whatever else there is; all and max behind it
		return cmp.Compare(x, y)
	}
	return cmp.Compare(a, b)
}

func magnitude(value string) (float64, bool) {
	switch value {
	case "max", "all":
		return math.Inf(1), true
	case "none":
		return math.Inf(-1), true
	}
	product, numbers := 1.0, false
	for _, factor := range strings.Fields(strings.NewReplacer(" x ", " ", " * ", " ").Replace(value)) {
		if n, ok := number64(factor); ok {
			product, numbers = product*n, true
		}
	}
	if !numbers && !isProduct(value) {
		return 0, false
	}
	return product, true
}

// isProduct tells a size that follows from others.
func isProduct(value string) bool {
	return strings.Contains(value, "batch.size") || strings.Contains(value, "partitions")
}

func number64(s string) (float64, bool) {
	s = strings.TrimSuffix(s, "/s")
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		return n, true
	}
	if d, err := time.ParseDuration(s); err == nil {
		return float64(d), true
	}
	if n, err := humanize.ParseBytes(s); err == nil {
		return float64(n), true
	}
	return 0, false
}

// bytesText is a size in the unit that suits: 192KiB, 1MiB, 1.5MiB.
func bytesText(n float64) string {
	for _, u := range []struct {
		name string
		size float64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= u.size {
			return decimal(n/u.size, 1) + u.name
		}
	}
	return decimal(n, 0) + "B"
}

// shortly is a figure to three digits: 850, 12.3k, 1.21M.
func shortly(f float64) string {
	switch a := math.Abs(f); {
	case a >= 999_500:
		return threeDigits(f/1e6) + "M"
	case a >= 999.5:
		return threeDigits(f/1e3) + "k"
	default:
		return threeDigits(f)
	}
}

func threeDigits(f float64) string {
	switch a := math.Abs(f); {
	case a >= 99.95:
		return strconv.FormatFloat(f, 'f', 0, 64)
	case a >= 9.995:
		return strconv.FormatFloat(f, 'f', 1, 64)
	default:
		return strconv.FormatFloat(f, 'f', 2, 64)
	}
}

// change is a ratio in words: +12%, -3.4%, no change; from a factor of two on ×2.1.
func change(ratio *float64) string {
	if ratio == nil {
		return unknown
	}
	switch r := *ratio; {
	case r >= 2:
		return "×" + threeDigits(r)
	case r > 0 && r <= 0.1:
		return "÷" + threeDigits(1/r)
	default:
		percent := 100 * (r - 1)
		digits := 0
		if math.Abs(percent) < 9.95 {
			digits = 1
		}
		text := strconv.FormatFloat(percent, 'f', digits, 64)
		if percent >= 0 {
			text = "+" + text
		}
		return strings.Replace(text, "-0.0", "+0.0", 1) + "%"
	}
}

// pText is a p-value to as many digits as are of use.
func pText(p *float64) string {
	switch {
	case p == nil:
		return "p not known"
	case *p < 0.001:
		return "p < 0.001"
	default:
		return "p = " + decimal(*p, 3)
	}
}
