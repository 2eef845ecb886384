package export

import (
	"iter"
	"time"
)

// Kind of a column's values.
type Kind string

const (
	Integer Kind = "integer"   // int64
	Real    Kind = "real"      // float64
	Text    Kind = "text"      // string
	Flag    Kind = "boolean"   // bool
	Instant Kind = "timestamp" // time.Time, in UTC
)

// Column of a table. Its name carries the unit: ack_response_p99_us.
type Column struct {
	Name  string `json:"name"`
	Kind  Kind   `json:"type"`
	About string `json:"about"`
}

// Table is what CSV, Parquet and docs/export.md are made from. A value that is not known is nil, never 0.
type Table struct {
	Name, About string
	Columns     []Column
	Rows        iter.Seq[[]any] // a value a column, of its Kind; the slice is reused
}

// field is a column of rows of type R, and where a row has its value.
type field[R any] struct {
	Column
	of func(R) any
}

func counts[R any](name, about string, of func(R) uint64) field[R] {
	return field[R]{Column{name, Integer, about}, func(r R) any { return int64(of(r)) }}
}

func integers[R any, N int | int64 | uint64](name, about string, of func(R) *N) field[R] {
	return field[R]{Column{name, Integer, about}, func(r R) any {
		if n := of(r); n != nil {
			return int64(*n)
		}
		return nil
	}}
}

func reals[R any](name, about string, of func(R) *float64) field[R] {
	return field[R]{Column{name, Real, about}, func(r R) any { return orNil(of(r)) }}
}

// texts are not known where they are empty.
func texts[R any](name, about string, of func(R) string) field[R] {
	return field[R]{Column{name, Text, about}, func(r R) any {
		if s := of(r); s != "" {
			return s
		}
		return nil
	}}
}

func flags[R any](name, about string, of func(R) *bool) field[R] {
	return field[R]{Column{name, Flag, about}, func(r R) any { return orNil(of(r)) }}
}

// instants are nanoseconds since the Unix epoch.
func instants[R any](name, about string, of func(R) *int64) field[R] {
	return field[R]{Column{name, Instant, about}, func(r R) any {
		if ns := of(r); ns != nil {
			return time.Unix(0, *ns).UTC()
		}
		return nil
	}}
}

func orNil[T any](v *T) any {
	if v == nil {
		return nil
	}
	return *v
}

func ptrTo[T any](v T) *T { return &v }

func table[R any](name, about string, fields []field[R], rows iter.Seq[R]) Table {
	t := Table{Name: name, About: about}
	for _, f := range fields {
		t.Columns = append(t.Columns, f.Column)
	}
	t.Rows = func(yield func([]any) bool) {
		values := make([]any, len(fields))
		for r := range rows {
			for i, f := range fields {
				values[i] = f.of(r)
			}
			if !yield(values) {
				return
			}
		}
	}
	return t
}
