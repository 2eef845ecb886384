package settings

import (
	"maps"
	"slices"
)

// Kafka is Kafka's own name for what a setting by a name of librdkafka's sets, "" where Kafka has none.
func (s Setting) Kafka(role Role) string {
	if s.Library == "" {
		return s.Name
	}
	own := canonical(s.Librdkafka)
	for _, known := range table {
		if known.Role&role != 0 && known.Librdkafka == own {
			return known.Name
		}
	}
	return ""
}

// LibraryNames are the names of librdkafka's own that a role can be given, beside those after "librdkafka.".
func LibraryNames(role Role) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(librdkafkaOnly)) {
		if librdkafkaOnly[name]&role != 0 {
			names = append(names, name)
		}
	}
	return names
}
