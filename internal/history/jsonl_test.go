package history

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The example of the format's description.
const example = `{"kbench_history":1,"partitions":["orders/0","orders/1"],"guarantee":"exactly-once","starts":{"orders/0":0}}
{"op":"send","client":"p0","call":10,"return":25,"outcome":"ok","partition":"orders/0","value":"p0/1/17","offset":4}
{"op":"send","client":"p0","txn":"t9","call":30,"return":44,"outcome":"indeterminate","partition":"orders/1","value":"p0/1/18"}
{"op":"txn","client":"p0","txn":"t9","call":30,"return":60,"outcome":"ok"}
{"op":"poll","client":"c0","call":70,"return":71,"outcome":"ok","partition":"orders/0","records":[{"offset":4,"value":"p0/1/17","epoch":0}]}
{"op":"assign","client":"c0","call":5,"return":6,"outcome":"ok","partitions":["orders/0"]}
{"op":"subscribe","client":"c0","call":5,"return":6,"outcome":"ok","partitions":["orders/0"]}
{"op":"commit","client":"c0","group":"g","call":80,"return":81,"outcome":"ok","offsets":{"orders/0":5}}
{"op":"process","client":"c0","group":"g","call":72,"return":75,"outcome":"ok","partition":"orders/0","offset":4,"value":"p0/1/17"}
{"op":"fault","name":"kill","target":"broker 1","call":50,"return":51}
{"op":"ends","ends":{"orders/0":120}}
{"op":"final-read","partition":"orders/0","pass":1,"isolation":"read_committed","reached":120,"records":[{"offset":4,"value":"p0/1/17"}]}
`

func parse(t interface{ Fatalf(string, ...any) }, text string) (*History, []Op) {
	h, err := OpenJSONL(strings.NewReader(text))
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	var ops []Op
	if err := h.Each(func(op *Op) error { ops = append(ops, kept(op)); return nil }); err != nil {
		t.Fatalf("each: %v", err)
	}
	return h, ops
}

func TestTheExampleIsRead(t *testing.T) {
	h, ops := parse(t, example)
	if len(ops) != 11 || len(h.Warnings) != 1 {
		t.Fatalf("%d operations, warnings %q", len(ops), h.Warnings)
	}
	want := Op{Kind: Send, Outcome: Indeterminate, Txn: 9, Intended: Unknown, Call: 30, Return: 44, Partition: 1, Offset: Unknown,
		Value: Value{0, 1, 18}, Attempt: 1, FromPartition: Unknown, FromOffset: Unknown, Generation: Unknown}
	if !reflect.DeepEqual(ops[1], want) {
		t.Errorf("send\n%+v, want\n%+v", ops[1], want)
	}
	if got := ops[3].Records; len(got) != 1 || got[0] != (Record{4, 0, 0, Value{0, 1, 17}, Unknown}) {
		t.Errorf("poll %+v", got)
	}
	if got := ops[10]; got.Reached != 120 || got.Pass != 1 || got.Isolation != ReadCommitted || got.Client != Unknown || got.Return != Unknown {
		t.Errorf("final read %+v", got)
	}
	if h.Header.Guarantee != "exactly-once" || h.Header.Starts[0] != 0 || h.Header.Clients[1] != (Client{"c0", 1}) {
		t.Errorf("header %+v", h.Header)
	}
}

func TestTheExampleIsWrittenAsItWasRead(t *testing.T) {
	h, _ := parse(t, example)
	var out bytes.Buffer
	if err := WriteJSONL(&out, h); err != nil {
		t.Fatal(err)
	}
	normal := func(s string) (lines []map[string]any) {
		for _, line := range strings.Split(strings.TrimSpace(s), "\n") {
			lines = append(lines, decodeLine(t, line))
		}
		return lines
	}
	if got, want := normal(out.String()), normal(example); !reflect.DeepEqual(got, want) {
		t.Errorf("wrote\n%s", out.String())
	}
}

func TestValuesAndClientsKeepTheirNames(t *testing.T) {
	for _, value := range []string{"p0/1/17", "a/b/2/0", "x", "p0/01/17", "p0/0/1", "p0/1/-1", "p0/1/+1", "/1/2", "17", "p0/1/9223372036854775807",
		"p0/1/9223372036854775808", "p0/4294967297/1", "é✓ \" \\ <", "t1", "p0/1/"} {
		var n names
		v := n.value(value)
		h := Header{Producers: n.producers.names, Values: n.values.names}
		if got := h.ValueName(v); got != value {
			t.Errorf("value %q came back as %q", value, got)
		}
		n = names{}
		i := n.clients.add(value)
		h = Header{Clients: n.sessions()}
		if got := h.ClientName(i); got != value {
			t.Errorf("client %q came back as %q", value, got)
		}
		txn := n.txn(value)
		h = Header{Txns: n.txns.names}
		if got := h.TxnName(txn); got != value || txn == 0 {
			t.Errorf("transaction %q came back as %q", value, got)
		}
	}
}

