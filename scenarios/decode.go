package scenarios

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// decoder turns a tree into values and collects all that is wrong on the way. A value that is wrong keeps its default,
// and its path is remembered as spoiled, so that nothing else is said that only follows from it.
type decoder struct {
	problems Problems
	places   map[string]place    // of each value, by its path
	spoiled  map[string]bool     // paths with a problem
	keys     map[string][]string // the keys that each mapping met can have
	buffer   *product            // what client.buffer.memory is the product of, nil where it is a plain size
}

func newDecoder() *decoder {
	return &decoder{places: map[string]place{}, spoiled: map[string]bool{}, keys: map[string][]string{}}
}

// reader takes a value into the place that it was made for.
type reader func(n *node, path string)

// fields of a mapping, by key.
type fields map[string]reader

func (d *decoder) complain(at place, path, hint, format string, args ...any) {
	d.spoiled[path] = true
	d.problems = append(d.problems, at.problem(path, hint, fmt.Sprintf(format, args...)))
}

// mistaken reports a mistake within a value, pointing into the value where that is possible.
func (d *decoder) mistaken(n *node, path string, err error) {
	at, message, hint := n.place, err.Error(), ""
	var m *mistake
	if errors.As(err, &m) {
		message, hint = m.message, m.hint
		if n.plain {
			at.Column += m.offset
		}
	}
	d.complain(at, path, hint, "%s", message)
}

// broken tells whether a problem was found at the path, above it or below it.
func (d *decoder) broken(path string) bool {
	for spoiled := range d.spoiled {
		if within(spoiled, path) || within(path, spoiled) {
			return true
		}
	}
	return false
}

func within(inner, outer string) bool {
	return inner == outer || strings.HasPrefix(inner, outer) && (outer == "" || inner[len(outer)] == '.' || inner[len(outer)] == '[')
}

