package scenarios

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// Parse reads a scenario file. The error is of type Problems and says everything that is wrong with it; file is the name
// that they point into. Changes are made before anything is checked.
func Parse(file string, src []byte, changes ...Change) (Scenario, error) {
	root, problems := readTree(newSource(file, src), src)
	if root == nil || len(problems) > 0 {
		return Scenario{}, problems.err()
	}
	return finish(root, changes)
}

// finish makes changes to a tree, reads the scenario, and checks it and every cell of its matrix.
func finish(root *node, changes []Change) (Scenario, error) {
	root, problems := change(root, changes)
	s, found := build(root, true)
	problems = append(problems, found...)
	problems = append(problems, cellProblems(root, problems)...)
	if err := problems.err(); err != nil {
		return Scenario{}, err
	}
	return s, nil
}

// build reads and checks a tree. claims asks whether the settings promise the guarantee, too.
func build(root *node, claims bool) (Scenario, Problems) {
	d := newDecoder()
	s := d.scenario(root)
	c := checker{decoder: d, s: &s}
	c.contradictions()
	if claims {
		c.promised()
	}
	s.tree = root
	return s, d.problems
}

// With is the scenario with changes made to it.
func (s Scenario) With(changes ...Change) (Scenario, error) {
	root, err := s.root()
	if err != nil {
		return Scenario{}, err
	}
	return finish(root, changes)
}

// Validate checks a scenario that was not read from a file. The problems point into what Marshal writes.
func Validate(s Scenario) error {
	_, err := s.With()
	return err
}

// root is the tree of a scenario.
func (s Scenario) root() (*node, error) {
	if s.tree != nil {
		return s.tree, nil
	}
	text := Marshal(s)
	root, problems := readTree(newSource(s.Name, text), text)
	return root, problems.err()
}

// Open reads a built-in scenario by its name, or a file by its path. What looks like a path (it has a slash or ends in
// .yaml or .yml) is never taken for a name.
func Open(nameOrPath string, changes ...Change) (Scenario, error) {
	if src, err := builtin(nameOrPath); err == nil {
		return Parse(nameOrPath+".yaml", src, changes...)
	}
	looksLikePath := strings.ContainsAny(nameOrPath, `/\`) || strings.HasSuffix(nameOrPath, ".yaml") || strings.HasSuffix(nameOrPath, ".yml")
	src, err := os.ReadFile(nameOrPath)
	switch {
	case err == nil:
		return Parse(nameOrPath, src, changes...)
	case looksLikePath || !errors.Is(err, fs.ErrNotExist):
		return Scenario{}, fmt.Errorf("read scenario: %w", err)
	}
	hint := ""
	if near := nearest(nameOrPath, Builtins()); near != "" {
		hint = "did you mean " + near + "? "
	}
	return Scenario{}, fmt.Errorf("no scenario %q: %sbuilt in are %s; a file ends in .yaml", nameOrPath, hint, strings.Join(Builtins(), ", "))
}
