package main

import (
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
	// reported holds after the first parsing: what is wrong with the texts is said once, with positions of the texts as
	// they were sent.
	reported bool
}

// parse reports every file's problems of its own: bare attributes, syntax, package clause.
func (s *source) parse(report *report) (complete bool) {
	complete = true
	s.files = nil
	for _, name := range slices.Sorted(maps.Keys(s.texts.texts)) {
		file, err := s.parseFile(name, report)
		if err != nil {
			complete = false
			reportSyntax(err, s.texts.texts[name], report)
			continue
		}
		s.checkPackage(name, file, report)
		if report.root.File == "" {
			report.root, _ = s.texts.position(packagePosition(file))
		}
		s.files = append(s.files, file)
	}
	s.reported = true
	return complete
}

func (s *source) parseFile(name string, report *report) (*ast.File, error) {
	text := s.texts.texts[name]
	bare := bareAttributes(name, text)
	if !s.reported {
		for _, one := range bare {
			report.addAt(kindBareAttribute, one.at, "%[1]s needs a value before it: write `_ %[1]s`, or a type such as `string %[1]s`", one.text)
		}
	}
	places := make([]token.Pos, 0, len(bare))
	for _, one := range bare {
		places = append(places, one.at)
	}
	repaired, inserted := withValues(text, places)
	s.texts.inserted[name] = inserted
	return parser.ParseFile(name, repaired, parser.ParseComments)
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

type bareAttribute struct {
	at   token.Pos
	text string
}

// bareAttributes finds `field: @attribute()`. The parser stops at the first one, the scanner sees them all.
func bareAttributes(name string, text []byte) []bareAttribute {
	var found []bareAttribute
	var scan scanner.Scanner
	file := token.NewFile(name, -1, len(text))
	scan.Init(file, text, func(token.Pos, string, []any) {}, 0)
	inside := interpolations{scanner: &scan}
	last := token.ILLEGAL
	for {
		at, tok, literal := scan.Scan()
		if tok == token.EOF {
			return found
		}
		if tok == token.ATTRIBUTE && last == token.COLON {
			found = append(found, bareAttribute{at: at, text: literal})
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

// withValues puts `_` before bare attributes so that the rest of the file can be read; where no blank can be replaced, it
// returns too at which offsets the text grew.
func withValues(text []byte, bare []token.Pos) (repaired []byte, inserted []int) {
	if len(bare) == 0 {
		return text, nil
	}
	rest := 0
	for _, at := range bare {
		offset := at.Offset()
		repaired = append(repaired, text[rest:offset]...)
		rest = offset
		if last := len(repaired) - 1; strings.ContainsRune(" \t", rune(repaired[last])) {
			repaired[last] = '_'
		} else {
			inserted = append(inserted, len(repaired))
			repaired = append(repaired, '_')
		}
	}
	return append(repaired, text[rest:]...), inserted
}
