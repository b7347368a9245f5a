package main

import (
	"cmp"
	"encoding/json"
)

type request struct {
	ID        int64      `json:"id"`
	Instances []instance `json:"instances"`
	Schema    *schema    `json:"schema"`
	Fills     []fill     `json:"fills"`
}

type schema struct {
	Files      map[string]string `json:"files"`
	ImportPath string            `json:"import_path"`
	Package    string            `json:"package"`
}

type instance struct {
	Name            string            `json:"name"`
	Package         string            `json:"package"`
	Files           map[string]string `json:"files"`
	Schema          string            `json:"schema"`
	RequireConcrete bool              `json:"require_concrete"`
	Fills           []fill            `json:"fills"`
}

type fill struct {
	Attribute string          `json:"attribute"`
	Arguments string          `json:"arguments"`
	Value     json.RawMessage `json:"value"`
}

type response struct {
	ID      int64      `json:"id"`
	Limit   string     `json:"limit,omitempty"`
	Failure string     `json:"failure,omitempty"`
	Errors  []cueError `json:"errors"`
	Results []result   `json:"results"`
}

type result struct {
	Name       string          `json:"name"`
	Value      json.RawMessage `json:"value,omitempty"`
	Partial    json.RawMessage `json:"partial,omitempty"`
	Open       []string        `json:"open"`
	Attributes []attribute     `json:"attributes"`
	Positions  places          `json:"positions"`
	Errors     []cueError      `json:"errors"`
}

type attribute struct {
	Name       string            `json:"name"`
	Body       string            `json:"body"`
	Positional []string          `json:"positional"`
	Named      map[string]string `json:"named"`
	Paths      []string          `json:"paths"`
	Position   position          `json:"position"`
}

type cueError struct {
	Kind      string     `json:"kind"`
	Message   string     `json:"message"`
	Path      string     `json:"path"`
	Positions []position `json:"positions"`
	Allowed   []string   `json:"allowed,omitempty"`

	// inSchema marks a reference that fails in the schema, not in a user's file.
	inSchema bool
}

type position struct {
	File   string
	Line   int
	Column int
}

// places holds where fields are written, in the order of the source text: the field at paths[i] stands in files[file[i]].
// They are most of a response, and columns are what both sides write and read fastest.
type places struct {
	Files   []string `json:"files"`
	Paths   []string `json:"paths"`
	File    []int    `json:"file"`
	Lines   []int    `json:"lines"`
	Columns []int    `json:"columns"`
}

func (p *places) add(path string, at position) {
	if len(p.Files) == 0 || p.Files[len(p.Files)-1] != at.File {
		p.Files = append(p.Files, at.File)
	}
	p.Paths = append(p.Paths, path)
	p.File = append(p.File, len(p.Files)-1)
	p.Lines = append(p.Lines, at.Line)
	p.Columns = append(p.Columns, at.Column)
}

// MarshalJSON writes [file, line, column].
func (p position) MarshalJSON() ([]byte, error) {
	return json.Marshal([]any{p.File, p.Line, p.Column})
}

func (p position) compare(other position) int {
	return cmp.Or(cmp.Compare(p.File, other.File), cmp.Compare(p.Line, other.Line), cmp.Compare(p.Column, other.Column))
}
