package main

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"hash/fnv"
	"slices"
	"strings"
)

// mutant is one change. Its name says where it stands and stays the same while its function does.
type mutant struct {
	Name string // file:function:kind:n of that kind in the function, and what the function's text hashes to
	File string
	Line int
	What string // what becomes what

	id   int
	root string // the function's hash
}

// edit inserts text at a place, and drops some after it.
type edit struct {
	at, drop int
	text     string
	closing  bool // closes what was opened before it: it stands before what opens at the same place
	order    int
}

// mutator finds the mutants of one file and makes the text in which all of them stand.
type mutator struct {
	fset    *token.FileSet
	info    *types.Info
	pkg     *types.Package
	file    *ast.File
	name    string
	src     []byte
	next    func() int
	dropped map[string]bool // names of mutants that do not compile

	edits   []edit
	mutants []mutant
	fn      string
	hash    string
	counts  map[string]int
	groups  map[string][]string     // constants by their declaration
	sole    map[*ast.BlockStmt]bool // has one statement, and goes with its if
}

func (m *mutator) offset(p token.Pos) int { return m.fset.Position(p).Offset }

func (m *mutator) text(n ast.Node) string {
	s := string(m.src[m.offset(n.Pos()):m.offset(n.End())])
	if line, _, more := strings.Cut(s, "\n"); more {
		return line + " …"
	}
	return s
}

// mutant enters one, and tells its number; 0 if it is known not to compile.
func (m *mutator) mutant(at token.Pos, kind, what string) int {
	m.counts[kind]++
	name := fmt.Sprintf("%s:%s:%s:%d:%s", strings.TrimSuffix(m.name, ".go"), m.fn, kind, m.counts[kind], m.hash)
	if m.dropped[name] {
		return 0
	}
	id := m.next()
	m.mutants = append(m.mutants, mutant{Name: name, File: m.name, Line: m.fset.Position(at).Line, What: what, id: id, root: m.hash})
	return id
}

func (m *mutator) insert(at token.Pos, text string) {
	m.edits = append(m.edits, edit{at: m.offset(at), text: text, order: len(m.edits)})
}

// wrap puts something before and after a node. Nodes are wrapped from the outside in.
func (m *mutator) wrap(n ast.Node, before, after string) {
	m.insert(n.Pos(), before)
	m.edits = append(m.edits, edit{at: m.offset(n.End()), text: after, closing: true, order: len(m.edits)})
}

func (m *mutator) replace(at token.Pos, drop int, text string) {
	m.edits = append(m.edits, edit{at: m.offset(at), drop: drop, text: text, order: len(m.edits)})
}

// rewrite is the text with all mutants in it.
func (m *mutator) rewrite() []byte {
	m.declared()
	for _, d := range m.file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil {
			m.function(f)
		}
	}
	slices.SortStableFunc(m.edits, func(a, b edit) int {
		switch {
		case a.at != b.at:
			return a.at - b.at
		case a.closing != b.closing:
			return map[bool]int{true: -1, false: 1}[a.closing]
		case a.closing: // what was opened last is closed first
			return b.order - a.order
		}
		return a.order - b.order
	})
	var out []byte
	at := 0
	for _, e := range m.edits {
		out = append(append(out, m.src[at:e.at]...), e.text...)
		at = e.at + e.drop
	}
	return append(out, m.src[at:]...)
}

// declared lists the constants of the package that may stand for each other: those of one type and one declaration.
func (m *mutator) declared() {
	m.groups = map[string][]string{}
	scope := m.pkg.Scope()
	type row struct {
		name string
		pos  token.Pos
	}
	rows := map[string][]row{}
	for _, name := range scope.Names() {
		if c, ok := scope.Lookup(name).(*types.Const); ok {
			kind := c.Type().String()
			rows[kind] = append(rows[kind], row{name, c.Pos()})
		}
	}
	for kind, list := range rows {
		slices.SortFunc(list, func(a, b row) int { return int(a.pos - b.pos) })
		for _, r := range list {
			m.groups[kind] = append(m.groups[kind], r.name)
		}
	}
}

