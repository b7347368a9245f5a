package main

import (
	"encoding/json"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/token"
	cuejson "cuelang.org/go/encoding/json"
)

// fieldAttribute is an attribute as it stands in the source, once, however many fields a loop makes of it.
type fieldAttribute struct {
	field *ast.Field
	node  *ast.Attribute
	found attribute
}

// key is equal for attributes that say the same in other quotes or with other blanks.
func (a *attribute) key() string {
	text, _ := json.Marshal([]any{a.Name, a.Positional, a.Named})
	return string(text)
}

// attributes finds those on fields; attributes of a struct or a file don't stand for a value.
func (s *source) attributes() []*fieldAttribute {
	var found []*fieldAttribute
	for _, file := range s.files {
		ast.Walk(file, func(node ast.Node) bool {
			field, ok := node.(*ast.Field)
			if !ok {
				return true
			}
			for _, one := range field.Attrs {
				name, body := one.Split()
				entry := &fieldAttribute{field: field, node: one, found: parseAttribute(name, body)}
				entry.found.Position, _ = s.texts.position(one.Pos())
				found = append(found, entry)
			}
			return true
		}, nil)
	}
	return found
}

const (
	maxKnownAttributes = 1_000
	maxKnownBody       = 200
)

// knownAttributes are those read before: the same few stand in every project. One request is served at a time.
var knownAttributes = map[string]attribute{}

func parseAttribute(name, body string) attribute {
	key := name + "(" + body
	known, ok := knownAttributes[key]
	if !ok {
		known = readAttribute(name, body)
		if len(knownAttributes) == maxKnownAttributes {
			clear(knownAttributes)
		}
		if len(key) <= maxKnownBody {
			knownAttributes[key] = known
		}
	}
	known.Paths = []string{}
	return known
}

// readAttribute lets CUE read the arguments: its own reader of an attribute's body is internal. Each gets a context of its
// own, since a context only grows.
func readAttribute(name, body string) attribute {
	read := attribute{Name: name, Body: body, Positional: []string{}, Named: map[string]string{}, Paths: []string{}}
	if strings.TrimSpace(body) == "" {
		return read
	}
	field := &ast.Field{Label: ast.NewIdent("x"), Value: ast.NewIdent("_")}
	field.Attrs = []*ast.Attribute{{Text: "@" + name + "(" + body + ")"}}
	value := cuecontext.New().BuildFile(&ast.File{Decls: []ast.Decl{field}}).LookupPath(cue.ParsePath("x"))
	for _, one := range value.Attributes(cue.FieldAttr) {
		for i := range one.NumArgs() {
			key, text := one.Arg(i)
			if text != "" || strings.Contains(withoutQuoted(one.RawArg(i)), "=") {
				read.Named[key] = text
			} else {
				read.Positional = append(read.Positional, key)
			}
		}
	}
	return read
}

// withoutQuoted leaves what stands before a quote: an equals sign inside a quoted text makes no named argument.
func withoutQuoted(text string) string {
	before, _, _ := strings.Cut(text, `"`)
	return before
}

// fill puts values where their attributes stand, so that everything that depends on the field sees them.
func fillAttributes(attributes []*fieldAttribute, fills []fill) error {
	if len(fills) == 0 {
		return nil
	}
	values := map[string]json.RawMessage{}
	for _, one := range fills {
		read := parseAttribute(one.Attribute, one.Arguments)
		values[read.key()] = one.Value
	}
	for _, one := range attributes {
		value, ok := values[one.found.key()]
		if !ok {
			continue
		}
		literal, err := literalAt(one.node.Pos(), value)
		if err != nil {
			return err
		}
		one.field.Value = &ast.BinaryExpr{X: &ast.ParenExpr{X: one.field.Value}, Op: token.AND, Y: literal}
	}
	return nil
}

// literalAt gives every part of the value the attribute's position, which errors then name.
func literalAt(at token.Pos, value json.RawMessage) (ast.Expr, error) {
	literal, err := cuejson.Extract("", value)
	if err != nil {
		return nil, err
	}
	ast.Walk(literal, func(node ast.Node) bool {
		ast.SetPos(node, at)
		return true
	}, nil)
	return literal, nil
}
