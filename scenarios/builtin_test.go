package scenarios

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestBuiltinsAreValid(t *testing.T) {
	for _, name := range Builtins() {
		t.Run(name, func(t *testing.T) {
			s, err := Builtin(name)
			if err != nil {
				t.Fatalf("%v", err)
			}
			if s.Name != name {
				t.Errorf("file %s.yaml has the name %s", name, s.Name)
			}
			if s.About == "" {
				t.Errorf("a built-in scenario says what it is about")
			}
			if s.Guarantee == Unjudged { // measured only
				return
			}
			if s.Expect.Violated == PromiseOf(s, s.Guarantee).Given() {
				t.Errorf("expects violated=%v, but the settings promise it: %v", s.Expect.Violated, PromiseOf(s, s.Guarantee).Against)
			}
		})
	}
}

func TestQuickstartFitsInAMinuteAndRunsEmbedded(t *testing.T) {
	s, err := Builtin("quickstart")
	if err != nil {
		t.Fatal(err)
	}
	if all := s.Load.Warmup + s.Load.Duration; all.Seconds() < 20 || all.Seconds() > 27 {
		t.Errorf("the load takes %s, want 20 to 27 s", all)
	}
	if !slices.Contains(s.Clusters, "embedded") {
		t.Errorf("clusters %v, want embedded among them", s.Clusters)
	}
	if len(s.Faults) != 1 || s.Faults[0].Action != "kill" || s.Faults[0].Target.String() != "leader(orders/0)" {
		t.Errorf("faults %+v, want the kill of leader(orders/0)", s.Faults)
	}
}

// TestTwinsDifferInOneSetting holds each pair together: the same but for one value, and for what it is called and expects.
func TestTwinsDifferInOneSetting(t *testing.T) {
	pairs := 0
	for _, name := range Builtins() {
		promise, err := Builtin(name)
		if err != nil {
			t.Fatal(err)
		}
		if promise.Twin == "" || promise.Expect.Violated {
			continue
		}
		pairs++
		t.Run(name, func(t *testing.T) {
			twin, err := Builtin(promise.Twin)
			if err != nil {
				t.Fatal(err)
			}
			if twin.Twin != name || twin.Guarantee != promise.Guarantee || !twin.Expect.Violated || len(twin.Expect.Anomalies) == 0 {
				t.Errorf("%s names twin %s, guarantee %s, expects %+v", twin.Name, twin.Twin, twin.Guarantee, twin.Expect)
			}
			a, b := leaves(promise.tree, ""), leaves(twin.tree, "")
			var different []string
			for path := range maps.Keys(union(a, b)) {
				if a[path] != b[path] && !named(path) {
					different = append(different, path+": "+a[path]+" | "+b[path])
				}
			}
			if len(different) != 1 {
				t.Errorf("differ in %d settings, want 1:\n%s", len(different), strings.Join(different, "\n"))
			}
		})
	}
	if pairs < 12 {
		t.Errorf("%d pairs, want the eleven of docs/guarantees.md and the at-most-once producer", pairs)
	}
}

func named(path string) bool {
	return path == "name" || path == "about" || path == "twin" || strings.HasPrefix(path, "expect")
}

func union(a, b map[string]string) map[string]string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// leaves are the values of a tree by their paths.
func leaves(n *node, path string) map[string]string {
	all := map[string]string{}
	switch n.shape {
	case aMapping:
		for _, e := range n.entries {
			maps.Copy(all, leaves(e.value, join(path, e.key)))
		}
	case aList:
		for i, v := range n.items {
			maps.Copy(all, leaves(v, path+"["+string(rune('0'+i/10))+string(rune('0'+i%10))+"]"))
		}
	default:
		all[path] = n.text
	}
	return all
}