func (m *mutator) function(f *ast.FuncDecl) {
	m.fn = f.Name.Name
	if f.Recv != nil {
		recv := f.Recv.List[0].Type
		if star, ok := recv.(*ast.StarExpr); ok {
			recv = star.X
		}
		if generic, ok := recv.(*ast.IndexExpr); ok {
			recv = generic.X
		}
		m.fn = m.text(recv) + "." + m.fn
	}
	h := fnv.New32a()
	h.Write(m.src[m.offset(f.Pos()):m.offset(f.End())])
	m.hash = fmt.Sprintf("%08x", h.Sum32())
	m.counts, m.sole = map[string]int{}, map[*ast.BlockStmt]bool{}
	sig := m.info.Defs[f.Name].Type().(*types.Signature)
	m.early(f, sig)
	m.body(f.Body, sig)
}

func (m *mutator) typeName(t types.Type) string {
	return types.TypeString(t, func(p *types.Package) string {
		if p == m.pkg {
			return ""
		}
		return p.Name()
	})
}

// early returns before the function has done anything.
func (m *mutator) early(f *ast.FuncDecl, sig *types.Signature) {
	if len(f.Body.List) == 0 {
		return
	}
	if _, only := f.Body.List[0].(*ast.ReturnStmt); only && len(f.Body.List) == 1 {
		return
	}
	var zeros []string
	for v := range sig.Results().Variables() {
		zeros = append(zeros, "*new("+m.typeName(v.Type())+")")
	}
	if id := m.mutant(f.Body.Lbrace, "early", "returns at once"); id > 0 {
		m.insert(f.Body.Lbrace+1, fmt.Sprintf("if mutantIs(%d) { return %s };", id, strings.Join(zeros, ", ")))
	}
}

// body of a function, whose returns are those of its signature.
func (m *mutator) body(b *ast.BlockStmt, sig *types.Signature) { ast.Inspect(b, m.visit(b, sig)) }

func (m *mutator) visit(b *ast.BlockStmt, sig *types.Signature) func(ast.Node) bool {
	return func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			m.body(n.Body, m.info.TypeOf(n).(*types.Signature))
			return false
		case *ast.GenDecl:
			return n.Tok == token.VAR
		case *ast.BlockStmt:
			if !m.sole[n] {
				m.statements(n.List, n == b && sig.Results().Len() > 0)
			}
		case *ast.CaseClause:
			m.statements(n.Body, false)
		case *ast.SwitchStmt:
			m.cases(n)
		case *ast.IfStmt:
			m.condition(n.Cond)
			m.sole[n.Body] = n.Else == nil && len(n.Body.List) == 1 // leaving it out is leaving out the if
		case *ast.ForStmt:
			if n.Cond != nil {
				m.condition(n.Cond)
			}
		case *ast.ReturnStmt:
			m.returns(n, sig)
		case *ast.KeyValueExpr: // a key is a field, or must be a constant
			ast.Inspect(n.Value, m.visit(b, sig))
			return false
		case ast.Expr:
			return m.expression(n)
		}
		return true
	}
}

// statements that may be left out. The last of a function that returns something is needed.
func (m *mutator) statements(list []ast.Stmt, needed bool) {
	for i, s := range list {
		if needed && i == len(list)-1 {
			continue
		}
		switch s := s.(type) {
		case *ast.AssignStmt:
			if s.Tok == token.DEFINE {
				continue
			}
		case *ast.ExprStmt, *ast.IncDecStmt, *ast.ForStmt, *ast.RangeStmt:
		case *ast.BranchStmt:
			if s.Tok != token.BREAK && s.Tok != token.CONTINUE {
				continue
			}
		case *ast.ReturnStmt:
			if len(s.Results) > 0 || i < len(list)-1 {
				continue
			}
		case *ast.IfStmt:
			if s.Else != nil {
				continue
			}
		default:
			continue
		}
		if id := m.mutant(s.Pos(), "drop", "without: "+m.text(s)); id > 0 {
			m.wrap(s, fmt.Sprintf("if !mutantIs(%d) { ", id), " }")
		}
	}
}

