package webui

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// scriptLine is one line of a script.
type scriptLine struct {
	text    string // without its comment
	code    string // and with nothing in its strings and templates
	comment bool   // whether it is a comment and nothing else
	inside  bool   // whether it begins within a template, to which its first spaces belong
}

var (
	codeToken = regexp.MustCompile(`(?s)^(?:[\w .,;()\[\]]+|//[^\n]*|/\*|'(?:[^'\\\n]|\\[^\n])*'|` +
		`"(?:[^"\\\n]|\\[^\n])*"|\\[^\n]|.)`)
	templateToken = regexp.MustCompile("(?s)^(?:[^\\\\`$\\n]+|\\\\[^\\n]|[$][{]|.)")
)

// scriptReader reads a script token by token: strings and comments, runs of plain characters, and
// others one by one.
type scriptReader struct {
	lines      []scriptLine
	open       []string // brackets: { of code, and ${ of a template
	inTemplate bool
}

// readScript splits a script into lines, and removes their comments. It does not understand regular
// expressions, in which quotes, brackets and slashes need not be what they seem; it fails if it
// notices one. It knows only comments that begin with //.
func readScript(script string) ([]scriptLine, error) {
	r := &scriptReader{lines: make([]scriptLine, 1)}
	for script != "" {
		reader := codeToken
		if r.inTemplate {
			reader = templateToken
		}
		// A token ends with its line; what is looked at costs time, found or not.
		line, _, _ := strings.Cut(script, "\n")
		token := reader.FindString(script[:min(len(line)+1, len(script))])
		script = script[len(token):]
		if err := r.take(token); err != nil {
			return nil, fmt.Errorf("line %d: %w", len(r.lines), err)
		}
	}
	if r.inTemplate || len(r.open) > 0 {
		return nil, fmt.Errorf("line %d: the script ends within brackets or a template", len(r.lines))
	}
	return r.lines, nil
}

func (r *scriptReader) take(token string) error {
	line := &r.lines[len(r.lines)-1]
	switch {
	case token == "\n":
		r.lines = append(r.lines, scriptLine{inside: r.inTemplate})
		return nil
	case token == "`":
		r.inTemplate = !r.inTemplate
		line.code += token
	case token == "${" || token == "{" && !r.inTemplate:
		r.open = append(r.open, token)
		r.inTemplate = false
		line.code += "{"
	case r.inTemplate:
		line.code += " "
	case token == "}":
		if len(r.open) == 0 {
			return errors.New("a closing bracket has no opening one")
		}
		r.inTemplate = r.open[len(r.open)-1] == "${"
		r.open = r.open[:len(r.open)-1]
		line.code += token
	case token == "'" || token == `"`:
		return errors.New("a quote is not closed on its line")
	case token == "/*":
		return errors.New("comments must begin with //")
	case strings.HasPrefix(token, "//"):
		line.text = strings.TrimRight(line.text, " \t")
		line.comment = line.text == ""
		return nil
	case token[0] == '\'' || token[0] == '"':
		line.code += token[:1] + token[:1]
	default:
		line.code += token
	}
	line.text += token
	return nil
}
