package main

import (
	"slices"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/errors"
)

const maxAllowed = 100

// allowance finds the names that the schema has in structs in which a field isn't allowed.
type allowance struct {
	value   cue.Value
	refused map[string]bool
	known   map[string][]string
}

func newAllowance(value cue.Value, list []errors.Error) *allowance {
	a := &allowance{value: value, refused: map[string]bool{}, known: map[string][]string{}}
	for _, one := range list {
		if classify(one) == kindNotAllowed {
			a.refused[pathText(one.Path())] = true
		}
	}
	return a
}

// beside returns the fields that may stand where the one at a path isn't allowed.
func (a *allowance) beside(path []string) []string {
	if len(path) == 0 {
		return nil
	}
	parent := pathText(path[:len(path)-1])
	if names, ok := a.known[parent]; ok {
		return names
	}
	a.known[parent] = a.fields(parent)
	return a.known[parent]
}

func (a *allowance) fields(parent string) []string {
	found, err := a.value.LookupPath(cue.ParsePath(parent)).Fields(cue.Optional(true))
	if err != nil {
		return nil
	}
	var names []string
	for found.Next() && len(names) < maxAllowed {
		selector := found.Selector()
		if selector.LabelType() != cue.StringLabel || selector.ConstraintType() == cue.PatternConstraint {
			continue
		}
		if name := selector.Unquoted(); !a.refused[join(parent, fieldName(name))] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
