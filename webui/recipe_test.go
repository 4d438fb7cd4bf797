package webui

import (
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// The recipe for a page is a row of the table and the files that go by its name (see pageRow). What
// of them a page lacks, lacks says in a sentence each.
func lacks(files fs.FS, name string) []string {
	document := "pages/" + name + ".html"
	text, err := fs.ReadFile(files, document)
	if err != nil {
		return []string{fmt.Sprintf("page %s has no document: %s doesn't exist", name, document)}
	}
	var lacking []string
	has := func(part string) bool { return strings.Contains(string(text), part) }
	lack := func(format string, args ...any) { lacking = append(lacking, fmt.Sprintf(format, args...)) }
	script := scriptOf(files, name)
	if script == "" {
		lack("page %s has no script: neither static/js/%s.js nor static/js/%s/main.js exists", name, name, name)
	} else if tag := `src="{{.Assets}}/` + strings.TrimPrefix(script, "static/") + `"`; !has(tag) {
		lack("%s doesn't load its script: <script type=\"module\" %s>", document, tag)
	}
	if style := "css/" + name + ".css"; exists(files, "static/"+style) && !has("{{.Assets}}/"+style) {
		lack("%s doesn't refer to its style, %s", document, style)
	}
	if !has(`<title data-t="` + name + `.title">`) {
		lack("%s has no title of the text %s.title", document, name)
	}
	if !has(`{{template "language"}}`) {
		lack("%s has no switch of the language: {{template \"language\"}}", document)
	}
	languages, err := fs.Glob(files, "static/js/lang/*.js")
	if err != nil || len(languages) == 0 {
		lack("there are no languages in static/js/lang")
	}
	keys := matches(`data-t(?:-label|-placeholder)?="([^"]+)"`, string(text))
	slices.Sort(keys)
	keys = slices.Compact(keys)
	for _, language := range languages {
		texts, err := readPage(files, strings.TrimSuffix(language, ".js"), name)
		if err != nil {
			lack("page %s can't be read in one language: %v", name, err)
			continue
		}
		for _, key := range keys {
			if texts[key] == "" {
				lack("%s has no text %s, which %s asks for", language, key, document)
			}
		}
	}
	return lacking
}

// scriptOf returns the script of a page, or nothing if it has none.
func scriptOf(files fs.FS, name string) string {
	for _, script := range []string{"static/js/" + name + ".js", "static/js/" + name + "/main.js"} {
		if exists(files, script) {
			return script
		}
	}
	return ""
}

func exists(files fs.FS, name string) bool {
	_, err := fs.Stat(files, name)
	return err == nil
}

func TestEveryPageIsWhole(t *testing.T) {
	t.Parallel()
	known := map[string]bool{"pages/frame.html": true, "pages/icons.html": true, "pages/missing.html": true}
	for _, row := range pageTable() {
		known["pages/"+row.name+".html"] = true
		for _, sentence := range lacks(content, row.name) {
			t.Error(sentence)
		}
	}
	for name := range readAll(t, "pages", ".html") {
		if !known[name] {
			t.Errorf("%s is in no row of the table of pages", name)
		}
	}
}

// withPage returns the files of the package and those of one more page, made by the recipe.
func withPage(t *testing.T, name string) fstest.MapFS {
	t.Helper()
	files := make(fstest.MapFS)
	for _, part := range []string{"docs", "pages", "sdk", "static"} {
		err := fs.WalkDir(content, part, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			body, err := content.ReadFile(name)
			files[name] = &fstest.MapFile{Data: body}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	files["pages/"+name+".html"] = &fstest.MapFile{Data: fmt.Appendf(nil, `<!doctype html>
<html lang="en">
<head>
{{template "head" .}}
<title data-t="%[1]s.title">Page</title>
<script type="module" src="{{.Assets}}/js/%[1]s.js"></script>
</head>
<body>{{template "language"}}</body>
</html>
`, name)}
	files["static/js/"+name+".js"] = &fstest.MapFile{Data: []byte("import { start } from './i18n.js';\n\nstart();\n")}
	for _, language := range []string{"static/js/lang/en.js", "static/js/lang/zh-CN.js"} {
		const begin = "export default {"
		files[language] = change(files[language], begin, begin+` "`+name+`.title": "Page",`)
	}
	return files
}

func change(file *fstest.MapFile, before, after string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte(strings.Replace(string(file.Data), before, after, 1))}
}

func assetsOf(files fs.FS) func() (*assets, error) {
	return func() (*assets, error) { return loadAssets(files) }
}

// A row and the files that go by its name are all that a page needs.
func TestAddingAPage(t *testing.T) {
	t.Parallel()
	files := withPage(t, "new")
	if lacking := lacks(files, "new"); len(lacking) > 0 {
		t.Fatalf("the new page lacks something: %q", lacking)
	}
	ui, err := load(files, assetsOf(files), append(pageTable(), pageRow{name: "new", pattern: "GET /new"}), Options{})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	for pattern, page := range ui.Pages() {
		mux.Handle(pattern, page)
	}
	mux.Handle("/assets/", ui.Assets())
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	_, body := get(t, server.URL+"/new")
	for _, reference := range matches(`(?:src|href)="(/assets/[^"]*)"`, string(body)) {
		get(t, server.URL+reference)
	}

	for what, tt := range map[string]struct {
		spoil func(fstest.MapFS)
		want  string
	}{
		"its document": {
			func(files fstest.MapFS) { delete(files, "pages/new.html") },
			"page new has no document: pages/new.html doesn't exist",
		},
		"its script": {
			func(files fstest.MapFS) { delete(files, "static/js/new.js") },
			"page new has no script: neither static/js/new.js nor static/js/new/main.js exists",
		},
		"the tag of its script": {
			func(files fstest.MapFS) {
				files["pages/new.html"] = change(files["pages/new.html"], "new.js", "old.js")
			},
			`pages/new.html doesn't load its script: <script type="module" src="{{.Assets}}/js/new.js">`,
		},
		"the link to its style": {
			func(files fstest.MapFS) { files["static/css/new.css"] = &fstest.MapFile{} },
			"pages/new.html doesn't refer to its style, css/new.css",
		},
		"its title": {
			func(files fstest.MapFS) {
				files["pages/new.html"] = change(files["pages/new.html"], "new.title", "nav.check")
			},
			"pages/new.html has no title of the text new.title",
		},
		"a text in one language": {
			func(files fstest.MapFS) {
				files["static/js/lang/zh-CN.js"] = change(files["static/js/lang/zh-CN.js"], "new.title", "old.title")
			},
			"static/js/lang/zh-CN.js has no text new.title, which pages/new.html asks for",
		},
		"the switch of the language": {
			func(files fstest.MapFS) {
				files["pages/new.html"] = change(files["pages/new.html"], `{{template "language"}}`, "")
			},
			`pages/new.html has no switch of the language: {{template "language"}}`,
		},
		"every language": {
			func(files fstest.MapFS) {
				maps.DeleteFunc(files, func(name string, _ *fstest.MapFile) bool {
					return strings.Contains(name, "/lang/")
				})
			},
			"there are no languages in static/js/lang",
		},
	} {
		t.Run("without "+what, func(t *testing.T) {
			t.Parallel()
			files := withPage(t, "new")
			tt.spoil(files)
			if lacking := lacks(files, "new"); !slices.Equal(lacking, []string{tt.want}) {
				t.Errorf("got %q, want only %q", lacking, tt.want)
			}
		})
	}
}

// A page whose document is missing or broken keeps the process from starting, and says so.
func TestBrokenPagesAreFoundAtStart(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                      "page new: ",
		"{{.Nothing}}":          "page new: ",
		`{{template "nobody"}}`: "page new: ",
	} {
		files := withPage(t, "new")
		delete(files, "pages/new.html")
		if text != "" {
			files["pages/new.html"] = &fstest.MapFile{Data: []byte(text)}
		}
		_, err := load(files, assetsOf(files), []pageRow{{name: "new", pattern: "GET /new"}}, Options{})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "new.html") {
			t.Errorf("page %q: %v", text, err)
		}
	}
}
