// Package settings is what kbench knows of client settings: Kafka's own names with their types, units and the defaults
// of Kafka's Java clients 4.x, what the two client libraries call them, and where a library means something else.
// It is a leaf.
//
// Users write Kafka's names. Both drivers start from the same resolved settings, in which everything unset has the
// Java client's default, so that one scenario means one thing whichever library carries it out.
//
// Sources: Kafka 4.3's producer and consumer configuration, librdkafka 2.15's CONFIGURATION.md, KIP-679 (idempotence
// by default), KIP-1030 (linger.ms 5).
package settings

import (
	"fmt"
	"slices"
	"strings"
)

// Role is the kind of client that a setting is for.
type Role uint8

const (
	Producer Role = 1 << iota
	Consumer
	Both = Producer | Consumer
)

func (r Role) String() string {
	switch r {
	case Producer:
		return "producer"
	case Consumer:
		return "consumer"
	}
	return "client"
}

// Kind is the type of a setting's value, and so its unit.
type Kind uint8

const (
	Text   Kind = iota
	Bytes       // whole bytes; "32MiB" is understood
	Millis      // whole milliseconds; "30s" is understood
	Int
	Bool
	Enum // one of Values
	List // comma-separated
)

// Setting is one setting of a client.
type Setting struct {
	Name     string
	Role     Role
	Kind     Kind
	Default  string   // Kafka's in raw units, save where Note says otherwise; "" where there is none
	Min, Max int64    // of Bytes, Millis and Int; Max 0: no bound but that of the type
	Values   []string // of Enum
	Secret   bool     // never to be shown

	Librdkafka        string // librdkafka's name; "" where it has none
	LibrdkafkaDefault string
	Franz             string // the option of franz-go that carries it; "" where it has none
	Note              string // what differs, for a report

	// Library is set for a name that is one library's own and not Kafka's: "librdkafka".
	Library string
	// Refused says why kbench cannot honour this name of Kafka's.
	Refused string
}

// All settings of Kafka's that a role has, in the order of the table.
func All(role Role) []Setting {
	var all []Setting
	for _, s := range table {
		if s.Role&role != 0 {
			all = append(all, s)
		}
	}
	return all
}

// librdkafkaPrefix marks a name as librdkafka's own, whether kbench knows it or not.
const librdkafkaPrefix = "librdkafka."

// Lookup finds a setting by Kafka's name, by a name of librdkafka's own, or by any such name after "librdkafka.".
func Lookup(role Role, name string) (Setting, bool) {
	for _, s := range table {
		if s.Name == name && s.Role&role != 0 {
			return s, true
		}
	}
	if own, ok := strings.CutPrefix(name, librdkafkaPrefix); ok && own != "" {
		return Setting{Name: name, Role: role, Librdkafka: own, Library: "librdkafka", Secret: secretive(own),
			Refused: librdkafkaRefused[own]}, true
	}
	if r, ok := librdkafkaOnly[name]; ok && r&role != 0 {
		return Setting{Name: name, Role: r, Librdkafka: name, Library: "librdkafka", Secret: secretive(name)}, true
	}
	if why, ok := librdkafkaRefused[name]; ok {
		return Setting{Name: name, Role: Both, Library: "librdkafka", Refused: why}, true
	}
	return Setting{}, false
}

// Nearest is the known name most like an unknown one, "" where none is near.
func Nearest(role Role, name string) string {
	best, least := "", 1+max(2, len(name)/4)
	consider := func(candidate string) {
		if d := distance(strings.ToLower(name), candidate); d < least || d == least && candidate < best {
			best, least = candidate, d
		}
	}
	for _, s := range table {
		if s.Role&role != 0 && s.Refused == "" {
			consider(s.Name)
		}
	}
	for own, r := range librdkafkaOnly {
		if r&role != 0 {
			consider(own)
		}
	}
	return best
}

// distance is the optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before, last, row = last, row, before
		row[0] = i + 1
		for j := range len(b) {
			change := last[j]
			if a[i] != b[j] {
				change++
			}
			row[j+1] = min(row[j]+1, last[j+1]+1, change)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(b)]
}

// unknown is the error for a name that is no setting.
func unknown(role Role, name string) error {
	if other, ok := Lookup(Both&^role, name); ok && other.Library == "" {
		return fmt.Errorf("%s is a %s setting, not a %s's", name, Both&^role, role)
	}
	if near := Nearest(role, name); near != "" {
		return fmt.Errorf("unknown %s setting %s (did you mean %s?)", role, name, near)
	}
	return fmt.Errorf("unknown %s setting %s", role, name)
}

// Redacted stands in reports for the value of a secret.
const Redacted = "[redacted]"

// Redact copies settings with the values of secrets blotted out. A name that it does not know is taken for a secret
// if it looks like one.
func Redact(values map[string]string) map[string]string {
	shown := make(map[string]string, len(values))
	for name, value := range values {
		s, known := Lookup(Both, name)
		if known && s.Secret || secretive(name) {
			value = Redacted
		}
		shown[name] = value
	}
	return shown
}

// secretive tells whether a name looks like that of a secret.
func secretive(name string) bool {
	return slices.ContainsFunc([]string{"password", "passphrase", "secret", "jaas", "keystore.key", "key.pem", "private.key", "oauthbearer.config", "assertion"},
		func(part string) bool { return strings.Contains(name, part) }) && !strings.HasSuffix(name, ".class")
}