// locate is the place of a value or, where it is not written down, of what would hold it.
func (d *decoder) locate(path string) place {
	for {
		if at, ok := d.places[path]; ok {
			return at
		}
		cut := strings.LastIndexAny(path, ".[")
		if cut < 0 {
			return d.places[""]
		}
		path = path[:cut]
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// object reads a mapping. Keys that are not among the known ones go to other; without it they are problems.
func (d *decoder) object(n *node, path string, known fields, other func(entry, string)) {
	names := slices.Sorted(maps.Keys(known))
	d.keys[path] = names
	d.places[path] = n.place
	if n.shape != aMapping {
		d.complain(n.place, path, "", "expected a mapping {key: value, ...}, found %s", n.found())
		return
	}
	seen := map[string]place{}
	for _, e := range n.entries {
		p := join(path, e.key)
		if first, twice := seen[e.key]; twice {
			d.complain(e.at, p, "", "given twice; first in line %d", first.Line)
			continue
		}
		seen[e.key] = e.at
		d.places[p] = e.value.place
		read, ok := known[e.key]
		switch {
		case !ok && other != nil:
			other(e, p)
		case !ok:
			d.complain(e.at, p, unknownKeyHint(e.key, names), "unknown key")
		case e.value.shape == aNothing:
			d.complain(e.at, p, "give it a value, or leave it out", "expected a value, found nothing")
		default:
			read(e.value, p)
		}
	}
}

func unknownKeyHint(key string, names []string) string {
	if strings.ContainsAny(key, "()/<>=") {
		return "a comma within {…} separates keys: put the value in quotes"
	}
	return didYouMean(key, names)
}

// list reads a list, item by item.
func (d *decoder) list(n *node, path string, item reader) {
	d.places[path] = n.place
	if n.shape != aList {
		d.complain(n.place, path, "", "expected a list [...], found %s", n.found())
		return
	}
	for i, v := range n.items {
		p := fmt.Sprintf("%s[%d]", path, i)
		d.places[p] = v.place
		item(v, p)
	}
}

// scalar is a reader for a single value.
func scalar[T any](d *decoder, to *T, parse func(*node) (T, error)) reader {
	return func(n *node, path string) {
		v, err := parse(n)
		if err != nil {
			d.mistaken(n, path, err)
			return
		}
		*to = v
	}
}

// words is the text of a value that is written as one; what names it is for messages.
func words(n *node, what string) (string, error) {
	switch n.shape {
	case aText:
		return n.text, nil
	case aNumber, aTruth:
		return "", wrong(fmt.Sprintf("put it in quotes: %q", n.text), "expected %s, found %s %s", what, n.shape, n.text)
	}
	return "", wrong("", "expected %s, found %s", what, n.found())
}

func (d *decoder) text(to *string) reader {
	return scalar(d, to, func(n *node) (string, error) { return words(n, "a text") })
}

// named reads a name of the given form.
func (d *decoder) named(to *string, what string, form *regexp.Regexp) reader {
	return scalar(d, to, func(n *node) (string, error) {
		s, err := words(n, what)
		if err == nil && !form.MatchString(s) {
			err = wrong("", "expected %s, found %q", what, s)
		}
		return s, err
	})
}

// grammar reads a text by one of the format's small grammars.
func grammar[T any](d *decoder, to *T, what string, parse func(string) (T, error)) reader {
	return scalar(d, to, func(n *node) (T, error) {
		s, err := words(n, what)
		if err != nil {
			var zero T
			return zero, err
		}
		return parse(s)
	})
}

func (d *decoder) integer(to *int, least int) reader {
	return scalar(d, to, func(n *node) (int, error) { return wholeNumber(n, least) })
}

func wholeNumber(n *node, least int) (int, error) {
	v, err := strconv.ParseInt(strings.ReplaceAll(n.text, "_", ""), 10, 32)
	if n.shape != aNumber || err != nil {
		return 0, wrong("", "expected a whole number, found %s", n.found())
	}
	if int(v) < least {
		return 0, wrong("", "expected at least %d, found %d", least, v)
	}
	return int(v), nil
}

func (d *decoder) whole64(to *int64) reader {
	return scalar(d, to, func(n *node) (int64, error) {
		v, err := strconv.ParseInt(strings.ReplaceAll(n.text, "_", ""), 10, 64)
		if n.shape != aNumber || err != nil || v < 0 {
			return 0, wrong("", "expected a whole number from 0 on, found %s", n.found())
		}
		return v, nil
	})
}

func (d *decoder) truth(to *bool) reader {
	return scalar(d, to, func(n *node) (bool, error) {
		if n.shape != aTruth {
			return false, wrong("", "expected true or false, found %s", n.found())
		}
		return strings.EqualFold(n.text, "true"), nil
	})
}

func (d *decoder) share(to *float64) reader {
	return scalar(d, to, func(n *node) (float64, error) {
		v, err := strconv.ParseFloat(n.text, 64)
		if n.shape != aNumber || err != nil || !(v >= 0 && v <= 1) {
			return 0, wrong("", "expected a share from 0 to 1, found %s", n.found())
		}
		return v, nil
	})
}

func (d *decoder) duration(to *time.Duration) reader {
	return scalar(d, to, func(n *node) (time.Duration, error) {
		if n.shape != aText && n.shape != aNumber {
			return 0, wrong("", "expected a duration such as 300ms, 8s or 1m30s, found %s", n.found())
		}
		return parseDuration(n.text)
	})
}

func (d *decoder) size(to *int) reader {
	return scalar(d, to, func(n *node) (int, error) {
		if n.shape != aText && n.shape != aNumber {
			return 0, wrong("", "expected a size such as 512, 16KiB or 1MiB, found %s", n.found())
		}
		v, err := parseSize(n.text)
		if err == nil && v > 1<<30 {
			err = wrong("", "expected at most 1GiB, found %s", n.found())
		}
		return int(v), err
	})
}

// choice reads one of a few words.
func choice[T ~string](d *decoder, to *T, words ...T) reader {
	return scalar(d, to, func(n *node) (T, error) {
		if slices.Contains(words, T(n.text)) && n.shape == aText {
			return T(n.text), nil
		}
		names := make([]string, len(words))
		for i, w := range words {
			names[i] = string(w)
		}
		hint := ""
		if near := nearest(n.text, names); near != "" && n.text != "" {
			hint = "did you mean " + near + "?"
		}
		if len(names) > 8 {
			if hint == "" {
				hint = "known: " + strings.Join(names, ", ")
			}
			return "", wrong(hint, "unknown name %s", n.found())
		}
		return "", wrong(hint, "expected %s, found %s", orList(names), n.found())
	})
}

func orList(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}
