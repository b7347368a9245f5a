package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
)

const (
	maxIntegerDigits = 4000
	maxNesting       = 500
)

// longNumber is cheap, and passes all that may be unreadable: most texts need no closer look.
var longNumber = regexp.MustCompile(`\d[eE][+-]?\d{3}|\d{300}`)

// unreadable says why readers of JSON, Python's first, could not hold a value that CUE can.
func unreadable(text []byte) string {
	if nesting(text) > maxNesting {
		return fmt.Sprintf("the value is nested deeper than %d levels", maxNesting)
	}
	if number := unreadableNumber(text); number != "" {
		return fmt.Sprintf("the number %.40s is too large or too long", number)
	}
	return ""
}

func nesting(text []byte) (deepest int) {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch char := text[i]; {
		case quoted && char == '\\':
			i++
		case char == '"':
			quoted = !quoted
		case quoted:
		case char == '{' || char == '[':
			depth++
			deepest = max(deepest, depth)
		case char == '}' || char == ']':
			depth--
		}
	}
	return deepest
}

// unreadableNumber finds a number beyond a float's range, or an integer of more digits than Python reads: CUE has neither
// limit.
func unreadableNumber(text []byte) string {
	if !longNumber.Match(text) {
		return ""
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	for {
		token, err := decoder.Token()
		if err != nil {
			return ""
		}
		number, ok := token.(json.Number)
		if !ok || len(number) < 5 {
			continue
		}
		if _, err := number.Float64(); err != nil && !isInteger(number.String()) || len(number) > maxIntegerDigits {
			return number.String()
		}
	}
}

func isInteger(text string) bool {
	_, ok := new(big.Int).SetString(text, 10)
	return ok
}
