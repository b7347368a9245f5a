package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"
)

const (
	schemaPrefix     = "forge:schema/"
	maxCachedSchemas = 16
)

// compiledSchema lives in a context of its own: users' files are never built there, since a context only grows.
type compiledSchema struct {
	source *schema
	value  cue.Value
}

type schemaCache struct {
	entries map[[sha256.Size]byte]*compiledSchema
	order   [][sha256.Size]byte
}

func (c *schemaCache) compile(source *schema) (*compiledSchema, []cueError) {
	if source == nil {
		return nil, nil
	}
	text, err := json.Marshal(source)
	if err != nil {
		return nil, []cueError{{Kind: kindSyntax, Message: err.Error(), Positions: []position{}}}
	}
	key := sha256.Sum256(text)
	if known, ok := c.entries[key]; ok {
		return known, nil
	}
	compiled := &compiledSchema{source: source}
	built, err := source.instance(build.NewContext())
	if err == nil {
		compiled.value = cuecontext.New().BuildInstance(built)
		err = compiled.value.Validate()
	}
	if err != nil {
		return nil, source.problems(err)
	}
	c.keep(key, compiled)
	return compiled, nil
}

func (c *schemaCache) keep(key [sha256.Size]byte, compiled *compiledSchema) {
	if c.entries == nil {
		c.entries = map[[sha256.Size]byte]*compiledSchema{}
	}
	if len(c.order) == maxCachedSchemas {
		delete(c.entries, c.order[0])
		c.order = c.order[1:]
	}
	c.entries[key] = compiled
	c.order = append(c.order, key)
}

func (s *schema) problems(err error) []cueError {
	report := newReport(newSources(s.Files, schemaPrefix))
	for _, one := range errors.Errors(err) {
		report.add(one)
	}
	return report.sorted()
}

// instance builds the schema as a package that users' files may import.
func (s *schema) instance(context *build.Context) (*build.Instance, error) {
	built := context.NewInstance("", refuseImports)
	built.ImportPath = s.ImportPath
	built.PkgName = s.Package
	for _, name := range slices.Sorted(maps.Keys(s.Files)) {
		file, err := parser.ParseFile(schemaPrefix+name, s.Files[name])
		if err != nil {
			return nil, err
		}
		if file.PackageName() != s.Package {
			return nil, errors.Newf(file.Pos(), "the schema's files must say package %s", s.Package)
		}
		if err := built.AddSyntax(file); err != nil {
			return nil, err
		}
	}
	return built, built.Complete()
}

// definition returns the schema at a path such as #Project.
func (c *compiledSchema) definition(path string) (cue.Value, error) {
	if c == nil {
		return cue.Value{}, fmt.Errorf("the request holds no schema, so there is no %s", path)
	}
	value := c.value.LookupPath(cue.ParsePath(path))
	if !value.Exists() {
		return cue.Value{}, fmt.Errorf("the schema has no %s", path)
	}
	return value, nil
}

// accepts tells whether an import path means the schema, which may be written with its package name.
func (s *schema) accepts(path string) bool {
	return s != nil && s.ImportPath != "" && (path == s.ImportPath || path == s.ImportPath+":"+s.Package)
}

func (s *schema) loader(context *build.Context) build.LoadFunc {
	return func(at token.Pos, path string) *build.Instance {
		if !s.accepts(path) {
			return refuseImports(at, path)
		}
		built, err := s.instance(context)
		if err != nil && built == nil {
			built = context.NewInstance("", nil)
		}
		if err != nil {
			built.Err = errors.Promote(err, "import of the schema failed")
		}
		return built
	}
}

// refuseImports leaves standard packages to CUE, which has them built in, and nothing else is within reach.
func refuseImports(token.Pos, string) *build.Instance { return nil }
