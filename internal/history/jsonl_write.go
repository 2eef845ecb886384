package history

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
)

// Lines of the format, as they are written.
type (
	jsonHeader struct {
		Version    int              `json:"kbench_history"`
		Partitions []string         `json:"partitions"`
		Guarantee  string           `json:"guarantee,omitempty"`
		Starts     map[string]int64 `json:"starts,omitempty"`
		Inputs     []string         `json:"inputs,omitempty"`
		Outputs    []string         `json:"outputs,omitempty"`
		Compacted  []string         `json:"compacted,omitempty"`
	}
	jsonOp struct {
		Op         string            `json:"op"`
		Name       string            `json:"name,omitempty"`
		Target     string            `json:"target,omitempty"`
		Client     string            `json:"client,omitempty"`
		Group      string            `json:"group,omitempty"`
		Txn        string            `json:"txn,omitempty"`
		Intended   *int64            `json:"intended,omitempty"`
		Held       int64             `json:"held,omitempty"`
		Call       *int64            `json:"call,omitempty"`
		Return     *int64            `json:"return,omitempty"`
		Outcome    string            `json:"outcome,omitempty"`
		Partition  string            `json:"partition,omitempty"`
		Partitions *[]string         `json:"partitions,omitempty"`
		Offset     *int64            `json:"offset,omitempty"`
		Value      string            `json:"value,omitempty"`
		Attempt    int32             `json:"attempt,omitempty"`
		Size       int64             `json:"size,omitempty"`
		Key        *int64            `json:"key,omitempty"`
		Tombstone  bool              `json:"tombstone,omitempty"`
		From       *jsonFrom         `json:"from,omitempty"`
		Generation *int32            `json:"generation,omitempty"`
		Offsets    *map[string]int64 `json:"offsets,omitempty"`
		Ends       *map[string]int64 `json:"ends,omitempty"`
		Pass       int32             `json:"pass,omitempty"`
		Isolation  string            `json:"isolation,omitempty"`
		Reached    *int64            `json:"reached,omitempty"`
		Records    *[]jsonRecord     `json:"records,omitempty"`
	}
	jsonFrom struct {
		Partition string `json:"partition"`
		Offset    int64  `json:"offset"`
	}
	jsonRecord struct {
		Offset   int64  `json:"offset"`
		Value    string `json:"value,omitempty"`
		Epoch    *int32 `json:"epoch,omitempty"`
		Intended *int64 `json:"intended,omitempty"`
		Corrupt  bool   `json:"corrupt,omitempty"`
		Foreign  bool   `json:"foreign,omitempty"`
	}
)

// WriteJSONL writes a history in JSON Lines, version 1. A torn log's last sends come as indeterminate ones, those
// that only a reader knows of included; that it was torn cannot be told in this format.
func WriteJSONL(w io.Writer, h *History) error {
	buffered := bufio.NewWriterSize(w, 1<<20)
	out := json.NewEncoder(buffered)
	out.SetEscapeHTML(false)
	head := jsonHeader{Version, h.Header.Partitions, h.Header.Guarantee, nil, h.Header.Inputs, h.Header.Outputs, h.Header.Compacted}
	if head.Partitions == nil {
		head.Partitions = []string{}
	}
	for p, start := range h.Header.Starts {
		if head.Starts == nil {
			head.Starts = map[string]int64{}
		}
		head.Starts[h.Header.PartitionName(p)] = start
	}
	if err := out.Encode(head); err != nil {
		return fmt.Errorf("write history: %w", err)
	}
	records := []jsonRecord{} // an empty list is written as such, not as null
	err := h.Each(func(op *Op) error {
		if op.Kind == Process {
			return writeEffects(out, &h.Header, op)
		}
		line := h.Header.line(op)
		switch op.Kind {
		case Poll, FinalRead:
			records = h.Header.records(records[:0], op)
			line.Records = &records
		}
		return out.Encode(line)
	})
	if err == nil {
		err = writeUnlogged(out, h)
	}
	if err == nil {
		err = buffered.Flush()
	}
	if err != nil {
		return fmt.Errorf("write history: %w", err)
	}
	return nil
}

// writeUnlogged tells of sends that a log which ends too early does not tell of.
func writeUnlogged(out *json.Encoder, h *History) error {
	ops, err := h.unlogged()
	for i := range ops {
		if err == nil {
			err = out.Encode(h.Header.line(&ops[i]))
		}
	}
	return err
}

// writeEffects writes a line for each record that was handled.
func writeEffects(out *json.Encoder, h *Header, op *Op) error {
	for i := range op.Records {
		line := h.line(op)
		line.Isolation = ""
		line.Offset = known(op.Records[i].Offset)
		line.Value = h.ValueName(op.Records[i].Value)
		if err := out.Encode(line); err != nil {
			return err
		}
	}
	return nil
}

// line of an operation, without its records.
func (h *Header) line(op *Op) *jsonOp {
	l := &jsonOp{
		Op: opWords[op.Kind], Client: h.ClientName(op.Client), Group: op.Group, Txn: h.TxnName(op.Txn),
		Partition: h.PartitionName(op.Partition), Isolation: isolationWords[op.Isolation],
	}
	timed := op.Kind != Ends && op.Kind != FinalRead
	if timed || op.Call != Unknown {
		l.Call, l.Return = &op.Call, &op.Return
	}
	if timed && op.Kind != Fault {
		l.Outcome = outcomeWords[op.Outcome]
	}
	switch op.Kind {
	case Send:
		l.Intended, l.Offset, l.Value = known(op.Intended), known(op.Offset), h.ValueName(op.Value)
		l.Held = op.Held
		if op.Attempt > 1 {
			l.Attempt = op.Attempt
		}
		l.Size, l.Key, l.Tombstone = op.Size, known(op.Key-1), op.Tombstone
		if op.FromPartition != Unknown {
			l.From = &jsonFrom{h.PartitionName(op.FromPartition), op.FromOffset}
		}
	case Assign, Subscribe:
		list := make([]string, len(op.Partitions))
		for i, p := range op.Partitions {
			list[i] = h.PartitionName(p)
		}
		l.Partitions, l.Txn = &list, ""
	case Commit:
		l.Offsets = h.offsets(op)
		l.Generation = known(op.Generation)
	case Ends:
		l.Client, l.Txn, l.Ends = "", "", h.offsets(op)
	case Fault:
		l.Client, l.Group, l.Txn, l.Name, l.Target = "", "", "", op.Name, op.Target
	case FinalRead:
		l.Group, l.Txn, l.Pass, l.Reached = "", "", op.Pass, known(op.Reached)
	}
	return l
}

func (h *Header) offsets(op *Op) *map[string]int64 {
	m := make(map[string]int64, len(op.Offsets))
	for _, o := range op.Offsets {
		m[h.PartitionName(o.Partition)] = o.Offset
	}
	return &m
}

func (h *Header) records(list []jsonRecord, op *Op) []jsonRecord {
	for i := range op.Records {
		r := &op.Records[i]
		line := jsonRecord{
			Offset: r.Offset, Value: h.ValueName(r.Value), Epoch: known(r.Epoch), Intended: known(r.Intended),
			Corrupt: r.Flags&Corrupt != 0, Foreign: r.Flags&Foreign != 0,
		}
		line.Foreign = line.Foreign || line.Value == "" && !line.Corrupt
		list = append(list, line)
	}
	return list
}

// known returns nil for what is Unknown.
func known[T int32 | int64](n T) *T {
	if n == Unknown {
		return nil
	}
	return &n
}
