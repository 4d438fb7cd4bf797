package webui

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
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
	writesMarkup := regexp.MustCompile(
		`\b(innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function)`)
	for name, text := range readAll(t, "static", ".js") {
		if found := writesMarkup.FindString(text); found != "" {
			t.Errorf("%s uses %s", name, found)
		}
	}
}

func TestEveryReferenceExists(t *testing.T) {
	t.Parallel()
	server := newServer(t, Options{Trust: true})
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
	contract := map[string]string{ // for tests in browsers
		"home": "room start suggest snippet",
		"call": "name preview join leave mute camera share chat-toggle chat-input chat-send chat-log tiles status",
		"check": "run verdict run-candidates relay-test reach-test " + // then the trickle ICE page's
			"servers url username password add remove reset gather candidates candidatesBody error error-note " +
			"getUserMedia all relay iceCandidatePool unmux ipv6",
		"trust":   "failed retry fingerprint qr qr-none systems system-linux",
		"example": "join room leave status videos",
		"admin":   "strangers rooms bans figures locked live token token-open kick kick-ban kick-confirm kick-cancel",
	}
	for _, row := range pageTable() {
		ids := matches(`\sid="([^"{]+)"`, pages["pages/"+row.name+".html"]+frame) // {{ }}: see TestDocsHaveEveryName
		slices.Sort(ids)
		if unique := slices.Compact(slices.Clone(ids)); len(unique) != len(ids) {
			t.Errorf("page %s has an id twice: %v", row.name, ids)
		}
		wanted := strings.Fields(contract[row.name])
		delete(contract, row.name)
		for name := range importedBy(scripts, scriptOf(content, row.name)) {
			wanted = append(wanted, matches(`byId\('([^']+)'\)`, scripts[name])...)
		}
		for _, id := range wanted {
			if !slices.Contains(ids, id) {
				t.Errorf("page %s has no element #%s", row.name, id)
			}
		}
	}
	if len(contract) > 0 {
		t.Errorf("there are no such pages: %v", contract)
	}
}

// importedBy returns a script and all that it imports, directly or not.
func importedBy(scripts map[string]string, name string) map[string]bool {
	all := make(map[string]bool)
	for next := []string{name}; len(next) > 0; next = next[1:] {
		if all[next[0]] {
			continue
		}
		all[next[0]] = true
		for _, imported := range matches(`(?m)from '(\.[^']+)';$`, scripts[next[0]]) {
			next = append(next, path.Join(path.Dir(next[0]), imported))
		}
	}
	return all
}

// A module that the browser learns of only when it has read another one, comes a round trip later.
func TestPagesPreloadTheirModules(t *testing.T) {
	t.Parallel()
	server := newServer(t, Options{Trust: true})
	scripts := readAll(t, "static/js", ".js")
	for path, name := range map[string]string{"/": "home", "/call/tea": "call", "/check": "check", "/admin": "admin"} {
		_, body := get(t, server.URL+path)
		preloaded := matches(`rel="modulepreload" href="/(?:assets/v-\w+/)?([^"]+)"`, string(body))
		wanted := []string{"js/lang/en.js", "js/lang/en/" + name + ".js"}
		script := scriptOf(content, name)
		for imported := range importedBy(scripts, script) {
			if imported != script {
				wanted = append(wanted, strings.TrimPrefix(imported, "static/"))
			}
			wanted = append(wanted, matches(`(?m)from '/([^']+)';$`, scripts[imported])...)
		}
		for _, list := range []*[]string{&preloaded, &wanted} {
			slices.Sort(*list)
		}
		if wanted = slices.Compact(wanted); !slices.Equal(preloaded, wanted) {
			t.Errorf("%s\npreloads: %v\nimports:  %v", path, preloaded, wanted)
		}
	}
}

// One language is loaded, and at once: the one that the browser is going to choose.
func TestPagesPreloadTheReadersLanguage(t *testing.T) {
	t.Parallel()
	server := newServer(t, Options{})
	for accepted, want := range map[string]string{
		"": "en", "en-US,en;q=0.9": "en", "zh-TW, zh;q=0.9, en;q=0.8": "zh-CN", "de;q=0.9,ZH;q=0.5,en;q=0.3": "zh-CN",
		"de, *": "en", ";;,--,\x80": "en",
	} {
		response, body := fetch(t, http.MethodGet, server.URL+"/check", http.Header{"Accept-Language": {accepted}})
		got := matches(`/js/lang/([\w/-]+)\.js"`, string(body))
		if !slices.Equal(got, []string{want, want + "/check"}) {
			t.Errorf("for %q, %v is loaded, want %s", accepted, got, want)
		}
		if vary := response.Header.Values("Vary"); !slices.Contains(vary, "Accept-Language") {
			t.Errorf("the page varies with %q", vary)
		}
	}
}

// language reads what all pages say in a language.
func language(t *testing.T, name string) map[string]string {
	t.Helper()
	own, err := fs.Glob(content, "static/js/lang/"+name+"/*.js")
	if err != nil || len(own) == 0 {
		t.Fatalf("no page says anything in %s: %v", name, err)
	}
	all := make(map[string]string)
	for _, file := range append(own, "static/js/lang/"+name+".js") {
		texts, err := readLanguage(content, file)
		if err != nil {
			t.Fatal(err)
		}
		for key, text := range texts {
			if _, twice := all[key]; twice {
				t.Errorf("%s says %q, and so does another file", file, key)
			}
			all[key] = text
		}
	}
	return all
}

