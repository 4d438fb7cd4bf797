package webui

import (
	"encoding/json"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func readAll(t *testing.T, dir, ending string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := fs.WalkDir(content, dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(name, ending) {
			return err
		}
		body, err := content.ReadFile(name)
		files[name] = string(body)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatalf("no %s files in %s", ending, dir)
	}
	return files
}

func matches(expression, text string) []string {
	var found []string
	for _, match := range regexp.MustCompile(expression).FindAllStringSubmatch(text, -1) {
		found = append(found, match[1])
	}
	return found
}

// The policy forbids what is inline; a page that has some would be broken in browsers and nowhere
// else.
func TestNothingInline(t *testing.T) {
	t.Parallel()
	for name, text := range readAll(t, "pages", ".html") {
		for what, expression := range map[string]string{
			"a script":         `<script(?:\s+type="module")?\s*>`,
			"a style":          `<style|\sstyle=`,
			"a handler":        `\son[a-z]+=`,
			"another host":     `(?:src|href)="(?:https?:)?//`,
			"a javascript":     `javascript:`,
			"a classic script": `<script\s+src`,
		} {
			if found := regexp.MustCompile(expression).FindString(text); found != "" {
				t.Errorf("%s has %s: %s", name, what, found)
			}
		}
	}
	for name, text := range readAll(t, "static", ".js") {
		if found := regexp.MustCompile(`\b(innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function)`).FindString(text); found != "" {
			t.Errorf("%s uses %s", name, found)
		}
	}
}

func TestEveryReferenceExists(t *testing.T) {
	t.Parallel()
	server := newServer(t, Options{})
	for _, page := range pagePaths {
		_, body := get(t, server.URL+page)
		references := matches(`(?:src|href)="(/(?:assets/|signalbox)[^"]*)"`, string(body))
		if len(references) < 4 {
			t.Errorf("%s refers to %v only", page, references)
		}
		for _, reference := range references {
			get(t, server.URL+reference)
		}
		for _, icon := range matches(`href="#(i-[a-z-]+)"`, string(body)) {
			if !strings.Contains(string(body), `<symbol id="`+icon+`"`) {
				t.Errorf("%s uses icon %s, which doesn't exist", page, icon)
			}
		}
	}
	for name, text := range readAll(t, "static/js", ".js") {
		for _, imported := range matches(`(?m)from '([^']+)';$`, text) {
			if strings.HasPrefix(imported, "/") {
				get(t, server.URL+imported)
				continue
			}
			if _, err := fs.Stat(content, path.Join(path.Dir(name), imported)); err != nil {
				t.Errorf("%s imports %s: %v", name, imported, err)
			}
		}
	}
}

// Scripts look elements up by id, and browser tests do: an id that is missing or there twice breaks
// both.
func TestIDs(t *testing.T) {
	t.Parallel()
	scripts := readAll(t, "static/js", ".js")
	pages := readAll(t, "pages", ".html")
	frame := pages["pages/frame.html"]
	for page, contract := range map[string]string{
		"index":   "room start suggest snippet",
		"call":    "name preview join leave mute camera share chat-toggle chat-input chat-send chat-log tiles status",
		"check":   "run verdict candidates relay-test reach-test server-url server-username server-credential server-add server-remove servers",
		"trust":   "failed retry fingerprint qr qr-none systems system-linux",
		"example": "join room leave status videos",
		"admin":   "allocations rooms figures locked live token token-open kick kick-ban kick-confirm kick-cancel",
	} {
		ids := matches(`\sid="([^"]+)"`, pages["pages/"+page+".html"]+frame)
		slices.Sort(ids)
		if unique := slices.Compact(slices.Clone(ids)); len(unique) != len(ids) {
			t.Errorf("page %s has an id twice: %v", page, ids)
		}
		wanted := strings.Fields(contract)
		own := "static/js/" + page + "/"
		for name, text := range scripts {
			if strings.HasPrefix(name, own) || page == "index" && name == "static/js/home.js" || name == "static/js/"+
				page+".js" || name == "static/js/pass.js" && (page == "call" || page == "check") {
				wanted = append(wanted, matches(`byId\('([^']+)'\)`, text)...)
			}
		}
		for _, id := range wanted {
			if !slices.Contains(ids, id) {
				t.Errorf("page %s has no element #%s", page, id)
			}
		}
	}
}

// language reads a language file, which is JSON but for its first lines and the semicolon at its
// end.
func language(t *testing.T, name string) map[string]string {
	t.Helper()
	text, err := content.ReadFile("static/js/lang/" + name + ".js")
	if err != nil {
		t.Fatal(err)
	}
	_, object, found := strings.Cut(string(text), "export default ")
	if !found {
		t.Fatalf("%s has no default export", name)
	}
	texts := make(map[string]string)
	if err := json.Unmarshal([]byte(strings.TrimSuffix(strings.TrimSpace(object), ";")), &texts); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return texts
}

func TestTranslationsAreComplete(t *testing.T) {
	t.Parallel()
	english, chinese := language(t, "en"), language(t, "zh-CN")
	for key, text := range english {
		other, found := chinese[key]
		if !found {
			t.Errorf("zh-CN lacks %q", key)
			continue
		}
		if text == "" || other == "" {
			t.Errorf("%q is empty", key)
		}
		ours, theirs := matches(`\{(\w+)\}`, text), matches(`\{(\w+)\}`, other)
		slices.Sort(ours)
		slices.Sort(theirs)
		if !slices.Equal(ours, theirs) {
			t.Errorf("%q has parameters %v in English and %v in Chinese", key, ours, theirs)
		}
	}
	for key := range chinese {
		if _, found := english[key]; !found {
			t.Errorf("en lacks %q", key)
		}
	}
}

// Every text that is asked for exists, and every text is asked for. Keys that are put together from
// a code have their beginnings listed here.
func TestTranslationsAreUsed(t *testing.T) {
	t.Parallel()
	texts := language(t, "en")
	used := make(map[string]bool)
	var everything strings.Builder
	for name, text := range readAll(t, "pages", ".html") {
		for _, key := range matches(`data-t(?:-label|-placeholder)?="([^"]+)"`, text) {
			used[key] = true
			if texts[key] == "" {
				t.Errorf("%s: no text for %q", name, key)
			}
		}
	}
	for name, text := range readAll(t, "static/js", ".js") {
		if strings.HasPrefix(name, "static/js/lang/") {
			continue
		}
		everything.WriteString(text)
		for _, key := range matches(`(?:\bt\(|\bt: |words: |fix: |say\([^'`+"`"+`]*?, )'([a-z][\w.-]*)'`, text) {
			if texts[key] == "" {
				t.Errorf("%s: no text for %q", name, key)
			}
		}
	}
	composed := regexp.MustCompile(`^(code|end|media\.(audio|video)|tile|path|candidate|verdict|server\.timeout|overall\.norelay|admin\.(kind|live|failed)|kick\.(title|what|note)|span)(\.|$)`)
	source := everything.String()
	for key := range texts {
		base := strings.TrimSuffix(key, ".fix")
		if !used[key] && !strings.Contains(source, "'"+key+"'") && !strings.Contains(source, "'"+base+"'") &&
			!composed.MatchString(key) {
			t.Errorf("nobody asks for %q", key)
		}
	}
}
