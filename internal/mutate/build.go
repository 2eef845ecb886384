package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

//go:embed support.go.txt
var support string

// source is a package as it stands in the tree.
type source struct {
	dir, name string
	files     []string
	fset      *token.FileSet
	parsed    []*ast.File
	info      *types.Info
	pkg       *types.Package
}

// load type-checks a package. Its imports come as the compiler left them.
func load(ctx context.Context, path string) (*source, error) {
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", "list", "-export", "-deps", "-json=ImportPath,Export,Dir,Name,GoFiles,DepOnly", path)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list %s: %w: %s", path, err, stderr.String())
	}
	type listed struct {
		ImportPath, Export, Dir, Name string
		GoFiles                       []string
		DepOnly                       bool
	}
	s, exports := &source{fset: token.NewFileSet()}, map[string]string{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("go list %s: %w", path, err)
		}
		exports[p.ImportPath] = p.Export
		if !p.DepOnly {
			s.dir, s.name, s.files = p.Dir, p.Name, p.GoFiles
		}
	}
	for _, file := range s.files {
		f, err := parser.ParseFile(s.fset, filepath.Join(s.dir, file), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		s.parsed = append(s.parsed, f)
	}
	lookup := func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) }
	conf := types.Config{Importer: importer.ForCompiler(s.fset, "gc", lookup)}
	s.info = &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}}
	s.pkg, err = conf.Check(path, s.fset, s.parsed, s.info)
	return s, err
}

// mutate makes the text of all files that match, with all mutants but those that do not compile.
func (s *source) mutate(pattern string, dropped map[string]bool) (map[string][]byte, []mutant, error) {
	texts, all, n := map[string][]byte{}, []mutant(nil), 0
	for i, file := range s.files {
		if pattern != "" && !slices.Contains(strings.Split(pattern, ","), file) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(s.dir, file))
		if err != nil {
			return nil, nil, err
		}
		m := &mutator{fset: s.fset, info: s.info, pkg: s.pkg, file: s.parsed[i], name: file, src: text, dropped: dropped, next: func() int { n++; return n }}
		texts[file] = m.rewrite()
		all = append(all, m.mutants...)
	}
	return texts, all, nil
}

// build compiles the package's tests with all mutants, and leaves out those of lines that do not compile.
func (s *source) build(ctx context.Context, pattern, pkg, dir string) (string, []mutant, error) {
	dropped := map[string]bool{}
	binary := filepath.Join(dir, "mutants.test")
	for range 40 {
		texts, mutants, err := s.mutate(pattern, dropped)
		if err != nil {
			return "", nil, err
		}
		overlay, err := s.overlay(texts, dir)
		if err != nil {
			return "", nil, err
		}
		out, err := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-gcflags=-e", "-overlay", overlay, "-o", binary, pkg).CombinedOutput()
		if err == nil {
			return binary, mutants, nil
		}
		if n := s.blame(out, dir, mutants, dropped); n == 0 {
			return "", nil, fmt.Errorf("build: %w\n%s", err, out)
		}
	}
	return "", nil, errors.New("the mutants do not compile")
}

func (s *source) overlay(texts map[string][]byte, dir string) (string, error) {
	replace := map[string]string{}
	for file, text := range texts {
		path := filepath.Join(dir, file)
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return "", err
		}
		replace[filepath.Join(s.dir, file)] = path
	}
	path := filepath.Join(dir, "mutant_support.go")
	if err := os.WriteFile(path, []byte(strings.Replace(support, "PACKAGE", s.name, 1)), 0o644); err != nil {
		return "", err
	}
	replace[filepath.Join(s.dir, "mutant_support.go")] = path
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, b, 0o644)
}

var (
	complaint = regexp.MustCompile(`([a-z_0-9]+\.go):(\d+):\d+: `)
	number    = regexp.MustCompile(`mutant[A-Z][A-Za-z]*(?:\[[^(]*\])?\((\d+)(?:, (\d+))?`)
)

// blame finds the mutants in the lines that the compiler complains of; where there are none, those of the function's end
// that it complains of: a return is missing. It tells how many.
func (s *source) blame(out []byte, dir string, mutants []mutant, dropped map[string]bool) int {
	byID, n := map[string]mutant{}, 0
	for _, m := range mutants {
		byID[strconv.Itoa(m.id)] = m
	}
	for _, c := range complaint.FindAllSubmatch(out, -1) {
		text, err := os.ReadFile(filepath.Join(dir, string(c[1])))
		if err != nil {
			continue
		}
		lines := strings.Split(string(text), "\n")
		line, _ := strconv.Atoi(string(c[2]))
		for line > 0 {
			found := number.FindAllStringSubmatch(lines[line-1], -1)
			for _, f := range found {
				for _, id := range f[1:] {
					if m, ok := byID[id]; ok && !dropped[m.Name] {
						dropped[m.Name] = true
						n++
					}
				}
			}
			if len(found) > 0 {
				break
			}
			line--
		}
	}
	return n
}
