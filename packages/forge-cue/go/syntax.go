package main

import (
	"fmt"
	"regexp"
	"strings"

	"cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/scanner"
	"cuelang.org/go/cue/token"
)

// tokenName is how the parser names a token: its kind, and for some its text.
var tokenName = regexp.MustCompile(`'(?:IDENT|STRING|INT|FLOAT|ATTRIBUTE|INTERPOLATION)' (\S+)`)

var plainTokens = strings.NewReplacer("'EOF'", "the end of the file", "'newline'", "the end of the line")

// reportSyntax reports the parser's first error only: after it, others are guesses.
func reportSyntax(err error, text []byte, report *report) {
	first := errors.Errors(err)[0]
	message := messageOf(first)
	if strings.HasSuffix(message, "found 'EOF'") {
		if unclosed := unclosedBracket(text); unclosed != "" {
			message += ": " + unclosed
		}
	}
	message = plainTokens.Replace(tokenName.ReplaceAllString(message, "$1"))
	report.addAt(kindSyntax, first.Position(), "%s", message)
}

// unclosedBracket says which bracket is still open at the end of a text.
func unclosedBracket(text []byte) string {
	type bracket struct {
		at   token.Pos
		sign string
	}
	var open []bracket
	var scan scanner.Scanner
	scan.Init(token.NewFile("", -1, len(text)), text, func(token.Pos, string, []any) {}, 0)
	inside := interpolations{scanner: &scan}
	for {
		at, tok, _ := scan.Scan()
		switch tok {
		case token.EOF:
			if len(open) == 0 {
				return ""
			}
			last := open[len(open)-1]
			return fmt.Sprintf("the %s of line %d is never closed", last.sign, last.at.Line())
		case token.LBRACE, token.LBRACK, token.LPAREN:
			open = append(open, bracket{at: at, sign: tok.String()})
		case token.RBRACE, token.RBRACK, token.RPAREN:
			open = open[:max(len(open)-1, 0)]
		}
		inside.follow(tok)
	}
}
