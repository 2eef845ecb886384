package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/kbench/kbench/"

// listed package of go list -json.
type goPackage struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

// TestImportRules holds the arrows of docs/ARCHITECTURE.md: running only writes the run directory, judging and reporting
// only read it, and each client library has one importer.
func TestImportRules(t *testing.T) {
	packages := goList(t)
	judging := []string{"internal/check", "reports", "internal/stats"}
	running := []string{"bench", "faults", "internal/cluster", "internal/driver", "internal/worker", "internal/proxy"}
	leaves := []string{"internal/client", "internal/settings", "internal/history", "internal/payload", "internal/clock", "internal/proc", "internal/flock", "internal/usage", "internal/rundir", "internal/capacity"}
	for _, p := range packages {
		name := strings.TrimPrefix(p.ImportPath, module)
		if within(name, judging) {
			refuse(t, p.ImportPath, p.Deps, running, "judging and reporting must not reach what runs")
		}
		if within(name, []string{"bench", "faults"}) {
			refuse(t, p.ImportPath, p.Deps, judging[:2], "running must not reach judging or reporting")
		}
		if within(name, []string{"bench"}) {
			refuse(t, p.ImportPath, p.Deps, []string{"internal/driver"}, "bench knows drivers by their interface only")
		}
		if within(name, leaves) {
			for _, d := range p.Imports {
				if strings.HasPrefix(d, module) {
					t.Errorf("%s imports %s: a leaf imports nothing of kbench", name, d)
				}
			}
		}
		if !strings.HasSuffix(name, "test") {
			refuseTests(t, p)
		}
		onlyImporter(t, p, "github.com/confluentinc/confluent-kafka-go", "internal/driver/confluent")
		onlyImporter(t, p, "github.com/twmb/franz-go/pkg/kfake", "internal/cluster/embedded")
		onlyImporter(t, p, "github.com/testcontainers/testcontainers-go", "internal/cluster/docker")
		onlyImporter(t, p, "github.com/moby/moby", "internal/cluster/docker")
		onlyImporter(t, p, "github.com/parquet-go/parquet-go", "reports/export")
	}
}

// refuseTests holds that what only tests use, such as a broker that lies, is in no program. Imports of test files are not
// among a package's Imports.
func refuseTests(t *testing.T, p goPackage) {
	t.Helper()
	for _, i := range p.Imports {
		if strings.HasPrefix(i, module) && strings.HasSuffix(i, "test") {
			t.Errorf("%s imports %s: only tests do", p.ImportPath, i)
		}
	}
}

func onlyImporter(t *testing.T, p goPackage, library, importer string) {
	t.Helper()
	if strings.HasSuffix(p.ImportPath, "test") { // packages that only tests use
		return
	}
	for _, i := range p.Imports {
		if strings.HasPrefix(i, library) && p.ImportPath != module+importer {
			t.Errorf("%s imports %s: only %s does", p.ImportPath, i, importer)
		}
	}
}

func refuse(t *testing.T, who string, deps, forbidden []string, why string) {
	t.Helper()
	for _, d := range deps {
		if own, ok := strings.CutPrefix(d, module); ok && within(own, forbidden) {
			t.Errorf("%s reaches %s: %s", who, own, why)
		}
	}
}

func within(name string, roots []string) bool {
	return slices.ContainsFunc(roots, func(root string) bool { return name == root || strings.HasPrefix(name, root+"/") })
}

func goList(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,Deps", module+"...").Output()
	if err != nil {
		var failed *exec.ExitError
		if errors.As(err, &failed) {
			t.Fatalf("go list: %s", failed.Stderr)
		}
		t.Fatal(err)
	}
	var packages []goPackage
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
	if len(packages) < 10 {
		t.Fatalf("go list shows only %d packages", len(packages))
	}
	return packages
}
