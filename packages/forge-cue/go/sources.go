package main

import (
	"bytes"
	"sort"
	"strings"
	"unicode/utf8"

	"cuelang.org/go/cue/token"
)

var byteOrderMark = []byte("\ufeff")

// sources holds the texts of files by name, to tell users' files from the schema's and to count columns in characters.
type sources struct {
	texts map[string][]byte
	// inserted are the offsets at which a character was put into the text that was parsed, which the user's file lacks.
	inserted map[string][]int
}

func newSources(files map[string]string, prefix string) sources {
	texts := make(map[string][]byte, len(files))
	for name, text := range files {
		texts[prefix+name] = []byte(text)
	}
	return sources{texts: texts, inserted: map[string][]int{}}
}

// position turns a place of CUE, whose columns count bytes, into one whose columns count characters.
func (s sources) position(at token.Pos) (position, bool) {
	if !at.HasAbsPos() {
		return position{}, false
	}
	place := at.Position()
	found := position{File: place.Filename, Line: place.Line, Column: place.Column}
	text, known := s.texts[place.Filename]
	offset := place.Offset - sort.SearchInts(s.inserted[place.Filename], place.Offset)
	if offset == len(text) && bytes.HasSuffix(text, []byte("\n")) {
		// The end of a file belongs to its last line that has text.
		offset--
	}
	if !known || offset > len(text) {
		return found, found.File != ""
	}
	start := bytes.LastIndexByte(text[:offset], '\n') + 1
	found.Column = utf8.RuneCount(bytes.TrimPrefix(text[start:offset], byteOrderMark)) + 1
	return found, true
}

func (s sources) isUser(file string) bool {
	_, known := s.texts[file]
	return known && !strings.HasPrefix(file, schemaPrefix)
}