func TestLinesThatContradictTheFormatAreErrorsWithTheirNumber(t *testing.T) {
	const head = `{"kbench_history":1,"partitions":["orders/0","orders/1"]}` + "\n"
	for _, c := range []struct{ name, text, want string }{
		{"nothing at all", "", "line 1: a history begins"},
		{"no header", `{"op":"ends","ends":{}}`, "line 1: a history begins"},
		{"another version", `{"kbench_history":2,"partitions":[]}`, "line 1: history version 2"},
		{"no partitions", `{"kbench_history":1}`, `line 1: "partitions" is missing`},
		{"partition twice", `{"kbench_history":1,"partitions":["a/0","a/0"]}`, "stands twice"},
		{"partition without number", `{"kbench_history":1,"partitions":["orders"]}`, "topic/number"},
		{"unknown guarantee", `{"kbench_history":1,"partitions":[],"guarantee":"twice"}`, "at-most-once, at-least-once"},
		{"unknown header field", `{"kbench_history":1,"partitions":[],"start":{}}`, `"start" is unknown`},
		{"unknown topic", `{"kbench_history":1,"partitions":["a/0"],"inputs":["b"]}`, `topic "b"`},
		{"not JSON", head + "send p0", "line 2: not a JSON object"},
		{"an array", head + "[]", "line 2: not a JSON object"},
		{"cut short", head + `{"op":"ends","ends":{"orders/0":1}`, "line 2: not valid JSON"},
		{"two objects", head + `{"op":"ends","ends":{}} {"op":"ends","ends":{}}`, "line 2: more than one"},
		{"invalid UTF-8", head + "{\"op\":\"\xff\"}", "line 2: not valid UTF-8"},
		{"after an empty line", head + "\n{}", `line 3: "op" is missing`},
		{"unknown op", head + `{"op":"sent"}`, `"sent" is none of send, txn, poll`},
		{"a field twice", head + `{"op":"ends","ends":{},"ends":{}}`, `"ends" stands twice`},
		{"unknown field", head + `{"op":"txn","client":"p0","txn":"t1","call":1,"return":2,"outcome":"ok","ofset":3}`, `line 2: txn: "ofset" is unknown`},
		{"a field of another op", head + `{"op":"txn","client":"p0","txn":"t1","call":1,"return":2,"outcome":"ok","offset":3}`, `"offset" is unknown`},
		{"a field in another case", head + `{"op":"ends","Ends":{},"ends":{}}`, `"Ends" is unknown`},
		{"no client", head + `{"op":"txn","txn":"t1","call":1,"return":2,"outcome":"ok"}`, `"client" is missing`},
		{"no outcome", head + `{"op":"txn","client":"p0","txn":"t1","call":1,"return":2}`, `"outcome" is missing`},
		{"unknown outcome", head + `{"op":"txn","client":"p0","txn":"t1","call":1,"return":2,"outcome":"info"}`, `"info" is none of indeterminate, ok, failed`},
		{"no call", head + `{"op":"txn","client":"p0","txn":"t1","return":2,"outcome":"ok"}`, `"call" is missing`},
		{"return before call", head + `{"op":"txn","client":"p0","txn":"t1","call":3,"return":2,"outcome":"ok"}`, "before its call"},
		{"closing no transaction", head + `{"op":"txn","client":"p0","call":1,"return":2,"outcome":"ok"}`, `"txn" is missing`},
		{"a send of nothing", head + `{"op":"send","client":"p0","call":1,"return":2,"outcome":"ok"}`, `"value" is missing`},
		{"an offset without a partition", head + `{"op":"send","client":"p0","call":1,"return":2,"outcome":"ok","value":"a","offset":1}`, "offset without a partition"},
		{"unknown partition", head + `{"op":"send","client":"p0","call":1,"return":2,"outcome":"ok","value":"a","partition":"orders/2"}`, `"orders/2" is not among`},
		{"negative offset", head + `{"op":"send","client":"p0","call":1,"return":2,"outcome":"ok","value":"a","partition":"orders/0","offset":-1}`, "-1 is not between"},
		{"fractional offset", head + `{"op":"send","client":"p0","call":1,"return":2,"outcome":"ok","value":"a","partition":"orders/0","offset":1.0}`, "not an integer"},
		{"number as text", head + `{"op":"send","client":"p0","call":"1","return":2,"outcome":"ok","value":"a"}`, `"call": "\"1\"" is not an integer`},
		{"value as number", head + `{"op":"send","client":"p0","call":1,"return":2,"outcome":"ok","value":7}`, "not a string"},
		{"null value", head + `{"op":"send","client":"p0","call":1,"return":2,"outcome":"ok","value":null}`, "not a string"},
		{"records without a partition", head + `{"op":"poll","client":"c0","call":1,"return":2,"outcome":"ok","records":[{"offset":1,"value":"a"}]}`, `"partition" is missing`},
		{"no records", head + `{"op":"poll","client":"c0","call":1,"return":2,"outcome":"ok","partition":"orders/0"}`, `"records" is missing`},
		{"a record without a value", head + `{"op":"poll","client":"c0","call":1,"return":2,"outcome":"ok","partition":"orders/0","records":[{"offset":1}]}`, `"records"[0]: "value" is missing`},
		{"unknown field of a record", head + `{"op":"poll","client":"c0","call":1,"return":2,"outcome":"ok","partition":"orders/0","records":[{"offset":1,"value":"a","key":"k"}]}`, `"records"[0]: "key" is unknown`},
		{"from without an offset", head + `{"op":"send","client":"p0","call":1,"return":2,"outcome":"ok","value":"a","from":{"partition":"orders/0"}}`, `"from": "offset" is missing`},
		{"commit of an unknown partition", head + `{"op":"commit","client":"c0","group":"g","call":1,"return":2,"outcome":"ok","offsets":{"bills/0":1}}`, `"bills/0" is not among`},
		{"final read without a partition", head + `{"op":"final-read","pass":1,"records":[]}`, `"partition" is missing`},
		{"a second header", head + `{"kbench_history":1,"partitions":["orders/0"]}`, `line 2: a second header`},
		{"a byte order mark", "\ufeff" + head, `line 1: begins with a byte order mark`},
		{"trailing words", head + `{"op":"ends","ends":{}} end`, `line 2: more than one`},
		{"garbage at the end", head + `{"op":"ends","ends":{}}` + "\ngarbage", `line 3: not a JSON object`},
		{"a member twice within", head + `{"op":"ends","ends":{"orders/0":1,"orders/0":2}}`, `"orders/0" stands twice`},
		{"no client", head + `{"op":"send","call":1,"return":2,"outcome":"ok","value":"a"}`, `line 2: send: "client" is missing`},
		{"an empty value", head + `{"op":"send","client":"p0","call":1,"return":2,"outcome":"ok","value":""}`, `"value" is empty`},
		{"an exponent", head + `{"op":"send","client":"p0","call":1e3,"return":2e3,"outcome":"ok","partition":"orders/0","value":"a"}`, `"call": "1e3" is not an integer`},
		{"a number too large", head + `{"op":"send","client":"p0","call":1,"return":2,"outcome":"ok","partition":"orders/0","value":"a","offset":9223372036854775808}`, `is not an integer`},
		{"an offset without one after it", head + `{"op":"send","client":"p0","call":1,"return":2,"outcome":"ok","partition":"orders/0","value":"a","offset":9223372036854775807}`, `is not between 0 and 9223372036854775806`},
		{"a negative call", head + `{"op":"send","client":"p0","call":-1,"return":2,"outcome":"ok","partition":"orders/0","value":"a"}`, `"call": -1 is not between`},
		{"a negative return", head + `{"op":"poll","client":"c0","call":-5,"return":-2,"outcome":"ok","records":[]}`, `"call": -5 is not between`},
		{"attempt 0", head + `{"op":"send","client":"p0","call":1,"return":2,"outcome":"ok","partition":"orders/0","value":"a","attempt":0}`, `"attempt": 0 is not between 1`},
		{"a failed send with an offset", head + `{"op":"send","client":"p0","call":1,"return":2,"outcome":"failed","partition":"orders/0","value":"a","offset":3}`, `line 2: send: it failed, so that it is certainly not in the log, and yet has an offset`},
		{"a failed poll with records", head + `{"op":"poll","client":"c0","call":1,"return":2,"outcome":"failed","partition":"orders/0","records":[{"offset":1,"value":"a"}]}`, `line 2: poll: it failed, and yet has records`},
		{"records null", head + `{"op":"poll","client":"c0","call":1,"return":2,"outcome":"ok","records":null}`, `"records": "null" is not a list`},
		{"a transaction that ends twice", head + `{"op":"txn","client":"p0","txn":"t1","call":1,"return":2,"outcome":"ok"}` + "\n" + `{"op":"txn","client":"p0","txn":"t1","call":3,"return":4,"outcome":"failed"}`, `line 3: txn: the transaction has ended in line 2`},
		{"a transaction that goes on after its end", head + `{"op":"txn","client":"p0","txn":"t1","call":1,"return":2,"outcome":"ok"}` + "\n" + `{"op":"send","client":"p0","call":3,"return":4,"outcome":"ok","partition":"orders/0","value":"a","txn":"t1"}`, `line 3: send: called at 3, after its transaction had ended at 2 (line 2)`},
		{"a third pass", head + `{"op":"final-read","partition":"orders/0","pass":3,"records":[]}`, `"pass": 3 is not between 1 and 2`},
		{"a position before a record that was read", head + `{"op":"final-read","partition":"orders/0","reached":4,"records":[{"offset":3,"value":"a"},{"offset":4,"value":"b"}]}`, `line 2: final-read: "reached" is 4, and offset 4 was read`},
		{"negative ends", head + `{"op":"ends","ends":{"orders/0":-1}}`, `"orders/0": -1 is not between`},
		{"a fault that ends before it begins", head + `{"op":"fault","name":"kill","call":3,"return":2}`, `line 2: fault: it returned at 2, before its call at 3`},
		{"ends without ends", head + `{"op":"ends"}`, `"ends" is missing`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := OpenJSONL(strings.NewReader(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("err = %v, want %s", err, c.want)
			}
		})
	}
}

