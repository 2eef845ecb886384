package scenarios

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzParse: nothing that is read makes the reader fail in another way than by problems that point into the file; and
// what it takes, it writes so that it reads the same again.
func FuzzParse(f *testing.F) {
	for _, name := range Builtins() {
		src, err := BuiltinSource(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(src))
	}
	files, err := os.ReadDir("testdata/broken")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file.Name(), ".yaml") {
			src, err := os.ReadFile("testdata/broken/" + file.Name())
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(src))
		}
	}
	f.Add(contractsExample)
	f.Add(everything)
	for _, text := range everyLoad {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, src string) {
		s, err := Parse("fuzz.yaml", []byte(src))
		if err != nil {
			problems, ok := err.(Problems)
			if !ok || len(problems) == 0 {
				t.Fatalf("answers %T %v", err, err)
			}
			for _, p := range problems {
				if p.Message == "" || p.Line < 1 || p.Column < 1 {
					t.Fatalf("a problem without a place: %+v", p)
				}
			}
			return
		}
		text := Marshal(s)
		again, err := Parse("fuzz.yaml", text)
		if err != nil {
			t.Fatalf("%v\nin\n%s", err, text)
		}
		if !reflect.DeepEqual(bare(s), bare(again)) {
			t.Fatalf("written as\n%s\nreads as\n%+v\nwant\n%+v", text, bare(again), bare(s))
		}
	})
}

func FuzzGrammars(f *testing.F) {
	for _, text := range []string{"leader(orders/0)", "broker 2", "coordinator(group:readers)", "isr(orders/0)<3", "acked(5000)", "committed(readers, orders/0) >= 1",
		"held(processor(0))", "leader(orders/0) != old", "ack.p99 < 50ms", "throughput > 10MiB/s", "10s", "((", "a(b(c)d)e", "ä(", "leader(orders/0) = "} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if target, err := ParseTarget(text); err == nil {
			if again, err := ParseTarget(target.String()); err != nil || again != target {
				t.Errorf("target %q, written %q, is %+v, %v", text, target, again, err)
			}
		}
		if c, err := ParseCondition(text); err == nil {
			if again, err := ParseCondition(c.Text); err != nil || again != c || c.Op == "" {
				t.Errorf("condition %q is %+v, and again %+v, %v", text, c, again, err)
			}
		}
		if trigger, err := ParseTrigger(text); err == nil {
			if again, err := ParseTrigger(trigger.String()); err != nil || !reflect.DeepEqual(again, trigger) {
				t.Errorf("trigger %q is %+v, and again %+v, %v", text, trigger, again, err)
			}
		}
		if limit, err := ParseThreshold(text); err == nil {
			if again, err := ParseThreshold(limit.Text); err != nil || again != limit {
				t.Errorf("threshold %q is %+v, and again %+v, %v", text, limit, again, err)
			}
		}
	})
}

// FuzzTexts: whatever a text holds, it is written so that it reads the same again.
func FuzzTexts(f *testing.F) {
	for _, text := range []string{"plain", "a: b", "# no comment", " blank ", "'quoted'", `"double" \ back`, "two\nlines\n", "null", "1_000", "0x1F", "true", "~", "- item", "{x}", "[y]", "é\t€", "a\rb", "\u0085", "|", "> folded", "\x00", "%", "@", "`", "*x", "&x", "!x", "---", "..."} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return // no file can have it
		}
		s, err := Parse("f.yaml", []byte("load: {rate: 1/s, duration: 1s}"))
		if err != nil {
			t.Fatal(err)
		}
		s = bare(s)
		s.About, s.Cluster.JVM, s.Client = text, []string{"-X", text}, map[string]string{"client.id": strings.TrimSpace(text)}
		written := Marshal(s)
		again, err := Parse("f.yaml", written)
		if err != nil {
			t.Fatalf("%q: %v\nin\n%s", text, err, written)
		}
		if !reflect.DeepEqual(s, bare(again)) {
			t.Fatalf("%q is written as\n%s\nand reads as %q, %q, %q", text, written, again.About, again.Cluster.JVM, again.Client)
		}
	})
}
