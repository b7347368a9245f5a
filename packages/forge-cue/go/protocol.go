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
	Positions  []placedField   `json:"positions"`
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

// placedField is a field and where it is written; a response holds them in the order of the source text.
type placedField struct {
	Path string
	position
}

// MarshalJSON writes [path, file, line, column].
func (p placedField) MarshalJSON() ([]byte, error) {
	return json.Marshal([]any{p.Path, p.File, p.Line, p.Column})
}

// MarshalJSON writes [file, line, column]: a response holds one position per field.
func (p position) MarshalJSON() ([]byte, error) {
	return json.Marshal([]any{p.File, p.Line, p.Column})
}

func (p position) compare(other position) int {
	return cmp.Or(cmp.Compare(p.File, other.File), cmp.Compare(p.Line, other.Line), cmp.Compare(p.Column, other.Column))
}
