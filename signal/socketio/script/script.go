// Package script is the Socket.IO client that the box serves: small, ES5, of protocol 5. It has
// what pages use: io(), io.connect and Manager with path, query, auth, transports, reconnection*,
// timeout and forceNew; on, once, off, emit with ack and timeout(), emitWithAck, connect,
// disconnect, close; id, connected, active; reconnect* of the manager; connect_error, disconnect
// with its reasons; binary data, volatile, onAny. It works with npm's server, too.
package script

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The parts of the client, each ES5 by itself, in the order in which they are joined.
var (
	//go:embed client/emitter.js
	emitter string
	//go:embed client/packet.js
	packet string
	//go:embed client/engine.js
	engine string
	//go:embed client/manager.js
	manager string
	//go:embed client/socket.js
	socket string
	//go:embed client/io.js
	entry string
)

// source is the client: its parts in one scope, so that a page gets io and no other name.
func source() string {
	return "// The Socket.IO client of signalbox: protocol 5 over Engine.IO 4, in ES5.\n" +
		"(function (root) {\n\"use strict\";\n\n" +
		strings.Join([]string{emitter, packet, engine, manager, socket, entry}, "\n") +
		"})(typeof self !== \"undefined\" ? self : globalThis);\n"
}

// Names are the files under which pages look for the client, below /socket.io/.
func Names() []string { return []string{"socket.io.js", "socket.io.min.js", "socket.io.esm.min.js"} }

// Text is the client under one of the names.
func Text(name string) string {
	switch name {
	case "socket.io.min.js":
		return shrunk(source())
	case "socket.io.esm.min.js":
		return "const module = { exports: {} };\n" + shrunk(source()) +
			"export const io = module.exports, connect = io, { Manager, Socket, protocol } = io;\nexport default io;\n"
	}
	return source()
}

func isModule(name string) bool {
	return strings.Contains(name, ".esm.") || strings.HasSuffix(name, ".mjs")
}

// shrunk is a script without comments on lines of their own, and without indentation.
func shrunk(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
			out.WriteString(line + "\n")
		}
	}
	return out.String()
}

// Handler serves the client under one of the names. If the operator has one of his own, path is
// that file, or the folder with files of those names. A file is an ES module or a script by its own
// name, and nothing under a name that promises the other.
func Handler(path, name string) http.Handler {
	text := []byte(Text(name))
	sum := sha256.Sum256(text)
	tag := `"` + hex.EncodeToString(sum[:8]) + `"`
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Type", "text/javascript; charset=utf-8")
		header.Set("Cache-Control", "no-cache")
		header.Set("Access-Control-Allow-Origin", "*") // it is nobody's secret
		if path == "" {
			header.Set("ETag", tag)
			http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(text))
			return
		}
		file := path
		if about, err := os.Stat(file); err == nil && about.IsDir() {
			file = filepath.Join(file, name)
		} else if isModule(filepath.Base(file)) != isModule(name) {
			http.NotFound(w, r)
			return
		}
		http.ServeFile(w, r, file)
	})
}