// What is unusual and no contradiction.
func TestLinesThatAreRead(t *testing.T) {
	const head = `{"kbench_history":1,"partitions":["orders/0","orders/1"]}` + "\n"
	for _, c := range []struct {
		name, text string
		ops        int
	}{
		{"a header alone", head, 0},
		{"lines of Windows", strings.ReplaceAll(example, "\n", "\r\n"), 11},
		{"no line end at the end", head + `{"op":"ends","ends":{}}`, 1},
		{"an empty poll without a partition", head + `{"op":"poll","client":"c0","call":1,"return":2,"outcome":"ok","records":[]}`, 1},
		{"an end before its sends", head + `{"op":"txn","client":"p0","txn":"t1","call":5,"return":9,"outcome":"ok"}
{"op":"send","client":"p0","txn":"t1","call":3,"return":10,"outcome":"ok","value":"a"}`, 2},
		{"one name for two clients' transactions", head + `{"op":"txn","client":"p0","txn":"t1","call":1,"return":2,"outcome":"ok"}
{"op":"txn","client":"p1","txn":"t1","call":3,"return":4,"outcome":"failed"}`, 2},
		{"a second attempt without a first", head + `{"op":"send","client":"p0","call":1,"return":2,"outcome":"ok","value":"a","attempt":2}`, 1},
		{"a final read in pieces", head + `{"op":"final-read","partition":"orders/0","records":[{"offset":0,"value":"a"}]}
{"op":"final-read","partition":"orders/0","reached":9,"records":[]}`, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, ops := parse(t, c.text); len(ops) != c.ops {
				t.Errorf("%d operations, want %d", len(ops), c.ops)
			}
		})
	}
}

