package main

import (
	"strings"

	"cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/token"
)

const disjunctionFormat = "%d errors in empty disjunction:"

type heading = errors.Error

// disjunction is one error made of those that CUE lists, after a heading, for the branches of a disjunction.
type disjunction struct {
	heading
	branches []errors.Error
}

func (d *disjunction) Error() string {
	texts := make([]string, 0, len(d.branches))
	for _, branch := range d.branches {
		texts = append(texts, messageOf(branch))
	}
	return "no alternative fits: " + strings.Join(texts, "; ")
}

// InputPositions are those of all branches: the heading has none.
func (d *disjunction) InputPositions() []token.Pos {
	var found []token.Pos
	for _, branch := range d.branches {
		found = append(found, errors.Positions(branch)...)
	}
	return found
}

func (d *disjunction) Msg() (string, []any) { return "%s", []any{d.Error()} }

func mergeDisjunctions(list []errors.Error) []errors.Error {
	merged := make([]errors.Error, 0, len(list))
	for i := 0; i < len(list); i++ {
		format, arguments := list[i].Msg()
		count := 0
		if format == disjunctionFormat && len(arguments) == 1 {
			count, _ = arguments[0].(int)
		}
		if end := i + 1 + count; count > 0 && end <= len(list) {
			merged = append(merged, &disjunction{heading: list[i], branches: list[i+1 : end]})
			i = end - 1
			continue
		}
		merged = append(merged, list[i])
	}
	return merged
}
