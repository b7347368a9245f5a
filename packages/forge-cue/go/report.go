package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/token"
)

const (
	maxErrors       = 500
	maxMessageBytes = 2000
)

// report collects the errors of one instance, each once.
type report struct {
	texts  sources
	fields map[string]position
	root   position
	errors []cueError
	seen   map[string]bool
}

func newReport(texts sources) *report {
	return &report{texts: texts, fields: map[string]position{}, seen: map[string]bool{}}
}

// know adds places of fields, for errors that have none of their own.
func (r *report) know(fields map[string]position) {
	for path, at := range fields {
		if _, known := r.fields[path]; !known {
			r.fields[path] = at
		}
	}
}

// allow names the fields that may stand beside one that isn't allowed.
func (r *report) allow(path string, names []string) {
	for i := range r.errors {
		if r.errors[i].Kind == kindNotAllowed && r.errors[i].Path == path {
			r.errors[i].Allowed = names
		}
	}
}

func (r *report) add(one errors.Error) { r.addKind(classify(one), one) }

func (r *report) addAt(kind string, at token.Pos, format string, arguments ...any) {
	r.addKind(kind, errors.Newf(at, format, arguments...))
}

func (r *report) addKind(kind string, one errors.Error) {
	if len(r.errors) >= maxErrors {
		return
	}
	entry := cueError{Kind: kind, Path: pathText(one.Path()), Message: messageOf(one), Positions: r.positions(one)}
	if len(entry.Positions) == 0 || !r.texts.isUser(entry.Positions[0].File) {
		entry.inSchema = kind == kindReference && len(entry.Positions) > 0
		if at, ok := r.fieldPosition(entry.Path); ok {
			entry.Positions = slices.Insert(entry.Positions, 0, at)
		}
	}
	if key := identity(&entry); !r.seen[key] {
		r.seen[key] = true
		r.errors = append(r.errors, entry)
	}
}

// identity makes consequences of an error equal to it where CUE repeats it for everything that depends on the field.
func identity(entry *cueError) string {
	if entry.Kind == kindNotAllowed || entry.Kind == kindRequired {
		return entry.Kind + "\x00" + entry.Path
	}
	key := entry.Kind + "\x00" + entry.Path + "\x00" + entry.Message
	if entry.Path == "" && len(entry.Positions) > 0 {
		key += fmt.Sprint(entry.Positions[0])
	}
	return key
}

// locate gives the error that was added last a position which CUE does not know.
func (r *report) locate(at position) {
	if len(r.errors) > 0 {
		r.errors[len(r.errors)-1].Positions = []position{at}
	}
}

// positions puts users' files first: CUE sorts by file name.
func (r *report) positions(one errors.Error) []position {
	found := []position{}
	for _, at := range errors.Positions(one) {
		if place, ok := r.texts.position(at); ok && !slices.Contains(found, place) {
			found = append(found, place)
		}
	}
	slices.SortStableFunc(found, func(a, b position) int {
		return cmp.Compare(rank(r.texts.isUser(a.File)), rank(r.texts.isUser(b.File)))
	})
	return found
}

func rank(first bool) int {
	if first {
		return 0
	}
	return 1
}

// fieldPosition is where the user's field at a path stands, or the nearest field around it.
func (r *report) fieldPosition(path string) (position, bool) {
	for path != "" {
		if at, ok := r.fields[path]; ok {
			return at, true
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return r.root, r.root.File != ""
}

func (r *report) sorted() []cueError {
	r.errors = slices.DeleteFunc(r.errors, r.isConsequence)
	slices.SortStableFunc(r.errors, func(a, b cueError) int {
		return slices.CompareFunc(firstPosition(a), firstPosition(b), position.compare)
	})
	return r.errors
}

// isConsequence tells whether an error only repeats another one: what stands in a field that isn't allowed, or a look-up
// in the schema that fails for a value which is itself in error.
func (r *report) isConsequence(one cueError) bool {
	for _, other := range r.errors {
		switch {
		case one.Kind == kindNotAllowed && other.Kind == kindNotAllowed && isBelow(one.Path, other.Path):
			return true
		case one.inSchema && isBelow(other.Path, one.Path):
			return true
		}
	}
	return false
}

func isBelow(path, above string) bool {
	rest, ok := strings.CutPrefix(path, above)
	return ok && rest != "" && (rest[0] == '.' || rest[0] == '[')
}

func firstPosition(one cueError) []position { return one.Positions[:min(len(one.Positions), 1)] }