// Whatever a run records, its export reads as the same history.
func TestExportReadsAsTheSameHistory(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		run := filepath.Join(dir, string(rune('a'+n%26))+strings.Repeat("x", n/26))
		if err := os.Mkdir(run, 0o755); err != nil {
			t.Fatalf("%v", err)
		}
		head := Header{Run: 1, Partitions: []string{"orders/0", "orders/1"}, Producers: []string{"p0", "p1"}, Self: Client{"p0", 2}, Starts: map[int32]int64{1: 3}, Guarantee: "at-least-once"}
		ops := rapid.SliceOfN(rapid.Custom(drawPlain), 0, 30).Draw(t, "ops")
		for i := range ops { // a transaction ends once
			if ops[i].Kind == Txn {
				ops[i].Txn = uint64(100 + i)
			}
		}
		write(t, filepath.Join(run, "p0.2.log"), head, ops, -1)
		h, want := read(t, run)
		var out bytes.Buffer
		if err := WriteJSONL(&out, h); err != nil {
			t.Fatalf("%v", err)
		}
		again, got := parse(t, out.String())
		var second bytes.Buffer
		if err := WriteJSONL(&second, again); err != nil {
			t.Fatalf("%v", err)
		}
		if out.String() != second.String() || len(got) != len(want) {
			t.Fatalf("%d operations became %d\n%s\nand then\n%s", len(want), len(got), out.String(), second.String())
		}
	})
}

