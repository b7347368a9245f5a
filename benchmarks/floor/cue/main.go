// Command cue-floor evaluates project configurations with CUE's Go packages and nothing else: the least that an evaluation
// needs. It reads {"schema", "definition", "projects", "fills"} from its standard input and writes nanoseconds.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"
)

type input struct {
	Schema     map[string]string `json:"schema"`
	Definition string            `json:"definition"`
	Projects   []string          `json:"projects"`
	Fills      map[string]string `json:"fills"`
}

func main() {
	var in input
	check(json.NewDecoder(os.Stdin).Decode(&in))
	schema := compile(in.Schema).LookupPath(cue.ParsePath(in.Definition))
	check(schema.Err())
	evaluate(in.Projects[0], schema, in.Fills)
	started := time.Now()
	for _, text := range in.Projects {
		evaluate(text, schema, in.Fills)
	}
	fmt.Println(time.Since(started).Nanoseconds())
}

func compile(files map[string]string) cue.Value {
	inst := build.NewContext().NewInstance("", nil)
	for name, text := range files {
		add(inst, name, text, nil)
	}
	check(inst.Complete())
	return cuecontext.New().BuildInstance(inst)
}

func evaluate(text string, schema cue.Value, fills map[string]string) {
	inst := build.NewContext().NewInstance("", nil)
	add(inst, "project.cue", text, fills)
	check(inst.Complete())
	value := cuecontext.New().BuildInstance(inst)
	check(value.Err())
	value = value.Unify(schema)
	check(value.Validate(cue.Concrete(true)))
	_, err := value.MarshalJSON()
	check(err)
}

func add(inst *build.Instance, name, text string, fills map[string]string) {
	file, err := parser.ParseFile(name, text, parser.ParseComments)
	check(err)
	ast.Walk(file, func(node ast.Node) bool {
		if field, ok := node.(*ast.Field); ok {
			for _, one := range field.Attrs {
				if value, known := fills[one.Text]; known {
					field.Value = &ast.BinaryExpr{X: field.Value, Op: token.AND, Y: ast.NewString(value)}
				}
			}
		}
		return true
	}, nil)
	check(inst.AddSyntax(file))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
