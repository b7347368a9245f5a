package main

import (
	"slices"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/ast/astutil"
	"cuelang.org/go/cue/errors"
)

// refuseForeignImports reports imports that nothing here can serve and takes them out of the tree.
func (s *source) refuseForeignImports(report *report) {
	for _, file := range s.files {
		s.refuseExtern(file, report)
		dropImports(file, func(spec *ast.ImportSpec, path string) bool {
			reason := s.refusal(path)
			if reason != "" {
				report.addKind(kindImport, errors.Newf(spec.Path.Pos(), "import of %q refused: %s", path, reason))
			}
			return reason != ""
		})
	}
}

// refuseExtern reports what reaches out of CUE (embedded files, WebAssembly): CUE refuses it too, without a position.
func (s *source) refuseExtern(file *ast.File, report *report) {
	file.Decls = slices.DeleteFunc(file.Decls, func(declaration ast.Decl) bool {
		attribute, ok := declaration.(*ast.Attribute)
		if !ok || attribute.Name() != "extern" {
			return false
		}
		report.addAt(kindImport, attribute.Pos(), "%s refused: configuration can't reach files or programs", attribute.Text)
		return true
	})
}

func (s *source) refusal(path string) string {
	first, _, _ := strings.Cut(path, "/")
	switch {
	case s.schema.accepts(path):
		return ""
	case s.schema != nil && first != "" && strings.HasPrefix(s.schema.ImportPath, first+"/"):
		return "the schema is imported as \"" + s.schema.ImportPath + "\""
	case path == "" || strings.HasPrefix(path, "/") || strings.HasPrefix(path, "."):
		return "configuration can't reach files"
	case first == "tool":
		return "configuration is data, and CUE's tool packages run commands"
	case strings.Contains(first, ".") || strings.Contains(path, "@"):
		return "modules are not fetched; only CUE's standard packages and the schema can be imported"
	}
	return ""
}

// dropImports removes the imports for which the function answers true; `_` stands in for what they gave.
func dropImports(file *ast.File, drop func(*ast.ImportSpec, string) bool) {
	gone := map[*ast.ImportSpec]bool{}
	for spec := range file.ImportSpecs() {
		if info := strings.Trim(spec.Path.Value, "\"`"); drop(spec, info) {
			gone[spec] = true
		}
	}
	if len(gone) == 0 {
		return
	}
	isGone := func(spec *ast.ImportSpec) bool { return gone[spec] }
	file.Decls = slices.DeleteFunc(file.Decls, func(declaration ast.Decl) bool {
		imports, ok := declaration.(*ast.ImportDecl)
		if !ok {
			return false
		}
		imports.Specs = slices.DeleteFunc(imports.Specs, isGone)
		return len(imports.Specs) == 0
	})
	astutil.Apply(file, func(cursor astutil.Cursor) bool {
		if name, ok := cursor.Node().(*ast.Ident); ok {
			if spec, ok := name.Node.(*ast.ImportSpec); ok && gone[spec] {
				cursor.Replace(anything())
			}
		}
		return true
	}, nil)
}