// readPage reads what a page says in a language: what pages share, and what is its own.
func readPage(files fs.FS, language, page string) (map[string]string, error) {
	texts, err := readLanguage(files, language+".js")
	if err != nil {
		return nil, err
	}
	own, err := readLanguage(files, language+"/"+page+".js")
	if errors.Is(err, fs.ErrNotExist) {
		return texts, nil
	}
	maps.Copy(texts, own)
	return texts, err
}

// readLanguage reads a file of texts, which is JSON but for its first lines and the semicolon at
// its end.
func readLanguage(files fs.FS, name string) (map[string]string, error) {
	text, err := fs.ReadFile(files, name)
	if err != nil {
		return nil, err
	}
	_, object, found := strings.Cut(string(text), "export default ")
	if !found {
		return nil, fmt.Errorf("%s has no default export", name)
	}
	texts := make(map[string]string)
	if err := json.Unmarshal([]byte(strings.TrimSuffix(strings.TrimSpace(object), ";")), &texts); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return texts, nil
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
// What the hub or the SDK refuses is said in words, in each language, but where page and box don't
// understand each other: there the code itself is what helps.
func TestEachCodeHasWords(t *testing.T) {
	t.Parallel()
	text, err := content.ReadFile("docs/errors.json")
	if err != nil {
		t.Fatal(err)
	}
	var codes map[string][]string
	if err := json.Unmarshal(text, &codes); err != nil {
		t.Fatal(err)
	}
	misunderstood := []string{"bad-data", "bad-frame", "closed", "hello-first", "joined", "negotiation", "no-channel",
		"no-url", "not-in-room", "resume-expired", "too-large"}
	ofCalls := []string{"canceled", "declined", "no-such-peer", "offline", "unanswered"} // see names.ended
	english := language(t, "en")
	for code := range codes {
		_, said := english["end."+code]
		if said == slices.Contains(slices.Concat(misunderstood, ofCalls), code) {
			t.Errorf("end.%s: has words: %t", code, said)
		}
	}
}

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
	composed := regexp.MustCompile(`^(code|details|end|why|box\.nothing|home\.health|media\.(audio|video)|tile|path|` +
		`candidate|verdict|example\.state|server\.timeout|overall\.norelay|` +
		`admin\.(kind|live|failed|full|server|plot|bar|certificate)|` +
		`kick\.(title|what|note)|names\.ended|act|refused|refusal|warning|span)(\.|$)`)
	source := everything.String()
	for key := range texts {
		base := strings.TrimSuffix(key, ".fix")
		if !used[key] && !strings.Contains(source, "'"+key+"'") && !strings.Contains(source, "'"+base+"'") &&
			!composed.MatchString(key) {
			t.Errorf("nobody asks for %q", key)
		}
	}
}

// A page has all texts that it asks for, and no other page asks for those that are its own.
func TestPagesHaveTheirTexts(t *testing.T) {
	t.Parallel()
	scripts, documents := readAll(t, "static/js", ".js"), readAll(t, "pages", ".html")
	all := language(t, "en")
	for _, row := range pageTable() {
		texts, err := readPage(content, "static/js/lang/en", row.name)
		if err != nil {
			t.Fatal(err)
		}
		source := documents["pages/"+row.name+".html"] + documents["pages/frame.html"]
		for name := range importedBy(scripts, scriptOf(content, row.name)) {
			source += scripts[name]
			for _, later := range matches(`import\('(\.[^']+)'\)`, scripts[name]) {
				source += scripts[path.Join(path.Dir(name), later)]
			}
		}
		for key := range all {
			literal := strings.Contains(source, `"`+key+`"`) || strings.Contains(source, "'"+key+"'")
			if literal && texts[key] == "" {
				t.Errorf("page %s asks for %q, and another one has it", row.name, key)
			}
			group, _, dotted := strings.Cut(key, ".")
			if dotted && strings.Contains(source, "`"+group+".${") && texts[key] == "" {
				t.Errorf("page %s asks for texts of %s, and another one has %q", row.name, group, key)
			}
		}
	}
}

// A page with all that it loads, in the heavier language, is light enough for a phone far out.
func TestPagesAreLight(t *testing.T) {
	t.Parallel()
	ui, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		pattern string
		budget  int // bytes, compressed
	}{
		{"GET /call/{room}", 90_000},
		{"GET /check", 80_000},
	} {
		heaviest := 0
		for _, language := range languages() {
			page, err := ui.pages[tt.pattern].(*page).render(place{}, language)
			if err != nil {
				t.Fatal(err)
			}
			sum := len(page.body.gzip.body)
			for _, url := range matches(`(?:src|href)="(/(?:assets|signalbox)[^"]+)"`, string(page.body.plain.body)) {
				name := strings.TrimPrefix(strings.TrimPrefix(url, ui.assets.prefix()), "/")
				sum += len(ui.assets.files[name].gzip.body)
			}
			heaviest = max(heaviest, sum)
		}
		t.Logf("%s: %d bytes", tt.pattern, heaviest)
		if heaviest > tt.budget || heaviest < tt.budget/2 {
			t.Errorf("%s weighs %d bytes; the budget is %d", tt.pattern, heaviest, tt.budget)
		}
	}
}
