package franz

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kbench/kbench/internal/driver/count"
)

// logger passes the library's log lines on. A producer's logger also counts what the library repeats: no hook tells
// it, but the line about each answer does.
type logger struct {
	log   func(string)
	level kgo.LogLevel
	count *count.Counts
}

func (l logger) Level() kgo.LogLevel { return l.level }

func (l logger) Log(level kgo.LogLevel, message string, pairs ...any) {
	if message == "produced" {
		l.answered(pairs)
	}
	if level > kgo.LogLevelInfo {
		return
	}
	if l.count != nil && strings.HasPrefix(message, "produce request failed") {
		l.count.Add("request_failures", 1)
	}
	var line strings.Builder
	fmt.Fprintf(&line, "%v: %s", level, message)
	for i := 0; i+1 < len(pairs); i += 2 {
		fmt.Fprintf(&line, " %v=%v", pairs[i], pairs[i+1])
	}
	l.log(line.String())
}

// repeated matches what the library says of a batch that it will send again: offset, records, error.
var repeated = regexp.MustCompile(`retrying@-?\d+,(\d+)\(([A-Z_]+)`)

func (l logger) answered(pairs []any) {
	if l.count == nil {
		return
	}
	for _, value := range pairs {
		text, ok := value.(string)
		if !ok || !strings.Contains(text, "retrying@") {
			continue
		}
		for _, found := range repeated.FindAllStringSubmatch(text, -1) {
			records, _ := strconv.ParseUint(found[1], 10, 64)
			l.count.Add("retries", records)
			l.count.Add("error."+found[2], records)
		}
	}
}
