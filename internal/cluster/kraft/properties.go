package kraft

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"unicode/utf16"
)

// WriteProperties writes a file that java.util.Properties reads, sorted by name.
func WriteProperties(path string, settings map[string]string) error {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&text, "%s=%s\n", escape(name, " =:#!"), escape(settings[name], ""))
	}
	return os.WriteFile(path, []byte(text.String()), 0o644)
}

// escape writes what java.util.Properties would read otherwise: backslashes, leading blanks, the special characters, and
// all but printable ASCII as \uXXXX in UTF-16.
func escape(s, special string) string {
	var out strings.Builder
	for i, r := range s {
		switch {
		case r == '\\' || strings.ContainsRune(special, r) || i == 0 && r == ' ':
			out.WriteString("\\" + string(r))
		case r < ' ' || r > '~':
			for _, unit := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(&out, "\\u%04x", unit)
			}
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}
