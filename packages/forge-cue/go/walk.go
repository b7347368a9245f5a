package main

import (
	"slices"
	"strconv"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"
)

const (
	maxWalkedFields   = 20_000
	maxWalkDepth      = 64
	maxAttributePaths = 1_000
	maxConjunctDepth  = 4
)

// walk visits the user's own value, before the schema joins it, for where its fields stand and where attributes took effect.
type walk struct {
	texts      sources
	attributes map[token.Pos]*fieldAttribute
	positions  map[string]position
	// others are the places of fields that aren't regular.
	others  map[string]position
	visited int
}

func newWalk(texts sources, attributes []*fieldAttribute) *walk {
	w := &walk{texts: texts, attributes: map[token.Pos]*fieldAttribute{}, positions: map[string]position{}, others: map[string]position{}}
	for _, one := range attributes {
		w.attributes[one.node.Pos()] = one
	}
	return w
}

// fields descends into structs and lists. A field that isn't regular (optional, hidden, definition) gets no position, and
// an optional one isn't descended into: it may hold its own definition again.
func (w *walk) fields(value cue.Value, path string, regular bool, depth int) {
	if depth > maxWalkDepth || w.visited > maxWalkedFields {
		return
	}
	if items, err := value.List(); err == nil {
		for i := 0; items.Next(); i++ {
			w.visit(items.Value(), path+"["+strconv.Itoa(i)+"]", regular, true, depth)
		}
		return
	}
	found, err := value.Fields(cue.All())
	if err != nil {
		return
	}
	for found.Next() {
		selector := found.Selector()
		name := join(path, selectorName(selector))
		plain := selector.IsString() && !selector.IsConstraint()
		w.visit(found.Value(), name, regular && plain, !selector.IsConstraint(), depth)
	}
}

func (w *walk) visit(value cue.Value, path string, regular, descend bool, depth int) {
	w.visited++
	nodes := fieldNodes(value, 0)
	if regular {
		w.locate(value, path, nodes, w.positions)
	} else {
		w.locate(value, path, nodes, w.others)
	}
	for _, node := range nodes {
		for _, one := range node.Attrs {
			w.note(one, path)
		}
	}
	if descend && value.IncompleteKind()&(cue.StructKind|cue.ListKind) != 0 {
		w.fields(value, path, regular, depth+1)
	}
}

func (w *walk) note(node *ast.Attribute, path string) {
	one, ok := w.attributes[node.Pos()]
	if ok && len(one.found.Paths) < maxAttributePaths && !slices.Contains(one.found.Paths, path) {
		one.found.Paths = append(one.found.Paths, path)
	}
}

func (w *walk) locate(value cue.Value, path string, nodes []*ast.Field, places map[string]position) {
	for _, node := range nodes {
		if at, ok := w.texts.position(node.Label.Pos()); ok && w.texts.isUser(at.File) {
			places[path] = at
			return
		}
	}
	if at, ok := w.texts.position(value.Pos()); ok && w.texts.isUser(at.File) {
		places[path] = at
	}
}

// fieldNodes are the places in the source that make a field: one per conjunct.
func fieldNodes(value cue.Value, depth int) []*ast.Field {
	if node, ok := value.Source().(*ast.Field); ok {
		return []*ast.Field{node}
	}
	operator, parts := value.Expr()
	if operator != cue.AndOp || depth > maxConjunctDepth {
		return nil
	}
	var found []*ast.Field
	for _, part := range parts {
		found = append(found, fieldNodes(part, depth+1)...)
	}
	return found
}