// cases that may be left out.
func (m *mutator) cases(s *ast.SwitchStmt) {
	for _, c := range s.Body.List {
		for _, e := range c.(*ast.CaseClause).List {
			id := m.mutant(e.Pos(), "case", "without case "+m.text(e))
			switch {
			case id == 0:
			case s.Tag == nil:
				m.wrap(e, fmt.Sprintf("mutantKeep(%d, ", id), ")")
			default:
				m.wrap(e, fmt.Sprintf("mutantCase[%s](%d, ", m.typeName(m.info.TypeOf(s.Tag)), id), ")")
			}
		}
	}
}

var comparisons = map[token.Token]bool{token.LSS: true, token.LEQ: true, token.GTR: true, token.GEQ: true, token.EQL: true, token.NEQ: true}

// condition that may be turned round, unless what it is made of is.
func (m *mutator) condition(e ast.Expr) {
	if b, ok := ast.Unparen(e).(*ast.BinaryExpr); ok && comparisons[b.Op] {
		return
	}
	m.negate(e)
}

func (m *mutator) negate(e ast.Expr) {
	if id := m.mutant(e.Pos(), "not", "!("+m.text(e)+")"); id > 0 {
		m.wrap(e, fmt.Sprintf("mutantNot(%d, ", id), ")")
	}
}

func (m *mutator) returns(s *ast.ReturnStmt, sig *types.Signature) {
	if len(s.Results) != sig.Results().Len() {
		return
	}
	for i, e := range s.Results {
		t := sig.Results().At(i).Type()
		value := m.info.Types[e]
		switch basic, _ := t.Underlying().(*types.Basic); {
		case value.IsNil() || value.Value != nil && constant.Compare(value.Value, token.EQL, zeroOf(value.Value)):
			continue
		case basic != nil && basic.Kind() == types.Bool:
			if b, ok := ast.Unparen(e).(*ast.BinaryExpr); !ok || !comparisons[b.Op] {
				m.negate(e)
			}
		default:
			if id := m.mutant(e.Pos(), "zero", "returns nothing for "+m.text(e)); id > 0 {
				m.wrap(e, fmt.Sprintf("mutantZero[%s](%d, ", m.typeName(t), id), ")")
			}
		}
	}
}

func zeroOf(v constant.Value) constant.Value {
	switch v.Kind() {
	case constant.Bool:
		return constant.MakeBool(false)
	case constant.String:
		return constant.MakeString("")
	}
	return constant.MakeInt64(0)
}

// expression tells whether to go on inside.
func (m *mutator) expression(e ast.Expr) bool {
	value, known := m.info.Types[e]
	if known && value.IsType() {
		return false
	}
	if known && value.Value != nil {
		m.constant(e, value)
		return false
	}
	switch e := e.(type) {
	case *ast.BinaryExpr:
		m.binary(e)
	case *ast.CallExpr:
		m.extreme(e)
	}
	return true
}

// constant may be one more or less, or another of its kind.
func (m *mutator) constant(e ast.Expr, value types.TypeAndValue) {
	t, basic := value.Type, false
	if b, ok := t.Underlying().(*types.Basic); ok && b.Info()&types.IsInteger != 0 {
		basic = true
		if b.Info()&types.IsUntyped != 0 {
			t = types.Typ[types.Int]
		}
	}
	if other := m.other(e); other != "" {
		if id := m.mutant(e.Pos(), "swap", m.text(e)+" → "+other); id > 0 {
			m.wrap(e, fmt.Sprintf("mutantPick[%s](%d, ", m.typeName(t), id), ", "+other+")")
		}
		return
	}
	if !basic {
		return
	}
	steps := []string{"+", "-"}
	if _, literal := ast.Unparen(e).(*ast.BasicLit); !literal {
		steps = steps[:1] // a name stands for something else either way
	}
	for _, step := range steps {
		if b, _ := t.Underlying().(*types.Basic); step == "-" && b.Info()&types.IsUnsigned != 0 && constant.Sign(value.Value) == 0 {
			continue
		}
		if id := m.mutant(e.Pos(), "const", m.text(e)+" "+step+" 1"); id > 0 {
			m.wrap(e, fmt.Sprintf("mutantStep[%s](%d, %s1, ", m.typeName(t), id, step), ")")
		}
	}
}

