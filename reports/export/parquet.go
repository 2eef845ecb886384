package export

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/parquet-go/parquet-go"
)

// WriteParquet writes a table as a Parquet file: every column optional, what is not known null, compressed with zstd. What
// the columns mean stands in the file's own metadata, as JSON under kbench.columns.
func WriteParquet(w io.Writer, t Table, program string) error {
	about, err := json.Marshal(t.Columns)
	if err != nil {
		return err
	}
	schema, err := parquetSchema(t)
	if err != nil {
		return err
	}
	out := parquet.NewWriter(w, schema, parquet.Compression(&parquet.Zstd), parquet.CreatedBy("kbench", program, ""),
		parquet.KeyValueMetadata("kbench.table", t.Name), parquet.KeyValueMetadata("kbench.about", t.About),
		parquet.KeyValueMetadata("kbench.columns", string(about)))
	row := make(parquet.Row, len(t.Columns))
	for values := range t.Rows {
		for i, v := range values {
			if row[i], err = parquetValue(v, t.Columns[i], i); err != nil {
				return err
			}
		}
		if _, err := out.WriteRows([]parquet.Row{row}); err != nil {
			return err
		}
	}
	return out.Close()
}

// inOrder is a group whose fields stand as in the table: the library sorts those of a plain one by name.
type inOrder struct {
	parquet.Group
	fields []parquet.Field
}

func (g inOrder) Fields() []parquet.Field { return g.fields }

func parquetSchema(t Table) (*parquet.Schema, error) {
	g := parquet.Group{}
	place := map[string]int{}
	for i, c := range t.Columns {
		node, err := parquetNode(c)
		if err != nil {
			return nil, err
		}
		g[c.Name], place[c.Name] = parquet.Optional(node), i
	}
	if len(g) != len(t.Columns) {
		return nil, fmt.Errorf("table %s has two columns of one name", t.Name)
	}
	fields := slices.SortedFunc(slices.Values(g.Fields()), func(a, b parquet.Field) int { return place[a.Name()] - place[b.Name()] })
	return parquet.NewSchema(t.Name, inOrder{g, fields}), nil
}

func parquetNode(c Column) (parquet.Node, error) {
	switch c.Kind {
	case Integer:
		return parquet.Int(64), nil
	case Real:
		return parquet.Leaf(parquet.DoubleType), nil
	case Text:
		return parquet.Encoded(parquet.String(), &parquet.RLEDictionary), nil
	case Flag:
		return parquet.Leaf(parquet.BooleanType), nil
	case Instant:
		return parquet.Timestamp(parquet.Microsecond), nil
	}
	return nil, fmt.Errorf("column %s: no Parquet type for %s", c.Name, c.Kind)
}

func parquetValue(v any, c Column, column int) (parquet.Value, error) {
	var out parquet.Value
	var kind Kind
	switch v := v.(type) {
	case nil:
		return parquet.NullValue().Level(0, 0, column), nil
	case int64:
		out, kind = parquet.Int64Value(v), Integer
	case float64:
		out, kind = parquet.DoubleValue(v), Real
	case string:
		out, kind = parquet.ByteArrayValue([]byte(v)), Text
	case bool:
		out, kind = parquet.BooleanValue(v), Flag
	case time.Time:
		out, kind = parquet.Int64Value(v.UnixMicro()), Instant
	}
	if kind != c.Kind {
		return out, fmt.Errorf("column %s: a value of type %T where %s is due", c.Name, v, c.Kind)
	}
	return out.Level(0, 1, column), nil
}
