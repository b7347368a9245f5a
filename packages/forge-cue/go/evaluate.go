package main

import (
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
}

func evaluateInstance(wanted *instance, against *compiledSchema, fills []fill) result {
	texts := newSources(wanted.Files, "")
	run := &evaluation{
		source:  &source{wanted: wanted, texts: texts},
		against: against,
		fills:   slices.Concat(fills, wanted.Fills),
		report:  newReport(texts, nil),
	}
	if against != nil {
		run.source.schema = against.source
	}
	return run.result()
}

// result evaluates, and again without what was reported, until no further error shows.
func (e *evaluation) result() result {
	answer := result{Name: e.source.wanted.Name, Open: []string{}, Attributes: []attribute{}, Positions: map[string]position{}}
	for {
		value, again := e.attempt(&answer)
		if again {
			continue
		}
		if len(e.report.errors) == 0 {
			e.export(value, &answer)
		}
		answer.Errors = slices.Clone(e.report.sorted())
		if answer.Errors == nil {
			answer.Errors = []cueError{}
		}
		return answer
	}
}

// attempt evaluates once and tells whether there may be more errors behind those found.
func (e *evaluation) attempt(answer *result) (value cue.Value, again bool) {
	complete := e.source.parse(e.report)
	e.source.refuseForeignImports(e.report)
	attributes := e.source.attributes()
	if e.repairs.rounds == 0 {
		defer func() { answer.Attributes = found(attributes) }()
	}
	if !complete {
		return cue.Value{}, false
	}
	if err := fillAttributes(attributes, e.fills); err != nil {
		e.report.addKind(kindValue, errors.Newf(token.NoPos, "a value to fill can't be read: %v", err))
		return cue.Value{}, false
	}
	e.repairs.apply(e.source)
	value, list := e.build()
	if len(list) == 0 {
		walked := newWalk(e.source.texts, attributes)
		walked.fields(value, "", true, 0)
		if e.repairs.rounds == 0 || len(answer.Positions) == 0 {
			answer.Positions = walked.positions
			e.report.fields = walked.positions
		}
		value, list = e.check(value)
	}
	e.collect(list)
	return value, len(list) > 0 && e.repairs.note(e.report, list)
}

func found(attributes []*fieldAttribute) []attribute {
	list := make([]attribute, 0, len(attributes))
	for _, one := range attributes {
		list = append(list, one.found)
	}
	return list
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

// collect reports errors, save those of what repairs left open.
func (e *evaluation) collect(list []errors.Error) {
	for _, one := range list {
		if kind := classify(one); kind != kindIncomplete || e.repairs.rounds == 0 {
			e.report.addKind(kind, one)
		}
	}
}
