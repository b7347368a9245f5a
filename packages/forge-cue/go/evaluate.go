package main

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/token"
)

// evaluation is one instance on its way from texts to a value.
type evaluation struct {
	source  *source
	against *compiledSchema
	fills   []fill
	report  *report
	repairs repairs
	// positions are those of regular fields.
	positions map[string]position
	// complete tells whether every file could be parsed.
	complete bool
	// user is the user's own value in the latest round that gave one.
	user cue.Value
	used usedNames
}

func evaluateInstance(wanted *instance, against *compiledSchema, fills []fill) result {
	texts := newSources(wanted.Files, "")
	run := &evaluation{
		source:    &source{wanted: wanted, texts: texts},
		against:   against,
		fills:     slices.Concat(fills, wanted.Fills),
		report:    newReport(texts),
		positions: map[string]position{},
	}
	if against != nil {
		run.source.schema = against.source
	}
	return run.result()
}

// result evaluates, and again without what was reported, until no further error shows.
func (e *evaluation) result() result {
	answer := result{Name: e.source.wanted.Name, Open: []string{}, Attributes: []attribute{}}
	for {
		value, again := e.attempt(&answer)
		if again {
			continue
		}
		if len(e.report.errors) == 0 {
			e.export(value, &answer)
		} else {
			e.exportPartly(&answer)
		}
		answer.Positions = e.placed()
		answer.Errors = slices.Clone(e.report.sorted())
		if answer.Errors == nil {
			answer.Errors = []cueError{}
		}
		return answer
	}
}

// attempt evaluates once and tells whether there may be more errors behind those found.
func (e *evaluation) attempt(answer *result) (value cue.Value, again bool) {
	e.complete = e.source.parse(e.report)
	e.source.refuseForeignImports(e.report)
	attributes := e.source.attributes()
	answer.keepAttributes(attributes)
	if len(e.source.files) == 0 {
		return cue.Value{}, false
	}
	if err := fillAttributes(attributes, e.fills); err != nil {
		e.report.addKind(kindValue, errors.Newf(token.NoPos, "a value to fill can't be read: %v", err))
		return cue.Value{}, false
	}
	e.repairs.apply(e.source)
	value, list := e.build()
	if len(list) == 0 {
		e.user = value
		e.walk(value, attributes, answer)
		value, list = e.check(value)
	}
	e.collect(value, list)
	if len(list) > 0 && e.used == nil {
		e.used = e.source.usedNames()
	}
	return value, len(list) > 0 && e.repairs.note(e.report, list)
}

// walk keeps what earlier rounds found: repairs make more of the value readable, but take parts of it away.
func (e *evaluation) walk(value cue.Value, attributes []*fieldAttribute, answer *result) {
	walked := newWalk(e.source.texts, attributes)
	walked.fields(value, "", true, 0)
	answer.keepAttributes(attributes)
	for path, at := range walked.positions {
		if _, known := e.positions[path]; !known {
			e.positions[path] = at
		}
	}
	e.report.know(walked.positions)
	e.report.know(walked.others)
}

func (e *evaluation) placed() places {
	paths := slices.Collect(maps.Keys(e.positions))
	slices.SortFunc(paths, func(a, b string) int {
		return cmp.Or(e.positions[a].compare(e.positions[b]), strings.Compare(a, b))
	})
	found := places{Files: []string{}, Paths: []string{}, File: []int{}, Lines: []int{}, Columns: []int{}}
	for _, path := range paths {
		found.add(path, e.positions[path])
	}
	return found
}

func (r *result) keepAttributes(attributes []*fieldAttribute) {
	for i, one := range attributes {
		switch {
		case i >= len(r.Attributes):
			r.Attributes = append(r.Attributes, one.found)
		case len(r.Attributes[i].Paths) == 0:
			r.Attributes[i].Paths = one.found.Paths
		}
	}
}

// build compiles the package; errors are those of names and imports.
func (e *evaluation) build() (cue.Value, []errors.Error) {
	context := build.NewContext()
	inst := context.NewInstance("", e.source.schema.loader(context))
	for _, file := range e.source.files {
		if err := inst.AddSyntax(file); err != nil {
			return cue.Value{}, errors.Errors(err)
		}
	}
	if err := inst.Complete(); err != nil {
		return cue.Value{}, errors.Errors(err)
	}
	value := cuecontext.New().BuildInstance(inst)
	return value, slices.DeleteFunc(errors.Errors(value.Err()), func(one errors.Error) bool {
		kind := classify(one)
		format, _ := one.Msg()
		return kind != kindImport && (kind != kindReference || !strings.HasPrefix(format, "reference"))
	})
}

// check joins the value with its schema. The user's side comes first: paths are then the user's.
func (e *evaluation) check(value cue.Value) (cue.Value, []errors.Error) {
	if path := e.source.wanted.Schema; path != "" {
		definition, err := e.against.definition(path)
		if err != nil {
			e.report.addKind(kindSchema, errors.Newf(token.NoPos, "%v", err))
			return value, nil
		}
		value = value.Unify(definition)
	}
	list := mergeDisjunctions(errors.Errors(value.Validate(cue.Concrete(true))))
	if !e.source.wanted.RequireConcrete {
		list = slices.DeleteFunc(list, func(one errors.Error) bool { return classify(one) == kindIncomplete })
	}
	return value, list
}

// collect reports errors, save those that only say what repairs, or files that can't be read, left open.
func (e *evaluation) collect(value cue.Value, list []errors.Error) {
	allowed := newAllowance(value, list)
	for i, one := range list {
		kind := classify(one)
		if e.isConsequence(one, kind) {
			continue
		}
		e.report.addKind(kind, one)
		if kind == kindNotAllowed && i < maxAllowed {
			e.report.allow(pathText(one.Path()), allowed.beside(one.Path()))
		}
	}
}

// ofNothing matches messages on `_`, which stands in for what was reported and taken out.
var ofNothing = regexp.MustCompile(`(^|[ (])_(\.| is incomplete|$)`)

func (e *evaluation) isConsequence(one errors.Error, kind string) bool {
	format, _ := one.Msg()
	unused := strings.HasPrefix(format, "unreferenced alias") || strings.HasPrefix(format, "imported and not used")
	switch {
	case unused && (e.used[placeOf(one.Position())] || strings.HasPrefix(format, "unref") && len(e.report.errors) > 0):
		return true
	case !e.complete && (kind == kindReference || kind == kindIncomplete || kind == kindRequired):
		return true
	case e.repairs.rounds > 0 && kind == kindIncomplete:
		return true
	}
	return len(e.report.errors) > 0 && ofNothing.MatchString(messageOf(one))
}
