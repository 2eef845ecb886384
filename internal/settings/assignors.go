package settings

import (
	"fmt"
	"slices"
	"strings"
)

// assignors are the short names of Java's assignors.
var assignors = map[string]string{
	"RangeAssignor":             "range",
	"RoundRobinAssignor":        "roundrobin",
	"StickyAssignor":            "sticky",
	"CooperativeStickyAssignor": "cooperative-sticky",
}

// Assignors reads partition.assignment.strategy: Java's class names, with or without their package, or short names.
func Assignors(list string) ([]string, error) {
	var names []string
	for _, name := range strings.Split(list, ",") {
		short := name[strings.LastIndexByte(name, '.')+1:]
		if known, ok := assignors[short]; ok {
			short = known
		}
		if !slices.Contains([]string{"range", "roundrobin", "sticky", "cooperative-sticky"}, short) {
			return nil, fmt.Errorf("partition.assignment.strategy: unknown assignor %q (want range, roundrobin, sticky or cooperative-sticky)", name)
		}
		names = append(names, short)
	}
	if slices.Contains(names, "cooperative-sticky") && len(names) > 1 {
		return nil, fmt.Errorf("partition.assignment.strategy: cooperative-sticky cannot stand beside other assignors")
	}
	return names, nil
}

func joined(names []string) string { return strings.Join(names, ",") }
