package scenarios

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// source is a text that problems point into: a file, or a change asked for on the command line.
type source struct {
	name  string
	lines []string
}

func newSource(name string, text []byte) *source {
	return &source{name: name, lines: strings.Split(string(text), "\n")}
}

// place is a position in a source.
type place struct {
	*source
	Pos
}

func (p place) problem(path, hint, message string) Problem {
	problem := Problem{File: p.name, Line: p.Line, Column: p.Column, Path: path, Message: message, Hint: hint}
	if p.Line > 0 && p.Line <= len(p.lines) {
		problem.Text = strings.TrimRight(p.lines[p.Line-1], "\r")
	}
	return problem
}

// shape of a node.
type shape uint8

const (
	aNothing shape = iota // a key without a value, ~ or null
	aText
	aNumber
	aTruth
	aList
	aMapping
)

func (s shape) String() string {
	return [...]string{"nothing", "a text", "a number", "a truth value", "a list", "a mapping"}[s]
}

// node is a value of the file with its place. The tree is plain data: changes make a copy.
type node struct {
	place
	shape   shape
	text    string // scalars: as written, without quotes
	plain   bool   // scalars: written without quotes on one line, so that places within it are known
	items   []*node
	entries []entry
}

// entry of a mapping, in the order of the file; a key may occur twice.
type entry struct {
	key   string
	at    place
	value *node
}

// get is the value of a key, nil where there is none.
func (n *node) get(key string) *node {
	for _, e := range n.entries {
		if e.key == key {
			return e.value
		}
	}
	return nil
}

// with is a copy of the mapping n in which the key has a value; a nil value takes the key away.
func (n *node) with(key string, at place, value *node) *node {
	c := &node{place: at, shape: aMapping}
	if n != nil && n.shape == aMapping {
		c.place, c.entries = n.place, append([]entry(nil), n.entries...)
	}
	for i, e := range c.entries {
		if e.key != key {
			continue
		}
		if value == nil {
			c.entries = append(c.entries[:i], c.entries[i+1:]...)
		} else {
			c.entries[i] = entry{key, at, value}
		}
		return c
	}
	if value != nil {
		c.entries = append(c.entries, entry{key, at, value})
	}
	return c
}

// found says what stands there, for messages.
func (n *node) found() string {
	switch n.shape {
	case aText, aNumber, aTruth:
		return strconv.Quote(n.text)
	default:
		return n.shape.String()
	}
}

// readTree turns YAML into a tree. What the format does not use of YAML (several documents, anchors, tags, merge keys)
// is refused, so that what is read is what a reader of the file sees.
func readTree(src *source, raw []byte) (*node, Problems) {
	if !utf8.Valid(raw) {
		line := 1 + strings.Count(string(raw[:validPrefix(raw)]), "\n")
		return nil, Problems{place{src, Pos{line, 1}}.problem("", "", "not text: this line has bytes that are no UTF-8")}
	}
	file, err := parser.ParseBytes(raw, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, Problems{syntaxProblem(src, err)}
	}
	g := grower{src: src}
	var roots []*node
	for _, doc := range file.Docs {
		if doc.Body != nil && doc.Body.Type() != ast.CommentType {
			roots = append(roots, g.grow(doc.Body))
		}
	}
	switch {
	case len(roots) == 0:
		return nil, Problems{place{src, Pos{1, 1}}.problem("", "kbench scenarios show quickstart prints one to start from", "expected a scenario, found an empty file")}
	case len(roots) > 1:
		g.complain(roots[1].place, "one file is one scenario", "a second document")
	}
	return roots[0], g.problems
}

// validPrefix is how many bytes are UTF-8.
func validPrefix(raw []byte) int {
	n := 0
	for n < len(raw) {
		r, size := utf8.DecodeRune(raw[n:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		n += size
	}
	return n
}

func syntaxProblem(src *source, err error) Problem {
	at := place{src, Pos{1, 1}}
	message := err.Error()
	var located interface {
		error
		GetToken() *token.Token
		GetMessage() string
	}
	if errors.As(err, &located) {
		message = located.GetMessage()
		if t := located.GetToken(); t != nil && t.Position != nil {
			at.Pos = Pos{t.Position.Line, t.Position.Column}
		}
	}
	hint := ""
	if strings.Contains(message, "mapping value is not allowed") {
		hint = "a value with a colon and a blank in it needs quotes"
	}
	return at.problem("", hint, "not YAML: "+message)
}

type grower struct {
	src      *source
	problems Problems
}

func (g *grower) complain(at place, hint, message string) {
	g.problems = append(g.problems, at.problem("", hint, message+" is not part of a scenario"))
}

func (g *grower) place(n ast.Node) place {
	p := place{source: g.src, Pos: Pos{1, 1}}
	if t := n.GetToken(); t != nil && t.Position != nil {
		p.Pos = Pos{t.Position.Line, t.Position.Column}
	}
	return p
}

func (g *grower) grow(n ast.Node) *node {
	out := &node{place: g.place(n)}
	switch n := n.(type) {
	case *ast.MappingNode:
		out.shape = aMapping
		if !n.IsFlowStyle && len(n.Values) > 0 {
			out.place = g.place(n.Values[0].Key)
		}
		for _, v := range n.Values {
			out.entries = g.entry(out.entries, v)
		}
	case *ast.MappingValueNode:
		out.shape, out.place = aMapping, g.place(n.Key)
		out.entries = g.entry(nil, n)
	case *ast.SequenceNode:
		out.shape = aList
		for _, v := range n.Values {
			out.items = append(out.items, g.grow(v))
		}
	case *ast.NullNode:
		out.shape = aNothing
	case *ast.StringNode:
		out.shape, out.text = aText, n.Value
		out.plain = n.Token.Type == token.StringType
	case *ast.LiteralNode:
		out.shape, out.text = aText, n.Value.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		out.shape, out.text, out.plain = aNumber, n.GetToken().Value, true
	case *ast.BoolNode:
		out.shape, out.text, out.plain = aTruth, n.Token.Value, true
	default:
		g.complain(out.place, "write the value out", oddity(n))
	}
	return out
}

// oddity names what of YAML is refused.
func oddity(n ast.Node) string {
	switch n.(type) {
	case *ast.AnchorNode:
		return "an anchor (&)"
	case *ast.AliasNode:
		return "an alias (*)"
	case *ast.TagNode:
		return "a tag (!)"
	case *ast.MergeKeyNode:
		return "a merge key (<<)"
	default:
		return "this YAML (" + strings.ToLower(n.Type().String()) + ")"
	}
}

func (g *grower) entry(entries []entry, v *ast.MappingValueNode) []entry {
	var key ast.Node = v.Key
	if k, ok := key.(*ast.MappingKeyNode); ok {
		key = k.Value
	}
	at := g.place(key)
	switch key.(type) {
	case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode:
	default:
		g.complain(at, "write the value out", oddity(key))
		return entries
	}
	value := g.grow(v.Value)
	if value.shape == aNothing {
		value.place = at // a missing value is pointed at by its key
	}
	name := key.GetToken().Value
	if s, ok := key.(*ast.StringNode); ok {
		name = s.Value
	}
	return append(entries, entry{key: name, at: at, value: value})
}
