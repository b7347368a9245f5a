package main

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/literal"
)

// plainName needs no quotes; all others get them, so that the client writes the same path without CUE's tables of letters.
var plainName = regexp.MustCompile(`^[A-Za-z$][A-Za-z0-9_$]*$`)

func fieldName(name string) string {
	if plainName.MatchString(name) {
		return name
	}
	var quoted bytes.Buffer
	encoder := json.NewEncoder(&quoted)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(name); err != nil {
		return name
	}
	return strings.TrimSuffix(quoted.String(), "\n")
}

func selectorName(selector cue.Selector) string {
	if selector.LabelType() != cue.StringLabel || selector.ConstraintType() == cue.PatternConstraint {
		return selector.String()
	}
	switch selector.ConstraintType() {
	case cue.OptionalConstraint:
		return fieldName(selector.Unquoted()) + "?"
	case cue.RequiredConstraint:
		return fieldName(selector.Unquoted()) + "!"
	}
	return fieldName(selector.Unquoted())
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// pathText writes an error's path, which holds list indices as bare numbers.
func pathText(path []string) (text string) {
	for _, part := range path {
		switch {
		case part != "" && strings.Trim(part, "0123456789") == "":
			text += "[" + part + "]"
		case strings.HasPrefix(part, `"`):
			name, err := literal.Unquote(part)
			if err != nil {
				name = part
			}
			text = join(text, fieldName(name))
		case strings.HasPrefix(part, "#") || strings.HasPrefix(part, "_"):
			text = join(text, part)
		default:
			text = join(text, fieldName(part))
		}
	}
	return text
}
