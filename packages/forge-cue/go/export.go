package main

import (
	"bytes"
	"encoding/json"
	"strconv"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/token"
)

// export writes the value as JSON. Fields that are open (not concrete) are left out of structs and are null in lists; the
// result names their paths.
func (e *evaluation) export(value cue.Value, answer *result) {
	text, err := value.MarshalJSON()
	if err != nil {
		out := &exporter{}
		out.value(value, "")
		text, answer.Open = out.buffer.Bytes(), out.open
	}
	answer.Value = text
	if reason := unreadable(text); reason != "" {
		answer.Value = nil
		e.report.addKind(kindValue, errors.Newf(token.NoPos, "%s", reason))
	}
}

// exportPartly writes what can be read of the user's own value, without its schema.
func (e *evaluation) exportPartly(answer *result) {
	if !e.user.Exists() {
		return
	}
	out := &exporter{}
	if out.value(e.user, "") && unreadable(out.buffer.Bytes()) == "" {
		answer.Partial = out.buffer.Bytes()
	}
}

type exporter struct {
	buffer bytes.Buffer
	open   []string
}

// value writes one value and tells whether there was one to write.
func (x *exporter) value(value cue.Value, path string) bool {
	if text, err := value.MarshalJSON(); err == nil {
		x.buffer.Write(text)
		return true
	}
	value, _ = value.Default()
	if value.IncompleteKind() == cue.ListKind {
		return x.items(value, path)
	}
	if found, err := value.Fields(); err == nil && isStruct(value) {
		return x.fields(value, found, path)
	}
	x.open = append(x.open, path)
	return false
}

// isStruct holds too for a struct that is incomplete itself, such as one with an undecided condition beside its fields.
func isStruct(value cue.Value) bool {
	if value.IncompleteKind() == cue.StructKind {
		return true
	}
	found, err := value.Fields()
	return err == nil && found.Next()
}

func (x *exporter) fields(value cue.Value, found *cue.Iterator, path string) bool {
	if value.Err() != nil {
		x.open = append(x.open, path)
	}
	x.buffer.WriteByte('{')
	first := true
	for found.Next() {
		if !found.Selector().IsString() {
			continue
		}
		before := x.buffer.Len()
		if !first {
			x.buffer.WriteByte(',')
		}
		label, _ := json.Marshal(found.Selector().Unquoted())
		x.buffer.Write(label)
		x.buffer.WriteByte(':')
		if x.value(found.Value(), join(path, selectorName(found.Selector()))) {
			first = false
		} else {
			x.buffer.Truncate(before)
		}
	}
	x.buffer.WriteByte('}')
	return true
}

func (x *exporter) items(value cue.Value, path string) bool {
	found, err := value.List()
	if err != nil {
		x.open = append(x.open, path)
		return false
	}
	x.buffer.WriteByte('[')
	for i := 0; found.Next(); i++ {
		if i > 0 {
			x.buffer.WriteByte(',')
		}
		if !x.value(found.Value(), path+"["+strconv.Itoa(i)+"]") {
			x.buffer.WriteString("null")
		}
	}
	x.buffer.WriteByte(']')
	return true
}
