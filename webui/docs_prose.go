package webui

import (
	"html"
	"html/template"
	"regexp"
	"strings"
)

var docCode = regexp.MustCompile("`([^`]+)`")

// proseBlock is what lines of a comment that follow each other are in together.
type proseBlock struct{ begin, end string }

// prose turns a comment into paragraphs, lists and code.
func prose(text string) template.HTML {
	var (
		out        strings.Builder
		block      proseBlock
		paragraphs = proseBlock{}
		list       = proseBlock{"<ul>", "</ul>"}
		code       = proseBlock{`<pre class="code" tabindex="0"><code>`, "</code></pre>"}
	)
	in := func(next proseBlock) {
		if next != block {
			out.WriteString(block.end + next.begin)
			block = next
		}
	}
	for line := range strings.Lines(text) {
		if source, isCode := strings.CutPrefix(line, docIndent); isCode {
			in(code)
			out.WriteString(html.EscapeString(source))
			continue
		}
		line = html.EscapeString(strings.TrimSpace(line))
		line = docCode.ReplaceAllString(line, "<code>$1</code>")
		if point, isPoint := strings.CutPrefix(line, "- "); isPoint {
			in(list)
			out.WriteString("<li>" + point + "</li>")
		} else {
			in(paragraphs)
			out.WriteString("<p>" + line + "</p>")
		}
	}
	in(paragraphs)
	return template.HTML(out.String()) // what isn't ours in it is escaped
}
