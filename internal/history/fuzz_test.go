package history

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func decodeLine(t *testing.T, line string) map[string]any {
	var m map[string]any
	if err := json.Unmarshal([]byte(line), &m); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return m
}

// No bytes may make the decoder of operations panic or take much memory.
func FuzzDecodeOperations(f *testing.F) {
	var e encoder
	e.reset()
	ops := []Op{send(1, 2, 3), {Kind: Poll, Group: "g", Records: []Record{{Offset: 5, Value: Value{0, 1, 2}}}}, {Kind: Commit, Offsets: []PartitionOffset{{1, 2}}},
		{Kind: Assign, Partitions: []int32{0, 1}}, {Kind: Fault, Name: "kill", Target: "broker 1"}, {Kind: FinalRead, Reached: 9}}
	for i := range ops {
		e.encode(&ops[i], int32(i))
	}
	f.Add(e.buf)
	f.Fuzz(func(t *testing.T, b []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		d := decoder{buf: b}
		d.reset()
		var op Op
		for {
			more, err := d.decode(&op)
			if err != nil || !more {
				break
			}
			if op.Kind == 0 || op.Kind > maxKind || op.Outcome > maxOutcome || op.Isolation > maxIsolation {
				t.Fatalf("decoded nonsense: %+v", op)
			}
		}
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > uint64(len(b))*400+1<<20 {
			t.Fatalf("%d bytes allocated for %d", grown, len(b))
		}
	})
}

// No file may make a log's reader panic; what it reads, it reads twice alike.
func FuzzOpenLog(f *testing.F) {
	dir := f.TempDir()
	write(f, filepath.Join(dir, "seed.log"), someHeader, []Op{send(0, 1, 2), send(1, 2, 3)}, 0)
	seed, err := os.ReadFile(filepath.Join(dir, "seed.log"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add(seed[:len(seed)-5])
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "p0.1.log"), b, 0o644); err != nil {
			t.Fatal(err)
		}
		h, err := Open(dir)
		if err != nil {
			return
		}
		var counts [2]int
		for i := range counts {
			if err := h.Each(func(*Op) error { counts[i]++; return nil }); err != nil {
				return
			}
		}
		if counts[0] != counts[1] {
			t.Fatalf("%d operations, then %d", counts[0], counts[1])
		}
	})
}

// What is read from JSON Lines is written so that it reads as the same again.
func FuzzJSONL(f *testing.F) {
	f.Add(example)
	for _, line := range strings.Split(strings.TrimSpace(example), "\n")[1:] {
		f.Add(`{"kbench_history":1,"partitions":["orders/0","orders/1"]}` + "\n" + line)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h, err := OpenJSONL(strings.NewReader(text))
		if err != nil {
			return
		}
		var first, second bytes.Buffer
		if err := WriteJSONL(&first, h); err != nil {
			t.Fatal(err)
		}
		again, err := OpenJSONL(bytes.NewReader(first.Bytes()))
		if err != nil {
			t.Fatalf("%v\n%s", err, first.String())
		}
		if err := WriteJSONL(&second, again); err != nil {
			t.Fatal(err)
		}
		if first.String() != second.String() {
			t.Fatalf("wrote\n%s\nand then\n%s", first.String(), second.String())
		}
	})
}
