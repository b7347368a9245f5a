package main

import (
	"slices"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/errors"
)

const maxAllowed = 100

// allowedFields are the names that the schema has in the struct in which a field isn't allowed.
func allowedFields(value cue.Value, one errors.Error, refused map[string]bool) []string {
	path := one.Path()
	if len(path) == 0 {
		return nil
	}
	parent := value.LookupPath(cue.ParsePath(pathText(path[:len(path)-1])))
	fields, err := parent.Fields(cue.Optional(true))
	if err != nil {
		return nil
	}
	var names []string
	for fields.Next() && len(names) < maxAllowed {
		selector := fields.Selector()
		name := selector.Unquoted()
		if !refused[join(pathText(path[:len(path)-1]), fieldName(name))] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
