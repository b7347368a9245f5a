package main

import (
	"cuelang.org/go/cue/ast"
)

// usedNames are the imports and local names that a file uses as it was sent: repairs may take their only use away.
type usedNames map[place]bool

func (s *source) usedNames() usedNames {
	used := usedNames{}
	for _, file := range s.files {
		ast.Walk(file, func(node ast.Node) bool {
			if name, ok := node.(*ast.Ident); ok && name.Node != nil {
				used[placeOf(name.Node.Pos())] = true
			}
			return true
		}, nil)
	}
	return used
}
