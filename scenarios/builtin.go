package scenarios

import (
	"embed"
	"fmt"
	"strings"
)

//go:embed *.yaml
var builtinFiles embed.FS

// Builtins are the names of the built-in scenarios: quickstart, then the others in alphabetical order.
func Builtins() []string {
	files, _ := builtinFiles.ReadDir(".") // the folder is part of the program
	names := []string{quickstart}
	for _, f := range files {
		if name := strings.TrimSuffix(f.Name(), ".yaml"); name != quickstart {
			names = append(names, name)
		}
	}
	return names
}

const quickstart = "quickstart"

// BuiltinSource is the file of a built-in scenario.
func BuiltinSource(name string) ([]byte, error) { return builtin(name) }

func builtin(name string) ([]byte, error) {
	src, err := builtinFiles.ReadFile(name + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("no built-in scenario %q; there are %s", name, strings.Join(Builtins(), ", "))
	}
	return src, nil
}

// Builtin reads a built-in scenario.
func Builtin(name string) (Scenario, error) {
	src, err := builtin(name)
	if err != nil {
		return Scenario{}, err
	}
	return Parse(name+".yaml", src)
}
