package reports

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

const schemaFile = "result.schema.json"

func compiled(t *testing.T, fragment string) *jsonschema.Schema {
	t.Helper()
	s, err := jsonschema.NewCompiler().Compile(schemaFile + fragment)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// valid checks a document against the published schema, as its reader would.
func valid(t *testing.T, document any) error {
	t.Helper()
	return validBy(t, compiled(t, ""), document)
}

// validAs checks a part of what the schema knows, by its name there.
func validAs(t *testing.T, name string, document any) error {
	t.Helper()
	return validBy(t, compiled(t, "#/$defs/"+name), document)
}

func validBy(t *testing.T, s *jsonschema.Schema, document any) error {
	t.Helper()
	var b bytes.Buffer
	if err := WriteJSON(&b, document); err != nil {
		t.Fatal(err)
	}
	parsed, err := jsonschema.UnmarshalJSON(&b)
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(parsed)
}

type schema struct {
	Ref        string            `json:"$ref"`
	Type       any               `json:"type"`
	Required   []string          `json:"required"`
	Properties map[string]schema `json:"properties"`
	Items      *schema           `json:"items"`
	Enum       []any             `json:"enum"`
	Defs       map[string]schema `json:"$defs"`
}

func (s schema) nullable() bool {
	types, _ := s.Type.([]any)
	return slices.Contains(types, any("null")) || slices.Contains(s.Enum, nil)
}

// The schema and the Go types have the same members, all required, and are null in the same places.
func TestSchemaAndTypesHaveTheSameMembers(t *testing.T) {
	text, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	var root schema
	if err := json.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	for name, of := range map[string]reflect.Type{"result": reflect.TypeFor[Document](), "results": reflect.TypeFor[Results](), "judged": reflect.TypeFor[Judged]()} {
		sameMembers(t, name, root.Defs, root.Defs[name], of)
	}
}

func sameMembers(t *testing.T, path string, defs map[string]schema, s schema, of reflect.Type) {
	t.Helper()
	if name, ok := strings.CutPrefix(s.Ref, "#/$defs/"); ok {
		s = defs[name]
	}
	if pointer := of.Kind() == reflect.Pointer; pointer != s.nullable() {
		t.Errorf("%s: null in the type %v, in the schema %v", path, pointer, s.nullable())
	} else if pointer {
		of = of.Elem()
	}
	switch of.Kind() {
	case reflect.Slice:
		if s.Items == nil {
			t.Fatalf("%s: a list in the type, not in the schema", path)
		}
		sameMembers(t, path+"[]", defs, *s.Items, of.Elem())
	case reflect.Struct:
		var names []string
		for i := range of.NumField() {
			name, options, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
			if name == "-" {
				continue
			}
			if name == "" || options != "" {
				t.Errorf("%s: %s has no plain JSON name: what is unknown must be null, not left out", path, of.Field(i).Name)
			}
			names = append(names, name)
			sameMembers(t, path+"."+name, defs, s.Properties[name], of.Field(i).Type)
		}
		slices.Sort(names)
		if known := slices.Sorted(maps.Keys(s.Properties)); !slices.Equal(names, known) {
			t.Errorf("%s: members of the type %v, of the schema %v", path, names, known)
		}
		if required := slices.Sorted(slices.Values(s.Required)); !slices.Equal(names, required) {
			t.Errorf("%s: members of the type %v, required %v", path, names, required)
		}
	}
}

// The members that are promised to users and scripts, as the documentation of the contract lists them.
func TestDocumentHasThePromisedMembers(t *testing.T) {
	const promised = `{"kbench_result": 1, "scenario": "", "cell": {}, "repeat": 1, "seed": 1, "as_expected": true, "exit_code": 0,
	 "verdict": "", "guarantee": {"name": "", "expected": "", "verdict": "", "scope": "", "reasons": []},
	 "cluster": {"kind": "", "simulated": false, "software": "", "version": "", "mode": "", "brokers": 3, "effective": {}},
	 "client": {"driver": "", "version": "", "asked": {}, "effective": {}, "reader": ""},
	 "machine": {"cpus": 2, "memory_mib": 24000, "kernel": ""},
	 "counts": {"sent": 0, "acked": 0, "indeterminate": 0, "failed": 0, "read": 0, "lost": 0, "duplicated": 0},
	 "findings": [{"anomaly": "", "decides": true, "count": 3, "checked": 1,
	   "witnesses": [{"partition": "", "offset": 17, "value": "", "at_ms": 1, "during": ""}]}],
	 "faults": [{"name": "", "target": "", "at_ms": 1, "healed_ms": 1, "bit": true, "evidence": [],
	   "unavailable_ms": 1, "recovered_ms": 1, "at_risk": 1, "loss_rate_seen_95": 0.1}],
	 "latency": {"ack": {"response": {"p50_us": 0, "p90_us": 0, "p99_us": 0, "p999_us": 0, "p9999_us": 0, "max_us": 0, "count": 0}, "service": {}},
	   "end_to_end": {"response": {}, "service": {}}, "phases": [{"phase": "", "fault": 0, "ack": {}, "end_to_end": {}}]},
	 "throughput": {"offered_per_s": 0, "acked_per_s": 0, "acked_mib_per_s": 0, "read_per_s": 0, "limited_by": ""},
	 "thresholds": [{"expr": "", "value": 41.2, "ok": true}], "warnings": []}`
	decoder := json.NewDecoder(strings.NewReader(promised))
	decoder.DisallowUnknownFields()
	var d Document
	if err := decoder.Decode(&d); err != nil {
		t.Fatalf("a promised member is missing: %v", err)
	}
	if f := d.Faults[0]; f.AtRisk == nil || f.LossRateSeen95 == nil || d.Latency.Ack.Response.P9999 == nil {
		t.Error("a promised member was not taken")
	}
}

func TestSchemaRefusesWhatTheContractForbids(t *testing.T) {
	for name, spoil := range map[string]func(*Document){
		"a verdict of another name":    func(d *Document) { d.Verdict = "probably" },
		"no list of faults":            func(d *Document) { d.Faults = nil },
		"another version":              func(d *Document) { d.Version = 2 },
		"a mode that does not exist":   func(d *Document) { d.Cluster.Mode = known("raft") },
		"an exit code of another name": func(d *Document) { d.ExitCode = 42 },
	} {
		t.Run(name, func(t *testing.T) {
			d := empty()
			if err := valid(t, d); err != nil {
				t.Fatalf("before: %v", err)
			}
			spoil(&d)
			if valid(t, d) == nil {
				t.Error("the schema takes it")
			}
		})
	}
}

// empty is a document of a run of which nothing is known.
func empty() Document {
	return Document{
		Version: 1, Verdict: Inconclusive, ExitCode: ExitInconclusive, Cell: map[string]string{},
		Guarantee: Guarantee{Verdict: Inconclusive, Reasons: []string{}},
		Cluster:   Cluster{Kind: "embedded", Effective: map[string]string{}},
		Client:    Client{Asked: map[string]string{}, Effective: map[string]string{}},
		Findings:  []Finding{}, Faults: []Fault{}, Latency: Latencies{Phases: []Phase{}},
		Groups: []Group{}, Topics: []Topic{}, Throughput: Throughput{Evidence: []string{}}, Stages: []Stage{},
		Thresholds: []Threshold{}, Warnings: []string{},
	}
}
