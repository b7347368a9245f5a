package main

import (
	"slices"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/ast/astutil"
	"cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/token"
)

const maxRepairs = 8

// repairs are the places whose errors were reported. Built without them, the package shows the errors they hid: CUE says
// nothing of values while a name is unknown, and nothing of fields that aren't allowed while values conflict.
type repairs struct {
	places map[place]bool
	rounds int
}

type place struct {
	file   string
	offset int
}

func placeOf(at token.Pos) place { return place{at.Filename(), at.Offset()} }

// note remembers where the user's side of errors stands, and tells whether anything new was found.
func (r *repairs) note(report *report, list []errors.Error) bool {
	if r.places == nil {
		r.places = map[place]bool{}
	}
	before := len(r.places)
	for _, one := range list {
		switch classify(one) {
		case kindReference, kindImport, kindValue, kindCycle:
			for _, at := range errors.Positions(one) {
				if report.texts.isUser(at.Filename()) {
					r.places[placeOf(at)] = true
				}
			}
		}
	}
	r.rounds++
	return len(r.places) > before && r.rounds < maxRepairs
}

func (r *repairs) apply(source *source) {
	if len(r.places) == 0 {
		return
	}
	for _, file := range source.files {
		dropImports(file, func(spec *ast.ImportSpec, _ string) bool { return r.has(spec.Pos()) || r.has(spec.Path.Pos()) })
		astutil.Apply(file, r.replace, nil)
	}
}

func (r *repairs) has(at token.Pos) bool { return at.HasAbsPos() && r.places[placeOf(at)] }

// replace puts `_` in place of an expression, and an empty list where a loop needs something to go over.
func (r *repairs) replace(cursor astutil.Cursor) bool {
	switch node := cursor.Node().(type) {
	case *ast.ImportDecl, *ast.Package, *ast.Attribute:
		return false
	case *ast.ForClause:
		if r.within(node.Source) {
			node.Source = ast.NewList()
		}
	case *ast.IfClause:
		if r.within(node.Condition) {
			node.Condition = ast.NewBool(false)
		}
	case *ast.Field:
		if r.has(node.Pos()) || r.has(node.Label.Pos()) || slices.ContainsFunc(node.Attrs, r.marks) {
			node.Value = anything()
		}
	case ast.Expr:
		return r.replaceExpression(cursor, node)
	}
	return true
}

func (r *repairs) marks(one *ast.Attribute) bool { return r.has(one.Pos()) }

// replaceExpression takes the whole expression around an unknown name or a conflict, since an operator on `_` would only
// give a further error, but looks into structs and lists, whose other parts may hold errors of their own.
func (r *repairs) replaceExpression(cursor astutil.Cursor, node ast.Expr) bool {
	if field, ok := cursor.Parent().Node().(*ast.Field); ok && field.Value != node {
		return true
	}
	if !r.within(node) {
		return true
	}
	cursor.Replace(anything())
	return false
}

// within tells whether an error stands in an expression, outside of the structs and lists in it.
func (r *repairs) within(expression ast.Expr) (found bool) {
	ast.Walk(expression, func(node ast.Node) bool {
		found = found || r.has(node.Pos())
		switch node.(type) {
		case *ast.StructLit, *ast.ListLit, *ast.Comprehension:
			return false
		}
		return !found
	}, nil)
	return found
}

func anything() ast.Expr { return ast.NewIdent("_") }
