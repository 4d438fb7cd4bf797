package webui

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

var (
	scriptTag  = regexp.MustCompile(`<script type="module" src="\{\{\.Assets\}\}/([^"]+)"`)
	importFrom = regexp.MustCompile(`(?m)from '([^']+)';$`)
)

// preloads lists what the scripts of a document import, directly or not: the SDK by its URLs, the
// rest by its names within static/. A page that names them all to the browser loads them in one
// round trip; otherwise each would be found in the one that imports it.
func preloads(files fs.FS, document string) ([]string, error) {
	text, err := fs.ReadFile(files, document)
	if err != nil {
		return nil, err
	}
	var next []string
	for _, tag := range scriptTag.FindAllSubmatch(text, -1) {
		next = append(next, string(tag[1]))
	}
	scripts := len(next) // which the document itself asks for
	for at := 0; at < len(next); at++ {
		if strings.HasPrefix(next[at], "/") {
			continue // of the SDK, which is one file each
		}
		script, err := fs.ReadFile(files, "static/"+next[at])
		if err != nil {
			return nil, fmt.Errorf("%s imports %s: %w", document, next[at], err)
		}
		for _, found := range importFrom.FindAllSubmatch(script, -1) {
			name := string(found[1])
			if !strings.HasPrefix(name, "/") {
				name = path.Join(path.Dir(next[at]), name)
			}
			if !slices.Contains(next, name) {
				next = append(next, name)
			}
		}
	}
	return next[scripts:], nil
}