// What a session that was killed sent after the last line of its log is an open send in the export, not a stranger's.
func TestExportTellsOfSendsThatATornLogDoesNot(t *testing.T) {
	for _, closed := range []bool{true, false} {
		dir := t.TempDir()
		w, err := Create(filepath.Join(dir, "p0.1.log"), someHeader)
		if err != nil {
			t.Fatal(err)
		}
		for seq := range int64(3) {
			op := send(seq, seq, seq+5)
			if err := w.Append(&op); err != nil {
				t.Fatal(err)
			}
		}
		end := w.Flush
		if closed {
			end = w.Close
		}
		if err := end(); err != nil {
			t.Fatal(err)
		}
		reader := someHeader
		reader.Self = Client{"final", 1}
		poll := Op{Kind: Poll, Outcome: OK, Call: 40, Return: 50, Partition: 1}
		for _, seq := range []int64{2, 4, 3} {
			poll.Records = append(poll.Records, Record{Offset: seq, Value: Value{0, 1, seq}})
		}
		write(t, filepath.Join(dir, "final.1.log"), reader, []Op{poll}, -1)
		h, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := WriteJSONL(&out, h); err != nil {
			t.Fatal(err)
		}
		want := `{"op":"send","client":"p0","call":50,"return":50,"outcome":"indeterminate","partition":"orders/1","value":"p0/1/3"}
{"op":"send","client":"p0","call":51,"return":51,"outcome":"indeterminate","partition":"orders/1","value":"p0/1/4"}
`
		if got := strings.HasSuffix(out.String(), want); got == closed {
			t.Errorf("closed %v:\n%s", closed, out.String())
		}
	}
}

// drawPlain makes an operation as a run records it.
func drawPlain(t *rapid.T) Op {
	op := drawOp(t)
	small := func(n *int32) { *n = ((*n % 2) + 2) % 2 }
	positive := func(n *int64) { *n = max(*n&(1<<50-1), 0) }
	positive(&op.Call)
	op.Return = op.Call + 5
	op.Outcome = max(op.Outcome, 0)
	small(&op.Partition)
	fix := func(v *Value) {
		small(&v.Producer)
		v.Session = 1 + v.Session&7
		positive(&v.Seq)
	}
	switch op.Kind {
	case Send:
		fix(&op.Value)
		positive(&op.Offset)
		if op.Outcome == Failed {
			op.Offset = Unknown
		}
		if op.FromPartition != Unknown {
			small(&op.FromPartition)
			positive(&op.FromOffset)
		}
	case Txn:
		op.Txn = 4
	case Fault:
		op.Name = "kill"
	case Commit:
		op.Group = "g"
		op.Generation = max(op.Generation, Unknown)
	case FinalRead:
		op.Pass = 1
		positive(&op.Reached)
	}
	if op.Txn >= opaqueTxn {
		op.Txn = 3
	}
	if op.Kind == Process && len(op.Records) > 1 {
		op.Records = op.Records[:1]
	} else if op.Kind == Process && len(op.Records) == 0 {
		op.Records = append(op.Records, Record{Value: Value{0, 1, 1}})
	}
	for i := range op.Records {
		r := &op.Records[i]
		fix(&r.Value)
		positive(&r.Offset)
		r.Epoch = max(r.Epoch, Unknown)
		if op.Kind == Process {
			*r = Record{Offset: r.Offset, Value: r.Value, Epoch: Unknown, Intended: Unknown}
		}
	}
	if op.Kind == Poll && op.Outcome == Failed {
		op.Records = nil
	}
	for i := range op.Records {
		if op.Kind == FinalRead {
			op.Reached = max(op.Reached, op.Records[i].Offset+1)
		}
	}
	for i := range op.Partitions {
		small(&op.Partitions[i])
	}
	for i := range op.Offsets {
		small(&op.Offsets[i].Partition)
		positive(&op.Offsets[i].Offset)
	}
	return op
}
