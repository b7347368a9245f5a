package main

import (
	"strings"

	"cuelang.org/go/cue/errors"
)

const (
	kindBareAttribute = "bare_attribute"
	kindCycle         = "cycle"
	kindImport        = "import"
	kindIncomplete    = "incomplete"
	kindNotAllowed    = "not_allowed"
	kindPackage       = "package"
	kindReference     = "reference"
	kindRequired      = "required"
	kindSchema        = "schema"
	kindSyntax        = "syntax"
	kindValue         = "value"
)

// CUE's error codes are internal: its message formats are the only sign of an error's kind that its API gives.
var kinds = []struct{ part, kind string }{
	{"imported and not used", kindImport},
	{"imported but not defined", kindImport},
	{"builtin package", kindImport},
	{"import failed", kindImport},
	{"import of the schema failed", kindImport},
	{"cannot embed files", kindImport},
	{"no injection defined", kindImport},
	{"reference %q not found", kindReference},
	{"field not allowed", kindNotAllowed},
	{"field is required but not present", kindRequired},
	{"structural cycle", kindCycle},
	{"cycle with field", kindIncomplete},
	{"cycle error", kindIncomplete},
	{"incomplete", kindIncomplete},
	{"non-concrete value", kindIncomplete},
	{"unresolved disjunction", kindIncomplete},
	{"ambiguous", kindIncomplete},
	{"undefined field: %s", kindReference},
}

func classify(one errors.Error) string {
	format, _ := one.Msg()
	text := format + "\x00" + one.Error()
	for _, known := range kinds {
		if strings.Contains(text, known.part) {
			return known.kind
		}
	}
	return kindValue
}

func messageOf(one errors.Error) string {
	text := one.Error()
	if path := strings.Join(one.Path(), "."); path != "" {
		text = strings.TrimPrefix(text, path+": ")
	}
	if len(text) > maxMessageBytes {
		// What matters stands at both ends: the kind of error, and what was expected.
		text = strings.ToValidUTF8(text[:maxMessageBytes/2]+"..."+text[len(text)-maxMessageBytes/2:], "")
	}
	return text
}
