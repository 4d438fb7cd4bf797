package webui

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// WritePackage writes the SDK as an npm package into a folder, which it makes if need be: each
// module as an ES module with its types, and as a plain script that adds to the global signalbox.
// The version is that of the appliance. What is there of an earlier package is overwritten; a
// folder that has anything else in it is refused.
//
// The modules are those that the appliance serves, joined by the same hand. They differ in what
// npm/host.js says: nothing but connect's url tells them where the hub is, and they run in Node.
func WritePackage(dir, version string) error {
	if err := mayWriteInto(dir); err != nil {
		return err
	}
	made, err := packageFiles(content, version)
	if err != nil {
		return fmt.Errorf("make the package: %w", err)
	}
	for name, text := range made {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// mayWriteInto refuses a folder that is not empty and has no earlier package: a project's own, say,
// whose package.json would be lost.
func mayWriteInto(dir string) error {
	found, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(found) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	var earlier struct{ Name string }
	text, err := os.ReadFile(filepath.Join(dir, "package.json"))
	if err == nil {
		err = json.Unmarshal(text, &earlier)
	}
	if err != nil || earlier.Name != "signalbox" {
		return fmt.Errorf("%s has something else in it: name a new directory, or that of an earlier package", dir)
	}
	return nil
}

const hostModule = "host.js"

func packageFiles(files fs.FS, version string) (map[string][]byte, error) {
	made := make(map[string][]byte)
	own, err := fs.Sub(files, "npm")
	if err != nil {
		return nil, err
	}
	err = fs.WalkDir(own, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || name == hostModule {
			return err
		}
		made[name], err = fs.ReadFile(own, name)
		return err
	})
	if err != nil {
		return nil, err
	}
	joined, err := joinForPackage(files)
	if err != nil {
		return nil, err
	}
	for _, entry := range sdkNames() {
		types := strings.TrimSuffix(entry, ".js") + ".d.ts"
		if made[types], err = fs.ReadFile(files, "static/"+types); err != nil {
			return nil, err
		}
		made[entry] = joined[entry]
		script, err := plainScript(joined[entry])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", entry, err)
		}
		made[strings.TrimSuffix(entry, ".js")+".iife.js"] = script
	}
	made["package.json"], err = manifest(made["package.json"], version)
	return made, err
}

// joinForPackage joins the SDK's modules, of which those that need one of the host's things import
// it. The joiner makes sure that they do.
func joinForPackage(files fs.FS) (map[string][]byte, error) {
	parts, err := fs.Sub(files, "sdk")
	if err != nil {
		return nil, err
	}
	texts, err := readModules(parts)
	if err != nil {
		return nil, err
	}
	for name, text := range texts {
		text = strings.ReplaceAll(text, "import.meta.url", "pageOf(url)")
		text = strings.ReplaceAll(text, "/assets/", "") // its types are beside it
		up := strings.Repeat("../", strings.Count(name, "/"))
		lines, err := readScript(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		var used []string
		for _, line := range lines {
			used = append(used, namesIn(line.code)...)
		}
		for _, thing := range []string{"MediaStream", "pageOf", "reportError"} {
			if slices.Contains(used, thing) {
				text = fmt.Sprintf("import { %s } from '%s';\n%s", thing, path.Join(".", up)+"/"+hostModule, text)
			}
		}
		texts[name] = text
	}
	host, err := fs.ReadFile(files, "npm/"+hostModule)
	if err != nil {
		return nil, err
	}
	texts[hostModule] = string(host)
	return joinModules(texts, sdkNames()...)
}

var lastExport = regexp.MustCompile(`\bexport ?(\{[^}]*\});?\n*\z`)

// plainScript makes a script for a plain script tag of a joined module. Applications have each
// module's names in one global object.
func plainScript(module []byte) ([]byte, error) {
	packed, err := pack(string(module))
	if err != nil {
		return nil, err
	}
	at := lastExport.FindSubmatchIndex(packed)
	if at == nil {
		return nil, errors.New("its exports are not at the end")
	}
	head, body, _ := bytes.Cut(packed[:at[0]], []byte("\n\n"))
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s\n\n(() => {\n'use strict';\n%s\nObject.assign(globalThis.signalbox ??= {}, %s);\n})();\n",
		head, bytes.TrimSpace(body), packed[at[2]:at[3]])
	return out.Bytes(), nil
}

var (
	semantic    = regexp.MustCompile(`^v?(\d+\.\d+\.\d+(?:[-+][0-9A-Za-z.+-]+)?)$`)
	notInSemver = regexp.MustCompile(`[^0-9A-Za-z-]+`)
)

// manifest puts the version into package.json: npm takes none that isn't semantic, and builds that
// are no release have another one.
func manifest(text []byte, version string) ([]byte, error) {
	if m := semantic.FindStringSubmatch(version); m != nil {
		version = m[1]
	} else {
		version = "0.0.0-" + notInSemver.ReplaceAllString(version, "-")
	}
	quoted, err := json.Marshal(version)
	if err != nil {
		return nil, err
	}
	return bytes.Replace(text, []byte(`"VERSION"`), quoted, 1), nil
}