// other constant of the same declaration, "" if there is none.
func (m *mutator) other(e ast.Expr) string {
	id, ok := e.(*ast.Ident)
	if !ok {
		return ""
	}
	c, ok := m.info.Uses[id].(*types.Const)
	if !ok || c.Pkg() != m.pkg || c.Parent() != m.pkg.Scope() {
		return ""
	}
	group := m.groups[c.Type().String()]
	at := slices.Index(group, id.Name)
	if b, ok := c.Type().Underlying().(*types.Basic); !ok || b.Info()&types.IsUntyped != 0 && b.Info()&types.IsInteger != 0 {
		return "" // a number, and not one of several names
	}
	if len(group) < 2 {
		return ""
	}
	return group[(at+1)%len(group)]
}

var relations = map[token.Token]string{token.LSS: "Less", token.LEQ: "AtMost", token.GTR: "More", token.GEQ: "AtLeast"}

var sums = map[token.Token]string{token.ADD: "Add", token.SUB: "Sub", token.MUL: "Mul", token.QUO: "Quo", token.REM: "Rem", token.AND: "And", token.OR: "Or", token.AND_NOT: "AndNot", token.XOR: "Xor"}

// binary operators. Both sides are taken once, in their order.
func (m *mutator) binary(e *ast.BinaryExpr) {
	width := len(e.Op.String())
	call := func(name string, ids ...int) {
		list := make([]string, len(ids))
		for i, id := range ids {
			list[i] = fmt.Sprint(id)
		}
		m.wrap(e, "mutant"+name+"("+strings.Join(list, ", ")+", ", ")")
		m.replace(e.OpPos, width, ", ")
	}
	switch {
	case e.Op == token.LAND || e.Op == token.LOR:
		name, other := "Both", "||"
		if e.Op == token.LOR {
			name, other = "Either", "&&"
		}
		if id := m.mutant(e.OpPos, "logic", m.text(e)+" with "+other); id > 0 {
			m.wrap(e, fmt.Sprintf("mutant%s(%d, ", name, id), " })")
			m.replace(e.OpPos, width, ", func() bool { return ")
		}
		for _, side := range []ast.Expr{e.X, e.Y} {
			switch b, ok := ast.Unparen(side).(*ast.BinaryExpr); {
			case ok && (comparisons[b.Op] || b.Op == token.LAND || b.Op == token.LOR):
			default:
				m.negate(side)
			}
		}
	case relations[e.Op] != "":
		edge := m.mutant(e.OpPos, "edge", m.text(e)+", the border moved")
		not := m.mutant(e.OpPos, "not", "!("+m.text(e)+")")
		if edge > 0 || not > 0 {
			call(relations[e.Op], edge, not)
		}
	case e.Op == token.EQL || e.Op == token.NEQ:
		if id := m.mutant(e.OpPos, "not", "!("+m.text(e)+")"); id > 0 {
			m.wrap(e, fmt.Sprintf("mutantNot(%d, ", id), ")")
		}
	case sums[e.Op] != "" && m.integers(e):
		if id := m.mutant(e.OpPos, "sum", m.text(e)+" with another operator"); id > 0 {
			call(sums[e.Op], id)
		}
	}
}

func (m *mutator) integers(e *ast.BinaryExpr) bool {
	b, ok := m.info.TypeOf(e).Underlying().(*types.Basic)
	return ok && b.Info()&types.IsInteger != 0
}

// extreme: max for min, and min for max.
func (m *mutator) extreme(e *ast.CallExpr) {
	f, ok := e.Fun.(*ast.Ident)
	if !ok || f.Name != "max" && f.Name != "min" || m.info.Uses[f] != types.Universe.Lookup(f.Name) {
		return
	}
	if id := m.mutant(e.Pos(), "extreme", "the other of min and max: "+m.text(e)); id > 0 {
		m.replace(f.Pos(), len(f.Name), "mutant"+strings.ToUpper(f.Name[:1])+f.Name[1:])
		m.insert(e.Lparen+1, fmt.Sprintf("%d, ", id))
	}
}
