package main

import (
	"bytes"
	"maps"
	"slices"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/scanner"
	"cuelang.org/go/cue/token"
)

// source is the user's package: what was sent, and the syntax trees made from it.
type source struct {
	wanted *instance
	schema *schema
	texts  sources
	files  []*ast.File
}

// parse reports every file's problems of its own: bare attributes, syntax, package clause.
func (s *source) parse(report *report) (complete bool) {
	complete = true
	s.files = nil
	for _, name := range slices.Sorted(maps.Keys(s.texts)) {
		text := s.texts[name]
		bare := bareAttributes(name, text)
		for _, at := range bare {
			report.addAt(kindBareAttribute, at, "an attribute needs a value before it: write `_ @name(...)`, or a type such as `string @name(...)`")
		}
		file, err := parser.ParseFile(name, withValues(text, bare), parser.ParseComments)
		if err != nil {
			complete = false
			for _, one := range errors.Errors(err) {
				report.addKind(kindSyntax, one)
			}
			continue
		}
		s.checkPackage(name, file, report)
		if report.root.File == "" {
			report.root, _ = s.texts.position(packagePosition(file))
		}
		s.files = append(s.files, file)
	}
	return complete
}

func (s *source) checkPackage(name string, file *ast.File, report *report) {
	switch found := file.PackageName(); {
	case found == "":
		report.addKind(kindPackage, errors.Newf(token.NoPos, "the file has no package clause: it must begin with `package %s`", s.wanted.Package))
		report.locate(position{File: name, Line: 1, Column: 1})
	case found != s.wanted.Package:
		report.addAt(kindPackage, packagePosition(file), "the file says package %s: it must be package %s", found, s.wanted.Package)
	}
	// The instance is built all the same, so that the other errors show.
	for _, declaration := range file.Decls {
		if clause, ok := declaration.(*ast.Package); ok {
			clause.Name.Name = s.wanted.Package
		}
	}
}

func packagePosition(file *ast.File) token.Pos {
	for _, declaration := range file.Decls {
		if clause, ok := declaration.(*ast.Package); ok {
			return clause.Name.Pos()
		}
	}
	return file.Pos()
}

// bareAttributes finds `field: @attribute()`. The parser stops at the first one, the scanner sees them all.
func bareAttributes(name string, text []byte) []token.Pos {
	var found []token.Pos
	var scan scanner.Scanner
	file := token.NewFile(name, -1, len(text))
	scan.Init(file, text, func(token.Pos, string, []any) {}, 0)
	inside := interpolations{scanner: &scan}
	last := token.ILLEGAL
	for {
		at, tok, _ := scan.Scan()
		if tok == token.EOF {
			return found
		}
		if tok == token.ATTRIBUTE && last == token.COLON {
			found = append(found, at)
		}
		inside.follow(tok)
		last = tok
	}
}

// interpolations leads a scanner back into a string after each `\(...)`: only the parentheses tell where that is.
type interpolations struct {
	scanner *scanner.Scanner
	depths  []int
}

func (i *interpolations) follow(tok token.Token) {
	if tok == token.INTERPOLATION {
		i.depths = append(i.depths, 0)
	}
	if len(i.depths) == 0 {
		return
	}
	depth := &i.depths[len(i.depths)-1]
	switch tok {
	case token.LPAREN:
		*depth++
	case token.RPAREN:
		*depth--
		if *depth == 0 && !strings.HasSuffix(i.scanner.ResumeInterpolation(), "(") {
			i.depths = i.depths[:len(i.depths)-1]
		}
	}
}

// withValues puts `_` before bare attributes so that the rest of the file can be read; where a blank can be replaced,
// columns stay as they are.
func withValues(text []byte, bare []token.Pos) []byte {
	if len(bare) == 0 {
		return text
	}
	repaired := bytes.Clone(text)
	for _, at := range slices.Backward(bare) {
		offset := at.Offset()
		if strings.ContainsRune(" \t", rune(repaired[offset-1])) {
			repaired[offset-1] = '_'
		} else {
			repaired = slices.Insert(repaired, offset, '_')
		}
	}
	return repaired
}
