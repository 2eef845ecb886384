package export

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"time"
)

// csvTime is RFC 3339 to the millisecond.
const csvTime = "2006-01-02T15:04:05.000Z07:00"

// WriteCSV writes a table as RFC 4180 asks, with a line of names first. What is not known is empty.
func WriteCSV(w io.Writer, t Table) error {
	out := csv.NewWriter(w)
	line := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		line[i] = c.Name
	}
	if err := out.Write(line); err != nil {
		return err
	}
	for row := range t.Rows {
		for i, v := range row {
			text, err := csvText(v)
			if err != nil {
				return fmt.Errorf("column %s: %w", t.Columns[i].Name, err)
			}
			line[i] = text
		}
		if err := out.Write(line); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func csvText(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	case string:
		return v, nil
	case bool:
		return strconv.FormatBool(v), nil
	case time.Time:
		return v.Format(csvTime), nil
	}
	return "", fmt.Errorf("no text for a value of type %T", v)
}
