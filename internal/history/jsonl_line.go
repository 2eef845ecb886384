package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// object is a JSON object whose members are taken one by one, so that what is left over is known to be unknown.
// The first problem stays in err.
type object struct {
	fields []field
	err    error
}

type field struct {
	name string
	raw  json.RawMessage
}

// parseObject reads one object, which must be all that b holds.
func parseObject(b []byte) *object {
	o := &object{}
	if !utf8.Valid(b) {
		o.err = errors.New("not valid UTF-8")
		return o
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		o.err = fmt.Errorf("not a JSON object: %s", short(b))
		return o
	}
	for d.More() {
		var f field
		t, err := d.Token()
		if err == nil {
			f.name, _ = t.(string)
			err = d.Decode(&f.raw)
		}
		if err != nil {
			o.err = fmt.Errorf("not valid JSON: %w", err)
			return o
		}
		if o.has(f.name) {
			o.err = fmt.Errorf("%q stands twice", f.name)
			return o
		}
		o.fields = append(o.fields, f)
	}
	if _, err := d.Token(); err != nil {
		o.err = fmt.Errorf("not valid JSON: %w", err)
	} else if _, err := d.Token(); err != io.EOF {
		o.err = errors.New("more than one JSON object in a line")
	}
	return o
}

func short(b []byte) string {
	if len(b) > 40 {
		return strconv.Quote(string(b[:40])) + "…"
	}
	return strconv.Quote(string(b))
}

func (o *object) has(name string) bool {
	return slices.ContainsFunc(o.fields, func(f field) bool { return f.name == name })
}

func (o *object) fail(format string, args ...any) {
	if o.err == nil {
		o.err = fmt.Errorf(format, args...)
	}
}

// take removes a member and returns it, nil if there is none.
func (o *object) take(name string) json.RawMessage {
	for i, f := range o.fields {
		if f.name == name {
			o.fields = slices.Delete(o.fields, i, i+1)
			return f.raw
		}
	}
	return nil
}

func (o *object) need(name string) json.RawMessage {
	raw := o.take(name)
	if raw == nil {
		o.fail("%q is missing", name)
	}
	return raw
}

// optionalString returns "" where the member is missing.
func (o *object) optionalString(name string) string {
	raw := o.take(name)
	if raw == nil {
		return ""
	}
	var s *string
	if json.Unmarshal(raw, &s) != nil || s == nil {
		o.fail("%q: %s is not a string", name, short(raw))
		return ""
	}
	if len(*s) > maxString {
		o.fail("%q: longer than %d bytes", name, maxString)
		return ""
	}
	return *s
}

func (o *object) string(name string) string {
	if !o.has(name) {
		o.fail("%q is missing", name)
		return ""
	}
	s := o.optionalString(name)
	if s == "" {
		o.fail("%q is empty", name)
	}
	return s
}

// integer returns missing where the member is missing.
func (o *object) integer(name string, least, most, missing int64) int64 {
	raw := o.take(name)
	if raw == nil {
		return missing
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	switch {
	case err != nil:
		o.fail("%q: %s is not an integer", name, short(raw))
	case n < least || n > most:
		o.fail("%q: %d is not between %d and %d", name, n, least, most)
	}
	return n
}

func (o *object) flag(name string) bool {
	switch raw := o.take(name); string(raw) {
	case "", "false":
		return false
	case "true":
		return true
	default:
		o.fail("%q: %s is neither true nor false", name, short(raw))
		return false
	}
}

func (o *object) strings(name string) []string {
	raw := o.take(name)
	if raw == nil {
		return nil
	}
	var list []*string
	if json.Unmarshal(raw, &list) != nil || list == nil || slices.Contains(list, nil) {
		o.fail("%q: %s is not a list of strings", name, short(raw))
		return nil
	}
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = *s
	}
	return out
}

// oneOf returns the place of a member's text among names, and missing where there is none.
func (o *object) oneOf(name string, missing int, names ...string) int {
	if !o.has(name) {
		return missing
	}
	s := o.optionalString(name)
	i := slices.Index(names, s)
	if i < 0 {
		o.fail("%q: %q is none of %s", name, s, strings.Join(names, ", "))
		return missing
	}
	return i
}

// object of a member; nil where it is missing.
func (o *object) object(name string) *object {
	raw := o.take(name)
	if raw == nil {
		return nil
	}
	inner := parseObject(raw)
	if inner.err != nil {
		o.fail("%q: %w", name, inner.err)
	}
	return inner
}

// each calls f for each object of a list that must be there.
func (o *object) each(name string, f func(*object)) {
	var list []json.RawMessage
	raw := o.need(name)
	if raw == nil {
		return
	}
	if json.Unmarshal(raw, &list) != nil || list == nil {
		o.fail("%q: %s is not a list", name, short(raw))
		return
	}
	if len(list) > maxItems {
		o.fail("%q: more than %d", name, maxItems)
		return
	}
	for i, raw := range list {
		item := parseObject(raw)
		if item.err == nil {
			f(item)
			item.finish()
		}
		if item.err != nil {
			o.fail("%q[%d]: %w", name, i, item.err)
			return
		}
	}
}

// finish complains about members that nobody took.
func (o *object) finish() {
	for _, f := range o.fields {
		o.fail("%q is unknown here", f.name)
	}
}
