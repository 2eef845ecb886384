package scenarios

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

var bareNumber = regexp.MustCompile(`^-?[0-9][0-9_]*(\.[0-9]+)?$`)

// parseDuration reads 300ms, 8s, 1m30s. A number without a unit is refused: nobody can tell what it means.
func parseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	switch {
	case bareNumber.MatchString(s):
		return 0, wrong("write "+s+"s or "+s+"ms", "expected a duration such as 300ms, 8s or 1m30s; %q has no unit", s)
	case err != nil:
		return 0, wrong("", "expected a duration such as 300ms, 8s or 1m30s, found %q", s)
	case d < 0:
		return 0, wrong("", "a duration cannot be negative, found %q", s)
	}
	return d, nil
}

// parseSize reads 48, 16KiB, 1MiB, 10kB into bytes.
func parseSize(s string) (int64, error) {
	n, err := humanize.ParseBytes(s)
	if err != nil || n > math.MaxInt64 || !unit.MatchString(s) {
		return 0, wrong("", "expected a size such as 512, 16KiB or 1MiB, found %q", s)
	}
	return int64(n), nil
}

// unit keeps humanize's leniency ("1k", "1,000") out.
var unit = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?\s?(B|[kKMGT]i?B)?$`)

func formatSize(n int64) string {
	for _, u := range []struct {
		name string
		size int64
	}{{"GiB", humanize.GiByte}, {"MiB", humanize.MiByte}, {"KiB", humanize.KiByte}} {
		if n > 0 && n%u.size == 0 {
			return strconv.FormatInt(n/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}

// ParseRate reads a rate such as 5000/s.
func ParseRate(s string) (perSecond float64, err error) {
	perSecond, most, err := parseRate(s)
	if err == nil && most {
		err = wrong("", "expected a rate such as 5000/s, found max")
	}
	return perSecond, err
}

// parseRate reads 5000/s, or max.
func parseRate(s string) (perSecond float64, max bool, err error) {
	if s == "max" {
		return 0, true, nil
	}
	count, ok := strings.CutSuffix(s, "/s")
	if bareNumber.MatchString(s) {
		return 0, false, wrong("write "+s+"/s", "expected a rate such as 5000/s, or max; %q has no unit", s)
	}
	n, bad := strconv.ParseFloat(strings.ReplaceAll(strings.TrimSpace(count), "_", ""), 64)
	if !ok || bad != nil || math.IsInf(n, 0) || math.IsNaN(n) {
		return 0, false, wrong("", "expected a rate such as 5000/s, or max, found %q", s)
	}
	if n <= 0 {
		return 0, false, wrong("leave the rate out where only steps send", "a rate must be above 0, found %q", s)
	}
	return n, false, nil
}

func formatRate(perSecond float64) string {
	return strconv.FormatFloat(perSecond, 'f', -1, 64) + "/s"
}
