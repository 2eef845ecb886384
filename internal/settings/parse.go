package settings

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/dustin/go-humanize"
)

// Parse checks a value as a user writes it and returns it in Kafka's raw units: bytes, milliseconds, true or false.
// What it returns parses to itself.
func Parse(s Setting, text string) (string, error) {
	if s.Refused != "" {
		return "", fmt.Errorf("%s: %s", s.Name, s.Refused)
	}
	text = strings.TrimSpace(text)
	value, err := s.parse(text)
	if err != nil {
		if s.Secret {
			text = Redacted
		}
		return "", fmt.Errorf("%s: %q: %w", s.Name, text, err)
	}
	return value, nil
}

func (s Setting) parse(text string) (string, error) {
	switch s.Kind {
	case Bytes, Millis, Int:
		n, err := number(s.Kind, text)
		if err != nil {
			return "", err
		}
		return s.bounded(n)
	case Bool:
		if text != "true" && text != "false" {
			return "", fmt.Errorf("want true or false")
		}
		return text, nil
	case Enum:
		return s.oneOf(text)
	case List:
		parts := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
		return strings.Join(parts, ","), nil
	}
	return text, nil
}

func (s Setting) oneOf(text string) (string, error) {
	if s.Name == "acks" && text == "-1" {
		text = "all"
	}
	for _, v := range s.Values {
		if strings.EqualFold(v, text) {
			return v, nil
		}
	}
	return "", fmt.Errorf("want one of %s", strings.Join(slices.DeleteFunc(slices.Clone(s.Values), func(v string) bool { return v == "" }), ", "))
}

func (s Setting) bounded(n int64) (string, error) {
	most := s.Max
	if most == 0 {
		most = math.MaxInt32
	}
	if n < s.Min || n > most {
		return "", fmt.Errorf("want %d to %d%s", s.Min, most, map[Kind]string{Bytes: " bytes", Millis: " ms"}[s.Kind])
	}
	return strconv.FormatInt(n, 10), nil
}

// number reads a plain number in the raw unit, or one with a unit of its kind.
func number(kind Kind, text string) (int64, error) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, nil
	}
	switch kind {
	case Bytes:
		n, err := humanize.ParseBytes(text)
		if err != nil || n > math.MaxInt64 {
			return 0, fmt.Errorf("want a size such as 16384, 16KiB or 32MiB")
		}
		return int64(n), nil
	case Millis:
		d, err := time.ParseDuration(text)
		if err != nil {
			return 0, fmt.Errorf("want a duration such as 500 (ms), 500ms or 30s")
		}
		if d%time.Millisecond != 0 {
			return 0, fmt.Errorf("want whole milliseconds")
		}
		return d.Milliseconds(), nil
	}
	return 0, fmt.Errorf("want a whole number")
}
