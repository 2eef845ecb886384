package scenarios

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// TestSchemaFile holds the checked-in schema to the one that the program prints.
func TestSchemaFile(t *testing.T) { golden(t, "schema.json", string(Schema())) }

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("scenario.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("scenario.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// plain is the tree as JSON would have it.
func plain(n *node) any {
	switch n.shape {
	case aMapping:
		m := map[string]any{}
		for _, e := range n.entries {
			m[e.key] = plain(e.value)
		}
		return m
	case aList:
		l := []any{}
		for _, v := range n.items {
			l = append(l, plain(v))
		}
		return l
	case aNumber:
		return json.Number(n.text)
	case aTruth:
		return strings.EqualFold(n.text, "true")
	case aText:
		return n.text
	}
	return nil
}

func TestSchemaTakesEveryBuiltinAndItsResolvedForm(t *testing.T) {
	s := compiled(t)
	for _, name := range Builtins() {
		scenario, err := Builtin(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(plain(scenario.tree)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		text := Marshal(scenario)
		root, problems := readTree(newSource(name, text), text)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		if err := s.Validate(plain(root)); err != nil {
			t.Errorf("%s, resolved: %v", name, err)
		}
	}
	for _, text := range []string{contractsExample, everything} {
		root, _ := readTree(newSource("example", nil), []byte(text))
		if err := s.Validate(plain(root)); err != nil {
			t.Errorf("%v", err)
		}
	}
}

// TestSchemaRefusesWhatIsStructurallyWrong: what the reader refuses before it looks for contradictions, the schema refuses
// too, but for what JSON does not have: several documents, anchors, keys given twice.
func TestSchemaRefusesWhatIsStructurallyWrong(t *testing.T) {
	s, wrong := compiled(t), 0
	for _, file := range brokenFiles(t) {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		root, problems := readTree(newSource(file, src), src)
		if len(problems) > 0 || filepath.Base(file) == "given-twice.yaml" {
			continue
		}
		d := newDecoder()
		d.scenario(root)
		if len(d.problems) == 0 {
			continue
		}
		wrong++
		if s.Validate(plain(root)) == nil {
			t.Errorf("%s: the schema takes it, the reader says %v", file, d.problems)
		}
	}
	if wrong < 12 {
		t.Errorf("only %d structurally wrong files", wrong)
	}
}

// TestSchemaAndReaderKnowTheSameKeys compares the keys of every mapping that the reader met with the schema's.
func TestSchemaAndReaderKnowTheSameKeys(t *testing.T) {
	root, problems := readTree(newSource("everything", nil), []byte(everything))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	d := newDecoder()
	d.scenario(root)
	var doc map[string]any
	if err := json.Unmarshal(Schema(), &doc); err != nil {
		t.Fatal(err)
	}
	properties := func(path ...string) []string {
		at := doc
		for _, key := range path {
			p := at["properties"].(map[string]any)[key].(map[string]any)
			if either, ok := p["anyOf"].([]any); ok { // one, or a list
				p = either[0].(map[string]any)
			}
			if items, ok := p["items"].(map[string]any); ok {
				p = items
			}
			at = p
		}
		return slices.Sorted(maps.Keys(at["properties"].(map[string]any)))
	}
	for reader, schema := range map[string][]string{
		"": {}, "cluster": {"cluster"}, "topics[0]": {"topics"}, "load": {"load"}, "load.record": {"load", "record"},
		"load.transactions": {"load", "transactions"}, "producers": {"producers"},
	} {
		if got, want := d.keys[reader], properties(schema...); !slices.Equal(got, want) {
			t.Errorf("%q: the reader knows %v, the schema %v", reader, got, want)
		}
	}
	for _, of := range []string{"consumer", "processor"} {
		for _, key := range d.keys[of] {
			if !slices.Contains(properties(of), key) {
				t.Errorf("%s: the schema lacks %s", of, key)
			}
		}
	}
}
