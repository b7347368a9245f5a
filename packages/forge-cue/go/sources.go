package main

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"cuelang.org/go/cue/token"
)

// sources maps file names to texts, to tell users' files from the schema's and to count columns in characters.
type sources map[string][]byte

// position turns a place of CUE, whose columns count bytes, into one whose columns count characters.
func (s sources) position(at token.Pos) (position, bool) {
	if !at.HasAbsPos() {
		return position{}, false
	}
	place := at.Position()
	found := position{File: place.Filename, Line: place.Line, Column: place.Column}
	text, known := s[place.Filename]
	if !known || place.Offset > len(text) {
		return found, found.File != ""
	}
	start := bytes.LastIndexByte(text[:place.Offset], '\n') + 1
	if width := place.Offset - start; width+1 == place.Column {
		found.Column = utf8.RuneCount(text[start:place.Offset]) + 1
	}
	return found, true
}

func (s sources) isUser(file string) bool {
	_, known := s[file]
	return known && !strings.HasPrefix(file, schemaPrefix)
}
